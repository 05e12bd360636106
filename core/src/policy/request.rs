//! What a policy does for one request, by the request's own headers.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Policy, Settings};
use crate::retry::Headers;

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
            ":authority" => self.authority,
            ":path" => self.path,
            name => return self.headers.line(name, index),
        };
        (index == 0).then_some(text.as_bytes())
    }
}

impl Policy {
    /// The policy of one request: this one, or one without retries if `request_headers` matches nothing of it.
    pub fn for_request(&self, request: &RequestHead<'_>) -> Cow<'_, Policy> {
        let matchers = self.request_headers();
        if matchers.is_empty() || matchers.iter().any(|matcher| matcher.matches_request(request)) {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Policy(Arc::new(Settings { max_retries: 0, ..self.settings().clone() })))
    }
}
