//! Jars of cookies.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::c_char;
use std::mem::MaybeUninit;

use core_::client::{Cookies, Request};

use crate::error::{REKNOCK_EMPTY, REKNOCK_OK, reknock_error, reknock_status};
use crate::ffi::{Fault, entry, given, hand_out, plain, shared, take_back, text};

/// A jar of cookies: what servers set is kept, and sent back where it belongs. It is given to clients as the option `cookies`; several may share it.
///
/// May be used from any number of threads at once. Clients keep it alive. A forked child goes on with what was in it.
pub struct reknock_cookies {
    pub(crate) jar: Cookies,
}

/// Makes an empty jar in `*out`. Free it with reknock_cookies_free.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_cookies_new(
    out: Option<&mut MaybeUninit<*mut reknock_cookies>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        given(out, "out")?.write(hand_out(reknock_cookies { jar: Cookies::new() }));
        Ok(())
    })
}

/// Sets a cookie without a domain. It goes along to whatever origin a call names, not to where redirects lead it.
///
/// Errors: REKNOCK_ERROR_CONFIG for a name or a value that no header can carry. Values are not shown.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_cookies_set(
    cookies: *const reknock_cookies,
    name: *const c_char,
    value: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: a live jar or NULL; NUL-terminated or NULL.
        let (cookies, name, value) = unsafe { (shared(cookies, "cookies")?, text(name, "name")?, text(value, "value")?) };
        Ok(cookies.jar.set(name, value)?)
    })
}

/// Takes a `Set-Cookie` line as if `url` had answered with it; what the rules refuse is passed over.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST for a URL that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_cookies_store(
    cookies: *const reknock_cookies,
    url: *const c_char,
    line: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: a live jar or NULL; NUL-terminated or NULL.
        let (cookies, url, line) = unsafe { (shared(cookies, "cookies")?, text(url, "url")?, text(line, "line")?) };
        cookies.jar.store(Request::new("GET", url)?.url(), line);
        Ok(())
    })
}

/// Writes what a request to `url` carries, the value of its `cookie` header and a NUL, to `buffer`, and its length without the NUL to `*length`. It is
/// written only if `size` is more than that: ask with a size of 0 how much it takes, `buffer` may be NULL then.
///
/// Returns REKNOCK_OK, or REKNOCK_EMPTY if there is nothing, or REKNOCK_ERROR_INVALID_REQUEST for a URL that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_cookies_header(
    cookies: *const reknock_cookies,
    url: *const c_char,
    buffer: *mut c_char,
    size: usize,
    length: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    let mut found = false;
    let status = entry(error, || {
        let length = given(length, "length")?;
        if buffer.is_null() && size > 0 {
            return Err(Fault::Argument("buffer: must not be NULL".to_owned()));
        }
        // SAFETY: a live jar or NULL; NUL-terminated or NULL.
        let (cookies, url) = unsafe { (shared(cookies, "cookies")?, text(url, "url")?) };
        let Some(line) = cookies.jar.header(Request::new("GET", url)?.url()) else { return Ok::<(), Fault>(()) };
        found = true;
        length.write(line.len());
        if size > line.len() {
            // SAFETY: `size` writable bytes, which is at least one more than the text has.
            unsafe {
                buffer.copy_from_nonoverlapping(line.as_ptr().cast(), line.len());
                buffer.add(line.len()).write(0);
            }
        }
        Ok(())
    });
    if status == REKNOCK_OK && !found { REKNOCK_EMPTY } else { status }
}

/// Takes all cookies away. Any thread. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_cookies_clear(cookies: *const reknock_cookies) {
    plain((), || {
        // SAFETY: a live jar or NULL.
        if let Ok(cookies) = unsafe { shared(cookies, "cookies") } {
            cookies.jar.clear();
        }
    });
}

/// Frees a jar; clients that have it keep it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_cookies_free(cookies: *mut reknock_cookies) {
    // SAFETY: a live jar or NULL.
    plain((), || unsafe { take_back(cookies) });
}
