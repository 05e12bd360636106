//! Documents as text: YAML, JSON, TOML, and Ballerina source. Each becomes a [`Value`]; time and memory are bounded on any input.

mod ballerina;
mod json;
mod load;
mod place;
#[cfg(feature = "serde")]
mod serde;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use std::path::Path;

use super::Policy;
use super::problem::Problem;
use super::value::Value;
use crate::error::Error;
use crate::files;

pub(crate) use load::load_placed;
pub(super) use load::{Loads, load, read_text};
pub use load::{load_all, read_all};

/// How much a text may be and stand for.
#[derive(Clone, Copy)]
struct Bounds {
    /// The longest text, in bytes.
    bytes: usize,
    /// The most values of all documents, with aliases expanded.
    nodes: usize,
    /// The most text of all documents, with aliases expanded.
    text: usize,
}

impl Bounds {
    /// Of texts, which may be anyone's.
    const TEXT: Bounds = Bounds { bytes: 1 << 20, nodes: 100_000, text: 4 << 20 };
    /// Of files that the caller names.
    const FILE: Bounds = Bounds { bytes: 64 << 20, nodes: 8_000_000, text: 256 << 20 };
}

/// The deepest nesting.
const MOST_DEPTH: usize = 64;

/// The languages a document may be written in.
#[derive(Clone, Copy)]
enum Language {
    Yaml,
    Json,
    Toml,
    Ballerina,
}

impl Language {
    const fn name(self) -> &'static str {
        match self {
            Language::Yaml => "YAML",
            Language::Json => "JSON",
            Language::Toml => "TOML",
            Language::Ballerina => "Ballerina",
        }
    }

    fn of_extension(path: &Path) -> Option<Language> {
        match path.extension()?.to_str()? {
            "yaml" | "yml" => Some(Language::Yaml),
            "json" => Some(Language::Json),
            "toml" => Some(Language::Toml),
            "bal" => Some(Language::Ballerina),
            _ => None,
        }
    }

    fn read(self, text: &str, bounds: Bounds) -> Result<Value, Error> {
        let text = self.within(text, bounds)?;
        let value = match self {
            Language::Yaml => yaml::read(text, bounds),
            Language::Json => json::read(text, bounds),
            Language::Toml => toml::read(text),
            Language::Ballerina => ballerina::read(text, bounds),
        };
        value.map_err(|mistake| mistake.problem(self, text).into())
    }

    /// The text without its mark, if it is not too long.
    fn within(self, text: &str, bounds: Bounds) -> Result<&str, Error> {
        let text = without_mark(text);
        if text.len() > bounds.bytes { Err(too_long(self.name(), text.len(), bounds).into()) } else { Ok(text) }
    }
}

/// Some editors begin a file with a mark of its byte order.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn too_long(what: &str, bytes: usize, bounds: Bounds) -> Problem {
    Problem::new(what, format!("must be at most {}MiB of text, got {bytes} bytes", bounds.bytes >> 20))
}

/// The documents of a text in a ConfigMap: YAML or JSON, within what is left of `values`; `None` if it is neither.
pub(super) fn embedded(text: &str, values: &mut usize) -> Option<Vec<Value>> {
    let bounds = Bounds { nodes: *values, ..Bounds::FILE };
    let text = without_mark(text);
    let (documents, used) = yaml::read_all_counted(text, bounds).ok()?;
    *values = values.saturating_sub(used);
    Some(documents)
}

/// What is wrong with a text, and where: line and column from 1; without a place if it is about the whole.
struct Mistake {
    place: Option<(usize, usize)>,
    text: String,
}

impl Mistake {
    fn at(line: usize, column: usize, text: impl Into<String>) -> Self {
        Mistake { place: Some((line, column)), text: text.into() }
    }

    /// At a byte of the text.
    fn at_byte(text: &str, byte: usize, message: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, byte);
        Mistake::at(line, column, message)
    }

    fn problem(self, language: Language, text: &str) -> Problem {
        let name = language.name();
        let problem = match self.place {
            Some((line, column)) => Problem::new(format!("{name} line {line}, column {column}"), self.text),
            None => Problem::new(name, self.text),
        };
        match text.lines().position(super::problem::is_template) {
            Some(line) => problem.fix(format!("this is a template ({{{{ }}}} in line {}): render it first", line + 1)),
            None => problem,
        }
    }
}

