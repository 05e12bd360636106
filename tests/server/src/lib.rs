//! A loopback server that does to each attempt what a script says, and logs what arrived.
//!
//! [`Server::script`] registers a JSON document (README.md describes it) and gives a port of its own. Tests in
//! other languages do the same over the control endpoint of the `reknock-test-server` program.

mod body;
mod connection;
mod control;
mod document;
mod exchange2;
mod fields;
mod http1;
mod http2;
mod log;
mod outcome;
mod port;
mod reply;
mod script;
mod server;
mod shared;
mod stream;
mod tls;
mod wire;

use std::fmt;

pub use fields::DocumentError;
pub use log::Arrival;
pub use server::{Script, Server};

/// Why a server or a script did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The script document is wrong.
    Document(DocumentError),
    /// No socket.
    Io(std::io::Error),
    /// No certificate.
    Tls(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Tls(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for Error {}

impl From<DocumentError> for Error {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
