//! Policies.

use std::hash::{Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use reknock::Policy as Core;
use reknock::policy::{Keys, Value};

use crate::convert::{UNIT, from_value, to_value};
use crate::errors::raised;

/// What one call is allowed to do. Immutable, hashable, picklable.
#[pyclass(frozen, eq, hash, module = "reknock")]
#[derive(Clone, PartialEq)]
pub struct Policy(pub Core);

impl Hash for Policy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_json().hash(state);
    }
}

impl Policy {
    fn of(py: Python<'_>, policy: Result<Core, reknock::Error>) -> PyResult<Self> {
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

    /// The policy of a file: YAML, JSON or TOML by its name.
    #[classmethod]
    fn load(class: &Bound<'_, PyType>, path: std::path::PathBuf) -> PyResult<Self> {
        Self::of(class.py(), class.py().detach(|| Core::load(path)))
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
