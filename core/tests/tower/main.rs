//! `RetryLayer` around services of others: whole calls as data on real sockets, and in virtual time what no vector says.
#![allow(clippy::unwrap_used)]

mod bodies;
mod calls;
#[path = "../calls/compare.rs"]
mod compare;
mod duplex;
mod failures;
#[path = "../support/live.rs"]
mod live;
mod readiness;
mod services;
#[path = "../support/mod.rs"]
mod support;
mod virtual_time;
