//! I6: a POST reaches the server twice only if the server cannot have executed it.

use reknock::client::{Client, Http2};
use reknock::{Evidence, StopReason};
use serde_json::{Value as Json, json};

use super::harness::*;

/// What the peer does first, what one needs to see it, and whether a POST may be repeated after it.
fn table() -> Vec<(Json, &'static str, Http2, bool)> {
    let auto = |outcome: Json, repeated: bool| (json!([outcome, {"do": "echo"}]), "{}", Http2::Auto, repeated);
    let tls = |fault: &str, repeated: bool| {
        (json!({"tls": "trusted", "script": [{"do": fault}, {"do": "echo"}], "http2": false}), "{}", Http2::Auto, repeated)
    };
    let h2 = |outcome: Json, repeated: bool| (json!({"http2": true, "script": [outcome, {"do": "echo"}]}), "{}", Http2::Only, repeated);
    let mut rows: Vec<_> = [408, 500, 502, 503, 504].map(|status| auto(json!({"do": "status", "status": status}), false)).into();
    rows.extend([425, 429].map(|status| auto(json!({"do": "status", "status": status}), true)));
    rows.extend([
        auto(json!({"do": "reset"}), false),
        auto(json!({"do": "close"}), false),
        auto(json!({"do": "partial-head"}), false),
        auto(json!({"do": "garbage"}), false),
        auto(json!({"do": "bad-head", "kind": "status"}), false),
        auto(json!({"do": "reset-mid-upload"}), false),
        auto(json!({"do": "status", "status": 503, "read_body": false, "close": true}), false),
        auto(json!({"do": "status", "status": 200, "body_size": 1000, "body_mode": "truncate-fin"}), false),
        auto(json!({"do": "status", "status": 200, "body_size": 1000, "body_mode": "truncate-reset"}), false),
        auto(json!({"do": "status", "status": 200, "body_size": 1000, "encoding": "gzip", "gzip_corrupt": true}), false),
        (json!([{"do": "hang"}, {"do": "echo"}]), "per_try_timeout: 80ms", Http2::Auto, false),
        (json!([{"do": "stop-reading"}, {"do": "echo"}]), "{idle_timeout: 80ms, per_try_timeout: 80ms}", Http2::Auto, false),
        (
            json!([{"do": "status", "status": 200, "body_size": 1000, "body_mode": "stall"}, {"do": "echo"}]),
            "idle_timeout: 80ms",
            Http2::Auto,
            false,
        ),
        tls("tls-reset", true),
        tls("tls-close", true),
        h2(json!({"do": "h2-rst", "code": 7}), true),
        h2(json!({"do": "h2-rst", "code": 2}), false),
        h2(json!({"do": "h2-rst", "code": 8}), false),
        h2(json!({"do": "h2-goaway", "code": 0, "last": 0}), true),
        h2(json!({"do": "h2-goaway", "code": 11, "last": 0}), true),
        h2(json!({"do": "h2-close"}), false),
        h2(json!({"do": "h2-body-rst"}), false),
        h2(json!({"do": "status", "status": 503}), false),
        h2(json!({"do": "status", "status": 429}), true),
    ]);
    rows
}

#[tokio::test]
async fn never_twice_unless_the_evidence_allows() {
    for (script, rules, http2, repeated) in table() {
        let peer = peer(script.clone()).await;
        let client = Client::on(options(&peer, http2)).policy(policy(rules)).build().unwrap();
        let outcome = patient(client.post(peer.url()).body("order 1").send()).await;
        let (records, reason) = told(&outcome);
        assert_eq!(records.len(), if repeated { 2 } else { 1 }, "{script}: {outcome:?}");
        if repeated {
            assert!(records[0].evidence != Evidence::Unknown && seen(&outcome) == Ok(200), "{script}: {outcome:?}");
        } else {
            assert_eq!((records[0].evidence, reason), (Evidence::Unknown, StopReason::NotIdempotent), "{script}: {outcome:?}");
        }
        honest(&peer, &outcome).await;
    }
}

/// Where the peer closes before it reads, the evidence is a race; the server executes nothing twice in any case.
#[tokio::test]
async fn peers_that_close_at_accept() {
    for fault in
        [json!({"do": "accept-reset"}), json!({"do": "accept-close"}), json!({"do": "banner", "text": "HELO\r\n\r\n", "end": "fin"})]
    {
        for _ in 0..5 {
            let peer = peer(json!([fault, {"do": "echo"}])).await;
            let outcome = patient(client(&peer, "{}").post(peer.url()).body("order 1").send()).await;
            let (records, reason) = told(&outcome);
            match records[0].evidence {
                Evidence::Unknown => assert_eq!((records.len(), reason), (1, StopReason::NotIdempotent)),
                _ => assert_eq!((records.len(), seen(&outcome)), (2, Ok(200))),
            }
            assert!(peer.log().len() <= 1);
            honest_at_most(&peer, &outcome);
        }
    }
}

/// Refused and full ports end by hand: nobody sees those attempts.
#[tokio::test]
async fn ports_that_nobody_serves() {
    for (state, kind) in [("refused", reknock::ErrorKind::Connect), ("connect-timeout", reknock::ErrorKind::ConnectTimeout)] {
        let peer = peer(json!([{"do": state}, {"do": "echo"}])).await;
        let client = client(&peer, "connect_timeout: 60ms");
        let outcome = patient(client.post(peer.url()).body("order 1").send()).await;
        assert_eq!((seen(&outcome), told(&outcome).0.len()), (Err(kind), 3));
        honest(&peer, &outcome).await;
        peer.advance().await;
        assert_eq!(seen(&patient(client.post(peer.url()).body("order 1").send()).await), Ok(200));
        assert_eq!(peer.log().len(), 1);
    }
}

#[tokio::test]
async fn a_key_or_the_policy_makes_it_repeatable() {
    for (rules, key, sends) in [
        ("{}", None, 1),
        ("{}", Some("k1"), 3),
        ("methods: any", None, 3),
        ("idempotency_key: auto", None, 3),
        ("idempotency_key: none", Some("k1"), 1),
    ] {
        let peer = peer(json!([{"do": "reset"}])).await;
        let client = client(&peer, rules);
        let mut request = client.post(peer.url()).body("order 1");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let outcome = patient(request.send()).await;
        let log = honest(&peer, &outcome).await;
        assert_eq!(log.len(), sends, "{rules}");
        assert_eq!(log[0].header("idempotency-key").is_some(), key.is_some() || rules.contains("auto"));
    }
}
