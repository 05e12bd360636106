//! Forked children.
#![allow(dead_code)] // each test binary uses its part

/// A forked child, which is waited for.
#[must_use]
pub struct Child(pub libc::pid_t);

/// Runs `work` in a forked child, which ends with its number; 0 is well.
pub fn child(work: impl FnOnce() -> i32) -> Child {
    // SAFETY: the child calls only what works without the other threads, which is what these tests are about, and leaves by _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: ends the child whatever hangs.
        unsafe { libc::alarm(60) };
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(99);
        // SAFETY: leaves without running what belongs to the parent.
        unsafe { libc::_exit(code) };
    }
    Child(pid)
}

impl Child {
    pub fn signal(&self, signal: i32) {
        // SAFETY: a child of ours that was not waited for.
        assert_eq!(unsafe { libc::kill(self.0, signal) }, 0);
    }

    /// How it ended, as waitpid says it.
    pub fn status(self) -> i32 {
        let mut status = 0;
        // SAFETY: waits for the child that was made.
        assert_eq!(unsafe { libc::waitpid(self.0, &mut status, 0) }, self.0);
        status
    }

    /// It ended well.
    pub fn join(self) {
        let status = self.status();
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "a child ended with {status:#x} (a signal: it hung)");
    }
}
