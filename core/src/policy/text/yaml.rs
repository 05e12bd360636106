//! YAML 1.2 from parser events: core schema scalars, bounded aliases; tags and merge keys (`<<`) only in what others wrote for others.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::super::value::Value;
use super::{Bounds, MOST_DEPTH, Mistake, given_twice, too_deep, too_many};

pub(super) fn read(text: &str, bounds: Bounds) -> Result<Value, Mistake> {
    let builder = build(text, Builder::new(bounds))?;
    match builder.documents {
        0 | 1 => Ok(builder.roots.into_iter().next().unwrap_or(Value::EMPTY)),
        count => Err(Mistake { place: None, text: format!("holds {count} documents, must hold one") }),
    }
}

/// Every document of a text that others wrote for others: `!!str` makes text, other tags are passed over, merge keys are followed, and numbers
/// with leading zeros are text.
pub(super) fn read_all(text: &str, bounds: Bounds) -> Result<Vec<Value>, Mistake> {
    read_all_counted(text, bounds).map(|(documents, _)| documents)
}

/// [`read_all`], and how many values they are.
pub(super) fn read_all_counted(text: &str, bounds: Bounds) -> Result<(Vec<Value>, usize), Mistake> {
    let builder = build(text, Builder { lenient: true, ..Builder::new(bounds) })?;
    Ok((if builder.roots.is_empty() { vec![Value::EMPTY] } else { builder.roots }, builder.nodes))
}

fn build(text: &str, mut builder: Builder) -> Result<Builder, Mistake> {
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax(text, &error))?;
        builder.event(event).map_err(|message| at(&span.start, message))?;
    }
    Ok(builder)
}

fn at(marker: &Marker, message: String) -> Mistake {
    Mistake::at(marker.line(), marker.col() + 1, message)
}

fn syntax(text: &str, error: &ScanError) -> Mistake {
    let line = text.lines().nth(error.marker().line().saturating_sub(1)).unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    let message = if indent.contains('\t') { "tabs cannot indent YAML; write spaces" } else { error.info() };
    at(error.marker(), message.to_owned())
}

/// What an alias costs: values, bytes of text, levels.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    text: usize,
    depth: usize,
}

struct Builder {
    bounds: Bounds,
    documents: usize,
    lenient: bool,
    roots: Vec<Value>,
    open: Vec<Frame>,
    anchors: HashMap<usize, (Value, Weight)>,
    nodes: usize,
    text: usize,
}

/// A list or a map that has begun.
struct Frame {
    value: Value,
    anchor: usize,
    key: Option<String>,
    keys: HashSet<String>,
    /// What merge keys bring, where the map itself has no such key.
    merged: Vec<(String, Value)>,
}

const MERGE: &str = "<<";

impl Frame {
    fn of(value: Value, anchor: usize) -> Self {
        Frame { value, anchor, key: None, keys: HashSet::new(), merged: Vec::new() }
    }

    /// The value under a merge key: a map, or a list of maps of which the first that has a key gives it.
    fn merge(&mut self, value: Value) -> Result<(), String> {
        let maps = if let Value::List(maps) = value { maps } else { vec![value] };
        for map in maps {
            let Value::Map(entries) = map else { return Err("a merge key (<<) takes a map, or a list of maps".to_owned()) };
            self.merged.extend(entries);
        }
        Ok(())
    }

    /// The value with what was merged into it.
    fn whole(mut self) -> (Value, usize) {
        if let Value::Map(entries) = &mut self.value {
            entries.extend(self.merged.into_iter().filter(|(key, _)| self.keys.insert(key.clone())));
        }
        (self.value, self.anchor)
    }
}

