//! The rules that a policy's values obey, whoever made them: the reader and the builder ask here, key by key.

use std::time::Duration;

use super::dialect::envoy::Aside;
use super::problem::{Problem, nearest};
use super::read::BINARY_UNITS;
use super::value::Value;
use super::{MOST_ITEMS, MOST_NAME, MOST_PERCENT, MOST_RATIO, MOST_RETRIES, Settings};
use crate::retry::{Backoff, BudgetKind, BudgetSpec, Condition, HeaderMatcher, Jitter, Methods, RetryAfter, Scope, Share, Test};
use crate::time::DurationText;

type Checked = Result<(), Problem>;

/// Every rule, in the order of the documentation.
pub(super) fn all(settings: &Settings) -> Checked {
    super::options::DOCUMENT.rows.iter().try_for_each(|row| key(settings, row.key))?;
    across(settings)
}

/// The rules of one key.
pub(super) fn key(settings: &Settings, key: &str) -> Checked {
    match key {
        "max_retries" => max_retries(settings.max_retries),
        "timeout" => limit(key, settings.timeout),
        "connect_timeout" => limit(key, settings.connect_timeout),
        "per_try_timeout" => limit(key, settings.per_try_timeout),
        "idle_timeout" => limit(key, settings.idle_timeout),
        "stop_headers" => matchers(key, &settings.stop_headers, &[":status"]),
        "response_headers" => matchers(key, &settings.response_headers, &[":status"]),
        "refused_headers" => matchers(key, &settings.refused_headers, &[":status"]),
        "request_headers" => matchers(key, &settings.request_headers, &[":method", ":scheme", ":authority", ":path"]),
        "methods" => methods(key, &settings.methods),
        "backoff" => backoff(&settings.backoff),
        "retry_after" => settings.retry_after.as_ref().map_or(Ok(()), retry_after),
        "budget" => settings.budget.as_ref().map_or(Ok(()), budget),
        "max_body_buffer" => max_body_buffer(key, settings.max_body_buffer),
        "attempt_header" => settings.attempt_header.as_deref().map_or(Ok(()), |name| header_name(key, name, "a header name")),
        "compat" => settings.aside.as_deref().map_or(Ok(()), aside),
        _ => Ok(()),
    }
}

/// The rules that tie keys together.
pub(super) fn across(settings: &Settings) -> Checked {
    let needs = |condition: Condition, list: &str| {
        let text = format!("\"{}\" needs {list}, and there are none", condition.token());
        Err(Problem::new("retry_on", text))
    };
    if settings.retry_on.includes(Condition::RetriableStatusCodes) && settings.statuses.is_empty() {
        return needs(Condition::RetriableStatusCodes, "statuses");
    }
    if settings.retry_on.includes(Condition::RetriableHeaders) && settings.response_headers.is_empty() {
        return needs(Condition::RetriableHeaders, "response_headers");
    }
    Ok(())
}

/// What to write in place of a zero limit.
pub(super) const NO_LIMIT: &str = "write none for no limit";

pub(super) fn zero(path: &str, got: &Value) -> Problem {
    Problem::must(path, "be more than zero", got)
}

/// The rule of a number that is kept in millionths.
pub(super) fn millionths_rule(most: u64) -> String {
    format!("be a number from 0 to {} with at most 6 decimals", most / 1_000_000)
}

fn max_retries(number: u32) -> Checked {
    ensure(number <= MOST_RETRIES, || Problem::must("max_retries", super::node::whole_rule(0, MOST_RETRIES.into()), &number.into()))
}

fn ensure(holds: bool, problem: impl FnOnce() -> Problem) -> Checked {
    if holds { Ok(()) } else { Err(problem()) }
}

fn shown(duration: Duration) -> Value {
    DurationText(duration).to_string().into()
}

/// A limit: none, or more than zero.
fn limit(path: &str, limit: Option<Duration>) -> Checked {
    let Some(limit) = limit else { return Ok(()) };
    positive(path, limit).map_err(|problem| if limit.is_zero() { problem.fix(NO_LIMIT) } else { problem })
}

fn positive(path: &str, duration: Duration) -> Checked {
    ensure(!duration.is_zero(), || zero(path, &shown(duration)))?;
    writable(path, duration)
}

