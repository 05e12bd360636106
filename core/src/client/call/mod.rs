//! One call: the loop around the decision machine, its attempts and their limits.

mod attempt;
pub(super) mod cancel;
mod consult;
pub(super) mod conventions;
mod drain;
mod early;
pub(super) mod event_table;
pub(super) mod events;
pub(super) mod question;
mod run;
pub(super) mod state;
pub(super) mod stream;
pub(super) mod tell;
mod timers;
pub(crate) mod trace;
pub(super) mod transfer;

use std::pin::Pin;

/// Room on the heap for the future of a call: what callers hold, and move to where it runs, is small then. To be filled where it stands, as to make a box
/// of a future copies all of it, which is more than a tenth of a call.
pub(super) fn room<F>() -> Pin<Box<Option<F>>> {
    Box::into_pin(Box::default())
}
