//! A place in a document: a value and the path that leads to it, with the typed reads that every key shares.

use std::borrow::Cow;
use std::time::Duration;

use super::names::Names;
use super::options::OptionBlock;
use super::problem::{Problem, camel, nearest, path_name};
use super::read::Keys;
use super::validate;
use super::value::Value;
use crate::time::parse_duration;

/// A value of the document and where it stands.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(crate) path: String,
    pub(crate) value: Cow<'a, Value>,
    keys: Keys,
}

/// The entries of a block, all of them known.
pub(crate) struct Fields<'a> {
    path: String,
    entries: Vec<(&'static str, Node<'a>)>,
}

impl<'a> Node<'a> {
    /// The document itself.
    pub(crate) fn root(value: &'a Value, keys: Keys) -> Self {
        Node { path: String::new(), value: Cow::Borrowed(value), keys }
    }

    /// A value of a document with other keys than ours.
    pub(crate) fn at(path: impl Into<String>, value: &'a Value) -> Self {
        Node { path: path.into(), value: Cow::Borrowed(value), keys: Keys::Snake }
    }

    /// `path: must RULE, got VALUE`.
    pub(crate) fn must(&self, rule: impl std::fmt::Display) -> Problem {
        Problem::must(self.path.as_str(), rule, &self.value)
    }

    pub(crate) fn is_off(&self) -> bool {
        self.value.is_off()
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(*self.value, Value::Map(_))
    }

    pub(crate) fn str(&self) -> Option<&str> {
        match &*self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Text.
    pub(crate) fn text(&self) -> Result<&str, Problem> {
        self.str().ok_or_else(|| {
            let quoted = match &*self.value {
                Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some(format!("write \"{}\"", self.value.shown())),
                _ => None,
            };
            self.must("be text").maybe_fix(quoted)
        })
    }

    /// `true` or `false`; the words that YAML 1.1 takes for them get a fix.
    pub(crate) fn flag(&self) -> Result<bool, Problem> {
        if let Value::Bool(flag) = *self.value {
            return Ok(flag);
        }
        let fix = self.str().and_then(|text| match text.to_ascii_lowercase().as_str() {
            "on" | "yes" | "y" | "true" => Some("write true"),
            "off" | "no" | "n" | "false" => Some("write false"),
            _ => None,
        });
        Err(self.must("be true or false").maybe_fix(fix))
    }

    /// A whole number in a range that the message names.
    pub(crate) fn whole(&self, lowest: i64, highest: i64) -> Result<i64, Problem> {
        match *self.value {
            Value::Int(number) if (lowest..=highest).contains(&number) => Ok(number),
            _ => Err(self.must(whole_rule(lowest, highest))),
        }
    }

    /// Any number. Its range, NaN included, is for the validator.
    pub(crate) fn number(&self) -> Result<f64, Problem> {
        match *self.value {
            Value::Int(number) => Ok(number as f64),
            Value::Float(number) => Ok(number),
            _ => Err(self.must("be a number")),
        }
    }

    /// A duration: text with a unit and nothing else, so that one file means one thing everywhere.
    pub(crate) fn duration(&self) -> Result<Duration, Problem> {
        let text = match &*self.value {
            Value::Str(text) => text.as_str(),
            value => {
                let number = match *value {
                    Value::Int(number) => number as f64,
                    Value::Float(number) => number,
                    _ => f64::NAN,
                };
                // Small numbers are meant as seconds; larger ones may be milliseconds.
                let fix = match number {
                    0.0..100.0 => Some(format!("write \"{number}s\"")),
                    100.0..1e9 => Some(format!("write \"{number}ms\" or \"{number}s\"")),
                    _ => None,
                };
                return Err(self.must(DURATION_RULE).maybe_fix(fix));
            }
        };
        if let Some(duration) = parse_duration(text) {
            return Ok(duration);
        }
        if text.strip_prefix('-').is_some_and(|rest| parse_duration(rest).is_some()) {
            return Err(self.must("not be negative"));
        }
        let with_unit = format!("{}s", text.trim());
        let joined: String = text.split_whitespace().collect::<String>().to_ascii_lowercase();
        let fix = [with_unit, joined].into_iter().find(|fix| parse_duration(fix).is_some());
        Err(self.must(DURATION_RULE).fix(match fix {
            Some(fix) => format!("write \"{fix}\""),
            None => "write for example \"250ms\", \"2s\" or \"1m30s\"".to_owned(),
        }))
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, names: Names<T>) -> Result<T, Problem> {
        let known = self.str().and_then(|text| names.iter().find(|(name, _)| *name == text));
        known.map(|(_, value)| *value).ok_or_else(|| self.one_of(names.iter().map(|(name, _)| *name)))
    }

    /// See [`Problem::one_of`].
    pub(crate) fn one_of(&self, names: impl Iterator<Item = &'static str> + Clone) -> Problem {
        Problem::one_of(self.path.as_str(), names, &self.value)
    }

    /// The items of a list, if it is one.
    pub(crate) fn list(&self) -> Option<Vec<Node<'_>>> {
        let Value::List(items) = &*self.value else { return None };
        let node = |(i, item)| Node { path: format!("{}[{i}]", self.path), value: Cow::Borrowed(item), keys: self.keys };
        Some(items.iter().enumerate().map(node).collect())
    }

    /// The entries of a map whose keys are anybody's, if it is one.
    pub(crate) fn entries(&self) -> Option<Vec<(String, Node<'_>)>> {
        let Value::Map(entries) = &*self.value else { return None };
        let node = |value, key| Node { path: join(&self.path, key), value: Cow::Borrowed(value), keys: self.keys };
        Some(entries.iter().map(|(key, value)| (key.clone(), node(value, key))).collect())
    }

