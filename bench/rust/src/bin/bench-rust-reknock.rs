//! reknock, with its default policy but for what the rule of the comparison says.

use bench_rust::{Failure, Reply, run};
use reknock::Policy;
use reknock::client::Client;

fn main() -> Result<(), Failure> {
    run(|task| {
        let policy = Policy::from_yaml(&format!("{{max_retries: {}, statuses: [503], backoff: none}}", task.retries))?;
        let client = Client::builder().policy(policy).build()?;
        let (url, body) = (task.url.clone(), task.body());
        Ok(move || {
            let (client, url, body) = (client.clone(), url.clone(), body.clone());
            async move {
                let response = match body {
                    None => client.get(&url).send().await?,
                    Some(body) => client.post(&url).body(body).send().await?,
                };
                Ok(Reply { status: response.status(), body: response.bytes().clone() })
            }
        })
    })
}
