//! The file in memory.
#![allow(unsafe_code)] // one slice, with its reason

use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};

/// A file of a known length, mapped for reading and writing and shared with whoever maps it.
#[derive(Debug)]
pub(super) struct Map(MmapRaw);

impl Map {
    /// The first `bytes` of the file, which has as many.
    pub fn new(file: &impl AsRawFd, bytes: usize) -> std::io::Result<Self> {
        MmapOptions::new().len(bytes).map_raw(file).map(Map)
    }

    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is whole pages, so it is aligned, it lives as long as the slice, and any bytes are atomics; other threads and processes
        // change them as atomics, too. (A process of the same user that cuts the file off takes the memory away: that is a SIGBUS, as it is for every
        // mapped file.)
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() / size_of::<AtomicU64>()) }
    }
}
