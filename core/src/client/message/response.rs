//! Responses: a head, a body, and how they came about.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use url::Url;

use crate::client::call::state::Whose;
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::record::{AttemptRecord, StopReason};

/// The head of a response, and how it came about.
#[derive(Clone)]
pub struct ResponseHead {
    pub(in crate::client) status: StatusCode,
    pub(in crate::client) reason: Option<Box<str>>,
    pub(in crate::client) version: Version,
    pub(in crate::client) headers: HeaderMap,
    pub(in crate::client) method: Method,
    pub(in crate::client) url: Url,
    /// Written, unless the call was one for this very method and URL. `None` of a response that answers no call.
    pub(in crate::client) whose: Option<Whose>,
    pub(in crate::client) elapsed: Duration,
    pub(in crate::client) attempts: Vec<AttemptRecord>,
    pub(in crate::client) stop_reason: StopReason,
}

impl ResponseHead {
    /// A head from what another one told: for hosts that copy responses between processes. `None` if it cannot be one.
    pub fn restored(
        status: u16,
        version: Version,
        headers: HeaderMap,
        url: &str,
        elapsed: Duration,
        attempts: Vec<AttemptRecord>,
        stop_reason: StopReason,
    ) -> Option<Self> {
        let (status, url) = (StatusCode::from_u16(status).ok()?, Url::parse(url).ok()?);
        let (reason, method, whose) = (None, Method::default(), None);
        Some(ResponseHead { status, reason, version, headers, method, url, whose, elapsed, attempts, stop_reason })
    }

    /// The status code, for example 200.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Whether the status is 200-299.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The header fields. Those that describe a coding which was undone are removed.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first value of a header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The URL of the last attempt, after redirects, without userinfo and fragment.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it is a redirect whose `Location` leads nowhere: empty, a fragment alone, no URL, or not of http or https.
    pub fn leads_nowhere(&self) -> bool {
        super::redirect::leads_nowhere(&self.url, self.status, &self.headers)
    }

    /// From the start of the call to the last byte of a buffered body, or to the head of a streamed one.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// What was sent, in order.
    pub fn attempts(&self) -> &[AttemptRecord] {
        &self.attempts
    }

    /// Why nothing further was sent.
    pub fn stop_reason(&self) -> StopReason {
        self.stop_reason
    }

    /// Whose call it answers. `None` of one that was [restored](ResponseHead::restored) without.
    pub fn call(&self) -> Option<Arc<Identity>> {
        self.whose.as_ref().map(|whose| whose.identity(&self.method, &self.url))
    }

    /// The same, answering that call.
    #[must_use]
    pub fn with_call(mut self, call: Identity) -> Self {
        self.whose = Some(Whose { id: call.call_id, name: call.name.clone(), written: Some(Arc::new(call)) });
        self
    }

    /// The call and its attempts as a short timeline, with the advice that fits the stop reason.
    pub fn explain(&self) -> String {
        crate::record::explain_call(self.call().as_deref(), &self.attempts, Some(self.stop_reason))
    }
}

impl ResponseHead {
    /// As the crate `http` has it, with this head among its extensions.
    pub(in crate::client) fn with_body<B>(self, body: B) -> http::Response<B> {
        let mut response = http::Response::new(body);
        (*response.status_mut(), *response.version_mut(), *response.headers_mut()) = (self.status, self.version, self.headers.clone());
        response.extensions_mut().insert(self);
        response
    }
}

/// The head, which tells what was sent, is among its extensions as a [`ResponseHead`].
impl From<Response> for http::Response<Bytes> {
    fn from(response: Response) -> Self {
        response.head.with_body(response.body)
    }
}

/// Header fields may hold secrets: they are left out.
impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .field("url", &super::redact::redacted(&self.url))
            .field("attempts", &self.attempts.len())
            .field("stop_reason", &self.stop_reason)
            .finish_non_exhaustive()
    }
}

/// A response with its whole body. Any status; whether a 404 is an error is the caller's business.
///
/// Its head's methods can be called on it.
#[derive(Clone, Debug)]
pub struct Response {
    pub(in crate::client) head: ResponseHead,
    pub(in crate::client) body: Bytes,
}

impl Deref for Response {
    type Target = ResponseHead;

    fn deref(&self) -> &ResponseHead {
        &self.head
    }
}

impl Response {
    /// The body, decoded.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body as text: UTF-8, what is not is replaced by U+FFFD.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `body` if it is not JSON of the expected shape, without what the body holds. Such an error is not retried: it does not heal.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = format!("the body is not the JSON expected: {}", without_values(&error));
            Error::new(ErrorKind::Body, message).with_status(Some(self.status()))
        })
    }

    /// The head and the body.
    pub fn into_parts(self) -> (ResponseHead, Bytes) {
        (self.head, self.body)
    }
}

/// What serde says of a body, but not what it found there.
fn without_values(error: &serde_json::Error) -> String {
    let said = error.to_string();
    if !error.is_data() || said.starts_with("missing field") {
        return said;
    }
    match said.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => format!("another shape at line {} column {}", error.line(), error.column()),
    }
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn errors_of_json_do_not_show_the_body() {
        let said = |body| without_values(&serde_json::from_str::<u64>(body).unwrap_err());
        assert_eq!(said(r#""secret, expected secrets""#), "expected u64 at line 1 column 26");
        for body in [r#"{"secret": 1}"#, r#"["secret"]"#, "{secret", "secret", ""] {
            assert!(!said(body).contains("secret"), "{}", said(body));
        }
    }
}
