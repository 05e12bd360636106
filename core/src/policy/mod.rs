//! The policy: what one call is allowed to do. Immutable, validated, shared.

mod builder;
mod defaults;
mod dialect;
mod emit;
mod explain;
mod llm;
mod names;
mod node;
mod options;
mod problem;
mod read;
mod read_blocks;
mod read_match;
mod request;
mod set;
#[cfg(test)]
mod tests;
#[cfg(feature = "documents")]
mod text;
mod typed;
mod validate;
mod value;
mod write;

use std::sync::Arc;
use std::time::Duration;

use crate::retry::{Backoff, BudgetSpec, Conditions, HeaderMatcher, Methods, RetryAfter, StatusSet};

pub use builder::PolicyBuilder;
pub use dialect::{Dialect, Loaded, Note};
pub(crate) use problem::Problem;
pub use read::Keys;
#[cfg(feature = "client")]
pub(crate) use read::bytes;
pub use request::RequestHead;
pub use set::{Chosen, HostPattern, PathMatch, PolicySet, RequestMatch, Rule};
#[cfg(feature = "documents")]
pub(crate) use text::load_placed;
#[cfg(feature = "documents")]
pub use text::{load_all, read_all};
pub use typed::Unit;
pub use value::Value;
/// For the packages of other languages alone: what they need may change with any version.
#[doc(hidden)]
pub use {
    dialect::{envoy, named, read_all_from_value},
    options::{OptionBlock, OptionRow, option_blocks},
    set::is_set,
    typed::Argument,
    value::{shown_path, shown_text},
};
#[cfg(feature = "simulate")]
pub(crate) use {names::Names, node::Fields};
/// What the readers of a client's options, of scenarios and of surroundings share with the reader of policies.
pub(crate) use {node::Node, options::row, read::or_none};
#[cfg(feature = "client")]
pub(crate) use {problem::path_name, value::ShownText};

/// Retries per call.
const MOST_RETRIES: u32 = 1000;
/// Matchers, methods and hint headers per list: each costs time on every response.
const MOST_ITEMS: usize = 100;
/// Bytes of a header's, a method's or a budget's name.
const MOST_NAME: usize = 200;
/// Retries per call that a budget may grant, in millionths.
const MOST_RATIO: u64 = 1_000_000_000;
/// Percent of the sends in flight, in millionths.
const MOST_PERCENT: u64 = 100_000_000;

/// A validated, immutable policy.
///
/// Cheap to clone (one reference count) and to share between threads. Two policies are equal when they decide alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy(Arc<Settings>);

/// The settings, one field per key of a policy document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) max_retries: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) per_try_timeout: Option<Duration>,
    pub(crate) per_try_until: PerTryUntil,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) retry_on: Conditions,
    pub(crate) statuses: StatusSet,
    pub(crate) stop_headers: Vec<HeaderMatcher>,
    pub(crate) response_headers: Vec<HeaderMatcher>,
    pub(crate) refused_headers: Vec<HeaderMatcher>,
    pub(crate) request_headers: Vec<HeaderMatcher>,
    pub(crate) methods: Methods,
    pub(crate) backoff: Backoff,
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) budget: Option<BudgetSpec>,
    pub(crate) idempotency_key: IdempotencyKey,
    pub(crate) max_body_buffer: u64,
    pub(crate) attempt_header: Option<String>,
    pub(crate) compat: Option<Compat>,
    /// The rest of the `compat` block.
    pub(crate) aside: Option<Box<dialect::envoy::Aside>>,
    pub(crate) seed: Option<u64>,
    pub(crate) notes: dialect::Notes,
}

/// What an `Idempotency-Key` header means for retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdempotencyKey {
    /// A request that carries one counts as idempotent.
    #[default]
    Honour,
    /// Likewise, and one is minted per call (UUIDv4) for methods that need it, kept over all its attempts.
    Auto,
    /// It means nothing.
    None,
}

/// Where an attempt's `per_try_timeout` ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PerTryUntil {
    /// At the end of the response's head.
    #[default]
    Head,
    /// In buffered calls at the end of its body; streamed calls end it with the head.
    Body,
}

/// Whose differences from the rules above apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compat {
    /// Envoy 1.40: `timeout` starts when the first attempt's upload has ended, nothing is retried after an interim answer (1xx), `x-envoy-ratelimited` vetoes all conditions but its own, 425 is retried at once unless the request is `early-data`,
    /// `reset-before-request` ends with the first byte of the call, a body above `max_body_buffer` is sent once whatever it is made of,
    /// hints are read by Envoy's rules, `x-envoy-attempt-count` and `x-envoy-expected-rq-timeout-ms` are sent.
    Envoy,
}

