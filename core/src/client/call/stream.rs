//! Responses that are read as they come.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};

use super::attempt::{check_length, extend, idle_failure, too_large};
use super::cancel::{Cancellation, cancel_message};
use super::timers::within;
use crate::client::message::response::ResponseHead;
use crate::client::system::clock::Clock;
use crate::client::system::runtime::runtime_here;
use crate::client::transport::{Failure, Incoming, Progress};
use crate::error::{Error, ErrorKind};
use crate::record::{Evidence, StopReason};

/// A response whose body is read as it comes. Dropping it early closes its connection (HTTP/1) or resets its stream (HTTP/2).
///
/// Its head's methods can be called on it. Nothing is read that was not asked for. A body that breaks is an error, never retried:
/// part of it is in the caller's hands. What cancels the call, or closes its client, ends the body too.
///
/// It is a `Stream` of pieces, a `tokio::io::AsyncRead` (whose errors have the [`Error`] within) and an `http_body::Body`; whichever way it is read, nothing is
/// read twice or lost.
pub struct StreamingResponse<B, C> {
    head: ResponseHead,
    /// `None` while it reads, for those who poll.
    reader: Option<Box<Reader<B, C>>>,
    /// Behind a lock that nobody takes, so that responses can be shared.
    reading: Mutex<Option<Reading<B, C>>>,
    /// Of a piece that was read in part.
    rest: Bytes,
    /// It ended otherwise than by its end.
    broken: bool,
}

/// A piece on its way, and its reader's way back.
type Reading<B, C> = Pin<Box<dyn Future<Output = (Box<Reader<B, C>>, Result<Option<Bytes>, Failure>)> + Send>>;

/// What reads a body.
pub(in crate::client) struct Reader<B, C> {
    /// What was read of the body before.
    pub(in crate::client) early: Bytes,
    /// `None` once it ended, well or not: its connection is given back or closed at once.
    pub(in crate::client) body: Option<B>,
    pub(in crate::client) clock: C,
    pub(in crate::client) idle: Option<Duration>,
    /// Of the upload, which may still be going on.
    pub(in crate::client) progress: Arc<Progress>,
    pub(in crate::client) cancellation: Cancellation,
    /// What content-length announced.
    pub(in crate::client) length: Option<u64>,
    pub(in crate::client) read: u64,
    /// The most that may come.
    pub(in crate::client) most: Option<u64>,
}

impl<B, C> Deref for StreamingResponse<B, C> {
    type Target = ResponseHead;

    fn deref(&self) -> &ResponseHead {
        &self.head
    }
}

impl<B, C> fmt::Debug for StreamingResponse<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.fmt(f)
    }
}

/// Nothing in it is pinned where it stands.
impl<B, C> Unpin for StreamingResponse<B, C> {}

impl<B: Incoming, C: Clock> Reader<B, C> {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            self.read += early.len() as u64;
            return Ok(Some(early));
        }
        let Some(body) = &mut self.body else { return Ok(None) };
        // Whoever reads may do so elsewhere than the call was made.
        if self.clock.is_of_the_host() {
            runtime_here(false).map_err(|error| Failure::new(error.kind(), Evidence::Unknown, error.to_string()))?;
        }
        let piece = tokio::select! {
            biased;
            kind = self.cancellation.cancelled() => Err(Failure::new(kind, Evidence::Unknown, cancel_message(kind))),
            piece = within(&self.clock, self.idle, &self.progress, None, body.frame()) => match piece {
                Err(_) => Err(idle_failure(self.idle)),
                Ok(Ok(None)) => check_length(self.length, self.read).map(|()| None),
                Ok(piece) => piece,
            },
        };
        if let Ok(Some(piece)) = &piece {
            self.read += piece.len() as u64;
            if self.most.is_none_or(|most| self.read <= most) {
                return Ok(Some(piece.clone()));
            }
        }
        self.body = None;
        match (piece, self.most) {
            (Ok(Some(_)), Some(most)) => Err(too_large(most)),
            (ended, _) => ended,
        }
    }

    /// What is known to be still to come.
    fn left(&self) -> Option<u64> {
        match &self.body {
            Some(_) => self.length.map(|length| length.saturating_sub(self.read)),
            None => Some(self.early.len() as u64),
        }
    }
}

