//! A call from its Python arguments.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyString, PyTuple};
use reknock::Error;
use reknock::client::testing::Engine;
use reknock::client::{CallOptions, Multipart, Request};
use reknock::policy::{Value, shown_text};

use crate::blocking;
use crate::body::{Outlet, body};
use crate::callbacks::Callbacks;
use crate::client::{NativeClient, nesting};
use crate::convert::{credentials, header_fields, json_text, pairs, to_bytes, to_value};
use crate::ending::Ours;
use crate::errors::raised;
use crate::policy::{chosen, with_arguments};

/// What is sent, and how.
pub struct Call {
    pub client: Engine,
    pub request: Request,
    pub options: CallOptions,
    pub callbacks: Callbacks,
    /// Where the pieces of its body are asked for.
    pub outlet: Outlet,
}

/// The body of a call: at most one of these.
#[derive(Default)]
struct Bodies<'py> {
    content: Option<Bound<'py, PyAny>>,
    data: Option<Bound<'py, PyAny>>,
    json: Option<Bound<'py, PyAny>>,
    files: Option<Bound<'py, PyAny>>,
}

/// A call that is ready but for what a function does to its request: see `reknock/_calls.py`.
#[pyclass(frozen, name = "Call", module = "reknock._native")]
pub struct NativeCall {
    call: Mutex<Option<Call>>,
    /// The function that authorises it.
    auth: Option<Py<PyAny>>,
}

impl NativeCall {
    pub fn new(client: &NativeClient, method: &str, url: &str, options: &Bound<'_, PyDict>, within: bool) -> PyResult<Self> {
        let py = options.py();
        let core = client.core().map_err(|error| raised(py, &error))?;
        let request = core.request(method, url).map_err(|error| raised(py, &error))?;
        let mut call = Call {
            client: core,
            request,
            options: CallOptions { nested: within && !client.allows_nesting, ..CallOptions::default() },
            callbacks: client.callbacks.copy(py),
            outlet: Outlet::default(),
        };
        let own = if options.is_empty() { None } else { call.read(options, within)? };
        let auth = match (own, &client.auth) {
            (Some(auth), _) => Some(auth).filter(|auth| !auth.is_none()),
            // A function sees for itself what the request has.
            (None, Some(auth)) => {
                let auth = auth.bind(py).clone();
                Some(auth).filter(|auth| auth.is_callable() || !call.request.headers().contains_key(AUTHORIZATION))
            }
            (None, None) => None,
        };
        let function = match auth {
            Some(auth) if !auth.is_callable() => {
                let (user, password) = credentials(&auth)?;
                call.request.set_basic_auth(&user, &password);
                None
            }
            auth => auth.map(Bound::unbind),
        };
        Ok(NativeCall { call: Mutex::new(Some(call)), auth: function })
    }

