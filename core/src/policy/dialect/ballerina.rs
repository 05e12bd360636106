//! Ballerina's `http:ClientConfiguration`: `retryConfig` and `timeout`.

use std::time::Duration;

use super::super::Value;
use super::super::node::{Node, join};
use super::super::problem::Problem;
use super::block::{Block, int, list};
use super::draft::{Draft, duration, limit};
use super::{Dialect, Found, Note};

/// The timeout of a client that does not say.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What a cap of 0 stands for.
const CAP: Duration = Duration::from_secs(60);

/// What a reader of source puts in place of a `retryConfig` that is code: this, and where it stands.
pub(in super::super) const CODE: &str = "Ballerina line ";
/// What is told of one that is no record.
pub(in super::super) const NO_LITERAL: &str = "retryConfig is no literal";

/// What Ballerina does unless it is told otherwise.
pub(super) fn draft() -> Draft {
    let mut draft = Draft::off();
    draft.set("retry_on", Value::list(["reset", "tls", "truncated-body"]));
    draft.set("per_try_timeout", duration(TIMEOUT));
    draft.set("idle_timeout", duration(TIMEOUT));
    // It reads the whole body into memory before the first send.
    draft.set("max_body_buffer", "1TiB");
    draft
}

/// The policies of a configuration with `retryConfig`, of anything that holds some, or of its content alone.
pub(super) fn read(found: &mut Found, node: &Node<'_>) -> Result<(), Problem> {
    let keys = ["interval", "count", "backOffFactor", "maxWaitInterval", "statusCodes"];
    if keys.iter().any(|key| node.value.get(key).is_some()) {
        let mut draft = draft();
        retry_config(&mut draft, Block::of(&node.path, &node.value)?)?;
        return found.add(draft.finish(Dialect::Ballerina, None)?);
    }
    walk(found, &node.path, &node.value, None)
}

fn walk(found: &mut Found, path: &str, value: &Value, name: Option<&str>) -> Result<(), Problem> {
    match value {
        Value::List(items) => items.iter().enumerate().try_for_each(|(i, item)| walk(found, &format!("{path}[{i}]"), item, name)),
        Value::Map(_) if value.get("retryConfig").is_some() => client(found, Block::of(path, value)?, name),
        Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
            // A group of a source text has no name.
            let (path, name) = if key.is_empty() { (path.to_owned(), name) } else { (join(path, key), Some(key.as_str())) };
            walk(found, &path, value, name)
        }),
        _ => Ok(()),
    }
}

fn client(found: &mut Found, mut block: Block<'_>, name: Option<&str>) -> Result<(), Problem> {
    if let Some((path, Value::Other(place))) = block.clone().found("retryConfig")?
        && let Some((line, what)) = place.starts_with(CODE).then(|| place.split_once(": ")).flatten()
    {
        let problem = Problem::new(line, what);
        let note = Note { path, text: format!("not read: {place}") };
        found.code(note, (what != NO_LITERAL).then_some(problem));
        return Ok(());
    }
    let mut draft = draft();
    // Nil is no retryConfig.
    if let Some(config) = block.block("retryConfig")? {
        retry_config(&mut draft, config)?;
    }
    if let Some(node) = block.take("timeout")? {
        // A negative one is none.
        let length = limit(seconds(&node)?);
        draft.set_from("per_try_timeout", length.clone(), &node.path);
        draft.set_from("idle_timeout", length, &node.path);
    }
    if let Some(mut socket) = block.block("socketConfig")?
        && let Some(node) = socket.take("connectTimeOut")?
    {
        draft.set_from("connect_timeout", limit(seconds(&node)?), &node.path);
    }
    let mut notes = Vec::new();
    let breaker = "not copied: a budget bounds the load of retries; rejecting calls is the caller's";
    block.leave(&[("circuitBreaker", breaker), ("failoverConfig", "not copied: one client has one target")], &mut notes)?;
    draft.note_all(notes);
    found.add(draft.finish(Dialect::Ballerina, name.map(str::to_owned))?)
}

