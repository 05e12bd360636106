//! HTTP/2 and proxies on real sockets, with a whole client: what goes over the wire, and what a call makes of it.
#![allow(clippy::unwrap_used)] // helpers of tests

mod http2;
mod peers;
mod places;
mod proxies;
mod storm;
