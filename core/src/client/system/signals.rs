//! Signals, with which the host may do as it likes: none of its handlers runs on a thread of ours, and no write of ours raises one.
//!
//! A write to a connection that its peer has closed raises SIGPIPE in the thread that writes. Where nobody ignores it (C programs do not, unless
//! they say so; Rust, Python and Node do) it ends the process: any server could. What a library may do about it is to block it in the threads that
//! write, for as long as they do: what to do with signals in the whole process is for the host to say. The write fails with `EPIPE` then.
#![allow(unsafe_code)] // calls of libc with sets and times that live here, each with its reason

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::null;

use libc::{SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIGPIPE, c_int, sigset_t};

/// For threads of our own, once, at their start: every signal goes to the host's threads, whose handlers and system calls wait for it.
///
/// All but those that a thread brings on itself by a fault, where to block them would be to end the process without a word, and the one by which
/// profilers ask each thread where it is.
pub(in crate::client) fn leave_to_the_host() {
    const OURS: [c_int; 8] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT, libc::SIGPROF];
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is made by the first call; all these are signals.
    let set: sigset_t = unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in OURS {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    };
    change(SIG_BLOCK, &set);
}

/// Whether a SIGPIPE would do something to this process.
pub(in crate::client) fn pipe_is_minded() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: room for what is asked; nothing is changed. It is written if the call succeeds.
    unsafe { libc::sigaction(SIGPIPE, null(), action.as_mut_ptr()) != 0 || action.assume_init().sa_sigaction != SIG_IGN }
}

/// While it lives, no write of this thread raises a SIGPIPE. Three system calls.
pub(in crate::client) struct NoPipe {
    before: sigset_t,
    /// Blocked and pending when it was made: by the host, and for the host.
    hosts: bool,
    /// The mask is that of a thread.
    _here: PhantomData<*const ()>,
}

impl NoPipe {
    pub(in crate::client) fn here() -> Self {
        let before = change(SIG_BLOCK, &pipe());
        // Whoever does not block it has none pending.
        let hosts = has_pipe(&before) && pending();
        NoPipe { before, hosts, _here: PhantomData }
    }
}

impl Drop for NoPipe {
    fn drop(&mut self) {
        if !self.hosts {
            take_away();
        }
        if !has_pipe(&self.before) {
            change(SIG_SETMASK, &self.before);
        }
    }
}

fn pipe() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is made by the first call.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), SIGPIPE);
        set.assume_init()
    }
}

fn has_pipe(set: &sigset_t) -> bool {
    // SAFETY: a set that was made.
    unsafe { libc::sigismember(set, SIGPIPE) == 1 }
}

/// Changes this thread's mask; gives what it was.
fn change(how: c_int, set: &sigset_t) -> sigset_t {
    let mut before = pipe();
    // SAFETY: both sets live here. It fails for an unknown `how` alone.
    unsafe { libc::pthread_sigmask(how, set, &raw mut before) };
    before
}

/// Whether a SIGPIPE waits for this thread to let it through.
fn pending() -> bool {
    let mut set = pipe();
    // SAFETY: the set lives here; it fails for a bad address alone.
    unsafe { libc::sigpending(&raw mut set) == 0 && has_pipe(&set) }
}

/// Takes a pending SIGPIPE away, and waits for none. A write's is the thread's own: no other can take it first.
fn take_away() {
    #[cfg(not(any(target_vendor = "apple", target_os = "openbsd")))]
    {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the set and the time live until it returns; nothing is wanted of the signal.
        while unsafe { libc::sigtimedwait(&pipe(), std::ptr::null_mut(), &raw const now) } == -1
            && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
        {}
    }
    #[cfg(any(target_vendor = "apple", target_os = "openbsd"))]
    if pending() {
        let mut signal = 0;
        // SAFETY: the set and the number live until it returns, which is at once.
        unsafe { libc::sigwait(&pipe(), &raw mut signal) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::runtime;

    fn mask() -> sigset_t {
        let mut none = pipe();
        // SAFETY: the set lives here.
        unsafe { libc::sigemptyset(&raw mut none) };
        change(SIG_BLOCK, &none)
    }

    fn blocked(signal: c_int) -> bool {
        // SAFETY: the set lives here.
        unsafe { libc::sigismember(&mask(), signal) == 1 }
    }

    /// As a write does it. Blocked, it stays pending although the test's process ignores it.
    fn raise() {
        // SAFETY: for this thread alone.
        unsafe { libc::pthread_kill(libc::pthread_self(), SIGPIPE) };
    }

    #[test]
    fn what_is_raised_meanwhile_is_gone_afterwards() {
        let quiet = NoPipe::here();
        raise();
        assert!(blocked(SIGPIPE) && pending());
        drop(quiet);
        assert!(!blocked(SIGPIPE));
        let _look = NoPipe::here();
        assert!(!pending());
    }

    #[test]
    fn what_the_host_blocked_stays_so() {
        let before = change(SIG_BLOCK, &pipe());
        let quiet = NoPipe::here();
        raise();
        drop(quiet);
        assert!(blocked(SIGPIPE) && !pending(), "blocked, and without a signal of ours");
        raise();
        drop(NoPipe::here());
        assert!(blocked(SIGPIPE) && pending(), "what was pending is the host's");
        take_away();
        // Other tests may run on this thread.
        change(SIG_SETMASK, &before);
    }

    #[test]
    fn the_runtimes_threads_leave_signals_to_the_host() {
        let seen = || [SIGPIPE, libc::SIGINT, libc::SIGTERM, libc::SIGCHLD, libc::SIGSEGV, libc::SIGPROF].map(blocked);
        let (runtime, expected) = (runtime().unwrap(), [true, true, true, true, false, false]);
        assert_eq!(runtime.block_on(runtime.spawn(async move { seen() })).unwrap(), expected);
        assert_eq!(runtime.block_on(runtime.spawn_blocking(seen)).unwrap(), expected);
        assert_eq!(seen(), [false; 6], "other threads stay as they are");
    }

    #[test]
    fn an_ignored_one_is_not_minded() {
        assert!(!pipe_is_minded(), "Rust programs ignore it");
    }
}
