//! Requests: what the caller wants sent.

use std::fmt;

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::{Position, Url};

use super::redact::redacted;
use crate::error::{Error, ErrorKind};

/// A request: method, URL, header fields, body. Checked when it is built; building sends nothing.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// A request body.
#[derive(Clone, Debug, Default)]
pub struct Body(Bytes);

impl Body {
    /// The bytes of the next attempt.
    pub(super) fn produce(&self) -> Bytes {
        self.0.clone()
    }

    /// Whether it can be produced again.
    pub(super) fn is_replayable(&self) -> bool {
        true
    }

    fn length(&self) -> u64 {
        self.0.len() as u64
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Body(bytes.into())
    }
}

/// Without secrets: the query's values, the headers' values and the body are left out.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Request").field("method", &self.method).field("url", &redacted(&self.url)).field("headers", &names).finish()
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidRequest, message)
}

impl Request {
    /// A request without header fields and body.
    ///
    /// `url` must be absolute, http or https. Userinfo in it becomes a basic `authorization` header; a fragment is not sent.
    ///
    /// # Errors
    /// `invalid_request` for a method that is no token, or a URL that cannot be sent to.
    pub fn new(method: &str, url: &str) -> Result<Self, Error> {
        let parsed_method =
            Method::from_bytes(method.as_bytes()).map_err(|_| invalid(format!("method: must be a token such as GET, got {method:?}")))?;
        let parsed = Url::parse(url).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => invalid("url: must be absolute, such as http://host/path".to_owned()),
            error => invalid(format!("url: {error}")),
        })?;
        let mut request = Request { method: parsed_method, url: parsed, headers: HeaderMap::new(), body: Body::default() };
        request.settle_url()?;
        Ok(request)
    }

    /// Checks the URL and moves its userinfo to where it belongs.
    fn settle_url(&mut self) -> Result<(), Error> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err(invalid(format!("url: the scheme must be http or https, got \"{}\"", self.url.scheme())));
        }
        // Characters that URLs take and HTTP does not would otherwise fail inside the first attempt.
        if self.url.as_str().parse::<http::Uri>().is_err() || self.url.host_str().is_none_or(str::is_empty) {
            return Err(invalid(format!("url: not a URL that HTTP can carry: {}", redacted(&self.url))));
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            let credentials = super::auth::basic(self.url.username(), self.url.password());
            // Both setters fail only for URLs without a host.
            let _ = self.url.set_username("");
            let _ = self.url.set_password(None);
            self.headers.entry(AUTHORIZATION).or_insert(credentials);
        }
        self.url.set_fragment(None);
        Ok(())
    }

    /// Adds a header field line.
    ///
    /// # Errors
    /// `invalid_request` for a name that is no token or a value with control characters.
    pub fn append_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid(format!("header {name:?}: the name must be a token of letters, digits and !#$%&'*+-.^_`|~")))?;
        // The value may be a secret: it is not shown.
        let value = HeaderValue::from_str(value)
            .map_err(|_| invalid(format!("header \"{name}\": the value must not contain control characters such as line breaks")))?;
        self.headers.append(parsed, value);
        Ok(())
    }

    /// Sets the body. Empty by default.
    pub fn set_body(&mut self, body: impl Into<Body>) {
        self.body = body.into();
    }

    /// Sets a JSON body, and `content-type: application/json` if there is no content-type yet.
    ///
    /// # Errors
    /// `invalid_request` if the value cannot be JSON (a map with keys that are no strings).
    pub fn set_json(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), Error> {
        let text = serde_json::to_vec(value).map_err(|error| invalid(format!("json: {error}")))?;
        self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        self.body = text.into();
        Ok(())
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The URL, without userinfo and fragment.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The header fields set so far.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What budgets are kept by: scheme, host and, unless it is the scheme's default, port.
    pub(super) fn origin(&self) -> &str {
        &self.url[..Position::BeforePath]
    }

    /// A content-length that contradicts the body would hang the server or cut the body.
    pub(super) fn check_length(&self) -> Result<(), Error> {
        for value in self.headers.get_all(CONTENT_LENGTH) {
            let said = value.to_str().unwrap_or_default();
            if said.parse() != Ok(self.body.length()) {
                return Err(invalid(format!(
                    "header \"content-length\": must be {} as the body is, got \"{said}\"; leave it out",
                    self.body.length()
                )));
            }
        }
        Ok(())
    }
}
