//! The decision machine alone, for programs with an HTTP client of their own.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::cell::OnceCell;
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use core_::client::{entropy_or, minted_key};
use core_::policy::Value;
use core_::retry::driver::{self, Driver, Misuse, Target, no_error, no_evidence, response};
use core_::retry::{Answer, Decision, Headers, Outcome};
use core_::{Evidence, Policy, Tick, UnixTime};

use crate::budgets::reknock_budgets;
use crate::callback::{REKNOCK_ANSWER_DEFAULT, REKNOCK_ANSWER_RETRY, REKNOCK_ANSWER_STOP, REKNOCK_ANSWER_WAIT, reknock_answer};
use crate::error::{kind_of, reknock_error, reknock_status};
use crate::ffi::{Fault, Options, entry, given, list, options, plain, put, shared, text};
use crate::policy::reknock_policy;
use crate::record::{REKNOCK_EVIDENCE_LOCAL, Records, evidence_number, reknock_evidence, reknock_stop_reason, stop_number};
use crate::request::reknock_header;

/// One call on its way, decided step by step: it sends nothing, waits for nothing and reads no clock.
///
/// reknock_retry_new; then per attempt reknock_retry_attempt, your send, reknock_retry_classify_response or _failure, and
/// reknock_retry_decide, which says retry (wait, then begin again) or stop; at the end reknock_retry_finish. The last outcome that
/// is classified counts; after a stop another one may be, as of a body that breaks. A function that is called before its turn
/// fails with REKNOCK_ERROR_INVALID_ARGUMENT, says what comes first, and changes nothing.
///
/// Times are nanoseconds on a monotonic clock of yours; read it immediately before each function. Where budgets are shared with a
/// reknock_client it is CLOCK_MONOTONIC. Used by one thread at a time.
///
/// What was sent, the stop reason and the explanation can be read once a stop is decided, until it is finished.
pub struct reknock_retry {
    pub(crate) driver: Driver,
    records: OnceCell<Records>,
    pub(crate) headers: Vec<(CString, CString)>,
    pub(crate) lines: Vec<reknock_header>,
}

/// What is known of a call before it is sent. Begin with REKNOCK_RETRY_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_retry_options {
    /// sizeof(reknock_retry_options). Tells the library which fields the program knows.
    pub struct_size: usize,
    /// The policy. Default: 2 retries of idempotent requests.
    pub policy: *const reknock_policy,
    /// The budgets to share. Default: none is kept, whatever the policy says.
    pub budgets: *const reknock_budgets,
    /// The request's method. Must be given.
    pub method: *const c_char,
    /// Where it goes: a URL, by whose scheme, host and port the budget is found, or any name for what is no URL. Must be given if budgets
    /// is, unless the policy's budget has another scope.
    pub origin: *const c_char,
    /// Not 0: the request carries an Idempotency-Key that is not among headers.
    pub has_idempotency_key: i32,
    /// Not 0: somebody is asked about every outcome, so that hints are read on every response.
    pub asked: i32,
    /// Not 0: random waits are drawn from it, the same ones each time, for simulations and tests.
    pub seed: u64,
    /// The request's header fields: an Idempotency-Key among them counts. Default: none.
    pub headers: *const reknock_header,
    /// How many.
    pub header_count: usize,
    /// Not 0: the call is made within an attempt of another one that retries: where it would be retried it ends with REKNOCK_STOP_NESTED.
    pub nested: i32,
}

// SAFETY: numbers and nullable pointers, the size first.
unsafe impl Options for reknock_retry_options {}

/// What the policy thinks of an outcome. Its fields do not change within an ABI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_verdict {
    /// 1 if the policy would retry it (if method, body, limits, deadline and budget agree), else 0.
    pub retry: i32,
    /// Whether the server may have acted on it.
    pub evidence: reknock_evidence,
    /// The wait the server asks for, unshortened, in nanoseconds, or -1.
    pub hint_ns: i64,
    /// The policy's own back-off before the next retry, in nanoseconds.
    pub backoff_ns: u64,
    /// The wait a retry would have by the policy alone, in nanoseconds; -1 if the server asks for too long a one.
    pub planned_wait_ns: i64,
}

