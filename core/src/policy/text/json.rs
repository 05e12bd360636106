//! JSON, strictly: keys given twice and numbers that would change are errors.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::super::value::Value;
use super::{Bounds, MOST_DEPTH, Mistake, given_twice, too_deep, too_many};

pub(super) fn read(text: &str, bounds: Bounds) -> Result<Value, Mistake> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let nodes = Cell::new(0);
    let value = Reader { nodes: &nodes, depth: 0, bounds }.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        // The error ends with its place, which every language here puts in front.
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        Mistake::at(error.line().max(1), error.column().max(1), message)
    })
}

/// Reads a value from whatever says what it holds.
#[cfg(feature = "serde")]
pub(super) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Reader { nodes: &Cell::new(0), depth: 0, bounds: Bounds::TEXT }.deserialize(deserializer)
}

/// Reads one value, `depth` levels down.
#[derive(Clone, Copy)]
struct Reader<'n> {
    nodes: &'n Cell<usize>,
    depth: usize,
    bounds: Bounds,
}

impl Reader<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MOST_DEPTH { Err(E::custom(too_deep())) } else { Ok(Reader { depth: self.depth + 1, ..self }) }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > self.bounds.nodes {
            return Err(D::Error::custom(too_many(self.bounds)));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        // Whole numbers beyond 64 bits come here already rounded.
        if number.abs() >= 18_446_744_073_709_551_616.0 {
            return Err(E::custom("number too large"));
        }
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut keys = HashSet::new();
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom(given_twice(&key)));
            }
            entries.push((key, access.next_value_seed(inner)?));
        }
        Ok(Value::Map(entries))
    }
}
