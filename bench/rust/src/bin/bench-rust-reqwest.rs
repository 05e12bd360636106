//! reqwest alone: it retries no status, so a loop of ours does.

use bench_rust::{Failure, Reply, run};
use reqwest::Client;

fn main() -> Result<(), Failure> {
    run(|task| {
        let client = Client::builder().build()?;
        let (url, body, retries) = (task.url.clone(), task.body(), task.retries);
        Ok(move || {
            let (client, url, body) = (client.clone(), url.clone(), body.clone());
            async move {
                for retries_left in (0..=retries).rev() {
                    let response = match &body {
                        None => client.get(&url).send().await?,
                        Some(body) => client.post(&url).body(body.clone()).send().await?,
                    };
                    let status = response.status().as_u16();
                    let body = response.bytes().await?;
                    if status != 503 || retries_left == 0 {
                        return Ok(Reply { status, body });
                    }
                }
                unreachable!("the last turn returns")
            }
        })
    })
}
