//! Callbacks: what functions of the caller are given, and what they answer.
#![allow(unsafe_code)] // functions of C

use std::ffi::{c_char, c_void};

use core_::BoxError;

use crate::error::reknock_status;
use crate::record::{reknock_attempt_record, reknock_evidence, reknock_stop_reason};
use crate::request::{reknock_header, reknock_request};

/// What a callback answers: a REKNOCK_ANSWER_ number. Any other number ends the call with REKNOCK_ERROR_CALLBACK.
pub type reknock_answer = i32;

/// As the policy has it: what retry_if answers where it adds nothing.
pub const REKNOCK_ANSWER_DEFAULT: i32 = 0;
/// Of retry_if: retry, after the wait that the policy has. Method and evidence rules, body replay, limits, deadline and budget
/// still hold.
pub const REKNOCK_ANSWER_RETRY: i32 = 1;
/// Of retry_if: do not retry, whatever the policy says.
pub const REKNOCK_ANSWER_STOP: i32 = 2;
/// Of retry_if and delay: after `*wait_ms`.
pub const REKNOCK_ANSWER_WAIT: i32 = 3;
/// End the call with REKNOCK_ERROR_CALLBACK.
pub const REKNOCK_ANSWER_ERROR: i32 = -1;

/// One attempt and how it ended, as callbacks see it. It and all it points to live until the callback returns.
#[repr(C)]
pub struct reknock_attempt {
    /// From 1.
    pub number: u32,
    /// Retries left, the one in question included.
    pub retries_left: u32,
    /// Since the start of the call, in microseconds.
    pub elapsed_us: u64,
    /// The response's status, or 0 on failures before a response head.
    pub http_status: i32,
    /// How it failed, or REKNOCK_OK.
    pub error: reknock_status,
    /// One line about the failure, or NULL.
    pub message: *const c_char,
    /// Whether the server may have acted on it.
    pub evidence: reknock_evidence,
    /// 1 if the policy would retry it, else 0.
    pub verdict: i32,
    /// The wait the server asks for, in microseconds, or -1.
    pub hint_us: i64,
    /// The wait the policy would take, in microseconds; -1 if the server asks for a longer one than allowed.
    pub planned_wait_us: i64,
    /// The request's method.
    pub method: *const c_char,
    /// The request's URL.
    pub url: *const c_char,
    /// The request's header fields.
    pub request_headers: *const reknock_header,
    /// How many they are.
    pub request_header_count: usize,
    /// The response's header fields.
    pub headers: *const reknock_header,
    /// How many they are; 0 on failures before a response head.
    pub header_count: usize,
    /// The response's body if reknock_client_set_retry_if asked for it, else NULL. Not NUL-terminated.
    pub body: *const u8,
    /// Its size in bytes.
    pub body_length: usize,
}

/// What observers are told of: a REKNOCK_EVENT_ number.
pub type reknock_event_kind = i32;

/// An attempt ended and will be retried after its wait. Told before the wait.
pub const REKNOCK_EVENT_RETRY: i32 = 1;
/// A redirect is followed.
pub const REKNOCK_EVENT_REDIRECT: i32 = 2;
/// The call is over.
pub const REKNOCK_EVENT_END: i32 = 3;
/// What whoever runs the program should know: a budget that refuses a retry, at most once a second and origin.
pub const REKNOCK_EVENT_NOTICE: i32 = 4;

/// What observers are told. It and all it points to live until the callback returns.
#[repr(C)]
pub struct reknock_event {
    /// Which event this is.
    pub kind: reknock_event_kind,
    /// At the end: why nothing further was sent. Else 0.
    pub stop_reason: reknock_stop_reason,
    /// The attempt that ended; at the end: all attempts.
    pub attempts: *const reknock_attempt_record,
    /// How many they are.
    pub attempt_count: usize,
    /// Of a redirect: where it leads, query values removed. Else NULL.
    pub url: *const c_char,
    /// Of a notice: one whole line. Else NULL.
    pub text: *const c_char,
}

/// Asked after every completed attempt, 2xx included, while a retry is possible; not about what stop_headers match. It adds to the policy: answers
/// DEFAULT (nothing to add), RETRY, STOP, ERROR, or WAIT after writing `*wait_ms` (0 is now; server hints then do not apply).
pub type reknock_retry_if_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, attempt: *const reknock_attempt, wait_ms: *mut u64) -> reknock_answer>;

/// Asked for the wait before a retry that was decided, in place of the policy's back-off; server hints still apply. Answers
/// DEFAULT, ERROR, or WAIT after writing `*wait_ms`.
pub type reknock_delay_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, attempt: *const reknock_attempt, wait_ms: *mut u64) -> reknock_answer>;

/// Edits the request of the next attempt alone, after the wait: header fields, URL, body. Edits do not accumulate. The request
/// is the library's: do not free it. Answers DEFAULT to send it, or ERROR.
pub type reknock_before_retry_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, attempt: *const reknock_attempt, request: *mut reknock_request) -> reknock_answer>;

/// Told of retries, redirects, notices and the end.
pub type reknock_on_event_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const reknock_event)>;

/// Frees the user_data of a callback.
pub type reknock_free_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// The error of an answer that is none of those of a callback.
pub(crate) fn no_answer(callback: &str, answer: reknock_answer) -> BoxError {
    match answer {
        REKNOCK_ANSWER_ERROR => format!("{callback} answered with an error").into(),
        _ => format!("{callback} answered {answer}, which is no answer of it").into(),
    }
}
