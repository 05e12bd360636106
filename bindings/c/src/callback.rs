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
    /// The number of the call, unique in the process, from 1.
    pub call_id: u64,
    /// What the program names the call (reknock_request_set_name), or NULL.
    pub name: *const c_char,
}

/// What observers are told of: a REKNOCK_EVENT_ number.
pub type reknock_event_kind = i32;

/// An attempt ended and will be retried after its wait. Told before the wait.
pub const REKNOCK_EVENT_RETRY: i32 = 1;
/// A redirect is followed.
pub const REKNOCK_EVENT_REDIRECT: i32 = 2;
/// The call is over.
pub const REKNOCK_EVENT_END: i32 = 3;
/// What whoever runs the program should know: see the REKNOCK_NOTICE_ numbers.
pub const REKNOCK_EVENT_NOTICE: i32 = 4;
/// An attempt begins: each one, those of redirects' hops included.
pub const REKNOCK_EVENT_ATTEMPT_START: i32 = 5;
/// An attempt ended, with the body of its response where that is read into memory.
pub const REKNOCK_EVENT_ATTEMPT_END: i32 = 6;
/// An interim answer (1xx) came. Told once the attempt has ended, before its end.
pub const REKNOCK_EVENT_INTERIM: i32 = 7;

/// What a notice is about: a REKNOCK_NOTICE_ number.
pub type reknock_notice = i32;

/// A budget refused a retry. At most once a second and origin.
pub const REKNOCK_NOTICE_BUDGET_REFUSED: i32 = 1;
/// A header field of a response was dropped, because its value has characters that no value can have.
pub const REKNOCK_NOTICE_FIELD_DROPPED: i32 = 2;
/// The file that the client's policy comes from has changed and cannot be used: the policy before holds on.
pub const REKNOCK_NOTICE_POLICY_REFUSED: i32 = 3;
/// A budget that was to be the host's (`share: host`) is this process's alone. Once a client.
pub const REKNOCK_NOTICE_BUDGET_UNSHARED: i32 = 4;

/// How much an event matters: a REKNOCK_LEVEL_ number.
pub type reknock_level = i32;

/// What happens with every call.
pub const REKNOCK_LEVEL_DEBUG: i32 = 0;
/// A retry.
pub const REKNOCK_LEVEL_INFO: i32 = 1;
/// A call that failed, and notices.
pub const REKNOCK_LEVEL_WARNING: i32 = 2;

/// What observers are told. It and all it points to live until the callback returns. Later versions may append fields; the library alone makes these
/// structs.
#[repr(C)]
pub struct reknock_event {
    /// Which event this is.
    pub kind: reknock_event_kind,
    /// At the end: why nothing further was sent. Else 0.
    pub stop_reason: reknock_stop_reason,
    /// The attempt that it is about; at the end: all attempts.
    pub attempts: *const reknock_attempt_record,
    /// How many they are.
    pub attempt_count: usize,
    /// Where an attempt goes that starts, or where a redirect leads, query values removed. Else NULL.
    pub target: *const c_char,
    /// All of it in one line, for logs.
    pub text: *const c_char,
    /// How much it matters.
    pub level: reknock_level,
    /// At the end: 1 if the call failed, with an error or with a response that would have been retried if it could have been. Else 0.
    pub failed: i32,
    /// The number of the call that it is about, unique in the process, from 1; 0 for notices about none.
    pub call_id: u64,
    /// The method that the call was made with, or NULL.
    pub method: *const c_char,
    /// The URL that the call was made to, without userinfo and the values of its query, or NULL. Redirects do not change it.
    pub url: *const c_char,
    /// That URL's scheme, host and port, or NULL.
    pub origin: *const c_char,
    /// What the program names the call (reknock_request_set_name), or NULL.
    pub name: *const c_char,
    /// At the start of an attempt: the method that it sends. Else NULL.
    pub attempt_method: *const c_char,
    /// Of a retry: why, as a status ("503") or the name of a kind of failure ("connect"). Else NULL.
    pub reason: *const c_char,
    /// Of a notice: what it is about. Else 0.
    pub notice: reknock_notice,
    /// The number of the attempt that it is about, or 0.
    pub number: u32,
    /// Of an interim answer: its status. Else 0.
    pub interim_status: i32,
    /// At the end: since the start of the call, in microseconds. Else 0.
    pub elapsed_us: u64,
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

/// Told of attempts, interim answers, retries, redirects, notices and the end.
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
