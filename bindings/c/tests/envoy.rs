//! The decisions recorded from a real Envoy, replayed through C as in core/tests/client/envoy.rs: `tests/vectors/envoy/decisions.json`.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::envoy::{Call, Caller, Ended, each};
use support::lines::vectors;

/// What an HTTP client cannot show as a proxy does (the reasons are in core/tests/client/envoy.rs). A case named here is run, but not compared.
const EXCEPTIONS: &[&str] = &["mx.connect-failure.accept-close", "mx.reset-before-request.accept-close"];

#[test]
fn recorded_decisions() {
    let vectors = vectors("envoy/decisions");
    let (ran, wrong) = each(vectors["cases"].as_array().unwrap(), "envoy_decisions", 24, |caller, case| {
        let id = case["id"].as_str().unwrap();
        let problem = replay(caller, case, id).err();
        problem.filter(|_| !EXCEPTIONS.contains(&id)).map(|problem| format!("{id}: {problem}"))
    });
    assert!(wrong.is_empty(), "{} of {ran} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(ran, 1138);
}

fn replay(caller: &mut Caller<'_>, case: &Value, id: &str) -> Result<(), String> {
    let call = Call { http2: id.contains("h2-"), route: patient(&case["route"]), merged: r#"{"connect_timeout": "2s"}"#, ..Call::of(case) };
    let (ended, _) = caller.call(&call, &case["script"]);
    if Some(ended.attempts) != case["attempts"].as_u64() {
        return Err(format!("{ended:?} instead of {} sends", case["attempts"]));
    }
    if !same_outcome(case, &ended.status) {
        return Err(format!("{} {} {} became {ended:?}", case["outcome"], case["status"], case["flags"]));
    }
    match case["first_gap_ms"][0].as_u64() {
        Some(least) if !same_gap(least, &ended) => Err(format!("{ended:?} where Envoy waited at least {least} ms")),
        _ => Ok(()),
    }
}

/// The route with limits ten times as long: a busy machine must not decide.
fn patient(route: &Value) -> Value {
    let mut route = route.clone();
    for pointer in ["/timeout", "/retry_policy/per_try_timeout", "/retry_policy/per_try_idle_timeout"] {
        let Some(limit) = route.pointer_mut(pointer) else { continue };
        let seconds: f64 = limit.as_str().unwrap().strip_suffix('s').unwrap().parse().unwrap();
        *limit = format!("{:.1}s", seconds * 10.0).into();
    }
    route
}

/// Whether the call ended as Envoy's did, whose flags stand for these failures; of some it matters whether Envoy answered.
fn same_outcome(case: &Value, status: &str) -> bool {
    let answered = case["outcome"] == "complete";
    let kinds: &[&str] = match case["flags"].as_str().unwrap().rsplit(',').next().unwrap() {
        "UF" => &["connect", "connect_timeout"],
        "UC" => &["reset", "connect"],
        "UR" => &["refused_stream", "reset"],
        "UT" if answered => &["per_try_timeout", "deadline"],
        "UT" => &["deadline"],
        "UPE" if answered => &["protocol", "reset"],
        "UPE" => &["body"],
        _ => return status.parse().ok() == case["status"].as_u64(),
    };
    kinds.contains(&status)
}

/// Envoy's waits: a hint of n seconds waits in [n, 1.5 n], anything else in the back-off's band, of 20 ms at most.
fn same_gap(least_ms: u64, ended: &Ended) -> bool {
    match (ended.wait, ended.hint) {
        (Some(wait), _) if least_ms <= 500 => wait <= 20_000,
        (Some(wait), Some(hint)) => hint > 0 && (hint..=hint + hint / 2).contains(&wait),
        _ => false,
    }
}
