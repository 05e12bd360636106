//! A block of another system's document: keys are taken one by one, and what is left over is told.

use std::time::Duration;

use super::super::node::{Node, join, whole_rule};
use super::super::problem::{Problem, camel};
use super::super::value::Value;
use super::Note;
use super::draft::Draft;
use crate::time::parse_duration;

/// A map whose known keys are taken out of it.
#[derive(Clone)]
pub(super) struct Block<'a> {
    pub(super) path: String,
    entries: &'a [(String, Value)],
    taken: Vec<&'a str>,
    /// Keys may be written in any case.
    any_case: bool,
}

impl<'a> Block<'a> {
    pub(super) fn of(path: &str, value: &'a Value) -> Result<Self, Problem> {
        match value {
            Value::Map(entries) => Ok(Block { path: path.to_owned(), entries, taken: Vec::new(), any_case: false }),
            value => Err(Problem::must(path, "be a map", value)),
        }
    }

    /// A block whose keys, and those of the blocks in it, may be written in any case.
    pub(super) fn any_case(path: &str, value: &'a Value) -> Result<Self, Problem> {
        Ok(Block { any_case: true, ..Block::of(path, value)? })
    }

    fn is(&self, written: &str, key: &str) -> bool {
        written == key || *written == camel(key) || (self.any_case && written.eq_ignore_ascii_case(key))
    }

    /// Nothing, where a block is not given.
    pub(super) fn empty(path: &str) -> Self {
        Block { path: path.to_owned(), entries: &[], taken: Vec::new(), any_case: false }
    }

    /// The value under `key`, which may be written in camel case; null is the same as nothing.
    pub(super) fn take(&mut self, key: &str) -> Result<Option<Node<'a>>, Problem> {
        Ok(self.found(key)?.map(|(path, value)| Node::at(path, value)))
    }

    /// [`Block::take`], as it was written.
    pub(super) fn found(&mut self, key: &str) -> Result<Option<(String, &'a Value)>, Problem> {
        let mut found: Option<(&'a str, &'a Value)> = None;
        for (written, value) in self.entries {
            if !self.is(written, key) {
                continue;
            }
            if let Some((before, _)) = found {
                return Err(Problem::new(join(&self.path, written), format!("given twice, also as {before}")));
            }
            self.taken.push(written);
            found = Some((written, value));
        }
        Ok(found.filter(|(_, value)| **value != Value::Null).map(|(written, value)| (join(&self.path, written), value)))
    }

    /// The block under `key`; an empty one if there is none.
    pub(super) fn block(&mut self, key: &str) -> Result<Option<Block<'a>>, Problem> {
        let path = join(&self.path, key);
        let Some((written, value)) = self.entries.iter().find(|(written, _)| self.is(written, key)) else {
            return Ok(None);
        };
        self.taken.push(written);
        let any_case = self.any_case;
        match value {
            Value::Null => Ok(Some(Block::empty(&path))),
            value => Ok(Some(Block { any_case, ..Block::of(&join(&self.path, written), value)? })),
        }
    }

    /// The value under a key that must be given.
    pub(super) fn need(&mut self, key: &str) -> Result<Node<'a>, Problem> {
        let path = join(&self.path, key);
        self.take(key)?.ok_or_else(|| Problem::new(path, "required"))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(written, _)| self.is(written, key))
    }

    /// Takes keys that have no counterpart, with a note for each that is there.
    pub(super) fn leave(&mut self, keys: &[(&str, &str)], notes: &mut Vec<Note>) -> Result<(), Problem> {
        for (key, why) in keys {
            if let Some(node) = self.take(key)? {
                notes.push(Note { path: node.path, text: (*why).to_owned() });
            }
        }
        Ok(())
    }

    /// A note for each key that nothing is known of.
    pub(super) fn ignore_rest(&self, draft: &mut Draft) {
        for (key, _) in self.rest() {
            draft.note(join(&self.path, key), "unknown key, ignored");
        }
    }

    /// An error for the first key that nothing is known of.
    pub(super) fn no_rest(&self, known: &[&'static str]) -> Result<(), Problem> {
        let Some((key, _)) = self.rest().next() else { return Ok(()) };
        let near = super::super::problem::nearest(key, known.iter().copied());
        let fix = near.map_or_else(|| format!("the keys here are {}", known.join(", ")), |near| format!("did you mean {near}?"));
        Err(Problem::new(join(&self.path, key), "unknown key").fix(fix))
    }

    fn rest(&self) -> impl Iterator<Item = &'a (String, Value)> {
        let taken: Vec<&str> = self.taken.clone();
        self.entries.iter().filter(move |(key, _)| !taken.contains(&key.as_str()))
    }

    pub(super) fn entries(&self) -> &'a [(String, Value)] {
        self.entries
    }

    /// Counts `key` as known.
    pub(super) fn known(&mut self, key: &'a str) {
        self.taken.push(key);
    }
}

