//! The simulator against published experiments, and what it promises of itself. Everything is virtual time.

mod experiments;
mod scenarios;
mod vectors;

use reknock::Policy;
use reknock::policy::Value;
use reknock::simulate::{Report, Scenario, simulate};

fn policy(yaml: &str) -> Policy {
    Policy::from_yaml(yaml).expect("a policy of a test")
}

fn scenario(yaml: &str) -> Scenario {
    Scenario::from_value(&Value::from_yaml(yaml).expect("YAML of a test")).expect("a scenario of a test")
}

/// The value at a path of keys.
fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |value, key| value.get(key).unwrap_or_else(|| panic!("no {key} in {value}")))
}

fn number(report: &Report, path: &[&str]) -> f64 {
    match at(report.to_value(), path) {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Null => f64::NAN,
        other => panic!("{path:?} is {other}"),
    }
}

/// Runs a policy through a scenario, both as documents.
fn run(policy_yaml: &str, scenario_yaml: &str) -> Report {
    simulate(&policy(policy_yaml), &scenario(scenario_yaml))
}