impl<B: Incoming, C: Clock> StreamingResponse<B, C> {
    pub(in crate::client) fn new(head: ResponseHead, reader: Reader<B, C>) -> Self {
        StreamingResponse { head, reader: Some(Box::new(reader)), reading: Mutex::new(None), rest: Bytes::new(), broken: false }
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// `body` if it is cut, corrupt, of another length than announced, or silent for the policy's `idle_timeout` while this waits;
    /// `config` outside of a tokio runtime with timers; `cancelled` or `closed`; `response_too_large` where [`Client::deliver_with`](super::super::Client::deliver_with) made it. After an error there are no more pieces.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.reader {
            // Without a box for each piece.
            Some(reader) if self.rest.is_empty() => match reader.next().await {
                Ok(piece) => Ok(piece),
                Err(failure) => Err(self.failed(failure)),
            },
            _ => poll_fn(|context| self.poll_chunk(context)).await,
        }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.rest))));
        }
        let reading = self.reading.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut reader) = self.reader.take() {
            *reading = Some(Box::pin(async move {
                let piece = reader.next().await;
                (reader, piece)
            }));
        }
        // What panicked in the middle has nothing more to give.
        let Some(piece) = reading else { return Poll::Ready(Ok(None)) };
        let (reader, piece) = ready!(piece.as_mut().poll(context));
        (*reading, self.reader) = (None, Some(reader));
        Poll::Ready(piece.map_err(|failure| self.failed(failure)))
    }

    /// Whether the body ended with an error; records and stop reason then tell of it.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The rest of the body, at most `most` bytes of it.
    ///
    /// # Errors
    /// As [`chunk`](StreamingResponse::chunk), and `response_too_large`.
    pub async fn bytes(&mut self, most: usize) -> Result<Bytes, Error> {
        let mut all = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if all.len() + piece.len() > most {
                let message = format!("the rest of the response body is larger than {most} bytes");
                return Err(self.given_up(Failure::new(ErrorKind::ResponseTooLarge, Evidence::Unknown, message)));
            }
            if let Err(failure) = extend(&mut all, &piece) {
                return Err(self.given_up(failure));
            }
        }
        Ok(all.into())
    }

    /// Nobody reads on.
    fn given_up(&mut self, failure: Failure) -> Error {
        if let Some(reader) = &mut self.reader {
            reader.body = None;
        }
        self.failed(failure)
    }

    /// The body ended so: from now on the records say it too.
    fn failed(&mut self, failure: Failure) -> Error {
        self.broken = true;
        let head = &mut self.head;
        if let Some(last) = head.attempts.last_mut() {
            last.error = Some(failure.kind);
        }
        head.stop_reason = StopReason::of_kind(failure.kind).unwrap_or(StopReason::NotRetryable);
        let (attempts, call) = (head.attempts.clone(), head.call());
        let text = match &call {
            Some(call) => call.ended(&failure.message, attempts.len(), head.elapsed, head.stop_reason),
            None => failure.message,
        };
        let mut error = Error::new(failure.kind, text).with_status(Some(head.status())).with_records(attempts, head.stop_reason);
        if let Some(call) = call {
            error = error.of_call(call);
        }
        match failure.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

impl<B: Incoming, C: Clock> Stream for StreamingResponse<B, C> {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(context).map(Result::transpose)
    }
}

impl<B: Incoming, C: Clock> AsyncRead for StreamingResponse<B, C> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match ready!(this.poll_chunk(context)) {
                Ok(Some(piece)) => this.rest = piece,
                Ok(None) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        into.put_slice(&this.rest.split_to(this.rest.len().min(into.remaining())));
        Poll::Ready(Ok(()))
    }
}

impl<B: Incoming, C: Clock> http_body::Body for StreamingResponse<B, C> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.poll_next(context).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.reader.as_ref().is_some_and(|reader| reader.body.is_none() && reader.early.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.reader.as_ref().and_then(|reader| reader.left());
        left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + self.rest.len() as u64))
    }
}

/// As servers and other clients take it. The head, which tells what was sent, is among its extensions as a [`ResponseHead`].
impl<B: Incoming, C: Clock> From<StreamingResponse<B, C>> for http::Response<StreamingResponse<B, C>> {
    fn from(response: StreamingResponse<B, C>) -> Self {
        response.head.clone().with_body(response)
    }
}
