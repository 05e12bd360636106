//! What a request says of the page it comes from, hop by hop, as the Fetch and the Referrer Policy standard have it. Pure; redirects ask it.

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER, REFERRER_POLICY};
use url::{Host, Origin, Url};

use super::request::Request;

/// The longest `referer`: of what is longer the origin alone is told.
const LONGEST: usize = 4096;

/// Where a call comes from, for what stands in for the platform's `fetch`: told as `referer` and `origin`, unless the caller sets these.
#[derive(Clone, Debug)]
pub struct Page {
    origin: Option<Origin>,
    /// What is told of at most. Each hop may leave less of it for the next.
    referrer: Option<Url>,
    policy: Policy,
    mode: Mode,
    /// A redirect led to another origin.
    strayed: bool,
    /// One did from an origin that is not the page's: nobody behind it is told whose the request is.
    tainted: bool,
    /// Those of the two fields that are the caller's.
    taken: [bool; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    NoReferrer,
    NoReferrerWhenDowngrade,
    SameOrigin,
    Origin,
    StrictOrigin,
    OriginWhenCrossOrigin,
    StrictOriginWhenCrossOrigin,
    UnsafeUrl,
}

const POLICIES: [(&str, Policy); 8] = [
    ("no-referrer", Policy::NoReferrer),
    ("no-referrer-when-downgrade", Policy::NoReferrerWhenDowngrade),
    ("same-origin", Policy::SameOrigin),
    ("origin", Policy::Origin),
    ("strict-origin", Policy::StrictOrigin),
    ("origin-when-cross-origin", Policy::OriginWhenCrossOrigin),
    ("strict-origin-when-cross-origin", Policy::StrictOriginWhenCrossOrigin),
    ("unsafe-url", Policy::UnsafeUrl),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Cors,
    NoCors,
    SameOrigin,
}

impl Page {
    /// From fetch's words: the page's URL, empty if there is none; `referrer` and `referrerPolicy` and `mode` as a `Request` has them. What the standards do
    /// not know is as if it were not said.
    pub fn new(url: &str, referrer: &str, policy: &str, mode: &str) -> Self {
        let url = Url::parse(url).ok();
        let named = url.as_ref().map_or_else(|| Url::parse(referrer), |url| url.join(referrer)).ok();
        let referrer = match (referrer, named, &url) {
            ("", ..) => None,
            // Nobody can speak for another page.
            (_, Some(named), Some(url)) if named.origin() == url.origin() => Some(named),
            (_, _, Some(url)) => Some(url.clone()),
            (_, named, None) => named,
        };
        Page {
            origin: url.map(|url| url.origin()),
            referrer: referrer.filter(|url| matches!(url.scheme(), "http" | "https")),
            policy: policy_of(policy).unwrap_or(Policy::StrictOriginWhenCrossOrigin),
            mode: match mode {
                "no-cors" => Mode::NoCors,
                "same-origin" => Mode::SameOrigin,
                _ => Mode::Cors,
            },
            strayed: false,
            tainted: false,
            taken: [false; 2],
        }
    }

    /// Before the first hop; the request has all its other fields.
    pub(super) fn begin(&mut self, request: &mut Request) {
        self.taken = [&REFERER, &ORIGIN].map(|name| request.headers.contains_key(name));
        self.tell(request);
    }

    /// Before a further hop, which a response from `from` leads to. False if the call must not go there.
    pub(super) fn follow(&mut self, from: &Url, answer: &HeaderMap, next: &mut Request) -> bool {
        if next.url.origin() != from.origin() {
            self.strayed = true;
            self.tainted |= self.origin.as_ref().is_some_and(|own| *own != from.origin());
        }
        if self.strayed && self.mode == Mode::SameOrigin {
            return false;
        }
        let told = answer.get_all(REFERRER_POLICY).iter().filter_map(|value| value.to_str().ok());
        if let Some(policy) = told.flat_map(|value| value.split(',')).filter_map(policy_of).next_back() {
            self.policy = policy;
        }
        self.tell(next);
        true
    }

    fn tell(&mut self, request: &mut Request) {
        self.referrer = self.referrer.take().and_then(|from| told_of(from, &request.url, self.policy));
        let referrer = self.referrer.as_ref().map(Url::as_str);
        let origin = self.origin_for(&request.method, &request.url);
        let [referrer_taken, origin_taken] = self.taken;
        set(&mut request.headers, REFERER, referrer, referrer_taken);
        set(&mut request.headers, ORIGIN, origin.as_deref(), origin_taken);
    }

