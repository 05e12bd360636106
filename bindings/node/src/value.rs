//! JavaScript values as the core's, and back.

use bytes::Bytes;
use napi::bindgen_prelude::{Array, BigInt, FromNapiValue, JsObjectValue, JsValue, Null, Object, ToNapiValue, Uint8ArraySlice, Unknown};
use napi::{Env, Error, Result, Status, ValueType};
use reknock::client::copied;
use reknock::policy::{Keys, Unit, Value};

/// What a bare number means in JavaScript where a duration is expected.
pub const UNIT: Unit = Unit::Milliseconds;

/// Keys may be written as in JavaScript or as in a document.
pub const KEYS: Keys = Keys::Either;

const DEEPEST: usize = 100;

/// The largest whole number that JavaScript holds exactly.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// A JavaScript value as a document. What is undefined is missing; what no document holds is named by its type.
pub fn to_value(value: Unknown<'_>) -> Result<Value> {
    within(value, DEEPEST)
}

fn within(value: Unknown<'_>, depth: usize) -> Result<Value> {
    let Some(depth) = depth.checked_sub(1) else { return Err(wrong("nested too deeply")) };
    Ok(match value.get_type()? {
        ValueType::Undefined | ValueType::Null => Value::Null,
        ValueType::Boolean => Value::Bool(bool::from_unknown(value)?),
        ValueType::Number => number(f64::from_unknown(value)?),
        ValueType::String => Value::Str(String::from_unknown(value)?),
        ValueType::BigInt => big(BigInt::from_unknown(value)?),
        ValueType::Object => return object(value, depth),
        ValueType::Function => Value::Other("function".to_owned()),
        ValueType::Symbol => Value::Other("symbol".to_owned()),
        _ => Value::Other("unknown".to_owned()),
    })
}

fn number(number: f64) -> Value {
    let negative_zero = number == 0.0 && number.is_sign_negative();
    if number.fract() == 0.0 && number.abs() <= SAFE && !negative_zero { Value::Int(number as i64) } else { Value::Float(number) }
}

fn big(number: BigInt) -> Value {
    let (negative, magnitude, lossless) = number.get_u128();
    let sign = if negative { "-" } else { "" };
    match (i64::try_from(magnitude), lossless) {
        (Ok(small), true) => Value::Int(if negative { -small } else { small }),
        (_, true) => Value::Big(format!("{sign}{magnitude}")),
        // Its exact digits do not matter to an error.
        (_, false) => Value::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
    }
}

fn object(value: Unknown<'_>, depth: usize) -> Result<Value> {
    if value.is_array()? {
        let array = Array::from_unknown(value)?;
        let item = |index| within(array.get(index)?.ok_or_else(|| wrong("a list shrank"))?, depth);
        return (0..array.len()).map(item).collect::<Result<_>>().map(Value::List);
    }
    let object = Object::from_unknown(value)?;
    if let Some(name) = class_name(&object)? {
        return Ok(Value::Other(name));
    }
    let mut entries = Vec::new();
    for key in Object::keys(&object)? {
        let value: Unknown<'_> = object.get_named_property(&key)?;
        if value.get_type()? != ValueType::Undefined {
            entries.push((key, within(value, depth)?));
        }
    }
    Ok(Value::Map(entries))
}

/// The name of the class, unless the object is a plain one.
fn class_name(object: &Object<'_>) -> Result<Option<String>> {
    let maker: Unknown<'_> = object.get_named_property("constructor")?;
    if maker.get_type()? != ValueType::Function {
        return Ok(None);
    }
    let name: Unknown<'_> = maker.coerce_to_object()?.get_named_property("name")?;
    let name = if name.get_type()? == ValueType::String { String::from_unknown(name)? } else { String::new() };
    Ok((name != "Object").then_some(name))
}

/// A document as a JavaScript value.
pub fn from_value<'env>(env: &'env Env, value: &Value) -> Result<Unknown<'env>> {
    match value {
        Value::Null => Null.into_unknown(env),
        Value::Bool(flag) => (*flag).into_unknown(env),
        Value::Int(number) => (*number as f64).into_unknown(env),
        Value::Float(number) => (*number).into_unknown(env),
        Value::Str(text) | Value::Other(text) | Value::Big(text) => text.as_str().into_unknown(env),
        Value::List(items) => {
            let mut array = env.create_array(0)?;
            for item in items {
                array.insert(from_value(env, item)?)?;
            }
            array.into_unknown(env)
        }
        Value::Map(entries) => {
            let mut object = Object::new(env)?;
            for (key, value) in entries {
                object.set(key, from_value(env, value)?)?;
            }
            object.into_unknown(env)
        }
    }
}

/// Text, or a copy of a Uint8Array's bytes: what JavaScript does to them later must not reach the wire.
pub fn to_bytes(value: Unknown<'_>) -> Result<Option<Bytes>> {
    Ok(match value.get_type()? {
        ValueType::String => Some(Bytes::from(String::from_unknown(value)?)),
        ValueType::Object if value.is_typedarray()? => {
            let copy = copied("body", &Uint8ArraySlice::from_unknown(value)?);
            Some(copy.map_err(|error| Error::from_reason(error.to_string()))?)
        }
        _ => None,
    })
}

/// A mistake of the package's own JavaScript.
pub fn wrong(message: &str) -> Error {
    Error::new(Status::InvalidArg, message)
}
