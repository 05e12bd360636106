//! Time that leaps.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::time::Tick;

/// Some 290 years.
const LATEST: u64 = u64::MAX / 2;

/// A moment, and until when the script keeps the executor waiting.
#[derive(Debug, Default)]
pub(super) struct Time {
    now: AtomicU64,
    /// Somebody waits for the moment below: time may leap.
    waiting: AtomicBool,
    until: AtomicU64,
}

impl Time {
    pub(super) fn starting(now: Tick) -> Self {
        Time { now: AtomicU64::new(now.nanos()), ..Time::default() }
    }

    pub(super) fn now(&self) -> Tick {
        Tick(self.now.load(Ordering::Acquire))
    }

    /// Time does not go backwards; nor, by waits that no clock can count to, so far that nothing can come after.
    pub(super) fn move_to(&self, when: Tick) {
        self.now.fetch_max(when.nanos().min(LATEST), Ordering::AcqRel);
    }

    /// A limit of the executor: it fires once the script keeps it waiting for so long, and never by itself.
    pub(super) fn sleep_until(self: Arc<Self>, when: Tick) -> impl Future<Output = ()> + Send {
        std::future::poll_fn(move |context| {
            if self.now() >= when && when != Tick::MAX {
                return Poll::Ready(());
            }
            if !self.waiting.load(Ordering::Acquire) {
                return Poll::Pending;
            }
            let until = Tick(self.until.load(Ordering::Acquire));
            let next = when.min(until);
            if next != Tick::MAX {
                self.move_to(next);
                context.waker().wake_by_ref();
            }
            if when <= until && when != Tick::MAX { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

/// A wait of the script's. Time leaps while the executor has nothing else to wait for but its limits.
pub(super) struct Delay {
    time: Arc<Time>,
    until: Tick,
}

impl Delay {
    pub(super) fn new(time: &Arc<Time>, duration: Duration) -> Self {
        Delay { time: Arc::clone(time), until: time.now().after(duration) }
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.time.now() >= self.until && self.until != Tick::MAX {
            return Poll::Ready(());
        }
        self.time.until.store(self.until.nanos(), Ordering::Release);
        self.time.waiting.store(true, Ordering::Release);
        // The limit that runs beside it is polled next: it moves the time and wakes both.
        Poll::Pending
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.time.waiting.store(false, Ordering::Release);
    }
}
