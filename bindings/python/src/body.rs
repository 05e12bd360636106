//! Request bodies that Python produces while they are sent. The pieces are asked for where the call's callbacks run.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::stream::unfold;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use reknock::BoxError;
use reknock::client::{Body, BodyStream};
use tokio::sync::oneshot;

use crate::convert::to_bytes;

/// Asks for the next piece of a source.
pub struct Pull {
    pub source: usize,
    /// It is the first piece of a pass.
    pub first: bool,
    pub reply: oneshot::Sender<Option<Bytes>>,
}

/// Where the pulls of a call go, once it is known.
pub type Outlet = Arc<OnceLock<Box<dyn Fn(Pull) + Send + Sync>>>;

fn passing(outlet: Outlet, source: usize) -> BodyStream {
    Box::pin(unfold((outlet, true), move |(outlet, first)| async move {
        let (reply, piece) = oneshot::channel();
        let asked = outlet.get().map(|pull| pull(Pull { source, first, reply }));
        match (asked, piece.await) {
            (Some(()), Ok(piece)) => piece.map(|piece| (Ok(piece), (outlet, false))),
            _ => Some((Err(BoxError::from("the body's producer is gone")), (outlet, false))),
        }
    }))
}

/// No piece: a value that nothing else yields.
fn end(py: Python<'_>) -> Bound<'_, PyAny> {
    py.get_type::<crate::callbacks::Turn>().into_any()
}

/// The bytes of a piece that was produced; `None` at the end.
pub fn piece(value: &Bound<'_, PyAny>) -> PyResult<Option<Bytes>> {
    if value.is(end(value.py())) {
        return Ok(None);
    }
    let bytes = to_bytes(value)?;
    bytes.map(Some).ok_or_else(|| {
        // An asynchronous call has awaited it.
        if value.hasattr("__await__").unwrap_or_default() {
            return PyTypeError::new_err("an asynchronous body needs an AsyncClient");
        }
        let name = value.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("a body must yield bytes or str, not {name}"))
    })
}

/// The body of a Python value, which may become a source.
pub fn body(value: &Bound<'_, PyAny>, outlet: &Outlet, sources: &mut Vec<Py<PyAny>>) -> PyResult<Body> {
    if let Some(bytes) = to_bytes(value)? {
        return Ok(bytes.into());
    }
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let source = CLASS.import(value.py(), "reknock._body", "Source")?.call1((value,))?;
    let length = source.getattr("length")?.extract()?;
    let once = source.getattr("once")?.is_truthy()?;
    let (index, outlet) = (sources.len(), Arc::clone(outlet));
    sources.push(source.unbind());
    Ok(if once {
        Body::stream(passing(outlet, index), length)
    } else {
        Body::factory(move || Ok(passing(Arc::clone(&outlet), index)), length)
    })
}
