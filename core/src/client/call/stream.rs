//! Responses that are read as they come.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::attempt::{check_length, extend, idle_failure, too_large};
use super::cancel::{Cancellation, cancel_message};
use super::timers::within;
use crate::client::message::response::ResponseHead;
use crate::client::system::clock::Clock;
use crate::client::transport::{Failure, Incoming, Progress};
use crate::error::{Error, ErrorKind};
use crate::record::{Evidence, StopReason};

/// A response whose body is read as it comes. Dropping it early closes its connection (HTTP/1) or resets its stream (HTTP/2).
///
/// Its head's methods can be called on it. Nothing is read that was not asked for. A body that breaks is an error, never retried:
/// part of it is in the caller's hands. What cancels the call, or closes its client, ends the body too.
pub struct StreamingResponse<B, C> {
    pub(in crate::client) head: ResponseHead,
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
    /// It ended otherwise than by its end.
    pub(in crate::client) broken: bool,
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

impl<B: Incoming, C: Clock> StreamingResponse<B, C> {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// `body` if it is cut, corrupt, of another length than announced, or silent for the policy's `idle_timeout` while this waits;
    /// `cancelled` or `closed`; `response_too_large` where [`Client::deliver_with`](super::super::Client::deliver_with) made it. After an error there are no more pieces.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            return Ok(Some(self.counted(early)));
        }
        let Some(body) = &mut self.body else { return Ok(None) };
        let piece = tokio::select! {
            biased;
            kind = self.cancellation.cancelled() => Err(Failure::new(kind, Evidence::Unknown, cancel_message(kind))),
            piece = within(&self.clock, self.idle, &self.progress, None, body.frame()) => match piece {
                Err(_) => Err(idle_failure(self.idle)),
                Ok(Ok(None)) => check_length(self.length, self.read).map(|()| None),
                Ok(piece) => piece,
            },
        };
        if !matches!(piece, Ok(Some(_))) {
            self.body = None;
        }
        let piece = piece.map_err(|failure| self.failed(failure))?.map(|piece| self.counted(piece));
        match self.most {
            Some(most) if self.read > most => {
                self.body = None;
                Err(self.failed(too_large(most)))
            }
            _ => Ok(piece),
        }
    }

    fn counted(&mut self, piece: Bytes) -> Bytes {
        self.read += piece.len() as u64;
        piece
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
                self.body = None;
                let message = format!("the rest of the response body is larger than {most} bytes");
                return Err(self.failed(Failure::new(ErrorKind::ResponseTooLarge, Evidence::Unknown, message)));
            }
            if let Err(failure) = extend(&mut all, &piece) {
                self.body = None;
                return Err(self.failed(failure));
            }
        }
        Ok(all.into())
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
