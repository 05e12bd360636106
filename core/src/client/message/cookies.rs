//! Cookies (RFC 6265 with the rules of its successor for prefixes and secure cookies). The store is that of `cookie_store`; which domains are public
//! suffixes is a list of ours.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cookie_store::{CookieStore, RawCookie};
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use url::{Host, Url};

use super::suffixes;
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::system::process::PerProcess;
use crate::error::Error;
use crate::policy::{ShownText, path_name};

/// The longest name with its value, in bytes, as browsers have it.
const LONGEST: usize = 4096;

/// The longest life, in seconds, as browsers have it: 400 days.
const LONGEST_LIFE: u64 = 400 * 86_400;

/// The most cookies of a jar: no server may fill the memory.
const MOST: usize = 3000;

/// A jar of cookies: what servers set is kept, and sent back where it belongs.
///
/// Cheap to clone, clones are the same jar; may be used from any thread. A forked child goes on with what was in it. Expiry goes by the system's clock.
#[derive(Clone, Default)]
pub struct Cookies(Arc<Jar>);

struct Jar(PerProcess<Mutex<Kept>>);

#[derive(Clone, Default)]
struct Kept {
    store: CookieStore,
    /// Those without a domain: for the origins that calls name themselves.
    plain: Vec<(String, String)>,
}

/// One cookie of a jar.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The domain that it is for; `None` if it was given without one.
    pub domain: Option<String>,
    /// The path that it is for.
    pub path: String,
}

impl Kept {
    /// Whether there is room for one more, after those that have expired are gone.
    fn has_room(&mut self) -> bool {
        let all = self.store.iter_any().count();
        if all < MOST {
            return true;
        }
        if self.store.iter_unexpired().count() == all {
            return false;
        }
        let store = CookieStore::from_cookies(self.store.iter_unexpired().cloned().map(Ok::<_, Error>), false);
        self.store = store.unwrap_or_default();
        true
    }
}

impl Default for Jar {
    fn default() -> Self {
        Jar(PerProcess::new())
    }
}

impl Cookies {
    /// An empty jar.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What a thread that is gone in a forked child was about to change is not looked at.
        let made = self.0.0.get_or_try_make(|parents| {
            let copy = parents.and_then(|parents| parents.try_lock().ok().map(|kept| kept.clone()));
            Ok::<_, std::convert::Infallible>(Mutex::new(copy.unwrap_or_default()))
        });
        let Ok(kept) = made;
        kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a cookie without a domain. It goes along to whatever origin a call names, not to where redirects lead it.
    ///
    /// # Errors
    /// `config` for a name or a value that no header can carry. Values are not shown.
    pub fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        let bad = |byte: u8| byte <= b' ' || byte == 0x7f || matches!(byte, b';' | b',');
        if name.is_empty() || name.bytes().any(|byte| bad(byte) || byte == b'=') {
            return Err(Error::config(format!("cookies: a name must be a token, got {}", ShownText(name))));
        }
        if value.bytes().any(bad) {
            return Err(Error::config(format!(
                "cookies.{}: the value must not hold spaces, commas, semicolons or control characters",
                path_name(name)
            )));
        }
        let mut kept = self.kept();
        kept.plain.retain(|(known, _)| known != name);
        kept.plain.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Takes a `Set-Cookie` line as if `url` had answered with it. False if the rules refuse it, or it takes a cookie away.
    pub fn store(&self, url: &Url, line: &str) -> bool {
        let Ok(mut cookie) = RawCookie::parse(Cow::Borrowed(line)) else { return false };
        let carried = [cookie.name(), cookie.value()].iter().all(|text| HeaderValue::from_bytes(text.as_bytes()).is_ok());
        if cookie.name().is_empty() || cookie.name().len() + cookie.value().len() > LONGEST || !carried || !is_allowed(&mut cookie, url) {
            return false;
        }
        let Ok(cookie) = cookie_store::Cookie::try_from_raw_cookie(&cookie, url).map(cookie_store::Cookie::into_owned) else {
            return false;
        };
        let mut kept = self.kept();
        let known = cookie.domain.as_cow().is_some_and(|domain| kept.store.contains_any(&domain, &cookie.path, cookie.name()));
        if !known && !kept.has_room() {
            return false;
        }
        matches!(kept.store.insert(cookie, url), Ok(cookie_store::StoreAction::Inserted | cookie_store::StoreAction::UpdatedExisting))
    }

