//! The request body as a connection takes it, piece by piece: it is as long as it says, and what it does is noted in [`Progress`].

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::expect::{Expectation, Held};
use crate::client::message::body::BodyStream;
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::{OutgoingBody, Progress};
use crate::error::{BoxError, ErrorKind, panic_text};

/// Bytes handed over at once: small enough that a slow upload shows as moving, large enough to cost nothing.
const PIECE: usize = 16 * 1024;

/// The body of one attempt. Whoever drives its connection asks it; dropping it frees its bytes and its source.
pub(super) struct Upload {
    /// Bytes at hand.
    ready: Bytes,
    /// Where further bytes come from. The lock is never taken: it makes it `Sync`.
    stream: Option<Mutex<BodyStream>>,
    declared: Option<u64>,
    handed: u64,
    /// Somebody asked for it.
    begun: bool,
    done: bool,
    /// It waits until the server wants it.
    held: Option<Held>,
    progress: Arc<Progress>,
}

/// Why a request body ended before its end.
#[derive(Debug)]
pub(super) enum UploadError {
    /// It is longer or shorter than its declared length.
    Length {
        /// What was declared, in bytes.
        declared: u64,
        /// More came than that; else less.
        more: bool,
    },
    /// Its source failed.
    Source(BoxError),
}

impl Upload {
    pub(super) fn new(body: OutgoingBody, expectation: Option<Expectation>, progress: Arc<Progress>) -> Self {
        let (ready, stream, declared) = match body {
            OutgoingBody::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (bytes, None, Some(length))
            }
            // Nothing to come: not asked.
            OutgoingBody::Stream { length: Some(0), .. } => (Bytes::new(), None, Some(0)),
            OutgoingBody::Stream { stream, length } => (Bytes::new(), Some(Mutex::new(stream)), length),
        };
        let held = expectation.map(Expectation::hold);
        Upload { ready, stream, declared, handed: 0, begun: false, done: false, held, progress }
    }

    /// To be told of answers, where it waits for them.
    pub(super) fn expectation(&self) -> Option<Expectation> {
        self.held.as_ref().map(|held| held.expectation().clone())
    }

    /// Whether there is nothing left, as far as that is known without asking.
    pub(super) fn is_over(&self) -> bool {
        self.ready.is_empty() && self.stream.is_none()
    }

    /// The number of bytes left, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.declared.map(|declared| declared - self.handed)
    }

    /// Somebody begins to send it, or took a piece.
    fn moved(&mut self) {
        let now = TokioClock.now();
        self.progress.moved(now);
        if self.is_over() && !self.done {
            self.done = true;
            self.progress.uploaded(now);
        }
    }

    /// Says once that it begins. A body without a byte is then over, too.
    pub(super) fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.moved();
        }
    }

    /// The next piece; `None` at the end.
    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        self.begin();
        if let Some(held) = &mut self.held {
            ready!(held.poll(context));
            self.held = None;
        }
        if let Err(error) = ready!(self.fill(context)) {
            return Poll::Ready(Some(Err(error)));
        }
        let piece = self.ready.split_to(self.ready.len().min(PIECE));
        self.handed += piece.len() as u64;
        self.moved();
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }

    /// Asks the source until bytes are at hand, or it ends.
    fn fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        while let Some(stream) = &mut self.stream {
            let missing = self.declared.map(|declared| declared - self.handed);
            // The last bytes wait for the end, so that none can come after them.
            if !self.ready.is_empty() && missing != Some(self.ready.len() as u64) {
                break;
            }
            let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
            // A panic is the source's failure, not that of whoever drives the connection.
            let piece = match catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_next(context))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(piece)) => piece,
                Err(panic) => Some(Err(format!("it panicked: {}", panic_text(&*panic)).into())),
            };
            match (piece, self.declared) {
                (Some(Ok(bytes)), _) if bytes.is_empty() => {}
                (Some(Ok(_)), Some(declared)) if !self.ready.is_empty() => {
                    return Poll::Ready(Err(UploadError::Length { declared, more: true }));
                }
                (Some(Ok(bytes)), declared) => {
                    if let (Some(missing), Some(declared)) = (missing, declared)
                        && bytes.len() as u64 > missing
                    {
                        return Poll::Ready(Err(UploadError::Length { declared, more: true }));
                    }
                    self.ready = bytes;
                }
                (Some(Err(error)), _) => return Poll::Ready(Err(UploadError::Source(error))),
                (None, Some(declared)) if self.handed + (self.ready.len() as u64) < declared => {
                    return Poll::Ready(Err(UploadError::Length { declared, more: false }));
                }
                (None, _) => self.stream = None,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.poll_piece(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl UploadError {
    /// What it is for the call.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            UploadError::Length { .. } => ErrorKind::InvalidRequest,
            UploadError::Source(_) => ErrorKind::Callback,
        }
    }
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UploadError::Length { declared, more: true } => {
                write!(f, "the request body is longer than its declared length of {declared} bytes")
            }
            UploadError::Length { declared, more: false } => {
                write!(f, "the request body is shorter than its declared length of {declared} bytes")
            }
            UploadError::Source(error) => write!(f, "the source of the request body failed: {error}"),
        }
    }
}

impl std::error::Error for UploadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            UploadError::Source(error) => Some(&**error),
            UploadError::Length { .. } => None,
        }
    }
}
