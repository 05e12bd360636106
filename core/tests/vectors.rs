//! The vectors of budgets, back-off and server hints. The format of each file is told in the file.

mod support;

use std::time::Duration;

use reknock::retry::{Backoff, Budget, BudgetKind, Call, DepositOn, Outcome, Retry, draw, mix};
use reknock::{Policy, Tick, UnixTime};
use serde_json::Value as Json;
use support::{counted, vector};

#[test]
fn budgets() {
    let file = vector("budget.json");
    let mut count = 0;
    for case in file["cases"].as_array().expect("cases") {
        let budget = Budget::new(ratio(case));
        for step in case["steps"].as_array().expect("steps") {
            let now = tick(step["t"].as_f64().expect("t"));
            for _ in 0..step["deposit"].as_u64().unwrap_or(0) {
                budget.deposit(now);
            }
            if let Some(tries) = step["withdraw"].as_u64() {
                let granted = (0..tries).filter(|_| budget.try_withdraw(now)).count() as u64;
                assert_eq!(Some(granted), step["granted"].as_u64(), "{}: {step}", case["name"]);
            }
            if let Some(balance) = step["balance"].as_i64() {
                assert_eq!(budget.reading(now).balance, balance, "{}: {step}", case["name"]);
            }
            count += 1;
        }
    }
    counted(count, 54);
}

#[test]
fn budget_ratios_are_exact() {
    let list = &vector("budget.json")["ratio_list"];
    let ratios = list["ratios"].as_array().expect("ratios");
    for ratio in ratios {
        let ratio = ratio.as_f64().expect("a number");
        let millionths = (ratio * 1e6).round() as u64;
        let budget = Budget::new(BudgetKind::Ratio {
            ratio_millionths: millionths,
            min_per_second: 0,
            ttl: Duration::from_secs(10),
            deposit_on: DepositOn::Call,
        });
        let granted = (0..10_000)
            .filter(|_| {
                budget.deposit(Tick(0));
                budget.try_withdraw(Tick(0))
            })
            .count() as u64;
        assert_eq!(granted, millionths / 100, "ratio {ratio}");
    }
    counted(ratios.len(), 16);
}

#[test]
fn concurrency_budgets() {
    let file = vector("budget.json");
    let cases = file["concurrency"]["cases"].as_array().expect("cases");
    for case in cases {
        let number = |index: usize| case[index].as_u64().expect("a number");
        let (percent, min, active, held) = (number(0), number(1), number(2), number(3));
        let policy = support::concurrency_policy(percent, u32::try_from(min).expect("small"));
        let budget = std::sync::Arc::new(Budget::new(policy.budget().expect("a budget").kind));
        let begin = || Retry::begin(&policy, GET, Some(std::sync::Arc::clone(&budget)), 0, 0, Tick(0));
        // Sends in flight: the failing one is among them. Where the vector has none in flight it is left out of the count.
        let mut others: Vec<Retry> = (0..active).map(|_| begin()).collect();
        others.iter_mut().for_each(|call| {
            call.attempt(Tick(0));
        });
        let granted = (0..=held).filter(|_| budget.try_withdraw(Tick(0))).count() as u64;
        assert_eq!(granted > held, case[4].as_bool().expect("a verdict"), "{case}");
        drop(others);
    }
    counted(cases.len(), 11);
}

#[test]
fn hints() {
    let file = vector("retry_after.json");
    let cases = file["cases"].as_array().expect("cases");
    for case in cases {
        let mut document = serde_json::json!({"statuses": [503], "retry_after": {"spread": 0, "max": "none"}});
        if let Some(config) = case["config"].as_object() {
            document["retry_after"]["headers"] = config["headers"].clone();
        }
        let policy = support::policy(&document);
        let headers: Vec<(&str, &str)> = case["headers"]
            .as_object()
            .expect("headers")
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().expect("text")))
            .collect();
        let mut retry = Retry::begin(&policy, GET, None, 0, 0, Tick(0));
        let verdict = retry.classify(Outcome::Response { status: 503, headers: &headers.as_slice() }, NOW);
        match &case["hint_ms"] {
            Json::Null => assert_eq!(verdict.hint, None, "{case}"),
            Json::String(_) => assert!(verdict.hint.is_some_and(|hint| hint > Duration::from_secs(1 << 33)), "{case}: {verdict:?}"),
            wanted => assert_eq!(verdict.hint.map(|hint| hint.as_millis() as u64), wanted.as_u64(), "{case}"),
        }
    }
    counted(cases.len(), 40);
}