/// A decimal of seconds; what is below zero counts as zero.
fn seconds(node: &Node<'_>) -> Result<Duration, Problem> {
    let number = node.number().map_err(|_| node.must("be a number of seconds"))?;
    // What a document can say.
    if number.is_nan() || number >= 18_000_000_000.0 {
        return Err(node.must("be a number of seconds below 18000000000"));
    }
    Ok(crate::time::saturating_secs(number))
}

const KEYS: &[&str] = &["count", "interval", "backOffFactor", "maxWaitInterval", "statusCodes"];

fn retry_config(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let mut count = 0;
    if let Some(node) = block.take("count")? {
        count = int(&node, i64::MIN, i64::MAX)?;
        if count < 0 {
            return Err(node.must("not be negative").fix("Ballerina would send nothing at all; write 0 for no retries"));
        }
        draft.retries(count, &node.path);
    }
    let path = block.path.clone();
    let interval = block.take("interval")?.map_or(Ok(Duration::ZERO), |node| seconds(&node))?;
    let factor = match block.take("backOffFactor")? {
        None => 1.0,
        Some(node) => match node.number()? {
            factor if !factor.is_finite() => return Err(node.must("be a finite number")),
            factor if factor <= 0.0 => 1.0,
            factor => factor,
        },
    };
    let cap = match block.take("maxWaitInterval")? {
        None => Some(CAP),
        Some(node) => match node.number().map_err(|_| node.must("be a number of seconds"))? {
            0.0 => Some(CAP),
            negative if negative < 0.0 => None,
            _ => Some(seconds(&node)?),
        },
    };
    draft.set_from("backoff", backoff(interval, factor, cap), &path);
    if let Some(node) = block.take("statusCodes")? {
        statuses(draft, &node)?;
    }
    block.no_rest(KEYS)?;
    if count > 0 {
        draft.note(path, "the last error is given back at once; Ballerina sleeps once more before it does");
    }
    Ok(())
}

/// The first wait is not capped; without a cap above zero there is no other.
fn backoff(interval: Duration, factor: f64, cap: Option<Duration>) -> Value {
    if interval.is_zero() {
        return Value::from("none");
    }
    match cap.filter(|cap| !cap.is_zero()) {
        None => Value::from([("kind", Value::from("sequence")), ("delays", Value::list([duration(interval), Value::from("0s")]))]),
        Some(cap) => Value::from([
            ("kind", Value::from("exponential")),
            ("base", duration(interval)),
            ("factor", Value::number(factor)),
            ("max", duration(cap)),
            ("first_uncapped", Value::Bool(true)),
            ("jitter", Value::from("none")),
        ]),
    }
}

/// The constants of `ballerina/http` that a list of statuses is likely to name.
const NAMED: &[(&str, i64)] = &[
    ("STATUS_REQUEST_TIMEOUT", 408),
    ("STATUS_CONFLICT", 409),
    ("STATUS_TOO_MANY_REQUESTS", 429),
    ("STATUS_INTERNAL_SERVER_ERROR", 500),
    ("STATUS_NOT_IMPLEMENTED", 501),
    ("STATUS_BAD_GATEWAY", 502),
    ("STATUS_SERVICE_UNAVAILABLE", 503),
    ("STATUS_GATEWAY_TIMEOUT", 504),
    ("STATUS_HTTP_VERSION_NOT_SUPPORTED", 505),
];

fn statuses(draft: &mut Draft, node: &Node<'_>) -> Result<(), Problem> {
    let mut statuses = Vec::new();
    for item in list(node)? {
        let named = item.str().and_then(|text| NAMED.iter().find(|(name, _)| text.strip_prefix("http:").unwrap_or(text) == *name));
        let number =
            named.map_or_else(|| int(&item, i64::MIN, i64::MAX), |(_, number)| Ok(*number)).map_err(|_| item.must("be a status"))?;
        if (100..=999).contains(&number) {
            statuses.push(Value::Int(number));
        } else {
            draft.note(item.path, format!("no response has status {number}"));
        }
    }
    draft.set_from("statuses", Value::List(statuses), &node.path);
    Ok(())
}
