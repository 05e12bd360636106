//! Whose call it is: what events, errors, timelines and logs say of a request, and the one writer of how a call ended.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "client")]
use std::time::Duration;

#[cfg(feature = "client")]
use crate::{record::StopReason, time::Measured};

/// What identifies a call. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Unique in the process, from 1.
    pub call_id: u64,
    /// The method that it was made with; `...` for one of more than 32 characters.
    pub method: String,
    /// The URL that it was made to, without userinfo, with `...` for the values of its query. Redirects do not change it.
    pub url: String,
    /// That URL's scheme, host and, unless it is the scheme's default, port.
    pub origin: String,
    /// What the caller names it, such as `orders.get` or `/orders/{id}`.
    pub name: Option<Arc<str>>,
}

impl Identity {
    /// An identity that was told elsewhere.
    pub fn new(call_id: u64, method: String, url: String, origin: String, name: Option<Arc<str>>) -> Self {
        Identity { call_id, method: shown_method(&method), url, origin, name }
    }

    /// Of one more call of this process, that of a function: it has no method and no URL.
    pub fn of_function(name: impl Into<Arc<str>>, origin: String) -> Self {
        Identity { call_id: next_call_id(), method: String::new(), url: String::new(), origin, name: Some(name.into()) }
    }

    /// How the call ended, in one line: `GET http://host/orders: 503 Service Unavailable after 2 attempts in 1.2s (budget_exhausted)`. What helps
    /// stands in `what` behind a semicolon, and here at the end.
    #[cfg(feature = "client")]
    pub(crate) fn ended(&self, what: &str, attempts: usize, elapsed: Duration, reason: StopReason) -> String {
        let (what, help) = what.split_once("; ").map_or((what, String::new()), |(what, help)| (what, format!("; {help}")));
        let attempts = match attempts {
            1 => "1 attempt".to_owned(),
            attempts => format!("{attempts} attempts"),
        };
        format!("{self}: {what} after {attempts} in {} ({reason}){help}", Measured(elapsed))
    }

    /// The first line of a timeline.
    pub(crate) fn headline(&self) -> String {
        match &self.name {
            Some(name) if !self.url.is_empty() => format!("{self} ({}, call {})\n", OneLine(name), self.call_id),
            _ => format!("{self} (call {})\n", self.call_id),
        }
    }
}

/// A method for people. One so long may be a key that was put into the wrong place.
pub(crate) fn shown_method(method: &str) -> String {
    if method.len() <= 32 { method.to_owned() } else { "...".to_owned() }
}

/// One more call of this process.
pub(crate) fn next_call_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Method and URL; of a function its name.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.url.is_empty() {
            return OneLine(self.name.as_deref().unwrap_or_default()).fmt(f);
        }
        write!(f, "{} {}", OneLine(&self.method), OneLine(&self.url))
    }
}

/// What others named, for lines of logs: what would end the line, or is not seen, is escaped.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(ends_a_line) {
            let shown = piece.trim_end_matches(ends_a_line);
            f.write_str(shown)?;
            piece[shown.len()..].chars().try_for_each(|end| end.escape_default().fmt(f))?;
        }
        Ok(())
    }
}

fn ends_a_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn a_call_is_one_line() {
        let name = "a\r\n\0b\u{2028}c";
        let function = Identity::of_function(name, String::new());
        assert_eq!((function.to_string().as_str(), function.name.as_deref()), ("a\\r\\n\\u{0}b\\u{2028}c", Some(name)));
        let request = Identity::new(7, "G\nT".into(), "/a\nb é".into(), String::new(), Some("x\ny".into()));
        assert_eq!(function.headline(), format!("{function} (call {})\n", function.call_id));
        assert_eq!(request.headline(), "G\\nT /a\\nb é (x\\ny, call 7)\n");
    }
}
