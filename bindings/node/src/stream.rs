//! Responses whose body is read as it comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::External;
use napi_derive::napi;
pub use reknock::client::testing::EngineStream as CoreStream;

/// Where a body lives between reads. Collected unread, it closes its connection.
#[derive(Clone)]
pub struct Place(Arc<Mutex<State>>);

enum State {
    Here(Box<CoreStream>),
    /// Somebody reads it.
    Away,
    Closed,
}

impl Place {
    pub fn new(stream: Box<CoreStream>) -> Self {
        Place(Arc::new(Mutex::new(State::Here(stream))))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it out to read; `None` if it is closed, or somebody reads it.
    pub fn take(&self) -> Option<Box<CoreStream>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Away) {
            State::Here(stream) => Some(stream),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Puts it back, unless it was closed meanwhile.
    pub fn put(&self, stream: Box<CoreStream>) {
        let mut state = self.lock();
        if matches!(*state, State::Away) {
            *state = State::Here(stream);
        }
    }
}

/// Closes the connection of a body that was not read to its end.
#[napi(catch_unwind)]
pub fn close_stream(place: &External<Place>) {
    let before = std::mem::replace(&mut *place.lock(), State::Closed);
    drop(before);
}
