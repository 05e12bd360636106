//! Policy sets.

use std::hash::{Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};
use reknock::policy::{PolicySet as Core, Value};

use crate::convert::{from_value, to_value};
use crate::errors::raised;
use crate::policy::{LoadedPolicy, Policy, dialect_of, unread};

/// Policies, and rules that say which of them a request has: the first rule that matches its host, path, method, header fields and query, else
/// the default. `Client(policy=set)` chooses for each call by its first URL. Immutable.
///
/// A document is `{policies: {name: policy}, rules: [{match: {host, path, methods, headers, query}, policy: name}], default: name}`; a policy's is a
/// set of one. The files of Envoy, the Gateway API, Istio and linkerd2 become sets by their own matches.
#[pyclass(frozen, eq, hash, module = "reknock")]
#[derive(Clone, PartialEq)]
pub struct PolicySet(pub Core);

impl Hash for PolicySet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_json().hash(state);
    }
}

/// What a client is given for a policy: a `PolicySet`, a `Policy`, a document of either, False for no retries, None for the defaults.
pub fn chosen(policy: &Bound<'_, PyAny>) -> PyResult<Core> {
    if policy.is_none() {
        return Ok(Core::default());
    }
    if let Ok(set) = policy.cast::<PolicySet>() {
        return Ok(set.get().0.clone());
    }
    if let Ok(policy) = policy.cast::<Policy>() {
        return Ok(policy.get().0.clone().into());
    }
    Core::from_value(&to_value(policy)?).map_err(|error| raised(policy.py(), &error))
}

#[pymethods]
impl PolicySet {
    #[new]
    fn new(document: &Bound<'_, PyAny>) -> PyResult<Self> {
        chosen(document).map(PolicySet)
    }

    /// The set of a file (.yaml, .yml, .json, .toml, .bal): ours, a policy's, or another system's; the dialect is recognised unless it is named.
    ///
    /// `watch=True`: a client that has it follows the file. Its calls look at it at most once a second, and go on with what they have until a change is
    /// read. What cannot be read changes nothing: `client.policy_error` says why.
    #[classmethod]
    #[pyo3(signature = (path, dialect=None, *, watch=false))]
    fn load(class: &Bound<'_, PyType>, path: std::path::PathBuf, dialect: Option<&str>, watch: bool) -> PyResult<Self> {
        let py = class.py();
        let load = || {
            let dialect = dialect_of(dialect)?;
            if watch { Core::watch(&path, dialect) } else { Core::load(&path, dialect) }
        };
        py.detach(load).map(PolicySet).map_err(|error| unread(py, &path, &error))
    }

    /// The set of a text or of a document, likewise.
    #[classmethod]
    #[pyo3(signature = (document, dialect=None))]
    fn read(_: &Bound<'_, PyType>, document: &Bound<'_, PyAny>, dialect: Option<&str>) -> PyResult<Self> {
        let py = document.py();
        let dialect = dialect_of(dialect).map_err(|error| raised(py, &error))?;
        let read = match document.cast::<PyString>() {
            Ok(text) => Core::read(text.to_str()?, dialect),
            Err(_) => Core::read_value(&to_value(document)?, dialect),
        };
        read.map(PolicySet).map_err(|error| raised(py, &error))
    }

    /// The policies, with their names.
    #[getter]
    fn policies(&self) -> Vec<LoadedPolicy> {
        self.0.policies().iter().cloned().map(LoadedPolicy).collect()
    }

    /// The rules in the order they are tried: dicts with `match` and the name of the `policy`.
    #[getter]
    fn rules<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let name = |at: usize| Value::from(self.0.policies()[at].name.as_deref());
        let rules = self.0.rules().iter().map(|rule| Value::from([("match", rule.match_value()), ("policy", name(rule.policy))]));
        from_value(py, &Value::List(rules.collect()))
    }

    /// The name of the policy of requests that no rule is for; None: reknock's defaults, or the only policy.
    #[getter]
    fn default(&self) -> Option<&str> {
        self.0.default_name()
    }

    /// What is to be known about the set; what is to be known of one policy stands there.
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.notes().iter().map(ToString::to_string))
    }

    /// The policy of a request, `"GET http://shop.test/cart"`: what a call of it has that brings none of its own.
    fn policy_for(&self, request: &str, py: Python<'_>) -> PyResult<Policy> {
        self.0.for_text(request).map(|chosen| Policy(chosen.policy.clone())).map_err(|error| raised(py, &error))
    }

    /// The rule that a request meets: a dict of its number from 1 (`rule`), the name of the `policy`, and `match`, each None where there is none.
    fn rule_for<'py>(&self, request: &str, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_value(py, &self.0.rule_for(request).map_err(|error| raised(py, &error))?)
    }

    /// The rules and the policies in words; or, for a request, which of them it has and why.
    #[pyo3(signature = (request=None))]
    fn explain(&self, request: Option<&str>, py: Python<'_>) -> PyResult<String> {
        let told = request.map_or_else(|| Ok(self.0.explain()), |request| self.0.explain_for(request));
        told.map_err(|error| raised(py, &error))
    }

    /// The whole document.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_value(py, &self.0.to_value())
    }

    /// The whole document as YAML.
    fn to_yaml(&self) -> String {
        self.0.to_yaml()
    }

    /// The whole document as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let read = slf.get_type().getattr("read")?;
        Ok((read, PyTuple::new(slf.py(), [slf.get().0.to_json()])?))
    }

    fn __repr__(&self) -> String {
        format!("<PolicySet policies={} rules={}>", self.0.policies().len(), self.0.rules().len())
    }
}
