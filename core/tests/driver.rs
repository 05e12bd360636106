//! The vectors of what the machine tells those who drive it. The format is told in the file.
#![cfg(feature = "client")]

mod support;

use std::time::Duration;

use reknock::client::{Opinion, minted_key};
use reknock::policy::{Unit, Value};
use reknock::retry::driver::{Driver, Limits, Options, Target, outcome};
use reknock::retry::{Answer, Decision, Retry};
use reknock::{Tick, UnixTime};
use serde_json::{Value as Json, json};
use support::{counted, vector};

#[test]
fn driver() {
    let file = vector("driver.json");
    let cases = file["cases"].as_array().expect("cases");
    let mut steps = 0;
    for case in cases {
        let mut driver = begun(&case["policy"], &case["call"]);
        for step in case["steps"].as_array().expect("steps") {
            take(&mut driver, step, &format!("{}: {step}", case["name"]));
            steps += 1;
        }
    }
    counted(cases.len(), 22);
    assert_eq!(steps, 127);
}

fn lines(headers: &Json) -> Vec<(&str, &str)> {
    let line = |line: &'_ Json| (line[0].as_str().map(str::len), line[1].as_str().map(str::len));
    let all = headers.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .inspect(|it| assert!(matches!(line(it), (Some(_), Some(_)))))
        .map(|it| (it[0].as_str().unwrap_or_default(), it[1].as_str().unwrap_or_default()))
        .collect()
}

fn begun(policy: &Json, call: &Json) -> Driver {
    let policy = support::policy(policy);
    let lines = lines(&call["headers"]);
    let (method, origin) = (call["method"].as_str().unwrap_or("GET"), call["origin"].as_str().unwrap_or("http://a.test"));
    let target = Target { headers: &lines.as_slice(), ..Target::new(method, origin) };
    let options = Options {
        asked: call["asked"] == true,
        nested: call["nested"] == true,
        minted_key: minted_key(&policy, method, target.carries_key()),
        ..Options::default()
    };
    Driver::begin(&policy, target, options, Tick(0)).expect("a call")
}

fn take(driver: &mut Driver, step: &Json, about: &str) {
    let now = Tick(step["at"].as_u64().expect("at") * 1_000_000);
    let replayable = step["replayable"] != false;
    match step["do"].as_str().expect("a step") {
        "attempt" => drop(driver.attempt(now).expect(about)),
        "classify" => {
            let (headers, class) = (lines(&step["headers"]), step["class"].as_str());
            let (evidence, returned) = (step["evidence"].as_str().unwrap_or("unknown"), step["returned"] == true);
            let headers = headers.as_slice();
            let outcome =
                outcome(step["status"].as_f64(), &headers, step["error"].as_str(), class, evidence, false, returned).expect(about);
            let _ = driver.classify(outcome, class, UnixTime(0), now).expect(about);
        }
        "asks" => assert_eq!(json!(driver.is_worth_asking(replayable, now)), step["is"], "{about}"),
        "decide" => {
            let opinion = match &step["opinion"] {
                Json::Bool(retry) => Value::Bool(*retry),
                Json::Number(ms) => Value::Int(ms.as_i64().expect(about)),
                Json::String(text) => Value::from(text.as_str()),
                _ => Value::Null,
            };
            let answer: Answer = Opinion::from_value(&opinion, Unit::Milliseconds).expect(about).into();
            let decided = match driver.decide(answer, replayable, now).expect(about) {
                Decision::Retry { wait } => json!(wait.as_millis() as u64),
                Decision::Stop(reason) => json!(reason.code()),
            };
            assert_eq!(decided, step["then"], "{about}");
        }
        "limits" => {
            let Limits { connect_timeout, per_try_timeout, idle_timeout, remaining, .. } = driver.limits(now).expect(about);
            let ms = |limit: Option<Duration>| json!(limit.map(|limit| limit.as_millis() as u64));
            assert_eq!(json!([ms(connect_timeout), ms(per_try_timeout), ms(idle_timeout), ms(remaining)]), step["is"], "{about}");
        }
        "fields" => {
            let shown = |(name, value): (String, String)| json!([name, if value.len() == 36 { "*".to_owned() } else { value }]);
            assert_eq!(driver.headers().into_iter().map(shown).collect::<Json>(), step["is"], "{about}");
        }
        "left" => assert_eq!(json!(driver.retry().map(Retry::retries_left)), step["is"], "{about}"),
        "kept" => assert_eq!(json!(driver.retry().map(|retry| retry.policy().max_body_buffer())), step["is"], "{about}"),
        "finish" => driver.finish(now),
        "abandon" => driver.abandon(),
        "told" => {
            let reason = driver.stop_reason().map(|reason| reason.code());
            assert_eq!((json!(reason), json!(driver.explain())), (step["stop_reason"].clone(), step["explain"].clone()), "{about}");
        }
        other => panic!("no step: {other}"),
    }
}

/// What observers are told of a call that others send, when it is given up wherever it is.
#[test]
fn given_up() {
    use reknock::client::Event;
    use reknock::retry::driver::response;
    use reknock::{ErrorKind, Identity};
    use std::sync::Arc;

    let states = [
        ("sent", Some(ErrorKind::Cancelled), None),
        ("judged", None, Some(503)),
        ("waiting", None, Some(503)),
        ("reading", Some(ErrorKind::Cancelled), Some(200)),
    ];
    for (state, error, status) in states {
        let mut driver = begun(&json!({"backoff": "1s"}), &json!({}));
        driver.attempt(Tick(0)).expect(state);
        if let Some(status) = status {
            let _ =
                driver.classify(response(status.into(), &[].as_slice()).expect(state), None, UnixTime(0), Tick(1_000_000)).expect(state);
        }
        if matches!(state, "waiting" | "reading") {
            let _ = driver.decide(Answer::default(), true, Tick(2_000_000)).expect(state);
        }
        driver.give_up(ErrorKind::Cancelled, Tick(5_000_000));
        driver.give_up(ErrorKind::Callback, Tick(9_000_000));
        driver.abandon();
        let call = Arc::new(Identity::of_request("GET", "http://a.test/", None));
        let event = Event::of_driver(call, &driver, Tick(5_000_000));
        assert_eq!(event.to_string(), "GET http://a.test/: the call was cancelled after 1 attempt in 5ms (cancelled)", "{state}");
        let record = &driver.records()[0];
        assert_eq!((record.error, record.status), (error, status), "{state}");
        assert_eq!(record.duration, Duration::from_millis(if error.is_some() { 5 } else { 1 }), "{state}");
        assert!(driver.retry().is_none() && !driver.has_failed(), "{state}");
    }
    let mut driver = begun(&json!({"backoff": "1s"}), &json!({}));
    driver.attempt(Tick(0)).expect("an attempt");
    driver.give_up(ErrorKind::InvalidRequest, Tick(0));
    assert_eq!((driver.stop_reason().map(reknock::StopReason::code), driver.has_failed()), (Some("not_retryable"), true));
}
