//! The body of a response, as it comes out of its stream.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use http_body::Body;
use tokio::task::AbortHandle;

use super::failure;
use super::gate::Place;
use super::upload::Upload;
use crate::client::transport::Failure;

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
}

impl Http2Body {
    pub(super) fn new(stream: RecvStream, place: Place, bodiless: bool, rest: Option<Rest>) -> Self {
        let live = (!stream.is_end_stream()).then_some(Live { stream, place, bodiless, waiting: false });
        Http2Body { live, rest }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Kind `body`, or that of the request's body if it failed on the way.
    pub(in crate::client::transport::http) async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        let Some(live) = &mut self.live else { return Poll::Ready(Ok(None)) };
        loop {
            let piece = match live.stream.poll_data(context) {
                Poll::Pending if live.bodiless => None,
                Poll::Pending => {
                    live.waiting = true;
                    return Poll::Pending;
                }
                Poll::Ready(piece) => piece,
            };
            live.waiting = false;
            let result = match piece {
                Some(Ok(bytes)) => {
                    let _ = live.stream.flow_control().release_capacity(bytes.len());
                    if live.bodiless || bytes.is_empty() {
                        continue;
                    }
                    if live.stream.is_end_stream() {
                        self.live = None;
                    }
                    return Poll::Ready(Ok(Some(bytes)));
                }
                Some(Err(_)) if live.bodiless => Ok(None),
                Some(Err(error)) => Err(failure::of_body(error, &live.place.connection().link)),
                None => Ok(None),
            };
            self.live = None;
            let broken = self.rest.as_ref().and_then(Rest::failure);
            return Poll::Ready(result.map_err(|failure| broken.unwrap_or(failure)));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.waiting {
            self.place.connection().link.doubt();
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
    failure: Arc<Mutex<Option<Failure>>>,
}

impl Rest {
    pub(super) fn start<B>(mut upload: Upload<B>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Failure>,
    {
        let failure = Arc::new(Mutex::new(None));
        let told = Arc::clone(&failure);
        let task = tokio::spawn(async move {
            if let Err(failure) = poll_fn(|context| upload.poll(context)).await {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            }
        });
        Rest { task: task.abort_handle(), failure }
    }

    /// Why it failed, if it did.
    fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.task.abort();
    }
}
