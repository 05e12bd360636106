//! Responses whose body is read as it comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};
use reknock::client;

use crate::blocking;
use crate::engine::CoreStream;
use crate::errors::raised;
use crate::response::ResponseHead;

/// Where a body lives between reads.
pub struct Place(Mutex<State>);

enum State {
    Here(Box<CoreStream>),
    /// Somebody reads it.
    Away,
    Closed,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it out to read.
    pub fn take(&self, py: Python<'_>) -> PyResult<CoreStream> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Away) {
            State::Here(stream) => Ok(*stream),
            other => {
                *state = other;
                drop(state);
                let class = CLASS.import(py, "reknock._exceptions", "StreamClosed")?;
                Err(PyErr::from_value(class.call0()?))
            }
        }
    }

    /// Puts it back, unless it was closed meanwhile.
    pub fn put(&self, stream: CoreStream) {
        let mut state = self.lock();
        if matches!(*state, State::Away) {
            *state = State::Here(Box::new(stream));
        }
    }

    fn close(&self) {
        let before = std::mem::replace(&mut *self.lock(), State::Closed);
        drop(before);
    }
}

/// A piece of a body as Python has it.
pub fn object(py: Python<'_>, piece: Option<Bytes>) -> Py<PyAny> {
    piece.map_or_else(|| py.None(), |piece| PyBytes::new(py, &piece).into_any().unbind())
}

/// What a streaming response is made of.
#[pyclass(frozen, module = "reknock._native")]
pub struct StreamParts {
    head: client::ResponseHead,
    place: Arc<Place>,
}

impl StreamParts {
    pub fn new(stream: CoreStream) -> Self {
        StreamParts { head: (*stream).clone(), place: Arc::new(Place(Mutex::new(State::Here(Box::new(stream))))) }
    }
}

/// A response whose body is read as it comes.
#[pyclass(frozen, subclass, extends = ResponseHead, module = "reknock._native")]
pub struct Stream(Arc<Place>);

impl Stream {
    pub fn place(&self) -> Arc<Place> {
        Arc::clone(&self.0)
    }
}

#[pymethods]
impl Stream {
    #[new]
    fn new(parts: &StreamParts) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ResponseHead::new(parts.head.clone())).add_subclass(Stream(Arc::clone(&parts.place)))
    }

    /// The next piece of the body, on the calling thread; None at its end.
    fn piece(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut stream = self.0.take(py)?;
        let read = blocking::run(py, async {
            let piece = stream.chunk().await;
            (piece, stream)
        })?;
        let (piece, stream) = read;
        self.0.put(stream);
        piece.map(|piece| object(py, piece)).map_err(|error| raised(py, &error))
    }

    /// Closes the connection, if the body was not read to its end.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}
