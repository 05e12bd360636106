//! What goes into the machine and what comes out.

use std::time::Duration;

use crate::error::ErrorKind;
use crate::record::{Evidence, StopReason};
use crate::time::Tick;

/// The header fields of a response, as the machine needs to see them.
pub trait Headers {
    /// The value of the `index`th field line (from 0) with this name (in lower case), or `None`.
    fn line(&self, name: &str, index: usize) -> Option<&[u8]>;
}

/// Pairs of name (any case) and value.
impl Headers for &[(&str, &str)] {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        self.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).nth(index).map(|(_, value)| value.as_bytes())
    }
}

#[cfg(feature = "http")]
impl Headers for http::HeaderMap {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        match index {
            // Of few, looking at each is cheaper than to parse and hash the name that is looked for.
            0 if self.len() <= 8 => self.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value),
            0 => self.get(name),
            _ => self.get_all(name).iter().nth(index),
        }
        .map(http::HeaderValue::as_bytes)
    }
}

/// A borrowed [`Headers`] with the questions the rules ask.
#[derive(Clone, Copy)]
pub(super) struct HeaderView<'a>(pub(super) &'a dyn Headers);

impl<'a> HeaderView<'a> {
    pub(super) fn first(self, name: &str) -> Option<&'a [u8]> {
        self.0.line(name, 0)
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.first(name).is_some()
    }

    pub(super) fn each(self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        (0..).map_while(|index| self.0.line(name, index)).for_each(visit);
    }
}

/// What is known of a call before it is sent, or of its next redirect hop.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The request method, case-sensitive.
    pub method: &'a str,
    /// Whether the request carries an `Idempotency-Key`.
    pub has_idempotency_key: bool,
    /// Whether somebody will be asked about every outcome (`retry_if`): hints are then read on every response.
    pub asked: bool,
}

/// How one attempt ended.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    /// A response head arrived.
    Response {
        /// Its status.
        status: u16,
        /// Its header fields.
        headers: &'a dyn Headers,
    },
    /// It failed, before its head or (kind `body`) after it.
    Failure {
        /// What went wrong.
        kind: ErrorKind,
        /// Whether the server may have acted on it.
        evidence: Evidence,
        /// This machine alone is short of something (descriptors, ports, memory), and no server had a part in it: a retry is no load on anybody, and no
        /// budget is asked.
        local: bool,
    },
    /// It failed in a way that is none of HTTP, as a function of the caller's may. No condition covers it: only `retry_if` has it retried.
    Foreign {
        /// Whether it may have had an effect.
        evidence: Evidence,
    },
    /// It gave what was asked of it, and there is no status to judge it by.
    Returned,
}

/// What the policy thinks of an outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct Verdict {
    /// The policy would retry it (if method, body, limits, deadline and budget agree).
    pub retry: bool,
    /// Whether the server may have acted on it.
    pub evidence: Evidence,
    /// The wait the server asks for, unshortened. Read on responses that would be retried, or on all if the call is `asked`.
    pub hint: Option<Duration>,
    /// The policy's own back-off before the next retry.
    pub backoff: Duration,
    /// A response below 400.
    pub(super) completed: bool,
    /// Retried without any wait (Envoy's 425).
    pub(super) at_once: bool,
    /// Of this machine alone: no budget is asked.
    pub(super) local: bool,
    /// The call itself is over (its deadline, a cancel), or the response is one of `stop_headers`: nothing else is asked.
    pub(super) over: Option<StopReason>,
}

impl Verdict {
    pub(super) fn new(backoff: Duration) -> Self {
        let (retry, evidence, hint) = (false, Evidence::Unknown, None);
        Verdict { retry, evidence, hint, backoff, completed: false, at_once: false, local: false, over: None }
    }

    /// The call itself is over (its deadline, a cancel), or `stop_headers` match the response: no callback can change that.
    pub fn is_final(&self) -> bool {
        self.over.is_some()
    }
}

/// What callbacks said about an outcome. The default is that nobody was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answer {
    /// `retry_if`: retry or stop; `None` leaves it to the policy.
    pub retry: Option<bool>,
    /// `retry_if` with a time: wait exactly this long. Hints do not apply.
    pub wait: Option<Duration>,
    /// `delay`: in place of the policy's own back-off. Hints apply.
    pub backoff: Option<Duration>,
}

/// An attempt that may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Retries left after this attempt.
    pub retries_left: u32,
    /// The end of the call's `timeout`, if it has one.
    pub deadline: Option<Tick>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Wait this long, then call [`Retry::attempt`](super::Retry::attempt) and send again.
    Retry {
        /// From now.
        wait: Duration,
    },
    /// Send nothing further; hand the outcome to the caller as it is.
    Stop(StopReason),
}
