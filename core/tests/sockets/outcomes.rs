//! Every outcome of a buffered call: kind, evidence, stop reason, number of attempts and arrivals.

use reknock::Error;
use reknock::ErrorKind::{self, Body, Connect, ConnectTimeout, PerTryTimeout, Protocol, RefusedStream, Reset, Tls};
use reknock::Evidence::{self, NotSent, Refused, Unknown};
use reknock::StopReason::{self, BudgetExhausted, Completed, NotRetryable, RetriesExhausted, RetryAfterTooLong};
use reknock::client::{Client, Http2};
use serde_json::{Value as Json, json};

use super::harness::*;

/// A GET against a peer that always does the same, with two retries.
struct Case {
    name: &'static str,
    script: Json,
    policy: &'static str,
    http2: Http2,
}

fn case(name: &'static str, script: Json) -> Case {
    Case { name, script, policy: "{}", http2: Http2::Auto }
}

impl Case {
    fn policy(self, policy: &'static str) -> Self {
        Case { policy, ..self }
    }

    fn http2(self) -> Self {
        Case { http2: Http2::Only, ..self }
    }

    async fn run(&self) -> (Peer, Outcome) {
        let peer = peer(self.script.clone()).await;
        let client = Client::on(options(&peer, self.http2)).policy(policy(self.policy)).build().unwrap();
        let outcome = patient(client.get(&format!("{}/?secret=hunter2", peer.url())).send()).await;
        (peer, outcome)
    }

    /// Fails with this kind; every attempt had it, with this evidence.
    async fn fails(&self, kind: ErrorKind, evidence: Evidence, reason: StopReason, attempts: usize) -> Failed {
        let (peer, outcome) = self.run().await;
        let (records, stopped) = told(&outcome);
        assert_eq!((seen(&outcome), stopped, records.len()), (Err(kind), reason, attempts), "{}: {outcome:?}", self.name);
        for record in records {
            assert_eq!((record.error, record.evidence), (Some(kind), evidence), "{}", self.name);
        }
        honest(&peer, &outcome).await;
        Failed { peer, error: outcome.unwrap_err() }
    }
}

struct Failed {
    peer: Peer,
    error: Error,
}

fn always(outcome: Json) -> Json {
    json!([outcome])
}

#[tokio::test]
async fn success_after_a_503_and_a_reset() {
    let peer = peer(json!([{"do": "status", "status": 503, "body": "busy"}, {"do": "reset"}, {"do": "echo"}])).await;
    let client = client(&peer, "{}");
    let outcome = patient(client.put(&format!("{}/path?q=1", peer.url())).header("x-tag", "a b").body("the body").send()).await;
    let response = outcome.as_ref().unwrap();
    assert_eq!((response.status(), response.stop_reason()), (200, Completed));
    let echo: Json = response.json().unwrap();
    assert_eq!((&echo["method"], &echo["target"], &echo["body"]), (&json!("PUT"), &json!("/path?q=1"), &json!("the body")));
    let log = honest(&peer, &outcome).await;
    assert_eq!(log.iter().map(|arrival| arrival.did.as_str()).collect::<Vec<_>>(), ["status 503", "reset", "echo"]);
    assert!(log.iter().all(|arrival| arrival.body_complete && arrival.header("x-tag") == Some("a b")));
    assert_eq!(peer.connections(), 2, "the 503 kept its connection, the reset did not");
}

#[tokio::test]
async fn nothing_was_sent() {
    case("refused", always(json!({"do": "refused"}))).fails(Connect, NotSent, RetriesExhausted, 3).await;
    let full = case("backlog full", always(json!({"do": "connect-timeout"}))).policy("connect_timeout: 60ms");
    full.fails(ConnectTimeout, NotSent, RetriesExhausted, 3).await;
    for tls in ["self-signed", "wrong-host", "expired"] {
        case(tls, json!({"tls": tls, "script": [{"do": "echo"}]})).fails(Tls, NotSent, NotRetryable, 1).await;
    }
    let retried = case("tls, asked for", json!({"tls": "expired", "script": [{"do": "echo"}]})).policy("retry_on: tls");
    retried.fails(Tls, NotSent, RetriesExhausted, 3).await;
    for (fault, kind, reason, attempts) in
        [("tls-alert", Tls, NotRetryable, 1), ("tls-reset", Connect, RetriesExhausted, 3), ("tls-close", Connect, RetriesExhausted, 3)]
    {
        case(fault, json!({"tls": "trusted", "script": [{"do": fault}]})).fails(kind, NotSent, reason, attempts).await;
    }
    let silent = case("tls-stall", json!({"tls": "trusted", "script": [{"do": "tls-stall"}]})).policy("connect_timeout: 60ms");
    silent.fails(ConnectTimeout, NotSent, RetriesExhausted, 3).await;
}

