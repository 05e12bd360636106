//! What a call on its way tells those who send for it: limits, header fields, what was sent.
#![allow(unsafe_code)] // exported names

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr::null;

use core_::Tick;
use core_::client::{Clock, TokioClock};

use crate::error::{REKNOCK_ERROR_INTERNAL, REKNOCK_ERROR_INVALID_ARGUMENT, REKNOCK_OK, reknock_status};
use crate::ffi::{c_text, plain};
use crate::record::{reknock_attempt_record, reknock_stop_reason, stop_number};
use crate::request::reknock_header;
use crate::retry::{nanos_or_none, reknock_retry};

/// The limits of one attempt, in nanoseconds, none longer than what is left of the call. -1 is no limit. Its fields do not change within an ABI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_limits {
    /// Of making a connection.
    pub connect_ns: i64,
    /// Of the attempt up to its response head.
    pub per_try_ns: i64,
    /// Of silence while a body is written or read.
    pub idle_ns: i64,
    /// What is left of the call.
    pub remaining_ns: i64,
    /// The moment at which the call's time is over, on the clock of now_ns.
    pub deadline_ns: i64,
}

/// The time in nanoseconds that clients count by: CLOCK_MONOTONIC where there is one. What now_ns wants. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_now_ns() -> u64 {
    plain(0, || TokioClock.now().nanos())
}

/// Whether the request may be sent again although the server may have acted on it: by its method or its idempotency key. 1 or 0; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_is_idempotent(retry: Option<&reknock_retry>) -> i32 {
    plain(0, || retry.and_then(|retry| retry.driver.retry()).map_or(0, |retry| i32::from(retry.is_idempotent())))
}

/// Whether somebody is to be asked about the outcome that was classified last: retries are left, the body can be produced again
/// (replayable: not 0), there is time. 1 or 0; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_is_worth_asking(retry: Option<&reknock_retry>, replayable: i32, now_ns: u64) -> i32 {
    plain(0, || retry.map_or(0, |retry| i32::from(retry.driver.is_worth_asking(replayable != 0, Tick(now_ns)))))
}

/// The limits of an attempt that is made at now_ns, in `*out`.
///
/// Returns REKNOCK_OK, or REKNOCK_ERROR_INVALID_ARGUMENT if an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_limits(
    retry: Option<&reknock_retry>,
    now_ns: u64,
    out: Option<&mut MaybeUninit<reknock_limits>>,
) -> reknock_status {
    plain(REKNOCK_ERROR_INTERNAL, || {
        let (Some(retry), Some(out)) = (retry, out) else { return REKNOCK_ERROR_INVALID_ARGUMENT };
        let Some(limits) = retry.driver.limits(Tick(now_ns)) else { return REKNOCK_ERROR_INVALID_ARGUMENT };
        let deadline = retry.driver.retry().and_then(|retry| retry.deadline());
        out.write(reknock_limits {
            connect_ns: nanos_or_none(limits.connect_timeout),
            per_try_ns: nanos_or_none(limits.per_try_timeout),
            idle_ns: nanos_or_none(limits.idle_timeout),
            remaining_ns: nanos_or_none(limits.remaining),
            deadline_ns: nanos_or_none(deadline.map(|deadline| deadline.since(Tick(0)))),
        });
        REKNOCK_OK
    })
}

/// Retries that may still be made; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_retries_left(retry: Option<&reknock_retry>) -> u32 {
    plain(0, || retry.and_then(|retry| retry.driver.retry()).map_or(0, |retry| retry.retries_left()))
}

/// The largest one-shot body, in bytes, that is to be kept so that it can be sent again; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_max_body_buffer(retry: Option<&reknock_retry>) -> u64 {
    plain(0, || retry.and_then(|retry| retry.driver.retry()).map_or(0, |retry| retry.policy().max_body_buffer()))
}

/// The header fields that the policy puts on the attempt under way, in place of the request's own of the same name: how many goes to `*count`.
/// They belong to the call, until this function is called again or the call ends. NULL if there are none, or for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_headers(
    retry: Option<&mut reknock_retry>,
    count: Option<&mut MaybeUninit<usize>>,
) -> *const reknock_header {
    plain(null(), || {
        let (Some(retry), Some(count)) = (retry, count) else { return null() };
        retry.headers = retry.driver.headers().iter().map(|(name, value)| (c_text(name), c_text(value))).collect();
        retry.lines = retry.headers.iter().map(|(name, value)| reknock_header { name: name.as_ptr(), value: value.as_ptr() }).collect();
        count.write(retry.lines.len());
        if retry.lines.is_empty() { null() } else { retry.lines.as_ptr() }
    })
}

/// How many attempts were made; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_attempt_count(retry: Option<&reknock_retry>) -> usize {
    plain(0, || retry.map_or(0, |retry| retry.records().all().len()))
}

/// What was sent, by its index from 0, or NULL. It belongs to the call, until the next function that changes it.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_record(retry: Option<&reknock_retry>, index: usize) -> *const reknock_attempt_record {
    plain(null(), || retry.map_or(null(), |retry| retry.records().at(index)))
}

/// Why nothing further was sent; 0 before that is decided, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_stop_reason(retry: Option<&reknock_retry>) -> reknock_stop_reason {
    plain(0, || stop_number(retry.and_then(|retry| retry.driver.stop_reason())))
}

/// The attempts as a short timeline, with the advice that fits the stop reason; NULL for NULL. It belongs to
/// the call, until the next function that changes it.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_retry_explain(retry: Option<&reknock_retry>) -> *const c_char {
    plain(null(), || retry.map_or(null(), |retry| retry.records().explain(|| None)))
}
