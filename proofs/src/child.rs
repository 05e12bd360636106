//! Forked children, a place for their file, and memory that they share besides.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use reknock::Tick;
use reknock::retry::{BudgetKind, DepositOn};

use crate::file::Shared;
use crate::map::Map;
use crate::table::Key;

pub struct Child(libc::pid_t);

/// Runs `work` in a forked child.
pub fn child(work: impl FnOnce()) -> Child {
    // SAFETY: the child uses nothing that another thread of this process may have left half done but the allocator, which glibc makes good.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: ends the child whatever hangs.
        unsafe { libc::alarm(600) };
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: leaves without running what belongs to the parent.
        unsafe { libc::_exit(i32::from(ended.is_err())) };
    }
    assert!(pid > 0);
    Child(pid)
}

impl Child {
    pub fn signal(&self, signal: i32) {
        // SAFETY: a child of ours that was not waited for.
        assert_eq!(unsafe { libc::kill(self.0, signal) }, 0);
    }

    /// Whether it ended well.
    pub fn ended(self) -> bool {
        let mut status = 0;
        // SAFETY: waits for the child that was made.
        assert_eq!(unsafe { libc::waitpid(self.0, &mut status, 0) }, self.0);
        status == 0
    }
}

/// A directory that goes when it is dropped, with the file of purses and a memory beside it.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str) -> Self {
        let place = Path::new("/dev/shm").join(format!("reknock-proof-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        Place(place)
    }

    pub fn open(&self) -> Shared {
        Shared::open(&self.0.join("budgets"), now).unwrap()
    }

    /// So many words of memory, all 0 at first.
    pub fn memory(&self, words: usize) -> Map {
        let file = std::fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(self.0.join("memory")).unwrap();
        file.set_len(words as u64 * 8).unwrap();
        Map::new(&file, words * 8).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The clock of a test: whatever the test says.
pub static NOW: AtomicU64 = AtomicU64::new(1000 * SECOND);
pub const SECOND: u64 = 1_000_000_000;

fn now() -> Tick {
    Tick(NOW.load(SeqCst))
}

/// With slots of a second.
pub fn key(name: &str) -> Key {
    let kind = BudgetKind::Ratio { ratio_millionths: 1000, min_per_second: 0, ttl: Duration::from_secs(10), deposit_on: DepositOn::Call };
    Key::new(name, &kind).unwrap()
}
