//! What was sent, and why nothing further was.
#![allow(unsafe_code)] // exported names

use std::ffi::{CString, c_char};
use std::net::SocketAddr;
use std::ptr::null;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use core_::{AttemptRecord, Evidence, Identity, StopReason};

use crate::error::{reknock_status, status_of};
use crate::ffi::{c_text, plain};

/// Why nothing further was sent: a REKNOCK_STOP_ number, or 0 for none.
pub type reknock_stop_reason = i32;

/// A response below 400 that the policy does not retry.
pub const REKNOCK_STOP_COMPLETED: i32 = 1;
/// The policy does not retry this outcome, or its `request_headers` leave this request out.
pub const REKNOCK_STOP_NOT_RETRYABLE: i32 = 2;
/// `retry_if` said stop.
pub const REKNOCK_STOP_PREDICATE_STOP: i32 = 3;
/// The request may have been executed and its method is not idempotent.
pub const REKNOCK_STOP_NOT_IDEMPOTENT: i32 = 4;
/// The body cannot be produced a second time.
pub const REKNOCK_STOP_BODY_NOT_REPLAYABLE: i32 = 5;
/// `max_retries` retries were made.
pub const REKNOCK_STOP_RETRIES_EXHAUSTED: i32 = 6;
/// The server asked for a longer wait than `retry_after.max`.
pub const REKNOCK_STOP_RETRY_AFTER_TOO_LONG: i32 = 7;
/// The call's `timeout` is over, or the next wait would not end before it.
pub const REKNOCK_STOP_DEADLINE: i32 = 8;
/// The retry budget had nothing left.
pub const REKNOCK_STOP_BUDGET_EXHAUSTED: i32 = 9;
/// The caller cancelled.
pub const REKNOCK_STOP_CANCELLED: i32 = 10;
/// A callback failed.
pub const REKNOCK_STOP_CALLBACK: i32 = 11;
/// The client was closed.
pub const REKNOCK_STOP_CLOSED: i32 = 12;
/// It would have been retried, but was made within an attempt of another call, which does the retrying.
pub const REKNOCK_STOP_NESTED: i32 = 13;

/// Whether the server may have acted on an attempt: a REKNOCK_EVIDENCE_ number.
pub type reknock_evidence = i32;

/// Nothing of the request left for the server: any method may be sent again.
pub const REKNOCK_EVIDENCE_NOT_SENT: i32 = 1;
/// The server said that it did not process the request: any method may be sent again.
pub const REKNOCK_EVIDENCE_REFUSED: i32 = 2;
/// It may have been executed: only idempotent requests may be sent again.
pub const REKNOCK_EVIDENCE_UNKNOWN: i32 = 3;
/// Beside one of the others, of failures told to reknock_retry_classify_failure: this machine alone is short of something (descriptors, ports, memory), so
/// that a retry adds no load and costs no budget.
pub const REKNOCK_EVIDENCE_LOCAL: i32 = 128;

/// One send and how it ended. Later versions may append fields; the library alone makes these structs. Where it gives an array of them, step by
/// reknock_attempt_record_size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_attempt_record {
    /// From 1, over all redirect hops.
    pub number: u32,
    /// Redirects followed before this attempt, from 0.
    pub hop: u32,
    /// From the start of the call to the start of this attempt, in microseconds.
    pub start_us: u64,
    /// From the start of this attempt to its outcome, in microseconds.
    pub duration_us: u64,
    /// The wait the server asked for, in microseconds, or -1.
    pub hint_us: i64,
    /// The wait before the next attempt, in microseconds; -1 if this was the last one or a redirect was followed at once.
    pub wait_us: i64,
    /// The response's status, such as 503, or 0 if no response head arrived.
    pub http_status: i32,
    /// How it failed, or REKNOCK_OK. A body failure has an http_status too.
    pub error: reknock_status,
    /// Whether the server may have acted on it.
    pub evidence: reknock_evidence,
    /// The number of the retry that a loop above this call says it is, as SDKs do in header fields of their own, or 0.
    pub outer_retry: u32,
    /// The version of HTTP: 10 for 1.0, 11 for 1.1, 20 for 2; 0 if it is not known.
    pub http_version: i32,
    /// From the start of this attempt to the first byte of its response, in microseconds; -1 if none came.
    pub first_byte_us: i64,
    /// What looking up the name took in this attempt, in microseconds; -1 if it was not looked up.
    pub resolve_us: i64,
    /// What opening the connection took in this attempt (TCP, and what a proxy demands), in microseconds; -1 if none was opened.
    pub connect_us: i64,
    /// The TLS handshake in this attempt, in microseconds; -1 if there was none.
    pub tls_us: i64,
    /// Whether its connection was kept from an earlier exchange: 1 or 0; -1 if there was none, or it is not known.
    pub reused: i32,
    /// How often it was sent again by itself, because a kept connection was found dead before a byte was taken; the server saw none of those.
    pub resends: u32,
    /// The other end, the server or its proxy, such as "192.0.2.1:443" or "[2001:db8::1]:443", NUL-terminated; empty if there was no connection, or
    /// it is a unix socket.
    pub peer: [c_char; 64],
    /// Interim answers (1xx) that came before the head of its response.
    pub interim: u32,
    /// What this attempt waited for a place, in microseconds: while as many connections were open as there may be, for one of the streams that a server
    /// of HTTP/2 takes, or for a connection that another call was opening; -1 if it did not wait.
    pub waited_us: i64,
}