/// What callbacks of yours said about an outcome. Begin with REKNOCK_RETRY_ANSWER_INIT; zero is that nobody was asked.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_retry_answer {
    /// sizeof(reknock_retry_answer). Tells the library which fields the program knows.
    pub struct_size: usize,
    /// REKNOCK_ANSWER_DEFAULT, _RETRY, _STOP, or _WAIT: retry after exactly wait_ms; hints do not apply.
    pub answer: reknock_answer,
    /// Not 0: backoff_ms stands for the policy's own back-off; hints apply.
    pub has_backoff: i32,
    /// See answer.
    pub wait_ms: u64,
    /// See has_backoff.
    pub backoff_ms: u64,
}

// SAFETY: numbers, the size first.
unsafe impl Options for reknock_retry_answer {}

/// What happens next. Its fields do not change within an ABI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_decision {
    /// 1: wait for wait_ns, then call reknock_retry_attempt and send again. 0: the outcome is the call's.
    pub retry: i32,
    /// Why it is not sent again; 0 if it is.
    pub stop_reason: reknock_stop_reason,
    /// From now, in nanoseconds.
    pub wait_ns: u64,
}

/// Header fields of C.
pub(crate) struct Fields<'a>(&'a [reknock_header]);

impl Headers for Fields<'_> {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        // SAFETY: `fields` checked that none is NULL; NUL-terminated by the contract, and alive as long as the slice.
        let bytes = |text: *const c_char| unsafe { CStr::from_ptr(text) }.to_bytes();
        let same = |field: &&reknock_header| bytes(field.name).eq_ignore_ascii_case(name.as_bytes());
        self.0.iter().filter(same).nth(index).map(|field| bytes(field.value))
    }
}

/// # Safety
/// `count` headers whose texts are NUL-terminated or NULL.
pub(crate) unsafe fn fields<'a>(headers: *const reknock_header, count: usize) -> Result<Fields<'a>, Fault> {
    // SAFETY: by the contract.
    let all = unsafe { list(headers, count, "headers") }?;
    let whole = all.iter().all(|header| !header.name.is_null() && !header.value.is_null());
    given(whole.then_some(Fields(all)), "headers: name and value")
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn nanos_or_none(time: Option<Duration>) -> i64 {
    time.map_or(-1, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}

/// What the core refuses is against the function's contract; a budget that cannot be had is a matter of configuration.
impl From<Misuse> for Fault {
    fn from(misuse: Misuse) -> Self {
        match misuse {
            Misuse::Budget(error) => Fault::Core(error),
            Misuse::Order(_) | Misuse::Value(_) => Fault::Argument(misuse.to_string()),
        }
    }
}

fn classify(retry: Option<&mut reknock_retry>, outcome: Outcome<'_>, wall_ms: i64, now_ns: u64) -> Result<reknock_verdict, Fault> {
    let retry = given(retry, "retry")?;
    let (verdict, planned) = retry.driver.classify(outcome, None, UnixTime(wall_ms), Tick(now_ns))?;
    retry.records = OnceCell::new();
    Ok(reknock_verdict {
        retry: i32::from(verdict.retry),
        evidence: evidence_number(verdict.evidence),
        hint_ns: nanos_or_none(verdict.hint),
        backoff_ns: nanos(verdict.backoff),
        planned_wait_ns: nanos_or_none(planned),
    })
}

impl reknock_retry {
    pub(crate) fn records(&self) -> &Records {
        self.records.get_or_init(|| Records::new(self.driver.records(), self.driver.stop_reason()))
    }
}

/// The request that options tell of; its origin may be none.
///
/// # Safety
/// Texts and header fields are NUL-terminated or NULL.
unsafe fn with_target<T>(said: &reknock_retry_options, take: impl FnOnce(Target<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
    // SAFETY: by the contract.
    let method = unsafe { text(said.method, "method") }?;
    let origin = match said.origin.is_null() {
        true => "",
        // SAFETY: by the contract.
        false => unsafe { text(said.origin, "origin") }?,
    };
    // SAFETY: by the contract.
    let headers = unsafe { fields(said.headers, said.header_count) }?;
    take(Target { method, origin, headers: &headers, has_idempotency_key: said.has_idempotency_key != 0 })
}

/// Begins a call at `now_ns` in `*out`: fixes its deadline and counts it in its budget. Free it with reknock_retry_finish or
/// reknock_retry_free.
///
/// Errors: REKNOCK_ERROR_CONFIG if the policy names a budget that is in use with other parameters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_retry_new(
    options: *const reknock_retry_options,
    now_ns: u64,
    out: Option<&mut MaybeUninit<*mut reknock_retry>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let out = given(out, "out")?;
        // SAFETY: NULL, or a struct as large as it says, with live handles and texts.
        let said = unsafe { self::options(options, "options") }?;
        // SAFETY: a live policy or NULL.
        let policy = unsafe { said.policy.as_ref() }.map_or_else(Policy::default, |policy| policy.policy.clone());
        let budgets = match said.budgets.is_null() {
            true => None,
            // SAFETY: live budgets.
            false => Some(Arc::clone(&unsafe { shared(said.budgets, "budgets") }?.budgets)),
        };
        let (asked, nested, entropy) = (said.asked != 0, said.nested != 0, entropy_or(said.seed));
        let begin = |target: Target<'_>| {
            let minted_key = minted_key(&policy, target.method, target.carries_key());
            Ok(Driver::begin(&policy, target, driver::Options { budgets, asked, nested, minted_key, entropy }, Tick(now_ns))?)
        };
        // SAFETY: as above.
        let driver = unsafe { with_target(&said, begin) }?;
        put(out, reknock_retry { driver, records: OnceCell::new(), headers: Vec::new(), lines: Vec::new() });
        Ok(())
    })
}

