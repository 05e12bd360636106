//! Threads that somebody wants to end while they are in our functions.
#![allow(unsafe_code)] // two calls of pthreads for the calling thread

use std::ffi::c_int;

/// `PTHREAD_CANCEL_DISABLE`, which Android has not.
#[cfg(not(any(target_os = "android", target_vendor = "apple")))]
const DISABLE: c_int = 1;
#[cfg(target_vendor = "apple")]
const DISABLE: c_int = 0;

/// While it lives, `pthread_cancel` waits: the unwinding by which glibc ends a thread would end the process in frames that catch unwinding.
pub(crate) struct Uncancelled(c_int);

#[cfg(not(target_os = "android"))]
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

impl Uncancelled {
    #[cfg(not(target_os = "android"))]
    pub(crate) fn here() -> Self {
        let mut before = DISABLE;
        // SAFETY: for the calling thread alone; writes what it was.
        unsafe { pthread_setcancelstate(DISABLE, &raw mut before) };
        Uncancelled(before)
    }

    /// Nobody is cancelled there.
    #[cfg(target_os = "android")]
    pub(crate) fn here() -> Self {
        Uncancelled(0)
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: as above; `before` is what it gave.
        #[cfg(not(target_os = "android"))]
        unsafe {
            pthread_setcancelstate(self.0, &raw mut self.0)
        };
    }
}