/// Durations that a document can say: up to 2^64 nanoseconds.
fn writable(path: &str, duration: Duration) -> Checked {
    const MOST: Duration = Duration::from_nanos(u64::MAX);
    ensure(duration <= MOST, || Problem::must(path, "be at most 584 years", &shown(duration)))
}

fn at_most(path: &str, items: usize) -> Checked {
    ensure(items <= MOST_ITEMS, || too_many(path, MOST_ITEMS))
}

pub(super) fn too_many(path: &str, most: usize) -> Problem {
    Problem::new(path, format!("must have at most {most} items"))
}

/// RFC 9110: letters, digits and a few marks.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether a header can have this name.
pub(super) fn is_header_name(name: &str) -> bool {
    is_token(name) && name.len() <= MOST_NAME
}

fn header_name(path: &str, name: &str, rule: &str) -> Checked {
    ensure(is_header_name(name), || Problem::must(path, format_args!("be {rule}"), &name.into()))
}

pub(super) fn matchers(path: &str, matchers: &[HeaderMatcher], pseudo: &[&str]) -> Checked {
    at_most(path, matchers.len())?;
    matchers.iter().enumerate().try_for_each(|(i, matcher)| header_matcher(&format!("{path}[{i}]"), matcher, pseudo))
}

fn header_matcher(path: &str, matcher: &HeaderMatcher, pseudo: &[&str]) -> Checked {
    if !pseudo.contains(&matcher.name.as_str()) {
        header_name(&format!("{path}.name"), &matcher.name, &format!("a header name or {}", pseudo.join(", ")))?;
    }
    match &matcher.test {
        Test::Range(range) if range.is_empty() => {
            Err(Problem::must(format!("{path}.range"), "rise", &format!("{}-{}", range.start(), range.end()).into()))
        }
        _ => Ok(()),
    }
}

fn methods(path: &str, methods: &Methods) -> Checked {
    let Methods::List(list) = methods else { return Ok(()) };
    at_most(path, list.len())?;
    list.iter().enumerate().try_for_each(|(i, name)| method(&format!("{path}[{i}]"), name))
}

/// A method token. Methods are case-sensitive, so `get` would silently match nothing.
pub(super) fn method(path: &str, name: &str) -> Checked {
    const OTHERS: [&str; 4] = ["POST", "PATCH", "CONNECT", "any"];
    if matches!(name, "any" | "idempotent") {
        return Err(Problem::new(path, format!("{name} stands alone, not in a list")));
    }
    ensure(is_token(name) && name.len() <= MOST_NAME, || Problem::must(path, "be a method", &name.into()))?;
    let near = nearest(name, Methods::IDEMPOTENT.iter().copied().chain(OTHERS).chain(["idempotent"]));
    match near.filter(|_| name.bytes().any(|byte| byte.is_ascii_lowercase())) {
        Some(near) => Err(Problem::must(path, "be a method", &name.into()).fix(format!("did you mean \"{near}\"?"))),
        None => Ok(()),
    }
}

fn backoff(backoff: &Backoff) -> Checked {
    let at_least = |max: Duration, name: &str, first: Duration| {
        writable("backoff.max", max)?;
        let rule = format!("be at least {name} ({})", DurationText(first));
        ensure(max >= first, || Problem::must("backoff.max", rule, &shown(max)))
    };
    match backoff {
        Backoff::Constant { delay, jitter } => {
            writable("backoff.delay", *delay)?;
            check_jitter(*jitter)
        }
        Backoff::Linear { base, step, max, jitter } => {
            writable("backoff.base", *base)?;
            positive("backoff.step", *step)
                .map_err(|problem| if step.is_zero() { problem.fix("kind constant does not grow") } else { problem })?;
            at_least(*max, "base", *base)?;
            check_jitter(*jitter)
        }
        Backoff::Exponential { base, factor, max, first_uncapped, jitter } => {
            positive("backoff.base", *base)
                .map_err(|problem| if base.is_zero() { problem.fix("write backoff: none for no wait") } else { problem })?;
            ensure(factor.is_finite() && *factor > 0.0, || {
                Problem::must("backoff.factor", "be a finite number above 0", &Value::number(*factor))
            })?;
            if *first_uncapped {
                positive("backoff.max", *max)?
            } else {
                at_least(*max, "base", *base)?
            }
            check_jitter(*jitter)
        }
        Backoff::Decorrelated { min, max, .. } => {
            positive("backoff.min", *min)?;
            at_least(*max, "min", *min)
        }
        Backoff::Sequence { delays, jitter } => {
            let fits = (1..=MOST_RETRIES as usize).contains(&delays.len());
            ensure(fits, || Problem::new("backoff.delays", format!("must have 1 to {MOST_RETRIES} items, got {}", delays.len())))?;
            delays.iter().enumerate().try_for_each(|(i, delay)| writable(&format!("backoff.delays[{i}]"), *delay))?;
            check_jitter(*jitter)
        }
    }
}

