//! Matchers on the headers of responses and requests.

use std::ops::RangeInclusive;

use regex::bytes::Regex;

use super::outcome::{HeaderView, Headers};

/// Matches a response, or a request, by one of its headers.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderMatcher {
    /// The header's name, in lower case. `:status` stands for the status as text.
    pub name: String,
    /// What its value must be. Any field line may match; a missing header matches only `Present(false)`.
    pub test: Test,
    /// Turns the answer round (but a missing header still matches nothing but presence tests).
    pub invert: bool,
}

/// A test of one header value (bytes, surrounding white space removed).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Test {
    /// The whole value.
    Exact(String, IgnoreCase),
    /// Its beginning.
    Prefix(String, IgnoreCase),
    /// Its end.
    Suffix(String, IgnoreCase),
    /// Any part of it.
    Contains(String, IgnoreCase),
    /// A regular expression (no look-around, linear time) that matches the whole value.
    Regex(Box<Pattern>),
    /// A whole number in this range.
    Range(RangeInclusive<i64>),
    /// The header is there (`true`) or not (`false`).
    Present(bool),
}

/// Whether ASCII case is ignored.
pub type IgnoreCase = bool;

/// A regular expression as it was written, and compiled to match a whole value.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    ignore_case: IgnoreCase,
    compiled: Regex,
}

impl Pattern {
    /// Compiles a pattern; the error is the compiler's own text. At most 64 KiB compiled.
    pub fn new(text: &str, ignore_case: IgnoreCase) -> Result<Self, String> {
        let compile = |text: &str| {
            let mut builder = regex::bytes::RegexBuilder::new(text);
            let builder = builder.case_insensitive(ignore_case).dot_matches_new_line(true).size_limit(1 << 16);
            builder.build().map_err(|error| error.to_string())
        };
        // By itself first: `a)|(?:b` would be a pattern only together with the group that makes it match a whole value.
        compile(text)?;
        let compiled = compile(&format!("^(?:{text})$"))?;
        Ok(Pattern { text: text.to_owned(), ignore_case, compiled })
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether ASCII case is ignored.
    pub fn ignore_case(&self) -> IgnoreCase {
        self.ignore_case
    }
}

impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        use Test::{Contains, Exact, Prefix, Present, Range, Regex, Suffix};
        match (self, other) {
            (Exact(a, i), Exact(b, j)) | (Prefix(a, i), Prefix(b, j)) | (Suffix(a, i), Suffix(b, j)) | (Contains(a, i), Contains(b, j)) => {
                a == b && i == j
            }
            (Regex(a), Regex(b)) => a.text == b.text && a.ignore_case == b.ignore_case,
            (Range(a), Range(b)) => a == b,
            (Present(a), Present(b)) => a == b,
            _ => false,
        }
    }
}

impl HeaderMatcher {
    /// Whether a response with this status and these headers matches.
    pub(super) fn matches(&self, status: u16, headers: HeaderView<'_>) -> bool {
        if self.name == ":status" {
            let digits = [b'0' + (status / 100 % 10) as u8, b'0' + (status / 10 % 10) as u8, b'0' + (status % 10) as u8];
            return match self.test {
                Test::Present(present) => present != self.invert,
                _ => self.test.matches(&digits) != self.invert,
            };
        }
        self.matches_line(headers)
    }

    /// Whether a request with these headers (`:method` and its like among them) matches.
    pub(crate) fn matches_request(&self, headers: &dyn Headers) -> bool {
        self.matches_line(HeaderView(headers))
    }

    fn matches_line(&self, headers: HeaderView<'_>) -> bool {
        if let Test::Present(present) = self.test {
            return (headers.has(&self.name) == present) != self.invert;
        }
        let (mut there, mut hit) = (false, false);
        headers.each(&self.name, &mut |value| {
            there = true;
            hit = hit || self.test.matches(value.trim_ascii());
        });
        there && hit != self.invert
    }
}

impl Test {
    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        let same = |part: &[u8], text: &str, ignore_case: bool| {
            if ignore_case { part.eq_ignore_ascii_case(text.as_bytes()) } else { part == text.as_bytes() }
        };
        match self {
            Test::Exact(text, ignore_case) => same(value, text, *ignore_case),
            Test::Prefix(text, ignore_case) => value.get(..text.len()).is_some_and(|part| same(part, text, *ignore_case)),
            Test::Suffix(text, ignore_case) => {
                value.len().checked_sub(text.len()).is_some_and(|start| same(&value[start..], text, *ignore_case))
            }
            Test::Contains(text, ignore_case) => text.is_empty() || value.windows(text.len()).any(|part| same(part, text, *ignore_case)),
            Test::Regex(pattern) => pattern.compiled.is_match(value),
            Test::Range(range) => {
                std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).is_some_and(|number| range.contains(&number))
            }
            Test::Present(present) => *present,
        }
    }
}
