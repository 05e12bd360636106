//! Calling calls off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Cancels the calls that hold a clone of it, from any thread, once and for all. Dropping it cancels nothing.
///
/// A cancelled call ends with kind `cancelled` and its attempts; dropping a call's future ends it likewise, but tells nothing.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    waiting: Notify,
}

impl Cancel {
    /// Not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels, now and for calls to come. More than once does nothing more.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.waiting.notify_waiters();
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Completes when it is cancelled.
    pub async fn cancelled(&self) {
        let mut waiting = std::pin::pin!(self.0.waiting.notified());
        // Registered before the look, so that a cancel in between is not missed.
        waiting.as_mut().enable();
        if !self.is_cancelled() {
            waiting.await;
        }
    }
}
