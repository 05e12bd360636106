//! A value as text: YAML on one line or on several, and JSON. Both YAML 1.1 and 1.2 readers read the same from it.

use std::fmt::{self, Write};

use super::read::size;
use super::value::Value;
use crate::time::parse_duration;

/// One line of YAML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        flow(self, f, Style::Yaml)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Yaml,
    Json,
}

pub(super) fn json(value: &Value) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = flow(value, &mut out, Style::Json);
    out
}

impl Value {
    /// The value as JSON on one line: keys in their order, numbers in the shortest form that is exact.
    pub fn to_json(&self) -> String {
        json(self)
    }
}

/// YAML with one line per entry of the outer map, and of its blocks.
pub(super) fn lines(value: &Value) -> String {
    let mut out = String::new();
    let Value::Map(entries) = value else { return format!("{value}\n") };
    for (key, value) in entries {
        match value {
            Value::Map(block) if !block.is_empty() => {
                let _ = writeln!(out, "{}:", Scalar(key));
                for (key, value) in block {
                    let _ = writeln!(out, "  {}: {value}", Scalar(key));
                }
            }
            value => {
                let _ = writeln!(out, "{}: {value}", Scalar(key));
            }
        }
    }
    out
}

fn flow(value: &Value, out: &mut dyn Write, style: Style) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Big(digits) => out.write_str(digits),
        Value::Float(number) => float(*number, out, style),
        Value::Str(text) => string(text, out, style),
        Value::Other(name) => string(name, out, style),
        Value::List(items) => {
            out.write_char('[')?;
            for (i, item) in items.iter().enumerate() {
                out.write_str(if i > 0 { ", " } else { "" })?;
                flow(item, out, style)?;
            }
            out.write_char(']')
        }
        Value::Map(entries) => {
            out.write_char('{')?;
            for (i, (key, value)) in entries.iter().enumerate() {
                out.write_str(if i > 0 { ", " } else { "" })?;
                string(key, out, style)?;
                out.write_str(": ")?;
                flow(value, out, style)?;
            }
            out.write_char('}')
        }
    }
}

fn float(number: f64, out: &mut dyn Write, style: Style) -> fmt::Result {
    match style {
        Style::Yaml if number.is_nan() => out.write_str(".nan"),
        Style::Yaml if number.is_infinite() => out.write_str(if number > 0.0 { ".inf" } else { "-.inf" }),
        // JSON has no such numbers.
        Style::Json if !number.is_finite() => out.write_str("null"),
        // Without exponents, which readers of YAML 1.1 take for text.
        _ => write!(out, "{number}{}", if number.fract() == 0.0 { ".0" } else { "" }),
    }
}

/// Text that may stand without quotes in YAML.
struct Scalar<'a>(&'a str);

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        string(self.0, f, Style::Yaml)
    }
}

fn string(text: &str, out: &mut dyn Write, style: Style) -> fmt::Result {
    if style == Style::Yaml && plain(text) {
        return out.write_str(text);
    }
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\t' => out.write_str("\\t")?,
            // Control characters, and what some readers take for a line break or a mark of byte order.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

/// Whether every YAML reader, 1.1 or 1.2, takes the bare text for this text.
fn plain(text: &str) -> bool {
    // What a reader takes for a boolean or null. `none` is none of them: it is our word, and text everywhere.
    const TAKEN: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf"];
    let words = |part: &str| {
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic()) || parse_duration(text).is_some() || size(text).is_some();
    starts_well && text.split(' ').all(words) && !TAKEN.contains(&text.to_ascii_lowercase().as_str())
}
