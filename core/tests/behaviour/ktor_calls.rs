//! Ktor's own tests that need a server, or somebody who cancels.

use std::sync::atomic::{AtomicU32, Ordering};

use reknock::client::{Attempt, Cancel, Redirects};
use reknock_test_server::Script;
use serde_json::json;

use super::*;
use crate::live::{Peer, options, patient, peer};

fn functions(text: &str) -> Policy {
    let policy = read(&format!("{{\"HttpRequestRetry\": {text}}}"));
    policy.merge(&Value::from([("backoff", "none")])).unwrap()
}

async fn get(peer: &Peer, policy: Policy) -> Result<Response, Error> {
    let client = Client::on(options(None)).policy(policy).build().unwrap();
    patient(client.get(peer.url()).send()).await
}

fn arrived(script: &Script) -> usize {
    script.log().len()
}

#[tokio::test]
async fn one_that_is_cancelled_is_not_retried() {
    let peer = peer(json!([{"do": "hang"}])).await;
    let client = Client::on(options(None)).policy(functions("true")).build().unwrap();
    let cancel = Cancel::new();
    let call = client.get(peer.url()).cancel(&cancel).send();
    let stop = async {
        crate::live::eventually(&peer, "the request", || arrived(&peer) == 1).await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(patient(call), stop);
    assert_eq!((result.unwrap_err().kind(), arrived(&peer)), (ErrorKind::Cancelled, 1));
}

/// An exception predicate that always says yes: no exception, no retry, whatever the status.
#[tokio::test]
async fn an_answer_without_a_body_is_no_exception() {
    let peer = peer(json!([{"do": "status", "status": 401}])).await;
    let client = Client::on(options(None)).policy(functions(r#"{"maxRetries": 1}"#)).build().unwrap();
    let call = client.get(peer.url()).retry_if(|attempt: &Attempt| attempt.error.map(|_| true));
    let response = patient(call.send()).await.unwrap();
    assert_eq!((response.status(), response.bytes().len(), arrived(&peer)), (401, 0, 1));
}

#[tokio::test]
async fn a_compressed_answer_of_two_mebibytes_is_read_whole() {
    let peer = peer(json!([{"do": "status", "status": 200, "body_size": 2 << 20, "encoding": "gzip"}])).await;
    let response = get(&peer, functions(r#"{"noRetry": true}"#)).await.unwrap();
    assert_eq!((response.status(), response.bytes().len()), (200, 2 << 20));
}

/// Retries and redirects have limits of their own.
#[tokio::test]
async fn redirects_do_not_count_as_retries() {
    let moved = json!({"do": "redirect", "status": 302, "location": "$url/next"});
    let (bad, ok) = (json!({"do": "status", "status": 500}), json!({"do": "status", "status": 200}));
    for (what, retries, hops, script, expected) in [
        ("as many retries as there are", 5, 1, json!([bad, bad, bad, bad, bad, ok]), 6),
        ("a redirect without retries", 0, 1, json!([moved, ok]), 2),
        ("as many as the limit of redirects", 2, 2, json!([bad, bad, ok]), 3),
        ("both", 2, 1, json!([bad, moved, bad, ok]), 4),
    ] {
        let peer = peer(script).await;
        let policy = functions(&format!(r#"{{"maxRetries": {retries}}}"#));
        let rules = Redirects { max: hops, ..Redirects::default() };
        let client = Client::on(options(None)).policy(policy).redirects(rules).build().unwrap();
        let response = patient(client.get(peer.url()).send()).await.unwrap();
        assert_eq!((response.status(), arrived(&peer)), (200, expected), "{what}");
    }
}

#[tokio::test]
async fn a_chunked_answer_that_is_cut_is_asked_for_again() {
    let cut = json!({"do": "status", "status": 200, "body_size": 1000, "chunked": true, "body_mode": "truncate-fin", "after": 990});
    let peer = peer(json!([cut, cut, {"do": "status", "status": 200, "body_size": 1000, "chunked": true}])).await;
    let response = get(&peer, functions("true")).await.unwrap();
    assert_eq!((response.status(), response.bytes().len(), arrived(&peer)), (200, 1000, 3));
}

/// Ktor calls nothing once the limit is reached, and a limit as large as its type overflows nothing.
#[tokio::test]
async fn predicates_are_asked_while_retries_are_left() {
    let asked = std::sync::Arc::new(AtomicU32::new(0));
    for (limit, answer, expected) in [(2, true, 2), (i32::MAX, false, 1)] {
        let count = std::sync::Arc::clone(&asked);
        let peer = peer(json!([{"do": "status", "status": 200}])).await;
        let client = Client::on(options(None)).policy(functions(&format!(r#"{{"maxRetries": {limit}}}"#))).build().unwrap();
        let call = client.get(peer.url()).retry_if(move |_: &Attempt| {
            count.fetch_add(1, Ordering::SeqCst);
            answer
        });
        assert_eq!(patient(call.send()).await.unwrap().status(), 200);
        assert_eq!(asked.swap(0, Ordering::SeqCst), expected);
    }
}
