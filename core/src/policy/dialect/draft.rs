//! A canonical document in the making.

use std::time::Duration;

use super::super::problem::Problem;
use super::super::set::Scope;
use super::super::{Keys, Value, read};
use super::{Dialect, Loaded, Note, Origins};
use crate::time::DurationText;

/// The most notes on one policy.
const MOST_NOTES: usize = 100;

/// The canonical document that a reader writes, which original paths its parts come from, and what differs.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    entries: Vec<(&'static str, Value)>,
    sources: Vec<(String, String)>,
    pub(super) notes: Vec<Note>,
    /// Of a route of Envoy.
    pub(super) named: Option<super::envoy::Named>,
    /// Which requests it is for.
    pub(super) scope: Scope,
}

impl Draft {
    /// Everything off, any method: a system does what it is told to, not what our defaults are.
    pub(super) fn off() -> Self {
        let none = || Value::from("none");
        let entries = vec![
            ("max_retries", Value::Int(0)),
            ("timeout", none()),
            ("connect_timeout", none()),
            ("per_try_timeout", none()),
            ("idle_timeout", none()),
            ("retry_on", none()),
            ("statuses", none()),
            ("methods", Value::from("any")),
            ("backoff", none()),
            ("retry_after", none()),
            ("budget", none()),
            ("idempotency_key", none()),
            ("max_body_buffer", Value::Int(0)),
        ];
        Draft { entries, sources: Vec::new(), notes: Vec::new(), named: None, scope: Scope::default() }
    }

    pub(super) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.entries.iter_mut().find(|(known, _)| *known == key) {
            Some((_, place)) => *place = value,
            None => self.entries.push((key, value)),
        }
    }

    /// [`Draft::set`], with the place in the original document that a mistake in it is in.
    pub(super) fn set_from(&mut self, key: &'static str, value: impl Into<Value>, path: &str) {
        self.set(key, value);
        self.source(key, path);
    }

    /// The part `ours` of the canonical document comes from `path`.
    pub(super) fn source(&mut self, ours: impl Into<String>, path: &str) {
        self.sources.push((ours.into(), path.to_owned()));
    }

    pub(super) fn note(&mut self, path: impl Into<String>, text: impl Into<String>) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(Note { path: path.into(), text: text.into() });
        }
    }

    pub(super) fn note_all(&mut self, notes: Vec<Note>) {
        notes.into_iter().for_each(|note| self.note(note.path, note.text));
    }

    /// Retries as the other system counts them, at most as many as we make.
    pub(super) fn retries(&mut self, number: i64, path: &str) {
        let most = i64::from(super::super::MOST_RETRIES);
        if number > most {
            self.note(path, format!("{number} is more than reknock makes; it stops after {most}"));
        }
        self.set_from("max_retries", number.clamp(0, most), path);
    }

    pub(super) fn finish(self, dialect: Dialect, name: Option<String>) -> Result<Loaded, Problem> {
        let policy = read::of_document(&Value::map(self.entries), Keys::Snake).map_err(|problem| problem.moved(&self.sources))?;
        let policy = match self.named {
            Some(named) => named.part(&policy),
            None => policy,
        };
        Ok(Loaded { name, dialect, policy, notes: self.notes, scope: self.scope, origins: Origins::theirs(self.sources) })
    }
}

/// A duration as a document says it.
pub(super) fn duration(duration: Duration) -> Value {
    DurationText(duration).to_string().into()
}

/// A limit as a document says it: none if it is zero.
pub(super) fn limit(limit: Duration) -> Value {
    if limit.is_zero() { Value::from("none") } else { duration(limit) }
}
