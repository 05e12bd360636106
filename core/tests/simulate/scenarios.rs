//! Documents of scenarios, and what results promise.

use reknock::policy::Value;
use reknock::simulate::{Scenario, simulate};

use super::{at, number, policy, run, scenario};

fn mistake(yaml: &str) -> String {
    Scenario::from_value(&Value::from_yaml(yaml).expect("YAML")).expect_err("a mistake").to_string()
}

#[test]
fn mistakes_name_path_rule_value_and_fix() {
    let cases = [
        ("{durations: 1s}", "durations: unknown key; did you mean duration?"),
        (
            "{preset: spikes}",
            "preset: must be one of spike, brown-out, outage, flapping, rate-limit, slow-start, batch, got \"spikes\"; did you mean \"spike\"?",
        ),
        ("{duration: 10}", "duration: must be a duration with a unit, got 10; write \"10s\""),
        ("{duration: 10ms}", "duration: must be from 1s to 1h, got \"10ms\""),
        ("{hosts: 2}", "hosts: must be at most processes (1), got 2"),
        ("{arrivals: [{rate: 1}, {rate: 2}]}", "arrivals: must be in order of from, each later than the one before"),
        ("{arrivals: [{from: 1s}]}", "arrivals[0].rate: required for arrivals"),
        ("{server: {failures: [{status: 503, error: reset}]}}", "server.failures[0]: must have one of status and error, has both"),
        ("{server: {failures: [{from: 2s, to: 1s}]}}", "server.failures[0].to: must be later than from, got \"1s\""),
        (
            "{server: {failures: [{error: reset, retry_after: 1s}]}}",
            "server.failures[0].error: cannot stand beside retry_after; only an answer has header fields",
        ),
        ("{expect: {over: 5s}}", "expect.over: is the window of amplification, which is not given"),
        ("{expect: {goodput: 2}}", "expect.goodput: must be a number from 0 to 1, got 2"),
        (
            "{arrivals: [{rate: 1000000}], duration: 1h}",
            "arrivals: must make at most 20000000 calls within duration, these make about 3600000000",
        ),
        ("{share: fleet}", "share: must be one of process, host, got \"fleet\""),
    ];
    for (yaml, message) in cases {
        assert_eq!(mistake(yaml), message, "{yaml}");
    }
}

#[test]
fn the_same_document_and_seeds_give_the_same_bytes() {
    for preset in Scenario::presets() {
        let text = format!("{{preset: {preset}, seeds: 2, duration: 40s, processes: 3}}");
        let first = run("{}", &text).to_json();
        assert_eq!(first, run("{}", &text).to_json(), "{preset}");
        assert!(Value::from_json(&first).is_ok(), "{preset}");
    }
}

#[test]
fn expectations_are_a_gate() {
    let outage = "{preset: outage, seeds: 2, expect: {amplification: 1.5, over: 5s, recovery: 1s, refused_while_healthy: 0}}";
    let report = run("{budget: {ratio: 0.1, min_per_second: 0, deposit_on: success}}", outage);
    assert!(report.passed(), "{}", at(report.to_value(), &["expect"]));
    let report = run("{budget: none}", outage);
    assert!(!report.passed());
    let rules = at(report.to_value(), &["expect"]).to_string();
    assert!(rules.contains("amplification over 5s"), "{rules}");
}

/// Calls are conserved: what began has ended, or is under way at the end.
#[test]
fn every_call_is_counted_once() {
    let report = run(
        "{budget: none, timeout: 10s}",
        "{duration: 1m, seeds: 3, arrivals: [{rate: 50}, {from: 45s, rate: 0}], server: {failures: [{share: 0.3, status: 503}]}}",
    );
    let calls = number(&report, &["calls"]);
    let Value::List(by_retries) = at(report.to_value(), &["calls_by_retries"]) else { panic!("a list") };
    let counts: Vec<f64> = by_retries.iter().map(|count| if let Value::Int(count) = count { *count as f64 } else { 0.0 }).collect();
    assert_eq!(counts.iter().sum::<f64>(), calls);
    let attempts: f64 = counts.iter().enumerate().map(|(retries, count)| (retries + 1) as f64 * count).sum();
    assert_eq!(attempts, number(&report, &["attempts"]));
    let Value::Map(reasons) = at(report.to_value(), &["stop_reasons"]) else { panic!("a map") };
    let ended: i64 = reasons.iter().map(|(_, count)| if let Value::Int(count) = count { *count } else { 0 }).sum();
    assert_eq!(ended as f64, calls);
}

/// After a burst, a server that stops abandoned work is free at once; one that does not works off a queue for nobody.
#[test]
fn abandoned_work_costs_only_where_it_runs_on() {
    let per_second = |abandoned: &str| {
        let report = run(
            "{max_retries: 0, timeout: 2s}",
            &format!(
                "{{duration: 1m, seeds: 2, arrivals: [{{rate: 1000}}, {{from: 1s, rate: 2}}],
                  server: {{latency: 1s, capacity: 10, queue: 10000, abandoned_work: {abandoned}}}}}"
            ),
        );
        number(&report, &["goodput", "at_the_end_per_second", "median"])
    };
    assert!(per_second("stops") > 1.0);
    assert_eq!(per_second("runs"), 0.0);
}

#[test]
fn a_batch_is_made_one_call_after_another() {
    let report = simulate(&policy("{}"), &scenario("{preset: batch, seeds: 1, batch: {calls: 100}}"));
    assert_eq!(number(&report, &["calls"]), 100.0);
    // 100 calls of 20 ms and two ways of a millisecond each, and a wait now and then.
    assert!((2.0..6.0).contains(&number(&report, &["finished_seconds", "mean"])));
}
