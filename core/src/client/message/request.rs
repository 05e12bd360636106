//! Requests: what the caller wants sent.

use std::fmt;

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use url::{Position, Url};

use super::body::Body;
use super::fields::Fields;
use super::known::{self, is_plain};
use super::memory::{self, Written};
use super::multipart::Multipart;
use super::page::Page;
use super::redact::redacted;
use crate::error::{Error, ErrorKind};
use crate::policy::ShownText;

/// A request: method, URL, header fields, body. Checked when it is built; building sends nothing.
#[derive(Clone)]
pub struct Request {
    pub(in crate::client) method: Method,
    pub(in crate::client) url: Url,
    pub(in crate::client) headers: Fields,
    pub(in crate::client) body: Body,
    /// What the client would add, and shall not.
    pub(in crate::client) without: Vec<HeaderName>,
    /// The `authorization` that came in a URL's userinfo: it is for that URL's origin, and gives way to one that the caller sets.
    of_url: Option<HeaderValue>,
    /// It came in a URL that a redirect led to: it is for that hop alone.
    pub(in crate::client) lent: bool,
    /// What it tells of where it comes from; most tell nothing.
    pub(super) page: Option<Box<Page>>,
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

/// The longest URL that HTTP carries, in bytes.
const LONGEST_URL: usize = 65_534;
/// The longest method, and the longest value of a header field: more than servers take.
const LONGEST_METHOD: usize = 256;
const LONGEST_VALUE: usize = 1 << 20;

/// Those that nobody writes in another case and means something else.
const CASELESS: [Method; 7] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

pub(in crate::client) fn parse_method(text: &str) -> Result<Method, Error> {
    if let Some(method) = CASELESS.iter().find(|method| method.as_str().eq_ignore_ascii_case(text)) {
        return Ok(method.clone());
    }
    match Method::from_bytes(text.get(..LONGEST_METHOD + 1).unwrap_or(text).as_bytes()) {
        _ if text.len() > LONGEST_METHOD => Err(invalid(format!("method: must be a token such as GET, got {}", ShownText(text)))),
        // In any case: some servers would take it for what it looks like.
        Ok(method) if method.as_str().eq_ignore_ascii_case("connect") => {
            Err(invalid("method: CONNECT asks for a tunnel, which is no request; proxies are an option of the client"))
        }
        Ok(method) => Ok(method),
        Err(_) => Err(invalid(format!("method: must be a token such as GET, got {}", ShownText(text)))),
    }
}

/// A header field line.
pub(super) fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    field_of_bytes(name, value.as_bytes())
}

fn field_of_bytes(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue), Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| invalid(format!("header {}: the name must be a token of letters, digits and !#$%&'*+-.^_`|~", ShownText(name))))?;
    // The value may be a secret: it is not shown.
    let name = || ShownText(parsed.as_str());
    if value.len() > LONGEST_VALUE {
        return Err(invalid(format!("header {}: the value must be at most {LONGEST_VALUE} bytes, got {}", name(), value.len())));
    }
    let value = HeaderValue::from_bytes(value)
        .map_err(|_| invalid(format!("header {}: the value must not contain control characters such as line breaks", name())))?;
    Ok((parsed, value))
}

/// A URL as somebody wrote it.
pub(in crate::client) fn parse_url(url: &str) -> Result<Url, Error> {
    // What is known is plain, and has nothing of what is looked for below.
    if url.len() <= LONGEST_URL
        && let Some(url) = known::url(url)
    {
        return Ok(url);
    }
    written_well(url)?;
    // The parser would pass over missing or further slashes without a word.
    let web = url.split_once(':').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"));
    if let Some((scheme, rest)) = web
        && rest.strip_prefix("//").is_none_or(|rest| rest.starts_with(['/', '\\']))
    {
        return Err(invalid(format!("url: must name a host behind two slashes, such as {scheme}://host/path")));
    }
    let parsed = Url::parse(url).map_err(|error| match error {
        url::ParseError::InvalidIpv6Address if zone(url).is_some() => {
            let zone = ShownText(zone(url).unwrap_or_default());
            invalid(format!(
                "url: must not name the zone of an IPv6 address, got {zone}; give it as interface of the client, where the system has that"
            ))
        }
        url::ParseError::RelativeUrlWithoutBase => invalid("url: must be absolute, such as http://host/path".to_owned()),
        // The text may hold secrets: it is not shown.
        error => invalid(format!("url: {error}")),
    })?;
    known::remember(url, &parsed);
    Ok(parsed)
}

