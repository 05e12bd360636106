//! What requests are often made of: queries, forms, JSON, credentials, parts.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::path::Path;

use core_::client::{Body, Multipart, copied};
use core_::policy::shown_path;
use core_::{Error, ErrorKind};

use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, bytes, counted_text, entry, given, list, plain, put, text};
use crate::request::{reknock_header, reknock_request};

/// Appends a pair to the query of the request's URL, percent-encoded.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST if the URL becomes longer than HTTP carries (65,534 bytes).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_add_query(
    request: Option<&mut reknock_request>,
    name: *const c_char,
    value: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: NUL-terminated or NULL, both.
        let (name, value) = unsafe { (text(name, "name")?, text(value, "value")?) };
        Ok(given(request, "request")?.request.append_query([(name, value)])?)
    })
}

/// Sets the body to a form of `count` pairs (application/x-www-form-urlencoded); `pairs` may be NULL if `count` is 0. Sets content-type, if there is none yet.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST if the system has no memory for it; REKNOCK_ERROR_INVALID_ARGUMENT, also for a pair with a NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_form(
    request: Option<&mut reknock_request>,
    pairs: *const reknock_header,
    count: usize,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let request = given(request, "request")?;
        // SAFETY: as many pairs as are said, or NULL.
        let said = unsafe { list(pairs, count, "pairs") }?.iter();
        // SAFETY: NUL-terminated or NULL, both.
        let pair = |pair: &reknock_header| unsafe { Ok::<_, Fault>((text(pair.name, "pairs: name")?, text(pair.value, "pairs: value")?)) };
        request.request.set_form(said.map(pair).collect::<Result<Vec<_>, _>>()?)?;
        request.forget_source();
        Ok(())
    })
}

/// Sets the body to a text that the program wrote as JSON: it is sent as it is. Sets content-type to application/json, if there is none yet.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST if the system has no memory for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_json(
    request: Option<&mut reknock_request>,
    json: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL.
    entry(error, || set_json(request, unsafe { text(json, "json") }?))
}

/// As reknock_request_set_json, of `length` bytes without a NUL at their end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_json_n(
    request: Option<&mut reknock_request>,
    json: *const c_char,
    length: usize,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: `length` readable bytes, or NULL.
    entry(error, || set_json(request, unsafe { counted_text(json, length, "json") }?))
}

fn set_json(request: Option<&mut reknock_request>, json: &str) -> Result<(), Fault> {
    let request = given(request, "request")?;
    request.request.set_json_text(copied("json", json.as_bytes())?);
    request.forget_source();
    Ok(())
}

/// Sets basic credentials, in place of any there are. `password` may be NULL, which is an empty one.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_basic_auth(
    request: Option<&mut reknock_request>,
    username: *const c_char,
    password: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: NUL-terminated or NULL.
        let username = unsafe { text(username, "username") }?;
        // SAFETY: NUL-terminated, as it is not NULL.
        let password = if password.is_null() { "" } else { unsafe { text(password, "password") }? };
        given(request, "request")?.request.set_basic_auth(username, password);
        Ok(())
    })
}

/// Sets a bearer token, in place of any credentials there are.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST for a token with control characters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_request_set_bearer_auth(
    request: Option<&mut reknock_request>,
    token: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: NUL-terminated or NULL.
        let token = unsafe { text(token, "token") }?;
        Ok(given(request, "request")?.request.set_bearer_auth(token)?)
    })
}

/// A form of parts (multipart/form-data), on its way to a request. Used by one thread at a time.
pub struct reknock_multipart {
    form: Multipart,
}

/// Makes a form without parts in `*out`. Free it with reknock_multipart_free.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_multipart_new(
    out: Option<&mut MaybeUninit<*mut reknock_multipart>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        put(given(out, "out")?, reknock_multipart { form: Multipart::new() });
        Ok(())
    })
}

/// Adds a part of `length` bytes, which are copied; `bytes` may be NULL if `length` is 0. `file_name` and `content_type` may be NULL, as for a field of text.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST for a name, file name or content type with line breaks or of more than 64 KiB, and if the system has no
/// memory; the form is unchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_multipart_add(
    form: Option<&mut reknock_multipart>,
    name: *const c_char,
    file_name: *const c_char,
    content_type: *const c_char,
    body: *const u8,
    length: usize,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: `length` readable bytes, or NULL.
        let body = copied("multipart", unsafe { bytes(body, length, "body") }?)?;
        // SAFETY: NUL-terminated or NULL, all of them.
        unsafe { add(form, name, file_name, content_type, body.into()) }
    })
}

/// Adds a part that is a file, read while it is sent and again for each attempt. It must not change meanwhile. `file_name` is what the server is told: NULL
/// for the last part of the path. `content_type` may be NULL.
///
/// Errors: REKNOCK_ERROR_INVALID_REQUEST if the file cannot be opened, and as reknock_multipart_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_multipart_add_file(
    form: Option<&mut reknock_multipart>,
    name: *const c_char,
    path: *const c_char,
    file_name: *const c_char,
    content_type: *const c_char,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: NUL-terminated or NULL.
        let path = Path::new(unsafe { text(path, "path") }?);
        let body = file(path)?;
        let last = path.file_name().map(|name| crate::ffi::c_text(&name.to_string_lossy()));
        let told = if file_name.is_null() { last.as_ref().map_or(file_name, |last| last.as_ptr()) } else { file_name };
        // SAFETY: NUL-terminated or NULL, all of them.
        unsafe { add(form, name, told, content_type, body) }
    })
}

/// # Safety
/// NUL-terminated or NULL, all texts.
unsafe fn add(
    form: Option<&mut reknock_multipart>,
    name: *const c_char,
    file_name: *const c_char,
    content_type: *const c_char,
    body: Body,
) -> Result<(), Fault> {
    // SAFETY: by the contract.
    let optional = |pointer: *const c_char, what| if pointer.is_null() { Ok(None) } else { unsafe { text(pointer, what) }.map(Some) };
    // SAFETY: likewise.
    let name = unsafe { text(name, "name") }?;
    let (file_name, content_type) = (optional(file_name, "file_name")?, optional(content_type, "content_type")?);
    Ok(given(form, "form")?.form.add::<&str, &str>(name, file_name, content_type, &[], body)?)
}

/// A body that is a file.
pub(crate) fn file(path: &Path) -> Result<Body, Fault> {
    let failed = |why: std::io::Error| Error::new(ErrorKind::InvalidRequest, format!("{}: {why}", shown_path(path))).with_source(why);
    Ok(Body::open(path).map_err(failed)?)
}

/// Sets the body to a form as it is now, and content-type, which names its boundary. The form may be changed, used again and freed afterwards.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_request_set_multipart(
    request: Option<&mut reknock_request>,
    form: Option<&reknock_multipart>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (request, form) = (given(request, "request")?, given(form, "form")?);
        request.request.set_multipart(form.form.clone());
        request.forget_source();
        Ok(())
    })
}

/// Frees a form. Requests that were given it are not concerned. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_multipart_free(form: Option<Box<reknock_multipart>>) {
    plain((), || drop(form));
}
