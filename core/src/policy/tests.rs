//! Builders and typed values: the rules that no document can break, and the way back.

use std::time::Duration;

use super::{Compat, Policy, PolicyBuilder, Value, option_blocks};
use crate::retry::{
    Backoff, BudgetKind, BudgetSpec, Condition, Conditions, DepositOn, HeaderMatcher, HintHeader, Jitter, Methods, RetryAfter, Scope,
    Share, StatusSet, Test,
};

const SECOND: Duration = Duration::from_secs(1);

fn message(builder: PolicyBuilder) -> String {
    builder.build().expect_err("an error").to_string()
}

fn exponential(base: Duration, factor: f64, max: Duration, jitter: Jitter) -> Backoff {
    Backoff::Exponential { base, factor, max, first_uncapped: false, jitter }
}

fn ratio(ratio_millionths: u64, ttl: Duration) -> BudgetSpec {
    BudgetSpec {
        kind: BudgetKind::Ratio { ratio_millionths, min_per_second: 1, ttl, deposit_on: DepositOn::Call },
        scope: Scope::Origin,
        share: Share::Process,
    }
}

#[test]
fn builders_obey_the_rules_of_documents() {
    let new = Policy::builder;
    let cases = [
        (new().max_retries(1001), "max_retries: must be a whole number from 0 to 1000, got 1001"),
        (new().timeout(Duration::ZERO), "timeout: must be more than zero, got \"0s\"; write none for no limit"),
        (new().idle_timeout(Duration::MAX), "idle_timeout: must be at most 584 years, got \"5124095576030431h15s999999999ns\""),
        (new().backoff(exponential(SECOND, f64::NAN, SECOND, Jitter::None)), "backoff.factor: must be a finite number above 0, got NaN"),
        (new().backoff(exponential(SECOND, 2.0, SECOND / 2, Jitter::None)), "backoff.max: must be at least base (1s), got \"500ms\""),
        (
            new().backoff(exponential(SECOND, 2.0, SECOND, Jitter::Ratio(-1.0))),
            "backoff.jitter.ratio: must be a number from 0 to 1, got -1",
        ),
        (new().backoff(Backoff::Sequence { delays: [].into(), jitter: Jitter::None }), "backoff.delays: must have 1 to 1000 items, got 0"),
        (
            new().retry_after(RetryAfter { spread: f64::INFINITY, ..Default::default() }),
            "retry_after.spread: must be a number from 0 to 1, got inf",
        ),
        (
            new().retry_after(RetryAfter {
                headers: vec![HintHeader { name: "a:".to_owned(), format: Default::default() }],
                ..Default::default()
            }),
            "retry_after.headers[0].name: must be a header name, got \"a:\"",
        ),
        (
            new().budget(ratio(1_000_000_001, SECOND)),
            "budget.ratio: must be a number from 0 to 1000 with at most 6 decimals, got 1000.000001",
        ),
        (new().budget(ratio(0, SECOND / 2)), "budget.ttl: must be from 1s to 60s, got \"500ms\""),
        (
            new().budget(BudgetSpec { scope: Scope::Name(" ".to_owned()), ..Default::default() }),
            "budget.name: must be 1 to 200 characters of text, got \" \"",
        ),
        (
            new().methods(Methods::List(vec!["GET".to_owned(), "get".to_owned()])),
            "methods[1]: must be a method, got \"get\"; did you mean \"GET\"?",
        ),
        (new().attempt_header("a b"), "attempt_header: must be a header name, got \"a b\""),
        (new().max_body_buffer(u64::MAX), "max_body_buffer: must be at most 1TiB, got 18446744073709551615"),
        (
            new().retry_on(Conditions::NONE.with(Condition::RetriableStatusCodes)),
            "retry_on: \"retriable-status-codes\" needs statuses, and there are none",
        ),
    ];
    for (builder, expected) in cases {
        assert_eq!(message(builder), expected);
    }
}

#[test]
fn the_first_mistake_in_the_order_of_the_documentation_is_told() {
    let builder = Policy::builder().max_body_buffer(u64::MAX).timeout(Duration::ZERO);
    assert!(message(builder).starts_with("timeout: "));
}