    /// Takes the call out, once.
    pub fn take(&self) -> PyResult<Call> {
        self.lock().take().ok_or_else(|| PyRuntimeError::new_err("the call has been sent"))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Call>> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl NativeCall {
    /// The function that authorises it, and the request for it; None if there is none.
    fn auth<'py>(&self, py: Python<'py>) -> PyResult<Option<(Py<PyAny>, Bound<'py, crate::request::Request>)>> {
        let (Some(auth), Some(call)) = (&self.auth, &*self.lock()) else { return Ok(None) };
        Ok(Some((auth.clone_ref(py), Bound::new(py, crate::request::Request::new(call.request.clone()))?)))
    }

    /// Takes the request as that left it.
    fn authorised(&self, request: &crate::request::Request) {
        if let (Some(call), Some(edited)) = (&mut *self.lock(), request.take()) {
            call.request = edited;
        }
    }

    /// For telemetry: `before_attempt` is asked before each attempt, with the event of its start, for header fields that the attempt has besides; a mapping
    /// or pairs, or None. `told` is told all events.
    fn observe(&self, before_attempt: Py<PyAny>, told: Py<PyAny>) {
        if let Some(call) = &mut *self.lock() {
            (call.callbacks.before_attempt, call.callbacks.told) = (Some(before_attempt), Some(told));
        }
    }

    /// Sends it on the calling thread and reads the whole response; returns that or a turn.
    fn send(&self, py: Python<'_>, log: u8) -> PyResult<Py<PyAny>> {
        let _ours = Ours::here();
        blocking::send(py, self.take()?, log)
    }

    /// Sends it on the calling thread; returns the parts of the response or a turn.
    fn stream(&self, py: Python<'_>, log: u8) -> PyResult<Py<PyAny>> {
        let _ours = Ours::here();
        blocking::stream(py, self.take()?, log)
    }
}

impl Call {
    /// Takes the options; returns who authorises the call, if they say so. None turns off what the client has; of what else, it says nothing.
    fn read<'py>(&mut self, options: &Bound<'py, PyDict>, within: bool) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = options.py();
        let mut auth = None;
        let mut bodies = Bodies::default();
        let (mut policy, mut timeout) = (None, None);
        for (name, value) in options.iter() {
            let name = name.cast_into::<PyString>()?;
            let name = name.to_str()?;
            match name {
                "timeout" => timeout = Some(value),
                "auth" => auth = Some(value),
                "retry_if" | "delay" | "before_retry" | "on_event" => {
                    self.callbacks.set(name, &value)?;
                }
                _ if value.is_none() => known(name)?,
                "headers" => self.headers(&value)?,
                "params" => {
                    let pairs = pairs(&value)?;
                    self.change(py, |request| request.append_query(pairs))?;
                }
                "content" => bodies.content = Some(value),
                "data" => bodies.data = Some(value),
                "json" => bodies.json = Some(value),
                "files" => bodies.files = Some(value),
                "policy" => policy = Some(value),
                "nesting" => self.options.nested = !nesting(&value)? && within,
                "name" => self.options.name = Some(value.extract::<PyBackedStr>()?.to_string().into()),
                "follow_redirects" => self.options.follow_redirects = Some(value.is_truthy()?),
                name => {
                    if !self.callbacks.set(name, &value)? {
                        known(name)?;
                    }
                }
            }
        }
        self.body(bodies)?;
        if let Some(policy) = policy {
            self.options.policy = chosen(&self.client.policy_for(&self.request), &policy)?;
        }
        if let Some(timeout) = timeout {
            let base = self.options.policy.take().unwrap_or_else(|| self.client.policy_for(&self.request));
            let arguments = Value::Map(vec![("timeout".to_owned(), to_value(&timeout)?)]);
            self.options.policy = Some(with_arguments(py, &base, &arguments)?);
        }
        let policy = self.options.policy.take().map(|policy| self.client.prepared(policy)).transpose();
        self.options.policy = policy.map_err(|error| raised(py, &error))?;
        Ok(auth)
    }

    fn headers(&mut self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let given = header_fields(headers)?;
        self.change(headers.py(), |request| {
            given.iter().try_for_each(|(name, value)| match value {
                Some(value) => request.append_header(name, value),
                None => request.omit_header(name),
            })
        })
    }

    fn body(&mut self, bodies: Bodies<'_>) -> PyResult<()> {
        match (bodies.content, bodies.data, bodies.json, bodies.files) {
            (None, None, None, None) => {}
            (Some(content), None, None, None) => self.content(&content)?,
            (None, Some(data), None, None) => match to_bytes(&data)? {
                Some(bytes) => self.request.set_body(bytes),
                // As requests has it: what produces pieces is no form.
                None if ["read", "__next__", "__aiter__"].iter().any(|name| data.hasattr(name).unwrap_or_default()) => {
                    self.content(&data)?
                }
                None => {
                    let pairs = pairs(&data)?;
                    self.change(data.py(), |request| request.set_form(pairs))?;
                }
            },
            (None, None, Some(json), None) => self.request.set_json_text(json_text(&json)?),
            (None, data, None, Some(files)) => self.multipart(data, &files)?,
            _ => return Err(PyTypeError::new_err("only one of content, data and json can be the body (files goes with data)")),
        }
        Ok(())
    }

    fn content(&mut self, content: &Bound<'_, PyAny>) -> PyResult<()> {
        let body = body(content, &self.outlet, &mut self.callbacks.sources)?;
        self.request.set_body(body);
        Ok(())
    }

    fn multipart(&mut self, data: Option<Bound<'_, PyAny>>, files: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = files.py();
        let mut form = Multipart::new();
        for (name, value) in data.map_or(Ok(Vec::new()), |data| pairs(&data))? {
            form = form.part(&name, None, None, Bytes::from_owner(value).into()).map_err(|error| raised(py, &error))?;
        }
        let listed = if files.hasattr("items")? { files.call_method0("items")? } else { files.clone() };
        for item in listed.try_iter()? {
            let (name, file): (String, Bound<'_, PyAny>) = item?.extract()?;
            let File { file_name, content, content_type, headers } = File::new(&file)?;
            let body = body(&content, &self.outlet, &mut self.callbacks.sources)?;
            let part = form.part_with_headers(&name, file_name.as_deref(), content_type.as_deref(), &headers, body);
            form = part.map_err(|error| raised(py, &error))?;
        }
        self.request.set_multipart(form);
        Ok(())
    }

    fn change(&mut self, py: Python<'_>, change: impl FnOnce(&mut Request) -> Result<(), Error>) -> PyResult<()> {
        change(&mut self.request).map_err(|error| raised(py, &error))
    }
}

