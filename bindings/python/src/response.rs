//! Responses.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyType};
use reknock::{StopReason, client};

use crate::convert::{UNIT, bytes, json_text, pairs, timedelta, to_bytes};
use crate::ending::Ours;
use crate::errors::raised;
use crate::events::Identity;
use crate::headers::{Headers, joined};
use crate::records::{AttemptRecord, records};

/// The head of a response, and how it came about.
#[pyclass(frozen, subclass, module = "reknock")]
pub struct ResponseHead {
    head: client::ResponseHead,
    headers: PyOnceLock<Py<Headers>>,
    /// Of one whose body is read as it comes: the head with what is known since that broke.
    broken: Option<Arc<OnceLock<client::ResponseHead>>>,
}

const VERSIONS: [(Version, &str); 3] = [(Version::HTTP_11, "HTTP/1.1"), (Version::HTTP_2, "HTTP/2"), (Version::HTTP_10, "HTTP/1.0")];

fn version(version: Version) -> &'static str {
    VERSIONS.iter().find(|(known, _)| *known == version).map_or("", |(_, name)| name)
}

impl ResponseHead {
    pub fn new(head: client::ResponseHead) -> Self {
        ResponseHead { head, headers: PyOnceLock::new(), broken: None }
    }

    /// Of a response whose body is read as it comes.
    pub fn of_stream(head: client::ResponseHead, broken: Arc<OnceLock<client::ResponseHead>>) -> Self {
        ResponseHead { broken: Some(broken), ..Self::new(head) }
    }

    /// With what is known by now.
    fn latest(&self) -> &client::ResponseHead {
        self.broken.as_ref().and_then(|broken| broken.get()).unwrap_or(&self.head)
    }
}

#[pymethods]
impl ResponseHead {
    /// The status code, for example 200.
    #[getter]
    fn status_code(&self) -> u16 {
        self.head.status()
    }

    /// The words that the server sent with the status, for example "Not Found"; the usual ones over HTTP/2, empty if there are none.
    #[getter]
    fn reason_phrase(&self) -> &str {
        self.head.reason()
    }

    /// Whether the status is 200-299.
    #[getter]
    fn is_success(&self) -> bool {
        self.head.is_success()
    }

    /// Whether the status is 400-599.
    #[getter]
    fn is_error(&self) -> bool {
        self.head.status() >= 400
    }

    /// "HTTP/1.1" or "HTTP/2".
    #[getter]
    fn http_version(&self) -> &'static str {
        version(self.head.version())
    }

    /// The header fields.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Py<Headers>> {
        let made = self.headers.get_or_try_init(py, || Py::new(py, Headers(self.head.headers().clone())))?;
        Ok(made.clone_ref(py))
    }

    /// The URL of the last attempt, after redirects.
    #[getter]
    fn url(&self) -> &str {
        self.head.url().as_str()
    }

    /// From the start of the call to the last byte of a buffered body, or to the head of a streamed one.
    #[getter]
    fn elapsed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        timedelta(py, self.head.elapsed())
    }

    /// What was sent, in order.
    #[getter]
    fn attempts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        records(py, self.latest().attempts())
    }

    /// Why nothing further was sent, for example "completed" or "retries_exhausted".
    #[getter]
    fn stop_reason(&self) -> &'static str {
        self.latest().stop_reason().code()
    }

    /// Whose call it answers; None if it was made by hand.
    #[getter]
    fn call(&self) -> Option<Identity> {
        self.head.call().map(Identity)
    }

    /// The call and its attempts as a short timeline, with the advice that fits the stop reason.
    fn explain(&self) -> String {
        self.latest().explain()
    }

    /// The charset that the content-type names, or "utf-8".
    #[getter]
    fn encoding(&self) -> String {
        let content_type = joined(self.head.headers(), "content-type").unwrap_or_default();
        let named = content_type.split(';').skip(1).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
        });
        named.unwrap_or_else(|| "utf-8".to_owned())
    }

    /// Raises `HTTPStatusError` unless the status is 200-299; else returns the response.
    fn raise_for_status<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let _ours = Ours::here();
        let py = slf.py();
        let Some(problem) = slf.get().head.status_problem() else { return Ok(slf) };
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let class = CLASS.import(py, "reknock._exceptions", "HTTPStatusError")?;
        Err(PyErr::from_value(class.call1((problem, &slf))?))
    }

    fn __repr__(&self) -> String {
        format!("<Response [{} {}]>", self.head.status(), self.head.reason()).replace(" ]", "]")
    }
}

/// A response with its whole body. Clients make them; tests may, of a status, header fields and a body (`content` or `json`).
///
/// url: default "http://service.test/".
/// attempts: what was sent for it. Default: nothing.
/// stop_reason: default "completed".
/// elapsed: seconds. Default 0.
#[pyclass(frozen, extends = ResponseHead, module = "reknock")]
pub struct Response {
    body: Bytes,
    content: PyOnceLock<Py<PyBytes>>,
}

impl Response {
    pub fn object(py: Python<'_>, response: client::Response) -> PyResult<Py<PyAny>> {
        let (head, body) = response.into_parts();
        Self::made(py, head, body)
    }

    fn made(py: Python<'_>, head: client::ResponseHead, body: Bytes) -> PyResult<Py<PyAny>> {
        let parts = PyClassInitializer::from(ResponseHead::new(head)).add_subclass(Response { body, content: PyOnceLock::new() });
        Ok(Py::new(py, parts)?.into_any())
    }
}

/// Bytes as text: undecodable ones, and unknown encodings, do not raise.
pub fn decoded<'py>(content: &Bound<'py, PyBytes>, encoding: &str) -> PyResult<Bound<'py, PyAny>> {
    let _ours = Ours::here();
    let decode = |encoding: &str| content.call_method1("decode", (encoding, "replace"));
    decode(encoding).or_else(|_| decode("utf-8"))
}

