//! Typed arguments: where a host's own call syntax takes a number for a duration, and documents take text with a unit.

use std::time::Duration;

use super::node::Node;
use super::options::DOCUMENT;
use super::problem::{Problem, camel};
use super::{Keys, Policy, Value};
use crate::error::Error;
use crate::time::{DurationText, Tick, UnixTime};

/// What a bare number means where a host's arguments take a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Python.
    Seconds,
    /// Node.
    Milliseconds,
}

impl Unit {
    /// The duration that a number of these stands for.
    ///
    /// # Errors
    /// `config`, under the name of the argument, for a number that is no duration: negative, NaN, infinite or over 584 years.
    pub fn duration(self, argument: &str, number: f64) -> Result<Duration, Error> {
        self.read(number).map_err(|rule| Problem::must(argument, rule, &Value::number(number)).into())
    }

    /// [`duration`](Unit::duration) of an argument that may be missing: nothing, or a number.
    ///
    /// # Errors
    /// `config`, under the name of the argument, for a number that is no duration and for what is no number.
    pub fn duration_if_given(self, argument: &str, value: &Value) -> Result<Option<Duration>, Error> {
        match *value {
            Value::Null => Ok(None),
            Value::Int(number) => self.duration(argument, number as f64).map(Some),
            Value::Float(number) => self.duration(argument, number).map(Some),
            _ => Err(Problem::must(argument, self.rule(), value).into()),
        }
    }

    /// The moment that a number of these stands for on a clock of the host's. One before the clock's start is its start.
    ///
    /// # Errors
    /// `config`, under the name of the argument, for NaN and infinities.
    pub fn tick(self, argument: &str, number: f64) -> Result<Tick, Error> {
        self.moment(argument, number, 1e9).map(|nanos| Tick(nanos as u64))
    }

    /// The wall-clock time that a number of these since 1970 stands for.
    ///
    /// # Errors
    /// As for [`tick`](Unit::tick).
    pub fn unix_time(self, argument: &str, number: f64) -> Result<UnixTime, Error> {
        self.moment(argument, number, 1e3).map(|ms| UnixTime(ms as i64))
    }

    fn moment(self, argument: &str, number: f64, per_second: f64) -> Result<f64, Error> {
        let (scale, name) = self.scale();
        match number.is_finite() {
            true => Ok((number * (per_second / scale)).round()),
            false => Err(Problem::must(argument, format!("be a number of {name}"), &Value::Float(number)).into()),
        }
    }

    pub(crate) fn read(self, number: f64) -> Result<Duration, String> {
        let duration = Duration::try_from_secs_f64(number / self.scale().0).ok();
        let duration = duration.filter(|duration| u64::try_from(duration.as_nanos()).is_ok());
        duration.ok_or_else(|| self.rule())
    }

    fn rule(self) -> String {
        format!("be a number of {} from 0", self.scale().1)
    }

    /// How many of these are a second, and what they are called.
    fn scale(self) -> (f64, &'static str) {
        match self {
            Unit::Seconds => (1.0, "seconds"),
            Unit::Milliseconds => (1e3, "milliseconds"),
        }
    }
}

impl Policy {
    /// [`Policy::merge_with`] for the arguments of a call: durations at the top may be numbers of `unit`. Blocks are documents as
    /// ever.
    ///
    /// # Errors
    /// As [`Policy::from_value`].
    pub fn merge_typed(&self, arguments: &Value, unit: Unit, keys: Keys) -> Result<Policy, Error> {
        let Value::Map(entries) = arguments else { return self.merge_with(arguments, keys) };
        let mut document = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            document.push((key.clone(), typed(key, value, unit)?));
        }
        self.merge_with(&Value::Map(document), keys)
    }
}

/// The value as a document has it.
fn typed(key: &str, value: &Value, unit: Unit) -> Result<Value, Problem> {
    let number = match *value {
        Value::Int(number) => number as f64,
        Value::Float(number) => number,
        // What other clients take: a pair of limits, an object of them.
        Value::Other(_) | Value::List(_) | Value::Map(_) if key == "timeout" => {
            let fix = "timeout is the limit of the whole call; its parts are limited by the keys connect_timeout, per_try_timeout and idle_timeout of policy";
            return Err(Problem::must(key, "be a duration", value).fix(fix));
        }
        _ => return Ok(value.clone()),
    };
    let takes_one = DOCUMENT.rows.iter().any(|row| (row.key == key || camel(row.key) == key) && row.takes.contains("duration"));
    // Zero is refused, or not, by the rules of its key.
    if !takes_one || (number == 0.0 && key != "backoff") {
        return Ok(value.clone());
    }
    let duration = unit.read(number).map_err(|rule| Problem::must(key, rule, value))?;
    Ok(Value::Str(DurationText(duration).to_string()))
}

/// An argument of a host's that is neither a duration nor a time: its name, and what was given for it.
pub struct Argument<'a>(Node<'a>);

impl<'a> Argument<'a> {
    /// What was given for the argument of this name.
    pub fn new(name: &str, given: &'a Value) -> Self {
        Argument(Node::at(name, given))
    }

