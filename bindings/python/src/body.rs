//! Request bodies that Python produces while they are sent. The pieces are asked for where the call's callbacks run.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use futures_util::stream::unfold;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyString;
use reknock::BoxError;
use reknock::client::{Body, BodyStream};
use tokio::sync::oneshot;

use crate::convert::to_bytes;

/// The size of a piece of a file.
const PIECE: usize = 64 * 1024;

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

/// What produces a body.
pub struct Source {
    kind: Kind,
    pass: Mutex<Option<Py<PyAny>>>,
    /// Where a file stood that a function made.
    start: OnceLock<Py<PyAny>>,
}

enum Kind {
    /// An iterable: consumed once.
    Once(Py<PyAny>),
    /// A callable that gives an iterable for each pass.
    Factory(Py<PyAny>),
    /// A file, read from here for each pass.
    File(Py<PyAny>, u64),
}

impl Source {
    /// The next piece, the end marker, or an awaitable of either.
    pub fn next<'py>(&self, py: Python<'py>, first: bool) -> PyResult<Bound<'py, PyAny>> {
        if first {
            let pass = self.begin(py)?;
            let before = self.pass.lock().unwrap_or_else(PoisonError::into_inner).replace(pass.clone().unbind());
            let again = before.is_some_and(|before| pass.is(&before));
            if matches!(self.kind, Kind::Factory(_)) {
                self.set_back(&pass, again)?;
            }
        }
        let pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|pass| pass.clone_ref(py));
        let Some(pass) = pass.map(|pass| pass.into_bound(py)) else { return Ok(end(py)) };
        if matches!(self.kind, Kind::File(..)) {
            let piece = pass.call_method1("read", (PIECE,))?;
            return Ok(if piece.is_truthy()? { piece } else { end(py) });
        }
        let asynchronous = pass.hasattr("__anext__")?;
        py.import("builtins")?.call_method1(if asynchronous { "anext" } else { "next" }, (pass, end(py)))
    }

    /// What a function made before has been read: it would be sent empty, or in part. Files can be set back.
    fn set_back(&self, pass: &Bound<'_, PyAny>, again: bool) -> PyResult<()> {
        let seekable = pass.hasattr("seek")?;
        match self.start.get() {
            Some(start) if again => pass.call_method1("seek", (start,)).map(drop),
            None if again => {
                Err(PyTypeError::new_err("the body's function made the same iterator again; it must make a new one each time"))
            }
            None if seekable => {
                // Pipes have the method, too, and fail.
                if let Ok(start) = pass.call_method0("tell") {
                    let _ = self.start.set(start.unbind());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.kind {
            Kind::Once(iterable) => iterate(iterable.bind(py)),
            Kind::Factory(make) => {
                let made = make.bind(py).call0()?;
                match to_bytes(&made)? {
                    Some(_) => iterate(pyo3::types::PyList::new(py, [made])?.as_any()),
                    None => iterate(&made),
                }
            }
            Kind::File(file, start) => {
                file.bind(py).call_method1("seek", (start,))?;
                Ok(file.bind(py).clone())
            }
        }
    }

    pub fn visit(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.kind {
            Kind::Once(object) | Kind::Factory(object) | Kind::File(object, _) => visit.call(object)?,
        }
        match self.pass.try_lock() {
            Ok(pass) => pass.as_ref().map_or(Ok(()), |pass| visit.call(pass)),
            Err(_) => Ok(()),
        }
    }
}

fn iterate<'py>(iterable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if iterable.hasattr("__aiter__")? {
        return iterable.call_method0("__aiter__");
    }
    Ok(iterable.try_iter()?.into_any())
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
pub fn body(value: &Bound<'_, PyAny>, outlet: &Outlet, sources: &mut Vec<Source>) -> PyResult<Body> {
    if let Some(bytes) = to_bytes(value)? {
        return Ok(bytes.into());
    }
    let object = value.clone().unbind();
    let (kind, length) = if value.hasattr("read")? && value.hasattr("seek")? && value.call_method0("seekable")?.is_truthy()? {
        if value.call_method1("read", (0,))?.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(
                "a file that is a body must be opened in binary mode: the size of one of text is not that of its bytes",
            ));
        }
        let start: u64 = value.call_method0("tell")?.extract()?;
        let all: u64 = value.call_method1("seek", (0, 2))?.extract()?;
        value.call_method1("seek", (start,))?;
        (Kind::File(object, start), Some(all.saturating_sub(start)))
    } else if value.hasattr("__iter__")? || value.hasattr("__aiter__")? {
        (Kind::Once(object), None)
    } else if value.is_callable() {
        (Kind::Factory(object), None)
    } else {
        let name = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "a body must be bytes, str, a file, an iterable or a callable that makes one, not {name}"
        )));
    };
    let once = matches!(kind, Kind::Once(_));
    let (index, outlet) = (sources.len(), Arc::clone(outlet));
    sources.push(Source { kind, pass: Mutex::default(), start: OnceLock::new() });
    Ok(if once {
        Body::stream(passing(outlet, index), length)
    } else {
        Body::factory(move || Ok(passing(Arc::clone(&outlet), index)), length)
    })
}
