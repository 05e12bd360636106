//! Responses whose body is read as it comes.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use reknock::client;
use reknock::client::testing::EngineStream;

use crate::blocking::{self, OnLane};
use crate::convert::bytes;
use crate::ending::Ours;
use crate::response::ResponseHead;

/// Where a body lives between reads.
pub struct Place {
    state: Mutex<State>,
    /// The head as it is known after the body broke.
    broken: Arc<OnceLock<client::ResponseHead>>,
}

enum State {
    /// With what a blocking call's body is read on, until its end. In this order: the lane closes what the body leaves.
    Here(Box<EngineStream>, Option<Box<OnLane>>),
    /// Somebody reads it.
    Away,
    Closed,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new(stream: EngineStream, lane: Option<Box<OnLane>>) -> Arc<Self> {
        Arc::new(Place { state: Mutex::new(State::Here(Box::new(stream), lane)), broken: Arc::default() })
    }

    /// Takes it out to read in an event loop.
    pub fn take(&self, py: Python<'_>) -> PyResult<EngineStream> {
        self.take_with_lane(py).map(|(_, stream)| stream)
    }

    fn take_with_lane(&self, py: Python<'_>) -> PyResult<(Option<Box<OnLane>>, EngineStream)> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Away) {
            State::Here(stream, lane) => Ok((lane, *stream)),
            other => {
                *state = other;
                drop(state);
                let class = CLASS.import(py, "reknock._exceptions", "StreamClosed")?;
                Err(PyErr::from_value(class.call0()?))
            }
        }
    }

    /// Puts it back, unless it was closed meanwhile.
    pub fn put(&self, stream: EngineStream) {
        self.put_with_lane(stream, None);
    }

    /// Likewise, with what it is read on next.
    pub fn put_with_lane(&self, stream: EngineStream, lane: Option<Box<OnLane>>) {
        if stream.is_broken() {
            // It breaks once.
            let _ = self.broken.set((*stream).clone());
        }
        let here = State::Here(Box::new(stream), lane);
        let mut state = self.lock();
        let over = if matches!(*state, State::Away) { std::mem::replace(&mut *state, here) } else { here };
        drop(state);
        drop(over);
    }

    /// Shows the garbage collector what produces the request's body.
    fn visit(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.state.try_lock().as_deref() {
            Ok(State::Here(_, Some(lane))) => lane.callbacks.visit(visit),
            _ => Ok(()),
        }
    }

    fn close(&self) {
        let before = std::mem::replace(&mut *self.lock(), State::Closed);
        drop(before);
    }
}

/// A piece of a body as Python has it.
pub fn object(py: Python<'_>, piece: Option<Bytes>) -> PyResult<Py<PyAny>> {
    piece.map_or_else(|| Ok(py.None()), |piece| Ok(bytes(py, &piece)?.into_any().unbind()))
}

/// What a streaming response is made of.
#[pyclass(frozen, module = "reknock._native")]
pub struct StreamParts {
    head: client::ResponseHead,
    place: Arc<Place>,
}

impl StreamParts {
    pub fn new(stream: EngineStream) -> Self {
        StreamParts { head: (*stream).clone(), place: Place::new(stream, None) }
    }

    /// Of a blocking call.
    pub fn on_lane(stream: EngineStream, lane: OnLane) -> Self {
        StreamParts { head: (*stream).clone(), place: Place::new(stream, Some(Box::new(lane))) }
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
        PyClassInitializer::from(ResponseHead::of_stream(parts.head.clone(), Arc::clone(&parts.place.broken)))
            .add_subclass(Stream(Arc::clone(&parts.place)))
    }

    /// The next piece of the body, on the calling thread; None at its end, or a turn.
    fn next(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let _ours = Ours::here();
        let (lane, stream) = self.0.take_with_lane(py)?;
        match lane {
            Some(lane) => blocking::piece(py, stream, *lane, Arc::clone(&self.0)),
            None => {
                // It has ended.
                self.0.put(stream);
                Ok(py.None())
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Once, however many have it.
        if Arc::strong_count(&self.0) == 1 { self.0.visit(visit) } else { Ok(()) }
    }

    fn __clear__(&self) {
        self.0.close();
    }

    /// Closes the connection, if the body was not read to its end.
    fn close(&self, py: Python<'_>) {
        let _ours = Ours::here();
        py.detach(|| self.0.close());
    }
}
