//! Files that others name: nothing there may keep the reader waiting, or have no end.

use std::fs::{File, FileType, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Opens a regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Before it is opened: a named pipe waits there for somebody who writes.
    regular(&std::fs::metadata(path)?)?;
    File::open(path)
}

/// The bytes of a regular file, at most so many MiB.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let fits = |bytes: u64| match bytes > most << 20 {
        true => Err(io::Error::new(ErrorKind::InvalidData, format!("must be at most {most}MiB of text, got {bytes} bytes"))),
        false => Ok(()),
    };
    fits(file.metadata()?.len())?;
    let mut bytes = Vec::new();
    // It may grow meanwhile, and what the system makes up says no size.
    file.take((most << 20) + 1).read_to_end(&mut bytes)?;
    fits(bytes.len() as u64)?;
    Ok(bytes)
}

/// An error for what is no regular file.
pub(crate) fn regular(data: &Metadata) -> io::Result<()> {
    match data.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::InvalidInput, format!("must be a regular file, got {}", name(data.file_type())))),
    }
}

fn name(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() { "a directory" } else { "something else" }
}
