//! Which proxy a request goes through, if any.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::origin::Origin;
use crate::client::transport::options::Proxy;
use crate::error::Error;
use crate::policy::ShownText;

/// The proxies of one client.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    http: Option<Via>,
    https: Option<Via>,
    none: NoProxy,
}

/// A proxy.
#[derive(Clone)]
pub(super) struct Via {
    pub(super) speaks: Speaks,
    pub(super) host: Host<String>,
    pub(super) port: u16,
    user: Option<(String, String)>,
}

/// How a proxy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Http,
    /// HTTP over TLS.
    Https,
    /// Names are resolved here.
    Socks5,
    /// Names are resolved by the proxy.
    Socks5h,
}

/// A way to a server, for messages.
pub(super) struct Route<'a> {
    pub(super) via: &'a Via,
    pub(super) origin: &'a Origin,
}

impl Proxies {
    /// What the option says, or the environment: `variable` gives its values.
    ///
    /// # Errors
    /// Kind `config`, with the name of the option or variable that cannot be used.
    pub(super) fn new(option: &Proxy, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        match option {
            Proxy::None => Ok(Proxies::default()),
            Proxy::Url(url) => {
                let via = Via::parse("proxy", url)?;
                Ok(Proxies { http: Some(via.clone()), https: Some(via), none: NoProxy::default() })
            }
            Proxy::Environment => Self::of_environment(variable),
        }
    }

    fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        // There HTTP_PROXY could be a header field of somebody's request.
        if variable("REQUEST_METHOD").is_some() {
            return Ok(Proxies::default());
        }
        let named =
            |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name).filter(|text| !text.is_empty())?)));
        let all = named(["ALL_PROXY", "all_proxy"]);
        let via = |names| match named(names).or_else(|| all.clone()) {
            Some((name, text)) => Via::parse(name, &text).map(Some),
            None => Ok(None),
        };
        let none = named(["NO_PROXY", "no_proxy"]).map(|(_, text)| NoProxy::parse(&text)).unwrap_or_default();
        Ok(Proxies { http: via(["HTTP_PROXY", "http_proxy"])?, https: via(["HTTPS_PROXY", "https_proxy"])?, none })
    }

    /// The proxy for requests to this host.
    pub(super) fn via(&self, secure: bool, host: &Host<String>, port: u16) -> Option<&Via> {
        let via = if secure { self.https.as_ref() } else { self.http.as_ref() };
        via.filter(|_| !self.none.matches(host, port))
    }
}

impl Via {
    /// A URL, or a host with perhaps a port for a proxy that speaks HTTP.
    fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| {
            let forms = "must be an http, https, socks5 or socks5h URL such as \"http://proxy:3128\"";
            Error::config(format!("{name}: {forms}, got {what}"))
        };
        let text = text.trim();
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let url = url.map_err(|error| wrong(&format!("one with {}", reason(error))).with_source(error))?;
        let (speaks, usual) = match url.scheme() {
            "http" => (Speaks::Http, 80),
            "https" => (Speaks::Https, 443),
            "socks5" => (Speaks::Socks5, 1080),
            "socks5h" => (Speaks::Socks5h, 1080),
            other => return Err(wrong(&format!("scheme {}", ShownText(other)))),
        };
        let host = match url.host() {
            // Schemes that the URL standard does not know keep addresses as names.
            Some(Host::Domain(name)) => match name.parse() {
                Ok(address) => Host::Ipv4(address),
                Err(_) if !name.is_empty() => Host::Domain(name.to_ascii_lowercase()),
                Err(_) => return Err(wrong("one without a host")),
            },
            Some(host) => host.to_owned(),
            None => return Err(wrong("one without a host")),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = (!url.username().is_empty() || url.password().is_some())
            .then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())));
        if matches!(speaks, Speaks::Socks5 | Speaks::Socks5h)
            && user.as_ref().is_some_and(|(user, password)| user.len() > 255 || password.len() > 255)
        {
            return Err(wrong("one whose user or password is longer than 255 bytes"));
        }
        Ok(Via { speaks, host, port: url.port().unwrap_or(usual), user })
    }

    /// User and password.
    pub(super) fn user(&self) -> Option<(&str, &str)> {
        self.user.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// What an HTTP proxy is told about the user.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.user()?;
        let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Its address alone.
impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {self}", self.speaks)
    }
}

impl fmt::Display for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}, for {}", self.via, self.origin)
    }
}

fn reason(error: url::ParseError) -> &'static str {
    match error {
        url::ParseError::InvalidPort => "a port that is none",
        url::ParseError::EmptyHost => "no host",
        _ => "a host that is none",
    }
}

/// Where no proxy is used, as curl reads it, and a port as requests does.
#[derive(Debug, Default)]
struct NoProxy(Vec<Rule>);

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    what: What,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Everything,
    Network(IpNet),
    /// The name and all below it.
    Name(String),
}

impl NoProxy {
    /// Entries between commas or white space. One that says nothing is passed over.
    fn parse(text: &str) -> Self {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        NoProxy(entries.filter_map(Rule::parse).collect())
    }

    fn matches(&self, host: &Host<String>, port: u16) -> bool {
        self.0.iter().any(|rule| rule.port.is_none_or(|only| only == port) && rule.what.matches(host))
    }
}

