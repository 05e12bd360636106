//! Whole calls by Envoy's rules on real sockets: `tests/vectors/dialects/envoy_calls.json`.
use std::sync::Arc;

use crate::live::{eventually, once, patient, pattern};
use crate::replay::{Leaping, Watched};
use crate::support::{self, counted, vector};
use reknock::Error;
use reknock::client::{Client, Response};
use reknock::policy::{Value, envoy};
use reknock_test_server::{Arrival, Script, Server};
use serde_json::{Value as Json, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules() {
    let file = vector("dialects/envoy_calls.json");
    let cases = file["cases"].as_array().unwrap().clone();
    let server = Arc::new(Server::start().await.unwrap());
    let gate = Arc::new(tokio::sync::Semaphore::new(16));
    let mut running = tokio::task::JoinSet::new();
    for case in cases {
        let (server, gate) = (Arc::clone(&server), Arc::clone(&gate));
        running.spawn(async move {
            let _permit = gate.acquire_owned().await.unwrap();
            let problem = patient(call(&server, &case)).await.err();
            problem.map(|problem| format!("{}: {problem}", case["name"].as_str().unwrap()))
        });
    }
    let mut wrong = Vec::new();
    let mut ran = 0;
    while let Some(done) = running.join_next().await {
        ran += 1;
        wrong.extend(done.unwrap());
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    counted(ran, 174);
}

async fn call(server: &Server, case: &Json) -> Result<(), String> {
    let outcomes = case["script"].as_array().unwrap();
    let http2 = case["http2"] == true || outcomes.iter().any(|outcome| outcome["do"].as_str().unwrap().starts_with("h2-"));
    let document = json!({"script": case["script"], "http2": http2});
    let script = Arc::new(server.script(document).await.map_err(|error| error.to_string())?);
    let transport = Watched::new(&script, &case["script"], http2).map_err(|error| error.to_string())?;
    let sends = transport.sends();
    let route = envoy::route(&support::value(&case["route"])).map_err(|error| error.to_string())?;
    let policy = route.merge(&Value::from([("connect_timeout", "10s")])).unwrap();
    let client = Client::on(transport).clock(Leaping::default()).policy(policy).envoy_headers(true).build().unwrap();
    let asked = &case["request"];
    let mut request = client.request(asked["method"].as_str().unwrap(), script.url());
    for header in asked["headers"].as_array().unwrap() {
        request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    if let Some(size) = asked["body_size"].as_u64() {
        let bytes = pattern(size as usize);
        request = if asked["stream"] == true { request.body(once(&bytes, None)) } else { request.body(bytes) };
    }
    let result = request.send().await;
    ended(case, &result)?;
    if Some(sends() as u64) != case["sends"].as_u64() {
        return Err(format!("{} sends; {}", sends(), told(&result)));
    }
    first_wait(case, &result)?;
    arrived(case, &script).await
}

fn ended(case: &Json, result: &Result<Response, Error>) -> Result<(), String> {
    let (status, error, stop) = match result {
        Ok(response) => (Some(u64::from(response.status())), None, response.stop_reason()),
        Err(error) => (None, Some(error.kind().to_string()), error.stop_reason().unwrap()),
    };
    let same = status == case["status"].as_u64()
        && error.as_deref() == case["error"].as_str()
        && Some(stop.to_string().as_str()) == case["stop"].as_str();
    if same { Ok(()) } else { Err(told(result)) }
}

fn told(result: &Result<Response, Error>) -> String {
    match result {
        Ok(response) => format!("ended with {} {}", response.status(), response.stop_reason()),
        Err(error) => format!("ended with {} ({error}) {:?}", error.kind(), error.stop_reason()),
    }
}

/// The planned wait: the clock leaps over it.
fn first_wait(case: &Json, result: &Result<Response, Error>) -> Result<(), String> {
    let wanted = &case["first_wait_ms"];
    if wanted.is_null() {
        return Ok(());
    }
    let first = match result {
        Ok(response) => &response.attempts()[0],
        Err(error) => &error.attempts()[0],
    };
    let wait = first.wait.ok_or("no wait")?.as_secs_f64() * 1000.0;
    let (least, most) = match wanted.as_f64() {
        Some(exact) => (exact, exact),
        None => (wanted[0].as_f64().unwrap(), wanted[1].as_f64().unwrap()),
    };
    if (least..=most).contains(&wait) { Ok(()) } else { Err(format!("waits {wait} ms")) }
}

/// What the server got.
async fn arrived(case: &Json, script: &Script) -> Result<(), String> {
    if let Some(size) = case["last_body"].as_u64() {
        let whole = |arrival: &Arrival| arrival.body_complete && arrival.body_size == size;
        eventually(script, "the last body", || script.log().last().is_some_and(whole)).await;
    }
    let log = script.log();
    for (arrival, size) in log.iter().zip(case["bodies"].as_array().into_iter().flatten()) {
        if !arrival.body_complete || Some(arrival.body_size) != size.as_u64() || arrival.body_sha256 != log[0].body_sha256 {
            return Err(format!("attempt {}: {} bytes of the body arrived", arrival.n, arrival.body_size));
        }
    }
    for (name, values) in case["seen"].as_object().into_iter().flatten() {
        let seen: Vec<_> = log.iter().map(|arrival| value(arrival, name)).collect();
        let wanted: Vec<_> = values.as_array().unwrap().iter().map(Json::as_str).collect();
        if seen != wanted {
            return Err(format!("{name}: {seen:?}"));
        }
    }
    let unseen = case["unseen"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
    for name in unseen {
        if let Some(arrival) = log.iter().find(|arrival| value(arrival, name).is_some()) {
            return Err(format!("{name} arrived: {:?}", arrival.headers));
        }
    }
    Ok(())
}

fn value<'a>(arrival: &'a Arrival, name: &str) -> Option<&'a str> {
    arrival.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
