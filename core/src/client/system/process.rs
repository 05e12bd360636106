//! What hangs on the process: made on first use, and made anew in a forked child.
//!
//! A child inherits memory but no threads: runtimes do not run, sockets are shared with the parent, locks may be held by threads
//! that are gone. So nothing inherited is used, locked or dropped; it is leaked, and the child makes its own.
#![allow(unsafe_code)] // three lines around one pointer, and one that asks to be told of forks, each with its reason

use std::ptr::null_mut;
#[cfg(unix)]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// This process's number: another one in a forked child. A system call for the first to ask; three to five of them would be 3 % of a call.
pub fn process_id() -> u32 {
    match PID.load(Ordering::Relaxed) {
        0 => asked(),
        pid => pid,
    }
}

/// Forgotten in a forked child; 0 where nobody asked, or nobody would be told.
static PID: AtomicU32 = AtomicU32::new(0);

#[cold]
fn asked() -> u32 {
    let pid = std::process::id();
    #[cfg(unix)]
    {
        extern "C" fn forget() {
            PID.store(0, Ordering::Relaxed);
        }
        // No lock: a child may be made at any moment of this. To be told twice does no harm.
        static TOLD: AtomicBool = AtomicBool::new(false);
        // SAFETY: the function lives as long as this library, with which libc forgets it, and it stores to an atomic, no more: that may be done
        // in a child that was just made.
        if !TOLD.load(Ordering::Acquire) && unsafe { libc::pthread_atfork(None, None, Some(forget)) } != 0 {
            return pid;
        }
        TOLD.store(true, Ordering::Release);
    }
    PID.store(pid, Ordering::Relaxed);
    pid
}

/// One `T` per process.
pub(crate) struct PerProcess<T>(AtomicPtr<Entry<T>>);

struct Entry<T> {
    pid: u32,
    value: T,
}

impl<T> PerProcess<T> {
    /// None made yet.
    pub(crate) const fn new() -> Self {
        PerProcess(AtomicPtr::new(null_mut()))
    }

    /// This process's value; made if there is none. `make` gets the parent's in a forked child, of which it may only read atomics.
    ///
    /// Two threads may make one at a time; then one of the two is kept and the other dropped, unless `make` fails.
    pub(crate) fn get_or_try_make<E>(&self, make: impl FnOnce(Option<&T>) -> Result<T, E>) -> Result<&T, E> {
        let pid = process_id();
        let seen = self.0.load(Ordering::Acquire);
        // SAFETY: a non-null pointer came from Box::into_raw below, and is freed by Drop alone, which has &mut self.
        let entry = unsafe { seen.as_ref() };
        if let Some(entry) = entry.filter(|entry| entry.pid == pid) {
            return Ok(&entry.value);
        }
        let value = make(entry.map(|entry| &entry.value))?;
        let made = Box::into_raw(Box::new(Entry { pid, value }));
        let kept = match self.0.compare_exchange(seen, made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made,
            Err(other) => {
                // SAFETY: from Box::into_raw above, and seen by nobody else.
                drop(unsafe { Box::from_raw(made) });
                other
            }
        };
        // SAFETY: as above; either ours, or that of a thread that was faster, in the same process.
        Ok(unsafe { &(*kept).value })
    }

    /// This process's value; made if there is none.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        let Ok(value) = self.get_or_try_make(|_| Ok::<T, std::convert::Infallible>(make()));
        value
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let pointer = std::mem::replace(self.0.get_mut(), null_mut());
        // SAFETY: as above; nobody else has it, because self is going.
        let own = unsafe { pointer.as_ref() }.is_some_and(|entry| entry.pid == process_id());
        if own {
            // SAFETY: from Box::into_raw, and freed once.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn one_value_which_is_dropped_with_it() {
        let value = Arc::new(());
        let per = PerProcess::new();
        let made = || Arc::clone(&value);
        assert!(std::ptr::eq(per.get_or_make(made), per.get_or_make(made)));
        assert_eq!(Arc::strong_count(&value), 2);
        drop(per);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn what_belongs_to_another_process_is_neither_used_nor_dropped() {
        let (parents, childs) = (Arc::new(1), Arc::new(2));
        let per = PerProcess::new();
        per.get_or_make(|| Arc::clone(&parents));
        // SAFETY: made above. As if it had been made by another process.
        unsafe { (*per.0.load(Ordering::Acquire)).pid ^= 1 };
        let mut seen = None;
        let value = per.get_or_try_make(|old| {
            seen = old.map(|old| **old);
            Ok::<_, ()>(Arc::clone(&childs))
        });
        assert_eq!((value.map(|value| **value), seen), (Ok(2), Some(1)));
        drop(per);
        assert_eq!((Arc::strong_count(&parents), Arc::strong_count(&childs)), (2, 1));
    }

    #[test]
    fn a_failure_leaves_it_unmade() {
        let per = PerProcess::new();
        assert_eq!(per.get_or_try_make(|_| Err("no")), Err("no"));
        assert_eq!(*per.get_or_make(|| 7), 7);
    }
}
