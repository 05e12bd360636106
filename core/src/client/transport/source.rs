//! Where the bytes of a request body come from, piece by piece: as many as it says, neither more nor fewer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::client::message::body::{BodyStream, OutgoingBody};
use crate::error::{BoxError, ErrorKind, panic_text};

/// Bytes handed over at once: small enough that a slow upload shows as moving, large enough to cost nothing.
pub(super) const PIECE: usize = 16 * 1024;

/// The bytes of one attempt. Dropping it frees them, and who makes them.
#[derive(Default)]
pub(super) struct Source {
    /// Bytes at hand.
    ready: Bytes,
    /// Where further bytes come from. The lock is never taken: it makes it `Sync`.
    stream: Option<Mutex<BodyStream>>,
    declared: Option<u64>,
    handed: u64,
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

impl Source {
    pub(super) fn new(body: OutgoingBody) -> Self {
        let (ready, stream, declared) = match body {
            OutgoingBody::Bytes(bytes) => {
                let length = bytes.len() as u64;
                (bytes, None, Some(length))
            }
            // Nothing to come: not asked.
            OutgoingBody::Stream { length: Some(0), .. } => (Bytes::new(), None, Some(0)),
            OutgoingBody::Stream { stream, length } => (Bytes::new(), Some(Mutex::new(stream)), length),
        };
        Source { ready, stream, declared, handed: 0 }
    }

    /// Whether there is nothing left, as far as that is known without asking.
    pub(super) fn is_over(&self) -> bool {
        self.ready.is_empty() && self.stream.is_none()
    }

    /// The number of bytes left, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.declared.map(|declared| declared - self.handed)
    }

    /// The next piece, at most [`PIECE`] bytes; empty at the end.
    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, UploadError>> {
        ready!(self.fill(context))?;
        let piece = self.ready.split_to(self.ready.len().min(PIECE));
        self.handed += piece.len() as u64;
        Poll::Ready(Ok(piece))
    }

    /// Asks until bytes are at hand, or there are no more.
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
                (Some(Ok(bytes)), _) if bytes.is_empty() => {
                    // There may be no end of them: whoever minds the call's limits has a look in between.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
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
            UploadError::Length { declared, more } => {
                let than = if *more { "longer" } else { "shorter" };
                write!(f, "the request body is {than} than its declared length of {declared} bytes")
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
