//! Calls through the public client against the scripted server: what the caller gets, what the server saw, and that both agree.
#![allow(clippy::unwrap_used)]

mod bodies;
mod cancel;
mod connections;
mod harness;
mod invalid;
#[path = "../support/live.rs"]
mod live;
mod outcomes;
mod posts;
mod requests;
#[path = "../support/mod.rs"]
mod support;
