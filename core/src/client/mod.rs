//! The executor: sends, asks the machine, waits, sends again.

mod clock;
pub mod transport;

pub use clock::{Clock, TokioClock};
