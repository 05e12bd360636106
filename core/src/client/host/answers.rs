//! What a host's values mean as answers of callbacks.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::policy::{Unit, Value};
use crate::retry::Opinion;

/// The word by which `retry_if` stops a call, in hosts whose answers are values.
pub const STOP: &str = "stop";

impl Opinion {
    /// What `retry_if` returned: true, a number of `unit` to wait, false or nothing for what the policy says, or "stop".
    ///
    /// # Errors
    /// `callback` for anything else.
    pub fn from_value(answer: &Value, unit: Unit) -> Result<Self, Error> {
        match answer {
            Value::Bool(retry) => Ok((*retry).into()),
            Value::Null => Ok(Opinion::None),
            Value::Str(word) if word == STOP => Ok(Opinion::Stop),
            answer => {
                wait("retry_if", "true, a wait, \"stop\", or false or none for what the policy says", answer, unit).map(Opinion::After)
            }
        }
    }
}

/// What `delay` returned: nothing, or a number of `unit`.
///
/// # Errors
/// `callback` for anything else.
pub fn delay_from_value(answer: &Value, unit: Unit) -> Result<Option<Duration>, Error> {
    match answer {
        Value::Null => Ok(None),
        answer => wait("delay", "a wait or none", answer, unit).map(Some),
    }
}

fn wait(callback: &str, rule: &str, answer: &Value, unit: Unit) -> Result<Duration, Error> {
    let number = match *answer {
        Value::Int(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        _ => None,
    };
    let wrong = |text: String| Error::new(ErrorKind::Callback, text);
    match number {
        None => Err(wrong(format!("{callback}: must return {rule}, got {}", answer.shown()))),
        Some(number) => unit.duration(callback, number).map_err(|error| wrong(error.to_string())),
    }
}