    /// Text.
    ///
    /// # Errors
    /// `config`, under the name of the argument, for anything else; so do the others.
    pub fn text(&self) -> Result<&str, Error> {
        Ok(self.0.text()?)
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// As [`text`](Argument::text).
    pub fn flag(&self) -> Result<bool, Error> {
        Ok(self.0.flag()?)
    }

    /// A number, NaN and infinities included.
    ///
    /// # Errors
    /// As [`text`](Argument::text).
    pub fn number(&self) -> Result<f64, Error> {
        Ok(self.0.number()?)
    }

    /// A seed: a whole number of 64 bits. 0 is none.
    ///
    /// # Errors
    /// As [`text`](Argument::text).
    pub fn seed(&self) -> Result<u64, Error> {
        let seed = match &*self.0.value {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::Big(digits) => digits.parse().ok(),
            // A whole one that its language holds in no other way.
            Value::Float(number) if number.fract() == 0.0 && (0.0..u64::MAX as f64).contains(number) => Some(*number as u64),
            _ => None,
        };
        Ok(seed.ok_or_else(|| self.0.must(format!("be a whole number from 0 to {}", u64::MAX)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(entries: Value, unit: Unit) -> String {
        match Policy::default().merge_typed(&entries, unit, Keys::Either) {
            Ok(policy) => policy.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn numbers_are_durations_at_the_top() {
        let entries = || Value::from([("timeout", Value::Float(2.5)), ("backoff", Value::Int(1))]);
        assert_eq!(merged(entries(), Unit::Seconds), "{timeout: 2s500ms, backoff: {kind: constant, delay: 1s}}");
        assert_eq!(merged(entries(), Unit::Milliseconds), "{timeout: 2500us, backoff: {kind: constant, delay: 1ms}}");
        assert_eq!(merged(Value::from([("perTryTimeout", 7)]), Unit::Milliseconds), "{per_try_timeout: 7ms}");
        assert_eq!(merged(Value::from([("max_retries", 7)]), Unit::Seconds), "{max_retries: 7}");
    }

    #[test]
    fn arguments_that_may_be_missing() {
        let read = |value: Value| Unit::Seconds.duration_if_given("wait", &value).map_err(|error| error.to_string());
        assert_eq!(read(Value::Null), Ok(None));
        assert_eq!(read(Value::Int(2)), Ok(Some(Duration::from_secs(2))));
        assert_eq!(read(Value::Float(0.5)), Ok(Some(Duration::from_millis(500))));
        assert_eq!(read(Value::Int(-1)).unwrap_err(), "wait: must be a number of seconds from 0, got -1");
        assert_eq!(read(Value::from("1s")).unwrap_err(), "wait: must be a number of seconds from 0, got \"1s\"");
    }

    #[test]
    fn seeds() {
        let read = |value: Value| Argument::new("seed", &value).seed().map_err(|error| error.to_string());
        for (given, seed) in [
            (Value::Int(0), 0),
            (Value::Int(i64::MAX), i64::MAX as u64),
            (Value::Big(u64::MAX.to_string()), u64::MAX),
            (Value::Float(2_f64.powi(60)), 1 << 60),
        ] {
            assert_eq!(read(given), Ok(seed));
        }
        for (given, shown) in [
            (Value::Int(-1), "-1"),
            (Value::Big("18446744073709551616".to_owned()), "18446744073709551616"),
            (Value::Float(1.5), "1.5"),
            (Value::Float(2_f64.powi(64)), "1.8446744073709552e19"),
            (Value::Float(f64::NAN), "NaN"),
            (Value::Bool(true), "true"),
            (Value::from("5"), "\"5\""),
            (Value::Null, "null"),
        ] {
            let expected = format!("seed: must be a whole number from 0 to 18446744073709551615, got {shown}");
            assert_eq!(read(given), Err(expected));
        }
    }

    #[test]
    fn numbers_are_moments() {
        let nanos = |unit: Unit, number| unit.tick("now", number).map(Tick::nanos).map_err(|error| error.to_string());
        // A million times 1.001 is a little less than the whole number that it stands for.
        assert_eq!((nanos(Unit::Milliseconds, 1.001), nanos(Unit::Milliseconds, 7.0)), (Ok(1_001_000), Ok(7_000_000)));
        assert_eq!(
            (nanos(Unit::Seconds, 0.5), nanos(Unit::Seconds, -1.0), nanos(Unit::Seconds, 1e300)),
            (Ok(500_000_000), Ok(0), Ok(u64::MAX))
        );
        assert_eq!(nanos(Unit::Seconds, f64::NAN).unwrap_err(), "now: must be a number of seconds, got NaN");
        let wall = |unit: Unit, number| unit.unix_time("wall", number).map_err(|error| error.to_string());
        assert_eq!((wall(Unit::Seconds, 1.5), wall(Unit::Milliseconds, -2.0)), (Ok(UnixTime(1500)), Ok(UnixTime(-2))));
        assert_eq!(wall(Unit::Milliseconds, f64::INFINITY).unwrap_err(), "wall: must be a number of milliseconds, got inf");
    }

    #[test]
    fn numbers_that_are_no_durations() {
        for number in [-1.0, f64::NAN, f64::INFINITY, 1e20] {
            let expected = format!("timeout: must be a number of seconds from 0, got {number:?}");
            assert_eq!(merged(Value::from([("timeout", number)]), Unit::Seconds), expected);
        }
        let zero = "timeout: must be more than zero, got 0; write none for no limit";
        assert_eq!(merged(Value::from([("timeout", 0)]), Unit::Seconds), zero);
        let block = Value::from([("backoff", Value::from([("base", 1)]))]);
        assert_eq!(merged(block, Unit::Seconds), "backoff.base: must be a duration with a unit, got 1; write \"1s\"");
        let other = Value::from([("timeout", Value::Other("Timeout".to_owned()))]);
        assert!(merged(other, Unit::Seconds).starts_with("timeout: must be a duration, got a value of type Timeout; timeout is"));
    }
}
