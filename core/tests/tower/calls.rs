//! `tests/vectors/calls.json` over hyper-util's client in a `RetryLayer`, and over reqwest's. What the layer is not there for is left out, by `needs`.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reknock::BoxError;
use reknock::retry::Opinion;
use reknock::tower::{Records, ReplayBody, RetryError, RetryLayer};
use reknock_test_server::{Script, Server};
use serde_json::{Value as Json, json};
use tower_layer::Layer;
use tower_service::Service;

use crate::compare::{self, Seen};
use crate::live::{patient, pattern, pieces, swift};
use crate::support::{counted, vector};

/// What a layer leaves to the client that it is around, or to whoever reads the response.
const LEFT_OUT: [&str; 6] = ["redirects", "buffers", "tls", "connection", "max_response_size", "expect"];

type Streamed = UnsyncBoxBody<Bytes, BoxError>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_hyper() {
    let (mut ran, mut wrong) = (0, Vec::new());
    for (case, script) in cases().await {
        ran += 1;
        // What a layer cannot limit is limited where it belongs: in the connector.
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(connect_timeout(&case)));
        let mut builder = Client::builder(TokioExecutor::new());
        let builder = builder.retry_canceled_requests(false).http2_only(case["server"]["http2"] == true);
        let (whole, streamed) = (builder.build::<_, Full<Bytes>>(connector.clone()), builder.build::<_, ReplayBody<Streamed>>(connector));
        wrong.extend(problems(&case, &script, whole, streamed).await);
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    counted(ran, 113);
}

#[cfg(feature = "tower-reqwest")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_reqwest() {
    let (mut ran, mut wrong) = (0, Vec::new());
    for (case, script) in cases().await {
        ran += 1;
        let builder = reqwest::Client::builder().no_proxy().retry(reqwest::retry::never()).connect_timeout(connect_timeout(&case));
        let builder = if case["server"]["http2"] == true { builder.http2_prior_knowledge() } else { builder.http1_only() };
        let client = reknock::tower::ReqwestService::new(builder.redirect(reqwest::redirect::Policy::none()).build().unwrap());
        wrong.extend(problems(&case, &script, client.clone(), client).await);
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    counted(ran, 113);
}

/// What refuses after a redirect that reqwest followed says nothing of what was redirected.
#[cfg(feature = "tower-reqwest")]
#[tokio::test]
async fn reqwest_follows() {
    let server = Server::start().await.unwrap();
    let answers = json!([{"do": "redirect", "status": 303, "location": "$url/next"}, {"do": "status", "status": 429}]);
    let script = server.script(answers).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().retry(reqwest::retry::never()).build().unwrap();
    let mut service = RetryLayer::new(swift(&json!({}))).layer(reknock::tower::ReqwestService::new(client));
    let request = Request::post(script.url()).body(Full::new(Bytes::from("order"))).unwrap();
    let response = patient(service.call(request)).await.unwrap();
    let records = response.extensions().get::<Records>().unwrap();
    assert_eq!((response.status().as_u16(), records.stop_reason()), (429, Some(reknock::StopReason::NotIdempotent)));
    assert_eq!((records.attempts().len(), records.attempts()[0].evidence), (1, reknock::Evidence::Unknown));
    assert_eq!(script.log().len(), 2);
}

/// The cases that are for a layer, each on a server of its own name.
async fn cases() -> Vec<(Json, Script)> {
    let server = Box::leak(Box::new(Server::start().await.unwrap()));
    let mut cases = Vec::new();
    for case in vector("calls.json")["cases"].as_array().unwrap() {
        let left_out = case["needs"].as_array().into_iter().flatten().any(|need| LEFT_OUT.contains(&need.as_str().unwrap()));
        if !left_out {
            cases.push((case.clone(), server.script(case["server"].clone()).await.unwrap()));
        }
    }
    cases
}

fn connect_timeout(case: &Json) -> Duration {
    swift(&policy_of(case)).connect_timeout().unwrap_or(Duration::from_secs(5))
}

fn policy_of(case: &Json) -> Json {
    if case["policy"].is_null() { json!({}) } else { case["policy"].clone() }
}

/// Makes the calls of a case. Everything that differs.
async fn problems<S, T, R, Q>(case: &Json, script: &Script, whole: S, streamed: T) -> Vec<String>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    T: Service<Request<ReplayBody<Streamed>>, Response = Response<Q>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    R: Body<Data = Bytes, Error: Debug> + Send + 'static,
    Q: Body<Data = Bytes, Error: Debug> + Send + 'static,
{
    let mut layer = RetryLayer::new(swift(&policy_of(case)));
    layer = match &case["retry_if"] {
        Json::Null => layer,
        Json::Bool(_) => layer.retry_if(|_| true),
        answer if answer == "stop" => layer.retry_if(|_| Opinion::Stop),
        _ => layer.retry_if(|_| Opinion::None),
    };
    let asked = &case["request"];
    let bytes = pattern(asked["body"]["size"].as_u64().unwrap_or(0) as usize);
    let mut outcomes = Vec::new();
    for _ in compare::expected(case, "tower") {
        outcomes.push(match asked["body"]["stream"].as_str() {
            None => patient(call(layer.clone().layer(whole.clone()), asked, script, Full::from(bytes.clone()))).await,
            Some("once") => {
                let body = Streamed::new(StreamBody::new(pieces(&bytes, 10_000).map(|piece| piece.map(Frame::data))));
                patient(call(layer.clone().recording().layer(streamed.clone()), asked, script, body)).await
            }
            Some(other) => panic!("body.stream: {other:?}"),
        });
    }
    let problems = compare::problems(case, "tower", &outcomes, script).await;
    problems.into_iter().map(|problem| format!("{}: {problem}", case["name"].as_str().unwrap())).collect()
}

/// One call.
async fn call<S, B, R>(mut service: S, asked: &Json, script: &Script, body: B) -> Seen
where
    S: Service<Request<B>, Response = Response<R>, Error = RetryError>,
    R: Body<Data = Bytes, Error: Debug>,
{
    let uri: Uri = format!("{}{}", script.url(), asked["path"].as_str().unwrap_or("/")).parse().unwrap();
    let mut request = Request::builder().method(asked["method"].as_str().unwrap_or("GET")).uri(uri);
    for field in asked["headers"].as_array().into_iter().flatten() {
        request = request.header(field[0].as_str().unwrap(), field[1].as_str().unwrap());
    }
    std::future::poll_fn(|context| service.poll_ready(context)).await.unwrap();
    match service.call(request.body(body).unwrap()).await {
        Ok(response) => {
            let records = response.extensions().get::<Records>().unwrap().clone();
            let (status, body) = (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes());
            Seen {
                status: Some(status),
                error: None,
                stop_reason: records.stop_reason(),
                body: Some(String::from_utf8_lossy(&body).into_owned()),
                attempts: records.attempts().to_vec(),
                text: String::new(),
            }
        }
        Err(error) => Seen {
            status: None,
            error: error.kind(),
            stop_reason: error.stop_reason(),
            body: None,
            attempts: error.attempts().to_vec(),
            text: format!("{error:?}"),
        },
    }
}
