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