impl Rule {
    fn parse(entry: &str) -> Option<Self> {
        if let Some(network) = network(entry) {
            return Some(Rule { what: What::Network(network), port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        if let Some(network) = network(host) {
            return Some(Rule { what: What::Network(network), port });
        }
        if host == "*" {
            return Some(Rule { what: What::Everything, port });
        }
        let name = host.strip_prefix('*').unwrap_or(host).trim_start_matches('.').trim_end_matches('.');
        (!name.is_empty()).then(|| Rule { what: What::Name(name.to_ascii_lowercase()), port })
    }
}

/// An address or a network of them, IPv6 with or without brackets.
fn network(text: &str) -> Option<IpNet> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| bare.parse::<IpAddr>().ok().map(IpNet::from))
}

impl What {
    fn matches(&self, host: &Host<String>) -> bool {
        let address = match host {
            Host::Ipv4(address) => IpAddr::V4(*address),
            Host::Ipv6(address) => IpAddr::V6(*address),
            Host::Domain(name) => return self.matches_name(name.trim_end_matches('.')),
        };
        match self {
            What::Everything => true,
            What::Network(network) => network.contains(&address),
            What::Name(_) => false,
        }
    }

    fn matches_name(&self, name: &str) -> bool {
        match self {
            What::Everything => true,
            What::Network(_) => false,
            What::Name(suffix) => {
                let Some(at) = name.len().checked_sub(suffix.len()) else { return false };
                // A name of other letters has no boundary there.
                name.is_char_boundary(at) && name[at..].eq_ignore_ascii_case(suffix) && (at == 0 || name.as_bytes()[at - 1] == b'.')
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, Error> {
        Proxies::new(&Proxy::Environment, |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn via(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let url = Url::parse(url).unwrap();
        let proxies = proxies(variables).unwrap();
        let host = url.host().unwrap().to_owned();
        proxies.via(url.scheme() == "https", &host, url.port_or_known_default().unwrap()).map(|via| format!("{via:?}"))
    }

    #[test]
    fn the_environment_names_proxies() {
        let all = [("HTTP_PROXY", "http://a:1"), ("https_proxy", "b"), ("ALL_PROXY", "socks5h://u:p@c")];
        assert_eq!(via(&all, "http://x/").unwrap(), "Http a:1");
        assert_eq!(via(&all, "https://x/").unwrap(), "Http b:80");
        assert_eq!(via(&all[2..], "https://x/").unwrap(), "Socks5h c:1080");
        assert_eq!(via(&[("HTTP_PROXY", "")], "http://x/"), None, "empty is unset");
        assert_eq!(via(&[("HTTP_PROXY", "http://a"), ("REQUEST_METHOD", "GET")], "http://x/"), None);
        assert_eq!(via(&[("http_proxy", "socks5://127.0.0.1:9")], "http://x/").unwrap(), "Socks5 127.0.0.1:9");
        assert_eq!(via(&[("http_proxy", "https://[::1]")], "http://x/").unwrap(), "Https [::1]:443");
    }

    #[test]
    fn no_proxy_is_read_as_curl_does() {
        let rows: &[(&str, &str, bool)] = &[
            ("*", "http://127.0.0.1:8/", true),
            ("*", "http://[::1]/", true),
            ("a.test, *", "http://b.test/", true),
            ("example.com", "http://example.com/", true),
            ("example.com", "http://www.EXAMPLE.com./", true),
            (".example.com", "http://example.com/", true),
            ("*.example.com", "http://a.example.com/", true),
            ("example.com.", "http://example.com/", true),
            ("example.com", "http://notexample.com/", false),
            ("www.example.com", "http://example.com/", false),
            ("a.test b.test\tc.test", "http://b.test/", true),
            ("a.test b.test\tc.test", "http://c.test/", true),
            ("10.0.0.0/8", "http://10.1.2.3/", true),
            ("10.0.0.0/8", "http://11.1.2.3/", false),
            ("127.0.0.1", "http://127.0.0.1:99/", true),
            ("127.0.0.1:99", "http://127.0.0.1:99/", true),
            ("127.0.0.1:98", "http://127.0.0.1:99/", false),
            ("a.test:443", "https://a.test/", true),
            ("a.test:443", "http://a.test/", false),
            ("fd00::/8", "http://[fd00::1]/", true),
            ("[::1]:8", "http://[::1]:8/", true),
            ("::1", "http://[::1]:8/", true),
            (",, ,", "http://a.test/", false),
        ];
        for (none, url, direct) in rows {
            let found = via(&[("http_proxy", "http://p"), ("https_proxy", "http://p"), ("no_proxy", none)], url);
            assert_eq!(found.is_none(), *direct, "{none} {url}");
        }
    }

    #[test]
    fn a_variable_that_cannot_be_used_is_named() {
        let rows = [
            ("ftp://secret:x@p", "scheme \"ftp\""),
            ("http://", "no host"),
            ("junk://p", "scheme \"junk\""),
            ("http://p:99999", "a port that is none"),
            ("http://p:x", "a port that is none"),
            ("socks4://p", "scheme \"socks4\""),
            ("http://a b/", "a host that is none"),
            ("socks5://", "host"),
        ];
        for (text, what) in rows {
            for name in ["HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
                let error = proxies(&[(name, text)]).unwrap_err().to_string();
                assert!(error.contains(name) && error.contains(what) && !error.contains("secret"), "{name}={text}: {error}");
            }
        }
        let error = Proxies::new(&Proxy::Url("ftp://p".to_owned()), |_| None).unwrap_err().to_string();
        assert!(error.contains("proxy: must be"), "{error}");
    }

    #[test]
    fn who_we_are_is_told_and_not_shown() {
        let proxies = proxies(&[("http_proxy", "http://us%40er:p%3Ass@p")]).unwrap();
        let via = proxies.via(false, &Host::Domain("x".to_owned()), 80).unwrap();
        assert_eq!(via.authorization().unwrap(), "Basic dXNAZXI6cDpzcw==");
        assert!(!format!("{via:?} {via}").contains("us"));
    }
}
