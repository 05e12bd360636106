//! One call: the loop around the decision machine, its attempts and their limits.

pub(super) mod attempt;
pub(super) mod cancel;
mod event_text;
pub(super) mod running;
pub(super) mod timers;
