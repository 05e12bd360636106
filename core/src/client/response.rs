//! Responses: a head, a whole body, and how they came about.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::record::{AttemptRecord, StopReason};

/// A response with its whole body. Any status; whether a 404 is an error is the caller's business.
#[derive(Clone, Debug)]
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) url: Url,
    pub(super) elapsed: Duration,
    pub(super) attempts: Vec<AttemptRecord>,
    pub(super) stop_reason: StopReason,
}

impl Response {
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
    /// `body` if it is not JSON of the expected shape. Such an error is not retried: it does not heal.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let status = Some(self.status());
            Error::new(ErrorKind::Body, format!("the body is not the JSON expected: {error}")).with_status(status).with_source(error)
        })
    }

    /// The URL of the last attempt, after redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// From the start of the call to the last byte of the body.
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

    /// The attempts as a short timeline, with the advice that fits the stop reason.
    pub fn explain(&self) -> String {
        crate::record::explain(&self.attempts, Some(self.stop_reason))
    }
}
