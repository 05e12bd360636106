//! Proves on raw sockets that each outcome is what it says.

mod bodies;
mod client;
mod control;
mod documents;
mod faults;
mod http2;
mod ports;
mod requests;
mod tls;