/// A whole number, which may be text or wrapped (`{value: 3}`), as JSON made from protocol buffers has it.
pub(super) fn whole(node: &Node<'_>, lowest: i64, highest: i64) -> Result<i64, Problem> {
    let wrapped = node.value.get("value");
    let number = match wrapped.unwrap_or(&node.value) {
        Value::Int(number) => Some(*number),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
        Value::Str(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number| (lowest..=highest).contains(number)).ok_or_else(|| node.must(whole_rule(lowest, highest)))
}

/// A whole number, and nothing that only looks like one.
pub(super) fn int(node: &Node<'_>, lowest: i64, highest: i64) -> Result<i64, Problem> {
    match *node.value {
        Value::Int(number) if (lowest..=highest).contains(&number) => Ok(number),
        _ => Err(node.must(whole_rule(lowest, highest))),
    }
}

/// A duration of protocol buffers (`"0.25s"`, `{seconds: 1, nanos: 5}`) or of Go (`"1m30s"`), in whole milliseconds as Envoy counts.
pub(super) fn proto_duration(node: &Node<'_>) -> Result<Duration, Problem> {
    let exact = match &*node.value {
        Value::Str(text) => parse_duration(text),
        map @ Value::Map(entries) => {
            let part = |key: &str, most: i64| match map.get(key) {
                None => Some(0),
                Some(Value::Int(number)) => Some(*number).filter(|number| (0..=most).contains(number)),
                Some(Value::Str(text)) => text.parse().ok().filter(|number| (0..=most).contains(number)),
                Some(_) => None,
            };
            let known = !entries.is_empty() && entries.iter().all(|(key, _)| matches!(key.as_str(), "seconds" | "nanos"));
            match (part("seconds", 18_000_000_000), part("nanos", 999_999_999)) {
                (Some(seconds), Some(nanos)) if known => Some(Duration::new(seconds as u64, nanos as u32)),
                _ => None,
            }
        }
        _ => None,
    };
    let exact = exact.ok_or_else(|| {
        let number = match *node.value {
            Value::Int(number) if number > 0 => Some(format!("write \"{number}s\"")),
            Value::Float(number) if number > 0.0 => Some(format!("write \"{number}s\"")),
            _ => Some("write for example \"0.25s\"".to_owned()),
        };
        node.must("be a duration").maybe_fix(number)
    })?;
    Ok(Duration::from_millis(u64::try_from(exact.as_millis()).unwrap_or(u64::MAX)))
}

/// A number from 0 to `most`, which may be wrapped (`{value: 3}`).
pub(super) fn percent(node: &Node<'_>, rule: &str, most: f64) -> Result<f64, Problem> {
    let number = match node.value.get("value").unwrap_or(&node.value) {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        _ => f64::NAN,
    };
    if (0.0..=most).contains(&number) { Ok(number) } else { Err(node.must(rule)) }
}

/// A number of milliseconds.
pub(super) fn millis(node: &Node<'_>, lowest: i64) -> Result<Duration, Problem> {
    // As many as fit in 2^64 nanoseconds.
    let number = int(node, lowest, 18_446_744_073_709)
        .map_err(|_| node.must(format_args!("be a number of milliseconds{}", if lowest > 0 { " above 0" } else { "" })))?;
    Ok(Duration::from_millis(number as u64))
}

/// Text, or a list of it.
pub(super) fn list<'a>(node: &'a Node<'a>) -> Result<Vec<Node<'a>>, Problem> {
    match &*node.value {
        Value::List(items) => Ok(items.iter().enumerate().map(|(i, item)| Node::at(format!("{}[{i}]", node.path), item)).collect()),
        _ => Err(node.must("be a list")),
    }
}
