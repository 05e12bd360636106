//! What happened: one record per attempt, the stop reason, and both as a short text.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use crate::advice::advice;
use crate::error::ErrorKind;
use crate::identity::Identity;
use crate::time::Measured;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $number:literal, $code:literal, $advice:literal;)*) => {
        /// Why nothing further was sent.
        ///
        /// The numbers are stable: a retired one is never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum StopReason { $($(#[doc = $doc])* $variant = $number,)* }

        impl StopReason {
            /// Every reason, in the order of its numbers.
            pub const ALL: &'static [StopReason] = &[$(StopReason::$variant,)*];

            /// What it means, in one sentence: the text of its documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(StopReason::$variant => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The stable name, for example `"retries_exhausted"`.
            pub const fn code(self) -> &'static str {
                match self { $(StopReason::$variant => $code,)* }
            }

            /// What to change if this is not what one wanted; empty where nothing went wrong.
            pub const fn advice(self) -> &'static str {
                match self { $(StopReason::$variant => $advice,)* }
            }
        }
    };
}

reasons! {
    /// A response below 400 that the policy does not retry.
    Completed = 1, "completed", "";
    /// The policy does not retry this outcome, or its `request_headers` leave this request out.
    NotRetryable = 2, "not_retryable", "name the outcome in retry_on or statuses to have it retried; if the policy has request_headers, they may leave this request out";
    /// `retry_if` said stop.
    PredicateStop = 3, "predicate_stop", "retry_if answered stop; where it should only add retries, let it answer false or nothing";
    /// The request may have been executed and its method is not idempotent.
    NotIdempotent = 4, "not_idempotent", "send an Idempotency-Key (idempotency_key: auto mints one), or say methods: any if repeating is safe";
    /// The body cannot be produced a second time.
    BodyNotReplayable = 5, "body_not_replayable", "pass bytes, a file or a factory instead of a stream, or raise max_body_buffer";
    /// `max_retries` retries were made.
    RetriesExhausted = 6, "retries_exhausted", "the server did not recover within max_retries; raise it, or lengthen backoff";
    /// The server asked for a longer wait than `retry_after.max`.
    RetryAfterTooLong = 7, "retry_after_too_long", "raise retry_after.max, or set retry_after.when_over to cap";
    /// The call's `timeout` is over, or the next wait would not end before it.
    Deadline = 8, "deadline", "raise timeout, or shorten backoff and per_try_timeout";
    /// The retry budget had nothing left.
    BudgetExhausted = 9, "budget_exhausted", "too many calls are failing at once, and the retry budget keeps retries from adding to it (budget.ratio, budget.min_per_second)";
    /// The caller cancelled.
    Cancelled = 10, "cancelled", "";
    /// A callback failed.
    Callback = 11, "callback", "a callback raised, or answered with something that is no answer";
    /// The client was closed.
    Closed = 12, "closed", "the client was closed while the call was running";
    /// It would have been retried, but was made within an attempt of another call, which does the retrying.
    Nested = 13, "nested", "the call around it retries in its place; nesting: allow lets both retry, which multiplies them";
}

impl StopReason {
    /// The stable number (1..=13).
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether a call that ended so, with an error or a response, has failed: not with a response that nobody would have retried, nor if its caller gave it
    /// up, nor if the call around it retries.
    pub(crate) fn is_failure(self, with_error: bool) -> bool {
        match self {
            StopReason::Completed | StopReason::Cancelled | StopReason::Nested => false,
            StopReason::NotRetryable | StopReason::PredicateStop => with_error,
            _ => true,
        }
    }

