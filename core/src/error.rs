//! The one error type and the one list of kinds. Every surface derives its codes, numbers and classes from this list.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::identity::Identity;
use crate::record::{AttemptRecord, StopReason};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $variant:ident = $number:literal, $code:literal;)*) => {
        /// What went wrong, as a closed list.
        ///
        /// The numbers are stable: a retired one is never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum ErrorKind { $($(#[doc = $doc])* $variant = $number,)* }

        impl ErrorKind {
            /// Every kind, in the order of its numbers.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$variant,)*];

            /// What it means, in one sentence or two: the text of its documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorKind::$variant => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The stable name, for example `"connect_timeout"`.
            pub const fn code(self) -> &'static str {
                match self { $(ErrorKind::$variant => $code,)* }
            }
        }
    };
}

kinds! {
    /// A policy, a client option or a budget cannot be what was asked for. Raised at construction.
    Config = 1, "config";
    /// The request itself is impossible (URL, method, header, body against its content-length). Nothing was sent.
    InvalidRequest = 2, "invalid_request";
    /// No connection: name resolution, refusal, unreachable, proxy refusal, a handshake cut off. Nothing was sent.
    Connect = 3, "connect";
    /// No connection within `connect_timeout`. Nothing was sent.
    ConnectTimeout = 4, "connect_timeout";
    /// Certificate or TLS alert: does not heal by itself.
    Tls = 5, "tls";
    /// The connection went away before the response head.
    Reset = 6, "reset";
    /// HTTP/2 REFUSED_STREAM, or GOAWAY below our stream.
    RefusedStream = 7, "refused_stream";
    /// The peer does not speak HTTP as we know it.
    Protocol = 8, "protocol";
    /// One attempt took longer than `per_try_timeout` to its response head.
    PerTryTimeout = 9, "per_try_timeout";
    /// A body was cut, corrupt, shorter than its content-length, or silent for `idle_timeout`.
    Body = 10, "body";
    /// The call took longer than `timeout`.
    Deadline = 11, "deadline";
    /// More redirects than allowed.
    TooManyRedirects = 12, "too_many_redirects";
    /// The buffered, decompressed body passed `max_response_size`.
    ResponseTooLarge = 13, "response_too_large";
    /// The caller cancelled.
    Cancelled = 14, "cancelled";
    /// A callback failed or answered with something that is no answer.
    Callback = 15, "callback";
    /// The client was closed.
    Closed = 16, "closed";
    /// A bug in reknock or below. Please report it.
    Internal = 17, "internal";
}

impl ErrorKind {
    /// The stable number (1..=17).
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this code, or `None`.
    pub fn from_code(code: &str) -> Option<ErrorKind> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The source of an error, as `std` has it.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// Any failure of reknock: a kind, one line of text, what was attempted, and the original error as its source.
///
/// The text of a call that failed names its request, what happened, how often and why it stopped: `GET http://host/orders: no response head within
/// per_try_timeout (2s) after 3 attempts in 6.4s (retries_exhausted)`.
/// The text names no secret: URLs in it have userinfo and query values removed. Cheap to move (one pointer).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    attempts: Vec<AttemptRecord>,
    stop_reason: Option<StopReason>,
    source: Option<BoxError>,
    call: Option<Arc<Identity>>,
}

impl Error {
    /// An error of `kind` with one line of text (no trailing full stop).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Error(Box::new(Inner { kind, message, status: None, attempts: Vec::new(), stop_reason: None, source: None, call: None }))
    }

    /// A configuration error: `path: rule, got value`.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Adds the original error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the system had no memory for what the caller gave: a body, a form, a value to be written as JSON.
    pub fn is_out_of_memory(&self) -> bool {
        let source = self.0.source.as_ref().and_then(|source| source.downcast_ref::<std::io::Error>());
        source.is_some_and(|source| source.kind() == std::io::ErrorKind::OutOfMemory)
    }

    /// The status of the response whose body failed, if that is what happened.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// What was sent, in order. Empty when nothing was tried.
    pub fn attempts(&self) -> &[AttemptRecord] {
        &self.0.attempts
    }

    /// Why nothing further was sent. `None` when nothing was tried.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.0.stop_reason
    }

    /// Whose call failed. `None` where none had begun.
    pub fn call(&self) -> Option<&Arc<Identity>> {
        self.0.call.as_ref()
    }

    /// The call and its attempts as a short timeline, with the advice that fits the stop reason.
    pub fn explain(&self) -> String {
        crate::record::explain_call(self.0.call.as_deref(), &self.0.attempts, self.0.stop_reason)
    }

    #[cfg(feature = "client")]
    pub(crate) fn with_status(mut self, status: Option<u16>) -> Self {
        self.0.status = status;
        self
    }

    #[cfg(feature = "client")]
    pub(crate) fn of_call(mut self, call: Arc<Identity>) -> Self {
        self.0.call = Some(call);
        self
    }

    #[cfg(feature = "client")]
    pub(crate) fn with_records(mut self, attempts: Vec<AttemptRecord>, stop_reason: StopReason) -> Self {
        self.0.attempts = attempts;
        self.0.stop_reason = Some(stop_reason);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(status) = self.0.status {
            out.field("status", &status);
        }
        if let Some(reason) = self.0.stop_reason {
            out.field("stop_reason", &reason).field("attempts", &self.0.attempts.len());
        }
        if let Some(source) = &self.0.source {
            out.field("source", &source.to_string());
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// What a panic said.
#[cfg(feature = "client")]
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
