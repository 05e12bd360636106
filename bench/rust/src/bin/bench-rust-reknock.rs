//! reknock, with its default policy but for what the rule of the comparison says.

use bench_rust::{Failure, Reply, run};
use reknock::Policy;
use reknock::client::Client;

fn main() -> Result<(), Failure> {
    run(|task| {
        let policy = Policy::from_yaml(&format!("{{max_retries: {}, statuses: [503], backoff: none}}", task.retries))?;
        let client = Client::builder().policy(policy).build()?;
        let url = task.url.clone();
        Ok(move || {
            let (client, url) = (client.clone(), url.clone());
            async move {
                let response = client.get(&url).send().await?;
                Ok(Reply { status: response.status(), body: response.bytes().clone() })
            }
        })
    })
}
