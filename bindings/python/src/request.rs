//! The request that `before_retry` edits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use pyo3::exceptions::{PyKeyError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use reknock::client::Request as Core;

use crate::convert::{address, json_text, to_bytes};
use crate::errors::raised;
use crate::headers::{joined, text};

/// A request about to be sent. Edits concern the next attempt alone.
#[pyclass(frozen, module = "reknock")]
pub struct Request(Mutex<Option<Core>>);

impl Request {
    pub fn new(request: Core) -> Self {
        Request(Mutex::new(Some(request)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Core>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the request out; what is edited afterwards has no effect.
    pub fn take(&self) -> Option<Core> {
        self.lock().take()
    }

    fn with<T>(&self, read: impl FnOnce(&mut Core) -> T) -> PyResult<T> {
        self.lock().as_mut().map(read).ok_or_else(|| PyRuntimeError::new_err("the request has been sent"))
    }

    fn change(&self, py: Python<'_>, change: impl FnOnce(&mut Core) -> Result<(), reknock::Error>) -> PyResult<()> {
        self.with(change)?.map_err(|error| raised(py, &error))
    }
}

#[pymethods]
impl Request {
    /// The method.
    #[getter]
    fn method(&self) -> PyResult<String> {
        self.with(|request| request.method().to_owned())
    }

    /// The URL. May be set.
    #[getter]
    fn url(&self) -> PyResult<String> {
        self.with(|request| request.url().as_str().to_owned())
    }

    #[setter]
    fn set_url(&self, url: &Bound<'_, PyAny>) -> PyResult<()> {
        let text = address(url)?;
        self.change(url.py(), |request| request.set_url(&text))
    }

    /// The header fields. May be edited in place.
    #[getter]
    fn headers(slf: Bound<'_, Self>) -> RequestHeaders {
        RequestHeaders(slf.unbind())
    }

    /// Sets the body: bytes or text.
    fn set_content(&self, content: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = to_bytes(content)?.ok_or_else(|| pyo3::exceptions::PyTypeError::new_err("content must be bytes or str"))?;
        self.with(|request| request.set_body(bytes))
    }

    /// Sets the authorization header to a bearer token.
    fn set_bearer_auth(&self, py: Python<'_>, token: &str) -> PyResult<()> {
        self.change(py, |request| request.set_bearer_auth(token))
    }

    /// Sets a JSON body.
    fn set_json(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let text = json_text(value)?;
        self.with(|request| request.set_json_text(text))
    }

    fn __repr__(&self) -> String {
        match &*self.lock() {
            Some(request) => format!("<{request:?}>"),
            None => "<Request sent>".to_owned(),
        }
    }
}

/// The header fields of a request, by name whatever its case.
#[pyclass(frozen, mapping, module = "reknock")]
pub struct RequestHeaders(Py<Request>);

impl RequestHeaders {
    fn read<T>(&self, read: impl FnOnce(&HeaderMap) -> T) -> PyResult<T> {
        self.0.get().with(|request| read(request.headers()))
    }
}

#[pymethods]
impl RequestHeaders {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.read(|headers| joined(headers, name))?.ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __setitem__(&self, py: Python<'_>, name: &str, value: &str) -> PyResult<()> {
        self.0.get().change(py, |request| request.set_header(name, value))
    }

    fn __delitem__(&self, name: &str) -> PyResult<()> {
        let known = self.0.get().with(|request| {
            let known = request.headers().contains_key(name);
            request.remove_header(name);
            known
        })?;
        if known { Ok(()) } else { Err(PyKeyError::new_err(name.to_owned())) }
    }

    /// Adds a line, besides those that are there.
    fn add(&self, py: Python<'_>, name: &str, value: &str) -> PyResult<()> {
        self.0.get().change(py, |request| request.append_header(name, value))
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(name) = name.cast::<PyString>() else { return Ok(false) };
        let name = name.to_str()?;
        self.read(|headers| headers.contains_key(name))
    }

    fn __len__(&self) -> PyResult<usize> {
        self.read(HeaderMap::keys_len)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.keys()?.into_pyobject(py)?.try_iter()?.into_any())
    }

    /// The value under a name, or `default`.
    #[pyo3(signature = (name, default=None))]
    fn get(&self, py: Python<'_>, name: &str, default: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        match self.read(|headers| joined(headers, name))? {
            Some(value) => Ok(PyString::new(py, &value).into_any().unbind()),
            None => Ok(default.unwrap_or_else(|| py.None())),
        }
    }

    /// The names, in lower case.
    fn keys(&self) -> PyResult<Vec<String>> {
        self.read(|headers| headers.keys().map(|name| name.as_str().to_owned()).collect())
    }

    /// Names and values, one pair per line.
    fn items(&self) -> PyResult<Vec<(String, String)>> {
        self.read(|headers| headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
    }

    /// Names alone: values may be secrets.
    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("RequestHeaders({})", self.keys()?.join(", ")))
    }
}
