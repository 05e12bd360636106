//! What observers are told, and whose call it is about.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reknock::client;
use reknock::client::EventKind;

use crate::records::{AttemptRecord, records};

/// What observers are told: what there is depends on its kind. Times are seconds.
#[pyclass(frozen, module = "reknock")]
pub struct Event(pub client::Event);

#[pymethods]
impl Event {
    /// "attempt_start", "interim", "attempt_end", "retry", "redirect", "end" or "notice".
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.code()
    }

    /// How much it matters: "debug", "info" or "warning".
    #[getter]
    fn level(&self) -> &'static str {
        self.0.level().code()
    }

    /// Whose call it is about; None for notices about none.
    #[getter]
    fn call(&self) -> Option<Identity> {
        self.0.call.clone().map(Identity)
    }

    /// The attempt that starts, that ended, or that a retry or redirect follows.
    #[getter]
    fn attempt(&self) -> Option<AttemptRecord> {
        self.0.kind.attempt().cloned().map(AttemptRecord)
    }

    /// The number of the attempt that it is about.
    #[getter]
    fn number(&self) -> Option<u32> {
        match &self.0.kind {
            EventKind::Interim { number, .. } => Some(*number),
            kind => kind.attempt().map(|attempt| attempt.number),
        }
    }

    /// At the start of an attempt: the method that it sends.
    #[getter]
    fn method(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::AttemptStart { method, .. } => Some(method),
            _ => None,
        }
    }

    /// Where an attempt goes that starts, or where a redirect leads; query values are removed.
    #[getter]
    fn target(&self) -> Option<&str> {
        self.0.kind.target()
    }

    /// Of an interim answer: its status.
    #[getter]
    fn status(&self) -> Option<u16> {
        match &self.0.kind {
            EventKind::Interim { status, .. } => Some(*status),
            kind => kind.attempt()?.status,
        }
    }

    /// Of a retry: why, as a status ("503") or a kind of failure ("connect"). Of a notice: what it is about, "budget_refused", "field_dropped",
    /// "policy_refused" or "budget_unshared".
    #[getter]
    fn reason(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::Retry { reason, .. } => Some(reason),
            EventKind::Notice { about, .. } => Some(about.code()),
            _ => None,
        }
    }

    /// At the end: what was sent.
    #[getter]
    fn attempts<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        match &self.0.kind {
            EventKind::End { attempts, .. } => records(py, attempts).map(Some),
            _ => Ok(None),
        }
    }

    /// At the end: why nothing further was sent.
    #[getter]
    fn stop_reason(&self) -> Option<&'static str> {
        match &self.0.kind {
            EventKind::End { stop_reason, .. } => Some(stop_reason.code()),
            _ => None,
        }
    }

    /// At the end: seconds since the start of the call.
    #[getter]
    fn elapsed(&self) -> Option<f64> {
        match &self.0.kind {
            EventKind::End { elapsed, .. } => Some(elapsed.as_secs_f64()),
            _ => None,
        }
    }

    /// At the end: whether the call failed, with an error or with a response that would have been retried if it could have been.
    #[getter]
    fn failed(&self) -> bool {
        matches!(self.0.kind, EventKind::End { failed: true, .. })
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Event {}: {}>", self.0.kind.code(), self.0)
    }
}

/// Whose call something is about: an event, a failure, a response.
#[pyclass(frozen, eq, module = "reknock")]
#[derive(Clone, PartialEq)]
pub struct Identity(pub Arc<reknock::Identity>);

/// Likewise as pickles have it.
type PickledIdentity = (u64, String, String, String, Option<String>);

#[pymethods]
impl Identity {
    /// Unique in the process, from 1.
    #[getter]
    fn call_id(&self) -> u64 {
        self.0.call_id
    }

    /// The method that the call was made with.
    #[getter]
    fn method(&self) -> &str {
        &self.0.method
    }

    /// The URL that the call was made to, without userinfo and the values of its query. Redirects do not change it.
    #[getter]
    fn url(&self) -> &str {
        &self.0.url
    }

    /// The scheme, host and port of that URL.
    #[getter]
    fn origin(&self) -> &str {
        &self.0.origin
    }

    /// What the caller names the call, if anything.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Of one more call, which somebody else sends.
    #[staticmethod]
    #[pyo3(signature = (method, url, name))]
    fn of_request(method: &str, url: &str, name: Option<&str>) -> Self {
        Identity(Arc::new(reknock::Identity::of_request(method, url, name.map(Into::into))))
    }

    /// Of one more call of a function: it has neither method nor URL.
    #[staticmethod]
    fn of_function(name: &str, origin: String) -> Self {
        Identity(Arc::new(reknock::Identity::of_function(name, origin)))
    }

    #[staticmethod]
    fn _restored(pickled: PickledIdentity) -> Self {
        let (call_id, method, url, origin, name) = pickled;
        Identity(Arc::new(reknock::Identity::new(call_id, method, url, origin, name.map(Into::into))))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (PickledIdentity,))> {
        let reknock::Identity { call_id, method, url, origin, name, .. } = &*slf.get().0;
        let pickled = (*call_id, method.clone(), url.clone(), origin.clone(), name.as_deref().map(str::to_owned));
        Ok((slf.get_type().getattr("_restored")?, (pickled,)))
    }

    fn __repr__(&self) -> String {
        format!("<Identity {} of call {}>", self.0, self.0.call_id)
    }
}
