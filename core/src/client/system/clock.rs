//! The only place that reads clocks.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::{Tick, UnixTime};

/// A clock to decide by and to sleep on. The executor is generic over it, so that tests and simulations run in virtual time.
pub trait Clock: Clone + Send + Sync + 'static {
    /// The present moment on a monotonic clock.
    fn now(&self) -> Tick;
    /// The present wall-clock time.
    fn wall(&self) -> UnixTime;
    /// Completes at `when`, or at once if that is past. Timers run on it.
    fn sleep_until(&self, when: Tick) -> impl Future<Output = ()> + Send;

    /// The wait between two attempts. Tests that want no waits on real connections leap here and keep their timers.
    fn pause_until(&self, when: Tick) -> impl Future<Output = ()> + Send {
        self.sleep_until(when)
    }
}

/// Tokio's clock: real time, or virtual time in a runtime whose time is paused.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

/// Ticks count from an hour before the first use of the clock in the process: the clock of a runtime whose time is paused may be
/// behind that of the one which came first, and must not stand still at zero until it has caught up.
fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(|| {
        let now = Instant::now();
        now.checked_sub(Duration::from_secs(3600)).unwrap_or(now)
    })
}

impl Clock for TokioClock {
    fn now(&self) -> Tick {
        let epoch = epoch();
        Tick(u64::try_from(Instant::now().saturating_duration_since(epoch).as_nanos()).unwrap_or(u64::MAX))
    }

    #[allow(clippy::disallowed_methods)] // wall time for HTTP dates: read here, passed on as a number
    fn wall(&self) -> UnixTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, when: Tick) -> impl Future<Output = ()> + Send {
        tokio::time::sleep_until(epoch() + Duration::from_nanos(when.nanos()))
    }

    async fn pause_until(&self, when: Tick) {
        // Tokio's timers know whole milliseconds, and would make one of no wait at all.
        if when > self.now() {
            self.sleep_until(when).await;
        }
    }
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
