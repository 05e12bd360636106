//! Policies.

use std::hash::{Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use reknock::policy::{self, Dialect, Keys, Value, envoy};
use reknock::{Error, Policy as Core};

use crate::convert::{UNIT, from_value, pairs, to_value};
use crate::errors::raised;

#[doc = include_str!("policy.txt")]
#[pyclass(frozen, eq, hash, module = "reknock")]
#[derive(Clone, PartialEq)]
pub struct Policy(pub Core);

impl Hash for Policy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_json().hash(state);
    }
}

impl Policy {
    fn of(py: Python<'_>, policy: Result<Core, Error>) -> PyResult<Self> {
        policy.map(Policy).map_err(|error| raised(py, &error))
    }
}

/// The policy of a call or a client: a `Policy` replaces `base`, a dict or False is merged over it, None leaves it.
pub fn chosen(base: &Core, policy: &Bound<'_, PyAny>) -> PyResult<Option<Core>> {
    if policy.is_none() {
        return Ok(None);
    }
    if let Ok(policy) = policy.cast::<Policy>() {
        return Ok(Some(policy.get().0.clone()));
    }
    base.merge(&to_value(policy)?).map(Some).map_err(|error| raised(policy.py(), &error))
}

/// `base` with these arguments, in which durations may be numbers of seconds.
pub fn with_arguments(py: Python<'_>, base: &Core, arguments: &Value) -> PyResult<Core> {
    base.merge_typed(arguments, UNIT, Keys::Snake).map_err(|error| raised(py, &error))
}

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let arguments = settings.map_or(Ok(Value::EMPTY), |settings| to_value(settings))?;
        with_arguments(py, &Core::default(), &arguments).map(Policy)
    }

    /// The policy of a document: a dict as a YAML file would give it, durations as text with a unit.
    #[classmethod]
    fn from_dict(_: &Bound<'_, PyType>, document: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::of(document.py(), Core::from_value(&to_value(document)?))
    }

    /// The policy of a YAML text.
    #[classmethod]
    fn from_yaml(class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        Self::of(class.py(), Core::from_yaml(text))
    }

    /// The policy of a JSON text.
    #[classmethod]
    fn from_json(class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        Self::of(class.py(), Core::from_json(text))
    }

    /// The policy of a TOML text.
    #[classmethod]
    fn from_toml(class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        Self::of(class.py(), Core::from_toml(text))
    }

    /// The policy of a file (.yaml, .yml, .json, .toml, .bal): ours, or in the words of a system that `dialect` of
    /// `load_all` can name. `notes` tells what differs from the original.
    #[classmethod]
    fn load(class: &Bound<'_, PyType>, path: std::path::PathBuf) -> PyResult<Self> {
        let read = class.py().detach(|| Core::load(&path));
        read.map(Policy).map_err(|error| unread(class.py(), &path, &error))
    }

    /// All policies of such a file, or those with a name, with what differs from the original. The dialect is recognised unless it is named.
    #[classmethod]
    #[pyo3(signature = (path, dialect=None, name=None))]
    fn load_all(
        class: &Bound<'_, PyType>,
        path: std::path::PathBuf,
        dialect: Option<&str>,
        name: Option<&str>,
    ) -> PyResult<Vec<LoadedPolicy>> {
        let load = || policy::load_all(&path, dialect_of(dialect)?);
        let loaded = class.py().detach(load).map_err(|error| unread(class.py(), &path, &error))?;
        all(class.py(), Ok(loaded), name)
    }

    /// All policies of a document, or of a text, or those with a name, with what differs from the original. The dialect is recognised
    /// unless it is named.
    #[classmethod]
    #[pyo3(signature = (document, dialect=None, name=None))]
    fn read_all(
        _: &Bound<'_, PyType>,
        document: &Bound<'_, PyAny>,
        dialect: Option<&str>,
        name: Option<&str>,
    ) -> PyResult<Vec<LoadedPolicy>> {
        let py = document.py();
        let dialect = dialect_of(dialect).map_err(|error| raised(py, &error))?;
        let read = match document.cast::<PyString>() {
            Ok(text) => policy::read_all(text.to_str()?, dialect),
            Err(_) => policy::read_all_from_value(&to_value(document)?, dialect),
        };
        all(py, read, name)
    }

    /// A policy by name: "default", "none", or what "envoy", "kgateway", "linkerd", "ballerina", "ktor", "istio", "envoy-gateway" or "linkerd2" do
    /// unless told otherwise; or "llm", for the APIs of large language models.
    #[classmethod]
    fn preset(class: &Bound<'_, PyType>, name: &str) -> PyResult<Self> {
        Self::of(class.py(), Core::preset(name))
    }

    /// No retries; the default timeouts.
    #[classmethod]
    fn none(_: &Bound<'_, PyType>) -> Self {
        Policy(Core::none())
    }

    /// This policy with these settings in place of its own.
    #[pyo3(signature = (**settings))]
    fn replace(&self, py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let arguments = settings.map_or(Ok(Value::EMPTY), |settings| to_value(settings))?;
        with_arguments(py, &self.0, &arguments).map(Policy)
    }

    /// This policy with the keys of a document in place of its own; False means no retries.
    fn merge(&self, document: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::of(document.py(), self.0.merge(&to_value(document)?))
    }

    /// This policy as the `x-envoy-*` headers of a request change it: what the client option `envoy_headers` does, for requests that are
    /// sent by other means. Their sender removes `ENVOY_HEADERS` from them.
    fn with_envoy_headers(&self, headers: &Bound<'_, PyAny>) -> PyResult<Self> {
        let lines = pairs(headers)?;
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ok(Policy(envoy::with_request_headers(&self.0, &lines.as_slice())))
    }

    /// The value of `x-envoy-expected-rq-timeout-ms` for an attempt that begins `elapsed` seconds after its call; None without limits.
    #[pyo3(signature = (elapsed=0.0))]
    fn expected_rq_timeout_ms(&self, py: Python<'_>, elapsed: f64) -> PyResult<Option<u64>> {
        let elapsed = UNIT.duration("elapsed", elapsed).map_err(|error| raised(py, &error))?;
        Ok(envoy::expected_rq_timeout_ms(&self.0, elapsed))
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

    /// What differs from the original, for a policy of a file or a document in the words of another system.
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.notes().iter().map(ToString::to_string))
    }

    /// The policy in words: its document, the range of each wait, the worst case, what the budget may refuse, and the notes.
    fn explain(&self) -> String {
        self.0.explain()
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.0.to_value().get(name) {
            Some(value) => from_value(py, value),
            None => Err(pyo3::exceptions::PyAttributeError::new_err(name.to_owned())),
        }
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let from_json = slf.get_type().getattr("from_json")?;
        Ok((from_json, PyTuple::new(slf.py(), [slf.get().0.to_json()])?))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Value::Map(entries) = self.0.to_short_value() else { return Ok("Policy()".to_owned()) };
        let settings = entries.iter().map(|(key, value)| Ok(format!("{key}={}", from_value(py, value)?.repr()?)));
        Ok(format!("Policy({})", settings.collect::<PyResult<Vec<_>>>()?.join(", ")))
    }
}

