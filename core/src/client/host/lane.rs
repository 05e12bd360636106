//! Lanes: what blocking calls run on.
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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep};

use crate::client::system::clock::{Clock, TokioClock};
use crate::client::system::process::process_id;
use crate::client::system::runtime;
#[cfg(unix)]
use crate::client::system::signals;
use crate::client::transport::{Progress, Transport};
use crate::client::{CallOptions, Client, Host, On, Request, ReqwestTransport, Response, Shared, StreamingResponse};
use crate::error::{Error, ErrorKind};
use crate::time::Tick;

/// The most lanes that a client keeps while they are not in use.
const MOST: usize = 32;

/// How long [`Lane::block_on`] sleeps in one go. Limits that are longer cost no system call: see [`Track::alarm`].
const SLICE: Duration = Duration::from_secs(1);

/// How long a thread that resolved names or read a file for a lane waits for more work.
const THREAD_KEPT: Duration = Duration::from_secs(1);

/// A client's means to make one blocking call at a time; dropping it gives it back. From [`Client::lane`].
///
/// Of its own process alone: in a forked child it fails with `closed`. May move to another thread between calls, and with a response whose body
/// is still to be read on it.
pub struct Lane<T: Transport = ReqwestTransport, C: Clock = TokioClock> {
    client: Client<T, C>,
    shared: Arc<Shared<T>>,
    pid: u32,
    /// `None` only while it is being dropped.
    track: Option<Track<T>>,
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
                Track::new(kept.map_or_else(|| (self.0.config.transport)().map(Arc::new), Ok)?)?
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
        self.client.send_on(Some(self), request, options, host)
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
        self.client.stream_on(Some(self), request, options, host)
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
        if self.used.swap(true, Ordering::Relaxed) && self.pid != process_id() {
            return Err(Error::new(ErrorKind::Closed, "it belongs to the parent process; make calls of your own in a forked child"));
        }
        let Some(track) = &self.track else { return Err(gone()) };
        Ok(track.run(async {
            let mut alarm = track.alarm(slice);
            // Lets the runtime see which connections were closed meanwhile.
            if track.leaves_tasks {
                yield_now().await;
            }
            let output = poll_fn(|context| match future.as_mut().poll(context) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending => alarm.as_mut().poll(context).map(|()| None),
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
    pub(in crate::client) fn context(&self) -> Option<tokio::runtime::EnterGuard<'_>> {
        self.track.as_ref().map(|track| track.runtime().enter())
    }

    /// Where its calls run.
    pub(in crate::client) fn on(&self) -> Result<On<'_, T>, Error> {
        let track = self.track.as_ref().ok_or_else(gone)?;
        let exchanges = track.leaves_tasks.then_some(&track.exchanges);
        Ok(On { shared: &self.shared, transport: Arc::clone(&track.transport), exchanges })
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Internal, "a lane was used after its end")
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
        if track.leaves_tasks && (!self.settled || !track.exchanges.are_over()) {
            // Where it cannot be run, it goes: that closes what was dropped, too.
            if Handle::try_current().is_ok() || std::thread::panicking() {
                return;
            }
            track.tidy();
            if !track.exchanges.are_over() {
                return;
            }
        }
        if !self.shared.closed.is_cancelled() {
            self.shared.lanes.push(track);
        }
    }
}

/// The exchanges of the call that a lane has, and of those before: as many as somebody may still send something of.
#[derive(Default)]
pub(in crate::client) struct Exchanges(Mutex<Vec<Arc<Progress>>>);

impl Exchanges {
    /// One more begins.
    pub(in crate::client) fn begin(&self, progress: &Arc<Progress>) {
        self.unfinished().push(Arc::clone(progress));
    }

    fn are_over(&self) -> bool {
        self.unfinished().is_empty()
    }

    fn unfinished(&self) -> MutexGuard<'_, Vec<Arc<Progress>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|progress| progress.is_held());
        all
    }
}

