//! Redirects: what the next request is. Pure; the executor follows.

use std::borrow::Cow;

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName,
    HeaderValue, LOCATION, PROXY_AUTHORIZATION, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{Method, StatusCode};
use percent_encoding::{CONTROLS, percent_encode};
use url::Url;

use super::body::Body;
use super::request::{Request, check_url};

/// What describes a body, and goes with it.
const OF_BODY: [HeaderName; 6] = [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, TRANSFER_ENCODING];

/// What is meant for one origin alone.
const OF_ORIGIN: [HeaderName; 6] = [AUTHORIZATION, COOKIE, HeaderName::from_static("cookie2"), PROXY_AUTHORIZATION, WWW_AUTHENTICATE, HOST];

/// Which redirects are followed: 301, 302, 303, 307 and 308 with a `Location` that leads somewhere. If that is empty, a fragment alone (`#top`), no URL or none
/// of http or https (`data:`), the response is the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirects {
    /// Whether any are followed; if not, their responses are results. Default on.
    pub follow: bool,
    /// The most that are followed in one call; one more is an error. 0 follows none: their responses are results. Default 20.
    pub max: u32,
    /// Whether a redirect from https to http is followed; if not, its response is the result. Default off.
    pub allow_downgrade: bool,
}

impl Default for Redirects {
    fn default() -> Self {
        Redirects { follow: true, max: 20, allow_downgrade: false }
    }
}

/// What a response means for the call.
pub(in crate::client) enum Hop {
    /// It is the result.
    None,
    /// It leads on, but the body that would have to go with it cannot be produced again.
    BodyGone,
    /// This request is sent next.
    To(Box<Request>),
}

/// The next request after a response from `at`, which is the URL of `request` unless a callback sent that attempt elsewhere (RFC 9110 section 15.4, with the method changes of the Fetch standard).
pub(in crate::client) fn hop(request: &Request, at: &Url, status: u16, headers: &HeaderMap, rules: Redirects) -> Hop {
    if !rules.follow || rules.max == 0 || !is_redirect(status) {
        return Hop::None;
    }
    let Some(target) = headers.get(LOCATION).and_then(|location| target(at, location)) else { return Hop::None };
    let downgrade = at.scheme() == "https" && target.scheme() == "http";
    if downgrade && !rules.allow_downgrade {
        return Hop::None;
    }

    let mut next = request.clone();
    next.method = method_after(status, &request.method);
    if next.method != request.method || (status == 303 && request.body.length() != Some(0)) {
        next.body = Body::default();
        OF_BODY.iter().for_each(|name| drop(next.headers.remove(name)));
    } else if !request.body.is_replayable() {
        return Hop::BodyGone;
    }
    if std::mem::take(&mut next.lent) {
        next.headers.remove(AUTHORIZATION);
    }
    if target.origin() != request.url.origin() {
        OF_ORIGIN.iter().for_each(|name| drop(next.headers.remove(name)));
    }
    if !target.username().is_empty() || target.password().is_some() {
        next.headers.remove(AUTHORIZATION);
    }
    next.url = target;
    next.take_userinfo();
    if let Some(mut page) = next.page.take() {
        if !page.follow(&request.url, headers, &mut next) {
            return Hop::None;
        }
        next.page = Some(page);
    }
    Hop::To(Box::new(next))
}

/// Whether a response is a redirect whose location leads nowhere, so that nobody can follow it.
pub(super) fn leads_nowhere(at: &Url, status: StatusCode, headers: &HeaderMap) -> bool {
    is_redirect(status.as_u16()) && headers.get(LOCATION).is_some_and(|location| target(at, location).is_none())
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Where a location leads. `None` if it leads nowhere: back to the same document (empty, or a fragment alone, which would be followed for ever), to what is no
/// URL, or to what HTTP cannot ask for (`data:`). The caller may know what to do with such a response.
fn target(from: &Url, location: &HeaderValue) -> Option<Url> {
    let location = text(location);
    let location = location.trim();
    if location.is_empty() || location.starts_with('#') {
        return None;
    }
    from.join(location).ok().filter(|target| check_url(target).is_ok())
}

/// A location as text. Bytes in no known encoding are sent back as they are, percent-encoded.
fn text(location: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(location.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => percent_encode(location.as_bytes(), CONTROLS).into(),
    }
}

fn method_after(status: u16, method: &Method) -> Method {
    match (status, method) {
        (301 | 302, &Method::POST) => Method::GET,
        (303, method) if method != Method::HEAD => Method::GET,
        _ => method.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_in_no_encoding_is_followed_byte_by_byte() {
        let request = Request::new("GET", "http://h/a/b").unwrap();
        for (location, target) in [
            (&b"/caf\xe9?q=\xff%20"[..], "http://h/caf%E9?q=%FF%20"),
            (b"c\xe9", "http://h/a/c%E9"),
            ("/caf\u{e9}".as_bytes(), "http://h/caf%C3%A9"),
        ] {
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(location).unwrap())]);
            let Hop::To(next) = hop(&request, &request.url, 302, &headers, Redirects::default()) else {
                panic!("not followed: {location:?}")
            };
            assert_eq!(next.url.as_str(), target);
        }
    }

    /// Before the body is asked for: whether it could be sent again does not matter.
    #[test]
    fn a_location_that_leads_nowhere_makes_the_response_the_result() {
        let mut request = Request::new("POST", "http://h/a/b?q").unwrap();
        request.body = Body::stream(futures_util::stream::empty(), None);
        for location in ["", " ", "#", "#top", "http://", "http://[", "mailto:a@h"] {
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
            assert!(matches!(hop(&request, &request.url, 307, &headers, Redirects::default()), Hop::None), "{location:?}");
        }
    }
}
