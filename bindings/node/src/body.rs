//! Request bodies that JavaScript produces while they are sent: each piece is asked for, so that nothing piles up.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::stream::unfold;
use reknock::BoxError;
use reknock::client::{Body, BodyStream};
use tokio::sync::oneshot;

/// What a body wants of JavaScript.
pub enum Pull {
    /// The next piece of a pass, which is new if its number is.
    Piece { pass: u32, reply: oneshot::Sender<Option<Bytes>> },
    /// Nobody asks for more of this pass, though it did not end: its connection is gone, or its attempt was given up.
    Gone { pass: u32 },
}

/// Where the pulls of a call go, once it is known.
pub type Outlet = Arc<OnceLock<Box<dyn Fn(Pull) + Send + Sync>>>;

/// A body that is asked for: once, or anew for each attempt.
pub fn pulled(outlet: &Outlet, once: bool, length: Option<u64>) -> Body {
    let outlet = Arc::clone(outlet);
    if once {
        return Body::stream(passing(outlet, 1), length);
    }
    let passes = AtomicU32::new(0);
    Body::factory(move || Ok(passing(Arc::clone(&outlet), passes.fetch_add(1, Ordering::Relaxed) + 1)), length)
}

/// A pass on its way. Dropped before its end, it says so.
struct Pass {
    outlet: Outlet,
    number: u32,
    ended: bool,
}

impl Pass {
    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let (false, Some(pull)) = (self.ended, self.outlet.get()) {
            pull(Pull::Gone { pass: self.number });
        }
    }
}

fn passing(outlet: Outlet, number: u32) -> BodyStream {
    Box::pin(unfold(Pass { outlet, number, ended: false }, |pass| async move {
        let (reply, piece) = oneshot::channel();
        let asked = pass.outlet.get().map(|pull| pull(Pull::Piece { pass: pass.number, reply }));
        match (asked, piece.await) {
            (Some(()), Ok(Some(piece))) => Some((Ok(piece), pass)),
            (Some(()), Ok(None)) => {
                pass.end();
                None
            }
            _ => Some((Err(BoxError::from("the body's producer is gone")), pass)),
        }
    }))
}
