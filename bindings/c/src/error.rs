//! Status codes and errors.
#![allow(unsafe_code)] // exported names

use std::error::Error as StdError;
use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::sync::{Arc, OnceLock};

use core_::{ErrorKind, Identity};

use crate::ffi::{Fault, c_text, entry, given, plain, put, text};
use crate::record::{Records, reknock_attempt_record, reknock_stop_reason};

/// What a function that can fail returns: REKNOCK_OK, or a REKNOCK_ERROR_ number. Numbers never change their meaning;
/// later versions may add some.
pub type reknock_status = i32;

/// It worked.
pub const REKNOCK_OK: i32 = 0;
/// A policy, a client option or a budget cannot be what was asked for. Raised at construction.
pub const REKNOCK_ERROR_CONFIG: i32 = 1;
/// The request itself is impossible (URL, method, header, body against its content-length). Nothing was sent.
pub const REKNOCK_ERROR_INVALID_REQUEST: i32 = 2;
/// No connection: name resolution, refusal, unreachable, proxy refusal, a handshake cut off. Nothing was sent.
pub const REKNOCK_ERROR_CONNECT: i32 = 3;
/// No connection within `connect_timeout`. Nothing was sent.
pub const REKNOCK_ERROR_CONNECT_TIMEOUT: i32 = 4;
/// Certificate or TLS alert: does not heal by itself.
pub const REKNOCK_ERROR_TLS: i32 = 5;
/// The connection went away before the response head.
pub const REKNOCK_ERROR_RESET: i32 = 6;
/// HTTP/2 REFUSED_STREAM, or GOAWAY below our stream.
pub const REKNOCK_ERROR_REFUSED_STREAM: i32 = 7;
/// The peer does not speak HTTP as we know it.
pub const REKNOCK_ERROR_PROTOCOL: i32 = 8;
/// One attempt took longer than `per_try_timeout` to its response head.
pub const REKNOCK_ERROR_PER_TRY_TIMEOUT: i32 = 9;
/// A body was cut, corrupt, shorter than its content-length, or silent for `idle_timeout`.
pub const REKNOCK_ERROR_BODY: i32 = 10;
/// The call took longer than `timeout`.
pub const REKNOCK_ERROR_DEADLINE: i32 = 11;
/// More redirects than allowed.
pub const REKNOCK_ERROR_TOO_MANY_REDIRECTS: i32 = 12;
/// The buffered, decompressed body passed `max_response_size`.
pub const REKNOCK_ERROR_RESPONSE_TOO_LARGE: i32 = 13;
/// The caller cancelled.
pub const REKNOCK_ERROR_CANCELLED: i32 = 14;
/// A callback failed or answered with something that is no answer.
pub const REKNOCK_ERROR_CALLBACK: i32 = 15;
/// The client was closed.
pub const REKNOCK_ERROR_CLOSED: i32 = 16;
/// A bug in reknock or below. Please report it.
pub const REKNOCK_ERROR_INTERNAL: i32 = 17;
/// The function was called against its contract: a NULL that is not allowed, text that is not UTF-8, a struct_size that is none.
/// Of the C library alone. Nothing was done.
pub const REKNOCK_ERROR_INVALID_ARGUMENT: i32 = 100;
/// Nothing is there: no completion, no reading. No error.
pub const REKNOCK_EMPTY: i32 = 101;

/// What went wrong: a status, one line of text, what was sent and why nothing further was.
///
/// Functions that can fail take a `reknock_error **`, which may be NULL. They write to it when they fail, and only then; the
/// error then belongs to the caller. May be read from several threads at once.
pub struct reknock_error {
    status: reknock_status,
    message: CString,
    http_status: i32,
    records: Records,
    causes: Vec<CString>,
    errno: i32,
    call: Option<Whose>,
}

/// Whose call failed.
struct Whose {
    identity: Arc<Identity>,
    method: CString,
    url: CString,
    name: Option<CString>,
}

impl reknock_error {
    pub(crate) fn of(fault: Fault) -> Self {
        match fault {
            Fault::Argument(message) => Self::alone(REKNOCK_ERROR_INVALID_ARGUMENT, &message),
            Fault::Core(error) => {
                let causes = || std::iter::successors(error.source(), |cause| StdError::source(*cause));
                let number = |cause: &(dyn StdError + 'static)| cause.downcast_ref::<std::io::Error>()?.raw_os_error();
                reknock_error {
                    status: status_of(error.kind()),
                    message: c_text(&error.to_string()),
                    http_status: error.status().map_or(0, i32::from),
                    records: Records::new(error.attempts(), error.stop_reason()),
                    causes: causes().map(|cause| c_text(&cause.to_string())).collect(),
                    errno: causes().find_map(number).unwrap_or(0),
                    call: error.call().map(|call| Whose {
                        identity: Arc::clone(call),
                        method: c_text(&call.method),
                        url: c_text(&call.url),
                        name: call.name.as_deref().map(c_text),
                    }),
                }
            }
        }
    }

    /// Of nothing that was tried.
    fn alone(status: reknock_status, message: &str) -> Self {
        reknock_error {
            status,
            message: c_text(message),
            http_status: 0,
            records: Records::new(&[], None),
            causes: Vec::new(),
            errno: 0,
            call: None,
        }
    }

    pub(crate) fn status(&self) -> reknock_status {
        self.status
    }
}

/// The kind's number is its status.
pub(crate) fn status_of(kind: ErrorKind) -> reknock_status {
    i32::from(kind.number())
}

/// The kind of a status, if it is one.
pub(crate) fn kind_of(status: reknock_status) -> Option<ErrorKind> {
    ErrorKind::ALL.iter().copied().find(|kind| status_of(*kind) == status)
}

/// The names and meanings of the kinds, NUL-terminated, in the order of the core's list.
fn texts() -> &'static [(i32, CString, CString)] {
    static TEXTS: OnceLock<Vec<(i32, CString, CString)>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let of = |kind: &ErrorKind| (status_of(*kind), c_text(kind.code()), c_text(kind.meaning()));
        ErrorKind::ALL.iter().map(of).collect()
    })
}