/// The size in bytes of the library's reknock_attempt_record, which may be larger than the program's. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_attempt_record_size() -> usize {
    size_of::<reknock_attempt_record>()
}

/// Microseconds; what is longer than 584,000 years is that.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Microseconds, or -1 for none.
pub(crate) fn micros_or_none(time: Option<Duration>) -> i64 {
    time.map_or(-1, |time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
}

/// Their place in the core's list, from 1.
pub(crate) fn evidence_number(evidence: Evidence) -> reknock_evidence {
    Evidence::ALL.iter().position(|known| *known == evidence).map_or(REKNOCK_EVIDENCE_UNKNOWN, |place| place as i32 + 1)
}

pub(crate) fn stop_number(reason: Option<StopReason>) -> reknock_stop_reason {
    reason.map_or(0, |reason| i32::from(reason.number()))
}

/// An address as C reads it; the longest, with a scope, has 58 characters.
fn peer_text(peer: Option<SocketAddr>) -> [c_char; 64] {
    let mut text = [0; 64];
    let written = peer.map(|peer| peer.to_string()).unwrap_or_default();
    for (to, from) in text.iter_mut().take(63).zip(written.bytes()) {
        *to = from as c_char;
    }
    text
}

impl From<&AttemptRecord> for reknock_attempt_record {
    fn from(record: &AttemptRecord) -> Self {
        let connection = &record.connection;
        reknock_attempt_record {
            number: record.number,
            hop: record.hop,
            start_us: micros(record.start),
            duration_us: micros(record.duration),
            hint_us: micros_or_none(record.hint),
            wait_us: micros_or_none(record.wait),
            http_status: record.status.map_or(0, i32::from),
            error: record.error.map_or(0, status_of),
            evidence: evidence_number(record.evidence),
            outer_retry: record.outer_retry.unwrap_or(0),
            http_version: connection.version.map_or(0, |version| i32::from(version.number())),
            first_byte_us: micros_or_none(record.first_byte),
            resolve_us: micros_or_none(connection.resolve),
            connect_us: micros_or_none(connection.connect),
            tls_us: micros_or_none(connection.tls),
            reused: connection.reused.map_or(-1, i32::from),
            resends: record.resends,
            peer: peer_text(connection.peer),
            interim: record.interim,
            waited_us: micros_or_none(connection.waited),
        }
    }
}

/// The records of a call, as C sees them once it looks.
pub(crate) struct Records {
    core: Vec<AttemptRecord>,
    stop_reason: Option<StopReason>,
    converted: OnceLock<Vec<reknock_attempt_record>>,
    explained: OnceLock<CString>,
}

impl Records {
    pub(crate) fn new(core: &[AttemptRecord], stop_reason: Option<StopReason>) -> Self {
        Records { core: core.to_vec(), stop_reason, converted: OnceLock::new(), explained: OnceLock::new() }
    }

    pub(crate) fn all(&self) -> &[reknock_attempt_record] {
        self.converted.get_or_init(|| self.core.iter().map(Into::into).collect())
    }

    pub(crate) fn at(&self, index: usize) -> *const reknock_attempt_record {
        self.all().get(index).map_or(null(), |record| record)
    }

    pub(crate) fn stop_reason(&self) -> reknock_stop_reason {
        stop_number(self.stop_reason)
    }

    /// `call`: whose they are, asked for once.
    pub(crate) fn explain(&self, call: impl FnOnce() -> Option<Arc<Identity>>) -> *const c_char {
        self.explained.get_or_init(|| c_text(&core_::explain_call(call().as_deref(), &self.core, self.stop_reason))).as_ptr()
    }
}

/// The names and advice of the reasons, NUL-terminated.
fn texts() -> &'static [(i32, CString, CString)] {
    static TEXTS: OnceLock<Vec<(i32, CString, CString)>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let of = |reason: &StopReason| (i32::from(reason.number()), c_text(reason.code()), c_text(reason.advice()));
        StopReason::ALL.iter().map(of).collect()
    })
}

/// The stable name of a stop reason, such as "retries_exhausted"; "none" for 0, "unknown" for a number that is none. Static.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_stop_reason_name(reason: reknock_stop_reason) -> *const c_char {
    plain(null(), || match reason {
        0 => c"none".as_ptr(),
        _ => texts().iter().find(|text| text.0 == reason).map_or(c"unknown".as_ptr(), |text| text.1.as_ptr()),
    })
}

/// What to change if a stop reason is not what one wanted; empty where nothing went wrong. Static. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_stop_reason_advice(reason: reknock_stop_reason) -> *const c_char {
    plain(null(), || texts().iter().find(|text| text.0 == reason).map_or(c"".as_ptr(), |text| text.2.as_ptr()))
}

/// The stable name of an evidence: "not_sent", "refused" or "unknown". Static. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_evidence_name(evidence: reknock_evidence) -> *const c_char {
    match evidence {
        REKNOCK_EVIDENCE_NOT_SENT => c"not_sent".as_ptr(),
        REKNOCK_EVIDENCE_REFUSED => c"refused".as_ptr(),
        _ => c"unknown".as_ptr(),
    }
}
