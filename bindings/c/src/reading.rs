//! Where the body of a response is while it is read.

use std::future::Future;
use std::mem::replace;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use core_::client::{Cancel, Lane, ReqwestBody, StreamingResponse, TokioClock, runtime};
use core_::{Error, ErrorKind};

use crate::blocking::serving;
use crate::body::Pulls;
use crate::ffi::Fault;

pub(crate) type Stream = StreamingResponse<ReqwestBody, TokioClock>;

/// A streamed body, and what its reads need. In this order: a lane closes what the stream leaves.
pub(crate) struct Live {
    pub(crate) stream: Stream,
    pub(crate) origin: Origin,
}

/// What a response came to.
pub(crate) enum Origin {
    /// A blocking call, whose request's body may still be going out, and the lane it is on.
    Call { pulls: Pulls, lane: Lane },
    /// A queue: `own` cancels its reads, and so does `theirs`, the caller's token.
    Queue { own: Cancel, theirs: Option<Cancel> },
}

impl Live {
    /// The next piece, on this thread; empty at the end.
    fn block(&mut self) -> Result<Bytes, Error> {
        match &mut self.origin {
            Origin::Call { pulls, lane } => serving(lane, pulls, piece(&mut self.stream))?,
            Origin::Queue { .. } => runtime()?.block_on(self.piece()),
        }
    }

    /// The next piece, in the process's runtime; empty at the end.
    async fn piece(&mut self) -> Result<Bytes, Error> {
        match &self.origin {
            Origin::Call { .. } => Err(Error::new(ErrorKind::Internal, "a blocking call's body was read through a queue")),
            Origin::Queue { own, theirs } => either(piece(&mut self.stream), own, theirs.as_ref()).await,
        }
    }
}

/// The next piece of a body; an empty one is not the end, but is handed out for it.
async fn piece(stream: &mut Stream) -> Result<Bytes, Error> {
    loop {
        match stream.chunk().await? {
            Some(piece) if piece.is_empty() => {}
            piece => return Ok(piece.unwrap_or_default()),
        }
    }
}

/// Work that `own` cancels; `theirs` cancels it too.
pub(crate) async fn either<T>(work: impl Future<Output = T>, own: &Cancel, theirs: Option<&Cancel>) -> T {
    let Some(theirs) = theirs else { return work.await };
    tokio::pin!(work);
    tokio::select! {
        biased;
        out = &mut work => return out,
        () = theirs.cancelled() => own.cancel(),
    }
    work.await
}

/// A body that is read piece by piece, by a thread or through a queue.
pub(crate) struct Place {
    state: Mutex<State>,
    /// Cancels reads through a queue; `None` if the response did not come to one.
    cancel: Option<Cancel>,
    pid: u32,
}

struct State {
    /// What was not handed out of the last piece.
    rest: Bytes,
    body: Body,
}

enum Body {
    /// Nothing comes after the rest.
    Whole,
    Here(Box<Live>),
    /// A read through a queue has it.
    Away,
    /// The response was freed.
    Freed,
}

impl Place {
    pub(crate) fn whole(rest: Bytes) -> Arc<Self> {
        Self::of(State { rest, body: Body::Whole }, Some(Cancel::new()))
    }

    pub(crate) fn streamed(live: Live) -> Arc<Self> {
        let cancel = match &live.origin {
            Origin::Call { .. } => None,
            Origin::Queue { own, .. } => Some(own.clone()),
        };
        Self::of(State { rest: Bytes::new(), body: Body::Here(Box::new(live)) }, cancel)
    }

    fn of(state: State, cancel: Option<Cancel>) -> Arc<Self> {
        Arc::new(Place { state: Mutex::new(state), cancel, pid: std::process::id() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it belongs to the parent process: neither locked, nor read, nor dropped here.
    pub(crate) fn inherited(&self) -> bool {
        self.pid != std::process::id()
    }

    /// Up to `size` bytes, on this thread; none at the end.
    pub(crate) fn read(&self, size: usize) -> Result<Bytes, Fault> {
        let mut live = self.take()?;
        let rest = std::mem::take(&mut self.state().rest);
        let read = match &mut live {
            Some(live) if rest.is_empty() => live.block(),
            _ => Ok(rest),
        };
        if matches!(&read, Ok(end) if end.is_empty()) {
            // Its lane is for the next call.
            live = None;
        }
        self.put(live, read)?;
        let mut state = self.state();
        let most = size.min(state.rest.len());
        Ok(state.rest.split_to(most))
    }

    /// Takes the body out to read it through a queue.
    pub(crate) fn borrow(self: &Arc<Self>) -> Result<(Borrowed, Cancel), Fault> {
        let foreign = || Fault::Argument("response: did not come from a queue".to_owned());
        let cancel = self.cancel.clone().ok_or_else(foreign)?;
        let live = self.take()?;
        Ok((Borrowed { place: Arc::clone(self), live }, cancel))
    }

    /// The body, if there is more than the rest.
    fn take(&self) -> Result<Option<Box<Live>>, Fault> {
        if self.inherited() {
            return Err(Error::new(ErrorKind::Closed, "the response belongs to the parent process").into());
        }
        let mut state = self.state();
        match replace(&mut state.body, Body::Away) {
            Body::Here(live) => Ok(Some(live)),
            Body::Whole => Ok(None),
            busy => {
                state.body = busy;
                Err(Fault::Argument("response: another read of it is under way".to_owned()))
            }
        }
    }

    /// Puts the body back with what was read of it. False if the response was freed meanwhile.
    fn put(&self, live: Option<Box<Live>>, read: Result<Bytes, Error>) -> Result<bool, Error> {
        let mut state = self.state();
        if matches!(state.body, Body::Freed) {
            return Ok(false);
        }
        state.body = live.map_or(Body::Whole, Body::Here);
        state.rest = read?;
        Ok(true)
    }

    /// The response is freed: its connection is given up, and what reads it ends.
    pub(crate) fn free(&self) {
        let before = replace(&mut self.state().body, Body::Freed);
        drop(before);
        self.cancel.iter().for_each(Cancel::cancel);
    }
}

/// A body on its way through a queue.
pub(crate) struct Borrowed {
    place: Arc<Place>,
    live: Option<Box<Live>>,
}

impl Borrowed {
    /// Reads the next piece, unless there is some rest.
    pub(crate) async fn read(mut self) -> Read {
        let rest = std::mem::take(&mut self.place.state().rest);
        let read = match &mut self.live {
            Some(live) if rest.is_empty() => live.piece().await,
            _ => Ok(rest),
        };
        Read { body: self, read }
    }
}

/// The end of a read through a queue.
pub(crate) struct Read {
    body: Borrowed,
    read: Result<Bytes, Error>,
}

impl Read {
    /// Gives the body back to its response. False if that was freed meanwhile.
    pub(crate) fn settle(self) -> Result<bool, Error> {
        let Borrowed { place, live } = self.body;
        place.put(live, self.read)
    }
}
