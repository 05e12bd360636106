//! A document as a neutral value: what YAML, JSON, TOML, a dict, a plain object and a C string all become.

use std::fmt;
use std::path::Path;

/// A document before validation. The bindings fill it from their language's own values.
///
/// Nothing is converted on the way in: NaN stays NaN, a whole number outside 64 bits stays exact.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number outside `i64`, as its decimal digits. No key takes one, but the error shall show it unchanged.
    Big(String),
    /// Any other number, NaN and infinities included.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    List(Vec<Value>),
    /// Keys and values, in the order they were written.
    Map(Vec<(String, Value)>),
    /// A value of the host's that no document holds, by the name of its type. No key takes one; the error shall name it.
    Other(String),
}

impl Value {
    /// An empty document: every key has its default.
    pub const EMPTY: Value = Value::Map(Vec::new());

    /// A map of these entries, in this order.
    pub fn map<K: Into<String>, V: Into<Value>>(entries: impl IntoIterator<Item = (K, V)>) -> Value {
        Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// A list of these items.
    pub fn list<V: Into<Value>>(items: impl IntoIterator<Item = V>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }

    /// A number as one writes it: `2`, not `2.0`.
    pub(crate) fn number(number: f64) -> Value {
        let whole = number as i64;
        if whole as f64 == number { Value::Int(whole) } else { Value::Float(number) }
    }

    /// The value under `key` if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether the value turns a block off: `none`, `null`, `false`, `off`.
    pub(super) fn is_off(&self) -> bool {
        match self {
            Value::Null | Value::Bool(false) => true,
            Value::Str(text) => matches!(text.as_str(), "none" | "null" | "false" | "off"),
            _ => false,
        }
    }

    /// The value as an error message shows it: text quoted, numbers bare, lists and maps by their type.
    pub(crate) fn shown(&self) -> Shown<'_> {
        Shown(self)
    }
}

/// See [`Value::shown`].
pub(crate) struct Shown<'a>(&'a Value);

/// The longest text that an error message repeats.
const SHOWN_CHARS: usize = 60;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Big(digits) => write!(f, "{}", shortened(digits)),
            Value::Float(number) => write!(f, "{number:?}"),
            Value::Str(text) => ShownText(text).fmt(f),
            Value::List(items) if items.is_empty() => f.write_str("an empty list"),
            Value::List(_) => f.write_str("a list"),
            Value::Map(_) => f.write_str("a map"),
            Value::Other(name) => write!(f, "a value of type {}", shortened(name)),
        }
    }
}

/// A text as an error message shows it: quoted. One that is long or holds a line break is told by its size: it may be a key or a body, put into the wrong place.
pub(crate) struct ShownText<'a>(pub(crate) &'a str);

impl ShownText<'_> {
    /// Whether it is told by its size alone.
    pub(super) fn is_hidden(&self) -> bool {
        self.0.contains(['\n', '\r']) || self.0.chars().nth(SHOWN_CHARS).is_some()
    }
}

/// What a user gave, as error messages show it wherever it may be a secret that was put into the wrong place: quoted if it is short and of one line, else
/// told by its size. All surfaces show values so.
pub fn shown_text(text: &str) -> String {
    ShownText(text).to_string()
}

/// The path of a file, likewise: bare. A long one is shown if it looks like a path, with no long name in it.
pub fn shown_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_path = || {
        let parts = text.split(['/', '\\']);
        text.starts_with(['/', '.', '~', '\\']) && parts.clone().count() > 2 && parts.clone().all(|name| !ShownText(name).is_hidden())
    };
    match ShownText(&text).is_hidden() && !is_path() {
        true => ShownText(&text).to_string(),
        false => text.chars().map(|c| if c.is_control() { '?' } else { c }).collect(),
    }
}

impl fmt::Display for ShownText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownText(text) = self;
        match (self.is_hidden(), text.contains(['\n', '\r'])) {
            (false, _) => write!(f, "{text:?}"),
            (true, broken) => {
                write!(f, "text of {} characters{}", text.chars().count(), if broken { " with line breaks" } else { "" })
            }
        }
    }
}

/// A name that stands in a document, shortened.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

macro_rules! from_whole {
    ($($number:ty)*) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Self {
                i64::try_from(number).map_or_else(|_| Value::Big(number.to_string()), Value::Int)
            }
        }
    )*};
}

from_whole!(u8 u16 u32 u64 u128 usize i32 i64 i128);

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Bool(flag)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Str(text)
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl<V: Into<Value>> From<Vec<V>> for Value {
    fn from(items: Vec<V>) -> Self {
        Value::list(items)
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Value {
    fn from(entries: [(K, V); N]) -> Self {
        Value::map(entries)
    }
}
