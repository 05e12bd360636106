//! The only place that reads clocks.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::ptr::null;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::{Tick, UnixTime};

/// A clock to decide by and to sleep on. The executor is generic over it, so that tests and simulations run in virtual time.
pub trait Clock: Clone + Send + Sync + 'static {
    /// The present moment on a monotonic clock.
    fn now(&self) -> Tick;
    /// The present wall-clock time.
    fn wall(&self) -> UnixTime;
    /// Whether ticks are those of the host's CLOCK_MONOTONIC, so that processes may share budgets by it. Virtual time is nobody else's.
    fn is_of_the_host(&self) -> bool {
        false
    }
    /// Completes at `when`, or at once if that is past. Timers run on it.
    fn sleep_until(&self, when: Tick) -> impl Future<Output = ()> + Send;

    /// The wait between two attempts. Tests that want no waits on real connections leap here and keep their timers.
    fn pause_until(&self, when: Tick) -> impl Future<Output = ()> + Send {
        self.sleep_until(when)
    }
}

/// Tokio's clock: real time, or virtual time in a runtime whose time is paused.
///
/// Ticks are those of the host's CLOCK_MONOTONIC, as Python's `time.monotonic`, Node's `process.hrtime` and C programs read it: whoever
/// counts by that clock may share budgets with a client.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

impl TokioClock {
    /// A moment of the present runtime.
    #[cfg(feature = "client")]
    pub(crate) fn tick(at: Instant) -> Tick {
        Anchor::get().tick(at.into_std())
    }
}

/// One moment on the clock of `std`, which tells no numbers, and on the host's.
struct Anchor {
    instant: std::time::Instant,
    tick: u64,
}

impl Anchor {
    #[allow(clippy::disallowed_methods)] // read here once, passed on as a number
    fn get() -> &'static Anchor {
        static ANCHOR: OnceLock<Anchor> = OnceLock::new();
        ANCHOR.get_or_init(|| {
            // Whatever comes between two readings moves them apart: the closest of a few.
            let readings = (0..4).map(|_| (monotonic(), std::time::Instant::now(), monotonic()));
            let (tick, instant, _) = readings.min_by_key(|(before, _, after)| after - before).unwrap_or((0, std::time::Instant::now(), 0));
            Anchor { instant, tick }
        })
    }

    /// A runtime whose time is paused may be behind the anchor.
    fn tick(&self, at: std::time::Instant) -> Tick {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Tick(match at.checked_duration_since(self.instant) {
            Some(later) => self.tick.saturating_add(nanos(later)),
            None => self.tick.saturating_sub(nanos(self.instant.duration_since(at))),
        })
    }

    fn instant(&self, at: Tick) -> std::time::Instant {
        match at.nanos().checked_sub(self.tick) {
            Some(later) => self.instant + Duration::from_nanos(later),
            None => self.instant.checked_sub(Duration::from_nanos(self.tick - at.nanos())).unwrap_or(self.instant),
        }
    }
}

/// The host's clock, read now.
#[cfg(feature = "client")]
pub(crate) fn host_now() -> Tick {
    Tick(monotonic())
}

#[cfg(unix)]
fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)).unwrap_or(0)
}

/// No clock that the languages share: ticks count from an hour before the first use, so that a paused runtime may be behind it.
#[cfg(not(unix))]
fn monotonic() -> u64 {
    3_600_000_000_000
}

impl Clock for TokioClock {
    fn now(&self) -> Tick {
        Anchor::get().tick(Instant::now().into_std())
    }

    #[allow(clippy::disallowed_methods)] // wall time for HTTP dates: read here, passed on as a number
    fn wall(&self) -> UnixTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn is_of_the_host(&self) -> bool {
        true
    }

    fn sleep_until(&self, when: Tick) -> impl Future<Output = ()> + Send {
        tokio::time::sleep_until(Instant::from_std(Anchor::get().instant(when)))
    }

    async fn pause_until(&self, when: Tick) {
        // Tokio's timers know whole milliseconds, and would make one of no wait at all.
        if when > self.now() {
            self.sleep_until(when).await;
        }
    }
}

/// Runs `step` until it ends, or (`None`) until `when`. After each turn of it that ends nothing the clock decides: a timer beside it would never fire where
/// the step uses up what the runtime lets a task do in one turn, as one does that goes through much which gives nothing.
pub(crate) async fn until<F: Future>(clock: &impl Clock, when: Tick, mut step: Pin<&mut F>) -> Option<F::Output> {
    // Made when it is needed: what ends in its first turn needs none.
    let mut timer = pin!(None);
    poll_fn(|context| {
        if let Poll::Ready(output) = step.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        // The end of time never comes, not even where a clock has got there by waits that no clock can count to. But time that leaps does so in here.
        let ends = when < Tick::MAX;
        if clock.is_of_the_host() && PolledAgain::is_before(when, context) {
            return Poll::Pending;
        }
        if ends && clock.now() >= when {
            return Poll::Ready(None);
        }
        if timer.is_none() {
            timer.set(Some(clock.sleep_until(when)));
        }
        let fired = timer.as_mut().as_pin_mut().is_some_and(|timer| timer.poll(context).is_ready());
        if fired && ends { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

thread_local! {
    /// With which waker whoever runs this thread polls, and when it does so again.
    static AGAIN: Cell<(*const (), Tick)> = const { Cell::new((null(), Tick::MAX)) };
}

/// While it lives, what is polled on this thread is polled again at some moment of the host's clock, if nothing wakes it before: limits that come later
/// need no timer of their own, which is set and taken away for nothing in nearly every call.
pub(crate) struct PolledAgain((*const (), Tick));

impl PolledAgain {
    #[cfg(feature = "client")]
    pub(crate) fn at(when: Tick, context: &Context<'_>) -> Self {
        PolledAgain(AGAIN.replace((context.waker().data(), when)))
    }

    /// Whether that is so, and not after `when`. Whoever polls with a waker of its own looks at nothing that has not woken it.
    fn is_before(when: Tick, context: &Context<'_>) -> bool {
        let (waker, again) = AGAIN.get();
        again <= when && waker == context.waker().data()
    }
}

impl Drop for PolledAgain {
    fn drop(&mut self) {
        AGAIN.set(self.0);
    }
}

/// Whether this runs in a runtime of tokio's that has timers. It tells by a panic alone, which is caught here instead of ending a call in its middle.
pub(crate) fn has_timers() -> bool {
    std::panic::catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_is_behind_the_first_one_has_a_clock() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let behind = runtime();
        runtime().block_on(async {
            tokio::time::advance(Duration::from_secs(1000)).await;
            TokioClock.now();
        });
        behind.block_on(async {
            let began = TokioClock.now();
            TokioClock.sleep_until(began.after(Duration::from_secs(1))).await;
            assert_eq!(TokioClock.now().since(began), Duration::from_secs(1));
        });
    }

    #[test]
    #[cfg(unix)]
    #[allow(clippy::disallowed_methods)] // the moment between two readings
    fn ticks_are_those_of_the_host() {
        let (before, now, after) = (monotonic(), TokioClock.now(), monotonic());
        // As far as two readings of it can be apart on a busy machine.
        let apart = 1_000_000;
        assert!(before <= now.nanos() + apart && now.nanos() <= after + apart, "{before} {now:?} {after}");
    }

    #[test]
    fn no_wait_takes_no_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            tokio::time::advance(Duration::from_micros(300)).await;
            let began = TokioClock.now();
            TokioClock.pause_until(began).await;
            assert_eq!(TokioClock.now(), began);
        });
    }
}
