//! Which requests a rule is for: by host, path, method, header fields and query.

use std::borrow::Cow;
use std::fmt;

use super::super::RequestHead;
use crate::retry::{HeaderMatcher, Headers, Test};

/// Which requests a rule is for: what is empty or absent is no matter, all else must match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestMatch {
    /// One of these hosts.
    pub hosts: Vec<HostPattern>,
    /// The path, without the query.
    pub path: Option<PathMatch>,
    /// One of these methods.
    pub methods: Vec<String>,
    /// All of these, of header fields and of `:method`, `:scheme`, `:authority` and `:path`.
    pub headers: Vec<HeaderMatcher>,
    /// All of these, of the parameters of the query. Names are in their own case.
    pub query: Vec<HeaderMatcher>,
}

/// A host: exact, or with one `*` at its beginning or end that stands for at least one letter, or `*` alone; with a port if that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// In lower case.
    pub(super) name: String,
    pub(super) port: Option<u16>,
}

/// A test of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum PathMatch {
    /// The whole path, its beginning, or a regular expression of all of it.
    Test(Test),
    /// A beginning that ends at a `/` or is all: `/shop` is `/shop` and `/shop/cart`, not `/shopping`.
    Segment(String),
}

impl HostPattern {
    /// `shop.test`, `*.shop.test`, `shop.test:8080`, `[::1]:8080`, `*`; `None` if it can be no host.
    pub fn new(text: &str) -> Option<Self> {
        let (name, port) = parted(text);
        let port = port.map(|port| port.parse().ok().filter(|port| *port > 0)).map_or(Some(None), |port| port.map(Some))?;
        let inner = name.strip_prefix('*').or_else(|| name.strip_suffix('*')).unwrap_or(name);
        let is_strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '*' | '@' | '?' | '#' | ',');
        let is_host = !name.is_empty() && name.len() <= 255 && !inner.contains(is_strange);
        is_host.then(|| HostPattern { name: name.to_ascii_lowercase(), port })
    }

    fn matches(&self, host: &str, port: Option<u16>) -> bool {
        let within = |prefix: &str, suffix: &str| {
            let (host, ends) = (host.as_bytes(), prefix.len() + suffix.len());
            host.len() > ends
                && host[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
                && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
        };
        let named = match (self.name.strip_prefix('*'), self.name.strip_suffix('*')) {
            (Some(suffix), _) => within("", suffix),
            (None, Some(prefix)) => within(prefix, ""),
            (None, None) => self.name.eq_ignore_ascii_case(host),
        };
        named && (self.port.is_none() || self.port == port)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Host and port of an authority.
fn parted(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

impl PathMatch {
    fn matches(&self, path: &str) -> bool {
        match self {
            PathMatch::Test(test) => test.matches(path.as_bytes()),
            PathMatch::Segment(start) => {
                let rest = path.strip_prefix(start.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

impl RequestMatch {
    /// Whether a request is one of them.
    pub fn matches(&self, request: &RequestHead<'_>) -> bool {
        let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
        self.methods_match(request.method)
            && self.hosts_match(request)
            && self.path.as_ref().is_none_or(|test| test.matches(path))
            && self.headers.iter().all(|matcher| matcher.matches_request(request))
            && (self.query.is_empty() || self.query_matches(&Query::of(query)))
    }

    fn query_matches(&self, query: &Query<'_>) -> bool {
        self.query.iter().all(|matcher| matcher.matches_request(query))
    }

    fn methods_match(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|known| known == method)
    }

    fn hosts_match(&self, request: &RequestHead<'_>) -> bool {
        if self.hosts.is_empty() {
            return true;
        }
        // Names and passwords are no part of the host.
        let authority = request.authority.rsplit_once('@').map_or(request.authority, |(_, authority)| authority);
        let (host, port) = parted(authority);
        let usual = match request.scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = port.map_or(usual, |port| port.parse().ok());
        self.hosts.iter().any(|pattern| pattern.matches(host, port))
    }
}

/// The parameters of a query, in the place of header fields: names in their own case, escapes as what they stand for.
struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    fn of(query: &'a str) -> Self {
        Query(form_urlencoded::parse(query.as_bytes()).collect())
    }
}

impl Headers for Query<'_> {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        self.0.iter().filter(|(key, _)| key == name).nth(index).map(|(_, value)| value.as_bytes())
    }
}
