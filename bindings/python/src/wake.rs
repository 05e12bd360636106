//! What wakes an event loop.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// A descriptor that is readable while there is something to drain.
pub struct Wake {
    read: OwnedFd,
    write: OwnedFd,
}

impl Wake {
    pub fn new(sockets: bool) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        if !sockets {
            use rustix::event::{EventfdFlags, eventfd};
            let read = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let write = read.try_clone()?;
            return Ok(Wake { read, write });
        }
        let _ = sockets;
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        Ok(Wake { read: read.into(), write: write.into() })
    }

    pub fn fileno(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    pub fn wake(&self) {
        // Full means readable, which is all that is wanted.
        let _ = rustix::io::write(self.write.as_fd(), &1u64.to_ne_bytes());
    }

    pub fn clear(&self) {
        let mut scratch = [0; 64];
        while matches!(rustix::io::read(self.read.as_fd(), &mut scratch), Ok(64)) {}
    }
}
