//! What a policy will do before it ships: `simulate`, `lint`, and the commands that need no network.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping};
use reknock::lint::{self as core_lint, Surroundings};
use reknock::policy::{Keys, Value};
use reknock::simulate::{self as core_simulate, Scenario};
use reknock::{Policy as Core, command};

use crate::convert::{from_value, to_value};
use crate::errors::raised;
use crate::policy::chosen;

/// What a policy did in a scenario.
#[pyclass(frozen, module = "reknock")]
pub struct Report(core_simulate::Report);

#[pymethods]
impl Report {
    /// Whether every rule of the scenario's `expect` holds.
    #[getter]
    fn passed(&self) -> bool {
        self.0.passed()
    }

    /// Everything: counts are sums over the runs, `median`, `least` and `most` are over the runs, series are means by second, times are seconds.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_value(py, self.0.to_value())
    }

    /// The same as JSON: the same bytes for the same policy, scenario and seeds in every language.
    fn to_json(&self) -> String {
        self.0.to_json()
    }
}

/// What each of several policies did in the same scenario.
#[pyclass(frozen, module = "reknock")]
pub struct Comparison(core_simulate::Comparison);

#[pymethods]
impl Comparison {
    /// The reports by their policies' names.
    #[getter]
    fn reports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let reports = PyDict::new(py);
        self.0.results.iter().try_for_each(|(name, report)| reports.set_item(name, Report(report.clone())))?;
        Ok(reports)
    }

    /// Whether every rule of the scenario's `expect` holds for every policy.
    #[getter]
    fn passed(&self) -> bool {
        self.0.passed()
    }

    /// The reports by name as JSON: the same bytes for the same policies, scenario and seeds in every language.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// A page with a table and pictures. One HTML file, light and dark, no network, no script.
    fn to_html(&self) -> String {
        self.0.to_html()
    }
}

/// What is provably true of a policy.
#[pyclass(frozen, module = "reknock")]
pub struct Lint(core_lint::Lint);

#[pymethods]
impl Lint {
    /// Proven bounds by name; None is no bound, durations are text.
    #[getter]
    fn bounds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_value(py, &self.0.bounds.to_value())
    }

    /// What was found, the worst first: dicts with rule, severity, path, text and fix.
    #[getter]
    fn findings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.0.to_value().get("findings") {
            Some(findings) => from_value(py, findings),
            None => Ok(PyList::empty(py).into_any()),
        }
    }

    /// The worst severity found: "note", "warning", "error", or None.
    #[getter]
    fn worst(&self) -> Option<&'static str> {
        self.0.worst().map(core_lint::Severity::code)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }
}

fn policy_of(policy: &Bound<'_, PyAny>) -> PyResult<Core> {
    Ok(chosen(&Core::default(), policy)?.unwrap_or_default())
}

/// Runs a policy through a scenario, in virtual time: the name of a preset, or a dict.
#[pyfunction]
pub fn simulate(py: Python<'_>, policy: &Bound<'_, PyAny>, scenario: &Bound<'_, PyAny>) -> PyResult<Report> {
    let policy = policy_of(policy)?;
    let scenario = Scenario::from_value(&to_value(scenario)?).map_err(|error| raised(py, &error))?;
    Ok(Report(py.detach(|| core_simulate::simulate(&policy, &scenario))))
}

/// Runs several policies, by name, through the same scenario.
#[pyfunction]
pub fn compare(py: Python<'_>, policies: &Bound<'_, PyMapping>, scenario: &Bound<'_, PyAny>) -> PyResult<Comparison> {
    let each = policies.items()?.iter().map(|item| {
        let (name, policy): (String, Bound<'_, PyAny>) = item.extract()?;
        Ok((name, policy_of(&policy)?))
    });
    let policies = each.collect::<PyResult<Vec<_>>>()?;
    let scenario = Scenario::from_value(&to_value(scenario)?).map_err(|error| raised(py, &error))?;
    py.detach(|| core_simulate::compare(policies, &scenario)).map(Comparison).map_err(|error| raised(py, &error))
}

/// Looks at a policy: bounds that are proven, and settings that contradict each other or do harm. Keywords say where it will run.
#[pyfunction]
#[pyo3(signature = (policy, **surroundings))]
pub fn lint(py: Python<'_>, policy: &Bound<'_, PyAny>, surroundings: Option<&Bound<'_, PyDict>>) -> PyResult<Lint> {
    let policy = policy_of(policy)?;
    let surroundings = surroundings.map_or(Ok(Value::EMPTY), |surroundings| to_value(surroundings))?;
    let surroundings = Surroundings::from_value(&surroundings, Keys::Snake).map_err(|error| raised(py, &error))?;
    Ok(Lint(core_lint::lint(&policy, surroundings)))
}

/// Runs a command that needs no network: what it prints to stdout and stderr, and its exit status; None if it is another one.
#[pyfunction]
pub fn command_run(py: Python<'_>, program: &str, arguments: Vec<String>) -> Option<(String, String, u8)> {
    let finished = py.detach(|| command::run(program, &arguments))?;
    Some((finished.out, finished.err, finished.status))
}
