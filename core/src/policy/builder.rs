//! Policies from typed values.

use std::sync::Arc;
use std::time::Duration;

use super::{Compat, IdempotencyKey, PerTryUntil, Policy, Settings, validate};
use crate::error::Error;
use crate::retry::{Backoff, BudgetSpec, Conditions, HeaderMatcher, Methods, RetryAfter, StatusSet};

/// Builds a [`Policy`] from typed values; what is not set keeps its default.
///
/// ```
/// use std::time::Duration;
/// use reknock::Policy;
///
/// let policy = Policy::builder().max_retries(4).timeout(Duration::from_secs(30)).per_try_timeout(None).build()?;
/// assert_eq!(policy.to_string(), "{max_retries: 4, timeout: 30s, per_try_timeout: none}");
/// # Ok::<(), reknock::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct PolicyBuilder {
    settings: Settings,
    /// As in a document, conditions without statuses mean no statuses: whether each was set.
    retry_on_set: bool,
    statuses_set: bool,
}

impl Policy {
    /// A builder that starts at the defaults.
    pub fn builder() -> PolicyBuilder {
        Policy::default().to_builder()
    }

    /// A builder that starts at this policy.
    pub fn to_builder(&self) -> PolicyBuilder {
        PolicyBuilder { settings: self.settings().clone(), retry_on_set: false, statuses_set: false }
    }

    pub(super) fn of(settings: Settings) -> Policy {
        Policy(Arc::new(settings))
    }
}

impl PolicyBuilder {
    /// Retries per call, over all redirect hops. 0..=1000, default 2.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.settings.max_retries = retries;
        self
    }

    /// The hard limit of the whole call. More than zero, or `None` for no limit. Default 60 s.
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.timeout = limit.into();
        self
    }

    /// The limit of connecting, per attempt. More than zero, or `None` for no limit. Default 5 s.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.connect_timeout = limit.into();
        self
    }

    /// The limit of one attempt up to its response head. More than zero, or `None` for no limit. Default 20 s.
    pub fn per_try_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.per_try_timeout = limit.into();
        self.settings.own_per_try();
        self
    }

    /// Where the limit of one attempt ends. Default: with the head.
    pub fn per_try_until(mut self, until: PerTryUntil) -> Self {
        self.settings.per_try_until = until;
        self
    }

    /// The longest silence while a body is moving. More than zero, or `None` for no limit. Default 20 s.
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.idle_timeout = limit.into();
        self
    }

    /// Which outcomes are retried. Set without [`statuses`](Self::statuses), no status is retried but what it says.
    pub fn retry_on(mut self, conditions: Conditions) -> Self {
        self.settings.retry_on = conditions;
        self.retry_on_set = true;
        self
    }

    /// Which statuses are retried. Default 408, 425, 429, 500, 502, 503, 504.
    pub fn statuses(mut self, statuses: StatusSet) -> Self {
        self.settings.statuses = statuses;
        self.statuses_set = true;
        self
    }

    /// Responses that match one of these are never retried, whatever else says so, a callback included. At most 100, default none.
    pub fn stop_headers(mut self, matchers: impl IntoIterator<Item = HeaderMatcher>) -> Self {
        self.settings.stop_headers = in_lower_case(matchers);
        self
    }

    /// Responses that match one of these are retried. At most 100, default none. Names may be in any case.
    pub fn response_headers(mut self, matchers: impl IntoIterator<Item = HeaderMatcher>) -> Self {
        self.settings.response_headers = in_lower_case(matchers);
        self
    }

    /// A response that matches one of these was not processed: any method may be repeated. At most 100, default none.
    pub fn refused_headers(mut self, matchers: impl IntoIterator<Item = HeaderMatcher>) -> Self {
        self.settings.refused_headers = in_lower_case(matchers);
        self
    }

    /// Only requests that match one of these are retried. At most 100, default none, which means all.
    pub fn request_headers(mut self, matchers: impl IntoIterator<Item = HeaderMatcher>) -> Self {
        self.settings.request_headers = in_lower_case(matchers);
        self
    }

    /// Which methods may be repeated although the server may have executed them. Default: the idempotent ones.
    pub fn methods(mut self, methods: Methods) -> Self {
        self.settings.methods = methods;
        self
    }

    /// The waits. Default: exponential from 200 ms, at most 20 s, full jitter.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// How server hints are obeyed; `None` if they are not. Default: up to 60 s.
    pub fn retry_after(mut self, retry_after: impl Into<Option<RetryAfter>>) -> Self {
        self.settings.retry_after = retry_after.into();
        for header in self.settings.retry_after.iter_mut().flat_map(|block| &mut block.headers) {
            header.name.make_ascii_lowercase();
        }
        self
    }

    /// The budget; `None` for no budget. Default: ratio 0.2, ten per second, 10 s, paid by success, per origin.
    pub fn budget(mut self, budget: impl Into<Option<BudgetSpec>>) -> Self {
        self.settings.budget = budget.into();
        self
    }

    /// What an `Idempotency-Key` header means. Default [`IdempotencyKey::Honour`].
    pub fn idempotency_key(mut self, rule: IdempotencyKey) -> Self {
        self.settings.idempotency_key = rule;
        self
    }

    /// The largest one-shot request body that is kept for replay, in bytes. At most 1 TiB, default 1 MiB.
    pub fn max_body_buffer(mut self, bytes: u64) -> Self {
        self.settings.max_body_buffer = bytes;
        self
    }

    /// The header that carries the attempt number from the second attempt on. Default none.
    pub fn attempt_header<'n>(mut self, name: impl Into<Option<&'n str>>) -> Self {
        self.settings.attempt_header = name.into().map(str::to_ascii_lowercase);
        self
    }

    /// Whose differences apply; what a route of Envoy kept aside for the headers of requests is dropped. Default none.
    pub fn compat(mut self, compat: impl Into<Option<Compat>>) -> Self {
        (self.settings.compat, self.settings.aside) = (compat.into(), None);
        self
    }

    /// Makes the waits reproducible. For tests and simulations; documents have no such key. Default none.
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.settings.seed = seed.into();
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// `config` for the first value that breaks a rule, in the order of the documentation: `path: rule, got value`.
    pub fn build(mut self) -> Result<Policy, Error> {
        if self.retry_on_set && !self.statuses_set {
            self.settings.statuses = StatusSet::NONE;
        }
        validate::all(&self.settings)?;
        Ok(Policy::of(self.settings))
    }
}

fn in_lower_case(matchers: impl IntoIterator<Item = HeaderMatcher>) -> Vec<HeaderMatcher> {
    let mut matchers: Vec<_> = matchers.into_iter().collect();
    matchers.iter_mut().for_each(|matcher| matcher.name.make_ascii_lowercase());
    matchers
}
