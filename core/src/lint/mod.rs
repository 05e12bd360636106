//! What is provably true of a policy before it ships: bounds, and findings about settings that contradict each other or do harm.
//!
//! Knows `policy` and `retry` alone. No simulation of a policy exceeds its bounds (a property, tested on random policies).

mod bounds;
mod rules;
mod sarif;

use std::fmt;

pub use bounds::Bounds;
pub use rules::Rule;

use crate::error::Error;
use crate::policy::{Keys, Node, OptionBlock, Policy, Problem, Value, or_none, row};

/// Where the policy will run: what bounds of many clients together depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surroundings {
    /// Processes that send with the policy. From 1.
    pub processes: u32,
    /// Whether the processes share one purse even if the policy does not say `share: host`. One that says so has one.
    pub one_purse: bool,
    /// Requests per second that the server can bear, if it is known: budgets that let more retries through are found.
    pub capacity: Option<f64>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings { processes: 1, one_purse: false, capacity: None }
    }
}

impl Surroundings {
    /// Those of a map with the keys `processes` (1..=1000000), `one_purse` (`true` or `false`) and `capacity` (a number above 0, or none).
    ///
    /// # Errors
    /// `config`: path, rule, value, fix.
    pub fn from_value(document: &Value, keys: Keys) -> Result<Self, Error> {
        let root = Node::root(document, keys);
        let mut surroundings = Surroundings::default();
        for (key, node) in root.fields(&SURROUNDINGS)?.iter() {
            match key {
                "processes" => surroundings.processes = node.whole(1, 1_000_000)? as u32,
                "one_purse" => surroundings.one_purse = node.flag()?,
                _ => surroundings.capacity = or_none(node, positive)?,
            }
        }
        Ok(surroundings)
    }
}

static SURROUNDINGS: OptionBlock = OptionBlock {
    name: "",
    rows: &[
        row("processes", "1..=1000000", "Processes that send with the policy."),
        row("one_purse", "`true` or `false`", "Whether the processes share one purse also without `share: host`."),
        row("capacity", "number above 0, or `none`", "Requests per second that the server can bear."),
    ],
};

fn positive(node: &Node<'_>) -> Result<f64, Problem> {
    let number = node.number()?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err(node.must("be a number above 0")) }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not what was meant, or dangerous in an outage.
    Warning,
    /// A setting that cannot do what it says.
    Error,
}

impl Severity {
    /// `note`, `warning` or `error`: also SARIF's levels.
    pub const fn code(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Something that a rule has to say about a policy.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The key that it is about, for example `retry_after.max`.
    pub path: &'static str,
    /// What is the case, with the values.
    pub text: String,
    /// What would help.
    pub fix: String,
    /// Line and column, from 1, of the key in the policy's file, in whosever words that is; of the nearest thing around it if the key is not written
    /// there. `None` for what is in no file, or nowhere in it.
    pub place: Option<(usize, usize)>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; {} [{}]", self.rule.severity.code(), self.path, self.text, self.fix, self.rule.id)
    }
}

/// The result of [`lint`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Lint {
    /// What is proven.
    pub bounds: Bounds,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

/// Looks at a policy in its surroundings.
pub fn lint(policy: &Policy, surroundings: Surroundings) -> Lint {
    let bounds = Bounds::of(policy, surroundings);
    let mut findings = rules::findings(policy, surroundings, &bounds);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.rule.severity));
    Lint { bounds, findings }
}

/// Looks at each policy of a file of any system, as [`load_all`](crate::policy::load_all) reads it; findings know their place in it.
///
/// # Errors
/// As [`load_all`](crate::policy::load_all).
#[cfg(feature = "documents")]
pub fn lint_file(
    path: impl AsRef<std::path::Path>,
    dialect: Option<crate::policy::Dialect>,
    surroundings: Surroundings,
) -> Result<Vec<(crate::policy::Loaded, Lint)>, Error> {
    let (all, mut places) = crate::policy::load_placed(path.as_ref(), dialect)?;
    let each = |loaded: crate::policy::Loaded| {
        let mut found = lint(&loaded.policy, surroundings);
        for finding in &mut found.findings {
            finding.place = places.of(&loaded, finding.path);
        }
        (loaded, found)
    };
    Ok(all.into_iter().map(each).collect())
}

/// Every rule, in the order of the documentation.
pub fn all_rules() -> &'static [&'static Rule] {
    rules::ALL
}

impl Lint {
    /// The worst severity found, if anything was.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.rule.severity).max()
    }

    /// Bounds and findings by names that do not change.
    pub fn to_value(&self) -> Value {
        let finding = |finding: &Finding| {
            let mut entries = vec![
                ("rule", Value::from(finding.rule.id)),
                ("severity", finding.rule.severity.code().into()),
                ("path", finding.path.into()),
                ("text", finding.text.as_str().into()),
                ("fix", finding.fix.as_str().into()),
            ];
            entries.extend(finding.place.into_iter().flat_map(|(line, column)| [("line", line.into()), ("column", column.into())]));
            Value::map(entries)
        };
        Value::map([("bounds", self.bounds.to_value()), ("findings", Value::list(self.findings.iter().map(finding)))])
    }
}

/// Findings as SARIF 2.1.0, which forges and editors read. `file` is the policies' file as the reader of the result knows it.
pub fn sarif(findings: &[Finding], file: &str) -> String {
    sarif::write(findings, file)
}

/// For people: a line per bound, then a line per finding.
impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bounds.fmt(f)?;
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}
