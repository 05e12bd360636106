//! The decisions recorded from a real Envoy 1.40, replayed: its route through our reader, its script on real sockets,
//! its number of sends and its outcome expected of the real executor.

use std::sync::Arc;

use crate::replay::{Leaping, Watched};
use crate::support::{counted, vector};
use reknock::client::{Client, Response};
use reknock::policy::{Value, envoy};
use reknock::{Error, ErrorKind, Policy};
use reknock_test_server::Server;
use serde_json::{Value as Json, json};

/// What an HTTP client cannot show as a proxy does, with the reason. A case named here is run, but not compared.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "mx.connect-failure.accept-close",
        "a FIN right after accept: hyper may see it before it hands the request over, which is then provably unsent (kind connect); Envoy had already written",
    ),
    ("mx.reset-before-request.accept-close", "likewise"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_decisions() {
    let file = vector("envoy/decisions.json");
    let cases = file["cases"].as_array().unwrap().clone();
    let total = cases.len();
    let server = Arc::new(Server::start().await.unwrap());
    let gate = Arc::new(tokio::sync::Semaphore::new(64));
    let mut running = tokio::task::JoinSet::new();
    for case in cases {
        let (server, gate) = (Arc::clone(&server), Arc::clone(&gate));
        running.spawn(async move {
            let _permit = gate.acquire_owned().await.unwrap();
            let id = case["id"].as_str().unwrap().to_owned();
            let problem = replay(&server, &case).await.err();
            (id, problem)
        });
    }
    let mut wrong = Vec::new();
    let mut ran = 0;
    while let Some(done) = running.join_next().await {
        let (id, problem) = done.unwrap();
        ran += 1;
        let excepted = EXCEPTIONS.iter().any(|(name, _)| *name == id);
        wrong.extend(problem.filter(|_| !excepted).map(|problem| format!("{id}: {problem}")));
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
    counted(ran, 1138);
}

async fn replay(server: &Server, case: &Json) -> Result<(), String> {
    let http2 = case["id"].as_str().unwrap().contains("h2-");
    let script = Arc::new(server.script(json!({"script": case["script"], "http2": http2})).await.map_err(|error| error.to_string())?);
    let transport = Watched::new(&script, &case["script"], http2).map_err(|error| error.to_string())?;
    let sends = transport.sends();
    let client = Client::on(transport).clock(Leaping::default()).policy(policy(case)).envoy_headers(true).build().unwrap();
    let mut request = client.request(case["request"]["method"].as_str().unwrap(), script.url());
    for header in case["request"]["headers"].as_array().unwrap() {
        request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    let result = request.send().await;
    let sends = sends();
    if Some(sends as u64) != case["attempts"].as_u64() {
        return Err(format!("{sends} sends instead of {}; {}", case["attempts"], told(&result)));
    }
    same_outcome(case, &result)?;
    same_gap(case, &result)
}

/// The limits of the recording, ten times as long: a busy machine must not decide.
fn patient(limit: &mut Json) {
    let Some(seconds) = limit.as_str().and_then(|text| text.strip_suffix('s')).and_then(|text| text.parse::<f64>().ok()) else { return };
    if seconds < 1.0 {
        *limit = format!("{:.1}s", seconds * 10.0).into();
    }
}

/// The route as our reader has it, with a connect limit.
fn policy(case: &Json) -> Policy {
    let mut route = case["route"].clone();
    patient(&mut route["timeout"]);
    for key in ["per_try_timeout", "per_try_idle_timeout"] {
        if let Some(limit) = route["retry_policy"].get_mut(key) {
            patient(limit);
        }
    }
    let policy = envoy::route(&crate::support::value(&route)).unwrap();
    policy.merge(&Value::from([("connect_timeout", "2s")])).unwrap()
}

fn same_outcome(case: &Json, result: &Result<Response, Error>) -> Result<(), String> {
    let flags = case["flags"].as_str().unwrap();
    let kinds: &[ErrorKind] = match flags.rsplit(',').next().unwrap() {
        "UF" => &[ErrorKind::Connect, ErrorKind::ConnectTimeout],
        "UC" => &[ErrorKind::Reset, ErrorKind::Connect],
        "UR" => &[ErrorKind::RefusedStream, ErrorKind::Reset],
        "UT" if case["outcome"] == "complete" => &[ErrorKind::PerTryTimeout, ErrorKind::Deadline],
        "UT" => &[ErrorKind::Deadline],
        "UPE" if case["outcome"] == "complete" => &[ErrorKind::Protocol, ErrorKind::Reset],
        "UPE" => &[ErrorKind::Body],
        _ => &[],
    };
    let same = match result {
        Ok(response) => kinds.is_empty() && Some(u64::from(response.status())) == case["status"].as_u64(),
        Err(error) => kinds.contains(&error.kind()),
    };
    if same { Ok(()) } else { Err(format!("{} {} {flags} became {}", case["outcome"], case["status"], told(result))) }
}

/// Envoy's waits: a hint of n seconds waits in [n, 1.5 n), anything else in the back-off's band.
fn same_gap(case: &Json, result: &Result<Response, Error>) -> Result<(), String> {
    let Some(least_seen) = case["first_gap_ms"][0].as_u64() else { return Ok(()) };
    let first = match result {
        Ok(response) => &response.attempts()[0],
        Err(error) => &error.attempts()[0],
    };
    let wait = first.wait.ok_or("no wait")?;
    let hinted = least_seen > 500;
    let fits = match first.hint.filter(|hint| !hint.is_zero()) {
        Some(hint) if hinted => wait >= hint && wait <= hint + hint / 2,
        // base_interval of the recording is 1 ms, once 20 ms.
        _ => !hinted && wait.as_millis() <= 20,
    };
    if fits { Ok(()) } else { Err(format!("waits {wait:?} (hint {:?}) where Envoy waited at least {least_seen} ms", first.hint)) }
}

fn told(result: &Result<Response, Error>) -> String {
    match result {
        Ok(response) => format!("{} {}", response.status(), response.stop_reason()),
        Err(error) => format!("{} ({error}) {:?}", error.kind(), error.stop_reason()),
    }
}