#[test]
fn conditions_without_statuses_mean_no_statuses() {
    let reset = Conditions::NONE.with(Condition::Reset);
    let policy = Policy::builder().retry_on(reset).build().expect("valid");
    assert_eq!(policy.statuses(), &StatusSet::NONE);
    let policy = Policy::builder().statuses(StatusSet::of(&[503])).retry_on(reset).build().expect("valid");
    assert_eq!(policy.statuses(), &StatusSet::of(&[503]));
    assert_eq!(policy.to_builder().max_retries(1).build().expect("valid").statuses(), &StatusSet::of(&[503]));
    assert_eq!(policy.to_builder().retry_on(reset).build().expect("valid").statuses(), &StatusSet::NONE);
}

#[test]
fn names_are_in_lower_case() {
    let matcher = HeaderMatcher { name: "X-Retry".to_owned(), test: Test::Present(true), invert: false };
    let policy = Policy::builder().response_headers([matcher]).attempt_header("X-Attempt").build().expect("valid");
    assert_eq!(policy.response_headers()[0].name, "x-retry");
    assert_eq!(policy.attempt_header(), Some("x-attempt"));
}

#[test]
fn what_a_route_keeps_aside_goes_with_its_key() {
    let with = |compat: Value| Policy::from_value(&Value::from([("compat", compat)])).expect("valid");
    let block = [("kind", Value::from("envoy")), ("retriable_status_codes", vec![404].into()), ("per_try_timeout", "9s".into())];
    let route = with(Value::from(block));
    assert_eq!(route.compat(), Some(Compat::Envoy));
    assert_ne!(route, with("envoy".into()));
    let build = |builder: PolicyBuilder| builder.build().expect("valid").to_value().get("compat").map(Value::to_string);
    assert_eq!(build(route.to_builder().max_retries(1)), route.to_value().get("compat").map(Value::to_string));
    assert_eq!(build(route.to_builder().per_try_timeout(SECOND)).as_deref(), Some("{kind: envoy, retriable_status_codes: [404]}"));
    assert_eq!(build(route.to_builder().compat(Compat::Envoy)).as_deref(), Some("envoy"));
    assert_eq!(build(route.to_builder().compat(None)).as_deref(), Some("none"));
}

#[test]
fn a_seed_survives_merging_and_stays_out_of_documents() {
    let policy = Policy::builder().seed(7).build().expect("valid");
    let merged = policy.merge(&Value::from([("max_retries", 1)])).expect("valid");
    assert_eq!((merged.seed(), merged.max_retries()), (Some(7), 1));
    assert_eq!(policy.to_string(), "{}");
    assert_eq!(policy.to_value().get("seed"), None);
}

#[test]
fn ratios_are_exact() {
    for millionths in (0..=2_000_000).step_by(37).chain([1, 100_000, 350_000, 999_999_999, 1_000_000_000]) {
        let written = Policy::builder().budget(ratio(millionths, SECOND)).build().expect("valid").to_value();
        let read = Policy::from_value(&written).expect("its own document");
        assert_eq!(read.budget(), Some(&ratio(millionths, SECOND)));
    }
}

#[test]
fn the_table_and_the_writer_know_the_same_keys() {
    let Value::Map(written) = Policy::default().to_value() else { panic!("a map") };
    let written: Vec<_> = written.iter().map(|(key, _)| key.as_str()).collect();
    let table: Vec<_> = option_blocks()[0].rows.iter().map(|row| row.key).collect();
    assert_eq!(written, table);
    for (block, rows) in [("backoff", 6), ("retry_after", 5), ("budget", 6)] {
        let document = Policy::default().to_value();
        let Some(Value::Map(entries)) = document.get(block) else { panic!("{block}") };
        let table = option_blocks().into_iter().find(|table| table.name == block).expect(block);
        assert!(entries.iter().all(|(key, _)| table.rows.iter().any(|row| row.key == key)));
        assert_eq!(entries.len(), rows, "{block}");
    }
}

#[test]
fn hosts_values_become_documents() {
    assert_eq!(Value::from(u64::MAX), Value::Big("18446744073709551615".to_owned()));
    assert_eq!(Value::from(None::<bool>), Value::Null);
    let document = Value::from([("max_retries", Value::from(4)), ("statuses", vec![502, 503].into()), ("budget", false.into())]);
    assert_eq!(Policy::from_value(&document).expect("valid").to_string(), "{max_retries: 4, statuses: [502, 503], budget: none}");
}
