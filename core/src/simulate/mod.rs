//! What a policy will do before it ships: the shipped machine in virtual time, against a model of a server.
//!
//! Knows `policy` and `retry` alone; reads no clock and no randomness, so that a document and a seed give the same bytes everywhere.

mod agenda;
mod chance;
mod comparison;
mod histogram;
mod measure;
#[cfg(all(test, feature = "client", target_os = "linux"))]
mod on_shared_words;
mod options;
mod page;
mod presets;
mod report;
mod scenario;
mod server;
mod world;

pub use comparison::{Comparison, compare};
pub use options::scenario_blocks;
pub use page::{Section, page};
pub use report::Report;
pub use scenario::Scenario;
#[cfg(all(test, feature = "client"))]
pub(crate) use world::limit as attempt_limit;

use crate::policy::Policy;

/// Runs `policy` through `scenario`, once for each of its seeds.
///
/// Time: about two million attempts per second on one core. Memory: a few hundred bytes for each call in flight. Deterministic.
pub fn simulate(policy: &Policy, scenario: &Scenario) -> Report {
    let runs: Vec<_> = (0..scenario.seeds()).map(|seed| world::run(policy, scenario, seed.into())).collect();
    Report::new(scenario, &runs)
}
