//! The client: calls by scripts in virtual time, and over sockets. One program, because each has the whole library in it.
#![allow(clippy::unwrap_used)]

#[path = "../support/live.rs"]
mod live;
#[path = "../support/replay.rs"]
mod replay;
#[path = "../support/mod.rs"]
mod support;

#[path = "../behaviour/mod.rs"]
mod behaviour;
mod busy;
mod callbacks;
mod cancels;
mod credentials;
mod delivery;
mod envoy;
mod events;
mod executor;
mod forms;
mod hostile;
mod hosts;
mod kinds;
mod queue;
mod redirects;
mod silence;
#[path = "../sockets/mod.rs"]
mod sockets;
mod streams;
mod testing;
