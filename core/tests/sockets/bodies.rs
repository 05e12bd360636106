//! Buffered response bodies: broken ones are failures of their own, whole ones arrive as the server meant them.

use reknock::{ErrorKind, Evidence, StopReason};
use serde_json::{Value as Json, json};

use super::harness::*;

async fn get(script: Json, rules: &str) -> (Peer, Outcome) {
    let peer = peer(script).await;
    let outcome = patient(client(&peer, rules).get(peer.url()).send()).await;
    honest(&peer, &outcome).await;
    (peer, outcome)
}

fn broken() -> Vec<(Json, &'static str)> {
    let body = |more: Json| {
        let mut outcome = json!({"do": "status", "status": 200, "body_size": 5000});
        outcome.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        outcome
    };
    vec![
        (body(json!({"body_mode": "truncate-fin"})), "{}"),
        (body(json!({"body_mode": "truncate-reset"})), "{}"),
        (body(json!({"body_mode": "truncate-fin", "chunked": true})), "{}"),
        (body(json!({"body_mode": "stall"})), "idle_timeout: 100ms"),
        (body(json!({"content_length": 6000})), "{}"),
        (body(json!({"encoding": "gzip", "gzip_corrupt": true})), "{}"),
        (body(json!({"encoding": "gzip", "gzip_corrupt": "short"})), "{}"),
        (body(json!({"encoding": "br", "body_mode": "truncate-fin", "after": 3})), "{}"),
        (json!({"do": "status", "status": 200, "headers": [["content-encoding", "gzip"]], "body": "this is no gzip"}), "{}"),
        (json!({"do": "status", "status": 200, "headers": [["content-encoding", "zstd"]], "body": "this is no zstd"}), "{}"),
    ]
}

#[tokio::test]
async fn broken_bodies_are_retried_and_keep_their_status() {
    for (outcome, rules) in broken() {
        let (_, result) = get(json!([outcome]), rules).await;
        let error = result.as_ref().expect_err(&outcome.to_string());
        assert_eq!((error.kind(), error.status()), (ErrorKind::Body, Some(200)), "{outcome}: {error}");
        let (records, reason) = told(&result);
        assert_eq!((records.len(), reason), (3, StopReason::RetriesExhausted), "{outcome}");
        assert!(records.iter().all(|r| (r.status, r.error, r.evidence) == (Some(200), Some(ErrorKind::Body), Evidence::Unknown)));

        let whole = json!({"do": "status", "status": 200, "body": "whole"});
        let (_, result) = get(json!([outcome, whole]), rules).await;
        assert_eq!((result.as_ref().unwrap().text().as_ref(), told(&result).0.len()), ("whole", 2), "{outcome}");
    }
}

#[tokio::test]
async fn a_broken_body_of_a_last_answer_is_the_error() {
    // A 404 is the caller's answer, so its body matters; a 503 that was retried in vain keeps its reason.
    for (status, attempts, reason) in [(404, 3, StopReason::RetriesExhausted), (503, 3, StopReason::RetriesExhausted)] {
        let cut = json!({"do": "status", "status": status, "body_size": 100, "body_mode": "truncate-fin"});
        let (_, outcome) = get(json!([cut]), "{}").await;
        assert_eq!((outcome.as_ref().unwrap_err().status(), seen(&outcome)), (Some(status), Err(ErrorKind::Body)));
        assert_eq!((told(&outcome).0.len(), told(&outcome).1), (attempts, reason));
    }
    let (_, outcome) =
        get(json!([{"do": "status", "status": 200, "body_size": 100, "body_mode": "truncate-fin"}]), "retry_on: [reset]").await;
    assert_eq!((seen(&outcome), told(&outcome).1), (Err(ErrorKind::Body), StopReason::NotRetryable));
}

