//! What a real Ktor 3.6.1 did, recorded, and done again: its functions through our reader, its script on real sockets, what the server
//! saw, the waits and the end expected of the real executor.

use std::sync::Arc;

use reknock::policy::read_all_from_value;
use reknock_test_server::Server;
use serde_json::{Value as Json, json};

use super::*;
use crate::replay::{Leaping, Watched};
use crate::support::{counted, vector};

/// What is done otherwise here, and why: docs/dialects/ktor.md.
const DEVIATIONS: &[(&str, &str)] = &[
    ("hint.5.constantDelay.True", "1.5 s is obeyed; Ktor reads whole seconds only"),
    ("hint.11.constantDelay.True", "dates are obeyed; Ktor ignores them"),
    ("hint.15.exponentialDelay.True", "a wait of more than Ktor's milliseconds hold is a long one; Ktor ignores it"),
    ("hint.16.constantDelay.True", "likewise a number of more than 64 bits"),
    ("hint.ms", "retry-after-ms is obeyed; Ktor does not know it"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_calls() {
    let file = vector("dialects/ktor_recorded.json");
    let server = Arc::new(Server::start().await.unwrap());
    let gate = Arc::new(tokio::sync::Semaphore::new(32));
    let mut running = tokio::task::JoinSet::new();
    for case in file["cases"].as_array().unwrap().clone() {
        let (server, gate) = (Arc::clone(&server), Arc::clone(&gate));
        running.spawn(async move {
            let _permit = gate.acquire_owned().await.unwrap();
            let problem = replay(&server, &case).await.err();
            (case["id"].as_str().unwrap().to_owned(), problem)
        });
    }
    let (mut wrong, mut ran, mut differ) = (Vec::new(), 0, Vec::new());
    while let Some(done) = running.join_next().await {
        let (id, problem) = done.unwrap();
        ran += 1;
        match problem {
            Some(_) if DEVIATIONS.iter().any(|(name, _)| *name == id) => differ.push(id),
            Some(problem) => wrong.push(format!("{id}: {problem}")),
            None => {}
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {ran} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(differ.len(), DEVIATIONS.len(), "a deviation that is none: {differ:?}");
    counted(ran, 395);
}

/// The plugin's functions, and the timeouts before or after it: ten times as long, a busy machine must not decide.
fn policy(case: &Json) -> Policy {
    let call = |call: &Json| {
        let arguments = &call[1];
        let value = if call[0] == "maxRetries" { &arguments["value"] } else { arguments };
        (call[0].as_str().unwrap().to_owned(), crate::support::value(value))
    };
    let plugin = ("HttpRequestRetry".to_owned(), Value::Map(case["calls"].as_array().unwrap().iter().map(call).collect()));
    let mut entries = vec![plugin];
    if let Some(timeout) = case.get("timeout") {
        let limits = [("request", "requestTimeoutMillis"), ("connect", "connectTimeoutMillis"), ("socket", "socketTimeoutMillis")];
        let given = limits.iter().filter_map(|(short, key)| Some((*key, Value::Int(timeout[short].as_i64()? * 10))));
        let place = if timeout["place"] == "before" { 0 } else { 1 };
        entries.insert(place, ("HttpTimeout".to_owned(), Value::map(given)));
    }
    let all = read_all_from_value(&Value::Map(entries), Some(Dialect::Ktor)).unwrap();
    all.into_iter().next().unwrap().policy
}

/// What the server does, in its own words.
fn outcome(step: &Json) -> Json {
    match step["do"].as_str().unwrap() {
        "cut" => json!({"do": "status", "status": 200, "body_size": 100, "body_mode": "truncate-fin", "after": 4}),
        "stall-body" => json!({"do": "status", "status": 200, "body_size": 100, "body_mode": "stall", "after": 4}),
        "stall" => json!({"do": "hang"}),
        _ => step.clone(),
    }
}

async fn replay(server: &Server, case: &Json) -> Result<(), String> {
    let outcomes = Json::Array(case["script"].as_array().unwrap().iter().map(outcome).collect());
    let script = Arc::new(server.script(outcomes.clone()).await.map_err(|error| error.to_string())?);
    let transport = Watched::new(&script, &outcomes, false).map_err(|error| error.to_string())?;
    let client = Client::on(transport).clock(Leaping::default()).policy(policy(case)).build().unwrap();
    let mut request = client.request(case["method"].as_str().unwrap_or("GET"), script.url());
    if let Some(body) = case["body"].as_str() {
        request = request.body(body.to_owned());
    }
    let result = request.send().await;
    let (attempts, status) = match &result {
        Ok(response) => (response.attempts(), Some(u64::from(response.status()))),
        Err(error) => (error.attempts(), None),
    };
    let observed = &case["observed"];
    let told = format!("{status:?} {:?}", result.as_ref().err());
    if status != observed["status"].as_u64() {
        return Err(format!("ended as {told} instead of {observed}"));
    }
    let seen = script.log().len() as u64;
    if Some(seen) != observed["seen"].as_u64() {
        return Err(format!("{seen} requests instead of {}: {told}", observed["seen"]));
    }
    if case.get("timeout").is_some() {
        return Ok(());
    }
    let random = case["calls"].as_array().unwrap().iter().any(|call| call[1]["randomizationMs"].as_u64().is_some_and(|ms| ms > 0));
    let waits: Vec<u64> = attempts.iter().filter_map(|attempt| attempt.wait).map(|wait| wait.as_millis() as u64).collect();
    let wanted: Vec<u64> = observed["waits"].as_array().unwrap().iter().map(|wait| wait.as_u64().unwrap()).collect();
    // What chance adds is another draw.
    let same = waits.len() == wanted.len() && (random || waits == wanted);
    if same { Ok(()) } else { Err(format!("waits {waits:?} instead of {wanted:?}")) }
}
