//! The page behind the README's picture: policies in a spike, alone and times 64 processes.
//!
//! `cargo run --release -p reknock --example storm > docs/examples/storm.html`

use reknock::Policy;
use reknock::policy::Value;
use reknock::simulate::{Scenario, Section, compare, page};

/// What the clients of the spike have in common: they give up on a request after three seconds, and try again.
const COMMON: &str = "{timeout: none, per_try_timeout: 3s, retry_on: [per-try-timeout, connect-failure]}";

/// Name, and what differs from the common.
const POLICIES: &[(&str, &str)] = &[
    ("no retries", "max_retries: 0"),
    ("retries without a budget", "budget: none"),
    ("reknock's default", "{}"),
    ("reknock's default with share: host", "budget: {share: host}"),
    ("linkerd 1.x: 20 % on call, 10 per second", "{backoff: none, budget: {ratio: 0.2, min_per_second: 10, deposit_on: call}}"),
    (
        "Envoy: 20 % of what is in flight, at least 3",
        "{backoff: {base: 25ms, max: 250ms}, budget: {kind: concurrency, percent: 20, min: 3}}",
    ),
];

fn main() {
    let common = Policy::from_yaml(COMMON).expect("a policy");
    let policies = POLICIES.iter().map(|(name, text)| {
        let policy = common.merge(&Value::from_yaml(text).expect("YAML")).expect("a policy");
        ((*name).to_owned(), policy)
    });
    let policies: Vec<_> = policies.collect();
    let section = |processes: i64| {
        let keys = [("preset", Value::from("spike")), ("seeds", 20_i64.into()), ("processes", processes.into())];
        let scenario = Scenario::from_value(&Value::from(keys)).expect("a scenario");
        let heading = if processes == 1 { "One process".to_owned() } else { format!("{processes} processes on one host") };
        let results = compare(policies.iter().cloned(), &scenario).expect("names that differ").results;
        Section { heading, results }
    };
    print!(
        "{}",
        page(
            "Five seconds too many: 48 calls per second, 80 for five seconds, a server that slows down under load",
            &[section(1), section(64)]
        )
    );
}