impl Builder {
    fn new(bounds: Bounds) -> Self {
        Builder { bounds, documents: 0, lenient: false, roots: Vec::new(), open: Vec::new(), anchors: HashMap::new(), nodes: 0, text: 0 }
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.no_tag(tag.is_some())?;
                let is_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                if self.wants_key() {
                    return self.key(text.into_owned());
                }
                let value = match is_text {
                    true => Value::Str(text.into_owned()),
                    false if self.open.is_empty() && text.is_empty() => Value::EMPTY,
                    false if self.lenient => resolve(&text).unwrap_or_else(|_| Value::Str(text.into_owned())),
                    false => resolve(&text)?,
                };
                self.add(value, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor),
            Event::SequenceStart(anchor, tag) => self.begin(Value::List(Vec::new()), anchor, tag.is_some()),
            Event::MappingStart(anchor, tag) => self.begin(Value::Map(Vec::new()), anchor, tag.is_some()),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop().map(Frame::whole) {
                Some((value, anchor)) => self.finish(value, anchor),
                None => Ok(()),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize) -> Result<(), String> {
        let Some((_, weight)) = self.anchors.get(&anchor) else {
            return Err("an alias inside its own anchor has no end".to_owned());
        };
        let weight = *weight;
        if self.open.len() + weight.depth > MOST_DEPTH {
            return Err(too_deep());
        }
        // Before the copy is made: a few lines of aliases can stand for any number of values.
        self.count(weight.nodes, weight.text)?;
        let value = self.anchors.get(&anchor).map_or(Value::Null, |(value, _)| value.clone());
        self.put(value)
    }

    fn no_tag(&self, tagged: bool) -> Result<(), String> {
        if tagged && !self.lenient { Err("tags (!) are not supported; quote text".to_owned()) } else { Ok(()) }
    }

    fn wants_key(&self) -> bool {
        self.open.last().is_some_and(|frame| matches!(frame.value, Value::Map(_)) && frame.key.is_none())
    }

    fn key(&mut self, key: String) -> Result<(), String> {
        self.count(1, key.len())?;
        let Some(frame) = self.open.last_mut() else { return Ok(()) };
        if key == MERGE && !self.lenient {
            return Err("merge keys (<<) are not supported; repeat the keys".to_owned());
        }
        if !frame.keys.insert(key.clone()) {
            return Err(given_twice(&key));
        }
        frame.key = Some(key);
        Ok(())
    }

    fn begin(&mut self, value: Value, anchor: usize, tagged: bool) -> Result<(), String> {
        self.no_tag(tagged)?;
        self.count(1, 0)?;
        if self.wants_key() {
            return Err(NOT_A_KEY.to_owned());
        }
        if self.open.len() >= MOST_DEPTH {
            return Err(too_deep());
        }
        self.open.push(Frame::of(value, anchor));
        Ok(())
    }

    fn add(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        self.count(1, if let Value::Str(text) = &value { text.len() } else { 0 })?;
        self.finish(value, anchor)
    }

    /// Keeps a copy for aliases, which counts like the value itself, and puts the value in its place.
    fn finish(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        if anchor > 0 {
            let weight = weigh(&value);
            self.count(weight.nodes, weight.text)?;
            self.anchors.insert(anchor, (value.clone(), weight));
        }
        self.put(value)
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Some(frame) = self.open.last_mut() else {
            self.roots.push(value);
            return Ok(());
        };
        match &mut frame.value {
            Value::Map(entries) => match frame.key.take().ok_or(NOT_A_KEY)? {
                key if key == MERGE => return frame.merge(value),
                key => entries.push((key, value)),
            },
            Value::List(items) => items.push(value),
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, text: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.text = self.text.saturating_add(text);
        if self.nodes > self.bounds.nodes {
            return Err(too_many(self.bounds));
        }
        if self.text > self.bounds.text {
            return Err(format!("more than {}MiB of text with aliases expanded", self.bounds.text >> 20));
        }
        Ok(())
    }
}

const NOT_A_KEY: &str = "a key must be text";

/// The depth of values is bounded, so the recursion is.
fn weigh(value: &Value) -> Weight {
    let own = |text: usize| Weight { nodes: 1, text, depth: 1 };
    let add = |sum: Weight, (key, item): (usize, &Value)| {
        let item = weigh(item);
        Weight { nodes: sum.nodes + item.nodes, text: sum.text + item.text + key, depth: sum.depth.max(item.depth + 1) }
    };
    match value {
        Value::Str(text) | Value::Big(text) => Weight { depth: 0, ..own(text.len()) },
        Value::List(items) => items.iter().map(|item| (0, item)).fold(own(0), add),
        Value::Map(entries) => entries.iter().map(|(key, item)| (key.len(), item)).fold(own(0), add),
        _ => Weight { depth: 0, ..own(0) },
    }
}

/// A plain scalar by the core schema of YAML 1.2. `yes`, `no`, `on` and `off` are text there.
fn resolve(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Ok(Value::Float(f64::NAN)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Ok(Value::Float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if is_digits(unsigned) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return Err(format!("{text} is octal to some readers; write it without leading zeros, or quoted"));
        }
        let signed = text.strip_prefix('+').unwrap_or(text);
        return Ok(signed.parse().map_or_else(|_| Value::Big(signed.to_owned()), Value::Int));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix).filter(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix))) {
            return i128::from_str_radix(digits, radix).map(Value::from).map_err(|_| format!("{prefix} number of more than 127 bits"));
        }
    }
    if !is_float(unsigned) {
        return Ok(Value::Str(text.to_owned()));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Float(number)),
        _ => Err("number too large".to_owned()),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1.5`, `.5`, `1.`, `1e3`, `1.5e-3`; whole numbers are sorted out before.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.is_empty() || is_digits(text);
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && is_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))
}
