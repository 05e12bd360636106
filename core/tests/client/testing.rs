//! Scripted clients for the tests of users: no network, no waiting, exact times.

use std::time::Duration;

use reknock::client::testing::{Script, Step};
use reknock::client::{Body, Callbacks, Client, Opinion};
use reknock::policy::Value;
use reknock::{Error, ErrorKind, Evidence, StopReason, UnixTime};
use serde_json::json;

const URL: &str = "http://service.test/";

fn client(script: &Script, document: serde_json::Value) -> Client<Script, Script> {
    Client::on(script.clone()).clock(script.clone()).policy(crate::support::policy(&document)).build().unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn steps<const N: usize>(names: [&str; N]) -> Script {
    Script::new(names.map(|name| name.parse().map_or_else(|_| Step::named(name), Step::status).unwrap()))
}

async fn failed(script: &Script, document: serde_json::Value) -> Error {
    client(script, document).get(URL).send().await.unwrap_err()
}

#[tokio::test]
async fn waits_are_planned_and_not_waited() {
    let script = steps(["503", "reset", "200"]);
    let client = client(&script, json!({"backoff": {"kind": "linear", "base": "1h", "step": "1h", "max": "3h"}, "timeout": "none"}));
    let response = client.get(URL).send().await.unwrap();
    assert_eq!((response.status(), script.remaining()), (200, 0));
    assert_eq!(script.waits(), [ms(3_600_000), ms(7_200_000)]);
    assert_eq!(response.elapsed(), ms(10_800_000));
    assert_eq!(script.sends().iter().map(|sent| sent.at).collect::<Vec<_>>(), [ms(0), ms(3_600_000), ms(10_800_000)]);
}

#[tokio::test]
async fn every_kind_of_failure() {
    let once = json!({"max_retries": 0, "connect_timeout": "30s"});
    for (name, kind, took, seen) in [
        ("connect", ErrorKind::Connect, ms(0), 0),
        ("connect_timeout", ErrorKind::ConnectTimeout, ms(30_000), 0),
        ("tls", ErrorKind::Tls, ms(0), 0),
        ("reset", ErrorKind::Reset, ms(0), 1),
        ("refused_stream", ErrorKind::RefusedStream, ms(0), 1),
        ("protocol", ErrorKind::Protocol, ms(0), 1),
        ("per_try_timeout", ErrorKind::PerTryTimeout, ms(0), 1),
        ("body", ErrorKind::Body, ms(0), 1),
        ("hang", ErrorKind::PerTryTimeout, ms(20_000), 1),
    ] {
        let script = steps([name]);
        let error = failed(&script, once.clone()).await;
        let first = &error.attempts()[0];
        assert_eq!((error.kind(), first.duration, script.sends().len()), (kind, took, seen), "{name}");
        let proven = match name {
            "refused_stream" => Evidence::Refused,
            _ if seen == 0 => Evidence::NotSent,
            _ => Evidence::Unknown,
        };
        assert_eq!(first.evidence, proven, "{name}");
    }
}

#[test]
fn steps_that_are_none() {
    let rule = "script: must have a status from 200 to 599 or one of connect, connect_timeout, tls, reset, refused_stream, protocol, \
                per_try_timeout, hang, body as a step, got";
    assert_eq!(Step::named("config").unwrap_err().to_string(), format!("{rule} \"config\""));
    for value in [Value::Int(100), Value::Int(-1), Value::Int(70_000), Value::Float(200.0), Value::Bool(true)] {
        assert_eq!(Step::from_value(&value).unwrap_err().to_string(), format!("{rule} {value}"));
    }
    assert_eq!(Step::status(600).unwrap_err().to_string(), format!("{rule} 600"));
    let error = Step::status(200).unwrap().ends("badly").unwrap_err();
    assert_eq!(error.to_string(), "script: must end a body whole, cut or stall, got \"badly\"");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(Step::status(200).unwrap().header("a b", "c").is_err());
}

#[tokio::test]
async fn limits_fire_in_the_scripts_time() {
    let slow = || Step::status(200).unwrap().after(ms(1500));
    let error = failed(&Script::new([slow()]), json!({"per_try_timeout": "1s", "max_retries": 1, "backoff": "1s", "budget": "none"})).await;
    assert_eq!((error.kind(), error.attempts().len(), error.attempts()[1].start), (ErrorKind::PerTryTimeout, 2, ms(2000)));
    let error = failed(&Script::new([slow()]), json!({"timeout": "1s"})).await;
    assert_eq!((error.kind(), error.attempts()[0].duration), (ErrorKind::Deadline, ms(1000)));
    let stalled = Script::new([Step::status(200).unwrap().body("half").ends("stall").unwrap()]);
    let error = failed(&stalled, json!({"max_retries": 0})).await;
    assert_eq!((error.kind(), error.status(), error.attempts()[0].duration), (ErrorKind::Body, Some(200), ms(20_000)));
    let slow = Script::new([slow()]);
    assert_eq!(client(&slow, json!({})).get(URL).send().await.unwrap().elapsed(), ms(1500));
}

#[tokio::test]
async fn time_stands_still_while_a_callback_thinks() {
    let script = steps(["hang", "200"]);
    let think = |_: reknock::client::Attempt| async {
        tokio::task::yield_now().await;
        Ok(Opinion::None)
    };
    let policy = crate::support::policy(&json!({"timeout": "10s", "per_try_timeout": "1s", "backoff": "100ms"}));
    let callbacks = Callbacks::default().retry_if_async(think);
    let client = Client::on(script.clone()).clock(script.clone()).policy(policy).callbacks(callbacks).build().unwrap();
    let response = client.get(URL).send().await.unwrap();
    assert_eq!((response.status(), response.elapsed()), (200, ms(1100)));
}

#[tokio::test]
async fn calls_at_once_have_times_of_their_own() {
    let script = steps(["503"]);
    let client = client(&script, json!({"timeout": "3s", "backoff": "1s", "max_retries": 2, "budget": "none"}));
    let calls = (0..50).map(|_| async { script.alone(client.get(URL).send()).await.unwrap() });
    for response in futures_util::future::join_all(calls).await {
        assert_eq!((response.stop_reason(), response.elapsed()), (StopReason::RetriesExhausted, ms(2000)));
    }
    let next = script.alone(client.get(URL).send()).await.unwrap();
    assert_eq!(script.sends().last().unwrap().at, ms(4000));
    assert_eq!(next.attempts().len(), 3);
}

#[tokio::test]
async fn budgets_live_in_the_scripts_time() {
    let script = steps(["503", "503", "200"]);
    let budget = json!({"kind": "ratio", "ratio": 1, "min_per_second": 0, "ttl": "10s", "deposit_on": "call"});
    let client = client(&script, json!({"max_retries": 1, "backoff": "1ms", "budget": budget}));
    assert_eq!(client.get(URL).send().await.unwrap().stop_reason(), StopReason::RetriesExhausted);
    assert_eq!(client.budget(URL).unwrap().balance, 0);
    client.get(URL).send().await.unwrap();
    assert_eq!(client.budget(URL).unwrap().balance, 1);
    script.advance(Duration::from_secs(11));
    assert_eq!(client.budget(URL).unwrap().balance, 0);
}

#[tokio::test]
async fn a_head_has_no_body() {
    let script = Script::new([Step::status(200).unwrap().body("body")]);
    assert!(client(&script, json!({})).head(URL).send().await.unwrap().bytes().is_empty());
}

#[tokio::test]
async fn what_was_sent_is_kept() {
    let script = Script::new([Step::status(503).unwrap(), Step::status(201).unwrap().header("x-a", "1").unwrap().body("made")]);
    let client = client(&script, json!({"methods": "any"}));
    let body = Body::stream(futures_util::stream::iter([Ok("one ".into()), Ok("two".into())]), None);
    let response = client.post("http://me:secret@service.test/a?b=c").header("x-b", "2").body(body).send().await.unwrap();
    assert_eq!((response.status(), response.header("x-a"), &response.bytes()[..]), (201, Some("1"), &b"made"[..]));
    for sent in script.sends() {
        assert_eq!((sent.method.as_str(), sent.url.as_str(), &sent.body[..]), ("POST", "http://service.test/a?b=c", &b"one two"[..]));
        assert_eq!(sent.headers["x-b"], "2");
    }
    assert_eq!(script.sends().len(), 2);
}

/// Time leaps to the answer where no limit is there to leap to.
#[tokio::test]
async fn answers_that_take_long_come_without_any_limit() {
    let limits = json!({"timeout": "none", "per_try_timeout": "none", "idle_timeout": "none", "connect_timeout": "none"});
    let steps = || ["reset", "connect", "connect_timeout"].map(|name| Step::named(name).unwrap().after(Duration::from_secs(5)));
    let script = Script::new(steps().into_iter().chain([Step::status(200).unwrap().after(Duration::from_secs(7)).body("late")]));
    let mut document = limits;
    document["max_retries"] = json!(3);
    let client = client(&script, document);
    let response = client.get(URL).send().await.unwrap();
    let took: Vec<u64> = response.attempts().iter().map(|attempt| attempt.duration.as_secs()).collect();
    assert_eq!((response.status(), took), (200, vec![5, 5, 5, 7]));
    let mut streamed = script.alone(client.get(URL).stream()).await.unwrap();
    assert_eq!(&script.alone(streamed.bytes(100)).await.unwrap()[..], b"late");
}

/// Numbers that no clock can count to: no server may make arithmetic wrap, nor panic.
#[tokio::test]
async fn steps_are_for_some_requests() {
    let post = Step::status(503).unwrap().for_method("post").unwrap();
    let script =
        Script::new([post, Step::status(404).unwrap().for_url("/a/*?b=1"), Step::status(201).unwrap().for_url("http://*.test/a/b")]);
    let client = client(&script, json!({"max_retries": 0}));
    let mut seen = Vec::new();
    for url in ["a/b", "a/b?b=1", "a/b?b=1", "a/b?b=2", "a/b"] {
        seen.push(client.get(&format!("{URL}{url}")).send().await.unwrap().status());
    }
    assert_eq!(seen, [201, 404, 201, 201, 201]);
    assert_eq!(client.post(URL).send().await.unwrap().status(), 503);
    let error = client.get(&format!("{URL}c?secret=1")).send().await.unwrap_err();
    assert_eq!((error.kind(), script.missed()), (ErrorKind::InvalidRequest, vec!["GET http://service.test/c".to_owned()]));
    assert!(Step::status(200).unwrap().for_method("GE T").is_err());
}

#[tokio::test]
async fn strict_scripts_answer_once() {
    let script = Script::strict(UnixTime(0), ["503", "200"].map(|name| Step::status(name.parse().unwrap()).unwrap()));
    let client = client(&script, json!({}));
    assert_eq!(client.get(URL).send().await.unwrap().status(), 200);
    assert_eq!(client.get(URL).send().await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!((script.remaining(), script.missed().len(), script.is_strict()), (0, 1, true));
}

#[tokio::test]
async fn waits_that_no_clock_can_count_to() {
    for hint in ["9223372036854775", "18446744073", "99999999999", "99999999999999999999"] {
        let step = Step::status(503).unwrap().header("retry-after", hint).unwrap();
        let script = Script::new([step.clone(), step.clone(), step, Step::status(200).unwrap()]);
        let document = json!({"timeout": "none", "max_retries": 3, "retry_after": {"max": "none"}, "budget": "none", "backoff": "none"});
        let response = client(&script, document).put(URL).body("x").send().await.unwrap();
        assert_eq!((response.status(), response.attempts().len()), (200, 4), "{hint}");
        let shown = if hint.len() == 20 { "longer than any clock counts" } else { "" };
        assert!(response.explain().contains(&format!("server asks for {shown}")), "{hint}");
    }
}