    /// The items of a list, of a comma string, or of a single value; `none` has none. At most `most` of them.
    pub(crate) fn items(&self, most: usize) -> Result<Vec<Node<'_>>, Problem> {
        let node = |path: String, value| Node { path, value, keys: self.keys };
        let items: Vec<_> = match &*self.value {
            value if value.is_off() => Vec::new(),
            Value::List(items) => {
                items.iter().take(most + 1).enumerate().map(|(i, item)| node(format!("{}[{i}]", self.path), Cow::Borrowed(item))).collect()
            }
            Value::Str(text) => {
                text.split(',').take(most + 1).map(|part| node(self.path.clone(), Cow::Owned(Value::Str(part.trim().to_owned())))).collect()
            }
            _ => vec![self.clone()],
        };
        if items.len() > most {
            return Err(validate::too_many(&self.path, most));
        }
        Ok(items)
    }

    /// The entries of a map, after checking that all its keys are known and none is given twice.
    pub(crate) fn fields(&'a self, block: &'static OptionBlock) -> Result<Fields<'a>, Problem> {
        let Value::Map(entries) = &*self.value else { return Err(self.must("be a map")) };
        let mut fields = Fields { path: self.path.clone(), entries: Vec::new() };
        let mut seen: Vec<(&'static str, &str)> = Vec::new();
        for (written, value) in entries {
            let path = join(&self.path, written);
            let Some(name) = self.known(block, written) else { return Err(self.unknown(path, written, value, block)) };
            if let Some((_, before)) = seen.iter().find(|(known, _)| *known == name) {
                let text = if before == written { "given twice".to_owned() } else { format!("given twice, also as {before}") };
                return Err(Problem::new(path, text));
            }
            seen.push((name, written));
            fields.entries.push((name, Node { path, value: Cow::Borrowed(value), keys: self.keys }));
        }
        Ok(fields)
    }

    fn unknown(&self, path: String, written: &str, value: &Value, block: &'static OptionBlock) -> Problem {
        // Where both spellings are read, in that of who wrote it.
        let is_camel = self.keys == Keys::Either && written.contains(|letter: char| letter.is_ascii_uppercase());
        let spelled = |name: &str| if is_camel { camel(name) } else { name.to_owned() };
        let problem = Problem::new(path, "unknown key");
        if block.name.is_empty() && matches!(written, "max_attempts" | "maxAttempts" | "attempts") {
            let max_retries = spelled("max_retries");
            let example = match value {
                Value::Int(number @ 1..=1001) => format!(" ({written}: {number} is {max_retries}: {})", number - 1),
                _ => String::new(),
            };
            return problem.fix(format!("write {max_retries}, which does not count the first send{example}"));
        }
        let names = block.rows.iter().map(|row| row.key);
        match nearest(&snake(written), names.clone()) {
            Some(near) => problem.fix(format!("did you mean {}?", spelled(near))),
            None => problem.fix(format!("the keys here are {}", names.map(spelled).collect::<Vec<_>>().join(", "))),
        }
    }

    fn known(&self, block: &'static OptionBlock, written: &str) -> Option<&'static str> {
        let either = self.keys == Keys::Either;
        block.rows.iter().map(|row| row.key).find(|key| *key == written || (either && camel(key) == written))
    }
}

const DURATION_RULE: &str = "be a duration with a unit";

/// `be a whole number from 0 to 1000`
pub(crate) fn whole_rule(lowest: i64, highest: i64) -> String {
    match (lowest, highest) {
        (i64::MIN, i64::MAX) => "be a whole number".to_owned(),
        _ => format!("be a whole number from {lowest} to {highest}"),
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    let key = path_name(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// `maxRetries` as `max_retries`, for suggestions only.
fn snake(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for letter in key.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() && !out.ends_with(['_', '-']) {
            out.push('_');
        }
        out.push(letter);
    }
    out
}

impl<'a> Fields<'a> {
    /// All entries under their canonical names, in the order they were written.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Node<'a>)> {
        self.entries.iter().map(|(name, node)| (*name, node))
    }

    /// The value of a key that was given.
    pub(crate) fn get(&self, name: &str) -> Option<&Node<'a>> {
        self.entries.iter().find(|(known, _)| *known == name).map(|(_, node)| node)
    }

    /// The value of a key that must be given.
    pub(crate) fn need(&self, name: &str, why: &str) -> Result<&Node<'a>, Problem> {
        self.get(name).ok_or_else(|| Problem::new(join(&self.path, name), format!("required for {why}")))
    }

    /// Reads a key if it was given.
    pub(crate) fn read<T>(&self, name: &str, read: impl Fn(&Node<'a>) -> Result<T, Problem>) -> Result<Option<T>, Problem> {
        self.get(name).map(read).transpose()
    }

    /// Checks that every key belongs to the chosen kind.
    pub(crate) fn only_of(&self, kind: &str, block: &'static OptionBlock) -> Result<(), Problem> {
        for (name, node) in &self.entries {
            let Some(row) = block.rows.iter().find(|row| row.key == *name) else { continue };
            if !row.kinds.is_empty() && !row.kinds.contains(&kind) {
                let problem = Problem::new(node.path.as_str(), format!("does not belong to kind {kind}"));
                return Err(problem.fix(format!("it belongs to kind {}", row.kinds.join(", "))));
            }
        }
        Ok(())
    }
}