/// A policy of a file, and what is to be known about it.
#[pyclass(frozen, module = "reknock")]
pub struct LoadedPolicy(pub policy::Loaded);

pub fn dialect_of(dialect: Option<&str>) -> Result<Option<Dialect>, Error> {
    dialect.map(Dialect::from_name).transpose()
}

/// A file that the system does not give: OSError of its kind, as of `open`. Anything else is ours.
pub fn unread(py: Python<'_>, path: &std::path::Path, error: &Error) -> PyErr {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let Some(errno) = source.and_then(std::io::Error::raw_os_error) else { return raised(py, error) };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (errno,))?.extract::<String>());
    text.map_or_else(|broken| broken, |text| pyo3::exceptions::PyOSError::new_err((errno, text, policy::shown_path(path))))
}

fn all(py: Python<'_>, read: Result<Vec<policy::Loaded>, Error>, name: Option<&str>) -> PyResult<Vec<LoadedPolicy>> {
    let chosen = read.and_then(|all| match name {
        Some(name) => Ok(policy::named(&all, name)?.into_iter().cloned().collect()),
        None => Ok(all),
    });
    let all = chosen.map_err(|error| raised(py, &error))?;
    Ok(all.into_iter().map(LoadedPolicy).collect())
}

#[pymethods]
impl LoadedPolicy {
    /// What the document calls it, if it can hold several: a route, a router, a resource.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Whose words the document was written in: "reknock", "envoy", "kgateway", "linkerd", "ballerina", "ktor", "istio",
    /// "envoy-gateway" or "linkerd2".
    #[getter]
    fn dialect(&self) -> &'static str {
        self.0.dialect.name()
    }

    /// The policy.
    #[getter]
    fn policy(&self) -> Policy {
        Policy(self.0.policy.clone())
    }

    /// What differs from the original, and where.
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.notes.iter().map(ToString::to_string))
    }

    /// The policy in words, with what it was and the notes.
    fn explain(&self) -> String {
        self.0.explain()
    }

    fn __repr__(&self) -> String {
        let name = self.0.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("<LoadedPolicy {}{name}>", self.0.dialect)
    }
}
