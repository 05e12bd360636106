//! The file of a set that is watched: whether it changed, and what it says now.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::super::problem::Problem;
use super::super::{Dialect, Policy, shown_path};
use super::PolicySet;
use crate::error::Error;
use crate::time::Tick;

/// How seldom a file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What tells one content of a file from another: when it was written, its size, and which file it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp(Option<SystemTime>, u64, u64);

impl Stamp {
    /// `None` for a file that is not there.
    fn of(path: &Path) -> Option<Stamp> {
        let data = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(&data);
        #[cfg(not(unix))]
        let number = 0;
        Some(Stamp(data.modified().ok(), data.len(), number))
    }
}

/// A change that was made to the set of a file, and is made again when that is read anew.
type Change = Arc<dyn Fn(&Policy) -> Result<Policy, Error> + Send + Sync>;

/// A file that is read anew when it changes.
#[derive(Clone)]
pub(crate) struct File {
    watched: Arc<Watched>,
    changes: Vec<Change>,
}

struct Watched {
    path: PathBuf,
    dialect: Option<Dialect>,
    /// In nanoseconds of the caller's clock.
    looked_at: AtomicU64,
    seen: Mutex<Seen>,
}

/// What was seen of a file.
#[derive(Clone, Copy)]
struct Seen {
    stamp: Option<Stamp>,
    /// It was read once more under this stamp, a look later: what was written twice within one tick of the file system's clock has one stamp.
    settled: bool,
}

/// Where a set is from is no part of what it says.
impl PartialEq for File {
    fn eq(&self, _: &File) -> bool {
        true
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.watched.path.fmt(f)
    }
}

impl File {
    pub(super) fn changed(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Whether it was not looked at for a second, and nobody else looks now.
    pub(crate) fn is_due(&self, now: Tick) -> bool {
        let before = self.watched.looked_at.load(Ordering::Relaxed);
        now.since(Tick(before)) >= EVERY
            && self.watched.looked_at.compare_exchange(before, now.nanos(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl PolicySet {
    /// [`PolicySet::load`], for a client that follows the file: what it says is taken anew when it changes, at most once a second, by the calls of
    /// that client, which go on with what they have until it is read. What cannot be read is told by `policy_error`, and changes nothing.
    ///
    /// # Errors
    /// As [`PolicySet::load`].
    pub fn watch(path: impl AsRef<Path>, dialect: Option<Dialect>) -> Result<PolicySet, Error> {
        let path = path.as_ref().to_owned();
        // Before it is read: what is written meanwhile is seen the next time.
        let seen = Mutex::new(Seen { stamp: Stamp::of(&path), settled: false });
        let set = PolicySet::load(&path, dialect)?;
        let watched = Watched { path, dialect, looked_at: AtomicU64::new(0), seen };
        Ok(set.of_file(File { watched: Arc::new(watched), changes: Vec::new() }))
    }

    /// The same set for another client: each follows the file by itself, from what was read of it.
    pub(crate) fn followed_anew(self) -> PolicySet {
        let Some(file) = self.file() else { return self };
        let Watched { path, dialect, seen, .. } = &*file.watched;
        let seen = seen.try_lock().map_or(Seen { stamp: None, settled: false }, |seen| *seen);
        let watched = Watched { path: path.clone(), dialect: *dialect, looked_at: AtomicU64::new(0), seen: Mutex::new(seen) };
        self.of_file(File { watched: Arc::new(watched), changes: file.changes.clone() })
    }

    /// What its file says now, if that changed, or may have.
    pub(crate) fn reloaded(&self) -> Option<Result<PolicySet, Error>> {
        let file = self.file()?;
        let Watched { path, dialect, seen, .. } = &*file.watched;
        let now = Stamp::of(path);
        // A forked child may find it locked for ever.
        let mut seen = match seen.try_lock() {
            Ok(seen) => seen,
            Err(std::sync::TryLockError::Poisoned(seen)) => PoisonError::into_inner(seen),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        let same = seen.stamp == now;
        if same && seen.settled {
            return None;
        }
        *seen = Seen { stamp: now, settled: same };
        let read = match now {
            // As it is for a moment where somebody writes it in place.
            Some(Stamp(_, 0, _)) if path.is_file() => Err(empty(path)),
            _ => PolicySet::load(path, *dialect),
        };
        let read = read
            .and_then(|set| file.changes.iter().try_fold(set, |set, change| set.changed(&**change)).map(|set| set.of_file(file.clone())));
        Some(read)
    }
}

/// A file that says nothing any more is no policy of defaults: that would turn off what it said before.
fn empty(path: &Path) -> Error {
    Problem::new(shown_path(path), "is empty").fix("write {} for the defaults").into()
}
