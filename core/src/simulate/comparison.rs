//! Several policies in one scenario.

use std::collections::HashSet;

use super::page::{Section, page};
use super::report::Report;
use super::scenario::Scenario;
use super::simulate;
use crate::error::Error;
use crate::policy::{Policy, Problem, Value};

/// What each of several policies did in the same scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Each policy's name and result, in the order that was given.
    pub results: Vec<(String, Report)>,
    title: String,
}

/// Runs each of these policies, which have different names, through `scenario`: as [`simulate`], one after the other.
///
/// # Errors
/// `config`: there is none, or two have the same name.
pub fn compare(policies: impl IntoIterator<Item = (String, Policy)>, scenario: &Scenario) -> Result<Comparison, Error> {
    let policies: Vec<_> = policies.into_iter().collect();
    if policies.is_empty() {
        return Err(Problem::new("policies", "must hold at least one").into());
    }
    let mut known = HashSet::new();
    if let Some((name, _)) = policies.iter().find(|(name, _)| !known.insert(name)) {
        return Err(Problem::must("policies", "have different names", &name.as_str().into()).into());
    }
    Ok(Comparison::of(scenario, policies.into_iter().map(|(name, policy)| (name, simulate(&policy, scenario))).collect()))
}

impl Comparison {
    pub(crate) fn of(scenario: &Scenario, results: Vec<(String, Report)>) -> Self {
        let runs = if scenario.seeds == 1 { "one run".to_owned() } else { format!("{} runs", scenario.seeds) };
        Comparison { title: format!("{}: what policies do in {runs}", scenario.name), results }
    }

    /// Whether every rule of `expect` holds for every policy.
    pub fn passed(&self) -> bool {
        self.results.iter().all(|(_, report)| report.passed())
    }

    /// The results by their policies' names, as JSON: the same bytes for the same policies, scenario and seeds on every surface.
    pub fn to_json(&self) -> String {
        Value::map(self.results.iter().map(|(name, report)| (name.as_str(), report.to_value().clone()))).to_json()
    }

    /// A page with a table and pictures: goodput and load, amplification, what budgets hold, waits. One HTML file, light and dark, no network, no script.
    pub fn to_html(&self) -> String {
        page(&self.title, &[Section { heading: String::new(), results: self.results.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::policy::Policy;
    use crate::simulate::Scenario;

    #[test]
    fn policies_are_told_apart_by_name() {
        let scenario = Scenario::preset("batch").expect("a preset");
        let of = |names: &[&str]| compare(names.iter().map(|name| ((*name).to_owned(), Policy::none())), &scenario);
        assert_eq!(of(&[]).expect_err("none").to_string(), "policies: must hold at least one");
        assert_eq!(of(&["a", "b", "a"]).expect_err("twice").to_string(), "policies: must have different names, got \"a\"");
        let both = of(&["<b>", "a"]).expect("two");
        assert!(both.passed() && both.to_json().starts_with("{\"<b>\": {\"scenario\": \"batch\"") && both.to_json().contains(", \"a\": {"));
        let page = both.to_html();
        assert!(page.contains("<title>batch: what policies do in 5 runs</title>") && page.contains("&lt;b&gt;</td>"), "{page}");
    }
}
