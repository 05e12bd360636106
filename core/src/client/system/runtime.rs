//! The process's own runtime, for callers that have none, and one transport per runtime that sends.

use std::cell::Cell;
use std::io;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Id, Runtime};
use tokio::time::sleep;

use super::clock::has_timers;
use super::process::{PerProcess, process_id};
use crate::error::{Error, ErrorKind};

static RUNTIME: PerProcess<Kept> = PerProcess::new();

struct Kept {
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
    alarm: Arc<Alarm>,
}

/// A timer that is always set while calls come. A worker that learns of an earlier timer than it knows wakes itself, with a `write` and one more
/// `epoll_wait`; as long as it knows this one, the limits of a call that is alone come later.
#[derive(Default)]
struct Alarm {
    set: AtomicBool,
    /// Somebody asked for the runtime since it was set.
    used: AtomicBool,
}

/// How long the timer is set for: once per call that comes after a rest, and as seldom as that while calls come.
const ALARM: Duration = Duration::from_secs(1);

impl Alarm {
    fn wind(self: &Arc<Self>, runtime: &Handle) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        if self.set.load(Ordering::Relaxed) || self.set.swap(true, Ordering::Relaxed) {
            return;
        }
        let alarm = Arc::clone(self);
        runtime.spawn(async move {
            while alarm.used.swap(false, Ordering::Relaxed) {
                sleep(ALARM).await;
            }
            alarm.set.store(false, Ordering::Relaxed);
        });
    }
}

/// The process that was shut down; 0 for none.
static SHUT_DOWN: AtomicU32 = AtomicU32::new(0);

/// One that another thread was faster to make. It may go inside a runtime, where nothing may wait for it.
impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

/// The process's runtime: started on first use, one worker, never dropped, made anew in a forked child.
///
/// # Errors
/// `internal` if the system refuses a thread, `closed` after [`shutdown`].
pub fn runtime() -> Result<&'static Handle, Error> {
    let start = |_: Option<&Kept>| -> io::Result<Kept> {
        let runtime = of_ours(&mut Builder::new_multi_thread()).worker_threads(1).thread_name("reknock").build()?;
        Ok(Kept { handle: runtime.handle().clone(), runtime: Mutex::new(Some(runtime)), alarm: Arc::default() })
    };
    running()?;
    let kept = RUNTIME.get_or_try_make(start).inspect(|kept| kept.alarm.wind(&kept.handle));
    kept.map(|kept| &kept.handle).map_err(|error| Error::new(ErrorKind::Internal, "the runtime cannot start").with_source(error))
}

/// What the runtimes of lanes are called.
const LANE: &str = "reknock-lane";

/// A runtime for a lane: one that runs only while a thread blocks on it.
pub(in crate::client) fn of_lane() -> Builder {
    let mut builder = Builder::new_current_thread();
    of_ours(&mut builder).name(LANE);
    builder
}

/// Whether the present runtime is a lane's.
pub(in crate::client) fn is_lane() -> bool {
    Handle::current().name() == Some(LANE)
}

/// A runtime whose threads, those that read files and resolve names included, take no signals.
pub(in crate::client) fn of_ours(builder: &mut Builder) -> &mut Builder {
    #[cfg(unix)]
    builder.on_thread_start(super::signals::leave_to_the_host);
    builder.enable_all()
}

/// Whether this process was not shut down.
pub(in crate::client) fn running() -> Result<(), Error> {
    match SHUT_DOWN.load(Ordering::Acquire) == process_id() {
        false => Ok(()),
        true => Err(Error::new(ErrorKind::Closed, "reknock was shut down in this process")),
    }
}

/// Ends the process's runtime and its thread, for good: what is in flight on it is dropped. Later calls on it, and blocking ones, fail with
/// `closed`.
///
/// For programs that unload the library, or that want nothing left at their end. No blocking call may be in flight.
pub fn shutdown() {
    SHUT_DOWN.store(process_id(), Ordering::Release);
    crate::client::transport::http::idle::stop();
    // Nothing is made only to be stopped.
    if let Ok(kept) = RUNTIME.get_or_try_make(|_| Err(())) {
        let runtime = kept.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(PATIENCE);
        }
    }
}

