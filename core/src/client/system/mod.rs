//! What a client has of the process that it runs in: its number, runtimes, signals, clock, environment and randomness. Knows nothing of HTTP.

pub(super) mod clock;
pub(super) mod entropy;
pub(super) mod environment;
pub(super) mod process;
pub(super) mod runtime;
#[cfg(unix)]
pub(super) mod signals;