fn check_jitter(jitter: Jitter) -> Checked {
    match jitter {
        Jitter::Ratio(ratio) => share("backoff.jitter.ratio", ratio),
        Jitter::Extra(extra) => writable("backoff.jitter.extra", extra),
        Jitter::ExtraRatio(ratio) => share("backoff.jitter.extra_ratio", ratio),
        Jitter::None | Jitter::Full | Jitter::Equal => Ok(()),
    }
}

/// A number from 0 to 1; NaN is none.
fn share(path: &str, number: f64) -> Checked {
    ensure((0.0..=1.0).contains(&number), || Problem::must(path, "be a number from 0 to 1", &Value::number(number)))
}

fn retry_after(retry_after: &RetryAfter) -> Checked {
    limit("retry_after.max", retry_after.max)?;
    share("retry_after.spread", retry_after.spread)?;
    at_most("retry_after.headers", retry_after.headers.len())?;
    let headers = retry_after.headers.iter().enumerate();
    headers.into_iter().try_for_each(|(i, header)| header_name(&format!("retry_after.headers[{i}].name"), &header.name, "a header name"))
}

fn budget(budget: &BudgetSpec) -> Checked {
    let in_millionths = |path: &str, number: u64, most: u64| {
        ensure(number <= most, || Problem::must(path, millionths_rule(most), &Value::number(number as f64 / 1e6)))
    };
    match budget.kind {
        BudgetKind::Ratio { ratio_millionths, ttl, .. } => {
            in_millionths("budget.ratio", ratio_millionths, MOST_RATIO)?;
            let fits = (Duration::from_secs(1)..=Duration::from_secs(60)).contains(&ttl);
            ensure(fits, || Problem::must("budget.ttl", "be from 1s to 60s", &shown(ttl)))?;
        }
        BudgetKind::Concurrency { percent_millionths, .. } => in_millionths("budget.percent", percent_millionths, MOST_PERCENT)?,
    }
    let shareable = matches!(budget.kind, BudgetKind::Ratio { .. }) && budget.scope != Scope::Client;
    ensure(budget.share == Share::Process || shareable, || {
        Problem::new("budget.share", "host is for ratio budgets of an origin or a name")
            .fix("leave scope: client out, or give the budget a name")
    })?;
    match &budget.scope {
        Scope::Name(name) if name.trim().is_empty() || name.len() > MOST_NAME => {
            Err(Problem::must("budget.name", format_args!("be 1 to {MOST_NAME} characters of text"), &name.as_str().into()))
        }
        _ => Ok(()),
    }
}

fn aside(aside: &Aside) -> Checked {
    let named = |named: bool, given: bool, list: &str, token: Condition, key: &str| {
        let text = || format!("belongs in {key}, because compat.retry_on names {}", token.token());
        ensure(!(named && given), || Problem::new(format!("compat.{list}"), text()))
    };
    let (by_status, by_header) = (!aside.statuses.is_empty(), !aside.response_headers.is_empty());
    named(aside.by_status, by_status, "retriable_status_codes", Condition::RetriableStatusCodes, "statuses")?;
    named(aside.by_header, by_header, "retriable_headers", Condition::RetriableHeaders, "response_headers")?;
    matchers("compat.retriable_headers", &aside.response_headers, &[":status"])?;
    aside.per_try_timeout.map_or(Ok(()), |own| limit("compat.per_try_timeout", own))
}

fn max_body_buffer(path: &str, bytes: u64) -> Checked {
    let (largest, most) = BINARY_UNITS[0];
    ensure(bytes <= most, || Problem::must(path, format_args!("be at most 1{largest}"), &bytes.into()))
}
