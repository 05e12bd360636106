//! What was sent, attempt by attempt: as results have it, and as callbacks see it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use reknock::{ErrorKind, Evidence, HttpVersion, client};

use crate::convert::{bytes, hint_seconds, timedelta};
use crate::events::Identity;
use crate::headers::Headers;

/// One send and how it ended. Times are seconds.
#[pyclass(frozen, eq, module = "reknock")]
#[derive(Clone, PartialEq)]
pub struct AttemptRecord(pub reknock::AttemptRecord);

/// A record as pickles have it: number, hop, start, duration, status, error, evidence, hint, wait, first byte, resends, connection and what others said. Times are nanoseconds.
type Pickled = (
    u32,
    u32,
    u64,
    u64,
    Option<u16>,
    Option<String>,
    String,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    u32,
    (PickledConnection, PickledForeign),
);

/// Likewise: reused, peer, version, resolve, connect, tls, waited.
type PickledConnection = (Option<bool>, Option<String>, Option<String>, Option<u64>, Option<u64>, Option<u64>, Option<u64>);

/// The class of the error, the retry of a loop above, and interim answers.
type PickledForeign = (Option<String>, Option<u32>, u32);

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub fn records<'py>(py: Python<'py>, records: &[reknock::AttemptRecord]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, records.iter().map(|record| AttemptRecord(record.clone())))
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

#[pymethods]
impl AttemptRecord {
    /// From 1, over all redirect hops.
    #[getter]
    fn number(&self) -> u32 {
        self.0.number
    }

    /// Redirects followed before this attempt, from 0.
    #[getter]
    fn hop(&self) -> u32 {
        self.0.hop
    }

    /// Seconds from the start of the call to the start of this attempt.
    #[getter]
    fn start(&self) -> f64 {
        self.0.start.as_secs_f64()
    }

    /// Seconds from the start of this attempt to its outcome.
    #[getter]
    fn duration(&self) -> f64 {
        self.0.duration.as_secs_f64()
    }

    /// The response status, if a response head arrived.
    #[getter]
    fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The kind of failure, if it failed: the `kind` of an exception.
    #[getter]
    fn error(&self) -> Option<&'static str> {
        self.0.error.map(ErrorKind::code)
    }

    /// Whether the server may have acted on it: "not_sent", "refused" or "unknown".
    #[getter]
    fn evidence(&self) -> &'static str {
        self.0.evidence.code()
    }

    /// Seconds that the server asked to wait, if it did.
    #[getter]
    fn hint(&self) -> Option<f64> {
        self.0.hint.map(hint_seconds)
    }

    /// Seconds waited before the next attempt, if there was a wait.
    #[getter]
    fn wait(&self) -> Option<f64> {
        seconds(self.0.wait)
    }

    /// The class of the failure, where another client or function failed, such as "httpx.ConnectError".
    #[getter]
    fn error_class(&self) -> Option<&str> {
        self.0.error_class.as_deref()
    }

    /// What telemetry calls the failure: its kind, else a status from 400 on as text, else the class. None where nothing failed.
    #[getter]
    fn error_type(&self) -> Option<Cow<'_, str>> {
        self.0.error_type()
    }

    /// The number of the retry that a loop above this call says it is, as SDKs do in header fields of their own.
    #[getter]
    fn outer_retry(&self) -> Option<u32> {
        self.0.outer_retry
    }

    /// Seconds from the start of this attempt to the first byte of its response, if one came.
    #[getter]
    fn first_byte(&self) -> Option<f64> {
        seconds(self.0.first_byte)
    }

    /// How often it was sent again by itself, because a kept connection was found dead before a byte was taken; the server saw none of those.
    #[getter]
    fn resends(&self) -> u32 {
        self.0.resends
    }

    /// Interim answers (1xx) that came before the head of its response.
    #[getter]
    fn interim(&self) -> u32 {
        self.0.interim
    }

    /// Whether its connection was kept from an earlier exchange; None if there was none, or it is not known.
    #[getter]
    fn reused(&self) -> Option<bool> {
        self.0.connection.reused
    }

    /// The other end, the server or its proxy, such as "192.0.2.1:443" or "[2001:db8::1]:443"; None if there was no connection, or it is a unix socket.
    #[getter]
    fn peer(&self) -> Option<String> {
        self.0.connection.peer.map(|peer| peer.to_string())
    }

    /// "HTTP/1.0", "HTTP/1.1" or "HTTP/2", once it is known.
    #[getter]
    fn http_version(&self) -> Option<&'static str> {
        self.0.connection.version.map(HttpVersion::code)
    }

    /// Seconds that looking up the name took in this attempt, if it was looked up.
    #[getter]
    fn resolve(&self) -> Option<f64> {
        seconds(self.0.connection.resolve)
    }

    /// Seconds that opening the connection took in this attempt, if one was opened: TCP, and what a proxy demands.
    #[getter]
    fn connect(&self) -> Option<f64> {
        seconds(self.0.connection.connect)
    }

    /// Seconds of the TLS handshake in this attempt, if there was one.
    #[getter]
    fn tls(&self) -> Option<f64> {
        seconds(self.0.connection.tls)
    }

    /// Seconds that this attempt waited for a place: while as many connections were open as there may be, for one of the streams that a server of
    /// HTTP/2 takes, or for a connection that another call was opening. None if it did not wait.
    #[getter]
    fn waited(&self) -> Option<f64> {
        seconds(self.0.connection.waited)
    }

    #[staticmethod]
    fn _restored(pickled: Pickled) -> PyResult<Self> {
        let (number, hop, start, duration, status, error, evidence, hint, wait, first_byte, resends, (connection, foreign)) = pickled;
        let unknown = || PyValueError::new_err("pickled by another version");
        let mut record = reknock::AttemptRecord::begun(number, hop, Duration::from_nanos(start));
        record.duration = Duration::from_nanos(duration);
        record.status = status;
        record.error = error.map(|code| ErrorKind::from_code(&code).ok_or_else(unknown)).transpose()?;
        record.evidence = Evidence::from_code(&evidence).ok_or_else(unknown)?;
        record.hint = hint.map(Duration::from_nanos);
        record.wait = wait.map(Duration::from_nanos);
        record.first_byte = first_byte.map(Duration::from_nanos);
        record.resends = resends;
        let (reused, peer, version, resolve, connect, tls, waited) = connection;
        record.connection.reused = reused;
        record.connection.peer = peer.map(|peer| peer.parse().map_err(|_| unknown())).transpose()?;
        record.connection.version = version.map(|code| HttpVersion::from_code(&code).ok_or_else(unknown)).transpose()?;
        record.connection.resolve = resolve.map(Duration::from_nanos);
        record.connection.connect = connect.map(Duration::from_nanos);
        record.connection.tls = tls.map(Duration::from_nanos);
        record.connection.waited = waited.map(Duration::from_nanos);
        record.error_class = foreign.0.map(String::into_boxed_str);
        record.outer_retry = foreign.1;
        record.interim = foreign.2;
        Ok(AttemptRecord(record))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Pickled,))> {
        let record = &slf.get().0;
        let connection = &record.connection;
        let pickled = (
            record.number,
            record.hop,
            nanos(record.start),
            nanos(record.duration),
            record.status,
            record.error.map(|kind| kind.code().to_owned()),
            record.evidence.code().to_owned(),
            record.hint.map(nanos),
            record.wait.map(nanos),
            record.first_byte.map(nanos),
            record.resends,
            (
                (
                    connection.reused,
                    connection.peer.map(|peer| peer.to_string()),
                    connection.version.map(|version| version.code().to_owned()),
                    connection.resolve.map(nanos),
                    connection.connect.map(nanos),
                    connection.tls.map(nanos),
                    connection.waited.map(nanos),
                ),
                (record.error_class.as_deref().map(str::to_owned), record.outer_retry, record.interim),
            ),
        );
        Ok((slf.get_type().getattr("_restored")?, (pickled,)))
    }

    fn __repr__(&self) -> String {
        let text = reknock::explain(std::slice::from_ref(&self.0), None);
        format!("<AttemptRecord {}>", text.trim())
    }
}

