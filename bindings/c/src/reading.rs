//! Where the body of a response is while it is read.

use std::future::Future;
use std::mem::replace;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use core_::client::{Cancel, HttpBody, ResponseHead, StreamingResponse, TokioClock, process_id, runtime};
use core_::{Error, ErrorKind};

use crate::blocking::OnLane;
use crate::ffi::Fault;

pub(crate) type Stream = StreamingResponse<HttpBody, TokioClock>;

/// A streamed body.
pub(crate) enum Live {
    /// Of a blocking call.
    Lane(OnLane),
    Queue(OnQueue),
}

/// A body that came to a queue: `own` cancels its reads, and so does `theirs`, the caller's token.
pub(crate) struct OnQueue {
    pub(crate) stream: Stream,
    pub(crate) own: Cancel,
    pub(crate) theirs: Option<Cancel>,
}

impl Live {
    pub(crate) fn head(&self) -> &ResponseHead {
        match self {
            Live::Lane(body) => &body.stream,
            Live::Queue(body) => &body.stream,
        }
    }

    /// The next piece, on this thread; empty at the end, and once it is over.
    fn wait(&mut self, over: impl Fn() -> bool) -> Result<Bytes, Error> {
        match self {
            Live::Queue(body) => runtime()?.block_on(body.piece()),
            Live::Lane(body) => loop {
                match body.chunk(&over)? {
                    // An empty piece is not the end.
                    Some(piece) if piece.is_empty() => {}
                    piece => return Ok(piece.unwrap_or_default()),
                }
            },
        }
    }
}

impl OnQueue {
    /// The next piece; empty at the end.
    async fn piece(&mut self) -> Result<Bytes, Error> {
        loop {
            match either(pin!(self.stream.chunk()), &self.own, self.theirs.as_ref()).await? {
                Some(piece) if piece.is_empty() => {}
                piece => return Ok(piece.unwrap_or_default()),
            }
        }
    }
}

/// Work that `own` cancels; `theirs` cancels it too.
pub(crate) async fn either<T>(mut work: Pin<&mut impl Future<Output = T>>, own: &Cancel, theirs: Option<&Cancel>) -> T {
    let Some(theirs) = theirs else { return work.await };
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
    Here(Box<Live>),
    /// A read through a queue has it.
    Away,
    /// The read that had it came to no end: its queue was freed, or the library shut down.
    Lost,
    /// The response was freed.
    Freed,
}

impl Place {
    pub(crate) fn of(live: Live) -> Arc<Self> {
        let cancel = match &live {
            Live::Lane(_) => None,
            Live::Queue(body) => Some(body.own.clone()),
        };
        let state = State { rest: Bytes::new(), body: Body::Here(Box::new(live)) };
        Arc::new(Place { state: Mutex::new(state), cancel, pid: process_id() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it belongs to the parent process: neither locked, nor read, nor dropped here.
    pub(crate) fn inherited(&self) -> bool {
        self.pid != process_id()
    }

    /// Up to `size` bytes, on this thread; none at the end.
    pub(crate) fn read(&self, size: usize) -> Result<Bytes, Fault> {
        let mut live = self.take()?;
        let rest = std::mem::take(&mut self.state().rest);
        let read = if rest.is_empty() { live.wait(|| self.is_freed()) } else { Ok(rest) };
        if !self.put(live, read)? {
            return Err(Error::new(ErrorKind::Closed, "the response was freed while it was read").into());
        }
        let mut state = self.state();
        let most = size.min(state.rest.len());
        Ok(state.rest.split_to(most))
    }

    /// Takes the body out to read it through a queue.
    pub(crate) fn borrow(self: &Arc<Self>) -> Result<(Borrowed, Cancel), Fault> {
        let foreign = || Fault::Argument("response: did not come from a queue".to_owned());
        let cancel = self.cancel.clone().ok_or_else(foreign)?;
        let live = self.take()?;
        Ok((Borrowed { place: Arc::clone(self), live: Some(live) }, cancel))
    }

    fn take(&self) -> Result<Box<Live>, Fault> {
        if self.inherited() {
            return Err(Error::new(ErrorKind::Closed, "the response belongs to the parent process").into());
        }
        let mut state = self.state();
        match replace(&mut state.body, Body::Away) {
            Body::Here(live) => Ok(live),
            Body::Lost => {
                state.body = Body::Lost;
                Err(Error::new(ErrorKind::Closed, "a read of the response was given up with its queue").into())
            }
            busy => {
                state.body = busy;
                Err(Fault::Argument("response: another read of it is under way".to_owned()))
            }
        }
    }

    fn is_freed(&self) -> bool {
        matches!(self.state().body, Body::Freed)
    }

    /// Puts the body back with what was read of it. False if the response was freed meanwhile.
    fn put(&self, live: Box<Live>, read: Result<Bytes, Error>) -> Result<bool, Error> {
        let mut state = self.state();
        if matches!(state.body, Body::Freed) {
            return Ok(false);
        }
        state.body = Body::Here(live);
        state.rest = read?;
        Ok(true)
    }

    /// What was taken out does not come back.
    fn lose(&self) {
        let mut state = self.state();
        if matches!(state.body, Body::Away) {
            state.body = Body::Lost;
        }
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
    /// `None` once it was given back.
    live: Option<Box<Live>>,
}

impl Borrowed {
    /// Reads the next piece, unless there is some rest.
    pub(crate) async fn read(mut self) -> Read {
        let rest = std::mem::take(&mut self.place.state().rest);
        let read = match self.live.as_deref_mut() {
            Some(Live::Queue(body)) if rest.is_empty() => body.piece().await,
            _ => Ok(rest),
        };
        Read { body: self, read }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // In a child that inherited it, its lock may be held by a thread that is gone.
        if self.live.is_some() && !self.place.inherited() {
            self.place.lose();
        }
    }
}

/// The end of a read through a queue.
pub(crate) struct Read {
    body: Borrowed,
    read: Result<Bytes, Error>,
}

impl Read {
    /// Gives the body back to its response. False if that was freed meanwhile.
    pub(crate) fn settle(mut self) -> Result<bool, Error> {
        match self.body.live.take() {
            Some(live) => self.body.place.put(live, self.read),
            None => Ok(false),
        }
    }
}