    /// The reason with this code, or `None`.
    pub fn from_code(code: &str) -> Option<StopReason> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

impl StopReason {
    /// The reason that a failure of this kind is by itself: the call is over, whatever a policy says.
    pub(crate) const fn of_kind(kind: ErrorKind) -> Option<StopReason> {
        match kind {
            ErrorKind::Deadline => Some(StopReason::Deadline),
            ErrorKind::Cancelled => Some(StopReason::Cancelled),
            ErrorKind::Callback => Some(StopReason::Callback),
            ErrorKind::Closed => Some(StopReason::Closed),
            _ => None,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What is known about whether the server acted on an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Nothing of the request left for the server: any method may be sent again.
    NotSent,
    /// The server said that it did not process the request: any method may be sent again.
    Refused,
    /// It may have been executed: only idempotent requests may be sent again.
    Unknown,
}

impl Evidence {
    /// Every value, weakest risk first.
    pub const ALL: &'static [Evidence] = &[Evidence::NotSent, Evidence::Refused, Evidence::Unknown];

    /// The stable name: `"not_sent"`, `"refused"` or `"unknown"`.
    pub const fn code(self) -> &'static str {
        match self {
            Evidence::NotSent => "not_sent",
            Evidence::Refused => "refused",
            Evidence::Unknown => "unknown",
        }
    }

    /// The value with this name, or `None`.
    pub fn from_code(code: &str) -> Option<Evidence> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }
}

/// One send and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// From 1, over all redirect hops.
    pub number: u32,
    /// Redirects followed before this attempt, from 0.
    pub hop: u32,
    /// From the start of the call to the start of this attempt.
    pub start: Duration,
    /// From the start of this attempt to its outcome.
    pub duration: Duration,
    /// The response status, if a response head arrived.
    pub status: Option<u16>,
    /// The kind of failure, if it failed. A body failure has both a status and a kind.
    pub error: Option<ErrorKind>,
    /// What is known about whether the server acted on it.
    pub evidence: Evidence,
    /// The wait the server asked for, unshortened, if one was read.
    pub hint: Option<Duration>,
    /// The wait before the next attempt; `None` if this was the last one or a redirect was followed at once.
    pub wait: Option<Duration>,
    /// What the caller's language calls the failure, such as `httpx.ConnectError`, where it is a failure of another client or function.
    pub error_class: Option<Box<str>>,
    /// The number of the retry that a loop above this call says it is (`x-stainless-retry-count`, `amz-sdk-request`), from 1.
    pub outer_retry: Option<u32>,
    /// From the start of this attempt to the first byte of its response, if one came.
    pub first_byte: Option<Duration>,
    /// How often the transport sent it again by itself, because a kept connection was found dead before a byte was taken. The server saw none of those.
    pub resends: u32,
    /// Interim answers (1xx) that came before the head of its response. Where a transport does not see them, 0.
    pub interim: u32,
    /// What it went over.
    pub connection: Connection,
}

/// What an attempt went over and how long that took to open, as far as its transport knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// Whether it was kept from an earlier exchange, or open already for others (HTTP/2). `None` if there was no connection, or it is not known.
    pub reused: Option<bool>,
    /// The other end: the server's address, or its proxy's. `None` if there was no connection, or it is a unix socket.
    pub peer: Option<SocketAddr>,
    /// The version of HTTP; of a failure before its response, what was agreed on.
    pub version: Option<HttpVersion>,
    /// The time that looking up the name took, in this attempt. `None` if none was looked up.
    pub resolve: Option<Duration>,
    /// The time that opening the connection took in this attempt: TCP, over all addresses, and what a proxy demands. `None` if none was opened.
    pub connect: Option<Duration>,
    /// The time of the TLS handshake in this attempt. `None` if there was none.
    pub tls: Option<Duration>,
    /// The time that this attempt waited for a place: while as many connections were open as there may be, for one of the streams that a server of
    /// HTTP/2 takes, or for a connection that another call was opening; until it had one, or began to open its own. `None` if it did not wait.
    pub waited: Option<Duration>,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

impl HttpVersion {
    /// Every version, oldest first.
    pub const ALL: &'static [HttpVersion] = &[HttpVersion::Http10, HttpVersion::Http11, HttpVersion::Http2];

    /// As servers log it: `"HTTP/1.0"`, `"HTTP/1.1"` or `"HTTP/2"`.
    pub const fn code(self) -> &'static str {
        match self {
            HttpVersion::Http10 => "HTTP/1.0",
            HttpVersion::Http11 => "HTTP/1.1",
            HttpVersion::Http2 => "HTTP/2",
        }
    }

    /// 10, 11 or 20.
    pub const fn number(self) -> u8 {
        match self {
            HttpVersion::Http10 => 10,
            HttpVersion::Http11 => 11,
            HttpVersion::Http2 => 20,
        }
    }

    /// The version with this code, or `None`.
    pub fn from_code(code: &str) -> Option<HttpVersion> {
        Self::ALL.iter().copied().find(|version| version.code() == code)
    }
}