#[test]
fn backoff() {
    let file = vector("backoff.json");
    let mut count = 0;
    for case in file["cases"].as_array().expect("cases") {
        let policy = support::policy(&serde_json::json!({"backoff": case["backoff"]}));
        let first = case["from_retry"].as_u64().unwrap_or(1) as u32;
        let mut previous = Duration::ZERO;
        for (index, wanted) in case["waits"].as_array().expect("waits").iter().enumerate() {
            let u = case["u"].as_f64().or_else(|| case["u"][index].as_f64()).expect("a draw");
            let wait = policy.backoff().wait(first + index as u32, previous, u);
            previous = wait;
            let (got, wanted) = (wait.as_secs_f64() * 1e3, wanted.as_f64().expect("ms"));
            assert!((got - wanted).abs() <= 0.5_f64.max(wanted * 1e-6), "{}: retry {} waits {got}, not {wanted}", case["name"], index + 1);
            within_range(policy.backoff(), first + index as u32, wait);
            count += 1;
        }
    }
    counted(count, 111);
}

/// Runners that cannot choose a draw choose a seed.
#[test]
fn seeds_draw_what_the_waits_need() {
    let file = vector("backoff.json");
    let drawn = |seed: &Json, n: usize| draw(mix(seed.as_str().and_then(|seed| seed.parse().ok()).expect("a seed"), 0), (n as u64 - 1) * 2);
    let mut count = 0;
    for (u, seeds) in file["seeds"].as_object().expect("seeds") {
        for (seed, n) in seeds.as_array().expect("a list").iter().zip(1..) {
            assert!((drawn(seed, n) - u.parse::<f64>().expect("a draw")).abs() < 1e-4, "{seed} for retry {n}");
            count += 1;
        }
    }
    for case in file["cases"].as_array().expect("cases").iter().filter(|case| case.get("seed").is_some()) {
        // The first wait is drawn from nothing.
        for n in 2..=case["waits"].as_array().expect("waits").len() {
            let u = case["u"].as_f64().or_else(|| case["u"][n - 1].as_f64()).expect("a draw");
            assert!((drawn(&case["seed"], n) - u).abs() < 0.025, "{}: retry {n}", case["name"]);
            count += 1;
        }
    }
    counted(count, 13 + 22);
}

fn within_range(backoff: &Backoff, n: u32, wait: Duration) {
    let (least, most) = backoff.range(n);
    assert!(least <= wait && wait <= most, "retry {n}: {wait:?} outside {least:?}..={most:?}");
}

const GET: Call<'_> = Call { method: "GET", has_idempotency_key: false, asked: false };

/// 2026-11-22T12:00:00Z
const NOW: UnixTime = UnixTime(1_795_348_800_000);

fn tick(seconds: f64) -> Tick {
    Tick((seconds * 1e9).round() as u64)
}

fn ratio(case: &Json) -> BudgetKind {
    BudgetKind::Ratio {
        ratio_millionths: (case["ratio"].as_f64().expect("ratio") * 1e6).round() as u64,
        min_per_second: case["min_per_second"].as_u64().expect("min") as u32,
        ttl: Duration::from_secs_f64(case["ttl_s"].as_f64().expect("ttl")),
        deposit_on: DepositOn::Call,
    }
}

#[test]
fn default_policy_is_what_the_vectors_assume() {
    assert_eq!(Policy::default().max_retries(), 2);
}