impl Settings {
    /// `per_try_timeout` is given anew, so that no other limit stands in its place.
    fn own_per_try(&mut self) {
        if let Some(mut aside) = self.aside.take() {
            aside.per_try_timeout = None;
            self.aside = aside.kept();
        }
    }
}

impl Policy {
    /// The default policy: 2 retries of idempotent requests, exponential back-off, a budget per origin.
    #[allow(clippy::should_implement_trait)] // also implemented; this one reads better at call sites
    pub fn default() -> Self {
        Policy(Arc::new(Settings::default()))
    }

    /// No retries; the default timeouts.
    pub fn none() -> Self {
        Policy(Arc::new(Settings { max_retries: 0, ..Settings::default() }))
    }

    /// The settings, for the reader and the writer.
    pub(crate) fn settings(&self) -> &Settings {
        &self.0
    }

    /// Retries per call, over all redirect hops. 0..=1000, default 2.
    pub fn max_retries(&self) -> u32 {
        self.0.max_retries
    }

    /// The hard limit of the whole call. Default 60 s, `None` for no limit.
    pub fn timeout(&self) -> Option<Duration> {
        self.0.timeout
    }

    /// The limit of name resolution, TCP, proxy and TLS of one attempt. Default 5 s, `None` for no limit.
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.0.connect_timeout
    }

    /// The limit of one attempt up to its response head, without connecting and uploading. Default 20 s, `None` for no limit.
    pub fn per_try_timeout(&self) -> Option<Duration> {
        self.0.per_try_timeout
    }

    /// Where the limit of one attempt ends. Default: with the head.
    pub fn per_try_until(&self) -> PerTryUntil {
        self.0.per_try_until
    }

    /// The longest silence while a body is written or read. Default 20 s, `None` for no limit.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.0.idle_timeout
    }

    /// Which outcomes are retried.
    pub fn conditions(&self) -> Conditions {
        self.0.retry_on
    }

    /// Which statuses are retried, and which never are.
    pub fn statuses(&self) -> &StatusSet {
        &self.0.statuses
    }

    /// Responses that match one of these are never retried, whatever else says so.
    pub fn stop_headers(&self) -> &[HeaderMatcher] {
        &self.0.stop_headers
    }

    /// Responses that match one of these are retried.
    pub fn response_headers(&self) -> &[HeaderMatcher] {
        &self.0.response_headers
    }

    /// A response that matches one of these was not processed: any method may be repeated.
    pub fn refused_headers(&self) -> &[HeaderMatcher] {
        &self.0.refused_headers
    }

    /// Only requests that match one of these are retried; empty for all.
    pub fn request_headers(&self) -> &[HeaderMatcher] {
        &self.0.request_headers
    }

    /// Which methods may be repeated although the server may have executed them.
    pub fn methods(&self) -> &Methods {
        &self.0.methods
    }

    /// The waits.
    pub fn backoff(&self) -> &Backoff {
        &self.0.backoff
    }

    /// How server hints are obeyed; `None` if they are not.
    pub fn retry_after(&self) -> Option<&RetryAfter> {
        self.0.retry_after.as_ref()
    }

    /// The budget; `None` for no budget.
    pub fn budget(&self) -> Option<&BudgetSpec> {
        self.0.budget.as_ref()
    }

    /// What an `Idempotency-Key` means.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        self.0.idempotency_key
    }

    /// The largest one-shot request body that is kept for replay, in bytes. Default 1 MiB.
    pub fn max_body_buffer(&self) -> u64 {
        self.0.max_body_buffer
    }

    /// The header that carries the attempt number from the second attempt on, in lower case.
    pub fn attempt_header(&self) -> Option<&str> {
        self.0.attempt_header.as_deref()
    }

    /// Whose differences apply.
    pub fn compat(&self) -> Option<Compat> {
        self.0.compat
    }

    /// What differs from the document of another system that it was read from.
    pub fn notes(&self) -> &[Note] {
        self.0.notes.as_slice()
    }

    /// The seed of reproducible waits, if one was set on the builder.
    pub fn seed(&self) -> Option<u64> {
        self.0.seed
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy::default()
    }
}
