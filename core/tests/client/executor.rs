//! The executor in virtual time: what is sent when, and what the caller gets.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Scripted, Step, policy};
use reknock::client::transport::{Failure, Outgoing, Progress, Received, Transport};
use reknock::client::{Client, Clock, TokioClock};
use reknock::{Error, ErrorKind, Evidence, Policy, StopReason};
use serde_json::json;

const URL: &str = "http://server.test/path?secret=1";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn client(script: &Scripted, document: &serde_json::Value) -> Client<Scripted> {
    Client::on(script.clone()).policy(policy(document)).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn third_attempt_succeeds() {
    let script = Scripted::new([Step::status(503), Step::fail(ErrorKind::Reset), Step::status(200).body([(ms(1), Some(5))])]);
    let client = client(&script, &json!({"backoff": {"kind": "sequence", "delays": ["100ms", "1s"]}}));
    let began = TokioClock.now();
    let response = client.get(URL).send().await.unwrap();
    assert_eq!((response.status(), response.text().as_ref()), (200, "xxxxx"));
    assert_eq!(response.stop_reason(), StopReason::Completed);
    let waits: Vec<_> = script.sent().iter().map(|sent| sent.at.since(began)).collect();
    assert_eq!(waits, [ms(0), ms(100), ms(1100)]);
    let told: Vec<_> = response.attempts().iter().map(|a| (a.number, a.status, a.error, a.wait)).collect();
    assert_eq!(told, [(1, Some(503), None, Some(ms(100))), (2, None, Some(ErrorKind::Reset), Some(ms(1000))), (3, Some(200), None, None)]);
    assert_eq!(response.attempts()[2].duration, ms(1), "a buffered attempt lasts until its body is read");
}

#[tokio::test(start_paused = true)]
async fn a_post_is_not_repeated_unless_its_evidence_allows() {
    for (step, sends, reason) in [
        (Step::status(503), 1, StopReason::NotIdempotent),
        (Step::fail(ErrorKind::Reset), 1, StopReason::NotIdempotent),
        (Step::status(429), 3, StopReason::RetriesExhausted),
        (Step::fail(ErrorKind::RefusedStream), 3, StopReason::RetriesExhausted),
        (Step::refuse(ErrorKind::Connect), 0, StopReason::RetriesExhausted),
    ] {
        let script = Scripted::new([step.clone()]);
        let result = client(&script, &json!({})).post(URL).body("x").send().await;
        let (attempts, stopped) = match &result {
            Ok(response) => (response.attempts().len(), Some(response.stop_reason())),
            Err(error) => (error.attempts().len(), error.stop_reason()),
        };
        assert_eq!((script.sent().len(), stopped), (sends, Some(reason)), "{step:?}");
        assert_eq!(attempts, if sends == 1 { 1 } else { 3 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_request_headers_leave_out_is_not_retryable() {
    let rules = json!({"request_headers": [{"name": "x-safe"}], "retry_on": "5xx, truncated-body", "response_headers": ["x-again"]});
    let cut = Step::status(200).body([(ms(0), None)]);
    let wanted = Step::status(200).header("x-again", "yes");
    for (step, reason) in [
        (Step::status(503), StopReason::NotRetryable),
        (Step::refuse(ErrorKind::Connect), StopReason::NotRetryable),
        (cut, StopReason::NotRetryable),
        (wanted, StopReason::Completed),
    ] {
        for (name, sends, reason) in [("x-other", 1, reason), ("x-safe", 3, StopReason::RetriesExhausted)] {
            let script = Scripted::new([step.clone()]);
            let (attempts, stopped, explained) = match client(&script, &rules).get(URL).header(name, "yes").send().await {
                Ok(response) => (response.attempts().len(), Some(response.stop_reason()), response.explain()),
                Err(error) => (error.attempts().len(), error.stop_reason(), error.explain()),
            };
            assert_eq!((attempts, stopped), (sends, Some(reason)), "{name}: {step:?}");
            assert_eq!(explained.contains("request_headers"), reason == StopReason::NotRetryable, "{explained}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_makes_a_post_repeatable() {
    let script = Scripted::new([Step::status(503)]);
    client(&script, &json!({})).post(URL).header("idempotency-key", "k1").send().await.unwrap();
    assert_eq!(script.sent().len(), 3);

    let script = Scripted::new([Step::status(503)]);
    client(&script, &json!({"idempotency_key": "auto"})).post(URL).send().await.unwrap();
    let keys: Vec<_> = script.sent().iter().map(|sent| sent.headers["idempotency-key"].to_str().unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "one key per call: {keys:?}");
    assert_eq!((keys[0].len(), keys[0].as_bytes()[14]), (36, b'4'));

    let script = Scripted::new([Step::status(503)]);
    client(&script, &json!({"idempotency_key": "none"})).post(URL).header("idempotency-key", "k1").send().await.unwrap();
    assert_eq!(script.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn per_try_timeout_stands_still_while_connecting_and_uploading() {
    let limits = json!({"per_try_timeout": "1s", "connect_timeout": "5s", "idle_timeout": "2s", "max_retries": 0});
    let slow = Step { connect: ms(4000), upload_piece: ms(1900), head: ms(900), ..Step::status(200) };
    let response = client(&Scripted::new([slow.clone()]), &limits).put(URL).body("large").send().await.unwrap();
    assert_eq!(response.elapsed(), ms(4000 + 19_000 + 900));

    let late = Step { head: ms(1001), ..slow.clone() };
    let error = client(&Scripted::new([late]), &limits).put(URL).body("large").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PerTryTimeout);
    assert_eq!(error.attempts()[0].duration, ms(4000 + 19_000 + 1000));

    let stuck = Step { upload_piece: ms(2001), ..slow.clone() };
    let error = client(&Scripted::new([stuck]), &limits).put(URL).body("large").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Body);

    let unreachable = Step { connect: ms(5001), ..slow };
    let error = client(&Scripted::new([unreachable]), &limits).put(URL).body("large").send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()[0].evidence), (ErrorKind::ConnectTimeout, Evidence::NotSent));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_attempts_bodies_and_refuses_waits_that_do_not_fit() {
    // In an attempt.
    let script = Scripted::new([Step::status(200).head(ms(60_000))]);
    let error = client(&script, &json!({"timeout": "3s"})).get(URL).send().await.unwrap_err();
    assert_eq!((error.kind(), error.stop_reason()), (ErrorKind::Deadline, Some(StopReason::Deadline)));
    assert_eq!(error.attempts()[0].duration, ms(3000));
    assert!(error.to_string().contains("timeout (3s)"), "{error}");

    // In a body.
    let script = Scripted::new([Step::status(200).body((0..100).map(|_| (ms(1000), Some(1))))]);
    let error = client(&script, &json!({"timeout": "3s"})).get(URL).send().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Deadline, Some(200)));

    // A wait that does not fit: at once, with the answer in hand.
    let script = Scripted::new([Step::status(503)]);
    let response = client(&script, &json!({"timeout": "3s", "backoff": "3s"})).get(URL).send().await.unwrap();
    assert_eq!((response.status(), response.stop_reason(), response.elapsed()), (503, StopReason::Deadline, ms(0)));
}

#[tokio::test(start_paused = true)]
async fn a_broken_body_is_retried_and_keeps_its_status_on_the_error() {
    let cut = Step::status(200).body([(ms(0), Some(10)), (ms(0), None)]);
    let whole = Step::status(200).body([(ms(0), Some(10)), (ms(0), Some(10))]);
    let response = client(&Scripted::new([cut.clone(), whole]), &json!({})).get(URL).send().await.unwrap();
    assert_eq!((response.bytes().len(), response.attempts().len()), (20, 2));

    let error = client(&Scripted::new([cut.clone()]), &json!({})).get(URL).send().await.unwrap_err();
    assert_eq!((error.kind(), error.status(), error.attempts().len()), (ErrorKind::Body, Some(200), 3));
    assert_eq!(error.stop_reason(), Some(StopReason::RetriesExhausted));

    // A body shorter than announced, although the transport saw nothing wrong.
    let short = Step { length: Some(11), ..Step::status(200).body([(ms(0), Some(10))]) };
    let error = client(&Scripted::new([short]), &json!({"max_retries": 0})).get(URL).send().await.unwrap_err();
    let text = "GET http://server.test/path?secret=...: the body ended after 10 of the 11 bytes that content-length announced after 1 attempt in 0s \
        (retries_exhausted)";
    assert_eq!(error.to_string(), text);

    // A silent one.
    let silent = Step::status(200).body([(ms(0), Some(10)), (ms(21_000), Some(10))]);
    let error = client(&Scripted::new([silent]), &json!({"max_retries": 0})).get(URL).send().await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Body && error.to_string().contains(": no byte of the body moved within idle_timeout (20s) after 1"),
        "{error}"
    );

    // A POST is not repeated for its broken answer.
    let error = client(&Scripted::new([cut]), &json!({})).post(URL).send().await.unwrap_err();
    assert_eq!((error.attempts().len(), error.stop_reason()), (1, Some(StopReason::NotIdempotent)));
}

#[tokio::test(start_paused = true)]
async fn hints_are_obeyed_within_their_limit() {
    let script = Scripted::new([Step::status(429).header("retry-after", "7"), Step::status(200)]);
    let hints = json!({"retry_after": {"spread": 0}, "backoff": "1s"});
    let response = client(&script, &hints).get(URL).send().await.unwrap();
    assert_eq!((response.attempts()[0].hint, response.attempts()[0].wait), (Some(ms(7000)), Some(ms(7000))));

    let script = Scripted::new([Step::status(429).header("retry-after", "61")]);
    let response = client(&script, &hints).get(URL).send().await.unwrap();
    assert_eq!((response.status(), response.stop_reason()), (429, StopReason::RetryAfterTooLong));
    assert_eq!(response.attempts()[0].hint, Some(ms(61_000)));

    let script = Scripted::new([Step::status(429).header("retry-after", "61"), Step::status(200)]);
    let capped = json!({"retry_after": {"max": "5s", "when_over": "cap"}, "backoff": "1s"});
    let response = client(&script, &capped).get(URL).send().await.unwrap();
    assert_eq!(response.attempts()[0].wait, Some(ms(5000)));
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_shared_and_asked_last() {
    let script = Scripted::new([Step::status(503)]);
    let document = json!({"budget": {"ratio": 0.5, "min_per_second": 0, "deposit_on": "call"}, "backoff": "1ms"});
    let client = client(&script, &document);
    let mut sends = Vec::new();
    for _ in 0..4 {
        let before = script.sent().len();
        let response = client.get(URL).send().await.unwrap();
        sends.push((script.sent().len() - before, response.stop_reason()));
    }
    // Half a retry per call: every second call has one.
    let (none, one) = ((1, StopReason::BudgetExhausted), (2, StopReason::BudgetExhausted));
    assert_eq!(sends, [none, one, none, one]);
    let reading = client.budget("http://server.test").unwrap();
    assert_eq!((reading.deposits, reading.withdrawals, reading.refusals, reading.balance), (4, 2, 4, 0));
    // Another origin has its own; a refusal by another rule costs nothing.
    client.post("http://other.test/").send().await.unwrap();
    assert_eq!(client.budget("http://other.test").map(|reading| reading.refusals), Some(0));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_waiting_call_gives_its_token_back() {
    let script = Scripted::new([Step::status(503)]);
    let client = client(&script, &json!({"budget": {"ratio": 1, "min_per_second": 0, "deposit_on": "call"}, "backoff": "10s"}));
    let call = client.get(URL).send();
    assert!(tokio::time::timeout(ms(5000), call).await.is_err());
    let reading = client.budget("http://server.test").unwrap();
    assert_eq!((reading.balance, reading.withdrawals), (1, 0));
    assert_eq!(script.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn attempt_header_and_user_agent() {
    let script = Scripted::new([Step::status(503)]);
    let client = client(&script, &json!({"attempt_header": "X-Attempt"}));
    client.get(URL).header("accept", "text/plain").send().await.unwrap();
    let seen: Vec<_> =
        script.sent().iter().map(|sent| sent.headers.get("x-attempt").map(|value| value.to_str().unwrap().to_owned())).collect();
    assert_eq!(seen, [None, Some("2".to_owned()), Some("3".to_owned())]);
    assert!(script.sent()[0].headers["user-agent"].to_str().unwrap().starts_with("reknock/"));
}

#[tokio::test(start_paused = true)]
async fn bad_requests_fail_before_anything_is_sent() {
    let script = Scripted::new([]);
    let client = client(&script, &json!({}));
    let errors: Vec<Error> = vec![
        client.get("ftp://host/").send().await.unwrap_err(),
        client.get("/relative").send().await.unwrap_err(),
        client.get("http://").send().await.unwrap_err(),
        client.get("http://{{h}}/?key=secret").send().await.unwrap_err(),
        client.request("", URL).send().await.unwrap_err(),
        client.request("GE T", URL).send().await.unwrap_err(),
        client.get(URL).header("x", "a\nb").send().await.unwrap_err(),
        client.get(URL).header("x y", "a").send().await.unwrap_err(),
        client.post(URL).header("content-length", "7").body("four").send().await.unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        println!("{error}");
    }
    assert!(script.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn userinfo_becomes_credentials_and_is_told_to_nobody() {
    let script = Scripted::new([Step::status(200)]);
    let response = client(&script, &json!({})).get("http://me:p%40ss@server.test/#part").send().await.unwrap();
    assert_eq!(script.sent()[0].headers["authorization"], "Basic bWU6cEBzcw==");
    assert_eq!((script.sent()[0].url.as_str(), response.url().as_str()), ("http://server.test/", "http://server.test/"));
}

#[tokio::test(start_paused = true)]
async fn oversized_bodies_end_the_call() {
    let script = Scripted::new([Step::status(200).body((0..100).map(|_| (ms(0), Some(1000))))]);
    let client = Client::on(script.clone()).policy(Policy::default()).max_response_size(2500).build().unwrap();
    let error = client.get(URL).send().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status(), error.stop_reason()),
        (ErrorKind::ResponseTooLarge, Some(200), Some(StopReason::NotRetryable))
    );
}

#[test]
fn a_name_is_one_budget_for_all_clients() {
    let named = |ratio: f64| policy(&json!({"budget": {"ratio": ratio, "name": "executor-test"}}));
    let build = |ratio: f64| Client::on(Scripted::default()).policy(named(ratio)).build();
    let first = build(0.2).unwrap();
    let second = build(0.2).unwrap();
    let error = build(0.3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    drop((first, second));
    assert!(build(0.3).is_ok(), "nobody holds the name any more");
}

/// The clock that runs is not the one that ran when the attempt began.
#[tokio::test(start_paused = true)]
async fn every_limit_fires_on_time_whatever_the_other_one_is() {
    let stuck = Step { upload_piece: ms(500_000), ..Step::status(200) };
    for per_try in [json!("none"), json!("100s")] {
        let limits = json!({"timeout": "none", "per_try_timeout": per_try, "idle_timeout": "2s", "max_retries": 0});
        let error = client(&Scripted::new([stuck.clone()]), &limits).put(URL).body("large").send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()[0].duration), (ErrorKind::Body, ms(2000)), "{per_try}");
    }
    let silent = Step { upload_piece: ms(200), head: ms(500_000), ..Step::status(200) };
    for idle in [json!("none"), json!("100s")] {
        let limits = json!({"timeout": "none", "per_try_timeout": "1s", "idle_timeout": idle, "max_retries": 0});
        let error = client(&Scripted::new([silent.clone()]), &limits).put(URL).body("large").send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()[0].duration), (ErrorKind::PerTryTimeout, ms(2000 + 1000)), "{idle}");
    }
}

/// A response that trickles is drained for 50 ms, but not past the deadline.
#[tokio::test(start_paused = true)]
async fn draining_ends_with_the_call() {
    let trickle = Step::status(503).body([(ms(40), Some(1)), (ms(1000), Some(1))]);
    let script = Scripted::new([trickle.clone(), Step::status(200)]);
    let response = client(&script, &json!({"backoff": "none"})).get(URL).send().await.unwrap();
    assert_eq!((response.status(), response.elapsed()), (200, ms(50)));

    let began = TokioClock.now();
    let script = Scripted::new([trickle, Step::status(200)]);
    let error = client(&script, &json!({"backoff": "none", "timeout": "30ms"})).get(URL).send().await.unwrap_err();
    assert_eq!((error.kind(), TokioClock.now().since(began)), (ErrorKind::Deadline, ms(30)));
    assert_eq!((script.sent().len(), error.attempts()[1].evidence), (1, Evidence::NotSent));
}

#[tokio::test(start_paused = true)]
async fn compat_envoy_tells_attempts_and_the_time_that_is_left() {
    let route = json!({"timeout": "1s", "retry_policy": {"retry_on": "5xx", "num_retries": 2, "per_try_timeout": "0.4s", "retry_back_off": {"base_interval": "0.001s"}}});
    let script = Scripted::new([Step::status(503).head(ms(350))]);
    let client = Client::on(script.clone())
        .policy(reknock::policy::envoy::route(&crate::support::value(&route)).unwrap())
        .envoy_headers(true)
        .build()
        .unwrap();
    let error = client.get(URL).header("x-envoy-max-retries", "3").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    let told: Vec<_> = script
        .sent()
        .iter()
        .map(|sent| (sent.headers["x-envoy-attempt-count"].clone(), sent.headers.contains_key("x-envoy-max-retries")))
        .collect();
    assert_eq!(told, [("1".parse().unwrap(), false), ("2".parse().unwrap(), false), ("3".parse().unwrap(), false)]);
    let left: Vec<u64> =
        script.sent().iter().map(|sent| sent.headers["x-envoy-expected-rq-timeout-ms"].to_str().unwrap().parse().unwrap()).collect();
    assert_eq!(left[..2], [400, 400]);
    assert!(left[2] < 300, "what is left of the call: {left:?}");
}

/// A transport whose request stays in somebody's hands until the future of `send` is dropped.
#[derive(Clone)]
struct Held;

impl Transport for Held {
    type Body = crate::support::ScriptedBody;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<Self::Body>, Failure> {
        struct Release(Arc<Progress>);
        impl Drop for Release {
            fn drop(&mut self) {
                self.0.release();
            }
        }
        outgoing.progress.hold();
        let _release = Release(outgoing.progress);
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_dropped_before_anybody_asks_what_it_proves() {
    let client = Client::on(Held).policy(policy(&json!({"timeout": "1s"}))).build().unwrap();
    let began = TokioClock.now();
    let error = client.post(URL).body("x").send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()[0].evidence), (ErrorKind::Deadline, Evidence::NotSent));
    assert_eq!(TokioClock.now().since(began), ms(1000), "there is nobody left to wait for");
}
