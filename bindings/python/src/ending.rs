//! The end of an interpreter, while threads of it are in our frames.
//!
//! Before 3.14, CPython ends a daemon thread that asks for the interpreter after its end with `pthread_exit`. glibc then unwinds the thread's stack by
//! force, and a Rust frame that catches unwinding, as every entry of PyO3 does, ends the process: "FATAL: exception not rethrown". So callbacks and
//! producers run from Python's frames (`reknock/_calls.py`). What else may run Python code below ours (conversions of foreign objects, futures of event
//! loops, finalizers) runs within [`Ours`]: a thread that is told to exit meanwhile sleeps for ever instead, as all of them do from 3.14 on.
#![allow(unsafe_code)] // a handler of pthreads for the calling thread, in memory of its own stack; each call with its reason

/// While it lives, the calling thread has frames of ours below which Python code may run.
pub struct Ours(());

impl Ours {
    pub fn here() -> Self {
        handler::enter();
        Ours(())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        handler::leave();
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod handler {
    // Nothing is unwound there.
    pub fn enter() {}
    pub fn leave() {}
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod handler {
    use std::cell::Cell;
    use std::ffi::{c_int, c_void};
    use std::ptr::null_mut;

    /// glibc's `struct _pthread_cleanup_buffer`.
    #[repr(C)]
    struct Buffer {
        routine: Option<extern "C" fn(*mut c_void)>,
        argument: *mut c_void,
        cancel_type: c_int,
        before: *mut Buffer,
    }

    unsafe extern "C" {
        fn _pthread_cleanup_push(buffer: *mut Buffer, routine: extern "C" fn(*mut c_void), argument: *mut c_void);
        fn _pthread_cleanup_pop(buffer: *mut Buffer, execute: c_int);
    }

    extern "C" fn sleep_for_ever(_: *mut c_void) {
        loop {
            // SAFETY: it only waits; signals wake it, and it waits again.
            unsafe { libc::pause() };
        }
    }

    #[derive(Clone, Copy)]
    enum Thread {
        Unknown,
        /// No interpreter ends it: the process goes with it.
        Main,
        /// With the lowest place of its stack.
        Other(*mut Buffer),
    }

    thread_local! {
        static THREAD: Cell<Thread> = const { Cell::new(Thread::Unknown) };
        /// How many frames of ours: callbacks may make calls of their own.
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }

    pub fn enter() {
        let depth = DEPTH.get();
        DEPTH.set(depth + 1);
        if depth > 0 {
            return;
        }
        if matches!(THREAD.get(), Thread::Unknown) {
            THREAD.set(known());
        }
        if let Thread::Other(buffer) = THREAD.get() {
            // SAFETY: the buffer is this thread's own, see `known`, and it is not in the list of handlers, as `leave` takes it out.
            unsafe { _pthread_cleanup_push(buffer, sleep_for_ever, null_mut()) };
        }
    }

    pub fn leave() {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        if depth == 0
            && let Thread::Other(buffer) = THREAD.get()
        {
            // SAFETY: `enter` put it there; handlers that came later were taken out by their own frames, which are gone.
            unsafe { _pthread_cleanup_pop(buffer, 0) };
        }
    }

    /// glibc runs a handler as soon as the unwinding has passed the address of its buffer: frames above it. So that it runs before the first of them, the
    /// buffer lies where the stack would end, below all frames, in memory that a thread has and uses last.
    fn known() -> Thread {
        // SAFETY: both only read. The attributes are made by the first call, read, and given back; the stack of a thread that was made by pthreads is mapped
        // as a whole, and outlives its frames.
        unsafe {
            if libc::gettid() == libc::getpid() {
                return Thread::Main;
            }
            let mut attributes = std::mem::MaybeUninit::uninit();
            if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
                return Thread::Main;
            }
            let (mut lowest, mut size) = (null_mut(), 0);
            let got = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut size);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
            if got == 0 { Thread::Other(lowest.cast()) } else { Thread::Main }
        }
    }
}
