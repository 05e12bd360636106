//! Files that others name: nothing there may keep the reader waiting, or have no end.

use std::fs::{File, FileType, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The largest file of certificates, in MiB: those of all authorities are a quarter of one.
#[cfg(feature = "client")]
pub(crate) const MOST_PEM: u64 = 16;

/// Opens a regular file. It is looked at before, because opening does something to many a device, and once it is open, because its name may mean something
/// else by then.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    regular(&std::fs::metadata(path)?)?;
    let mut options = File::options();
    // A pipe would wait for somebody who writes. To a regular file it means nothing.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.read(true).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
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

#[cfg(all(test, target_os = "linux", feature = "client"))]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

    use super::*;

    /// Somebody puts a pipe in its place, and takes it away again, all the time.
    #[test]
    fn a_name_that_changes_its_meaning_keeps_nobody_waiting() {
        let path = |name: &str| std::env::temp_dir().join(format!("reknock-files-{}-{name}", std::process::id()));
        let (file, pipe) = (path("file"), path("pipe"));
        std::fs::write(&file, "text").unwrap();
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let over = AtomicBool::new(false);
        let (mut read, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    renameat_with(CWD, &file, CWD, &pipe, RenameFlags::EXCHANGE).unwrap();
                }
            });
            for _ in 0..20_000 {
                match super::read(&file, 1) {
                    Ok(bytes) => read += usize::from(bytes == b"text"),
                    Err(error) => refused += usize::from(error.kind() == ErrorKind::InvalidInput),
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        std::fs::remove_file(file).unwrap();
        std::fs::remove_file(pipe).unwrap();
        assert_eq!(read + refused, 20_000);
    }
}
