//! Whole calls as data, on real sockets and on each transport: `tests/vectors/calls.json` (tests/server/README.md says what the keys mean).
#![allow(clippy::unwrap_used)]

mod compare;
#[path = "../support/live.rs"]
mod live;
#[path = "../support/mod.rs"]
mod support;
mod told;

use std::sync::Arc;

use live::{once, options, patient, pattern, pieces, swift};
use reknock::Error;
#[cfg(feature = "reqwest")]
use reknock::client::ReqwestTransport;
use reknock::client::transport::Transport;
use reknock::client::{Body, Callbacks, Client, Http2, HttpTransport, Opinion, Redirects, Response, TransportOptions};
use reknock_test_server::{Script, Server};
use serde_json::{Value as Json, json};
use support::{counted, vector};
use tokio::task::JoinSet;
use told::Told;

/// Calls that go on at the same time.
const AT_ONCE: usize = 16;

#[cfg(feature = "reqwest")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_reqwest() {
    counted(all("reqwest", |options| ReqwestTransport::new(options).unwrap()).await, 157);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_http() {
    counted(all("http", |options| HttpTransport::new(options).unwrap()).await, 157);
}

/// Runs all cases. `name`: the key of what it shows in another way.
async fn all<T, M>(name: &'static str, make: M) -> usize
where
    T: Transport<Body: Sync> + Clone,
    M: Fn(&TransportOptions) -> T + Copy + Send + 'static,
{
    let file = vector("calls.json");
    let server = Arc::new(Server::start().await.unwrap());
    let gate = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for case in file["cases"].as_array().unwrap().iter().cloned() {
        let (server, gate) = (Arc::clone(&server), Arc::clone(&gate));
        running.spawn(async move {
            let _permit = gate.acquire_owned().await.unwrap();
            let problems = patient(run(&server, &case, name, make)).await;
            problems.into_iter().map(|problem| format!("{}: {problem}", case["name"].as_str().unwrap())).collect::<Vec<_>>()
        });
    }
    let (mut ran, mut wrong) = (0, Vec::new());
    while let Some(problems) = running.join_next().await {
        ran += 1;
        wrong.extend(problems.unwrap());
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    ran
}

async fn run<T: Transport<Body: Sync> + Clone>(
    server: &Server,
    case: &Json,
    name: &str,
    make: impl Fn(&TransportOptions) -> T,
) -> Vec<String> {
    let script = server.script(case["server"].clone()).await.unwrap();
    let client = client(case, &script, make);
    let mut outcomes = Vec::new();
    let mut problems = Vec::new();
    for expected in compare::expected(case, name) {
        let told = Told::default();
        outcomes.push(call(&client, case, &script, told.listening(expected)).await.into());
        problems.extend(told.problem(expected, script.url()));
    }
    problems.extend(compare::problems(case, name, &outcomes, &script).await);
    problems
}

fn client<T: Transport + Clone>(case: &Json, script: &Script, make: impl Fn(&TransportOptions) -> T) -> Client<T> {
    let mut options = options(script.ca());
    options.http2 = if case["server"]["http2"] == true { Http2::Only } else { Http2::None };
    let mut builder = Client::on(make(&options)).policy(if case["policy"].is_null() { swift(&json!({})) } else { swift(&case["policy"]) });
    let wanted = &case["client"];
    let redirects = Redirects {
        follow: wanted["follow_redirects"] != false,
        max: wanted["max_redirects"].as_u64().map_or(Redirects::default().max, |max| max as u32),
        ..Redirects::default()
    };
    builder = builder.redirects(redirects);
    if let Some(most) = wanted["max_response_size"].as_u64() {
        builder = builder.max_response_size(most);
    }
    match case["retry_if"].clone() {
        Json::Null => builder,
        Json::Bool(_) => builder.retry_if(|_| Opinion::Retry),
        answer if answer == "stop" => builder.retry_if(|_| Opinion::Stop),
        _ => builder.retry_if(|_| Opinion::None),
    }
    .build()
    .unwrap()
}

async fn call<T: Transport<Body: Sync>>(client: &Client<T>, case: &Json, script: &Script, callbacks: Callbacks) -> Result<Response, Error> {
    let asked = &case["request"];
    let url = format!("{}{}", script.url(), asked["path"].as_str().unwrap_or("/"));
    let mut request = client.request(asked["method"].as_str().unwrap_or("GET"), &url).callbacks(callbacks);
    for field in asked["headers"].as_array().into_iter().flatten() {
        request = request.header(field[0].as_str().unwrap(), field[1].as_str().unwrap());
    }
    if let Some(body) = body(&asked["body"]) {
        request = request.body(body);
    }
    request.send().await
}

fn body(wanted: &Json) -> Option<Body> {
    let bytes = pattern(wanted["size"].as_u64()? as usize);
    Some(match wanted["stream"].as_str() {
        None => bytes.into(),
        Some("once") => once(&bytes, None),
        Some("factory") => Body::factory(move || Ok(pieces(&bytes, 10_000)), None),
        Some(other) => panic!("body.stream: {other:?}"),
    })
}
