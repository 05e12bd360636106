//! TOML, in the order it was written.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use super::super::value::Value;
use super::{MOST_DEPTH, Mistake, too_deep};

pub(super) fn read(text: &str) -> Result<Value, Mistake> {
    let table = DeTable::parse(text).map_err(|error| {
        let message = error.message().replace('\n', "; ");
        match error.span() {
            Some(span) => Mistake::at_byte(text, span.start, message),
            None => Mistake { place: None, text: message },
        }
    })?;
    self::table(text, table.into_inner(), 1)
}

fn table(text: &str, table: DeTable<'_>, depth: usize) -> Result<Value, Mistake> {
    // The parser sorts keys by name; mistakes are reported in the order they were written.
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entries = entries.into_iter().map(|(key, item)| Ok((key.into_inner().into_owned(), value(text, item, depth)?)));
    Ok(Value::Map(entries.collect::<Result<_, _>>()?))
}

fn array(text: &str, array: DeArray<'_>, depth: usize) -> Result<Value, Mistake> {
    Ok(Value::List(array.into_iter().map(|item| value(text, item, depth)).collect::<Result<_, _>>()?))
}

fn value(text: &str, item: Spanned<DeValue<'_>>, depth: usize) -> Result<Value, Mistake> {
    let Range { start, .. } = item.span();
    let nested = matches!(item.get_ref(), DeValue::Array(_) | DeValue::Table(_));
    if nested && depth >= MOST_DEPTH {
        return Err(Mistake::at_byte(text, start, too_deep()));
    }
    match item.into_inner() {
        DeValue::String(text) => Ok(Value::Str(text.into_owned())),
        DeValue::Integer(number) => Ok(integer(&number)),
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(float) if float.is_finite() || !number.as_str().contains(|c: char| c.is_ascii_digit()) => Ok(Value::Float(float)),
            _ => Err(Mistake::at_byte(text, start, "number too large")),
        },
        DeValue::Boolean(flag) => Ok(Value::Bool(flag)),
        DeValue::Datetime(_) => {
            Err(Mistake::at_byte(text, start, "no key takes a date or a time; durations are text with a unit, \"1m30s\""))
        }
        DeValue::Array(items) => array(text, items, depth + 1),
        DeValue::Table(entries) => table(text, entries, depth + 1),
    }
}

fn integer(number: &DeInteger<'_>) -> Value {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => Value::Int(number),
        Err(_) => Value::Big(number.to_string()),
    }
}
