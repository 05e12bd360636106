//! What goes out: the same request on every attempt.

use reknock::client::Request;
use serde_json::json;

use super::harness::*;

#[tokio::test]
async fn every_method_is_sent_alike_each_time() {
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "QUERY", "POST", "PATCH", "x-Custom"] {
        let peer = peer(json!([{"do": "status", "status": 429}, {"do": "reset"}, {"do": "status", "status": 200}])).await;
        let client = builder(&peer, "methods: any").header("x-default", "d").build().unwrap();
        let mut request = client.request(method, &format!("{}/p?a=1&b=%20", peer.url())).header("x-two", "1").header("x-two", "2");
        if matches!(method, "PUT" | "POST" | "PATCH" | "QUERY") {
            request = request.body(vec![b'z'; 300_000]);
        }
        let outcome = patient(request.send()).await;
        assert_eq!((seen(&outcome), told(&outcome).0.len()), (Ok(200), 3), "{method}");
        let log = honest(&peer, &outcome).await;
        assert!(log.iter().all(|arrival| arrival.body_complete && arrival.method == method && arrival.target == "/p?a=1&b=%20"));
        assert_eq!(log[2].headers.iter().filter(|(name, _)| name == "x-two").count(), 2);
        assert_eq!(log[2].header("x-default"), Some("d"));
    }
}

#[tokio::test]
async fn the_attempt_header_counts() {
    let peer = peer(json!([{"do": "status", "status": 503}])).await;
    let outcome = patient(client(&peer, "attempt_header: x-attempt").get(peer.url()).send()).await;
    assert_eq!(seen(&outcome), Ok(503));
    let log = peer.log();
    assert_eq!(log.iter().map(|arrival| arrival.header("x-attempt")).collect::<Vec<_>>(), [None, Some("2"), Some("3")]);
}

#[tokio::test]
async fn no_retries_at_all() {
    for outcome in [json!({"do": "status", "status": 503}), json!({"do": "reset"})] {
        let peer = peer(json!([outcome])).await;
        let result = patient(client(&peer, "max_retries: 0").get(peer.url()).send()).await;
        assert_eq!((told(&result).0.len(), told(&result).1), (1, reknock::StopReason::RetriesExhausted));
        honest(&peer, &result).await;
    }
}

#[tokio::test]
async fn a_requests_own_header_replaces_the_clients() {
    let peer = peer(json!([{"do": "echo"}])).await;
    let client = builder(&peer, "{}").header("x-default", "client").header("user-agent", "mine").build().unwrap();
    let outcome = patient(client.get(peer.url()).header("x-default", "own").send()).await;
    let log = honest(&peer, &outcome).await;
    let lines = |name: &str| log[0].headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect::<Vec<_>>();
    assert_eq!((lines("x-default"), lines("user-agent")), (vec!["own".to_owned()], vec!["mine".to_owned()]));
}

/// Methods are case-sensitive, and nobody means one of these to be another than itself.
#[test]
fn standard_methods_may_be_written_in_any_case() {
    for (given, method) in
        [("get", "GET"), ("Post", "POST"), ("patch", "PATCH"), ("oPTIONS", "OPTIONS"), ("x-get", "x-get"), ("query", "query")]
    {
        assert_eq!(Request::new(given, "http://127.0.0.1/").unwrap().method(), method);
    }
}

#[tokio::test]
async fn the_words_of_a_status_are_the_servers() {
    for (outcome, reason) in [
        (json!({"do": "status", "status": 200}), "OK"),
        (json!({"do": "status", "status": 404, "reason": "Gone Fishing"}), "Gone Fishing"),
        (json!({"do": "status", "status": 299, "reason": "So So"}), "So So"),
        (json!({"do": "status", "status": 200, "reason": ""}), ""),
        (json!({"do": "status", "status": 299}), ""),
    ] {
        let peer = peer(json!([outcome])).await;
        let response = patient(client(&peer, "{}").get(peer.url()).send()).await.unwrap();
        assert_eq!(response.reason(), reason, "{outcome}");
    }
    // HTTP/2 has none: the usual ones.
    let peer = peer(json!({"tls": "trusted", "http2": true, "script": [{"do": "status", "status": 404}]})).await;
    assert_eq!(patient(client(&peer, "{}").get(peer.url()).send()).await.unwrap().reason(), "Not Found");
}
