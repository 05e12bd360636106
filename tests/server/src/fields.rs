//! Reading one JSON object key by key, so that a typo is an error that names its place.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// What is wrong with a script document: the path of the value, the rule, and what was found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError(String);

impl DocumentError {
    pub(crate) fn new(path: &str, rule: impl fmt::Display) -> Self {
        Self(format!("{path}: {rule}"))
    }

    pub(crate) fn got(path: &str, rule: impl fmt::Display, got: &Value) -> Self {
        let mut got = got.to_string();
        if got.chars().count() > 100 {
            got = got.chars().take(100).chain("...".chars()).collect();
        }
        Self(format!("{path}: {rule}, got {got}"))
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DocumentError {}

pub(crate) type Result<T> = std::result::Result<T, DocumentError>;

/// One object of a document. Every key asked for is remembered; `finish` refuses the others.
pub(crate) struct Fields<'a> {
    path: String,
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(path: &str, value: &'a Value) -> Result<Self> {
        let map = value.as_object().ok_or_else(|| DocumentError::got(path, "must be an object", value))?;
        Ok(Self { path: path.to_owned(), map, known: Vec::new() })
    }

    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of a key; `null` counts as absent.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn parse<T>(&mut self, key: &'static str, rule: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| DocumentError::got(&self.path(key), rule, value))
    }

    pub(crate) fn string(&mut self, key: &'static str) -> Result<Option<&'a str>> {
        self.parse(key, "must be a string", Value::as_str)
    }

    pub(crate) fn boolean(&mut self, key: &'static str, default: bool) -> Result<bool> {
        let value = self.parse(key, "must be true or false", Value::as_bool)?;
        Ok(value.unwrap_or(default))
    }

    pub(crate) fn integer(&mut self, key: &'static str, min: u64, max: u64) -> Result<Option<u64>> {
        let rule = format!("must be an integer from {min} to {max}");
        self.parse(key, &rule, |value| value.as_u64().filter(|number| (min..=max).contains(number)))
    }

    pub(crate) fn duration(&mut self, key: &'static str) -> Result<Option<Duration>> {
        let rule = "must be a duration string such as \"50ms\" or \"2s\"";
        self.parse(key, rule, |value| duration(value.as_str()?))
    }

    /// The choice that a string names.
    pub(crate) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let rule = format!("must be one of {}", names.join(", "));
        self.parse(key, &rule, |value| {
            let text = value.as_str()?;
            choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice)
        })
    }

    pub(crate) fn missing(&self, key: &str) -> DocumentError {
        DocumentError::new(&self.path(key), "is missing")
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self.map.iter().find(|(key, _)| !self.known.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, value)) => {
                Err(DocumentError::got(&self.path(key), format_args!("unknown key (known here: {})", self.known.join(", ")), value))
            }
        }
    }
}

/// `"50ms"` or `"1.5s"`, up to an hour.
fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 0.001),
        None => (text.strip_suffix('s')?, 1.0),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds = digits.parse::<f64>().ok()? * unit;
    (seconds <= 3600.0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}
