//! A set in words: its rules, its policies, and which of them one request has.

use std::fmt::Write as _;

use super::super::problem::{Problem, document_name};
use super::super::{RequestHead, Value};
use super::document::match_value;
use super::{Chosen, PolicySet};
use crate::error::Error;

/// Rules that are shown.
const SHOWN: usize = 200;

/// A request as people write it: `GET http://shop.test/cart?id=1`.
struct Asked<'a> {
    method: &'a str,
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
}

impl<'a> Asked<'a> {
    /// The method may be left out: it is GET then.
    fn read(text: &'a str) -> Result<Self, Problem> {
        let wrong = |fix: &str| Problem::must("request", "be a method and an absolute http or https URL", &text.into()).fix(fix);
        let mut words = text.split_whitespace();
        let (method, url) = match (words.next(), words.next(), words.next()) {
            (Some(url), None, None) => ("GET", url),
            (Some(method), Some(url), None) => (method, url),
            _ => return Err(wrong("write for example \"GET http://shop.test/cart\"")),
        };
        super::super::validate::method("request", method)?;
        let parts =
            url.split_once("://").filter(|(scheme, rest)| matches!(*scheme, "http" | "https") && !rest.starts_with(['/', '?', '#']));
        let Some((scheme, rest)) = parts.filter(|(_, rest)| !rest.is_empty()) else {
            return Err(wrong("write for example \"GET http://shop.test/cart\""));
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
        Ok(Asked { method, scheme, authority, path: if path.is_empty() { "/" } else { path } })
    }
}

impl PolicySet {
    /// The rules and the policies in words: [`Policy::explain`](super::super::Policy::explain) of each.
    pub fn explain(&self) -> String {
        let mut out = String::new();
        if let ([only], []) = (self.policies(), self.rules()) {
            self.told(&mut out);
            out.push_str(&only.explain());
            return out;
        }
        // Writing to a String cannot fail.
        out.push_str("rules:\n");
        for (i, rule) in self.rules().iter().enumerate().take(SHOWN) {
            let _ = writeln!(out, "  {}. {}: {}", i + 1, match_value(&rule.matching), self.name(rule.policy));
        }
        if self.rules().len() > SHOWN {
            let _ = writeln!(out, "  ... {} rules", self.rules().len());
        }
        let _ = writeln!(out, "default: {}", self.default_name().map_or_else(|| "reknock's own".to_owned(), document_name));
        self.told(&mut out);
        for loaded in self.policies() {
            out.push('\n');
            out.push_str(&loaded.explain());
        }
        out
    }

    fn name(&self, at: usize) -> String {
        self.policies()[at].name.as_deref().map_or_else(|| "the only one".to_owned(), document_name)
    }

    fn told(&self, out: &mut String) {
        for note in self.notes() {
            let _ = writeln!(out, "note: {note}");
        }
    }

    /// The policy of a request that is written as a method and a URL, `GET http://shop.test/cart`; a URL alone means GET. It has no header fields.
    ///
    /// # Errors
    /// `config` if it is no such text.
    pub fn for_text(&self, request: &str) -> Result<Chosen<'_>, Error> {
        Ok(self.asked(&Asked::read(request)?))
    }

    fn asked(&self, asked: &Asked<'_>) -> Chosen<'_> {
        let Asked { method, scheme, authority, path } = *asked;
        let none: &[(&str, &str)] = &[];
        self.for_request(&RequestHead { method, scheme, authority, path, headers: &none })
    }

    /// Which policy such a request has, why, and what that says.
    ///
    /// # Errors
    /// As [`PolicySet::for_text`].
    pub fn explain_for(&self, request: &str) -> Result<String, Error> {
        let asked = Asked::read(request)?;
        let Chosen { policy, name, rule } = self.asked(&asked);
        // Values of a query may be secrets.
        let path = asked.path.split('?').next().unwrap_or_default();
        let mut out = document_name(&format!("{} {}://{}{path}", asked.method, asked.scheme, asked.authority));
        let _ = match (rule, name) {
            (Some(number), _) => {
                let rule = &self.rules()[number - 1];
                let name = self.name(rule.policy);
                writeln!(out, ": rule {number} of {}, {}: {name}", self.rules().len(), match_value(&rule.matching))
            }
            (None, Some(name)) => writeln!(out, ": no rule matches: the default, {}", document_name(name)),
            (None, None) if self.rules().is_empty() && self.0.default.is_some() => writeln!(out, ": the only policy"),
            (None, None) => writeln!(out, ": no rule matches, and there is no default: reknock's own"),
        };
        out.push('\n');
        let loaded = self.policies().iter().find(|loaded| std::ptr::eq(&raw const loaded.policy, policy));
        out.push_str(&loaded.map_or_else(|| policy.explain(), super::super::Loaded::explain));
        Ok(out)
    }

    /// The same for programs: `{rule, policy, match}`, each null where there is none; rules are counted from 1.
    ///
    /// # Errors
    /// As [`PolicySet::for_text`].
    pub fn rule_for(&self, request: &str) -> Result<Value, Error> {
        let Chosen { name, rule, .. } = self.for_text(request)?;
        let matching = rule.map(|number| match_value(&self.rules()[number - 1].matching));
        let number = rule.and_then(|number| i64::try_from(number).ok());
        Ok(Value::from([("rule", Value::from(number)), ("policy", Value::from(name)), ("match", Value::from(matching))]))
    }
}
