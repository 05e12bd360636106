//! What a failure is called and what it proves, on real sockets: every way an exchange can go wrong, against peers that do exactly one
//! thing. hyper promises nothing about the types inside its errors, so this table is what notices when an upgrade moves them.
#![allow(clippy::unwrap_used)] // helpers of tests

use reknock::client::{HttpBody as TestedBody, HttpTransport as Tested};

/// Whether the transport stands on reqwest, which cannot do all.
const REQWEST: bool = false;

mod bodies;
mod connect;
mod evidence;
mod http1;
mod http2;
mod progress;
mod support;
mod tls;
mod trust;
