//! LanePool: what blocking calls run on.
//!
//! A lane is a runtime that only runs while a thread blocks on it, with connections of its own. The calling thread does all the work of
//! its call, so that no thread is started and none has to be woken. A client keeps the lanes that are not in use, the last one used on top.
//!
//! Nobody runs a lane that is not in use. Hence two rules: a call looks first at what happened to its connections meanwhile, and a call that
//! did not end by itself, or ended before its upload, gives its runtime a moment to close what was dropped. What cannot be closed so, because its
//! connection is blocked in a write, goes with the lane.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::coop::unconstrained;
use tokio::task::yield_now;

use super::call::question::Host;
use super::call::state::CallSite;
use super::call::stream::StreamingResponse;
use super::client::{CallOptions, Client, Shared};
use super::host::lanes::LaneRuntime;
use super::message::request::Request;
use super::message::response::Response;
use super::system::clock::{Clock, PolledAgain, TokioClock};
use super::system::process::process_id;
use super::system::runtime;
use super::transport::Transport;
use super::transport::http::HttpTransport;
use crate::error::{Error, ErrorKind};

/// How long [`Lane::block_on`] sleeps in one go. Limits that are longer cost no system call: see [`LaneRuntime::alarm`].
const SLICE: Duration = Duration::from_secs(1);

/// A client's means to make one blocking call at a time; dropping it gives it back. From [`Client::lane`].
///
/// Of its own process alone: in a forked child it fails with `closed`. May move to another thread between calls, and with a response whose body
/// is still to be read on it.
pub struct Lane<T: Transport = HttpTransport, C: Clock = TokioClock> {
    client: Client<T, C>,
    shared: Arc<Shared<T>>,
    pid: u32,
    /// `None` only while it is being dropped.
    track: Option<LaneRuntime<T>>,
    used: AtomicBool,
    settled: bool,
}

impl<T: Transport, C: Clock> Client<T, C> {
    /// A lane for a blocking call: one that was given back, or a new one. Starts no thread.
    ///
    /// # Errors
    /// `closed` after [`shutdown`](crate::client::shutdown), `internal` if the system refuses a descriptor.
    pub fn lane(&self) -> Result<Lane<T, C>, Error> {
        let shared = self.own()?;
        runtime::running()?;
        let track = match shared.lanes.pop() {
            Some(track) => track,
            None => {
                let kept = shared.everywhere.clone().or_else(|| shared.transports.unclaimed());
                LaneRuntime::new(kept.map_or_else(|| (self.0.config.transport)().map(Arc::new), Ok)?)?
            }
        };
        Ok(Lane {
            client: self.clone(),
            shared: Arc::clone(shared),
            pid: process_id(),
            track: Some(track),
            used: AtomicBool::new(false),
            settled: false,
        })
    }
}

impl<T: Transport, C: Clock> Lane<T, C> {
    /// As [`Client::send_with`], on this lane: to be run by its [`block_on`](Lane::block_on).
    ///
    /// # Errors
    /// As [`Client::send_with`].
    pub fn send_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> impl Future<Output = Result<Response, Error>> {
        self.client.send_on(Some(self.on()), request, options, host)
    }

    /// As [`Client::stream_with`], on this lane, and so are the reads of its body.
    ///
    /// # Errors
    /// As [`Client::stream_with`].
    pub fn stream_with<H: Host>(
        &self,
        request: Request,
        options: &CallOptions,
        host: H,
    ) -> impl Future<Output = Result<StreamingResponse<T::Body, C>, Error>> {
        self.client.stream_on(Some(self.on()), request, options, host)
    }

    /// Runs a future on this thread.
    ///
    /// # Errors
    /// `closed` in a forked child, where nothing would come of it.
    ///
    /// # Panics
    /// On a thread that runs another future just now: where code can await, [`Client::send`] is what it needs.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        let mut future = pin!(future);
        loop {
            if let Some(output) = self.block_for(SLICE, future.as_mut())? {
                return Ok(output);
            }
        }
    }

    /// Likewise, for at most so long; `None` if it goes on then. For threads that have to look at something else now and then.
    ///
    /// # Errors
    /// As [`block_on`](Lane::block_on).
    ///
    /// # Panics
    /// As [`block_on`](Lane::block_on).
    pub fn block_for<F: Future>(&self, slice: Duration, mut future: Pin<&mut F>) -> Result<Option<F::Output>, Error> {
        // The first time is just after the lane was given out. Later ones may come after a callback, or with a streamed body, that a fork took along.
        let again = self.used.swap(true, Ordering::Relaxed);
        if again && self.pid != process_id() {
            return Err(Error::new(ErrorKind::Closed, "it belongs to the parent process; make calls of your own in a forked child"));
        }
        let track = self.track();
        Ok(track.run(async {
            let mut alarm = track.alarm(slice);
            // Lets the runtime see which connections were closed meanwhile, and what has come: a call that only asks, and is answered, never waits for it.
            if again || track.has_news() {
                yield_now().await;
            }
            let again = TokioClock::tick(alarm.deadline());
            let output = poll_fn(|context| {
                let again = PolledAgain::at(again, context);
                let polled = future.as_mut().poll(context);
                drop(again);
                match polled {
                    Poll::Ready(output) => Poll::Ready(Some(output)),
                    // Also where the future has used up what the runtime lets a task do in one turn.
                    Poll::Pending => pin!(unconstrained(alarm.as_mut())).poll(context).map(|()| None),
                }
            })
            .await;
            track.keep(alarm);
            output
        }))
    }

    /// Gives it back just after `block_on` ended with the end of the call, or of its body: nothing was dropped that would have to be closed, but for
    /// an upload that was still going on, which the lane knows of itself.
    pub fn settle(mut self) {
        self.settled = true;
    }

    /// The lane for the next read of a body, after a read that ended so: this one, as long as there are pieces. At the end it settles.
    pub fn after<P>(self, read: &Result<Option<P>, Error>) -> Option<Self> {
        match read {
            Ok(Some(_)) => return Some(self),
            Ok(None) => self.settle(),
            Err(_) => {}
        }
        None
    }

    /// Its runtime's context, for work on this thread that is not blocked on.
    pub(super) fn context(&self) -> tokio::runtime::EnterGuard<'_> {
        self.track().runtime().enter()
    }

    /// Where its calls run.
    fn on(&self) -> CallSite<'_, T> {
        let track = self.track();
        let exchanges = track.leaves_tasks().then_some(&track.exchanges);
        CallSite { shared: &self.shared.calls, transport: Arc::clone(&track.transport), exchanges }
    }

    fn track(&self) -> &LaneRuntime<T> {
        self.track.as_ref().expect("taken by drop alone")
    }
}

impl<T: Transport, C: Clock> fmt::Debug for Lane<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl<T: Transport, C: Clock> Drop for Lane<T, C> {
    fn drop(&mut self) {
        let Some(track) = self.track.take() else { return };
        if self.pid != process_id() {
            // Its sockets are the parent's as well, and so is what they are registered with; locks may be held by threads that are not here.
            return std::mem::forget(track);
        }
        if track.leaves_tasks() && (!self.settled || !track.exchanges.are_over()) {
            // Where it cannot be run, it goes: that closes what was dropped, too.
            if Handle::try_current().is_ok() || std::thread::panicking() {
                return;
            }
            track.tidy();
            if !track.exchanges.are_over() {
                return;
            }
        }
        if !self.shared.calls.closed.is_cancelled() {
            self.shared.lanes.push(track);
        }
    }
}
