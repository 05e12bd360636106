//! Callbacks: the core's questions, put to functions of the caller.
#![allow(unsafe_code)] // functions and pointers from C; each block says why it may

use std::ffi::{CString, c_char, c_void};
use std::ptr::null;
use std::sync::Arc;
use std::time::Duration;

use core_::BoxError;
use core_::client::{Attempt, Event, Host, Opinion, Question, Reply, Request, Wants};

use crate::error::{reknock_status, status_of};
use crate::ffi::c_text;
use crate::record::{evidence_number, micros, micros_or_none, reknock_attempt_record, reknock_evidence, reknock_stop_reason, stop_number};
use crate::request::{HeaderList, reknock_header, reknock_request};

/// What a callback answers: a REKNOCK_ANSWER_ number. Any other number ends the call with REKNOCK_ERROR_CALLBACK.
pub type reknock_answer = i32;

/// As the policy has it.
pub const REKNOCK_ANSWER_DEFAULT: i32 = 0;
/// Of retry_if: retry, after the wait that the policy has. Method and evidence rules, body replay, limits, deadline and budget
/// still hold.
pub const REKNOCK_ANSWER_RETRY: i32 = 1;
/// Of retry_if: do not retry.
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
}

/// Asked after every completed attempt, 2xx included, while a retry is possible. Answers DEFAULT, RETRY, STOP, ERROR, or WAIT
/// after writing `*wait_ms` (0 is now; server hints then do not apply).
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

/// Told of retries, redirects and the end.
pub type reknock_on_event_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const reknock_event)>;

/// Frees the user_data of a callback.
pub type reknock_free_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A function of the caller with its data, freed when nobody can call it any more.
pub(crate) struct Hook<F> {
    function: F,
    user_data: *mut c_void,
    free: reknock_free_fn,
}

// SAFETY: the header says that the functions of a client are called from every thread that calls or drains, and that the data
// must allow that.
unsafe impl<F: Send> Send for Hook<F> {}
// SAFETY: likewise.
unsafe impl<F: Sync> Sync for Hook<F> {}

impl<F> Hook<F> {
    pub(crate) fn new(function: F, user_data: *mut c_void, free: reknock_free_fn) -> Self {
        Hook { function, user_data, free }
    }
}

impl<F> Drop for Hook<F> {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: given for this data, which nobody else frees, and called once.
            unsafe { free(self.user_data) };
        }
    }
}

/// A hook that is there, and its function.
fn called<F: Copy>(hook: &Option<Arc<Hook<Option<F>>>>) -> Option<(&Hook<Option<F>>, F)> {
    hook.as_deref().and_then(|hook| hook.function.map(|function| (hook, function)))
}

/// The callbacks of a client at the moment a call began.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) retry_if: Option<Arc<Hook<reknock_retry_if_fn>>>,
    pub(crate) body: bool,
    pub(crate) delay: Option<Arc<Hook<reknock_delay_fn>>>,
    pub(crate) before_retry: Option<Arc<Hook<reknock_before_retry_fn>>>,
    pub(crate) on_event: Option<Arc<Hook<reknock_on_event_fn>>>,
}

impl Hooks {
    /// Puts a question to its function, on this thread.
    pub(crate) fn answer(&self, question: Question) -> Result<Reply, BoxError> {
        match question {
            Question::RetryIf(attempt) => self.retry_if(&attempt).map(Reply::Opinion),
            Question::Delay(attempt) => self.delay(&attempt).map(Reply::Delay),
            Question::BeforeRetry(attempt, request) => {
                self.before_retry(&attempt, *request).map(|request| Reply::Request(Box::new(request)))
            }
            _ => Err("a question that this library does not know".into()),
        }
    }

    fn retry_if(&self, attempt: &Attempt) -> Result<Opinion, BoxError> {
        let Some((hook, function)) = called(&self.retry_if) else { return Ok(Opinion::None) };
        let seen = Seen::new(attempt);
        let mut wait_ms = 0;
        // SAFETY: the caller's function with the caller's data; the attempt lives until it returns.
        match unsafe { function(hook.user_data, &seen.attempt, &mut wait_ms) } {
            REKNOCK_ANSWER_DEFAULT => Ok(Opinion::None),
            REKNOCK_ANSWER_RETRY => Ok(Opinion::Retry),
            REKNOCK_ANSWER_STOP => Ok(Opinion::Stop),
            REKNOCK_ANSWER_WAIT => Ok(Opinion::After(Duration::from_millis(wait_ms))),
            other => Err(no_answer("retry_if", other)),
        }
    }

