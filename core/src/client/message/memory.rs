//! Memory for what the caller gives: where the system has none, an error and never the end of the program.

use std::io;

use bytes::Bytes;

use crate::error::{Error, ErrorKind};

/// What does not fit: the error's source is [`io::ErrorKind::OutOfMemory`].
fn too_large(what: &str, bytes: usize) -> Error {
    let source = io::Error::from(io::ErrorKind::OutOfMemory);
    Error::new(ErrorKind::InvalidRequest, format!("{what}: {bytes} bytes do not fit into memory")).with_source(source)
}

/// A copy of these bytes.
///
/// # Errors
/// `invalid_request` if the system has no memory for it: see [`Error::is_out_of_memory`].
pub fn copied(what: &str, bytes: &[u8]) -> Result<Bytes, Error> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| too_large(what, bytes.len()))?;
    copy.extend_from_slice(bytes);
    Ok(copy.into())
}

/// Makes room for so many more bytes of a text.
pub(super) fn reserve(what: &str, text: &mut String, more: usize) -> Result<(), Error> {
    text.try_reserve(more).map_err(|_| too_large(what, text.len().saturating_add(more)))
}

/// Bytes that somebody writes.
#[derive(Default)]
pub(super) struct Written(pub(super) Vec<u8>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_reserve(bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// The error for what was written so far and did not fit.
    pub(super) fn too_large(&self, what: &str) -> Error {
        too_large(what, self.0.len())
    }
}
