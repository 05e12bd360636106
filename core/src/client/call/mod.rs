//! One call: the loop around the decision machine, its attempts and their limits.

mod attempt;
pub(super) mod cancel;
mod consult;
mod drain;
mod early;
mod event_text;
pub(super) mod question;
mod run;
pub(super) mod state;
pub(super) mod stream;
mod timers;