/// What a lane is when nobody has it.
pub(in crate::client) struct Track<T> {
    /// `None` only while it is being dropped.
    runtime: Option<Runtime>,
    transport: Arc<T>,
    exchanges: Exchanges,
    /// Of its transport, see [`Transport::leaves_tasks`].
    leaves_tasks: bool,
    given_back: Tick,
    /// A timer that stays set between calls. A runtime that learns of an earlier timer than it knows wakes itself, with a `write` and one
    /// more `epoll_wait`; as long as it knows this one, the limits of a call come later. Setting a timer to a later time costs nothing.
    alarm: Mutex<Option<Pin<Box<Sleep>>>>,
    /// What writes may raise is kept from the threads that run it. Seen once, so that it costs nothing where SIGPIPE is ignored.
    #[cfg(unix)]
    guarded: bool,
}

impl<T: Transport> Track<T> {
    fn new(transport: Arc<T>) -> Result<Self, Error> {
        let runtime = runtime::of_ours(&mut Builder::new_current_thread()).thread_keep_alive(THREAD_KEPT).build();
        let runtime = runtime.map_err(|error| Error::new(ErrorKind::Internal, "a runtime cannot be made").with_source(error))?;
        let leaves_tasks = transport.leaves_tasks();
        Ok(Track {
            runtime: Some(runtime),
            transport,
            leaves_tasks,
            exchanges: Exchanges::default(),
            given_back: Tick(0),
            alarm: Mutex::default(),
            #[cfg(unix)]
            guarded: leaves_tasks && signals::pipe_is_minded(),
        })
    }
}

impl<T> Track<T> {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken by drop alone")
    }

    /// Runs a future, and what was spawned, on this thread: only here do lanes write to sockets. Closing one writes nothing.
    fn run<F: Future>(&self, future: F) -> F::Output {
        #[cfg(unix)]
        let _quiet = self.guarded.then(signals::NoPipe::here);
        self.runtime().block_on(future)
    }

    /// A timer that fires after `slice`: the one that is kept, unless another thread has it.
    fn alarm(&self, slice: Duration) -> Pin<Box<Sleep>> {
        let kept = self.alarm.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut alarm) = kept else { return Box::pin(sleep(slice)) };
        alarm.as_mut().reset(Instant::now() + slice);
        alarm
    }

    fn keep(&self, alarm: Pin<Box<Sleep>>) {
        *self.alarm.lock().unwrap_or_else(PoisonError::into_inner) = Some(alarm);
    }

    /// Runs what was woken by dropping a call: its connection closes, or resets its stream.
    fn tidy(&self) {
        self.run(async {
            for _ in 0..3 {
                yield_now().await;
            }
        });
    }
}

/// Closes its connections at once. Waits for nothing, so that it may go anywhere.
impl<T> Drop for Track<T> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The lanes of one client that are not in use.
pub(in crate::client) struct Lanes<T>(Mutex<Vec<Track<T>>>);

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Lanes(Mutex::default())
    }
}

impl<T> Lanes<T> {
    /// Drops them all.
    pub(in crate::client) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        drop(all);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Track<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Transport> Lanes<T> {
    /// The last one that was given back. Those whose connections must have aged out go.
    fn pop(&self) -> Option<Track<T>> {
        let mut tracks = self.lock();
        let last = tracks.pop()?;
        let aged = match last.transport.idle_limit() {
            Some(limit) if !tracks.is_empty() => {
                let now = TokioClock.now();
                let young = tracks.partition_point(|track| now.since(track.given_back) > limit);
                tracks.drain(..young).collect()
            }
            _ => Vec::new(),
        };
        drop(tracks);
        drop(aged);
        Some(last)
    }

    fn push(&self, mut track: Track<T>) {
        track.given_back = TokioClock.now();
        let mut tracks = self.lock();
        let kept = tracks.len() < MOST;
        let over = if kept {
            tracks.push(track);
            None
        } else {
            Some(track)
        };
        drop(tracks);
        drop(over);
    }
}
