//! Envoy's `retry_policy`, which gloo's `retries` repeats in other letters.

use std::time::Duration;

use super::super::super::node::{Node, join};
use super::super::super::problem::Problem;
use super::super::super::{Value, validate};
use super::super::block::{Block, list, proto_duration, whole};
use super::super::draft::{Draft, duration, limit};
use super::{Named, matcher};
use crate::retry::{Condition, StatusSet};
use crate::time::DurationText;

/// The first wait that is not told.
pub(in super::super) const BASE: Duration = Duration::from_millis(25);
/// The longest rate-limited wait that is not told.
pub(in super::super) const RATE_LIMITED_MAX: Duration = Duration::from_secs(300);
/// Envoy counts in milliseconds; less is one.
const LEAST: Duration = Duration::from_millis(1);

/// Whose retry policy.
#[derive(Clone, Copy, PartialEq)]
pub(in super::super) enum Flavour {
    Envoy,
    /// `num_retries: 0` means 1.
    Gloo,
}

/// The two limits of an attempt.
#[derive(Default)]
pub(in super::super) struct Timeouts {
    pub(in super::super) per_try: Option<(Duration, String)>,
    pub(in super::super) idle: Option<(Duration, String)>,
}

impl Timeouts {
    /// Sets all limits, given that of the whole (zero for none).
    pub(in super::super) fn set(self, draft: &mut Draft, total: Duration) {
        draft.set("timeout", limit(total));
        let mut per_try = self.per_try.filter(|(limit, _)| !limit.is_zero());
        if let Some(named) = &mut draft.named {
            named.per_try_timeout = per_try.as_ref().map(|(limit, _)| *limit);
        }
        if let Some((limit, path)) = per_try.take_if(|(limit, _)| !total.is_zero() && *limit >= total) {
            draft.note(
                path,
                format!(
                    "{} is no shorter than the timeout of the whole ({}), so Envoy ignores it",
                    DurationText(limit),
                    DurationText(total)
                ),
            );
        }
        let idle = self.idle.filter(|(limit, _)| !limit.is_zero());
        // Before the head the idle timeout is a second limit of the attempt.
        let shortest = [&per_try, &idle].into_iter().flatten().min_by_key(|(limit, _)| *limit);
        if let Some((limit, path)) = shortest {
            draft.set_from("per_try_timeout", duration(*limit), path);
        }
        if let Some((limit, path)) = idle {
            draft.set_from("idle_timeout", duration(limit), &path);
        }
    }
}

const KEYS: &[&str] = &[
    "retry_on",
    "num_retries",
    "per_try_timeout",
    "per_try_idle_timeout",
    "retriable_status_codes",
    "retry_back_off",
    "rate_limited_retry_back_off",
    "retriable_headers",
    "retriable_request_headers",
];

/// Whether a document is the block itself: it has its keys, and some that are not ours as well.
pub(in super::super) fn is_bare(value: &Value) -> bool {
    let known = |key: &str| KEYS.iter().any(|known| *known == key || super::super::super::problem::camel(known) == key);
    let Value::Map(entries) = value else { return false };
    entries.iter().any(|(key, _)| known(key)) && value.get("retry_policy").is_none() && value.get("retryPolicy").is_none()
}

