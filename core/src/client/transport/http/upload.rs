//! The request body as a connection takes it, piece by piece: it is as long as it says, and what it does is noted in [`Progress`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::expect::{Expectation, Held};
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::source::{Source, UploadError};
use crate::client::transport::{OutgoingBody, Progress};

/// The body of one attempt. Whoever drives its connection asks it; dropping it frees its bytes and its source.
pub(super) struct Upload {
    source: Source,
    /// Somebody asked for it.
    begun: bool,
    done: bool,
    /// It waits until the server wants it.
    held: Option<Held>,
    progress: Arc<Progress>,
}

impl Upload {
    pub(super) fn new(body: OutgoingBody, expectation: Option<Expectation>, progress: Arc<Progress>) -> Self {
        let held = expectation.map(Expectation::hold);
        Upload { source: Source::new(body), begun: false, done: false, held, progress }
    }

    /// To be told of answers, where it waits for them.
    pub(super) fn expectation(&self) -> Option<Expectation> {
        self.held.as_ref().map(|held| held.expectation().clone())
    }

    /// Whether there is nothing left, as far as that is known without asking.
    pub(super) fn is_over(&self) -> bool {
        self.source.is_over()
    }

    /// The number of bytes left, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.source.left()
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
        let piece = ready!(self.source.poll_piece(context));
        if piece.is_ok() {
            self.moved();
        }
        Poll::Ready(Some(piece).filter(|piece| !piece.as_ref().is_ok_and(Bytes::is_empty)))
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