/// `eth0` in `http://[fe80::1%25eth0]/`, and in what people write for it.
fn zone(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.strip_prefix('[')?.split_once(']')?.0;
    host.split_once('%').map(|(_, zone)| zone.strip_prefix("25").unwrap_or(zone))
}

/// What holds for every text that is, or becomes part of, a URL.
pub(in crate::client) fn written_well(url: &str) -> Result<(), Error> {
    if url.len() > LONGEST_URL {
        return Err(too_long(url.len()));
    }
    // The parser would pass over these without a word.
    match [b'\r', b'\n', b'\t'].iter().any(|byte| url.as_bytes().contains(byte)) {
        true => Err(invalid("url: must not contain line breaks or tabs; percent-encode them as %0D, %0A, %09")),
        false => Ok(()),
    }
}

fn too_long(bytes: usize) -> Error {
    invalid(format!("url: must be at most {LONGEST_URL} bytes with its query, got {bytes}"))
}

/// Whether HTTP takes this URL. Most show it at a glance.
fn carried(url: &str) -> bool {
    url.len() < 8000 && url.bytes().all(is_plain) || url.parse::<http::Uri>().is_ok()
}

impl Request {
    /// A request without header fields and body.
    ///
    /// Methods are case-sensitive, but the common ones (`get`) may be written in any case.
    /// `url` must be absolute, http or https. Userinfo in it becomes a basic `authorization` header; a fragment is not sent.
    ///
    /// # Errors
    /// `invalid_request` for a method that is no token, or a URL that cannot be sent to.
    pub fn new(method: &str, url: &str) -> Result<Self, Error> {
        Self::to(parse_method(method)?, parse_url(url)?)
    }

    /// Likewise, to a URL that was parsed before.
    pub(in crate::client) fn to(method: Method, url: Url) -> Result<Self, Error> {
        let (headers, body) = (Fields::default(), Body::default());
        let mut request = Request { method, url, headers, body, without: Vec::new(), of_url: None, lent: false, page: None };
        request.settle_url()?;
        request.lent = false;
        Ok(request)
    }

    /// Checks the URL and moves its userinfo to where it belongs.
    fn settle_url(&mut self) -> Result<(), Error> {
        check_url(&self.url)?;
        self.take_userinfo();
        Ok(())
    }

    /// Moves the userinfo of the URL into a header field, unless that is there. The fragment goes.
    pub(super) fn take_userinfo(&mut self) {
        if !self.url.username().is_empty() || self.url.password().is_some() {
            let credentials = super::auth::of_url(&self.url);
            // Both setters fail only for URLs without a host.
            let _ = self.url.set_username("");
            let _ = self.url.set_password(None);
            self.forget_url_credentials();
            if !self.headers.contains_key(AUTHORIZATION) {
                self.headers.insert(AUTHORIZATION, credentials.clone());
                (self.of_url, self.lent) = (Some(credentials), true);
            }
        }
        self.url.set_fragment(None);
    }

    /// Removes an `authorization` that came in a URL.
    fn forget_url_credentials(&mut self) {
        if self.of_url.is_some() && self.headers.get(AUTHORIZATION) == self.of_url.as_ref() {
            self.headers.remove(AUTHORIZATION);
        }
        self.of_url = None;
    }

