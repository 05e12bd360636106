//! The body of a response, as it comes out of its stream.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use tokio::task::AbortHandle;

use super::failure;
use super::gate::Place;
use super::sending::Sending;
use crate::client::transport::Failure;
use crate::client::transport::source::UploadError;

/// So much is read before the peer is told: much less than it may send ahead, and more than most bodies have.
const RELEASED: usize = 64 * 1024;

/// A body. Dropped before its end, it resets the stream, and ends an upload that is still going on.
pub(in crate::client::transport::http) struct Http2Body {
    /// `None` at the end.
    live: Option<Live>,
    /// What goes on of the request.
    rest: Option<Rest>,
}

struct Live {
    stream: RecvStream,
    place: Place,
    /// It has no body by rule, whatever comes.
    bodiless: bool,
    /// Somebody waits, or waited in vain, for what comes next.
    waiting: bool,
    /// What the peer was not told yet that it may send again.
    unreleased: usize,
    /// How many bytes are still to come, where the head has said so and the request has a body, too.
    left: Option<u64>,
}

impl Live {
    /// What is there already needs nothing of the connection.
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let first = self.stream.poll_data(context);
        let link = &self.place.connection().link;
        if first.is_ready() || !link.is_for_one_call() {
            return first;
        }
        link.drive_by_call(context);
        self.stream.poll_data(context)
    }

    /// So much was read. What is left of it at the end of the stream goes with that.
    fn release(&mut self, size: usize) {
        self.unreleased += size;
        if self.unreleased >= RELEASED {
            let _ = self.stream.flow_control().release_capacity(std::mem::take(&mut self.unreleased));
        }
    }

    /// Whether everything had come when the connection was lost. h2 forgets the end of a response that comes in one go with the connection's, as long as
    /// the request has none.
    fn is_whole(&self, error: &h2::Error) -> bool {
        self.left == Some(0) && !error.is_reset()
    }
}

impl Http2Body {
    /// `length`: as the head has it; needed where the request has a body.
    pub(super) fn new(stream: RecvStream, place: Place, bodiless: bool, length: Option<u64>, rest: Option<Rest>) -> Self {
        let over = stream.is_end_stream();
        let mut body = Http2Body { live: Some(Live { stream, place, bodiless, waiting: false, unreleased: 0, left: length }), rest };
        if over {
            body.finish();
        }
        body
    }

    /// The next piece; `None` at the end. A failure is of kind `body`, or that of the request's body if it failed on the way.
    pub(in crate::client::transport::http) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let Some(live) = &mut self.live else { return Poll::Ready(None) };
        loop {
            let piece = match live.poll_data(context) {
                Poll::Pending if live.bodiless => {
                    self.end();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    live.waiting = true;
                    return Poll::Pending;
                }
                Poll::Ready(piece) => piece,
            };
            live.waiting = false;
            let result = match piece {
                Some(Ok(bytes)) => {
                    live.release(bytes.len());
                    live.left = live.left.map(|left| left.saturating_sub(bytes.len() as u64));
                    if live.bodiless || bytes.is_empty() {
                        continue;
                    }
                    if live.stream.is_end_stream() {
                        self.finish();
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Err(error)) if !live.bodiless && !live.is_whole(&error) => {
                    let link = &live.place.connection().link;
                    Some(Err(match self.rest.as_ref().and_then(Rest::failure) {
                        Some(error) => failure::of_upload(error, link, u64::MAX),
                        None => failure::of_body(error, link),
                    }))
                }
                Some(Err(_)) => None,
                None => {
                    self.finish();
                    return Poll::Ready(None);
                }
            };
            self.end();
            return Poll::Ready(result);
        }
    }

    /// All has come.
    fn finish(&mut self) {
        if let (Some(live), None) = (&self.live, &self.rest) {
            live.place.connection().link.rest();
        }
        self.end();
    }

    /// Nothing more comes.
    fn end(&mut self) {
        let live = self.live.take();
        if let (Some(live), Some(rest)) = (live, &mut self.rest)
            && !rest.task.is_finished()
        {
            live.place.connection().link.hand_over();
            rest.place = Some(live.place);
        }
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        if let Some(live) = &self.live
            && live.waiting
        {
            live.place.connection().link.doubt();
        }
    }
}

impl fmt::Debug for Http2Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http2Body")
    }
}

/// An upload that outlives the head of its response: it goes on whether or not anybody reads. Dropped, it ends.
pub(super) struct Rest {
    task: AbortHandle,
    failed: Arc<Mutex<Option<UploadError>>>,
    /// That of a response that has ended: the stream is open as long as the upload.
    place: Option<Place>,
}

impl Rest {
    pub(super) fn start(mut sending: Sending) -> Self {
        let failed = Arc::new(Mutex::new(None));
        let told = Arc::clone(&failed);
        let task = tokio::spawn(async move {
            if let Err(error) = poll_fn(|context| sending.poll(context)).await {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        });
        Rest { task: task.abort_handle(), failed, place: None }
    }

    /// Why it failed, if it did.
    fn failure(&self) -> Option<UploadError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.task.abort();
    }
}
