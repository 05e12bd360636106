//! What was sent, attempt by attempt.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reknock::ErrorKind;

/// One send and how it ended. Times are seconds.
#[pyclass(frozen, eq, module = "reknock")]
#[derive(Clone, PartialEq)]
pub struct AttemptRecord(reknock::AttemptRecord);

pub fn records<'py>(py: Python<'py>, records: &[reknock::AttemptRecord]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, records.iter().map(|record| AttemptRecord(record.clone())))
}

pub fn record(record: &reknock::AttemptRecord) -> AttemptRecord {
    AttemptRecord(record.clone())
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
        seconds(self.0.hint)
    }

    /// Seconds waited before the next attempt, if there was a wait.
    #[getter]
    fn wait(&self) -> Option<f64> {
        seconds(self.0.wait)
    }

    fn __repr__(&self) -> String {
        let text = reknock::explain(std::slice::from_ref(&self.0), None);
        format!("<AttemptRecord {}>", text.trim())
    }
}
