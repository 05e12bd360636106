//! Responses that nobody wants.

use std::pin::pin;
use std::time::Duration;

use crate::client::system::clock::{Clock, until};
use crate::client::transport::Incoming;
use crate::time::Tick;

/// The most of a dropped response that is read so that its connection can be used again, and the longest that may take.
const DRAIN: (usize, Duration) = (64 * 1024, Duration::from_millis(50));

/// Reads a response that nobody wants, if that is cheap; else its connection is closed.
pub(super) async fn drain(clock: &impl Clock, mut body: impl Incoming, deadline: Option<Tick>) {
    let end = clock.now().after(DRAIN.1).min(deadline.unwrap_or(Tick::MAX));
    let read = async {
        let mut left = DRAIN.0;
        while let Ok(Some(piece)) = body.frame().await {
            // A piece of nothing counts, too: there may be no end of them.
            match left.checked_sub(piece.len().max(1)) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    until(clock, end, pin!(read)).await;
}