/// From 1.
fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn too_deep() -> String {
    format!("nested deeper than {MOST_DEPTH} levels")
}

fn too_many(bounds: Bounds) -> String {
    format!("more than {} values", bounds.nodes)
}

fn given_twice(key: &str) -> String {
    format!("key \"{}\" given twice", super::problem::path_name(key))
}

impl Value {
    /// Reads YAML 1.2 (core schema) of at most 1 MiB. An empty text is an empty map.
    ///
    /// # Errors
    /// `config` with line and column: syntax, a key given twice, tags, merge keys, more than one document, more than 64 levels or
    /// 100,000 values with aliases expanded.
    pub fn from_yaml(text: &str) -> Result<Value, Error> {
        Language::Yaml.read(text, Bounds::TEXT)
    }

    /// Reads JSON of at most 1 MiB.
    ///
    /// # Errors
    /// `config` with line and column: syntax, a key given twice, more than 64 levels or 100,000 values, a number that no double holds.
    pub fn from_json(text: &str) -> Result<Value, Error> {
        Language::Json.read(text, Bounds::TEXT)
    }

    /// Reads a file of at most 1 MiB by its ending: .yaml, .yml, .json or .toml.
    ///
    /// # Errors
    /// `config`, beginning with the path: the file cannot be read, its name has another ending, or as for its language.
    pub fn load(path: impl AsRef<Path>) -> Result<Value, Error> {
        let path = path.as_ref();
        let name = super::shown_path(path);
        let language = Language::of_extension(path).filter(|language| !matches!(language, Language::Ballerina));
        let Some(language) = language else {
            return Err(Problem::new(name, "must end in .yaml, .yml, .json or .toml").into());
        };
        let text = read_file(path).map_err(|error| Error::from(Problem::new(name.as_str(), error.to_string())).with_source(error))?;
        language.read(&text, Bounds::TEXT).map_err(|error| Error::config(format!("{name}: {error}")))
    }

    /// Reads TOML of at most 1 MiB.
    ///
    /// # Errors
    /// `config` with line and column: syntax, a key given twice, dates and times (no key takes one), more than 64 levels.
    pub fn from_toml(text: &str) -> Result<Value, Error> {
        Language::Toml.read(text, Bounds::TEXT)
    }
}

impl Policy {
    /// The policy of a YAML document.
    ///
    /// # Errors
    /// As [`Value::from_yaml`] and [`Policy::from_value`].
    pub fn from_yaml(text: &str) -> Result<Policy, Error> {
        Policy::from_value(&Value::from_yaml(text)?)
    }

    /// This policy with another value of one key, both as text: `"max_retries"` and `"3"`, `"backoff"` and `"{base: 100ms, max: 5s}"`. The value is YAML,
    /// and replaces the whole one of before.
    ///
    /// # Errors
    /// As [`Policy::from_yaml`].
    pub fn with(&self, key: &str, value: &str) -> Result<Policy, Error> {
        self.merge(&Value::Map(vec![(key.to_owned(), Value::from_yaml(value)?)]))
    }

    /// The policy of a JSON document.
    ///
    /// # Errors
    /// As [`Value::from_json`] and [`Policy::from_value`].
    pub fn from_json(text: &str) -> Result<Policy, Error> {
        Policy::from_value(&Value::from_json(text)?)
    }

    /// The policy of a TOML document.
    ///
    /// # Errors
    /// As [`Value::from_toml`] and [`Policy::from_value`].
    pub fn from_toml(text: &str) -> Result<Policy, Error> {
        Policy::from_value(&Value::from_toml(text)?)
    }
}

/// The text of a file: UTF-8, or UTF-16 with its mark, as PowerShell writes what a command prints.
fn read_file(path: &Path) -> std::io::Result<String> {
    let bytes = files::read(path, Bounds::FILE.bytes as u64 >> 20)?;
    let wide = |unit: fn([u8; 2]) -> u16| bytes[2..].as_chunks().0.iter().map(|pair| unit(*pair)).collect::<Vec<u16>>();
    let text = match bytes.as_slice() {
        [0xff, 0xfe, ..] => String::from_utf16(&wide(u16::from_le_bytes)).ok(),
        [0xfe, 0xff, ..] => String::from_utf16(&wide(u16::from_be_bytes)).ok(),
        _ => String::from_utf8(bytes).ok(),
    };
    text.ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "is no text in UTF-8"))
}