#[cfg(feature = "client")]
impl From<http::Version> for HttpVersion {
    fn from(version: http::Version) -> Self {
        match version {
            http::Version::HTTP_2 => HttpVersion::Http2,
            http::Version::HTTP_10 => HttpVersion::Http10,
            // No client of ours speaks another.
            _ => HttpVersion::Http11,
        }
    }
}

impl AttemptRecord {
    /// How it ended, in a word of few: the kind of failure, else the status as text, else the class of the failure; empty while it goes on.
    pub fn outcome(&self) -> Cow<'_, str> {
        match (self.error, self.status, self.error_class.as_deref()) {
            (Some(kind), ..) => kind.code().into(),
            (None, Some(status), _) => status.to_string().into(),
            (None, None, class) => class.unwrap_or_default().into(),
        }
    }

    /// What telemetry calls its failure (`error.type` of OpenTelemetry): the kind, else a status from 400 on as text, else the class. `None` where nothing
    /// failed, and while it goes on.
    pub fn error_type(&self) -> Option<Cow<'_, str>> {
        let failed = self.error.is_some() || self.status.map_or(self.error_class.is_some(), |status| status >= 400);
        failed.then(|| self.outcome())
    }

    /// A record of an attempt that began at `start` and has not ended yet.
    pub fn begun(number: u32, hop: u32, start: Duration) -> Self {
        AttemptRecord {
            number,
            hop,
            start,
            duration: Duration::ZERO,
            status: None,
            error: None,
            evidence: Evidence::Unknown,
            hint: None,
            wait: None,
            error_class: None,
            outer_retry: None,
            first_byte: None,
            resends: 0,
            interim: 0,
            connection: Connection::default(),
        }
    }
}

/// As [`explain`], under a line that says whose they are.
pub fn explain_call(call: Option<&Identity>, attempts: &[AttemptRecord], stop_reason: Option<StopReason>) -> String {
    call.map(Identity::headline).unwrap_or_default() + &explain(attempts, stop_reason)
}

/// The attempts as a timeline, one line each, then the stop reason with its advice.
pub fn explain(attempts: &[AttemptRecord], stop_reason: Option<StopReason>) -> String {
    let mut out = String::new();
    for a in attempts {
        // Writing to a String cannot fail.
        let _ = write!(out, "{:>8} #{}", format!("+{}", Measured(a.start)), a.number);
        if a.hop > 0 {
            let _ = write!(out, " hop {}", a.hop);
        }
        let _ = match (a.status, a.error, a.error_class.as_deref()) {
            (Some(status), Some(kind), _) => write!(out, " {status}, {kind}"),
            (Some(status), None, _) => write!(out, " {status}"),
            (None, Some(kind), None) => write!(out, " {kind}"),
            (None, Some(kind), Some(class)) => write!(out, " {kind} ({class})"),
            (None, None, Some(class)) => write!(out, " {class}"),
            (None, None, None) => write!(out, " -"),
        };
        let _ = write!(out, " after {}", Measured(a.duration));
        if a.evidence != Evidence::Unknown {
            let _ = write!(out, " ({})", a.evidence.code().replace('_', " "));
        }
        if a.interim > 0 {
            let _ = write!(out, ", after {} interim answers", a.interim);
        }
        if a.resends > 0 {
            let _ = write!(out, ", sent again {} times as its connection was dead", a.resends);
        }
        if let Some(hint) = a.hint {
            let _ = match hint {
                // A number that no duration holds.
                Duration::MAX => write!(out, ", server asks for longer than any clock counts"),
                hint => write!(out, ", server asks for {}", Measured(hint)),
            };
        }
        if let Some(wait) = a.wait {
            let _ = write!(out, ", waits {}", Measured(wait));
        }
        if let Some(retry) = a.outer_retry {
            let _ = write!(out, ", itself retry {retry} of the caller's");
        }
        out.push('\n');
    }
    if let Some(reason) = stop_reason {
        let _ = write!(out, "{:>8} {reason}", "=");
        let advice = advice(reason, attempts);
        if !advice.is_empty() {
            let _ = write!(out, ": {advice}");
        }
        out.push('\n');
    }
    out
}