    /// What is told of the page's origin: to whoever a redirect to another one leads to, and with methods that may change something.
    fn origin_for(&self, method: &Method, to: &Url) -> Option<String> {
        let own = self.origin.as_ref()?;
        let asked = self.strayed && self.mode == Mode::Cors;
        if !asked && matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let hidden = match self.policy {
            _ if self.tainted => true,
            // Servers decide by it whom they answer.
            _ if self.mode == Mode::Cors => false,
            Policy::NoReferrer => true,
            Policy::NoReferrerWhenDowngrade | Policy::StrictOrigin | Policy::StrictOriginWhenCrossOrigin => {
                matches!(own, Origin::Tuple(scheme, ..) if scheme == "https") && to.scheme() != "https"
            }
            Policy::SameOrigin => *own != to.origin(),
            Policy::Origin | Policy::OriginWhenCrossOrigin | Policy::UnsafeUrl => false,
        };
        Some(if hidden { "null".to_owned() } else { own.ascii_serialization() })
    }
}

fn policy_of(token: &str) -> Option<Policy> {
    let token = token.trim();
    POLICIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(token)).map(|(_, policy)| *policy)
}

/// What of a URL a request to another is told under a policy.
fn told_of(from: Url, to: &Url, policy: Policy) -> Option<Url> {
    let same = from.origin() == to.origin();
    let downgrade = is_trustworthy(&from) && !is_trustworthy(to);
    let whole = match policy {
        Policy::NoReferrer => return None,
        Policy::SameOrigin if !same => return None,
        Policy::StrictOrigin | Policy::NoReferrerWhenDowngrade if downgrade => return None,
        Policy::StrictOriginWhenCrossOrigin if !same && downgrade => return None,
        Policy::UnsafeUrl | Policy::NoReferrerWhenDowngrade | Policy::SameOrigin => true,
        Policy::OriginWhenCrossOrigin | Policy::StrictOriginWhenCrossOrigin => same,
        Policy::Origin | Policy::StrictOrigin => false,
    };
    let mut url = from;
    // Both setters fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    if !whole || url.as_str().len() > LONGEST {
        url.set_path("");
        url.set_query(None);
    }
    Some(url)
}

/// Whether nobody on the way can read what is sent there.
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
            None => false,
        }
}