/// The stable name of a status, such as "connect_timeout"; "ok" for REKNOCK_OK, "unknown" for a number that is none. Static.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_status_name(status: reknock_status) -> *const c_char {
    plain(null(), || match status {
        REKNOCK_OK => c"ok".as_ptr(),
        REKNOCK_ERROR_INVALID_ARGUMENT => c"invalid_argument".as_ptr(),
        REKNOCK_EMPTY => c"empty".as_ptr(),
        _ => texts().iter().find(|text| text.0 == status).map_or(c"unknown".as_ptr(), |text| text.1.as_ptr()),
    })
}

/// What a status means, in a sentence or two. Empty for REKNOCK_OK and for numbers that are none. Static. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_status_meaning(status: reknock_status) -> *const c_char {
    plain(null(), || match status {
        REKNOCK_ERROR_INVALID_ARGUMENT => c"The function was called against its contract.".as_ptr(),
        _ => texts().iter().find(|text| text.0 == status).map_or(c"".as_ptr(), |text| text.2.as_ptr()),
    })
}

/// Makes an error of the program's own in `*out`, without attempts: for functions that report as those of the library do. Free it with
/// reknock_error_free.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also for a status that is none of an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_error_new(
    status: reknock_status,
    message: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(None, || {
        let out = given(out, "out")?;
        // SAFETY: NUL-terminated or NULL.
        let message = unsafe { text(message, "message") }?;
        if status != REKNOCK_ERROR_INVALID_ARGUMENT && kind_of(status).is_none() {
            return Err(Fault::Argument(format!("status: is that of no error, got {status}")));
        }
        put(out, reknock_error::alone(status, message));
        Ok(())
    })
}

/// The status of an error. REKNOCK_OK for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_status(error: Option<&reknock_error>) -> reknock_status {
    plain(REKNOCK_ERROR_INTERNAL, || error.map_or(REKNOCK_OK, |error| error.status))
}

/// One line about what went wrong, without secrets: userinfo and query values of URLs are removed. It belongs to the error.
/// Empty for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_message(error: Option<&reknock_error>) -> *const c_char {
    plain(null(), || error.map_or(c"".as_ptr(), |error| error.message.as_ptr()))
}

/// The status of the response whose body failed, if that is what happened, else 0; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_http_status(error: Option<&reknock_error>) -> i32 {
    plain(0, || error.map_or(0, |error| error.http_status))
}

/// What an error came of, one line each, from index 0: the next one is the reason of the one before. NULL beyond the last one, and for NULL. It belongs to the
/// error.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_cause(error: Option<&reknock_error>, index: usize) -> *const c_char {
    plain(null(), || error.and_then(|error| error.causes.get(index)).map_or(null(), |cause| cause.as_ptr()))
}

/// The system's number of what went wrong, such as ECONNREFUSED, or 0 if it was none of the system's; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_errno(error: Option<&reknock_error>) -> i32 {
    plain(0, || error.map_or(0, |error| error.errno))
}

/// The number of the call that failed, unique in the process, from 1; 0 where none had begun, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_call_id(error: Option<&reknock_error>) -> u64 {
    plain(0, || error.and_then(|error| error.call.as_ref()).map_or(0, |call| call.identity.call_id))
}

/// The method that the call was made with; NULL where none had begun, and for NULL. It belongs to the error.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_method(error: Option<&reknock_error>) -> *const c_char {
    plain(null(), || error.and_then(|error| error.call.as_ref()).map_or(null(), |call| call.method.as_ptr()))
}

/// The URL that the call was made to, without userinfo and the values of its query; NULL where none had begun, and for NULL. It belongs to the error.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_url(error: Option<&reknock_error>) -> *const c_char {
    plain(null(), || error.and_then(|error| error.call.as_ref()).map_or(null(), |call| call.url.as_ptr()))
}

/// What the program names the call (reknock_request_set_name); NULL if it has no name, and for NULL. It belongs to the error.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_name(error: Option<&reknock_error>) -> *const c_char {
    plain(null(), || error.and_then(|error| error.call.as_ref()?.name.as_ref()).map_or(null(), |name| name.as_ptr()))
}

/// How many attempts the call made. 0 when nothing was tried, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_attempt_count(error: Option<&reknock_error>) -> usize {
    plain(0, || error.map_or(0, |error| error.records.all().len()))
}

/// The attempt at `index`, from 0; NULL beyond the last one, and for NULL. It belongs to the error.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_attempt(error: Option<&reknock_error>, index: usize) -> *const reknock_attempt_record {
    plain(null(), || error.map_or(null(), |error| error.records.at(index)))
}

/// Why nothing further was sent; 0 when nothing was tried, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_stop_reason(error: Option<&reknock_error>) -> reknock_stop_reason {
    plain(0, || error.map_or(0, |error| error.records.stop_reason()))
}

/// The call and its attempts as a short timeline for people, with the advice that fits the stop reason; empty when nothing was tried, and for
/// NULL. It belongs to the error.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_explain(error: Option<&reknock_error>) -> *const c_char {
    plain(null(), || {
        error.map_or(c"".as_ptr(), |error| error.records.explain(|| error.call.as_ref().map(|call| Arc::clone(&call.identity))))
    })
}

/// Frees an error. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_error_free(error: Option<Box<reknock_error>>) {
    plain((), || drop(error));
}
