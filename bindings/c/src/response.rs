//! Responses.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use core_::HttpVersion;
use core_::client::{Response, ResponseHead};

use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, c_text, entry, given, plain, text};
use crate::reading::{Live, Place};
use crate::record::{Records, micros, reknock_attempt_record, reknock_stop_reason};
use crate::request::{HeaderList, reknock_header};

/// A response with its body, of any status: whether a 404 is an error is the caller's business.
///
/// What its functions return belongs to it and lives as long, unchanged. May be read from several threads at once, except with
/// reknock_response_read and reknock_response_submit_read.
pub struct reknock_response {
    head: ResponseHead,
    body: Bytes,
    /// What reknock_response_read left of it.
    rest: Bytes,
    /// The body of a streamed response.
    pub(crate) place: Option<Arc<Place>>,
    records: Records,
    headers: OnceLock<HeaderList>,
    url: OnceLock<CString>,
}

impl reknock_response {
    pub(crate) fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        Self::made(head, body, None)
    }

    pub(crate) fn streamed(live: Live) -> Self {
        Self::made(live.head().clone(), Bytes::new(), Some(Place::of(live)))
    }

    fn made(head: ResponseHead, body: Bytes, place: Option<Arc<Place>>) -> Self {
        let records = Records::new(head.attempts(), Some(head.stop_reason()));
        reknock_response { head, rest: body.clone(), body, place, records, headers: OnceLock::new(), url: OnceLock::new() }
    }

    fn headers(&self) -> &HeaderList {
        self.headers.get_or_init(|| HeaderList::new(self.head.headers()))
    }
}

impl Drop for reknock_response {
    fn drop(&mut self) {
        match &self.place {
            // Its connection is the parent's: it is leaked.
            Some(place) if place.inherited() => std::mem::forget(Arc::clone(place)),
            Some(place) => place.free(),
            None => {}
        }
    }
}

/// The status, such as 200. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_status(response: Option<&reknock_response>) -> i32 {
    plain(0, || response.map_or(0, |response| i32::from(response.head.status())))
}

/// The body, decoded; its size goes to `*length` (which may be NULL). Not NUL-terminated. Of a streamed response it is empty.
/// NULL for NULL, which writes nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_body(response: Option<&reknock_response>, length: Option<&mut MaybeUninit<usize>>) -> *const u8 {
    plain(null(), || {
        let Some(response) = response else { return null() };
        if let Some(length) = length {
            length.write(response.body.len());
        }
        response.body.as_ptr()
    })
}

/// Reads up to `size` bytes of the body into `buffer`, and how many to `*read`: 0 at its end. Blocks until there are some. Reads what
/// reknock_client_stream left to come; a whole response can be read likewise, from its start. One thread at a time.
///
/// Errors: REKNOCK_ERROR_BODY if the body is cut, corrupt, of another length than announced, or silent for the policy's
/// idle_timeout; REKNOCK_ERROR_CLOSED if a function that produces the request's body frees the response meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_response_read(
    response: *mut reknock_response,
    buffer: *mut u8,
    size: usize,
    read: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (response, read) = (given((!response.is_null()).then_some(response), "response")?, given(read, "read")?);
        let buffer = given((!buffer.is_null()).then_some(buffer), "buffer")?;
        if size == 0 {
            return Err(Fault::Argument("size: must not be 0, which would look like the end".to_owned()));
        }
        // SAFETY: a live response. Only its place is held while it is read: a function that produces the request's body may free the response.
        let place = unsafe { (*response).place.clone() };
        let piece = match place {
            Some(place) => place.read(size)?,
            None => {
                // SAFETY: no function of the caller runs here.
                let rest = unsafe { &mut (*response).rest };
                rest.split_to(size.min(rest.len()))
            }
        };
        // SAFETY: the piece is no longer than the buffer, which is the caller's.
        unsafe { std::ptr::copy_nonoverlapping(piece.as_ptr(), buffer, piece.len()) };
        read.write(piece.len());
        Ok(())
    })
}

/// The first value of a header, whatever the case of `name`; NULL if it is not there, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_response_header(response: Option<&reknock_response>, name: *const c_char) -> *const c_char {
    plain(null(), || {
        // SAFETY: NUL-terminated or NULL.
        let name = unsafe { text(name, "name") };
        response.zip(name.ok()).map_or(null(), |(response, name)| response.headers().find(name))
    })
}

/// The value of the line number `index`, from 0, of a header, whatever the case of `name`; its size in bytes goes to `*length` (which may be NULL). The bytes are
/// those that came: mostly ASCII, maybe Latin-1 or UTF-8. NULL beyond the last line, and for NULL, which write nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_response_header_bytes(
    response: Option<&reknock_response>,
    name: *const c_char,
    index: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> *const u8 {
    plain(null(), || {
        // SAFETY: NUL-terminated or NULL.
        let Some((response, name)) = response.zip(unsafe { text(name, "name") }.ok()) else { return null() };
        let Some(value) = response.headers().line(name, index) else { return null() };
        if let Some(length) = length {
            length.write(value.len());
        }
        value.as_ptr()
    })
}

/// All header field lines, `*count` of them. Those that describe a coding which was undone are removed.
/// NULL for NULL, which writes nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_headers(
    response: Option<&reknock_response>,
    count: Option<&mut MaybeUninit<usize>>,
) -> *const reknock_header {
    plain(null(), || {
        let Some(response) = response else { return null() };
        let list = response.headers().list();
        if let Some(count) = count {
            count.write(list.len());
        }
        list.as_ptr()
    })
}

/// The URL of the last attempt, after redirects, without userinfo and fragment. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_url(response: Option<&reknock_response>) -> *const c_char {
    plain(null(), || response.map_or(null(), |response| response.url.get_or_init(|| c_text(response.head.url().as_str())).as_ptr()))
}

/// The version of HTTP that the response came with: 10 for 1.0, 11 for 1.1, 20 for 2. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_http_version(response: Option<&reknock_response>) -> i32 {
    plain(0, || response.map_or(0, |response| i32::from(HttpVersion::from(response.head.version()).number())))
}

/// From the start of the call to the last byte of the body, or to the head of a streamed response, in microseconds. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_elapsed_us(response: Option<&reknock_response>) -> u64 {
    plain(0, || response.map_or(0, |response| micros(response.head.elapsed())))
}

/// How many attempts the call made. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_attempt_count(response: Option<&reknock_response>) -> usize {
    plain(0, || response.map_or(0, |response| response.records.all().len()))
}

/// The attempt at `index`, from 0; NULL beyond the last one, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_attempt(response: Option<&reknock_response>, index: usize) -> *const reknock_attempt_record {
    plain(null(), || response.map_or(null(), |response| response.records.at(index)))
}

/// Why nothing further was sent. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_stop_reason(response: Option<&reknock_response>) -> reknock_stop_reason {
    plain(0, || response.map_or(0, |response| response.records.stop_reason()))
}

/// The attempts as a short timeline for people, with the advice that fits the stop reason. Empty for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_explain(response: Option<&reknock_response>) -> *const c_char {
    plain(null(), || response.map_or(c"".as_ptr(), |response| response.records.explain(|| response.head.call())))
}

/// Frees a response and everything that belongs to it. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_response_free(response: Option<Box<reknock_response>>) {
    plain((), || drop(response));
}