/// Writes a retry policy into the draft. The limits are given back, because they depend on that of the whole.
pub(in super::super) fn fill(draft: &mut Draft, block: &mut Block<'_>, flavour: Flavour) -> Result<Timeouts, Problem> {
    let retry_on = block.take("retry_on")?;
    match &retry_on {
        Some(node) => {
            let text = node.text()?;
            tokens(draft, text.split(',').map(str::trim).filter(|token| !token.is_empty()), &node.path);
        }
        None => tokens(draft, std::iter::empty(), ""),
    }
    if retry_on.is_none_or(|node| node.str().is_none_or(|text| text.trim().is_empty())) {
        draft.note(join(&block.path, "retry_on"), "not given: nothing is retried");
    }
    if let Some(node) = block.take("num_retries")? {
        let mut number = whole(&node, 0, u32::MAX.into())?;
        if number == 0 && flavour == Flavour::Gloo {
            draft.note(node.path.as_str(), "0 is taken for 1, as gloo does");
            number = 1;
        }
        draft.retries(number, &node.path);
    }
    let mut limit = |key: &str| -> Result<_, Problem> { block.take(key)?.map(|node| Ok((proto_duration(&node)?, node.path))).transpose() };
    let timeouts = Timeouts { per_try: limit("per_try_timeout")?, idle: limit("per_try_idle_timeout")? };
    if let Some(mut backoff) = block.block("retry_back_off")? {
        self::backoff(draft, &mut backoff, flavour)?;
    }
    if let Some(mut limited) = block.block("rate_limited_retry_back_off")? {
        rate_limited(draft, &mut limited)?;
    }
    if let Some(node) = block.take("retriable_status_codes")? {
        statuses(draft, &node, 0, u32::MAX.into())?;
    }
    if let Some(node) = block.take("retriable_headers")? {
        matcher::set(draft, "response_headers", &node)?;
    }
    if let Some(node) = block.take("retriable_request_headers")? {
        matcher::set(draft, "request_headers", &node)?;
    }
    idle_lists(draft, block);
    let mut notes = Vec::new();
    block.leave(LEFT_OUT, &mut notes)?;
    draft.note_all(notes);
    block.ignore_rest(draft);
    Ok(timeouts)
}

/// Notes on a list whose token is not named, and on a token without its list.
fn idle_lists(draft: &mut Draft, block: &Block<'_>) {
    let (by_status, by_header) = draft.named.map_or((false, false), |named| (named.by_status, named.by_header));
    for (key, token, named) in
        [("retriable_status_codes", "retriable-status-codes", by_status), ("retriable_headers", "retriable-headers", by_header)]
    {
        match (block.has(key), named) {
            (true, false) => draft.note(join(&block.path, key), format!("does nothing, because retry_on does not name {token}")),
            (false, true) => draft.note(join(&block.path, "retry_on"), format!("{token} does nothing without {key}")),
            _ => {}
        }
    }
}

const NO_HOSTS: &str = "not copied: a client has no choice of hosts";

const LEFT_OUT: &[(&str, &str)] = &[
    ("retry_priority", NO_HOSTS),
    ("retry_host_predicate", NO_HOSTS),
    ("retry_options_predicates", NO_HOSTS),
    ("host_selection_retry_max_attempts", NO_HOSTS),
    ("previous_priorities", NO_HOSTS),
    ("refresh_cluster_on_retry", NO_HOSTS),
];

/// Sets the conditions. Unknown tokens do nothing, as in Envoy, but are told.
pub(in super::super) fn tokens<'t>(draft: &mut Draft, tokens: impl Iterator<Item = &'t str>, path: &str) {
    let mut known: Vec<Condition> = Vec::new();
    for token in tokens {
        match Condition::from_token(token).filter(|condition| !condition.is_ours()) {
            Some(Condition::Http3PostConnectFailure) => draft.note(path, "http3-post-connect-failure does nothing: there is no HTTP/3"),
            Some(condition) => known.push(condition),
            None => draft.note(path, format!("unknown condition {}, ignored as Envoy does", Value::from(token).shown())),
        }
    }
    draft.named = Some(Named::of(&known));
    // The two lists are named by being there; without them Envoy's tokens do nothing.
    let named = known.iter().filter(|c| !matches!(c, Condition::RetriableStatusCodes | Condition::RetriableHeaders)).copied();
    let tls = covers_connecting(&known).then_some(Condition::Tls);
    let texts: Vec<Value> = named.chain(tls).map(|condition| Value::from(condition.token())).collect();
    draft.set_from("retry_on", Value::List(texts), path);
}

/// Envoy counts a failed TLS handshake among the connect failures.
pub(super) fn covers_connecting(conditions: &[Condition]) -> bool {
    use Condition::{ConnectFailure, GatewayError, Reset, ResetBeforeRequest, Status5xx};
    [Status5xx, GatewayError, Reset, ResetBeforeRequest, ConnectFailure].iter().any(|condition| conditions.contains(condition))
}

