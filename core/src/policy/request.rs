//! What a policy does for one request, by the request's own headers and body.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::{Compat, IdempotencyKey, Policy, Settings, envoy};
use crate::retry::{Conditions, Headers, StatusSet};
#[cfg(any(feature = "client", feature = "tower"))]
use crate::time::DurationText;

/// The head of a request: its header fields, and the rest of it as `:method`, `:scheme`, `:authority` and `:path`.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// The header fields.
    pub headers: &'a dyn Headers,
}

impl Headers for RequestHead<'_> {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        let text = match name {
            ":method" => self.method,
            ":scheme" => self.scheme,
            ":authority" | "host" => return self.headers.line("host", index).or((index == 0).then_some(self.authority.as_bytes())),
            ":path" => self.path,
            name => return self.headers.line(name, index),
        };
        (index == 0).then_some(text.as_bytes())
    }
}

/// No retries, and nothing that would be retried: else a call would end with `retries_exhausted`, which no `max_retries` could change.
fn left_out(settings: Settings) -> Settings {
    Settings { max_retries: 0, retry_on: Conditions::NONE, statuses: StatusSet::NONE, response_headers: Vec::new(), ..settings }
}

impl Policy {
    /// The policy of one request: this one, unless its headers say otherwise.
    ///
    /// If `request_headers` matches nothing of it, no outcome is retried: `not_retryable`, whatever it is. With `compat: envoy` an answer 425 to a request that is itself
    /// `early-data` is for its sender, who must repeat it.
    pub fn for_request(&self, request: &RequestHead<'_>) -> Cow<'_, Policy> {
        let matchers = self.request_headers();
        if !matchers.is_empty() && !matchers.iter().any(|matcher| matcher.matches_request(request)) {
            return Cow::Owned(Policy(Arc::new(left_out(self.settings().clone()))));
        }
        if self.compat() == Some(Compat::Envoy) && self.statuses().contains(425) && request.line("early-data", 0).is_some() {
            let statuses = self.statuses().forgetting(425);
            return Cow::Owned(Policy(Arc::new(Settings { statuses, ..self.settings().clone() })));
        }
        Cow::Borrowed(self)
    }

    /// The header fields that this policy puts on an attempt, by its number (from 1) and the time since the call began.
    pub fn attempt_fields(&self, number: u32, elapsed: Duration) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let mut put = |name: &str, value: u64| fields.push((name.to_owned(), value.to_string()));
        if let Some(name) = self.attempt_header().filter(|_| number > 1) {
            put(name, number.into());
        }
        if self.compat() == Some(Compat::Envoy) {
            put("x-envoy-attempt-count", number.into());
            if let Some(ms) = envoy::expected_rq_timeout_ms(self, elapsed) {
                put("x-envoy-expected-rq-timeout-ms", ms);
            }
        }
        fields
    }

    /// Whether an idempotency key is to be minted for a call of this method that carries none.
    pub fn wants_key(&self, method: &str) -> bool {
        self.idempotency_key() == IdempotencyKey::Auto && !self.methods().contains(method)
    }

    /// What is said of an attempt that had no head within its limit.
    #[cfg(any(feature = "client", feature = "tower"))]
    pub(crate) fn no_head_text(&self) -> String {
        let limit = DurationText(self.per_try_timeout().unwrap_or_default());
        format!("no response head within per_try_timeout ({limit})")
    }

    /// What is said of a call that took too long.
    #[cfg(any(feature = "client", feature = "tower"))]
    pub(crate) fn past_deadline_text(&self) -> String {
        let limit = DurationText(self.timeout().unwrap_or_default());
        format!("the call did not end within timeout ({limit}); raise timeout to allow more")
    }

    /// Whether a body of this length may be sent again. With `compat: envoy` one above `max_body_buffer` is sent once, as by a proxy,
    /// though a client could produce it again.
    #[cfg(feature = "client")]
    pub(crate) fn keeps(&self, length: Option<u64>) -> bool {
        self.compat() != Some(Compat::Envoy) || length.is_none_or(|length| length <= self.max_body_buffer())
    }
}
