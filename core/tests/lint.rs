//! What `lint` finds, and that its bounds hold: no simulation of any policy exceeds them.

use std::time::Duration;

use reknock::Policy;
use reknock::lint::{Severity, Surroundings, all_rules, lint, sarif};
use reknock::policy::Value;
use reknock::retry::draw;
use reknock::simulate::{Scenario, simulate};

fn policy(yaml: &str) -> Policy {
    Policy::from_yaml(yaml).expect("a policy of a test")
}

/// The rules that a policy breaks.
fn found(yaml: &str, surroundings: Surroundings) -> Vec<&'static str> {
    lint(&policy(yaml), surroundings).findings.iter().map(|finding| finding.rule.id).collect()
}

/// Each rule with a policy that breaks it, and one near it that does not.
const CASES: &[(&str, &str, &str)] = &[
    ("retries-never-happen", "{timeout: 1s, backoff: 2s, per_try_timeout: 400ms, connect_timeout: 100ms}", "{backoff: 2s}"),
    ("retries-never-happen", "{retry_on: none}", "{retry_on: none, statuses: [503]}"),
    ("limit-never-fires", "{timeout: 10s}", "{timeout: 10s, per_try_timeout: 4s}"),
    ("hint-beyond-deadline", "{retry_after: {max: 2m}}", "{retry_after: {max: 30s}}"),
    ("hint-without-limit", "{timeout: none, retry_after: {max: none}}", "{retry_after: {max: none}}"),
    ("cap-below-base", "{backoff: {base: 5s, max: 1s, first_uncapped: true}}", "{backoff: {base: 5s, max: 6s}}"),
    ("no-deadline", "{timeout: none, per_try_timeout: none}", "{timeout: none}"),
    ("repeats-unsafe-methods", "{methods: any}", "{methods: any, idempotency_key: auto}"),
    ("keys-ignored", "{idempotency_key: none}", "{idempotency_key: honour}"),
    ("no-budget", "{budget: none}", "{budget: none, max_retries: 0}"),
    ("budget-never-opens", "{budget: {ratio: 0, min_per_second: 0}}", "{budget: {ratio: 0, min_per_second: 1}}"),
    ("budget-never-opens", "{budget: {kind: concurrency, percent: 0, min: 0}}", "{budget: {kind: concurrency, percent: 0}}"),
    ("budget-dry-in-outage", "{budget: {min_per_second: 0, deposit_on: success}}", "{budget: {min_per_second: 1, deposit_on: success}}"),
    ("budget-below-max-retries", "{max_retries: 30, budget: {min_per_second: 1}}", "{max_retries: 30, budget: {min_per_second: 3}}"),
    ("no-jitter", "{backoff: 1s}", "{backoff: {kind: constant, delay: 1s, jitter: full}}"),
    ("no-wait", "{backoff: none}", "{backoff: 1s}"),
    ("retries-what-stays", "{statuses: [\"400-599\"]}", "{statuses: [503]}"),
    ("retries-tls", "{retry_on: [tls]}", "{retry_on: [reset]}"),
    ("large-replay-buffer", "{max_body_buffer: 1GiB}", "{max_body_buffer: 1MiB}"),
];

#[test]
fn each_rule_finds_its_case_and_lets_its_neighbour_be() {
    for (rule, bad, good) in CASES {
        assert!(found(bad, Surroundings::default()).contains(rule), "{bad}: {rule}");
        assert!(!found(good, Surroundings::default()).contains(rule), "{good}: {rule}");
    }
    let many = |one_purse| Surroundings { processes: 64, one_purse, capacity: Some(500.0) };
    let text = "{budget: {min_per_second: 10}}";
    assert!(found(text, many(false)).contains(&"floor-above-capacity"));
    assert!(!found(text, many(true)).contains(&"floor-above-capacity"));
    assert!(!found("{budget: {min_per_second: 10, share: host}}", many(false)).contains(&"floor-above-capacity"));
    for rule in all_rules() {
        assert!(rule.id == "floor-above-capacity" || CASES.iter().any(|(id, ..)| *id == rule.id), "no case of {}", rule.id);
        assert!(all_rules().iter().filter(|other| other.id == rule.id).count() == 1, "{}", rule.id);
    }
}

#[test]
fn the_default_policy_is_clean() {
    assert_eq!(lint(&Policy::default(), Surroundings::default()).worst(), None);
}

#[test]
fn findings_say_what_and_how_to_mend_it() {
    let result = lint(&policy("{timeout: 10s, methods: any}"), Surroundings::default());
    let text = result.to_string();
    for line in [
        "attempts per call: at most 3\n",
        "longest call: 10s\n",
        "warning: per_try_timeout: is 20s, and timeout ends the whole call after 10s; write per_try_timeout: 5s or less [limit-never-fires]\n",
        "warning: methods: repeats POST and PATCH although the server may have executed it; write idempotency_key: auto, or methods: idempotent [repeats-unsafe-methods]\n",
    ] {
        assert!(text.contains(line), "{line}\nin\n{text}");
    }
    assert_eq!(result.worst(), Some(Severity::Warning));
    let sarif = Value::from_json(&sarif(&result.findings, "policies/shop.yaml")).expect("JSON");
    assert_eq!(sarif.get("version"), Some(&Value::from("2.1.0")));
    assert!(sarif.to_string().contains("policies/shop.yaml"));
}

