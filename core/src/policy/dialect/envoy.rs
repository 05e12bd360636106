//! Envoy's route: `timeout` and `retry_policy`, with Envoy's leniency.

use crate::error::Error;
use crate::policy::{Policy, Value};
use crate::retry::Condition;
use crate::time::{DurationText, parse_duration};

/// The policy of an Envoy route (`{timeout, retry_policy}` in Envoy's JSON or YAML names).
///
/// Unknown tokens of `retry_on` are ignored, as Envoy does; wrong types and ranges are errors.
///
/// # Errors
/// `config` with the path of the canonical key at fault.
pub fn envoy_route(route: &Value) -> Result<Policy, Error> {
    let nothing = Value::EMPTY;
    let retry = route.get("retry_policy").unwrap_or(&nothing);
    let (retry_on, by_status, by_header) = tokens(retry.get("retry_on"));
    let list = |key: &str, wanted: bool| retry.get(key).filter(|_| wanted).cloned().unwrap_or(Value::List(Vec::new()));
    let mut document = vec![
        ("compat", Value::from("envoy")),
        ("methods", Value::from("any")),
        ("max_retries", retry.get("num_retries").cloned().unwrap_or(Value::Int(1))),
        ("timeout", route.get("timeout").cloned().unwrap_or(Value::from("15s"))),
        ("per_try_timeout", shorter(retry.get("per_try_timeout"), retry.get("per_try_idle_timeout"))),
        ("idle_timeout", retry.get("per_try_idle_timeout").cloned().unwrap_or(Value::Null)),
        ("retry_on", retry_on),
        ("statuses", list("retriable_status_codes", by_status)),
        ("response_headers", matchers(list("retriable_headers", by_header))),
        ("backoff", backoff(retry.get("retry_back_off").unwrap_or(&nothing))),
        ("retry_after", retry_after(retry.get("rate_limited_retry_back_off"))),
    ];
    document.push(("budget", Value::from([("kind", Value::from("concurrency")), ("percent", Value::Int(0)), ("min", Value::Int(3))])));
    Policy::from_value(&Value::map(document))
}

/// The known tokens of a comma list, and whether the lists of statuses and headers count.
fn tokens(retry_on: Option<&Value>) -> (Value, bool, bool) {
    let Some(Value::Str(text)) = retry_on else { return (Value::List(Vec::new()), false, false) };
    let mut known: Vec<Condition> = text.split(',').filter_map(|token| Condition::from_token(token.trim())).collect();
    known.retain(|condition| !condition.is_ours());
    let has = |wanted: Condition| known.contains(&wanted);
    let (by_status, by_header) = (has(Condition::RetriableStatusCodes), has(Condition::RetriableHeaders));
    // Envoy counts a failed TLS handshake among the connect failures.
    let connects =
        [Condition::Status5xx, Condition::GatewayError, Condition::Reset, Condition::ResetBeforeRequest, Condition::ConnectFailure];
    let tls = connects.into_iter().any(has);
    // The two lists are named by being there; without them Envoy's tokens do nothing.
    let named = known.iter().filter(|c| !matches!(c, Condition::RetriableStatusCodes | Condition::RetriableHeaders)).copied();
    let texts: Vec<Value> = named.chain(tls.then_some(Condition::Tls)).map(|condition| Value::from(condition.token())).collect();
    (Value::List(texts), by_status, by_header)
}

/// Before the head the idle timeout is a second limit of the attempt.
fn shorter(per_try: Option<&Value>, idle: Option<&Value>) -> Value {
    let length = |value: &Value| match value {
        Value::Str(text) => parse_duration(text),
        _ => None,
    };
    match (per_try, idle) {
        (Some(per_try), Some(idle)) if length(idle) < length(per_try) => idle.clone(),
        (Some(only), _) | (None, Some(only)) => only.clone(),
        (None, None) => Value::Null,
    }
}

fn backoff(block: &Value) -> Value {
    let at_least_1ms = |key: &str| match block.get(key) {
        Some(Value::Str(text)) => parse_duration(text).map(|duration| duration.max(std::time::Duration::from_millis(1))),
        _ => None,
    };
    let base = at_least_1ms("base_interval").unwrap_or(std::time::Duration::from_millis(25));
    let max = at_least_1ms("max_interval").unwrap_or(base * 10);
    let text = |duration| Value::from(DurationText(duration).to_string());
    Value::from([("base", text(base)), ("max", text(max)), ("jitter", Value::from("full"))])
}

fn retry_after(block: Option<&Value>) -> Value {
    let Some(block) = block else { return Value::from("none") };
    let header = |item: &Value| {
        let unix = matches!(item.get("format"), Some(Value::Str(format)) if format == "UNIX_TIMESTAMP")
            || item.get("format") == Some(&Value::Int(1));
        let name = item.get("name").cloned().unwrap_or(Value::Null);
        Value::from([("name", name), ("format", Value::from(if unix { "unix" } else { "seconds" }))])
    };
    let headers = match block.get("reset_headers") {
        Some(Value::List(items)) => items.iter().map(header).collect(),
        _ => Vec::new(),
    };
    Value::from([
        ("max", block.get("max_interval").cloned().unwrap_or(Value::from("300s"))),
        ("when_over", Value::from("ignore")),
        ("combine", Value::from("replace")),
        ("spread", Value::Float(0.5)),
        ("headers", Value::List(headers)),
    ])
}

fn matchers(list: Value) -> Value {
    match list {
        Value::List(items) => Value::List(items.iter().map(matcher).collect()),
        other => other,
    }
}

fn matcher(item: &Value) -> Value {
    let mut out = vec![("name", item.get("name").cloned().unwrap_or(Value::Null))];
    if let Some(test) = item.get("string_match") {
        for key in ["exact", "prefix", "suffix", "contains", "ignore_case"] {
            out.extend(test.get(key).map(|value| (key, value.clone())));
        }
        out.extend(test.get("safe_regex").and_then(|regex| regex.get("regex")).map(|regex| ("regex", regex.clone())));
    }
    if let Some(range) = item.get("range_match") {
        // Envoy's range leaves its end out; int64 is text in proto JSON.
        let bound = |key: &str| match range.get(key) {
            Some(Value::Int(number)) => Some(*number),
            Some(Value::Str(text)) => text.parse().ok(),
            _ => None,
        };
        let (start, end) = (bound("start").unwrap_or(0), bound("end").unwrap_or(0));
        out.push(("range", Value::from(format!("{start}-{}", end.saturating_sub(1)))));
    }
    out.extend(item.get("present_match").map(|present| ("present", present.clone())));
    out.extend(item.get("invert_match").map(|invert| ("invert", invert.clone())));
    Value::map(out)
}
