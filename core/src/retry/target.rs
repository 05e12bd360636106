//! What a driver is told of a request before it is sent.

use std::borrow::Cow;

use super::outcome::{HeaderView, Headers};
use crate::policy::RequestHead;

/// The request of a call that somebody else sends, or of its next redirect hop.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The request method, case-sensitive.
    pub method: &'a str,
    /// Where it goes: a URL, by whose scheme, host and port the budget is found, or any name for what is no URL.
    pub origin: &'a str,
    /// Its header fields. An `Idempotency-Key` among them counts, and so does what a retry loop above says of itself.
    pub headers: &'a dyn Headers,
    /// Whether it carries an `Idempotency-Key` that is not among `headers`.
    pub has_idempotency_key: bool,
}

impl<'a> Target<'a> {
    /// A request of which no more is known.
    pub fn new(method: &'a str, origin: &'a str) -> Self {
        Target { method, origin, headers: &NO_HEADERS, has_idempotency_key: false }
    }

    /// Whether it carries an `Idempotency-Key`.
    pub fn carries_key(&self) -> bool {
        self.has_idempotency_key || HeaderView(self.headers).has("idempotency-key")
    }

    pub(super) fn head(&self) -> RequestHead<'a> {
        let (scheme, authority, path) = parts(self.origin);
        RequestHead { method: self.method, scheme, authority, path, headers: self.headers }
    }
}

/// The number of the retry that a loop above says a request with these header fields is, from 1: SDKs count in fields of their own.
pub fn outer_retry(headers: &dyn Headers) -> Option<u32> {
    let text = |name| HeaderView(headers).first(name).and_then(|value| std::str::from_utf8(value).ok());
    let stainless = || text("x-stainless-retry-count")?.trim().parse().ok();
    let aws = || {
        let fields = text("amz-sdk-request")?.split(';');
        let attempt = fields.filter_map(|field| field.trim().strip_prefix("attempt=")).next()?;
        attempt.parse::<u32>().ok()?.checked_sub(1)
    };
    stainless().or_else(aws).filter(|retry| *retry > 0)
}

const NO_HEADERS: &[(&str, &str)] = &[];

/// Scheme, authority and path of a URL; all of a name that is none is its authority.
fn parts(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = if scheme.is_empty() { rest.len() } else { rest.find(['/', '?', '#']).unwrap_or(rest.len()) };
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (scheme, host, if path.starts_with('/') { path } else { "/" })
}

/// What budgets are kept by, as a client has it: scheme, host and, unless it is the scheme's default, port, in lower case; a name that is no
/// URL as it is.
pub fn origin_of(url: &str) -> Cow<'_, str> {
    let (scheme, host, _) = parts(url);
    if scheme.is_empty() {
        return url.into();
    }
    let default = match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => ":80",
        _ if scheme.eq_ignore_ascii_case("https") => ":443",
        _ => ":",
    };
    let host = host.strip_suffix(default).unwrap_or(host);
    let lower = |text: &str| !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let whole = &url[..(scheme.len() + 3 + host.len()).min(url.len())];
    if lower(scheme) && lower(host) && whole.ends_with(host) {
        return whole.into();
    }
    format!("{scheme}://{host}").to_ascii_lowercase().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_those_of_a_client() {
        for (url, origin) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://a.test/path?query#fragment", "http://a.test"),
            ("HTTPS://User:secret@A.Test:443/b@c", "https://a.test"),
            ("https://a.test:80?q", "https://a.test:80"),
            ("http://a.test:80", "http://a.test"),
            ("http://[::1]:80/", "http://[::1]"),
            ("http://[::1]", "http://[::1]"),
            ("http://aa@aa", "http://aa"),
            ("payments", "payments"),
            ("Pay/ments?", "Pay/ments?"),
            ("", ""),
        ] {
            assert_eq!(origin_of(url), origin, "{url}");
        }
    }

    #[test]
    fn retries_of_loops_above() {
        for (name, value, retry) in [
            ("x-stainless-retry-count", "0", None),
            ("x-stainless-retry-count", "2", Some(2)),
            ("x-stainless-retry-count", "many", None),
            ("amz-sdk-request", "attempt=1; max=3", None),
            ("amz-sdk-request", "ttl=20261130T000000Z; attempt=3; max=3", Some(2)),
            ("amz-sdk-request", "attempt=0", None),
        ] {
            let headers: &[(&str, &str)] = &[(name, value)];
            assert_eq!(outer_retry(&headers), retry, "{name}: {value}");
        }
    }
}