/// How long a shutdown waits for file reads and name resolutions that cannot be cut.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most runtimes one client keeps connections in.
const MOST: usize = 32;

/// The runtime that runs this code, which has timers, and I/O if `sockets` are to be opened in it.
pub(in crate::client) fn runtime_here(sockets: bool) -> Result<Id, Error> {
    thread_local!(static GOOD: Cell<Option<(Id, bool)>> = const { Cell::new(None) });
    let here = Handle::try_current()
        .map(|runtime| runtime.id())
        .map_err(|_| Error::new(ErrorKind::Config, "a call must be made inside a tokio runtime with time and I/O enabled"))?;
    if GOOD.get().is_none_or(|(good, had)| good != here || sockets && !had) {
        if !(has_timers() && (!sockets || has_sockets())) {
            let message = "this tokio runtime lacks timers or I/O, without which no call can be made; build it with enable_all()";
            return Err(Error::new(ErrorKind::Config, message));
        }
        GOOD.set(Some((here, sockets)));
    }
    Ok(here)
}

/// Whether the present runtime has I/O. It tells by a panic alone, which is caught here once a thread and runtime, instead of ending a call in its middle.
fn has_sockets() -> bool {
    // A socket that is registered nowhere until then.
    let sockets = || {
        std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| {
            socket.set_nonblocking(true)?;
            tokio::net::UdpSocket::from_std(socket)
        })
    };
    catch_unwind(|| drop(sockets())).is_ok()
}

/// One `T` per tokio runtime: connections live in the runtime that opened them, and hang in any other.
pub(in crate::client) struct PerRuntime<T>(Mutex<Vec<(Option<Id>, Arc<T>)>>);

impl<T> PerRuntime<T> {
    /// `first` is for the first runtime that asks.
    pub(in crate::client) fn new(first: T) -> Self {
        PerRuntime(Mutex::new(vec![(None, Arc::new(first))]))
    }

    /// The first one, if no runtime has asked yet.
    pub(in crate::client) fn unclaimed(&self) -> Option<Arc<T>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = all.iter().position(|(owner, _)| owner.is_none())?;
        Some(all.remove(first).1)
    }

    /// The present runtime's.
    pub(in crate::client) fn get(&self, make: impl FnOnce() -> Result<T, Error>) -> Result<Arc<T>, Error> {
        let id = runtime_here(false)?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = all.iter().find(|(owner, _)| *owner == Some(id)) {
            return Ok(Arc::clone(value));
        }
        if let Some((owner, value)) = all.iter_mut().find(|(owner, _)| owner.is_none()) {
            *owner = Some(id);
            return Ok(Arc::clone(value));
        }
        // Runtimes come and go (one per test, one per asyncio.run): the oldest that nobody uses makes room.
        if all.len() >= MOST
            && let Some(unused) = all.iter().position(|(_, value)| Arc::strong_count(value) == 1)
        {
            all.remove(unused);
        }
        let value = Arc::new(make()?);
        all.push((Some(id), Arc::clone(&value)));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_is_set_while_calls_come_and_not_for_long_after() {
        let (alarm, runtime) = (Arc::new(Alarm::default()), Handle::current());
        let tasks = || runtime.metrics().num_alive_tasks();
        alarm.wind(&runtime);
        alarm.wind(&runtime);
        assert_eq!(tasks(), 1);
        sleep(ALARM / 2).await;
        alarm.wind(&runtime);
        sleep(ALARM).await;
        assert_eq!(tasks(), 1);
        sleep(ALARM).await;
        assert_eq!(tasks(), 0);
        alarm.wind(&runtime);
        assert_eq!(tasks(), 1);
    }
}
