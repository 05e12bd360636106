//! Any text as a header matcher, against any value: an error or an answer, never a panic; `invert` turns the answer of a present
//! header round.
//!
//! Input: one byte for the kind of test, then the matcher's text up to a zero byte, then the header's value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reknock::policy::Value;
use reknock::retry::{Call, Headers, Outcome, Retry};
use reknock::{Policy, Tick, UnixTime};

struct One<'a>(&'a [u8]);

impl Headers for One<'_> {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        (name == "x-state" && index == 0).then_some(self.0)
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let cut = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let Ok(text) = std::str::from_utf8(&rest[..cut]) else { return };
    let value = One(rest.get(cut + 1..).unwrap_or_default());
    let key = ["exact", "prefix", "suffix", "contains", "regex", "range"][usize::from(kind & 7) % 6];
    let answer = |invert: bool| {
        let mut entries = vec![("name", Value::from("x-state")), (key, Value::from(text)), ("invert", Value::from(invert))];
        if kind & 8 != 0 && key != "range" {
            entries.push(("ignore_case", Value::from(true)));
        }
        let policy = Policy::from_value(&Value::from([("response_headers", Value::List(vec![Value::map(entries)]))])).ok()?;
        assert_eq!(Policy::from_value(&policy.to_value()).as_ref().ok(), Some(&policy));
        let call = Call { method: "GET", has_idempotency_key: false, asked: false };
        let mut retry = Retry::begin(&policy, call, None, 0, 0, Tick(0));
        Some(retry.classify(Outcome::Response { status: 200, headers: &value }, UnixTime(0)).retry)
    };
    let (plain, inverted) = (answer(false), answer(true));
    assert_eq!(plain.map(|matched| !matched), inverted);
});