/// Bytes as JSON: see `reknock/_text.py`.
pub fn parsed<'py>(content: &Bound<'py, PyBytes>, encoding: &str) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let _ours = Ours::here();
    let py = content.py();
    let loads = LOADS.get_or_try_init(py, || -> PyResult<_> { Ok(py.import("reknock._text")?.getattr("loads")?.unbind()) })?;
    loads.bind(py).call1((content, encoding))
}

/// A response as pickles have it: status, its words, version, header lines, URL, elapsed nanoseconds, attempts, stop reason, body, whose call it answers.
type Pickled<'py> = (
    u16,
    String,
    String,
    Vec<(String, Vec<u8>)>,
    String,
    u64,
    Vec<PyRef<'py, AttemptRecord>>,
    String,
    PyBackedBytes,
    Option<PyRef<'py, Identity>>,
);

/// What it was pickled from, if this version knows all of it.
fn restored(pickled: Pickled<'_>) -> Option<(client::ResponseHead, Bytes)> {
    let (status, reason, version, lines, url, elapsed, attempts, stop_reason, body, call) = pickled;
    let version = VERSIONS.iter().find(|(_, name)| *name == version)?.0;
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(&value).ok()?);
    }
    let attempts = attempts.iter().map(|record| record.0.clone()).collect();
    let (elapsed, stop_reason) = (Duration::from_nanos(elapsed), StopReason::from_code(&stop_reason)?);
    let mut head = client::ResponseHead::restored(status, version, headers, &url, elapsed, attempts, stop_reason)?.with_reason(&reason);
    if let Some(call) = call {
        head = head.with_call(reknock::Identity::clone(&call.0));
    }
    Some((head, Bytes::from_owner(body)))
}

#[pymethods]
impl Response {
    #[new]
    #[pyo3(signature = (
        status_code=200, *, headers=None, content=None, json=None, url="http://service.test/", attempts=Vec::new(), stop_reason="completed",
        elapsed=0.0
    ))]
    #[allow(clippy::too_many_arguments, reason = "what a response has")]
    fn new(
        py: Python<'_>,
        status_code: u16,
        headers: Option<&Bound<'_, PyAny>>,
        content: Option<&Bound<'_, PyAny>>,
        json: Option<&Bound<'_, PyAny>>,
        url: &str,
        attempts: Vec<PyRef<'_, AttemptRecord>>,
        stop_reason: &str,
        elapsed: f64,
    ) -> PyResult<PyClassInitializer<Self>> {
        let wrong = |problem: String| PyValueError::new_err(problem);
        let mut lines = HeaderMap::new();
        let body = match (content, json) {
            (Some(_), Some(_)) => return Err(PyTypeError::new_err("only one of content and json can be the body")),
            (_, Some(json)) => {
                lines.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                json_text(json)?
            }
            (Some(content), None) => to_bytes(content)?.ok_or_else(|| PyTypeError::new_err("content must be bytes or str"))?,
            (None, None) => Bytes::new(),
        };
        for (name, value) in headers.map_or(Ok(Vec::new()), pairs)? {
            let line = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
            let (name, value) =
                line.ok_or_else(|| wrong(format!("headers: {name:?} is no valid header name, or its value has control characters")))?;
            lines.append(name, value);
        }
        let elapsed = UNIT.duration("elapsed", elapsed).map_err(|error| raised(py, &error))?;
        let stop_reason = StopReason::from_code(stop_reason).ok_or_else(|| wrong(format!("stop_reason: {stop_reason:?} is none")))?;
        let attempts = attempts.iter().map(|record| record.0.clone()).collect();
        let head = client::ResponseHead::restored(status_code, Version::HTTP_11, lines, url, elapsed, attempts, stop_reason);
        let head =
            head.ok_or_else(|| wrong(format!("must have a status from 100 to 999 and an absolute URL, got {status_code} and {url:?}")))?;
        Ok(PyClassInitializer::from(ResponseHead::new(head)).add_subclass(Response { body, content: PyOnceLock::new() }))
    }

    #[staticmethod]
    fn _restored(py: Python<'_>, pickled: Pickled<'_>) -> PyResult<Py<PyAny>> {
        match restored(pickled) {
            Some((head, body)) => Self::made(py, head, body),
            None => Err(PyValueError::new_err("pickled by another version")),
        }
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyTuple>,))> {
        let (py, head) = (slf.py(), &slf.as_super().get().head);
        let lines: Vec<_> = head.headers().iter().map(|(name, value)| (name.as_str(), PyBytes::new(py, value.as_bytes()))).collect();
        let pickled = (
            head.status(),
            head.reason(),
            version(head.version()),
            lines,
            head.url().as_str(),
            u64::try_from(head.elapsed().as_nanos()).unwrap_or(u64::MAX),
            records(py, head.attempts())?,
            head.stop_reason().code(),
            slf.get().content(py)?,
            head.call().map(Identity),
        );
        Ok((slf.get_type().getattr("_restored")?, (pickled.into_pyobject(py)?,)))
    }

    /// The body, decompressed.
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyBytes>> {
        Ok(self.content.get_or_try_init(py, || bytes(py, &self.body).map(Bound::unbind))?.bind(py))
    }

    /// The body as text, by the charset of the content-type, else UTF-8; what does not decode is replaced by U+FFFD.
    #[getter]
    fn text<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let encoding = slf.as_super().get().encoding();
        decoded(slf.get().content(slf.py())?, &encoding)
    }

    /// The body as JSON. Raises `json.JSONDecodeError` if it is none.
    fn json<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let encoding = slf.as_super().get().encoding();
        parsed(slf.get().content(slf.py())?, &encoding)
    }
}