/// A file of a multipart body: content, or a tuple of file name, content and, if they are known, content type and header fields of its own.
struct File<'py> {
    file_name: Option<String>,
    content: Bound<'py, PyAny>,
    content_type: Option<String>,
    headers: Vec<(PyBackedStr, PyBackedStr)>,
}

impl<'py> File<'py> {
    fn new(file: &Bound<'py, PyAny>) -> PyResult<Self> {
        let (mut file_name, content, mut content_type, headers) = match file.cast::<PyTuple>() {
            Err(_) => (None, file.clone(), None, Vec::new()),
            Ok(parts) if (2..=4).contains(&parts.len()) => {
                let content_type = parts.get_item(2).ok().map(|part| part.extract()).transpose()?.flatten();
                let headers = parts.get_item(3).ok().filter(|part| !part.is_none()).map_or(Ok(Vec::new()), |part| pairs(&part))?;
                (parts.get_item(0)?.extract()?, parts.get_item(1)?, content_type, headers)
            }
            Ok(_) => {
                return Err(PyTypeError::new_err(
                    "a file must be content, or (name, content), (name, content, type) or (name, content, type, headers)",
                ));
            }
        };
        if file_name.is_none() && !file.is_instance_of::<PyTuple>() {
            // A file's own name, as Python's HTTP clients have it; else the usual one.
            let name = content.getattr("name").ok().and_then(|name| name.extract::<String>().ok());
            let name = name.and_then(|name| Some(std::path::Path::new(&name).file_name()?.to_string_lossy().into_owned()));
            file_name = Some(name.unwrap_or_else(|| "upload".to_owned()));
        }
        if let (None, Some(name)) = (&content_type, &file_name) {
            let guessed: (Option<String>, Option<String>) =
                file.py().import("mimetypes")?.call_method1("guess_type", (name,))?.extract()?;
            content_type = guessed.0.or_else(|| Some("application/octet-stream".to_owned()));
        }
        Ok(File { file_name, content, content_type, headers })
    }
}

/// An option that is there but empty.
fn known(name: &str) -> PyResult<()> {
    const NAMES: [&str; 11] =
        ["headers", "params", "content", "data", "json", "files", "policy", "follow_redirects", "with_body", "nesting", "name"];
    if NAMES.contains(&name) {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!("request() got an unexpected keyword argument {}", shown_text(name))))
}