/// A redirect is followed: the next attempt is of another method or origin, counts in that budget, and is no retry. Method, origin, headers
/// and has_idempotency_key are those of `options`; the policy, the budgets, asked and the seed stay, and theirs are not looked at.
///
/// Errors: as reknock_retry_new; REKNOCK_ERROR_INVALID_ARGUMENT where no attempt is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_retry_redirect(
    retry: Option<&mut reknock_retry>,
    options: *const reknock_retry_options,
    now_ns: u64,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let retry = given(retry, "retry")?;
        // SAFETY: NULL, or a struct as large as it says.
        let said: reknock_retry_options = unsafe { self::options(options, "options") }?;
        // SAFETY: texts are NUL-terminated or NULL.
        unsafe { with_target(&said, |target| Ok(retry.driver.redirect(target, Tick(now_ns))?)) }
    })
}

/// The next attempt is about to be sent; its number, from 1, goes to `*number` (which may be NULL).
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also where the attempt before is not decided, or nothing is to be sent after it.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_attempt(
    retry: Option<&mut reknock_retry>,
    now_ns: u64,
    number: Option<&mut MaybeUninit<u32>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let retry = given(retry, "retry")?;
        let attempt = retry.driver.attempt(Tick(now_ns))?;
        retry.records = OnceCell::new();
        if let Some(number) = number {
            number.write(attempt.number);
        }
        Ok(())
    })
}

/// The verdict on a response head, in `*out` (which may be NULL). `unix_ms` is the wall-clock time in milliseconds since 1970,
/// for hints that are dates. `headers` may be NULL if header_count is 0.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also for a status that is no number of three digits, a header whose name or value is NULL,
/// and where no attempt is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_retry_classify_response(
    retry: Option<&mut reknock_retry>,
    http_status: i32,
    headers: *const reknock_header,
    header_count: usize,
    unix_ms: i64,
    now_ns: u64,
    out: Option<&mut MaybeUninit<reknock_verdict>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: as many headers as are said, with texts that are NUL-terminated or NULL.
        let fields = unsafe { fields(headers, header_count) }?;
        let verdict = classify(retry, response(f64::from(http_status), &fields)?, unix_ms, now_ns)?;
        if let Some(out) = out {
            out.write(verdict);
        }
        Ok(())
    })
}

