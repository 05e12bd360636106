//! What a policy will do before it ships: `simulate`, `lint`, and the commands that need no network.

use napi::bindgen_prelude::Unknown;
use napi::{Env, Result};
use napi_derive::napi;
use reknock::lint::{Severity, Surroundings, lint};
use reknock::simulate::{Scenario, compare, simulate};
use reknock::{Policy, command};

use crate::error::or_throw;
use crate::policy::chosen;
use crate::value::{KEYS, to_value};

fn policy_of(env: &Env, policy: Unknown<'_>) -> Result<Policy> {
    Ok(chosen(env, &Policy::default(), policy)?.unwrap_or_default())
}

/// Runs a policy through a scenario: the result as JSON, and whether every rule of `expect` holds.
#[napi(catch_unwind)]
pub fn simulate_policy(env: &Env, policy: Unknown<'_>, scenario: Unknown<'_>) -> Result<(String, bool)> {
    let policy = policy_of(env, policy)?;
    let scenario = or_throw(env, Scenario::from_value(&to_value(scenario)?))?;
    let report = simulate(&policy, &scenario);
    Ok((report.to_json(), report.passed()))
}

/// Of each policy the result and whether `expect` holds; all as JSON; the page.
type Compared = (Vec<(String, bool)>, String, String);

/// Runs policies through the same scenario, each under the name at its place.
#[napi(catch_unwind)]
pub fn compare_policies(env: &Env, names: Vec<String>, policies: Vec<Unknown<'_>>, scenario: Unknown<'_>) -> Result<Compared> {
    let policies = names.into_iter().zip(policies).map(|(name, policy)| Ok((name, policy_of(env, policy)?)));
    let policies = policies.collect::<Result<Vec<_>>>()?;
    let scenario = or_throw(env, Scenario::from_value(&to_value(scenario)?))?;
    let all = or_throw(env, compare(policies, &scenario))?;
    Ok((all.results.iter().map(|(_, report)| (report.to_json(), report.passed())).collect(), all.to_json(), all.to_html()))
}

/// Looks at a policy: bounds and findings as JSON, as text, and the worst severity.
#[napi(catch_unwind)]
pub fn lint_policy(env: &Env, policy: Unknown<'_>, surroundings: Unknown<'_>) -> Result<(String, String, Option<&'static str>)> {
    let policy = policy_of(env, policy)?;
    let surroundings = or_throw(env, Surroundings::from_value(&to_value(surroundings)?, KEYS))?;
    let lint = lint(&policy, surroundings);
    Ok((lint.to_value().to_json(), lint.to_string(), lint.worst().map(Severity::code)))
}

/// Runs a command that needs no network: what it prints to stdout and stderr, and its exit status; null if it is another one.
#[napi(catch_unwind)]
pub fn command_run(program: String, arguments: Vec<String>) -> Option<(String, String, u32)> {
    command::run(&program, &arguments).map(|finished| (finished.out, finished.err, finished.status.into()))
}
