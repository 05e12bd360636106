//! Configuration errors: `path: rule, got value; fix`. One place builds the text, so every message has one shape.

use std::fmt::Display;

use super::value::{ShownText, Value, shortened};
use crate::error::Error;

/// What is wrong with one value of a policy.
#[derive(Debug)]
pub(crate) struct Problem {
    path: String,
    rule: String,
    got: Option<String>,
    fixes: Vec<String>,
}

impl Problem {
    /// `path: rule`, for rules without a value received.
    pub(crate) fn new(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Problem { path: path.into(), rule: rule.into(), got: None, fixes: Vec::new() }
    }

    /// `path: must RULE, got VALUE`.
    pub(crate) fn must(path: impl Into<String>, rule: impl Display, got: &Value) -> Self {
        let problem = Problem { got: Some(got.shown().to_string()), ..Self::new(path, format!("must {rule}")) };
        match got {
            Value::Str(text) if is_template(text) => problem.fix("this is a template: render it first"),
            _ => problem,
        }
    }

    /// `path: must be one of a, b, got c; did you mean "b"?`
    pub(crate) fn one_of(path: impl Into<String>, names: impl Iterator<Item = &'static str> + Clone, got: &Value) -> Self {
        let near = match got {
            Value::Str(text) => nearest(text, names.clone()),
            _ => None,
        };
        let list: Vec<_> = names.collect();
        let rule = if list.len() == 1 { format!("be {}", list[0]) } else { format!("be one of {}", list.join(", ")) };
        Self::must(path, rule, got).maybe_fix(near.map(|name| format!("did you mean \"{name}\"?")))
    }

    /// Adds `; fix`.
    pub(crate) fn fix(mut self, fix: impl Display) -> Self {
        self.fixes.push(fix.to_string());
        self
    }

    /// Adds a fix if there is one.
    pub(crate) fn maybe_fix(self, fix: Option<impl Display>) -> Self {
        match fix {
            Some(fix) => self.fix(fix),
            None => self,
        }
    }

    /// The same problem with the path's keys, and the value, as `document` has them: the validator knows neither spelling.
    pub(crate) fn spelled(mut self, document: &Value) -> Self {
        let mut place = Some(document);
        let mut path = String::new();
        for key in self.path.split('.') {
            let (name, index) = key.split_at(key.find('[').unwrap_or(key.len()));
            let written = match place {
                Some(Value::Map(entries)) => entries.iter().find(|(written, _)| written == name || *written == camel(name)),
                _ => None,
            };
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(written.map_or(name, |(written, _)| written));
            path.push_str(index);
            place = written.map(|(_, value)| value);
            if let Ok(index) = index.trim_matches(['[', ']']).parse::<usize>() {
                place = match place {
                    Some(Value::List(items)) => items.get(index),
                    _ => None,
                };
            }
        }
        self.path = path;
        if let (Some(got), Some(value)) = (&mut self.got, place) {
            *got = value.shown().to_string();
        }
        self
    }
}

impl Problem {
    /// The same problem at the place in the original document that its part of ours was made from: `sources` are pairs of paths.
    pub(super) fn moved(mut self, sources: &[(String, String)]) -> Self {
        let within = |part: &str| self.path.strip_prefix(part).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let longest = sources.iter().filter(|(ours, _)| within(ours).is_some()).max_by_key(|(ours, _)| ours.len());
        if let Some((_, original)) = longest {
            self.path = original.clone();
        }
        self
    }

    /// The same problem with the line and column of its path, if that leads somewhere.
    #[cfg(feature = "documents")]
    pub(super) fn standing(mut self, place: impl FnOnce(&str) -> Option<(&'static str, (usize, usize))>) -> Self {
        if let Some((language, (line, column))) = place(&self.path) {
            self.path = format!("{language} line {line}, column {column}: {}", self.path);
        }
        self
    }

    /// The same problem in a part of a document, which stands there.
    pub(super) fn under(mut self, path: &str) -> Self {
        // `policy` is what a whole one is called.
        self.path = if self.path.is_empty() || self.path == "policy" { path.to_owned() } else { format!("{path}.{}", self.path) };
        self
    }

    /// The same problem, said to be in one of several documents.
    pub(super) fn within(mut self, place: &str) -> Self {
        self.path = placed(place, &self.path);
        self
    }
}

/// A path within one of several documents (`document 2`), unless it says already which one it is in.
pub(super) fn placed(place: &str, path: &str) -> String {
    match (place, path) {
        ("", path) => path.to_owned(),
        (place, "") => place.to_owned(),
        (_, path) if path.starts_with("document ") => path.to_owned(),
        (place, path) => format!("{place}, {path}"),
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let Problem { path, rule, got, fixes } = problem;
        let got = got.map(|got| format!(", got {got}")).unwrap_or_default();
        let fixes: String = fixes.iter().map(|fix| format!("; {fix}")).collect();
        Error::config(format!("{path}: {rule}{got}{fixes}"))
    }
}

/// Whether a text has the marks of a template, `{{ .. }}`.
pub(super) fn is_template(text: &str) -> bool {
    text.split_once("{{").is_some_and(|(_, rest)| rest.contains("}}"))
}

/// `max_retries` as `maxRetries`.
pub(crate) fn camel(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut upper = false;
    for letter in key.chars() {
        if letter == '_' {
            upper = true;
        } else {
            out.push(if upper { letter.to_ascii_uppercase() } else { letter });
            upper = false;
        }
    }
    out
}

/// A key as part of a path, on one line. A long one is told by its size: it may be a secret, in the wrong place.
pub(crate) fn path_name(name: &str) -> String {
    // No secret is as short as this.
    let is_short = name.chars().nth(20).is_none();
    if !is_short && ShownText(name).is_hidden() { format!("({})", ShownText(name)) } else { document_name(name) }
}

/// The name of something in a document: shortened, and on one line.
pub(super) fn document_name(name: &str) -> String {
    if name.is_empty() {
        return "\"\"".to_owned();
    }
    shortened(name).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The name among `names` that `text` was probably meant to be.
pub(crate) fn nearest<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let text = text.to_ascii_lowercase().replace('-', "_");
    if text.is_empty() || text.len() > 40 {
        return None;
    }
    let most = (text.len() / 3).max(1);
    let mut best: Option<(usize, &'n str)> = None;
    for name in names {
        let plain = name.to_ascii_lowercase().replace('-', "_");
        let mut far = distance(text.as_bytes(), plain.as_bytes());
        if far > most && text.len() >= 4 && plain.contains(&text) {
            far = most; // `retries` is meant to be `max_retries`
        }
        if far <= most && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Insertions, deletions, substitutions and swaps of neighbours between two texts.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{camel, nearest};

    #[test]
    fn finds_what_was_meant() {
        let names = ["max_retries", "timeout", "retry_on", "retry_after"];
        assert_eq!(nearest("max_retrys", names), Some("max_retries"));
        assert_eq!(nearest("retries", names), Some("max_retries"));
        assert_eq!(nearest("tiemout", names), Some("timeout"));
        assert_eq!(nearest("Retry-On", names), Some("retry_on"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
    }

    #[test]
    fn camel_case_is_mechanical() {
        assert_eq!(camel("max_retries"), "maxRetries");
        assert_eq!(camel("ttl"), "ttl");
        assert_eq!(camel("per_try_timeout"), "perTryTimeout");
    }
}
