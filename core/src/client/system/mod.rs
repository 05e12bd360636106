//! What a client has of the process that it runs in: its number, runtimes, signals, environment; and its clock and randomness. Knows nothing of HTTP.

pub(super) mod environment;
pub(super) mod process;
pub(super) mod runtime;
#[cfg(unix)]
pub(super) mod signals;

pub(super) use crate::system::{clock, entropy};
