//! Ballerina's own tests that need a server: bodies that are sent again whole.

use reknock::client::{Body, Multipart};
use serde_json::{Value as Json, json};

use super::*;
use crate::live::{options, patient, peer};

/// Three answers that stall, and an echo: with times of milliseconds for Ballerina's seconds.
async fn fourth_echo(prepare: impl Fn(&Client, &str) -> reknock::client::Request) -> (Json, Vec<reknock_test_server::Arrival>) {
    let stall = json!({"do": "status", "status": 200, "delay": "5s"});
    let peer = peer(json!([stall, stall, stall, {"do": "echo"}])).await;
    let policy = read("{timeout: 1, retryConfig: {interval: 0.003, count: 3, backOffFactor: 0.5}}");
    let client = Client::on(options(None)).policy(policy).build().unwrap();
    let request = prepare(&client, peer.url());
    let response = patient(client.send(request)).await.unwrap();
    assert_eq!((response.status(), response.attempts().len()), (200, 4));
    (response.json().unwrap(), peer.log())
}

fn form() -> Multipart {
    let form = Multipart::new().text("text", "Part1").unwrap();
    form.part("file", Some("a.bin"), Some("application/octet-stream"), Body::from(vec![7; 20_000])).unwrap()
}

#[tokio::test]
async fn multipart_arrives_intact_the_fourth_time() {
    let (echo, log) = fourth_echo(|client, url| client.post(url).multipart(form()).build().unwrap()).await;
    assert!(log.iter().all(|arrival| arrival.body_complete && arrival.body_sha256 == log[0].body_sha256));
    let content_type = log[3].header("content-type").unwrap();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = echo["body"].as_str().unwrap();
    assert_eq!(body.matches(&format!("--{boundary}")).count(), 3, "two parts and the end");
    assert!(body.contains("Part1") && body.contains("filename=\"a.bin\""));
}

/// A part that is a multipart body itself.
#[tokio::test]
async fn nested_multipart_arrives_intact_the_fourth_time() {
    let nested = "--inner\r\ncontent-disposition: form-data; name=\"child\"\r\n\r\nPart2\r\n--inner--\r\n";
    let (echo, log) = fourth_echo(|client, url| {
        let outer = form().part("nested", None, Some("multipart/mixed; boundary=inner"), Body::from(nested)).unwrap();
        client.post(url).multipart(outer).build().unwrap()
    })
    .await;
    assert!(log.iter().all(|arrival| arrival.body_complete && arrival.body_sha256 == log[0].body_sha256));
    assert!(echo["body"].as_str().unwrap().contains(nested));
}

/// Ballerina once broke bodies that were no bytes: any of them goes through as it is.
#[tokio::test]
async fn bodies_of_a_healthy_server_go_through() {
    let policy = read("{retryConfig: {interval: 10, count: 3}}");
    for (kind, body) in [("text/plain", "hello"), ("application/json", "[\"a\", {\"b\": 1}]"), ("application/xml", "<a><b/></a>")] {
        let peer = peer(json!([{"do": "echo"}])).await;
        let client = Client::on(options(None)).policy(policy.clone()).build().unwrap();
        let response = patient(client.post(peer.url()).header("content-type", kind).body(body).send()).await.unwrap();
        let echo: Json = response.json().unwrap();
        assert_eq!((echo["body"].as_str(), peer.log().len()), (Some(body), 1));
        assert_eq!(peer.log()[0].header("content-type"), Some(kind));
    }
}

/// Always a listed status: the last answer, with its body.
#[tokio::test]
async fn a_listed_status_is_given_back_in_the_end() {
    let peer = peer(json!([{"do": "status", "status": 502, "body": "Gateway Timed out."}])).await;
    let policy = read("{retryConfig: {statusCodes: [501, 502, 503], interval: 0.003, count: 3, backOffFactor: 2.0, maxWaitInterval: 20}}");
    let client = Client::on(options(None)).policy(policy).build().unwrap();
    let response = patient(client.post(peer.url()).json(&json!({"a": 1})).send()).await.unwrap();
    assert_eq!((response.status(), &*response.text(), peer.log().len()), (502, "Gateway Timed out.", 4));
}

/// Any verb, as often as any other; Ballerina refuses those it does not know, and retries the refusal.
#[tokio::test]
async fn verbs_of_ones_own() {
    for method in ["HEAD", "OPTIONS", "PROPFIND", "x-get"] {
        let peer = peer(json!([{"do": "reset"}, {"do": "status", "status": 200}])).await;
        let client = Client::on(options(None)).policy(read("{retryConfig: {count: 1}}")).build().unwrap();
        assert_eq!(patient(client.request(method, peer.url()).send()).await.unwrap().status(), 200);
        assert!(peer.log().iter().all(|arrival| arrival.method == method) && peer.log().len() == 2);
    }
}
