//! One call: the loop around the decision machine, its attempts and their limits.

pub(super) mod attempt;
pub(super) mod cancel;
mod drain;
mod event_text;
pub(super) mod question;
pub(super) mod run;
pub(super) mod stream;
mod timers;