/// The peer closes without reading: whether the request was written by then is a race, and the evidence says what came of it.
#[tokio::test]
async fn closed_at_accept() {
    for fault in ["accept-reset", "accept-close"] {
        let (peer, outcome) = case(fault, always(json!({"do": fault}))).run().await;
        let (records, reason) = told(&outcome);
        assert_eq!((reason, records.len()), (RetriesExhausted, 3));
        assert!(
            records
                .iter()
                .all(|record| matches!((record.error, record.evidence), (Some(Connect), NotSent) | (Some(Reset), NotSent | Unknown)))
        );
        honest_at_most(&peer, &outcome);
    }
    let banner = json!({"do": "banner", "text": "220 mail.test ESMTP\r\n"});
    let (peer, outcome) = case("banner", always(banner)).policy("per_try_timeout: 5s").run().await;
    assert_eq!(told(&outcome).1, RetriesExhausted);
    assert!(matches!(seen(&outcome), Err(Connect | Reset | Protocol)), "{outcome:?}");
    honest_at_most(&peer, &outcome);
}

#[tokio::test]
async fn no_head_came() {
    for fault in
        [json!({"do": "reset"}), json!({"do": "close"}), json!({"do": "partial-head"}), json!({"do": "partial-head", "end": "reset"})]
    {
        case("cut", always(fault)).fails(Reset, Unknown, RetriesExhausted, 3).await;
    }
    for kind in ["version", "header", "two-lengths", "status"] {
        case(kind, always(json!({"do": "bad-head", "kind": kind}))).fails(Protocol, Unknown, RetriesExhausted, 3).await;
    }
    case("garbage", always(json!({"do": "garbage"}))).fails(Protocol, Unknown, RetriesExhausted, 3).await;
    let (_, outcome) = case("many lines", always(json!({"do": "big-head", "lines": 200}))).run().await;
    assert_eq!(seen(&outcome), Ok(200), "heads are bounded by their size alone");
    case("too long a line", always(json!({"do": "big-head", "size": 3_000_000}))).fails(Protocol, Unknown, RetriesExhausted, 3).await;
    let over_tls = json!({"tls": "trusted", "script": [{"do": "close", "close_notify": false}]});
    case("TLS cut", over_tls).fails(Reset, Unknown, RetriesExhausted, 3).await;
    for silent in [json!({"do": "hang"}), json!({"do": "partial-head", "end": "stall"})] {
        let failed =
            case("silent", always(silent)).policy("per_try_timeout: 80ms").fails(PerTryTimeout, Unknown, RetriesExhausted, 3).await;
        eventually(&failed.peer, "an attempt that is given up closes its connection", || failed.peer.open_connections() == 0).await;
    }
}

#[tokio::test]
async fn http2() {
    let refused = case("REFUSED_STREAM", always(json!({"do": "h2-rst"}))).http2();
    let Failed { peer, .. } = refused.fails(RefusedStream, Refused, RetriesExhausted, 3).await;
    assert_eq!(peer.connections(), 1, "a refused stream is no reason for a new connection");
    case("INTERNAL_ERROR", always(json!({"do": "h2-rst", "code": 2}))).http2().fails(Reset, Unknown, RetriesExhausted, 3).await;
    case("closed", always(json!({"do": "h2-close"}))).http2().fails(Reset, Unknown, RetriesExhausted, 3).await;
    case("GOAWAY", always(json!({"do": "h2-goaway"}))).http2().fails(RefusedStream, Refused, RetriesExhausted, 3).await;
    case("GOAWAY 11", always(json!({"do": "h2-goaway", "code": 11}))).http2().fails(RefusedStream, Refused, RetriesExhausted, 3).await;
    let silent = case("hang", always(json!({"do": "h2-hang"}))).http2().policy("per_try_timeout: 80ms");
    let Failed { peer, .. } = silent.fails(PerTryTimeout, Unknown, RetriesExhausted, 3).await;
    assert!(peer.connections() <= 3, "what was silent is given nothing new before it has shown that it is alive");
    case("body", always(json!({"do": "h2-body-rst"}))).http2().fails(Body, Unknown, RetriesExhausted, 3).await;

    let negotiated = peer_over_alpn().await;
    let outcome = patient(client(&negotiated, "{}").get(negotiated.url()).send()).await;
    assert_eq!((seen(&outcome), told(&outcome).0.len()), (Ok(200), 2));
    assert!(honest(&negotiated, &outcome).await.iter().all(|arrival| arrival.version == "2"));
}

async fn peer_over_alpn() -> Peer {
    peer(json!({"tls": "trusted", "script": [{"do": "h2-rst"}, {"do": "echo"}]})).await
}

#[tokio::test]
async fn the_deadline() {
    let hang = case("in an attempt", always(json!({"do": "hang"}))).policy("timeout: 300ms");
    let failed = hang.fails(ErrorKind::Deadline, Unknown, StopReason::Deadline, 1).await;
    let text = failed.error.to_string();
    assert!(text.contains(": the call did not end within timeout (300ms) after 1 attempt in "), "{text}");
    assert!(text.ends_with(" (deadline); raise timeout to allow more"), "{text}");

    let stall = json!({"do": "status", "status": 200, "body_size": 4000, "body_mode": "stall"});
    let body = case("in a body", always(stall)).policy("timeout: 300ms");
    let failed = body.fails(ErrorKind::Deadline, Unknown, StopReason::Deadline, 1).await;
    assert_eq!(failed.error.status(), Some(200));

    let connect = case("in a connect", always(json!({"do": "connect-timeout"}))).policy("timeout: 100ms");
    connect.fails(ErrorKind::Deadline, NotSent, StopReason::Deadline, 1).await;

    // A wait that does not fit is not begun: the answer in hand is the caller's.
    let (peer, outcome) =
        case("in a wait", always(json!({"do": "status", "status": 503}))).policy("{timeout: 20s, backoff: 20s}").run().await;
    assert_eq!((seen(&outcome), told(&outcome).1, told(&outcome).0.len()), (Ok(503), StopReason::Deadline, 1));
    honest(&peer, &outcome).await;
}

