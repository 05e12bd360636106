//! Cancelling calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::error::ErrorKind;

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

/// What cancels a call: its own cancel, or that of its client.
#[derive(Clone, Debug)]
pub(in crate::client) struct Cancellation {
    pub(in crate::client) cancel: Option<Cancel>,
    pub(in crate::client) closed: Cancel,
}

impl Cancellation {
    /// As [`cancelled_kind`].
    pub(in crate::client) async fn cancelled(&self) -> ErrorKind {
        cancelled_kind(self.cancel.as_ref(), &self.closed).await
    }
}

/// Completes when a call is cancelled, with the kind of error that this is.
pub(in crate::client) async fn cancelled_kind(cancel: Option<&Cancel>, closed: &Cancel) -> ErrorKind {
    let Some(cancel) = cancel else {
        closed.cancelled().await;
        return ErrorKind::Closed;
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => ErrorKind::Cancelled,
        () = closed.cancelled() => ErrorKind::Closed,
    }
}

/// Whether a call was cancelled by now, and the kind of error that this is.
pub(in crate::client) fn cancelled_now(cancel: Option<&Cancel>, closed: &Cancel) -> Option<ErrorKind> {
    if cancel.is_some_and(Cancel::is_cancelled) {
        return Some(ErrorKind::Cancelled);
    }
    closed.is_cancelled().then_some(ErrorKind::Closed)
}

/// What an error of this kind says.
pub(in crate::client) fn cancel_message(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Closed => "the client was closed",
        _ => "the call was cancelled",
    }
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
