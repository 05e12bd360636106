//! The table behind the default budget: what budgets do in a spike, an outage and a batch job, alone and times many processes.
//!
//! `cargo run --release -p reknock --example budgets > budgets.md`; about a minute.

use reknock::Policy;
use reknock::policy::Value;
use reknock::simulate::{Report, Scenario, simulate};

const SEEDS: i64 = 20;

fn scenario(yaml: &str, processes: i64) -> Scenario {
    let Ok(Value::Map(mut entries)) = Value::from_yaml(yaml) else { panic!("a map: {yaml}") };
    entries.push(("processes".to_owned(), processes.into()));
    entries.push(("seeds".to_owned(), SEEDS.into()));
    Scenario::from_value(&Value::Map(entries)).expect(yaml)
}

fn number(report: &Report, path: &str) -> f64 {
    match path.split('/').try_fold(report.to_value(), |value, key| value.get(key)) {
        Some(Value::Int(number)) => *number as f64,
        Some(Value::Float(number)) => *number,
        _ => f64::NAN,
    }
}

/// The spike: the worst five seconds, and the share of runs that come back.
fn spike(policy: &Policy, processes: i64) -> String {
    let policy = policy
        .merge(&Value::from_yaml("{timeout: none, per_try_timeout: 3s, retry_on: [per-try-timeout]}").expect("YAML"))
        .expect("a policy");
    let report = simulate(&policy, &scenario("{preset: spike}", processes));
    let share = number(&report, "recovery/recovered");
    let back = if share > 0.0 { format!("{:.0} s", number(&report, "recovery/median_seconds")) } else { "never".to_owned() };
    format!("{:.2}, {:.0} % back, {back}", number(&report, "amplification/worst_window/5s/median"), share * 100.0)
}

/// The outage: attempts per call in its worst twenty seconds.
fn outage(policy: &Policy, processes: i64) -> String {
    let report = simulate(policy, &scenario("{preset: outage}", processes));
    format!("{:.2}", number(&report, "amplification/worst_window/20s/median"))
}

/// A batch job: the share of calls that end well, and of those refused by the budget.
fn batch(policy: &Policy, failing: &str) -> String {
    let failures = format!("{{preset: batch, server: {{failures: [{{share: {failing}, status: 503}}]}}}}");
    let report = simulate(policy, &scenario(&failures, 1));
    format!("{:.1} %", number(&report, "goodput/share/median") * 100.0)
}

fn main() {
    println!("| ratio | per second | deposit on | spike x1 | x4 | x16 | x64 | outage x1 | x4 | x16 | x64 | batch 5 % | 40 % |");
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for ratio in ["0.1", "0.2"] {
        for floor in ["1", "2", "5", "10"] {
            for deposit_on in ["call", "success"] {
                let text = format!("{{budget: {{ratio: {ratio}, min_per_second: {floor}, deposit_on: {deposit_on}}}}}");
                let policy = Policy::from_yaml(&text).expect("a policy");
                let mut cells = vec![ratio.to_owned(), floor.to_owned(), deposit_on.to_owned()];
                cells.extend([1, 4, 16, 64].map(|processes| spike(&policy, processes)));
                cells.extend([1, 4, 16, 64].map(|processes| outage(&policy, processes)));
                cells.extend(["0.05", "0.4"].map(|failing| batch(&policy, failing)));
                println!("| {} |", cells.join(" | "));
            }
        }
    }
}
