//! Callbacks: the executor's questions to its host, and the host's answers.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use super::events::Event;
use crate::client::message::request::Request;
use crate::error::{BoxError, Error, ErrorKind};
use crate::identity::Identity;
use crate::record::Evidence;
use crate::retry::Opinion;

/// One attempt and how it ended, as callbacks see it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// Whose call it is.
    pub call: Arc<Identity>,
    /// From 1.
    pub number: u32,
    /// Retries left, the one in question included.
    pub retries_left: u32,
    /// The method of the request.
    pub method: Method,
    /// Its URL.
    pub url: Url,
    /// Its header fields.
    pub request_headers: HeaderMap,
    /// Since the start of the call.
    pub elapsed: Duration,
    /// The response status; `None` on failures before a head.
    pub status: Option<u16>,
    /// The response's header fields; empty on failures before a head.
    pub headers: HeaderMap,
    /// The response's body, in buffered calls if it was asked for.
    pub body: Option<Bytes>,
    /// The kind of failure.
    pub error: Option<ErrorKind>,
    /// One line about the failure.
    pub message: Option<String>,
    /// Whether the server may have acted on it.
    pub evidence: Evidence,
    /// The wait the server asks for.
    pub hint: Option<Duration>,
    /// Whether the policy would retry it.
    pub verdict: bool,
    /// The wait the policy would take; `None` if the server asks for a longer one than allowed.
    pub planned_wait: Option<Duration>,
}

/// Header fields and bodies may hold secrets: they are left out.
impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("call_id", &self.call.call_id)
            .field("number", &self.number)
            .field("retries_left", &self.retries_left)
            .field("elapsed", &self.elapsed)
            .field("status", &self.status)
            .field("error", &self.error)
            .field("evidence", &self.evidence)
            .field("hint", &self.hint)
            .field("verdict", &self.verdict)
            .field("planned_wait", &self.planned_wait)
            .finish_non_exhaustive()
    }
}

impl Opinion {
    /// Retry after so many seconds; 0 is now.
    ///
    /// # Errors
    /// `callback` for a number that is no wait: negative, NaN, infinite or over 584 years.
    pub fn after_seconds(seconds: f64) -> Result<Self, Error> {
        wait("retry_if", seconds).map(Opinion::After)
    }
}

/// A number of seconds that a callback gave as a wait.
///
/// # Errors
/// `callback` for a number that is no wait: negative, NaN, infinite or over 584 years.
pub fn wait(callback: &str, seconds: f64) -> Result<Duration, Error> {
    let nanos = Duration::try_from_secs_f64(seconds).ok().filter(|wait| u64::try_from(wait.as_nanos()).is_ok());
    nanos.ok_or_else(|| Error::new(ErrorKind::Callback, format!("{callback}: a wait must be a number of seconds from 0, got {seconds:?}")))
}

/// What the executor asks its host.
#[derive(Debug)]
#[non_exhaustive]
pub enum Question {
    /// Shall this attempt be retried? Asked after every completed attempt while a retry is possible.
    RetryIf(Box<Attempt>),
    /// How long to wait before the retry that was decided?
    Delay(Box<Attempt>),
    /// What shall the next attempt send? (The attempt before it, and the request as it would be sent.)
    BeforeRetry(Box<Attempt>, Box<Request>),
    /// Which header fields shall the attempt have besides? (What observers are told of its start.) Asked before each attempt, those of redirects' hops
    /// included, while no clock of the attempt runs.
    BeforeAttempt(Box<Event>),
}

/// What the host answers.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// To `RetryIf`.
    Opinion(Opinion),
    /// To `Delay`: this long, or as the policy has it. Server hints still apply.
    Delay(Option<Duration>),
    /// To `BeforeRetry`: the request of the next attempt alone. Its method is not changed.
    Request(Box<Request>),
    /// To `BeforeAttempt`: fields that take the place of those of the same names, in this attempt alone.
    Fields(HeaderMap),
}

/// Which questions a host answers. Write it as `Wants { delay: true, ..Wants::default() }`: it grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// `retry_if`.
    pub retry_if: bool,
    /// `retry_if` and `delay` see the body (buffered calls); nobody else does.
    pub body: bool,
    /// `delay`.
    pub delay: bool,
    /// `before_retry`.
    pub before_retry: bool,
    /// `before_attempt`: asked so often that it is for telemetry, while that is on.
    pub before_attempt: bool,
    /// `on_event`.
    pub events: bool,
    /// Of events the warnings alone: notices, and the ends of calls that failed.
    pub notices: bool,
}

/// Who answers the questions of one call: Rust closures, or a queue to another language.
pub trait Host: Send {
    /// What it answers. Fixed for the call.
    fn wants(&self) -> Wants;
    /// Answers a question. The call's deadline and a cancel end the wait for the answer. An error ends the call with kind `callback`.
    fn ask(&mut self, question: Question) -> impl Future<Output = Result<Reply, BoxError>> + Send;
    /// Told, not asked. A panic in it is reported by the panic hook and fails no call.
    fn tell(&mut self, event: Event);
}
