//! Cancel tokens.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::mem::MaybeUninit;

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

/// Frees a token. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_cancel_free(cancel: *mut reknock_cancel) {
    // SAFETY: a live token or NULL.
    plain((), || unsafe { take_back(cancel) });
}
