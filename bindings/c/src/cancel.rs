//! Cancel tokens.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use core_::client::Cancel;

use crate::error::{reknock_error, reknock_status};
use crate::ffi::{entry, given, hand_out, plain, shared, take_back};

/// Cancels the calls that were given it, from any thread, once and for all.
///
/// May be shared by any number of calls and threads. A call holds what it needs: freeing a token early cancels nothing.
pub struct reknock_cancel {
    pub(crate) cancel: Cancel,
}

/// Makes a cancel token in `*out`. Free it with reknock_cancel_free.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_cancel_new(
    out: Option<&mut MaybeUninit<*mut reknock_cancel>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        given(out, "out")?.write(hand_out(reknock_cancel { cancel: Cancel::new() }));
        Ok(())
    })
}

/// Ends the calls in flight that were given the token, and those to come, with REKNOCK_ERROR_CANCELLED, within 50 ms.
///
/// Any thread, more than once; not from a signal handler. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_cancel_trigger(cancel: *const reknock_cancel) {
    plain((), || {
        // SAFETY: a live token or NULL.
        if let Ok(token) = unsafe { shared(cancel, "cancel") } {
            token.cancel.cancel();
        }
    });
}

/// Waits on this thread for `ns` nanoseconds, or until the token is triggered: 1 if it was, else 0. With 0 it only looks. Without a token (NULL) the
/// wait is a whole one. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_cancel_wait(cancel: *const reknock_cancel, ns: u64) -> i32 {
    plain(0, || {
        let wait = Duration::from_nanos(ns);
        // SAFETY: a live token or NULL.
        match unsafe { shared(cancel, "cancel") } {
            Ok(token) => i32::from(token.cancel.is_cancelled() || ns > 0 && cancelled_within(&token.cancel, wait)),
            Err(_) => {
                std::thread::sleep(wait);
                0
            }
        }
    })
}

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn cancelled_within(cancel: &Cancel, wait: Duration) -> bool {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cancelled = pin!(cancel.cancelled());
    let began = Instant::now();
    loop {
        if cancelled.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return true;
        }
        let Some(left) = wait.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else { return false };
        std::thread::park_timeout(left);
    }
}

/// Frees a token. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_cancel_free(cancel: *mut reknock_cancel) {
    // SAFETY: a live token or NULL.
    plain((), || unsafe { take_back(cancel) });
}