    fn delay(&self, attempt: &Attempt) -> Result<Option<Duration>, BoxError> {
        let Some((hook, function)) = called(&self.delay) else { return Ok(None) };
        let seen = Seen::new(attempt);
        let mut wait_ms = 0;
        // SAFETY: as above.
        match unsafe { function(hook.user_data, &seen.attempt, &mut wait_ms) } {
            REKNOCK_ANSWER_DEFAULT => Ok(None),
            REKNOCK_ANSWER_WAIT => Ok(Some(Duration::from_millis(wait_ms))),
            other => Err(no_answer("delay", other)),
        }
    }

    fn before_retry(&self, attempt: &Attempt, request: Request) -> Result<Request, BoxError> {
        let Some((hook, function)) = called(&self.before_retry) else { return Ok(request) };
        let seen = Seen::new(attempt);
        let mut request = reknock_request::of(request);
        // SAFETY: as above; the request too lives until it returns.
        match unsafe { function(hook.user_data, &seen.attempt, &mut request) } {
            REKNOCK_ANSWER_DEFAULT => Ok(request.request),
            other => Err(no_answer("before_retry", other)),
        }
    }

    /// Tells the observer, on this thread.
    pub(crate) fn observe(&self, event: &Event) {
        let Some((hook, function)) = called(&self.on_event) else { return };
        let (kind, records, stop_reason, url): (_, Vec<reknock_attempt_record>, _, _) = match event {
            Event::Retry(record) => (REKNOCK_EVENT_RETRY, vec![record.into()], None, None),
            Event::Redirect(record, url) => (REKNOCK_EVENT_REDIRECT, vec![record.into()], None, Some(c_text(url))),
            Event::End { attempts, stop_reason } => {
                (REKNOCK_EVENT_END, attempts.iter().map(Into::into).collect(), Some(*stop_reason), None)
            }
            _ => return,
        };
        let event = reknock_event {
            kind,
            stop_reason: stop_number(stop_reason),
            attempts: records.as_ptr(),
            attempt_count: records.len(),
            url: url.as_ref().map_or(null(), |url| url.as_ptr()),
        };
        // SAFETY: the caller's function with the caller's data; the event lives until it returns.
        unsafe { function(hook.user_data, &event) };
    }
}

fn no_answer(callback: &str, answer: i32) -> BoxError {
    match answer {
        REKNOCK_ANSWER_ERROR => format!("{callback} answered with an error").into(),
        _ => format!("{callback} answered {answer}, which is no answer of it").into(),
    }
}

/// A blocking call's host: its future runs on the calling thread, and so do the functions.
pub(crate) struct Here(pub(crate) Hooks);

impl Host for Here {
    fn wants(&self) -> Wants {
        self.0.wants()
    }

    async fn ask(&mut self, question: Question) -> Result<Reply, BoxError> {
        self.0.answer(question)
    }

    fn tell(&mut self, event: Event) {
        self.0.observe(&event);
    }
}

impl Hooks {
    pub(crate) fn wants(&self) -> Wants {
        Wants {
            retry_if: self.retry_if.is_some(),
            body: self.body && self.retry_if.is_some(),
            delay: self.delay.is_some(),
            before_retry: self.before_retry.is_some(),
            events: self.on_event.is_some(),
        }
    }
}

/// An attempt with what its pointers point to.
struct Seen {
    attempt: reknock_attempt,
    _texts: [Option<CString>; 3],
    _headers: [HeaderList; 2],
}

impl Seen {
    fn new(seen: &Attempt) -> Self {
        let texts = [seen.message.as_deref().map(c_text), Some(c_text(seen.method.as_str())), Some(c_text(seen.url.as_str()))];
        let headers = [HeaderList::new(&seen.request_headers), HeaderList::new(&seen.headers)];
        let pointer = |text: &Option<CString>| text.as_ref().map_or(null(), |text| text.as_ptr());
        let attempt = reknock_attempt {
            number: seen.number,
            retries_left: seen.retries_left,
            elapsed_us: micros(seen.elapsed),
            http_status: seen.status.map_or(0, i32::from),
            error: seen.error.map_or(0, status_of),
            message: pointer(&texts[0]),
            evidence: evidence_number(seen.evidence),
            verdict: i32::from(seen.verdict),
            hint_us: micros_or_none(seen.hint),
            planned_wait_us: micros_or_none(seen.planned_wait),
            method: pointer(&texts[1]),
            url: pointer(&texts[2]),
            request_headers: headers[0].list().as_ptr(),
            request_header_count: headers[0].list().len(),
            headers: headers[1].list().as_ptr(),
            header_count: headers[1].list().len(),
            body: seen.body.as_ref().map_or(null(), |body| body.as_ptr()),
            body_length: seen.body.as_ref().map_or(0, |body| body.len()),
        };
        Seen { attempt, _texts: texts, _headers: headers }
    }
}
