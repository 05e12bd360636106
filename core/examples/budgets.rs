//! The table behind the default budget, in docs/decisions.md: what each of several budgets does in a spike, an outage and a batch job.
//!
//! `cargo run --release -p reknock --example budgets`

use reknock::Policy;
use reknock::policy::Value;
use reknock::simulate::{Report, Scenario, simulate};

const PROCESSES: [u32; 4] = [1, 4, 16, 64];

const HEAD: &str = "\
| ratio | per second | deposit on | spike 1 / 4 / 16 / 64 | outage 1 / 4 / 16 / 64 | batch 5 % | batch 40 % |
| --- | --- | --- | --- | --- | --- | --- |
";

fn number(report: &Report, path: &str) -> f64 {
    match path.split('/').try_fold(report.to_value(), |value, key| value.get(key)) {
        Some(Value::Int(number)) => *number as f64,
        Some(Value::Float(number)) => *number,
        other => panic!("{path} is {other:?}"),
    }
}

fn run(policy: &str, scenario: &str) -> Report {
    let policy = Policy::from_yaml(policy).expect("a policy");
    let scenario = Scenario::from_value(&Value::from_yaml(scenario).expect("YAML")).expect("a scenario");
    simulate(&policy, &scenario)
}

fn each_number_of_processes(cell: impl Fn(u32) -> String) -> String {
    PROCESSES.map(cell).join(" / ")
}

fn main() {
    print!("{HEAD}");
    for deposit_on in ["success", "call"] {
        for ratio in ["0.1", "0.2"] {
            for per_second in [1, 2, 5, 10] {
                let budget = format!("budget: {{ratio: {ratio}, min_per_second: {per_second}, deposit_on: {deposit_on}}}");
                let spike = each_number_of_processes(|processes| {
                    let impatient =
                        format!("{{{budget}, timeout: none, per_try_timeout: 3s, retry_on: [per-try-timeout, connect-failure]}}");
                    let report = run(&impatient, &format!("{{preset: spike, seeds: 20, processes: {processes}}}"));
                    format!("{:.0} %", number(&report, "recovery/recovered") * 100.0)
                });
                let outage = each_number_of_processes(|processes| {
                    let report = run(&format!("{{{budget}}}"), &format!("{{preset: outage, seeds: 20, processes: {processes}}}"));
                    format!("{:.2}", number(&report, "amplification/worst_window/5s/median"))
                });
                let batch = |failing: f64| {
                    let scenario =
                        format!("{{preset: batch, duration: 10m, seeds: 20, server: {{failures: [{{share: {failing}, status: 503}}]}}}}");
                    format!("{:.1} %", number(&run(&format!("{{{budget}}}"), &scenario), "goodput/share/median") * 100.0)
                };
                println!("| {ratio} | {per_second} | {deposit_on} | {spike} | {outage} | {} | {} |", batch(0.05), batch(0.4));
            }
        }
    }
}
