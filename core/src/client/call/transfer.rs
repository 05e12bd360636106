//! How much of a call's bodies has moved, for those who want to be told while it moves.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::iter;

use crate::client::message::body::{BodyStream, OutgoingBody};
use crate::error::BoxError;

/// Bytes of a request's body that are counted at once, at most.
const PIECE: usize = 16 * 1024;

/// How far the bodies of a call's present attempt are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer {
    /// The number of the attempt, from 1, over all redirect hops.
    pub attempt: u32,
    /// Bytes of the request's body that its connection took.
    pub sent: u64,
    /// How many they will be, if that is known.
    pub to_send: Option<u64>,
    /// Bytes of the response's body that were read, decoded.
    pub received: u64,
    /// How many they will be, if that is known: `content-length` says so, and no coding is undone.
    pub to_receive: Option<u64>,
}

/// A function that is told of transfers. See [`RequestBuilder::on_transfer`](crate::client::RequestBuilder::on_transfer). Cheap to clone.
#[derive(Clone)]
pub struct OnTransfer(Arc<dyn Fn(&Transfer) + Send + Sync>);

impl OnTransfer {
    /// This function. It must not block; a panic in it is reported by the panic hook and fails no call.
    pub fn new(f: impl Fn(&Transfer) + Send + Sync + 'static) -> Self {
        OnTransfer(Arc::new(f))
    }
}

impl fmt::Debug for OnTransfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnTransfer").finish_non_exhaustive()
    }
}

/// Counts the bytes of one call. It is the call's alone, so that nothing is told once that is over, whatever still goes out then.
pub(in crate::client) struct Meter {
    on_transfer: OnTransfer,
    now: Mutex<Transfer>,
}

impl Meter {
    pub(in crate::client) fn new(on_transfer: &OnTransfer) -> Arc<Self> {
        Arc::new(Meter { on_transfer: on_transfer.clone(), now: Mutex::default() })
    }

    /// An attempt begins; its body, counted as it goes.
    pub(super) fn begin(self: &Arc<Self>, attempt: u32, body: OutgoingBody) -> OutgoingBody {
        let length = body.length();
        self.change(attempt, |now| *now = Transfer { attempt, to_send: length, ..Transfer::default() });
        let stream: BodyStream = match body {
            OutgoingBody::Bytes(bytes) if bytes.is_empty() => return OutgoingBody::Bytes(bytes),
            OutgoingBody::Bytes(bytes) => Box::pin(iter([Ok(bytes)])),
            OutgoingBody::Stream { stream, .. } => stream,
        };
        let meter = Arc::downgrade(self);
        let counted = stream.map_ok(|bytes| iter(pieces(bytes))).try_flatten().inspect_ok(move |piece| {
            if let Some(meter) = meter.upgrade() {
                meter.change(attempt, |now| now.sent += piece.len() as u64);
            }
        });
        OutgoingBody::Stream { stream: Box::pin(counted), length }
    }

    /// So much of an attempt's response was read, of so much.
    pub(super) fn received(&self, attempt: u32, received: u64, to_receive: Option<u64>) {
        self.change(attempt, |now| (now.received, now.to_receive) = (received, to_receive));
    }

    /// What an earlier attempt still does counts no more.
    fn change(&self, attempt: u32, change: impl FnOnce(&mut Transfer)) {
        // Held while it is told, so that nobody is told of less after more.
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if attempt >= now.attempt {
            change(&mut now);
            let _ = catch_unwind(AssertUnwindSafe(|| (self.on_transfer.0)(&now)));
        }
    }
}

/// The same bytes, a piece at a time.
fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Result<Bytes, BoxError>> {
    std::iter::from_fn(move || (!bytes.is_empty()).then(|| Ok(bytes.split_to(bytes.len().min(PIECE)))))
}