    /// Adds a header field line.
    ///
    /// # Errors
    /// `invalid_request` for a name that is no token or a value with control characters.
    pub fn append_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        self.append_header_bytes(name, value.as_bytes())
    }

    /// Likewise, of a value that is not UTF-8, such as Latin-1.
    ///
    /// # Errors
    /// As [`append_header`](Request::append_header).
    pub fn append_header_bytes(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        let (name, value) = field_of_bytes(name, value)?;
        if name == TRANSFER_ENCODING {
            return Err(invalid(
                "header \"transfer-encoding\": is written by the connection, which knows how the body goes out; leave it out",
            ));
        }
        if name == AUTHORIZATION {
            self.forget_url_credentials();
        }
        self.headers.append(name, value);
        Ok(())
    }

    /// Leaves out a header field that the client has for all its requests, and one that was set.
    ///
    /// # Errors
    /// `invalid_request` for a name that is no token.
    pub fn omit_header(&mut self, name: &str) -> Result<(), Error> {
        let (name, _) = field(name, "")?;
        self.headers.remove(&name);
        self.without.push(name);
        Ok(())
    }

    /// Sets a header field, in place of all lines with this name.
    ///
    /// # Errors
    /// As [`append_header`](Request::append_header).
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        self.remove_header(name);
        self.append_header(name, value)
    }

    /// Removes all lines with this name.
    pub fn remove_header(&mut self, name: &str) {
        self.headers.remove(name);
    }

    /// Sends it elsewhere; the header fields stay, but for credentials that came in the URL before if this one is of another origin. As in [`new`](Request::new).
    ///
    /// # Errors
    /// `invalid_request` for a URL that cannot be sent to.
    pub fn set_url(&mut self, url: &str) -> Result<(), Error> {
        let url = parse_url(url)?;
        if url.origin() != self.url.origin() {
            self.forget_url_credentials();
        }
        self.url = url;
        self.settle_url()?;
        self.lent = false;
        Ok(())
    }

    /// Appends pairs to the URL's query, percent-encoded.
    ///
    /// # Errors
    /// `invalid_request` if the URL becomes longer than HTTP carries (65,534 bytes); it has some of the pairs then.
    pub fn append_query<K: AsRef<str>, V: AsRef<str>>(&mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<(), Error> {
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            let length = [self.url.as_str(), name, value].iter().map(|text| text.len()).sum();
            if length > LONGEST_URL {
                return Err(too_long(length));
            }
            self.url.query_pairs_mut().append_pair(name, value);
        }
        check_url(&self.url)
    }

    /// Sets basic credentials, in place of any there are.
    pub fn set_basic_auth(&mut self, user: &str, password: &str) {
        self.headers.insert(AUTHORIZATION, super::auth::basic(user.as_bytes(), password.as_bytes()));
    }

    /// Sets a bearer token, in place of any credentials there are.
    ///
    /// # Errors
    /// `invalid_request` for a token with control characters.
    pub fn set_bearer_auth(&mut self, token: &str) -> Result<(), Error> {
        let value =
            super::auth::bearer(token).ok_or_else(|| invalid("bearer token: must not contain control characters such as line breaks"))?;
        self.headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// Sets a form body (`application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// `invalid_request` if it does not fit into memory.
    pub fn set_form<K: AsRef<str>, V: AsRef<str>>(&mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<(), Error> {
        let mut text = String::new();
        let encoded = |part: &str| url::form_urlencoded::byte_serialize(part.as_bytes()).map(str::len).sum::<usize>();
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            memory::reserve("form", &mut text, encoded(name) + encoded(value) + 2)?;
            url::form_urlencoded::Serializer::new(&mut text).append_pair(name, value);
        }
        self.set_content_type("application/x-www-form-urlencoded");
        self.body = text.into();
        Ok(())
    }

    /// Says what the body is, unless the caller says so, or wants nothing said.
    fn set_content_type(&mut self, value: &'static str) {
        if !self.without.contains(&CONTENT_TYPE) {
            self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(value));
        }
    }

    /// Sets a multipart body (`multipart/form-data`). Its content-type names the boundary and replaces any there is.
    pub fn set_multipart(&mut self, form: Multipart) {
        let (content_type, body) = form.into_body();
        if !self.without.contains(&CONTENT_TYPE) {
            self.headers.insert(CONTENT_TYPE, content_type);
        }
        self.body = body;
    }

    /// Sets the body. Empty by default.
    pub fn set_body(&mut self, body: impl Into<Body>) {
        self.body = body.into();
    }

    /// Sets a JSON body, and `content-type: application/json` if there is no content-type yet.
    ///
    /// # Errors
    /// `invalid_request` if the value cannot be JSON (a map with keys that are no strings), or does not fit into memory.
    pub fn set_json(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), Error> {
        let mut text = Written::default();
        serde_json::to_writer(&mut text, value).map_err(|error| match error.io_error_kind() {
            Some(std::io::ErrorKind::OutOfMemory) => text.too_large("json"),
            _ => invalid(format!("json: {error}")),
        })?;
        self.set_content_type("application/json");
        self.body = text.0.into();
        Ok(())
    }

    /// [`set_json`](Request::set_json) for a value that the caller has written as JSON.
    pub fn set_json_text(&mut self, text: impl Into<Body>) {
        self.set_content_type("application/json");
        self.body = text.into();
    }

    /// Has it tell where it comes from, with each hop anew.
    #[doc(hidden)]
    pub fn set_page(&mut self, page: Page) {
        self.page = Some(Box::new(page));
    }

    /// Writes what its first hop tells of that.
    pub(in crate::client) fn tell_page(&mut self) {
        if let Some(mut page) = self.page.take() {
            page.begin(self);
            self.page = Some(page);
        }
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
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
    pub(in crate::client) fn origin(&self) -> &str {
        &self.url[..Position::BeforePath]
    }

    /// A content-length that contradicts the body would hang the server or cut the body; of a stream it is the declared length.
    pub(in crate::client) fn settle_length(&mut self) -> Result<(), Error> {
        for value in self.headers.get_all(CONTENT_LENGTH) {
            let said = value.to_str().unwrap_or_default();
            let declared = said.parse().ok().filter(|_| said.bytes().all(|byte| byte.is_ascii_digit()));
            match (declared, self.body.length()) {
                (Some(declared), None) => self.body.declare(declared),
                (declared, length) if declared.is_some() && declared == length => {}
                (_, length) => {
                    let length = length.map_or("a number of bytes".to_owned(), |length| format!("{length} as the body is"));
                    return Err(invalid(format!("header \"content-length\": must be {length}, got {}; leave it out", ShownText(said))));
                }
            }
        }
        // Said twice, it would make the server refuse the request.
        if let Some(first) = self.headers.get(CONTENT_LENGTH).cloned() {
            self.headers.insert(CONTENT_LENGTH, first);
        }
        Ok(())
    }
}

/// Whether requests can be sent to a URL.
pub(in crate::client) fn check_url(url: &Url) -> Result<(), Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(format!("url: the scheme must be http or https, got {}", ShownText(url.scheme()))));
    }
    // Characters that URLs take and HTTP does not would otherwise fail inside the first attempt.
    if !carried(url.as_str()) || url.host_str().is_none_or(str::is_empty) {
        return Err(invalid(format!("url: not a URL that HTTP can carry: {}", redacted(url))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_seen_at_a_glance_is_so(text in "http://[a-zA-Z0-9._=&%+:-]{1,12}[/a-zA-Z0-9.?_=&%+:-]{0,20}") {
            if let Ok(url) = url::Url::parse(&text) && super::carried(url.as_str()) {
                prop_assert!(url.as_str().parse::<http::Uri>().is_ok(), "{url}");
            }
        }
    }
}
