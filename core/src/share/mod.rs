//! `share: host`: ratio budgets that all processes of a user on a host have in common, exactly.
//!
//! `file` finds or makes the file, `map` maps it, `table` finds the purse of an origin or name in it, `words` steps the purse, which is all that a
//! retry costs; `purse` is what the machine sees of it. Nothing here waits for another process, but to make a purse that is not there yet.

#[cfg(all(target_os = "linux", target_has_atomic = "64"))]
mod file;
#[cfg(all(target_os = "linux", target_has_atomic = "64"))]
mod map;
#[cfg(all(target_os = "linux", target_has_atomic = "64"))]
mod purse;
#[cfg(all(target_os = "linux", target_has_atomic = "64"))]
mod table;
#[cfg(all(target_os = "linux", target_has_atomic = "64"))]
mod words;

use std::path::PathBuf;

use crate::retry::{BudgetKind, SharedPurse, SharedPurses};
use crate::time::Tick;

/// The purses of a host, in the file of one directory, which is opened when the first of them is asked for.
#[derive(Debug)]
pub(crate) struct Host {
    directory: Option<PathBuf>,
    required: bool,
    clock: fn() -> Tick,
    #[cfg(all(target_os = "linux", target_has_atomic = "64"))]
    open: std::sync::Mutex<Option<std::sync::Arc<file::Shared>>>,
}

impl Host {
    /// In this directory; by default in one of the user's in the host's memory. `required`: budgets that cannot be shared are errors. `clock`:
    /// CLOCK_MONOTONIC.
    pub fn new(directory: Option<PathBuf>, required: bool, clock: fn() -> Tick) -> Self {
        Host {
            directory,
            required,
            clock,
            #[cfg(all(target_os = "linux", target_has_atomic = "64"))]
            open: std::sync::Mutex::default(),
        }
    }
}

#[cfg(all(target_os = "linux", target_has_atomic = "64"))]
impl Host {
    fn file(&self) -> Result<std::sync::Arc<file::Shared>, String> {
        use std::sync::{Arc, PoisonError};

        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.as_ref().filter(|file| !file.is_lost()) {
            return Ok(Arc::clone(file));
        }
        let default = || PathBuf::from(format!("/dev/shm/reknock-{}", rustix::process::geteuid().as_raw()));
        let file = Arc::new(file::Shared::open(&self.directory.clone().unwrap_or_else(default), self.clock)?);
        Ok(Arc::clone(open.insert(file)))
    }
}

impl SharedPurses for Host {
    #[cfg(all(target_os = "linux", target_has_atomic = "64"))]
    fn purse(&self, text: &str, kind: &BudgetKind) -> Result<Box<dyn SharedPurse>, String> {
        Ok(Box::new(purse::Purse::new(self.file()?, text, kind)?))
    }

    #[cfg(not(all(target_os = "linux", target_has_atomic = "64")))]
    fn purse(&self, _: &str, _: &BudgetKind) -> Result<Box<dyn SharedPurse>, String> {
        Err(elsewhere())
    }

    #[cfg(all(target_os = "linux", target_has_atomic = "64"))]
    fn check(&self) -> Result<(), String> {
        self.file().map(drop)
    }

    #[cfg(not(all(target_os = "linux", target_has_atomic = "64")))]
    fn check(&self) -> Result<(), String> {
        Err(elsewhere())
    }

    fn required(&self) -> bool {
        self.required
    }
}

#[cfg(not(all(target_os = "linux", target_has_atomic = "64")))]
fn elsewhere() -> String {
    format!("the processes of a host share budgets on 64-bit Linux alone, and this is {}", std::env::consts::OS)
}
