//! Requests.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::path::Path;
use std::ptr::null;
use std::sync::Arc;

use core_::client::{Body, Request, copied};
use http::HeaderMap;

use crate::body::{Outlet, Source};
use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, bytes, c_text, counted_text, entry, given, plain, put, text};
use crate::forms::file;

/// A request: method, URL, header fields, body. Checked while it is built; sending it changes nothing, so that it may be sent
/// again, under other policies too; a body that cannot be produced again excepted (reknock_request_set_body_stream).
///
/// Used by one thread at a time while it is changed, by any number while it is sent.
pub struct reknock_request {
    pub(crate) request: Request,
    /// What produces the body in place of the request's own.
    source: Option<Arc<Source>>,
    url: Option<CString>,
    name: Option<Arc<str>>,
}

impl reknock_request {
    pub(crate) fn of(request: Request) -> Self {
        reknock_request { request, source: None, url: None, name: None }
    }

    /// What one call sends; the pulls of its body go to `outlet`.
    pub(crate) fn outgoing(&self, outlet: &Outlet) -> Result<Request, Fault> {
        let mut request = self.request.clone();
        if let Some(source) = &self.source {
            request.set_body(source.body(outlet)?);
        }
        Ok(request)
    }

    /// What its calls are named.
    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }

    /// Whether its body is asked for while it is sent.
    pub(crate) fn has_source(&self) -> bool {
        self.source.is_some()
    }

    pub(crate) fn set_source(&mut self, source: Source) {
        self.set_body(Body::default());
        self.source = Some(Arc::new(source));
    }

    fn set_body(&mut self, body: impl Into<Body>) {
        self.request.set_body(body);
        self.forget_source();
    }

    /// It has another body.
    pub(crate) fn forget_source(&mut self) {
        self.source = None;
    }
}

/// A header field.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_header {
    /// The name; in lower case where the library made the struct.
    pub name: *const c_char,
    /// The value. Never has NUL characters inside; from a server it is bytes that need not be UTF-8.
    pub value: *const c_char,
}

/// Header fields in the form that C reads.
pub(crate) struct HeaderList {
    list: Vec<reknock_header>,
    texts: Vec<(CString, CString)>,
}

// SAFETY: the pointers are to texts of this very struct, which nobody changes.
unsafe impl Send for HeaderList {}
// SAFETY: likewise.
unsafe impl Sync for HeaderList {}

impl HeaderList {
    pub(crate) fn new(headers: &HeaderMap) -> Self {
        // Neither names nor values can hold NUL.
        let text = |bytes: &[u8]| CString::new(bytes).unwrap_or_default();
        let texts: Vec<_> = headers.iter().map(|(name, value)| (text(name.as_str().as_bytes()), text(value.as_bytes()))).collect();
        let list = texts.iter().map(|(name, value)| reknock_header { name: name.as_ptr(), value: value.as_ptr() }).collect();
        HeaderList { list, texts }
    }

    pub(crate) fn list(&self) -> &[reknock_header] {
        &self.list
    }

    pub(crate) fn find(&self, name: &str) -> *const c_char {
        self.line_of(name, 0).map_or(null(), |value| value.as_ptr())
    }

    /// The value of a line of this name, by its index.
    pub(crate) fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        self.line_of(name, index).map(CString::as_bytes)
    }

    fn line_of(&self, name: &str, index: usize) -> Option<&CString> {
        let same = |(known, _): &&(CString, CString)| known.as_bytes().eq_ignore_ascii_case(name.as_bytes());
        self.texts.iter().filter(same).nth(index).map(|(_, value)| value)
    }
}

/// Makes a request without header fields and body in `*out`. Free it with reknock_request_free.
///
/// `url` must be absolute, http or https. Userinfo in it becomes a basic `authorization` header; a fragment is not sent.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST for a method that is no token or a URL that cannot be sent to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_new(
    method: *const c_char,
    url: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_request>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let out = given(out, "out")?;
        // SAFETY: NUL-terminated or NULL, both.
        let (method, url) = unsafe { (text(method, "method")?, text(url, "url")?) };
        put(out, reknock_request::of(Request::new(method, url)?));
        Ok(())
    })
}

