//! The examples do what they say, on real sockets.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use reknock::client::Client;
use reknock::{Policy, StopReason};
use reknock_examples::grpc::Greeter;
use reknock_examples::middleware::{Retries, Sent};
use reknock_examples::{proxy, stack};
use reknock_test_server::{Script, Server};
use serde_json::{Value as Json, json};

/// What nothing here may take, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn script(document: Json) -> (Server, Script) {
    let server = Server::start().await.unwrap();
    let script = server.script(document).await.unwrap();
    (server, script)
}

fn swift(more: &str) -> Policy {
    Policy::from_yaml(&format!("{{backoff: none{more}}}")).unwrap()
}

#[tokio::test]
async fn a_stack() {
    let (_server, script) =
        script(json!([{"do": "status", "status": 503}, {"do": "reset"}, {"do": "status", "status": 200, "body": "kept"}])).await;
    let (status, body, attempts) = stack::put(swift(""), script.url(), "text").await.unwrap();
    assert_eq!((status, &body[..], attempts), (200, &b"kept"[..], 3));
    let sizes: Vec<u64> = script.log().iter().map(|arrival| arrival.body_size).collect();
    assert_eq!(sizes, [4, 4, 4]);
}

#[tokio::test]
async fn a_grpc_client() {
    let busy = json!({"do": "status", "status": 200, "headers": [["content-type", "application/grpc"], ["grpc-status", "14"], ["grpc-message", "busy"]]});
    // A message of five bytes: no compression, its length, itself.
    let answer = json!({"do": "status", "status": 200, "headers": [["content-type", "application/grpc"]], "body_base64": "AAAAAAVoZWxsbw==", "trailers": [["grpc-status", "0"]]});
    let denied = json!({"do": "status", "status": 200, "headers": [["content-type", "application/grpc"], ["grpc-status", "7"]]});
    let (_server, script) = script(json!({"script": [busy, {"do": "h2-rst"}, answer, denied], "http2": true})).await;
    let mut greeter = Greeter::new(script.url()).unwrap();
    let response = tokio::time::timeout(PATIENCE, greeter.greet("you")).await.unwrap().unwrap();
    assert_eq!(&response.get_ref()[..], b"hello");
    assert_eq!(script.log().len(), 3);
    let status = greeter.greet("you").await.unwrap_err();
    assert_eq!((status.code(), script.log().len()), (tonic::Code::PermissionDenied, 4));
}

#[tokio::test]
async fn a_grpc_client_without_a_server() {
    let (_server, script) = script(json!([{"do": "refused"}])).await;
    let status = Greeter::new(script.url()).unwrap().greet("you").await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    let source = std::error::Error::source(&status).unwrap();
    let error = source.downcast_ref::<reknock::tower::RetryError>().unwrap();
    assert_eq!((error.attempts().len(), error.stop_reason()), (3, Some(StopReason::RetriesExhausted)));
}

#[tokio::test]
async fn a_middleware() {
    let (_server, script) = script(json!([{"do": "status", "status": 503}, {"do": "reset"}, {"do": "status", "status": 404}])).await;
    let http = reqwest::Client::builder().no_proxy().retry(reqwest::retry::never()).build().unwrap();
    let client = reqwest_middleware::ClientBuilder::new(http).with(Retries::new(swift(""))).build();
    let response = client.put(script.url()).body("text").send().await.unwrap();
    let sent = response.extensions().get::<Sent>().unwrap();
    assert_eq!((response.status().as_u16(), sent.attempts.len(), sent.stop_reason), (404, 3, Some(StopReason::NotRetryable)));
    assert_eq!(script.log().len(), 3);
    let error = client.post("http://127.0.0.1:1/").send().await.unwrap_err();
    assert!(matches!(error, reqwest_middleware::Error::Reqwest(error) if error.is_connect()));
}

#[tokio::test]
async fn a_proxy_that_streams() {
    let upstream = json!([{"do": "status", "status": 503}, {"do": "status", "status": 200, "body_size": 100_000, "body_mode": "stall", "after": 50_000}]);
    let (_server, script) = script(upstream).await;
    let to = script.url().strip_prefix("http://").unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/orders?page=2", listener.local_addr().unwrap());
    let serving = tokio::spawn(axum::serve(listener, proxy::proxy(swift(""), to)).into_future());

    let client = Client::builder().policy(Policy::none()).build().unwrap();
    let mut response = client.put(&url).body("order".repeat(1000)).stream().await.unwrap();
    assert_eq!((response.status(), response.header("x-attempts")), (200, Some("2")));
    // The upstream holds the rest back for ever: what comes, comes at once.
    let mut read = 0;
    while read < 50_000 {
        read += tokio::time::timeout(PATIENCE, response.chunk()).await.unwrap().unwrap().unwrap().len();
    }
    let log = script.log();
    assert!(log.iter().all(|arrival| arrival.target == "/orders?page=2" && arrival.body_size == 5000), "{log:?}");
    assert_eq!(log.len(), 2);
    serving.abort();
}
