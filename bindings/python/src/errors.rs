//! The core's errors as Python's exceptions: one table, `reknock._exceptions.BY_KIND`.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use reknock::{Error, ErrorKind, StopReason};

use crate::ending::Ours;
use crate::events::Identity;
use crate::records::records;

/// The exception for an error of the core.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let _ours = Ours::here();
    exception(py, error).unwrap_or_else(|broken| broken)
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    if error.is_out_of_memory() {
        return Ok(PyMemoryError::new_err(error.to_string()));
    }
    static TABLE: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let table = TABLE.get_or_try_init(py, || -> PyResult<Py<PyDict>> {
        Ok(py.import("reknock._exceptions")?.getattr("BY_KIND")?.cast_into::<PyDict>()?.unbind())
    })?;
    let class = table.bind(py).as_any().get_item(error.kind().code())?;
    let instance = class.call1((error.to_string(),))?;
    instance.setattr("status_code", error.status())?;
    instance.setattr("attempts", records(py, error.attempts())?)?;
    instance.setattr("stop_reason", error.stop_reason().map(StopReason::code))?;
    instance.setattr("timeline", error.explain())?;
    instance.setattr("request", error.call().cloned().map(Identity))?;
    Ok(PyErr::from_value(instance))
}

/// The code, number and meaning of every kind of error.
#[pyfunction]
pub fn kinds() -> Vec<(&'static str, u8, &'static str)> {
    ErrorKind::ALL.iter().map(|kind| (kind.code(), kind.number(), kind.meaning())).collect()
}

/// The code, number and meaning of every stop reason.
#[pyfunction]
pub fn stop_reasons() -> Vec<(&'static str, u8, &'static str)> {
    StopReason::ALL.iter().map(|reason| (reason.code(), reason.number(), reason.meaning())).collect()
}