/// Sets the statuses of a list of numbers. Those that no response can have are left out.
pub(in super::super) fn statuses(draft: &mut Draft, node: &Node<'_>, lowest: i64, highest: i64) -> Result<(), Problem> {
    let mut statuses = Vec::new();
    for item in list(node)? {
        let number = whole(&item, lowest, highest)?;
        match (i64::from(StatusSet::LOWEST)..=i64::from(StatusSet::HIGHEST)).contains(&number) {
            true => statuses.push(Value::Int(number)),
            false => draft.note(item.path, format!("no response has status {number}")),
        }
    }
    draft.set_from("statuses", Value::List(statuses), &node.path);
    Ok(())
}

/// Full jitter between the two.
pub(in super::super) fn backoff_of(base: Duration, max: Duration) -> Value {
    Value::from([("base", duration(base)), ("max", duration(max)), ("jitter", Value::from("full"))])
}

pub(in super::super) fn positive(node: &Node<'_>) -> Result<Duration, Problem> {
    let length = match &*node.value {
        // Less than a millisecond is one, but nothing is nothing.
        Value::Str(text) if crate::time::parse_duration(text).is_some_and(|exact| !exact.is_zero()) => proto_duration(node)?.max(LEAST),
        _ => proto_duration(node)?,
    };
    if length.is_zero() { Err(validate::zero(&node.path, &node.value)) } else { Ok(length) }
}

fn backoff(draft: &mut Draft, block: &mut Block<'_>, flavour: Flavour) -> Result<(), Problem> {
    let base = match (block.take("base_interval")?, flavour) {
        (Some(node), _) => Some(positive(&node)?),
        (None, Flavour::Gloo) => None,
        (None, Flavour::Envoy) => Some(positive(&block.need("base_interval")?)?),
    };
    let max = block.take("max_interval")?.map(|node| Ok::<_, Problem>((positive(&node)?, node))).transpose()?;
    let first = base.unwrap_or(BASE);
    if let Some((max, node)) = &max {
        if base.is_none() {
            return Err(Problem::new(join(&block.path, "baseInterval"), "required beside maxInterval"));
        }
        if *max < first {
            return Err(node.must(format_args!("be at least {} ({})", base_name(&node.path), DurationText(first))));
        }
    }
    draft.set_from("backoff", backoff_of(first, max.map_or(first * 10, |(max, _)| max)), &block.path);
    block.ignore_rest(draft);
    Ok(())
}

/// The other key, in the letters of this one.
fn base_name(path: &str) -> &'static str {
    if path.ends_with("maxInterval") { "baseInterval" } else { "base_interval" }
}

/// Sets which headers may ask for a wait.
pub(in super::super) fn rate_limited(draft: &mut Draft, block: &mut Block<'_>) -> Result<(), Problem> {
    let list_node = block.need("reset_headers")?;
    let mut headers = Vec::new();
    for (i, item) in list(&list_node)?.iter().enumerate() {
        let mut header = Block::of(&item.path, &item.value)?;
        let name = header.need("name")?;
        draft.source(format!("retry_after.headers[{i}]"), &name.path);
        let format = match header.take("format")? {
            Some(node) => format(&node)?,
            None => "seconds",
        };
        header.ignore_rest(draft);
        headers.push(Value::from([("name", Value::from(name.text()?)), ("format", Value::from(format))]));
    }
    if headers.is_empty() {
        return Err(Problem::new(list_node.path.as_str(), "must have at least one item"));
    }
    let max = block.take("max_interval")?.map(|node| positive(&node)).transpose()?.unwrap_or(RATE_LIMITED_MAX);
    let retry_after = Value::from([
        ("max", duration(max)),
        ("when_over", Value::from("ignore")),
        ("combine", Value::from("replace")),
        ("spread", Value::Float(0.5)),
        ("headers", Value::List(headers)),
    ]);
    draft.set_from("retry_after", retry_after, &block.path);
    block.ignore_rest(draft);
    Ok(())
}

fn format(node: &Node<'_>) -> Result<&'static str, Problem> {
    match &*node.value {
        Value::Int(0) => Ok("seconds"),
        Value::Int(1) => Ok("unix"),
        Value::Str(text) if matches!(text.as_str(), "SECONDS" | "Seconds") => Ok("seconds"),
        Value::Str(text) if matches!(text.as_str(), "UNIX_TIMESTAMP" | "UnixTimestamp") => Ok("unix"),
        _ => Err(node.must("be one of SECONDS, UNIX_TIMESTAMP")),
    }
}
