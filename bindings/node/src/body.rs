//! Request bodies that JavaScript produces while they are sent: each piece is asked for, so that nothing piles up.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::stream::unfold;
use reknock::BoxError;
use reknock::client::{Body, BodyStream};
use tokio::sync::oneshot;

/// Asks for the next piece of the body.
pub struct Pull {
    /// It is the first piece of a pass.
    pub first: bool,
    pub reply: oneshot::Sender<Option<Bytes>>,
}

/// Where the pulls of a call go, once it is known.
pub type Outlet = Arc<OnceLock<Box<dyn Fn(Pull) + Send + Sync>>>;

/// A body that is asked for: once, or anew for each attempt.
pub fn pulled(outlet: &Outlet, once: bool, length: Option<u64>) -> Body {
    let outlet = Arc::clone(outlet);
    if once { Body::stream(passing(outlet), length) } else { Body::factory(move || Ok(passing(Arc::clone(&outlet))), length) }
}

fn passing(outlet: Outlet) -> BodyStream {
    Box::pin(unfold((outlet, true), |(outlet, first)| async move {
        let (reply, piece) = oneshot::channel();
        let asked = outlet.get().map(|pull| pull(Pull { first, reply }));
        match (asked, piece.await) {
            (Some(()), Ok(piece)) => piece.map(|piece| (Ok(piece), (outlet, false))),
            _ => Some((Err(BoxError::from("the body's producer is gone")), (outlet, false))),
        }
    }))
}
