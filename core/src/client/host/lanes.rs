//! What lanes are while nobody has them: a runtime each, with connections of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep};

use crate::client::system::runtime;
#[cfg(unix)]
use crate::client::system::signals;
use crate::client::transport::http::idle;
use crate::client::transport::{Exchanges, Transport};
use crate::error::{Error, ErrorKind};

/// The most lanes that a client keeps while they are not in use. Each has three descriptors: where there are few, fewer are kept.
const MOST: usize = 32;

/// How long a thread that resolved names or read a file for a lane waits for more work.
const THREAD_KEPT: Duration = Duration::from_secs(1);

/// What a lane is when nobody has it.
pub(in crate::client) struct LaneRuntime<T> {
    /// `None` only while it is being dropped.
    runtime: Option<Runtime>,
    pub(in crate::client) transport: Arc<T>,
    pub(in crate::client) exchanges: Exchanges,
    /// A timer that stays set between calls. A runtime that learns of an earlier timer than it knows wakes itself, with a `write` and one
    /// more `epoll_wait`; as long as it knows this one, the limits of a call come later. Setting a timer to a later time costs nothing.
    alarm: Mutex<Option<Pin<Box<Sleep>>>>,
    /// What writes may raise is kept from the threads that run it. Seen once, so that it costs nothing where SIGPIPE is ignored.
    #[cfg(unix)]
    guarded: bool,
}

impl<T: Transport> LaneRuntime<T> {
    pub(in crate::client) fn new(transport: Arc<T>) -> Result<Self, Error> {
        let runtime = loop {
            match runtime::of_lane().thread_keep_alive(THREAD_KEPT).build() {
                Ok(runtime) => break runtime,
                // It takes three descriptors.
                Err(_) if transport.give_up_one() => {}
                Err(error) => {
                    let message = format!("no connection can be opened here: {error}");
                    return Err(Error::new(ErrorKind::Connect, message).with_source(error));
                }
            }
        };
        #[cfg(unix)]
        let guarded = transport.raises_signals() && signals::pipe_is_minded();
        Ok(LaneRuntime {
            runtime: Some(runtime),
            transport,
            exchanges: Exchanges::default(),
            alarm: Mutex::default(),
            #[cfg(unix)]
            guarded,
        })
    }
}

impl<T> LaneRuntime<T> {
    /// Whether the runtime has to run now and then: see [`Transport::leaves_tasks`].
    pub(in crate::client) fn leaves_tasks(&self) -> bool
    where
        T: Transport,
    {
        self.transport.leaves_tasks()
    }

    /// Whether the runtime has to run before a call: see [`Transport::has_news`].
    pub(in crate::client) fn has_news(&self) -> bool
    where
        T: Transport,
    {
        self.transport.has_news()
    }

    pub(in crate::client) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken by drop alone")
    }

    /// Runs a future, and what was spawned, on this thread: only here do lanes write to sockets. Closing one writes nothing.
    pub(in crate::client) fn run<F: Future>(&self, future: F) -> F::Output {
        #[cfg(unix)]
        let _quiet = self.guarded.then(signals::NoPipe::here);
        self.runtime().block_on(future)
    }

    /// A timer that fires after `slice`: the one that is kept, unless another thread has it.
    pub(in crate::client) fn alarm(&self, slice: Duration) -> Pin<Box<Sleep>> {
        let kept = self.lock_alarm().take();
        let Some(mut alarm) = kept else { return Box::pin(sleep(slice)) };
        alarm.as_mut().reset(Instant::now() + slice);
        alarm
    }

    pub(in crate::client) fn keep(&self, alarm: Pin<Box<Sleep>>) {
        *self.lock_alarm() = Some(alarm);
    }

    /// Whether it has not run for longer than this, to within a slice: the alarm was set when it did.
    fn is_unused_for(&self, limit: Duration, now: Instant) -> bool {
        self.lock_alarm().as_ref().is_some_and(|alarm| now.saturating_duration_since(alarm.deadline()) > limit)
    }

    fn lock_alarm(&self) -> MutexGuard<'_, Option<Pin<Box<Sleep>>>> {
        self.alarm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what was woken by dropping a call: its connection closes, or resets its stream.
    pub(in crate::client) fn tidy(&self) {
        self.run(async {
            for _ in 0..3 {
                yield_now().await;
            }
        });
    }
}

/// Closes its connections at once. Waits for nothing, so that it may go anywhere.
impl<T> Drop for LaneRuntime<T> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The lanes of one client that are not in use.
pub(in crate::client) struct LanePool<T> {
    tracks: Mutex<Vec<LaneRuntime<T>>>,
    most: usize,
}

impl<T> Default for LanePool<T> {
    fn default() -> Self {
        // A quarter of what idle connections may have.
        LanePool { tracks: Mutex::default(), most: MOST.min(idle::most() / 4) }
    }
}

impl<T> LanePool<T> {
    /// Drops them all.
    pub(in crate::client) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        drop(all);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LaneRuntime<T>>> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Transport> LanePool<T> {
    /// The last one that was given back. Those whose connections must have aged out go.
    pub(in crate::client) fn pop(&self) -> Option<LaneRuntime<T>> {
        let mut tracks = self.lock();
        let last = tracks.pop()?;
        let aged = match last.transport.idle_limit() {
            Some(limit) if !tracks.is_empty() => {
                let now = Instant::now();
                let young = tracks.partition_point(|track| track.is_unused_for(limit, now));
                tracks.drain(..young).collect()
            }
            _ => Vec::new(),
        };
        drop(tracks);
        drop(aged);
        Some(last)
    }

    pub(in crate::client) fn push(&self, track: LaneRuntime<T>) {
        let mut tracks = self.lock();
        let kept = tracks.len() < self.most;
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
