//! The functions of a client: how the core's questions reach them, and how they are set.
#![allow(unsafe_code)] // functions and pointers from C; each block says why it may

use std::ffi::{CString, c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::sync::Arc;
use std::time::Duration;

use core_::client::{Attempt, Cancel, Event, EventKind, Opinion, Question, Reply, Request, Wants};
use core_::{BoxError, Identity};

use crate::body::Outlet;
use crate::call::reknock_call_options;
use crate::callback::{
    REKNOCK_ANSWER_DEFAULT, REKNOCK_ANSWER_RETRY, REKNOCK_ANSWER_STOP, REKNOCK_ANSWER_WAIT, no_answer, reknock_attempt,
    reknock_before_retry_fn, reknock_delay_fn, reknock_event, reknock_free_fn, reknock_on_event_fn, reknock_retry_if_fn,
};
use crate::client::reknock_client;
use crate::error::{reknock_error, reknock_status, status_of};
use crate::ffi::{c_text, entry, shared};
use crate::record::{evidence_number, micros, micros_or_none, reknock_attempt_record, stop_number};
use crate::request::{HeaderList, reknock_request};
use crate::transfer::{Transfers, reknock_on_transfer_fn};

/// A function of the caller with its data, freed when nobody can call it any more.
pub(crate) struct Hook<F> {
    pub(crate) function: F,
    pub(crate) user_data: *mut c_void,
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

    /// The same data with another function.
    pub(crate) fn with<G>(mut self, function: G) -> Hook<G> {
        Hook { function, user_data: self.user_data, free: self.free.take() }
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
    on_transfer: reknock_on_transfer_fn,
    /// The data of a call's own functions: freed after the last use of these hooks.
    own: Option<Arc<Hook<()>>>,
}

impl Hooks {
    /// With the functions of one call in place of the client's.
    pub(crate) fn with_own(mut self, said: &reknock_call_options, data: Hook<()>) -> Self {
        fn own<F>(function: Option<F>, user_data: *mut c_void, place: &mut Option<Arc<Hook<Option<F>>>>) -> bool {
            let is_there = function.is_some();
            if is_there {
                *place = Some(Arc::new(Hook::new(function, user_data, None)));
            }
            is_there
        }
        let asked = own(said.retry_if, said.user_data, &mut self.retry_if);
        if asked {
            self.body = said.retry_if_body != 0;
        }
        let others = own(said.delay, said.user_data, &mut self.delay)
            | own(said.before_retry, said.user_data, &mut self.before_retry)
            | own(said.on_event, said.user_data, &mut self.on_event);
        self.on_transfer = said.on_transfer;
        self.own = (asked || others || self.on_transfer.is_some()).then(|| Arc::new(data));
        self
    }

    /// Who is told of the call's transfers, and may cancel it: by a token that is no other call's.
    pub(crate) fn transfers(&self, cancel: impl FnOnce() -> Cancel, outlet: &Outlet) -> Option<Arc<Transfers>> {
        let (function, data) = (self.on_transfer?, self.own.as_ref()?);
        Some(Transfers::new(function, Arc::clone(data), cancel(), outlet))
    }

    /// Whether functions wait for what comes to the call's outlet, whatever it sends.
    pub(crate) fn listen(&self) -> bool {
        self.before_retry.is_some() || self.on_transfer.is_some()
    }

    /// Puts a question to its function, on this thread. `outlet`: of the call.
    pub(crate) fn answer(&self, question: Question, outlet: &Outlet) -> Result<Reply, BoxError> {
        match question {
            Question::RetryIf(attempt) => self.retry_if(&attempt).map(Reply::Opinion),
            Question::Delay(attempt) => self.delay(&attempt).map(Reply::Delay),
            Question::BeforeRetry(attempt, request) => {
                self.before_retry(&attempt, *request, outlet).map(|request| Reply::Request(Box::new(request)))
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

    fn before_retry(&self, attempt: &Attempt, request: Request, outlet: &Outlet) -> Result<Request, BoxError> {
        let Some((hook, function)) = called(&self.before_retry) else { return Ok(request) };
        let seen = Seen::new(attempt);
        let mut request = reknock_request::of(request);
        // SAFETY: as above; the request too lives until it returns.
        match unsafe { function(hook.user_data, &seen.attempt, &mut request) } {
            REKNOCK_ANSWER_DEFAULT => Ok(request.outgoing(outlet)?),
            other => Err(no_answer("before_retry", other)),
        }
    }

    /// Tells the observer, on this thread.
    pub(crate) fn observe(&self, event: &Event) {
        let Some((hook, function)) = called(&self.on_event) else { return };
        let told = Told::new(event);
        let event = told.event(event);
        // SAFETY: the caller's function with the caller's data; the event lives until it returns.
        unsafe { function(hook.user_data, &event) };
    }
}

impl Hooks {
    pub(crate) fn wants(&self) -> Wants {
        Wants {
            retry_if: self.retry_if.is_some(),
            body: self.body,
            delay: self.delay.is_some(),
            before_retry: self.before_retry.is_some(),
            before_attempt: false,
            events: self.on_event.is_some(),
            notices: false,
        }
    }
}

/// What the pointers of an event point to.
struct Told {
    records: Vec<reknock_attempt_record>,
    text: CString,
    target: Option<CString>,
    attempt_method: Option<CString>,
    reason: Option<CString>,
    /// Method, URL, origin and name.
    call: [Option<CString>; 4],
}

impl Told {
    fn new(event: &Event) -> Self {
        let call = event.call.as_deref();
        let of_call = |text: fn(&Identity) -> Option<&str>| call.and_then(text).map(c_text);
        Told {
            records: match &event.kind {
                EventKind::End { attempts, .. } => attempts.iter().map(Into::into).collect(),
                kind => kind.attempt().map(Into::into).into_iter().collect(),
            },
            text: c_text(&event.to_string()),
            target: event.kind.target().map(c_text),
            attempt_method: match &event.kind {
                EventKind::AttemptStart { method, .. } => Some(c_text(method)),
                _ => None,
            },
            reason: match &event.kind {
                EventKind::Retry { reason, .. } => Some(c_text(reason)),
                _ => None,
            },
            call: [
                of_call(|call| Some(&call.method)),
                of_call(|call| Some(&call.url)),
                of_call(|call| Some(&call.origin)),
                of_call(|call| call.name.as_deref()),
            ],
        }
    }

    /// It, for as long as this lives.
    fn event(&self, event: &Event) -> reknock_event {
        let mut out = reknock_event {
            kind: i32::from(event.kind.number()),
            stop_reason: 0,
            attempts: self.records.as_ptr(),
            attempt_count: self.records.len(),
            target: pointer(&self.target),
            text: self.text.as_ptr(),
            level: event.level() as i32,
            failed: 0,
            call_id: event.call.as_ref().map_or(0, |call| call.call_id),
            method: pointer(&self.call[0]),
            url: pointer(&self.call[1]),
            origin: pointer(&self.call[2]),
            name: pointer(&self.call[3]),
            attempt_method: pointer(&self.attempt_method),
            reason: pointer(&self.reason),
            notice: 0,
            number: event.kind.attempt().map_or(0, |attempt| attempt.number),
            interim_status: 0,
            elapsed_us: 0,
        };
        match &event.kind {
            EventKind::Interim { number, status } => (out.number, out.interim_status) = (*number, i32::from(*status)),
            EventKind::Notice { about, .. } => out.notice = i32::from(about.number()),
            EventKind::End { stop_reason, elapsed, failed, .. } => {
                (out.stop_reason, out.elapsed_us, out.failed) = (stop_number(Some(*stop_reason)), micros(*elapsed), i32::from(*failed));
            }
            _ => {}
        }
        out
    }
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(null(), |text| text.as_ptr())
}

/// An attempt with what its pointers point to.
struct Seen {
    attempt: reknock_attempt,
    _texts: [Option<CString>; 4],
    _headers: [HeaderList; 2],
}

impl Seen {
    fn new(seen: &Attempt) -> Self {
        let texts = [
            seen.message.as_deref().map(c_text),
            Some(c_text(seen.method.as_str())),
            Some(c_text(seen.url.as_str())),
            seen.call.name.as_deref().map(c_text),
        ];
        let headers = [HeaderList::new(&seen.request_headers), HeaderList::new(&seen.headers)];
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
            call_id: seen.call.call_id,
            name: pointer(&texts[3]),
        };
        Seen { attempt, _texts: texts, _headers: headers }
    }
}

/// Changes the callbacks of a client; the data is freed if that fails.
///
/// # Safety
/// A live client or NULL.
unsafe fn set<F: Copy>(
    client: *const reknock_client,
    function: Option<F>,
    user_data: *mut c_void,
    free: reknock_free_fn,
    change: impl FnOnce(&mut Hooks, Option<Arc<Hook<Option<F>>>>),
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // Made before anything can fail, and without a function too: its end frees the data.
        let hook = Hook::new(function, user_data, free);
        let hook = function.is_some().then(|| Arc::new(hook));
        // SAFETY: by the contract.
        unsafe { shared(client, "client") }?.change(|hooks| change(hooks, hook));
        Ok(())
    })
}

/// Sets the function that is asked about every completed attempt; NULL for none. See reknock_retry_if_fn.
///
/// It runs on the calling thread of blocking calls, and on the thread that drains the queue for others: several at once, if
/// several threads call. Calls begun before keep the function they began with; free_user_data, which may be NULL, is called once,
/// on any of these threads, when no call can use it any more, or at once if this fails. Callbacks must return: no longjmp, no C++
/// exception. with_body not 0: the response's body is read before it is asked.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT for a NULL client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_set_retry_if(
    client: *const reknock_client,
    function: reknock_retry_if_fn,
    with_body: i32,
    user_data: *mut c_void,
    free_user_data: reknock_free_fn,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    let change = |hooks: &mut Hooks, hook| (hooks.retry_if, hooks.body) = (hook, with_body != 0);
    // SAFETY: a live client or NULL.
    unsafe { set(client, function, user_data, free_user_data, change, error) }
}

/// Sets the function that is asked for the wait before a retry; NULL for none. Threads, lifetime and errors as
/// reknock_client_set_retry_if. See reknock_delay_fn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_set_delay(
    client: *const reknock_client,
    function: reknock_delay_fn,
    user_data: *mut c_void,
    free_user_data: reknock_free_fn,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: a live client or NULL.
    unsafe { set(client, function, user_data, free_user_data, |hooks, hook| hooks.delay = hook, error) }
}

/// Sets the function that edits the request of a retry; NULL for none. Threads, lifetime and errors as
/// reknock_client_set_retry_if. See reknock_before_retry_fn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_set_before_retry(
    client: *const reknock_client,
    function: reknock_before_retry_fn,
    user_data: *mut c_void,
    free_user_data: reknock_free_fn,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: a live client or NULL.
    unsafe { set(client, function, user_data, free_user_data, |hooks, hook| hooks.before_retry = hook, error) }
}

/// Sets the function that is told of attempts, retries, redirects, notices and the end of calls; NULL for none. Threads, lifetime and errors as
/// reknock_client_set_retry_if. See reknock_on_event_fn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_set_on_event(
    client: *const reknock_client,
    function: reknock_on_event_fn,
    user_data: *mut c_void,
    free_user_data: reknock_free_fn,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: a live client or NULL.
    unsafe { set(client, function, user_data, free_user_data, |hooks, hook| hooks.on_event = hook, error) }
}
