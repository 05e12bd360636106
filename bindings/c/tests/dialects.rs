//! Whole calls by Envoy's rules through C, as in core/tests/behaviour/envoy_calls.rs: `tests/vectors/dialects/envoy_calls.json`.
#![allow(clippy::unwrap_used)]

mod support;

use reknock_test_server::{Arrival, Script};
use serde_json::Value;
use support::envoy::{Call, Caller, each};
use support::lines::vectors;

#[test]
fn calls_by_the_rules_of_envoy() {
    let vectors = vectors("dialects/envoy_calls");
    let cases = vectors["cases"].as_array().unwrap();
    let (ran, wrong) =
        each(cases, "envoy_call", 4, |caller, case| call(caller, case).err().map(|problem| format!("{}: {problem}", case["name"])));
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(ran, 174);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn call(caller: &mut Caller<'_>, case: &Value) -> Result<(), String> {
    let request = &case["request"];
    let call = Call {
        http2: case["http2"] == true || list(&case["script"]).iter().any(|outcome| text(&outcome["do"]).starts_with("h2-")),
        body_size: request["body_size"].as_u64(),
        stream: request["stream"] == true,
        leap: first_wait(case).is_some_and(|(_, most)| most > 100.0),
        ..Call::of(case)
    };
    let (ended, script) = caller.call(&call, &case["script"]);
    let status = case["status"].as_u64().map_or_else(|| text(&case["error"]).to_owned(), |status| status.to_string());
    if (&*ended.status, &*ended.stop, Some(ended.attempts)) != (&*status, text(&case["stop"]), case["sends"].as_u64()) {
        return Err(format!("{ended:?} instead of {status} {} {}", case["stop"], case["sends"]));
    }
    if let Some((least, most)) = first_wait(case) {
        let wait = ended.wait.ok_or("no wait")? as f64 / 1000.0;
        if !(least..=most).contains(&wait) {
            return Err(format!("waits {wait} ms"));
        }
    }
    arrived(case, caller, &script)
}

fn first_wait(case: &Value) -> Option<(f64, f64)> {
    let wait = &case["first_wait_ms"];
    let exact = wait.as_f64().map(|exact| (exact, exact));
    exact.or_else(|| wait.as_array().map(|range| (range[0].as_f64().unwrap(), range[1].as_f64().unwrap())))
}

/// What the server got.
fn arrived(case: &Value, caller: &Caller<'_>, script: &Script) -> Result<(), String> {
    if let Some(size) = case["last_body"].as_u64() {
        let whole = |arrival: &Arrival| arrival.body_complete && arrival.body_size == size;
        if !caller.server().until(script, || script.log().last().is_some_and(whole)) {
            return Err("the last body did not arrive".to_owned());
        }
    }
    let log = script.log();
    for (arrival, size) in log.iter().zip(list(&case["bodies"])) {
        if !arrival.body_complete || Some(arrival.body_size) != size.as_u64() || arrival.body_sha256 != log[0].body_sha256 {
            return Err(format!("attempt {}: {} bytes of the body arrived", arrival.n, arrival.body_size));
        }
    }
    for (name, values) in case["seen"].as_object().into_iter().flatten() {
        let seen: Vec<_> = log.iter().map(|arrival| arrival.header(name)).collect();
        let wanted: Vec<_> = list(values).iter().map(Value::as_str).collect();
        if seen != wanted {
            return Err(format!("{name}: {seen:?}"));
        }
    }
    let arrived = list(&case["unseen"]).iter().map(text).find(|name| log.iter().any(|arrival| arrival.header(name).is_some()));
    arrived.map_or(Ok(()), |name| Err(format!("{name} arrived")))
}