    /// What a request to `url` carries: the value of its `cookie` header. None if there is nothing.
    pub fn header(&self, url: &Url) -> Option<String> {
        self.line(url, true)
    }

    /// `named` if the call names this origin itself.
    pub(in crate::client) fn value(&self, url: &Url, named: bool) -> Option<HeaderValue> {
        self.line(url, named).and_then(|line| HeaderValue::from_bytes(line.as_bytes()).ok())
    }

    fn line(&self, url: &Url, named: bool) -> Option<String> {
        let kept = self.kept();
        let mut found = kept.store.matches(url);
        // Longer paths first; else in an order that does not change from one call to the next.
        found.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.name().to_owned()));
        let mut pairs: Vec<(&str, &str)> = found.iter().map(|cookie| cookie.name_value()).collect();
        if named {
            let set: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
            pairs.extend(kept.plain.iter().filter(|(name, _)| !set.contains(&name.as_str())).map(|(name, value)| (&**name, &**value)));
        }
        let line: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some(line.join("; ")).filter(|line| !line.is_empty())
    }

    /// Keeps what a response sets.
    pub(in crate::client) fn keep(&self, url: &Url, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            if let Ok(line) = std::str::from_utf8(line.as_bytes()) {
                self.store(url, line);
            }
        }
    }

    /// The cookies that have not expired, by domain, path and name.
    pub fn list(&self) -> Vec<Cookie> {
        let kept = self.kept();
        let stored = kept.store.iter_unexpired().map(|cookie| Cookie {
            name: cookie.name().to_owned(),
            value: cookie.value().to_owned(),
            domain: cookie.domain.as_cow().map(Cow::into_owned),
            path: String::from(&cookie.path),
        });
        let plain = kept.plain.iter().map(|(name, value)| (name.clone(), value.clone()));
        let plain = plain.map(|(name, value)| Cookie { name, value, domain: None, path: "/".to_owned() });
        let mut all: Vec<Cookie> = stored.chain(plain).collect();
        all.sort_by(|a, b| (&a.domain, &a.path, &a.name).cmp(&(&b.domain, &b.path, &b.name)));
        all
    }

    /// Takes all cookies away.
    pub fn clear(&self) {
        *self.kept() = Kept::default();
    }
}

/// Names alone: values are secrets.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list().iter().map(|cookie| &cookie.name)).finish()
    }
}