#[tokio::test]
async fn too_large_a_body_ends_the_call() {
    for outcome in [
        json!({"do": "status", "status": 200, "body_size": 100_001}),
        json!({"do": "status", "status": 200, "body_size": 100_001, "chunked": true}),
        json!({"do": "status", "status": 200, "body_size": 50_000_000, "fill": "zeros", "encoding": "gzip"}),
    ] {
        let peer = peer(json!([outcome])).await;
        let client = builder(&peer, "{}").max_response_size(100_000).build().unwrap();
        let result = patient(client.get(peer.url()).send()).await;
        assert_eq!((seen(&result), told(&result).1), (Err(ErrorKind::ResponseTooLarge), StopReason::NotRetryable), "{outcome}");
        assert_eq!(result.as_ref().unwrap_err().status(), Some(200));
        honest(&peer, &result).await;
        eventually(&peer, "the rest is not read", || peer.open_connections() == 0).await;
    }
    let peer = peer(json!([{"do": "status", "status": 200, "body_size": 100_000}])).await;
    let client = builder(&peer, "{}").max_response_size(100_000).build().unwrap();
    assert_eq!(patient(client.get(peer.url()).send()).await.unwrap().bytes().len(), 100_000);
}

#[tokio::test]
async fn codings_are_undone() {
    let plain: Vec<u8> = (0..200_000_usize).map(|index| (index % 65536 % 251) as u8).collect();
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        for chunked in [false, true] {
            let answer = json!({"do": "status", "status": 200, "body_size": 200_000, "encoding": encoding, "chunked": chunked});
            let (_, outcome) = get(json!([answer]), "{}").await;
            let response = outcome.unwrap();
            assert!(response.bytes() == &plain, "{encoding}");
            assert_eq!((response.header("content-encoding"), response.header("content-length")), (None, None));
        }
    }
    let (_, outcome) =
        get(json!([{"do": "status", "status": 200, "body_size": 200_000, "drip": {"bytes": 50_000, "every": "1ms"}}]), "{}").await;
    assert!(outcome.unwrap().bytes() == &plain);
}

#[tokio::test]
async fn responses_without_a_body() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)] {
        let answer = json!({"do": "status", "status": status, "content_length": 10});
        let peer = peer(json!([answer])).await;
        let client = client(&peer, "{}");
        for _ in 0..2 {
            let response = patient(client.request(method, peer.url()).send()).await.unwrap();
            assert_eq!((response.status(), response.bytes().len(), response.attempts().len()), (status, 0, 1), "{method}");
        }
        assert_eq!(peer.connections(), 1, "{method} {status} keeps its connection");
    }
    let (_, outcome) = get(json!([{"do": "status", "status": 200, "no_length": true, "body": "to the close"}]), "{}").await;
    assert_eq!(outcome.unwrap().text(), "to the close");
}

#[tokio::test]
async fn interim_responses_are_passed_over() {
    let (_, outcome) = get(json!([{"do": "status", "status": 200, "interim": [103, 102, 103], "body": "ok"}]), "{}").await;
    assert_eq!((outcome.as_ref().unwrap().text().as_ref(), told(&outcome).0.len()), ("ok", 1));
    let (_, outcome) =
        get(json!([{"do": "status", "status": 200, "interim_endless": true, "delay": "0ms"}]), "{max_retries: 0, per_try_timeout: 100ms}")
            .await;
    assert!(matches!(seen(&outcome), Err(ErrorKind::PerTryTimeout | ErrorKind::Protocol) | Ok(200)), "{outcome:?}");
}

#[tokio::test]
async fn large_heads() {
    let value = "v".repeat(65_536);
    let (_, outcome) = get(json!([{"do": "status", "status": 200, "headers": [["x-large", value]]}]), "{}").await;
    assert_eq!(outcome.unwrap().header("x-large").map(str::len), Some(65_536));

    let peer = peer(json!([{"do": "status", "status": 503}, {"do": "status", "status": 200}])).await;
    let outcome = patient(client(&peer, "{}").get(peer.url()).header("x-large", &value).send()).await;
    assert_eq!((seen(&outcome), told(&outcome).0.len()), (Ok(200), 2));
    let log = honest(&peer, &outcome).await;
    assert_eq!(log[1].header("x-large").map(str::len), Some(65_536));
}