/// Sets a field that is ours, or takes that of the hop before away.
fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>, taken: bool) {
    if taken {
        return;
    }
    match value.and_then(|value| HeaderValue::from_str(value).ok()) {
        Some(value) => drop(headers.insert(name, value)),
        None => drop(headers.remove(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::redirect::{Hop, Redirects, hop};
    use super::*;
    use http::header::LOCATION;

    /// What is told by a request from a page, and by those that redirects lead to: a line `referer origin` for each, `-` for nothing.
    fn told(page: [&str; 4], method: &str, url: &str, hops: &[(&str, &str)]) -> Vec<String> {
        let mut request = Request::new(method, url).unwrap();
        request.set_page(Page::new(page[0], page[1], page[2], page[3]));
        request.tell_page();
        let mut lines = vec![line(&request)];
        for (to, policy) in hops {
            let headers = HeaderMap::from_iter([
                (LOCATION, HeaderValue::from_str(to).unwrap()),
                (REFERRER_POLICY, HeaderValue::from_str(policy).unwrap()),
            ]);
            let rules = Redirects { allow_downgrade: true, ..Redirects::default() };
            match hop(&request, &request.url.clone(), 302, &headers, rules) {
                Hop::To(next) => request = *next,
                _ => lines.push("stays".to_owned()),
            }
            if lines.last().is_some_and(|last| last != "stays") {
                lines.push(line(&request));
            }
        }
        lines
    }

    fn line(request: &Request) -> String {
        let field = |name| request.headers.get(name).map_or("-", |value: &HeaderValue| value.to_str().unwrap());
        format!("{} {}", field(REFERER), field(ORIGIN))
    }

    const PAGE: &str = "https://u:p@a.test/page?q#here";

    #[test]
    fn policies() {
        let to = ["https://a.test/x", "https://b.test/x", "http://b.test/x"];
        let (whole, origin) = ("https://a.test/page?q", "https://a.test/");
        for (policy, expected) in [
            ("", [whole, origin, "-"]),
            ("nonsense", [whole, origin, "-"]),
            ("strict-origin-when-cross-origin", [whole, origin, "-"]),
            ("no-referrer", ["-", "-", "-"]),
            ("no-referrer-when-downgrade", [whole, whole, "-"]),
            ("same-origin", [whole, "-", "-"]),
            ("origin", [origin, origin, origin]),
            ("strict-origin", [origin, origin, "-"]),
            ("origin-when-cross-origin", [whole, origin, origin]),
            ("unsafe-url", [whole, whole, whole]),
        ] {
            for (to, expected) in to.iter().zip(expected) {
                assert_eq!(told([PAGE, "about:client", policy, "cors"], "GET", to, &[]), [format!("{expected} -")], "{policy} {to}");
            }
        }
    }

    #[test]
    fn referrers() {
        for (page, referrer, expected) in [
            ("", "about:client", "-"),
            ("", "http://a.test/of?mine#x", "http://a.test/of?mine"),
            ("", "http://b.test/of?mine", "http://b.test/"),
            ("", "ftp://a.test/x", "-"),
            ("http://a.test/page", "", "-"),
            ("http://a.test/page", "about:client", "http://a.test/page"),
            ("http://a.test/page", "other", "http://a.test/other"),
            ("http://a.test/page", "http://b.test/", "http://a.test/page"),
        ] {
            assert_eq!(told([page, referrer, "", "cors"], "GET", "http://a.test/x", &[]), [format!("{expected} -")], "{page} {referrer}");
        }
        let long = format!("http://a.test/{}", "x".repeat(LONGEST));
        assert_eq!(told([&long, "about:client", "", "cors"], "GET", "http://a.test/x", &[]), ["http://a.test/ -"]);
        let local = ["http://127.0.0.1/p", "http://[::1]/p", "http://localhost/p", "http://x.localhost./p"];
        for page in local {
            assert_eq!(told([page, "about:client", "", "cors"], "GET", "http://a.test/x", &[]), ["- -"], "{page}");
        }
    }

    #[test]
    fn origins() {
        let (a, b) = ("https://a.test", "https://b.test/x");
        for (method, mode, policy, to, expected) in [
            ("GET", "cors", "", b, "-"),
            ("HEAD", "cors", "", b, "-"),
            ("POST", "cors", "no-referrer", b, a),
            ("DELETE", "no-cors", "", b, a),
            ("POST", "no-cors", "no-referrer", b, "null"),
            ("POST", "no-cors", "same-origin", b, "null"),
            ("POST", "no-cors", "same-origin", "https://a.test/x", a),
            ("POST", "no-cors", "strict-origin", "http://b.test/x", "null"),
            ("POST", "no-cors", "unsafe-url", "http://b.test/x", a),
        ] {
            let lines = told([PAGE, "", policy, mode], method, to, &[]);
            assert_eq!(lines, [format!("- {expected}")], "{method} {mode} {policy} {to}");
        }
    }

    #[test]
    fn redirects() {
        let page = ["https://a.test/p", "about:client", "", "cors"];
        let (a, b, c) = ("https://a.test/x", "https://b.test/x", "https://c.test/x");
        assert_eq!(
            told(page, "GET", a, &[(a, ""), (b, ""), (a, "")]),
            [
                "https://a.test/p -",
                "https://a.test/p -",
                "https://a.test/ https://a.test",
                // It was cut on the way, and what led back was none of the page's.
                "https://a.test/ null",
            ]
        );
        assert_eq!(
            told(page, "POST", a, &[(a, ""), (b, "no-referrer, origin, none"), (c, "no-referrer")]),
            ["https://a.test/p https://a.test", "https://a.test/p -", "https://a.test/ https://a.test", "- null",]
        );
        let stays = ["https://a.test/p", "", "", "same-origin"];
        assert_eq!(told(stays, "GET", a, &[(a, ""), (b, "")]), ["- -", "- -", "stays"]);
        let silent = ["https://a.test/p", "", "", "no-cors"];
        assert_eq!(told(silent, "GET", a, &[(b, "")]), ["- -", "- -"]);
    }

    #[test]
    fn what_the_caller_sets_stays() {
        let mut request = Request::new("POST", "http://a.test/").unwrap();
        request.append_header("referer", "mine").unwrap();
        request.append_header("origin", "mine").unwrap();
        request.set_page(Page::new("http://a.test/p", "about:client", "", "cors"));
        request.tell_page();
        assert_eq!(line(&request), "mine mine");
    }
}