#[tokio::test]
async fn responses_reach_the_caller_as_they_are() {
    for (status, reason, attempts) in [
        (200, Completed, 1),
        (204, Completed, 1),
        (302, Completed, 1),
        (404, NotRetryable, 1),
        (501, NotRetryable, 1),
        (599, NotRetryable, 1),
        (408, RetriesExhausted, 3),
        (429, RetriesExhausted, 3),
        (500, RetriesExhausted, 3),
        (504, RetriesExhausted, 3),
    ] {
        let answer = json!({"do": "status", "status": status, "headers": [["x-mark", "kept"], ["x-mark", "twice"]], "body": "said"});
        let (peer, outcome) = case("a status", always(answer)).run().await;
        let response = outcome.as_ref().unwrap();
        assert_eq!((response.status(), response.stop_reason(), response.attempts().len()), (status, reason, attempts));
        assert_eq!(response.headers().get_all("x-mark").iter().collect::<Vec<_>>(), ["kept", "twice"]);
        assert_eq!(response.text(), if status == 204 { "" } else { "said" });
        honest(&peer, &outcome).await;
    }
}

#[tokio::test]
async fn hints() {
    let asks = |value: &str| json!([{"do": "status", "status": 503, "headers": [["retry-after", value]]}, {"do": "echo"}]);
    for value in ["100000000000000000000", "61", "$date+3600"] {
        let (peer, outcome) = case("too long", asks(value)).run().await;
        assert_eq!((seen(&outcome), told(&outcome).1, told(&outcome).0.len()), (Ok(503), RetryAfterTooLong, 1), "{value}");
        assert!(told(&outcome).0[0].hint.is_some());
        honest(&peer, &outcome).await;
    }
    let (peer, outcome) = case("beyond the deadline", asks("100000000000000000000")).policy("retry_after: {max: none}").run().await;
    assert_eq!((seen(&outcome), told(&outcome).1), (Ok(503), StopReason::Deadline));
    honest(&peer, &outcome).await;
    for value in ["0", "0.001", "soon", "-1", "$date-5", "", "1e3"] {
        let (peer, outcome) = case("short or none", asks(value)).run().await;
        assert_eq!((seen(&outcome), told(&outcome).0.len()), (Ok(200), 2), "{value}");
        honest(&peer, &outcome).await;
    }
}

#[tokio::test]
async fn the_budget_refuses() {
    let peer = peer(always(json!({"do": "status", "status": 503}))).await;
    let client = client(&peer, "budget: {ratio: 0.5, min_per_second: 0, deposit_on: call}");
    let mut attempts = Vec::new();
    for _ in 0..4 {
        let outcome = patient(client.get(peer.url()).send()).await;
        attempts.push(told(&outcome).0.len());
        assert_eq!((seen(&outcome), told(&outcome).1), (Ok(503), BudgetExhausted));
    }
    assert_eq!(attempts, [1, 2, 1, 2]);
    assert_eq!(peer.log().len(), 6);
    let reading = client.budget(peer.url()).unwrap();
    assert_eq!((reading.balance, reading.deposits, reading.withdrawals, reading.refusals), (0, 4, 2, 4));
}

/// A proxy that demands credentials will not change its mind, whatever the policy says.
#[tokio::test]
async fn a_proxy_that_demands_authentication() {
    for (status, attempts, reason) in [(407, 1, NotRetryable), (502, 3, RetriesExhausted)] {
        let proxy = peer(always(json!({"do": "status", "status": status}))).await;
        let mut options = options(&proxy, Http2::Auto);
        options.proxy = reknock::client::Proxy::Url(format!("http://user:hunter2@127.0.0.1:{}", proxy.port()));
        let client = Client::on(options).policy(policy("retry_on: [5xx, connect-failure, tls]")).build().unwrap();
        let outcome = patient(client.get("https://target.test/?secret=hunter2").send()).await;
        let (records, stopped) = told(&outcome);
        assert_eq!((seen(&outcome), records.len(), stopped), (Err(Connect), attempts, reason), "{outcome:?}");
        assert!(records.iter().all(|record| record.evidence == NotSent));
        assert_eq!(proxy.log().iter().filter(|arrival| arrival.method == "CONNECT").count(), attempts);
        assert!(!format!("{outcome:?}").contains("hunter2"));
        let explained = outcome.unwrap_err().explain();
        assert_eq!(explained.contains("a proxy that demands authentication is never retried"), reason == NotRetryable, "{explained}");
    }
}
