//! Scenarios by name, as the documents that they are.

use super::scenario::{self, Scenario};
use crate::policy::{Problem, Value};

/// Every preset.
pub(super) const NAMES: &[&str] = &["spike", "brown-out", "outage", "flapping", "rate-limit", "slow-start", "batch"];

pub(super) fn find(path: &str, name: &str) -> Result<Scenario, Problem> {
    let Some(document) = document(name) else { return Err(Problem::one_of(path, NAMES.iter().copied(), &Value::from(name))) };
    let mut scenario = Scenario::default();
    scenario::merge(&mut scenario, &document)?;
    scenario.name = name.to_owned();
    Ok(scenario)
}

fn document(name: &str) -> Option<Value> {
    let block = |entries: Vec<(&str, Value)>| Value::map(entries);
    let rate = |from: &str, rate: f64| block(vec![("from", from.into()), ("rate", rate.into())]);
    let failure = |from: &str, to: &str, share: f64, status: i64| {
        block(vec![("from", from.into()), ("to", to.into()), ("share", share.into()), ("status", status.into())])
    };
    let slow = |from: &str, to: &str, factor: f64| block(vec![("from", from.into()), ("to", to.into()), ("factor", factor.into())]);
    let steady = |calls: f64| Value::list([rate("0s", calls)]);
    let near = || block(vec![("latency", "1ms".into()), ("spread", "exponential".into())]);
    Some(match name {
        // Five seconds above what a server can do that slows down under load, and whose clients give up after a while.
        "spike" => block(vec![
            ("duration", "2m".into()),
            ("arrivals", Value::list([rate("0s", 48.0), rate("20s", 80.0), rate("25s", 48.0)])),
            ("network", block(vec![("latency", "100ms".into()), ("spread", "exponential".into())])),
            ("server", block(vec![("latency", "1s".into()), ("per_concurrent", "10ms".into())])),
        ]),
        // All requests take ten times as long for 30 seconds, and a tenth of them fail.
        "brown-out" => block(vec![
            ("duration", "2m".into()),
            ("arrivals", steady(100.0)),
            ("network", near()),
            (
                "server",
                block(vec![
                    ("latency", "50ms".into()),
                    ("per_concurrent", "1ms".into()),
                    ("slow", Value::list([slow("30s", "1m", 10.0)])),
                    ("failures", Value::list([failure("30s", "1m", 0.1, 503)])),
                ]),
            ),
        ]),
        "outage" => block(vec![
            ("duration", "2m".into()),
            ("arrivals", steady(100.0)),
            ("network", near()),
            ("server", block(vec![("failures", Value::list([failure("30s", "1m", 1.0, 503)]))])),
        ]),
        "flapping" => block(vec![
            ("duration", "2m".into()),
            ("arrivals", steady(100.0)),
            ("network", near()),
            (
                "server",
                block(vec![(
                    "failures",
                    Value::list(
                        [("20s", "25s"), ("35s", "40s"), ("50s", "55s"), ("65s", "70s")].map(|(from, to)| failure(from, to, 1.0, 503)),
                    ),
                )]),
            ),
        ]),
        // Ten seconds in which most requests are refused, with a Retry-After.
        "rate-limit" => block(vec![
            ("duration", "1m".into()),
            ("arrivals", steady(200.0)),
            ("network", near()),
            (
                "server",
                block(vec![(
                    "failures",
                    Value::list([block(vec![
                        ("from", "20s".into()),
                        ("to", "30s".into()),
                        ("share", 0.8.into()),
                        ("status", 429_i64.into()),
                        ("retry_after", "5s".into()),
                    ])]),
                )]),
            ),
        ]),
        // Away for ten seconds, then slow until its caches are warm.
        "slow-start" => block(vec![
            ("duration", "2m".into()),
            ("arrivals", steady(100.0)),
            ("network", near()),
            (
                "server",
                block(vec![
                    ("latency", "50ms".into()),
                    ("per_concurrent", "2ms".into()),
                    ("failures", Value::list([block(vec![("from", "20s".into()), ("to", "30s".into()), ("error", "connect".into())])])),
                    ("slow", Value::list([slow("30s", "35s", 8.0), slow("35s", "40s", 4.0), slow("40s", "45s", 2.0)])),
                ]),
            ),
        ]),
        // 500 calls one after another, a twentieth failing.
        "batch" => block(vec![
            ("duration", "2m".into()),
            ("batch", block(vec![("calls", 500_i64.into())])),
            ("network", near()),
            ("server", block(vec![("failures", Value::list([block(vec![("share", 0.05.into()), ("status", 503_i64.into())])]))])),
        ]),
        _ => return None,
    })
}