/// A random policy and a random scenario, by number.
fn random(number: u64) -> (Policy, Scenario, Surroundings) {
    let mut drawn = 0;
    let mut pick = |items: &[&'static str]| -> &'static str {
        drawn += 1;
        items[(draw(number, drawn) * items.len() as f64) as usize]
    };
    let retries = pick(&["0", "1", "2", "3", "5", "10", "100"]);
    let budget = pick(&[
        "none",
        "{ratio: 0.2, min_per_second: 10, deposit_on: call}",
        "{ratio: 0.2, min_per_second: 1, deposit_on: success}",
        "{ratio: 1, min_per_second: 0, ttl: 1s, deposit_on: call}",
        "{ratio: 0, min_per_second: 5, ttl: 2s}",
        "{ratio: 3, min_per_second: 2, ttl: 60s, deposit_on: call}",
        "{kind: concurrency, percent: 20, min: 3}",
    ]);
    let backoff = pick(&[
        "none",
        "10ms",
        "{base: 20ms, max: 1s}",
        "{kind: linear, base: 10ms, step: 30ms, max: 200ms, jitter: equal}",
        "{kind: decorrelated, min: 10ms, max: 1s}",
        "{kind: constant, delay: 50ms, jitter: {extra: 30ms}}",
        "{base: 100ms, factor: 0.5, jitter: {ratio: 0.5}}",
    ]);
    let timeout = pick(&["none", "200ms", "3s", "30s"]);
    let per_try = pick(&["none", "50ms", "1s"]);
    let hint = pick(&["none", "{max: 1s}", "{max: 2s, when_over: cap}", "{max: 1s, when_over: ignore, combine: replace}"]);
    let text = format!(
        "{{max_retries: {retries}, budget: {budget}, backoff: {backoff}, timeout: {timeout}, per_try_timeout: {per_try}, retry_after: {hint}}}"
    );
    let processes = pick(&["1", "2", "7"]);
    let share = pick(&["process", "host"]);
    let rate = pick(&["1", "20", "100"]);
    let failing = pick(&["0.05", "0.5", "1"]);
    let failure = pick(&["status: 503", "status: 429, retry_after: 1s", "error: connect", "error: reset", "error: silent"]);
    let server = pick(&["latency: 10ms", "latency: 100ms, per_concurrent: 5ms", "latency: 20ms, capacity: 2, queue: 50"]);
    let scenario = format!(
        "{{duration: 12s, seeds: 1, processes: {processes}, share: {share}, arrivals: [{{rate: {rate}}}],
          server: {{{server}, failures: [{{from: 2s, share: {failing}, {failure}}}]}}}}"
    );
    let value = Value::from_yaml(&scenario).expect("YAML");
    let surroundings = Surroundings { processes: processes.parse().expect("a number"), one_purse: share == "host", capacity: None };
    (policy(&text), Scenario::from_value(&value).expect(&scenario), surroundings)
}

/// Policies tried: each by a simulation of twelve seconds. The full run of 100,000 is `LINT_POLICIES=100000`.
#[allow(clippy::disallowed_methods)] // a choice of the developer's
fn how_many() -> u64 {
    std::env::var("LINT_POLICIES").ok().and_then(|number| number.parse().ok()).unwrap_or(300)
}

#[test]
fn no_simulation_exceeds_a_bound_and_each_bound_is_reached() {
    let number = |value: &Value| match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        _ => 0.0,
    };
    let mut nearest = [("attempts per call", 0.0_f64), ("attempts with a budget", 0.0), ("longest wait", 0.0), ("longest call", 0.0)];
    for index in 0..how_many() {
        let (policy, scenario, surroundings) = random(index);
        let bounds = lint(&policy, surroundings).bounds;
        let report = simulate(&policy, &scenario);
        let value = report.to_value();
        let at = |path: &[&str]| number(path.iter().fold(value, |value, key| value.get(key).expect(key)));
        let mut check = |which: usize, got: f64, bound: f64, grain: f64| {
            assert!(
                got <= bound + grain,
                "policy {index}: {} is {got}, the bound {bound}\n{}{scenario:?}",
                nearest[which].0,
                policy.to_yaml()
            );
            nearest[which].1 = nearest[which].1.max(got / bound);
        };
        let (calls, attempts) = (at(&["calls"]), at(&["attempts"]));
        let Some(Value::List(by_retries)) = value.get("calls_by_retries") else { panic!("a list") };
        // Calls by 16 retries and more are counted together.
        check(0, by_retries.len().min(16) as f64, f64::from(bounds.attempts).max(1.0), 0.0);
        let budgeted = policy.budget().is_some_and(|spec| matches!(spec.kind, reknock::retry::BudgetKind::Ratio { .. }));
        let bound = bounds.attempts_of(calls as u64, Duration::from_secs(12));
        check(if budgeted { 1 } else { 0 }, attempts, bound.max(1.0), 1e-6);
        let Some(Value::List(waits)) = value.get("waits") else { panic!("a list") };
        let longest = waits.iter().map(|wait| number(wait.get("longest").expect("longest"))).fold(0.0, f64::max);
        if let Some(bound) = bounds.longest_wait.filter(|bound| !bound.is_zero()) {
            check(2, longest, bound.as_secs_f64(), 1e-6);
        }
        if let Some(bound) = bounds.longest_call {
            check(3, at(&["durations", "longest"]), bound.as_secs_f64(), 1e-6);
        }
    }
    for (bound, share) in nearest {
        assert!(share >= 0.9, "{bound}: reached to {share} only");
    }
}
