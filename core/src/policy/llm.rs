//! The preset for clients of large language models, whose calls are POSTs without a key, slow, and cheap to repeat beside what they cost to lose.

use super::{Policy, Value};
use crate::error::Error;

pub(super) fn policy() -> Result<Policy, Error> {
    let text = |text: &str| Value::from(text);
    let map = |entries: &[(&str, Value)]| Value::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect());
    let says = |answer: &str| Value::List(vec![map(&[("name", text("x-should-retry")), ("exact", text(answer))])]);
    let statuses = ["408", "409", "429", "500-599"].map(text);
    Policy::from_value(&map(&[
        ("max_retries", Value::Int(2)),
        ("timeout", text("10m")),
        ("connect_timeout", text("5s")),
        // An answer is thought about for minutes, and so is the next word of one.
        ("per_try_timeout", text("none")),
        ("idle_timeout", text("none")),
        ("statuses", Value::List(statuses.to_vec())),
        ("response_headers", says("true")),
        ("stop_headers", says("false")),
        ("methods", text("any")),
        ("backoff", map(&[("base", text("500ms")), ("max", text("8s")), ("jitter", text("full"))])),
        ("retry_after", map(&[("max", text("2m")), ("when_over", text("stop"))])),
    ]))
}
