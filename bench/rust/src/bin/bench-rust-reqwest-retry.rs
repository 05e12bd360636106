//! reqwest with the retry middleware that most people add. Its rule covers all transient outcomes; only 503 occurs here.

use std::time::Duration;

use bench_rust::{Failure, Reply, run};
use reqwest_middleware::ClientBuilder;
use reqwest_retry::RetryTransientMiddleware;
use retry_policies::Jitter;
use retry_policies::policies::ExponentialBackoff;

fn main() -> Result<(), Failure> {
    run(|task| {
        let policy = ExponentialBackoff::builder()
            .retry_bounds(Duration::ZERO, Duration::ZERO)
            .jitter(Jitter::None)
            .build_with_max_retries(task.retries);
        let client = ClientBuilder::new(reqwest::Client::new()).with(RetryTransientMiddleware::new_with_policy(policy)).build();
        let (url, body) = (task.url.clone(), task.body());
        Ok(move || {
            let (client, url, body) = (client.clone(), url.clone(), body.clone());
            async move {
                let response = match body {
                    None => client.get(&url).send().await?,
                    Some(body) => client.post(&url).body(body).send().await?,
                };
                Ok(Reply { status: response.status().as_u16(), body: response.bytes().await? })
            }
        })
    })
}
