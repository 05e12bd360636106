//! `make demo`: what reknock does about a flaky server, told by the timeline of each call.

use std::error::Error;

use reknock::Policy;
use reknock::client::Client;
use reknock_test_server::{Script, Server};
use serde_json::{Value, json};

struct Scene {
    title: &'static str,
    policy: &'static str,
    method: &'static str,
    calls: usize,
    server: Value,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    for scene in scenes() {
        println!("\n== {}", scene.title);
        println!("   policy: {}", scene.policy.replace('\n', "\n           "));
        let script = server.script(scene.server.clone()).await?;
        play(&scene, &script).await?;
        println!("   the server saw {} request(s)", script.log().len());
    }
    Ok(())
}

async fn play(scene: &Scene, script: &Script) -> Result<(), Box<dyn Error>> {
    let client = Client::builder().policy(Policy::from_yaml(scene.policy)?).build()?;
    for _ in 0..scene.calls {
        let (result, timeline) = match client.request(scene.method, script.url()).send().await {
            Ok(response) => (format!("{} {:?}", response.status(), response.text()), response.explain()),
            Err(error) => (format!("{}: {error}", error.kind()), error.explain()),
        };
        println!("   {} -> {result}", scene.method);
        timeline.lines().for_each(|line| println!("   {line}"));
    }
    Ok(())
}

fn scenes() -> [Scene; 6] {
    let unavailable = json!({"do": "status", "status": 503});
    let done = json!({"do": "status", "status": 200, "body": "done"});
    [
        Scene {
            title: "Success on attempt 3, after a 503 and a reset",
            policy: "backoff: {base: 50ms}",
            method: "GET",
            calls: 1,
            server: json!([unavailable, {"do": "reset"}, done]),
        },
        Scene {
            title: "A Retry-After, obeyed",
            policy: "{}",
            method: "GET",
            calls: 1,
            server: json!([{"do": "status", "status": 429, "headers": [["retry-after", "0.5"]]}, done]),
        },
        Scene {
            title: "A Retry-After longer than allowed: stops at once, with the answer",
            policy: "retry_after: {max: 30s}",
            method: "GET",
            calls: 1,
            server: json!([{"do": "status", "status": 503, "headers": [["retry-after", "3600"]], "body": "come back later"}]),
        },
        Scene {
            title: "A deadline that cuts a hanging attempt",
            policy: "{timeout: 700ms, per_try_timeout: 400ms, backoff: 100ms}",
            method: "GET",
            calls: 1,
            server: json!([{"do": "hang"}]),
        },
        Scene {
            title: "A budget that refuses: one retry for every two calls",
            policy: "budget: {ratio: 0.5, min_per_second: 0, deposit_on: call}\nbackoff: 10ms",
            method: "GET",
            calls: 2,
            server: json!([unavailable]),
        },
        Scene {
            title: "A POST that is not repeated, and why",
            policy: "{}",
            method: "POST",
            calls: 1,
            server: json!([{"do": "reset"}, done]),
        },
    ]
}
