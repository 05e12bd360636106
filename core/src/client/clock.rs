//! The only place that reads clocks.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

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

/// Ticks count from the first use of the clock in the process.
fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
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
        let wait = when.since(self.now());
        tokio::time::sleep(wait)
    }
}
