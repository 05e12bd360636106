//! reknock: retries for HTTP clients.

#[cfg(feature = "client")]
pub mod client;
mod error;
pub mod policy;
mod record;

pub mod retry;
mod time;

pub use error::{BoxError, Error, ErrorKind};
pub use policy::Policy;
pub use record::{AttemptRecord, Evidence, StopReason, explain};
pub use time::{DurationText, Tick, UnixTime, parse_duration};