/// What the store does not look at: public suffixes, prefixes of names, and secure cookies from where anybody could have written them.
fn is_allowed(cookie: &mut RawCookie<'_>, url: &Url) -> bool {
    let encrypted = url.scheme() == "https";
    let secure = cookie.secure().unwrap_or(false);
    let starts = |prefix: &str| cookie.name().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if (secure && !encrypted)
        || (starts("__Secure-") && !secure)
        || (starts("__Host-") && !(secure && cookie.domain().is_none() && cookie.path() == Some("/")))
    {
        return false;
    }
    let most = cookie_store::RawCookie::build(("", ""))
        .max_age(Duration::from_secs(LONGEST_LIFE).try_into().unwrap_or_default())
        .build()
        .max_age();
    let expires = cookie.max_age().is_none().then(|| cookie.expires_datetime()).flatten();
    let latest = u64::try_from(TokioClock.wall().0).unwrap_or(0) / 1000 + LONGEST_LIFE;
    if cookie.max_age() > most || expires.is_some_and(|at| SystemTime::from(at) > UNIX_EPOCH + Duration::from_secs(latest)) {
        cookie.set_max_age(most);
    }
    let Some(domain) = cookie.domain().map(|domain| domain.trim_start_matches('.')) else { return true };
    // As hosts of URLs are written, which the list and the store go by.
    let domain = Host::parse(domain).map_or_else(|_| domain.to_ascii_lowercase(), |host| host.to_string());
    if matches!(url.host(), Some(Host::Domain(_))) && suffixes::is_public(&domain) {
        if url.host_str() != Some(&domain) {
            return false;
        }
        // A suffix may be a host, too: then it is for that alone.
        cookie.unset_domain();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// What a request to `to` carries after `from` has set these.
    fn carried(from: &str, lines: &[&str], to: &str) -> String {
        let jar = Cookies::new();
        for line in lines {
            jar.store(&url(from), line);
        }
        jar.header(&url(to)).unwrap_or_default()
    }

    #[test]
    fn cookies_go_where_they_belong() {
        for (from, line, to, expected) in [
            ("http://a.example.com/x/y", "a=1", "http://a.example.com/x/z", "a=1"),
            ("http://a.example.com/x/y", "a=1", "http://a.example.com/", ""),
            ("http://a.example.com/", "a=1", "http://b.example.com/", ""),
            ("http://a.example.com/", "a=1; Domain=example.com", "http://b.example.com/", "a=1"),
            ("http://a.example.com/", "a=1; Domain=.Example.com", "https://example.com/", "a=1"),
            ("http://a.example.com/", "a=1; Domain=other.com", "http://other.com/", ""),
            ("http://a.example.com/", "a=1; Domain=com", "http://b.com/", ""),
            ("http://a.co.uk/", "a=1; Domain=co.uk", "http://b.co.uk/", ""),
            ("http://a.xn--55qx5d.cn/", "a=1; Domain=xn--55qx5d.cn", "http://b.xn--55qx5d.cn/", ""),
            ("http://a.xn--55qx5d.cn/", "a=1; Domain=\u{516c}\u{53f8}.cn", "http://b.xn--55qx5d.cn/", ""),
            ("http://x.a.xn--55qx5d.cn/", "a=1; Domain=a.xn--55qx5d.cn", "http://y.a.xn--55qx5d.cn/", "a=1"),
            ("http://me.github.io/", "a=1; Domain=github.io", "http://you.github.io/", ""),
            ("http://github.io/", "a=1; Domain=github.io", "http://github.io/", "a=1"),
            ("http://github.io/", "a=1; Domain=github.io", "http://you.github.io/", ""),
            ("http://localhost:8000/", "a=1; Domain=localhost", "http://localhost:9000/", "a=1"),
            ("http://127.0.0.1:8000/", "a=1; Path=/", "http://127.0.0.1:9000/x", "a=1"),
            ("https://h.example/", "a=1; Secure", "https://h.example/", "a=1"),
            ("https://h.example/", "a=1; Secure", "http://h.example/", ""),
            ("http://h.example/", "a=1; Secure", "https://h.example/", ""),
            ("https://h.example/", "__Secure-a=1", "https://h.example/", ""),
            ("https://h.example/", "__Host-a=1; Secure; Path=/x", "https://h.example/x", ""),
            ("https://h.example/", "__Host-a=1; Secure; Path=/", "https://h.example/x", "__Host-a=1"),
            ("http://h.example/", "a=1; Max-Age=0", "http://h.example/", ""),
            ("http://h.example/", "a=1; Expires=Thu, 01 Jan 1970 00:00:01 GMT", "http://h.example/", ""),
            ("http://h.example/", "a=\"x y\"; HttpOnly; SameSite=Lax", "http://h.example/", "a=\"x y\""),
            ("http://h.example/", "nothing", "http://h.example/", ""),
            ("http://h.example/", "a=1; Max-Age=99999999999999", "http://h.example/", "a=1"),
            ("http://h.example/", "a=\x01; Path=/", "http://h.example/", ""),
            ("http://h.example/", "\x01=a; Path=/", "http://h.example/", ""),
            ("http://h.example/", "a=\x7f", "http://h.example/", ""),
            ("http://h.example/", "a=caf\u{e9}", "http://h.example/", "a=caf\u{e9}"),
        ] {
            assert_eq!(carried(from, &[line], to), expected, "{from} {line} {to}");
        }
        assert_eq!(carried("http://h.example/x/", &["b=1; Path=/", "a=2; Path=/", "c=3"], "http://h.example/x/"), "c=3; a=2; b=1");
        assert_eq!(carried("http://h.example/", &["a=1", "a=2"], "http://h.example/"), "a=2");
        assert_eq!(carried("http://h.example/", &["a=1", "a=2; Max-Age=-1"], "http://h.example/"), "");
    }

    /// Whatever a server wants, whether it names a domain or not.
    #[test]
    fn no_cookie_lives_longer_than_400_days() {
        let (jar, from) = (Cookies::new(), url("http://a.example.com/"));
        let far = "Expires=Fri, 31 Dec 9999 23:59:59 GMT";
        for (name, rest) in
            [("a", "Max-Age=99999999999"), ("b", far), ("c", "Domain=example.com; Max-Age=99999999999"), ("d", "Max-Age=86400")]
        {
            assert!(jar.store(&from, &format!("{name}={name}; {rest}")), "{name}");
        }
        let latest = UNIX_EPOCH + Duration::from_secs(TokioClock.wall().0 as u64 / 1000 + LONGEST_LIFE + 1);
        let kept = jar.kept();
        for cookie in kept.store.iter_unexpired() {
            let cookie_store::CookieExpiration::AtUtc(at) = cookie.expires else { panic!("{}", cookie.name()) };
            assert!(SystemTime::from(at) <= latest, "{}", cookie.name());
        }
        assert_eq!(kept.store.iter_unexpired().count(), 4);
    }

    /// One that no header can carry must not take the others along.
    #[test]
    fn what_no_header_carries_is_not_kept() {
        let (jar, from) = (Cookies::new(), url("http://h.example/"));
        assert!(jar.store(&from, "a=1") && jar.store(&from, "b=\u{e9}") && !jar.store(&from, "c=\x01"));
        assert_eq!(jar.value(&from, true).unwrap().as_bytes(), "a=1; b=\u{e9}".as_bytes());
    }

    #[test]
    fn a_server_cannot_fill_the_memory() {
        let (jar, from) = (Cookies::new(), url("http://h.example/"));
        for number in 0..MOST + 100 {
            jar.store(&from, &format!("a{number}=1"));
        }
        assert_eq!(jar.list().len(), MOST);
        assert!(!jar.store(&from, &format!("b={}", "x".repeat(LONGEST))));
        for number in 0..MOST {
            jar.store(&from, &format!("a{number}=; Max-Age=0"));
        }
        assert!(jar.store(&from, "b=1"), "those that are gone make room");
        assert_eq!(jar.list().len(), 1);
    }

    #[test]
    fn those_without_a_domain() {
        let jar = Cookies::new();
        jar.set("a", "1").unwrap();
        jar.set("b", "2").unwrap();
        jar.store(&url("http://h.example/"), "a=3");
        assert_eq!(jar.header(&url("http://h.example/")).as_deref(), Some("a=3; b=2"));
        assert_eq!(jar.header(&url("http://other.example/")).as_deref(), Some("a=1; b=2"));
        assert_eq!(jar.value(&url("http://other.example/"), false), None);
        assert_eq!(format!("{jar:?}"), r#"["a", "b", "a"]"#);
        for (name, value, problem) in [
            ("a b", "secret", "cookies: a name must be a token, got \"a b\""),
            ("a", "sec;ret", "cookies.a: the value must not hold spaces, commas, semicolons or control characters"),
        ] {
            assert_eq!(jar.set(name, value).unwrap_err().to_string(), problem);
        }
        jar.clear();
        assert!(jar.list().is_empty());
    }
}