/// Names the calls of this request, for events, errors and telemetry: an operation or the template of a URL, such as "orders.get"; NULL for no name. It is
/// copied, and never sent.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT for a NULL request and for text that is no UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_name(
    request: Option<&mut reknock_request>,
    name: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let request = given(request, "request")?;
        // SAFETY: NUL-terminated, where it is not NULL.
        request.name = if name.is_null() { None } else { Some(unsafe { text(name, "name") }?.into()) };
        Ok(())
    })
}

/// Adds a header field line.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST for a name that is no token or a value with control characters; the request is unchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_add_header(
    request: Option<&mut reknock_request>,
    name: *const c_char,
    value: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: NUL-terminated or NULL, both.
        let (name, value) = unsafe { (text(name, "name")?, text(value, "value")?) };
        Ok(given(request, "request")?.request.append_header(name, value)?)
    })
}

/// As reknock_request_add_header, of counted texts without a NUL at their ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_add_header_n(
    request: Option<&mut reknock_request>,
    name: *const c_char,
    name_length: usize,
    value: *const c_char,
    value_length: usize,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: as many readable bytes as are said, or NULL, both.
        let (name, value) = unsafe { (counted_text(name, name_length, "name")?, counted_text(value, value_length, "value")?) };
        Ok(given(request, "request")?.request.append_header(name, value)?)
    })
}

/// Sets a header field, in place of all lines with this name. A NULL value removes them.
///
/// Errors: as reknock_request_add_header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_header(
    request: Option<&mut reknock_request>,
    name: *const c_char,
    value: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let request = given(request, "request")?;
        // SAFETY: NUL-terminated or NULL.
        let name = unsafe { text(name, "name") }?;
        if value.is_null() {
            request.request.remove_header(name);
            return Ok(());
        }
        // SAFETY: NUL-terminated.
        let value = unsafe { text(value, "value") }?;
        Ok(request.request.set_header(name, value)?)
    })
}

/// Sends it elsewhere; method, header fields and body stay. As in reknock_request_new.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST for a URL that cannot be sent to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_url(
    request: Option<&mut reknock_request>,
    url: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: NUL-terminated or NULL.
        let url = unsafe { text(url, "url") }?;
        Ok(given(request, "request")?.request.set_url(url)?)
    })
}

/// Sets the body to a copy of `length` bytes; none by default. `bytes` may be NULL if `length` is 0.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT; REKNOCK_ERROR_INVALID_REQUEST if the system has no memory for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_body(
    request: Option<&mut reknock_request>,
    body: *const u8,
    length: usize,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: `length` readable bytes, or NULL.
        let body = unsafe { bytes(body, length, "body") }?;
        given(request, "request")?.set_body(copied("body", body)?);
        Ok(())
    })
}

/// Sets the body to a file, read while it is sent and again for each attempt. It must not change meanwhile.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST if the file cannot be opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_body_file(
    request: Option<&mut reknock_request>,
    path: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let request = given(request, "request")?;
        // SAFETY: NUL-terminated or NULL.
        let path = unsafe { text(path, "path") }?;
        request.set_body(file(Path::new(path))?);
        Ok(())
    })
}

/// The request's URL, without userinfo and fragment. It belongs to the request, until the next call of this function.
/// NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_request_url(request: Option<&mut reknock_request>) -> *const c_char {
    plain(null(), || request.map_or(null(), |request| request.url.insert(c_text(request.request.url().as_str())).as_ptr()))
}

/// Frees a request. Calls in flight are not concerned. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_request_free(request: Option<Box<reknock_request>>) {
    plain((), || drop(request));
}
