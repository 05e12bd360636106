//! Who drives the connection of a response that is being read.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::task::AbortHandle;

use super::http1::Http1;
use super::pool::Lease;
use crate::client::system::process::process_id;

/// A connection, and leave to have it. In this order: its place is free when its socket is closed.
type Leased = (Box<Http1>, Lease);

/// The connection of a response that is being read.
pub(super) enum Held {
    /// Who reads drives it.
    Here(Leased),
    /// The request is still going out, whether or not anybody reads.
    ByTask(Driven),
}

/// A connection that a task drives, until it is over or taken away. Dropping this closes it, whatever the task does just now.
pub(super) struct Driven {
    shared: Arc<Mutex<Option<Leased>>>,
    task: AbortHandle,
    /// The process whose task it is.
    pid: u32,
}

impl Held {
    pub(super) fn new(connection: Leased, uploading: bool) -> Self {
        if uploading { Held::ByTask(Driven::start(connection)) } else { Held::Here(connection) }
    }

    /// Lets it do what it can, unless a task does. Whether it is over.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            Held::Here((connection, _)) => connection.drive(context),
            Held::ByTask(_) => false,
        }
    }

    /// The connection, unless it is over.
    pub(super) fn into_inner(self) -> Option<Leased> {
        match self {
            Held::Here(connection) => Some(connection),
            Held::ByTask(driven) => driven.shared.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }

    /// Whether it belongs to the parent of this process.
    pub(super) fn is_inherited(&self) -> bool {
        match self {
            Held::Here((_, lease)) => lease.is_inherited(),
            Held::ByTask(driven) => driven.pid != process_id(),
        }
    }
}

impl Driven {
    fn start(connection: Leased) -> Self {
        let shared = Arc::new(Mutex::new(Some(connection)));
        let own = Arc::clone(&shared);
        let task = tokio::spawn(poll_fn(move |context| {
            let mut slot = own.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.as_mut().is_some_and(|(connection, _)| !connection.drive(context)) {
                return Poll::Pending;
            }
            *slot = None;
            Poll::Ready(())
        }));
        Driven { shared, task: task.abort_handle(), pid: process_id() }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.task.abort();
        // Where the task is at it, or this is dropped within the very source that it asks, the task drops what it has: it will not be polled again.
        if let Ok(mut slot) = self.shared.try_lock() {
            drop(slot.take());
        }
    }
}
