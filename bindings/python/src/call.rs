//! A call from its Python arguments.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use reknock::Error;
use reknock::client::{CallOptions, Redirects, Request};
use reknock::policy::Value;

use crate::callbacks::Callbacks;
use crate::client::{Core, NativeClient};
use crate::convert::{credentials, json_text, pairs, to_bytes, to_value};
use crate::errors::raised;
use crate::policy::{chosen, with_arguments};

/// What is sent, and how.
pub struct Call {
    pub client: Core,
    pub request: Request,
    pub options: CallOptions,
    pub callbacks: Callbacks,
}

/// The body of a call: at most one of these.
#[derive(Default)]
struct Bodies<'py> {
    content: Option<Bound<'py, PyAny>>,
    data: Option<Bound<'py, PyAny>>,
    json: Option<Bound<'py, PyAny>>,
    files: Option<Bound<'py, PyAny>>,
}

impl Call {
    pub fn new(client: &NativeClient, method: &str, url: &str, options: Option<&Bound<'_, PyDict>>, py: Python<'_>) -> PyResult<Self> {
        let core = client.core.clone();
        let request = core.request(method, url).build().map_err(|error| raised(py, &error))?;
        let mut call = Call { client: core, request, options: CallOptions::default(), callbacks: client.callbacks.copy(py) };
        if let Some(options) = options.filter(|options| !options.is_empty()) {
            call.read(options)?;
        }
        Ok(call)
    }

    fn read(&mut self, options: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = options.py();
        let mut bodies = Bodies::default();
        let mut timeout = None;
        for (name, value) in options.iter() {
            let name = name.cast_into::<PyString>()?;
            let name = name.to_str()?;
            match name {
                "timeout" => timeout = Some(value),
                _ if value.is_none() => known(name)?,
                "headers" => self.headers(&value)?,
                "params" => self.request.append_query(pairs(&value)?),
                "content" => bodies.content = Some(value),
                "data" => bodies.data = Some(value),
                "json" => bodies.json = Some(value),
                "files" => bodies.files = Some(value),
                "auth" => {
                    let (user, password) = credentials(&value)?;
                    self.request.set_basic_auth(&user, &password);
                }
                "policy" => self.options.policy = chosen(self.client.policy(), &value)?,
                "follow_redirects" => {
                    let follow = value.is_truthy()?;
                    self.options.redirects =
                        if follow { Some(Redirects::default()) } else { Some(Redirects { max: 0, ..Redirects::default() }) };
                }
                name => {
                    if !self.callbacks.set(name, &value)? {
                        known(name)?;
                    }
                }
            }
        }
        self.body(py, bodies)?;
        if let Some(timeout) = timeout {
            let base = self.options.policy.as_ref().unwrap_or(self.client.policy());
            let arguments = Value::Map(vec![("timeout".to_owned(), to_value(&timeout)?)]);
            self.options.policy = Some(with_arguments(py, base, &arguments)?);
        }
        Ok(())
    }

    fn headers(&mut self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let given = pairs(headers)?;
        self.change(headers.py(), |request| given.iter().try_for_each(|(name, value)| request.append_header(name, value)))
    }

    fn body(&mut self, py: Python<'_>, bodies: Bodies<'_>) -> PyResult<()> {
        match (bodies.content, bodies.data, bodies.json, bodies.files) {
            (None, None, None, None) => Ok(()),
            (Some(content), None, None, None) => self.content(&content),
            (None, Some(data), None, None) => match to_bytes(&data)? {
                Some(bytes) => {
                    self.request.set_body(bytes);
                    Ok(())
                }
                None => {
                    self.request.set_form(pairs(&data)?);
                    Ok(())
                }
            },
            (None, None, Some(json), None) => {
                self.request.set_json_text(json_text(&json)?);
                Ok(())
            }
            _ => {
                let _ = py;
                Err(PyTypeError::new_err("only one of content, data and json can be the body (files goes with data)"))
            }
        }
    }

    fn content(&mut self, content: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = to_bytes(content)?.ok_or_else(|| PyTypeError::new_err("content must be bytes or str"))?;
        self.request.set_body(bytes);
        Ok(())
    }

    fn change(&mut self, py: Python<'_>, change: impl FnOnce(&mut Request) -> Result<(), Error>) -> PyResult<()> {
        change(&mut self.request).map_err(|error| raised(py, &error))
    }
}

/// An option that is there but empty.
fn known(name: &str) -> PyResult<()> {
    const NAMES: [&str; 15] = [
        "headers",
        "params",
        "content",
        "data",
        "json",
        "files",
        "auth",
        "policy",
        "follow_redirects",
        "timeout",
        "retry_if",
        "delay",
        "before_retry",
        "on_event",
        "with_body",
    ];
    if NAMES.contains(&name) {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!("request() got an unexpected keyword argument '{name}'")))
}