/// One attempt and how it ended, as callbacks see it. Times are seconds.
#[pyclass(frozen, module = "reknock")]
pub struct Attempt(pub client::Attempt);

#[pymethods]
impl Attempt {
    /// Whose call it is of.
    #[getter]
    fn call(&self) -> Identity {
        Identity(Arc::clone(&self.0.call))
    }

    /// From 1.
    #[getter]
    fn number(&self) -> u32 {
        self.0.number
    }

    /// Retries left, the one in question included.
    #[getter]
    fn retries_left(&self) -> u32 {
        self.0.retries_left
    }

    /// What was sent.
    #[getter]
    fn request(&self) -> SentRequest {
        let client::Attempt { method, url, request_headers, .. } = &self.0;
        SentRequest { method: method.to_string(), url: url.to_string(), headers: request_headers.clone() }
    }

    /// Since the start of the call.
    #[getter]
    fn elapsed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        timedelta(py, self.0.elapsed)
    }

    /// The response status; None on failures before a head.
    #[getter]
    fn status_code(&self) -> Option<u16> {
        self.0.status
    }

    /// The response's header fields; empty on failures before a head.
    #[getter]
    fn headers(&self) -> Headers {
        Headers(self.0.headers.clone())
    }

    /// The response's body, in buffered calls with `with_body=True`.
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.0.body.as_ref().map(|body| bytes(py, body)).transpose()
    }

    /// The kind of failure: the `kind` of an exception. None on responses.
    #[getter]
    fn error(&self) -> Option<&'static str> {
        self.0.error.map(ErrorKind::code)
    }

    /// One line about the failure.
    #[getter]
    fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Whether the server may have acted on it: "not_sent", "refused" or "unknown".
    #[getter]
    fn evidence(&self) -> &'static str {
        self.0.evidence.code()
    }

    /// The wait the server asks for.
    #[getter]
    fn hint(&self) -> Option<f64> {
        self.0.hint.map(hint_seconds)
    }

    /// Whether the policy would retry it.
    #[getter]
    fn verdict(&self) -> bool {
        self.0.verdict
    }

    /// The wait the policy would take; None if the server asks for a longer one than allowed.
    #[getter]
    fn planned_wait(&self) -> Option<f64> {
        seconds(self.0.planned_wait)
    }

    fn __repr__(&self) -> String {
        format!("<{:?}>", self.0)
    }
}

/// What one attempt sent.
#[pyclass(frozen, module = "reknock")]
pub struct SentRequest {
    /// The method.
    #[pyo3(get)]
    method: String,
    /// The URL.
    #[pyo3(get)]
    url: String,
    headers: HeaderMap,
}

#[pymethods]
impl SentRequest {
    /// The header fields.
    #[getter]
    fn headers(&self) -> Headers {
        Headers(self.headers.clone())
    }

    /// Method alone: URL and header fields may hold secrets.
    fn __repr__(&self) -> String {
        format!("<SentRequest {}>", self.method)
    }
}
