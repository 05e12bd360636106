//! Blocking calls: the calling thread runs the call on a lane, and answers its questions between two stretches.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};

use super::call::question::{Host, Question};
use super::call::stream::StreamingResponse;
use super::client::{CallOptions, Client};
use super::host::channel::{AnswerSender, ChannelHost, HostMessages, HostReceiver};
use super::lane::Lane;
use super::message::request::Request;
use super::message::response::{Response, ResponseHead};
use super::system::clock::{Clock, TokioClock};
use super::transport::Transport;
use super::transport::http::HttpTransport;
use crate::error::Error;
use bytes::Bytes;
use futures_util::FutureExt;

impl<T: Transport, C: Clock> Client<T, C> {
    /// As [`send_with`](Client::send_with), on the calling thread, which waits for the end. `host` is asked on it too, outside of any
    /// runtime, so that it may make blocking calls of its own.
    ///
    /// # Errors
    /// As [`send_with`](Client::send_with), and as [`lane`](Client::lane).
    ///
    /// # Panics
    /// In code that can await: use [`send`](Client::send) there.
    pub fn send_blocking<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<Response, Error> {
        let lane = self.lane()?;
        let response = run(&lane, host, |host| lane.send_with(request, options, host))?;
        lane.settle();
        Ok(response)
    }

    /// As [`stream_with`](Client::stream_with), likewise.
    ///
    /// # Errors
    /// As [`send_blocking`](Client::send_blocking).
    ///
    /// # Panics
    /// As [`send_blocking`](Client::send_blocking).
    pub fn stream_blocking<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<BlockingStream<T, C>, Error> {
        let lane = self.lane()?;
        let stream = run(&lane, host, |host| lane.stream_with(request, options, host))?;
        Ok(BlockingStream { stream, lane: Some(lane) })
    }
}

/// A response whose body is read as it comes, by whichever thread asks. Dropping it early closes its connection.
///
/// Its head's methods can be called on it.
pub struct BlockingStream<T: Transport = HttpTransport, C: Clock = TokioClock> {
    // In this order: the lane closes what the stream leaves.
    stream: StreamingResponse<T::Body, C>,
    /// `None` once the body ended.
    lane: Option<Lane<T, C>>,
}

impl<T: Transport, C: Clock> BlockingStream<T, C> {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// As [`StreamingResponse::chunk`], and `closed` in a forked child.
    ///
    /// # Panics
    /// As [`Client::send_blocking`].
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(lane) = &self.lane else { return Ok(None) };
        let piece = lane.block_on(self.stream.chunk())?;
        self.lane = self.lane.take().and_then(|lane| lane.after(&piece));
        piece
    }
}

impl<T: Transport, C: Clock> Deref for BlockingStream<T, C> {
    type Target = ResponseHead;

    fn deref(&self) -> &ResponseHead {
        &self.stream
    }
}

impl<T: Transport, C: Clock> fmt::Debug for BlockingStream<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

/// Runs a call to its end.
fn run<T, C, H, R, F>(lane: &Lane<T, C>, mut host: H, start: impl FnOnce(ChannelHost) -> F) -> Result<R, Error>
where
    T: Transport,
    C: Clock,
    H: Host,
    F: Future<Output = Result<R, Error>>,
{
    let (channel, receiver) = HostReceiver::new(host.wants());
    let mut call = pin!(start(channel));
    loop {
        // Put where it stays: results are large, and each layer of what blocks would copy them.
        let mut done = None;
        lane.block_on(async {
            tokio::select! {
                biased;
                result = call.as_mut() => done = Some(result),
                () = receiver.wanted() => {}
            }
        })?;
        let HostMessages { events, question } = receiver.take();
        for event in events {
            // The panic hook has reported it.
            let _ = catch_unwind(AssertUnwindSafe(|| host.tell(event)));
        }
        if let Some(result) = done {
            return result;
        }
        if let Some((question, answer)) = question
            && let Some(result) = reply(lane, &mut host, call.as_mut(), question, answer)?
        {
            return result;
        }
    }
}

/// Asks the host. If the call ends before the host has answered, that is the result.
fn reply<T, C, H, F>(
    lane: &Lane<T, C>,
    host: &mut H,
    call: Pin<&mut F>,
    question: Question,
    answer: AnswerSender,
) -> Result<Option<F::Output>, Error>
where
    T: Transport,
    C: Clock,
    H: Host,
    F: Future,
{
    // Asked inside, so that a host that panics before it has a future is caught too.
    let mut asked = pin!(AssertUnwindSafe(async { host.ask(question).await }).catch_unwind());
    let context = lane.context();
    let at_once = asked.as_mut().now_or_never();
    drop(context);
    if let Some(reply) = at_once {
        answer.give(reply);
        return Ok(None);
    }
    lane.block_on(async {
        tokio::select! {
            biased;
            reply = asked => {
                answer.give(reply);
                None
            }
            result = call => Some(result),
        }
    })
}
