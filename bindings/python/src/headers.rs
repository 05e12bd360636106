//! Header fields, by name whatever its case.

use http::{HeaderMap, HeaderValue};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Header fields as they came. Names are looked up in any case; several lines of one name read as one, joined with ", ".
#[pyclass(frozen, mapping, module = "reknock")]
pub struct Headers(pub HeaderMap);

/// Bytes that are no UTF-8 are shown as Latin-1, which every byte has.
pub fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    }
}

pub fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter().map(text);
    let first = values.next()?;
    Some(values.fold(first, |all, next| all + ", " + &next))
}

impl Headers {
    fn names(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[pymethods]
impl Headers {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        joined(&self.0, name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.cast::<PyString>().is_ok_and(|name| name.to_str().is_ok_and(|name| self.0.contains_key(name)))
    }

    fn __len__(&self) -> usize {
        self.0.keys_len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.names().into_pyobject(py)?.try_iter()?.into_any())
    }

    /// The value under a name, or `default`.
    #[pyo3(signature = (name, default=None))]
    fn get(&self, py: Python<'_>, name: &str, default: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        match joined(&self.0, name) {
            Some(value) => Ok(PyString::new(py, &value).into_any().unbind()),
            None => Ok(default.unwrap_or_else(|| py.None())),
        }
    }

    /// The names, in lower case.
    fn keys(&self) -> Vec<&str> {
        self.names()
    }

    /// The values, one per name.
    fn values(&self) -> Vec<String> {
        self.0.keys().filter_map(|name| joined(&self.0, name.as_str())).collect()
    }

    /// Names and values, one pair per name.
    fn items(&self) -> Vec<(&str, String)> {
        self.0.keys().filter_map(|name| Some((name.as_str(), joined(&self.0, name.as_str())?))).collect()
    }

    /// Names and values, one pair per line.
    fn multi_items(&self) -> Vec<(&str, String)> {
        self.0.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
    }

    /// The values of all lines with this name.
    fn get_list(&self, name: &str) -> Vec<String> {
        self.0.get_all(name).iter().map(text).collect()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Headers>().is_ok_and(|other| other.get().0 == self.0)
    }

    /// Names alone: values may be secrets.
    fn __repr__(&self) -> String {
        format!("Headers({})", self.names().join(", "))
    }
}
