//! reqwest alone: it retries no status, so a loop of ours does.

use bench_rust::{Failure, Reply, run};
use reqwest::Client;

fn main() -> Result<(), Failure> {
    run(|task| {
        let client = Client::builder().build()?;
        let (url, retries) = (task.url.clone(), task.retries);
        Ok(move || {
            let (client, url) = (client.clone(), url.clone());
            async move {
                for retries_left in (0..=retries).rev() {
                    let response = client.get(&url).send().await?;
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