/// The verdict on a failure, in `*out` (which may be NULL). `kind` is a REKNOCK_ERROR_ number, such as REKNOCK_ERROR_CONNECT. `evidence` is a
/// REKNOCK_EVIDENCE_ number; with `| REKNOCK_EVIDENCE_LOCAL` this machine alone is short of something.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also for numbers that are no kind and no evidence, and where no attempt is under way.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_classify_failure(
    retry: Option<&mut reknock_retry>,
    kind: reknock_status,
    evidence: reknock_evidence,
    now_ns: u64,
    out: Option<&mut MaybeUninit<reknock_verdict>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let kind = kind_of(kind).ok_or_else(|| no_error(&Value::from(kind)))?;
        let local = evidence & REKNOCK_EVIDENCE_LOCAL != 0;
        let number = evidence & !REKNOCK_EVIDENCE_LOCAL;
        let known = Evidence::ALL.iter().copied().find(|known| evidence_number(*known) == number);
        let evidence = known.ok_or_else(|| no_evidence(&Value::from(evidence)))?;
        let verdict = classify(retry, Outcome::Failure { kind, evidence, local }, 0, now_ns)?;
        if let Some(out) = out {
            out.write(verdict);
        }
        Ok(())
    })
}

/// The verdict on an attempt that ended well without a status, in `*out` (which may be NULL): of what is no HTTP, or has no response. Only an answer has it
/// made again.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also where no attempt is under way.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_classify_returned(
    retry: Option<&mut reknock_retry>,
    now_ns: u64,
    out: Option<&mut MaybeUninit<reknock_verdict>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let verdict = classify(retry, Outcome::Returned, 0, now_ns)?;
        if let Some(out) = out {
            out.write(verdict);
        }
        Ok(())
    })
}

/// What was classified last came after redirects that the client followed by itself: what it proves says nothing of the requests that were redirected, one
/// of which may have been executed.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also where nothing is classified.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_followed(
    retry: Option<&mut reknock_retry>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let retry = given(retry, "retry")?;
        retry.driver.followed()?;
        retry.records = OnceCell::new();
        Ok(())
    })
}

/// What happens after the outcome that was classified last, in `*out`. `answer` may be NULL. replayable: not 0 if the request's
/// body can be produced again.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also if nothing was classified since the last attempt or decision.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_retry_decide(
    retry: Option<&mut reknock_retry>,
    answer: *const reknock_retry_answer,
    replayable: i32,
    now_ns: u64,
    out: Option<&mut MaybeUninit<reknock_decision>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (retry, out) = (given(retry, "retry")?, given(out, "out")?);
        // SAFETY: NULL, or a struct as large as it says.
        let said: reknock_retry_answer = unsafe { options(answer, "answer") }?;
        let (yes, wait) = match said.answer {
            REKNOCK_ANSWER_DEFAULT => (None, None),
            REKNOCK_ANSWER_RETRY => (Some(true), None),
            REKNOCK_ANSWER_STOP => (Some(false), None),
            REKNOCK_ANSWER_WAIT => (Some(true), Some(Duration::from_millis(said.wait_ms))),
            other => return Err(Fault::Argument(format!("answer: is none of its values, got {other}"))),
        };
        let backoff = (said.has_backoff != 0).then(|| Duration::from_millis(said.backoff_ms));
        let answer = Answer { retry: yes, wait, backoff };
        let decision = retry.driver.decide(answer, replayable != 0, Tick(now_ns))?;
        retry.records = OnceCell::new();
        out.write(match decision {
            Decision::Retry { wait } => reknock_decision { retry: 1, stop_reason: 0, wait_ns: nanos(wait) },
            Decision::Stop(reason) => reknock_decision { retry: 0, stop_reason: stop_number(Some(reason)), wait_ns: 0 },
        });
        Ok(())
    })
}

/// The call is over and its outcome goes to the caller; frees it. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_finish(retry: Option<Box<reknock_retry>>, now_ns: u64) {
    plain((), || {
        if let Some(mut retry) = retry {
            retry.driver.finish(Tick(now_ns));
        }
    });
}

/// The call is abandoned: gives back what it holds of its budget, and frees it. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_free(retry: Option<Box<reknock_retry>>) {
    plain((), || drop(retry));
}
