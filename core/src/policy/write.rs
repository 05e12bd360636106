//! From a policy to its document: what the reader reads back as an equal policy.

use std::fmt;
use std::time::Duration;

use super::dialect::envoy::Aside;
use super::names::{COMBINE, COMPAT, DEPOSIT_ON, FORM, FORMAT, IDEMPOTENCY_KEY, LISTS, PER_TRY_UNTIL, WHEN_OVER, name_of};
use super::read::BINARY_UNITS;
use super::value::Value;
use super::{Compat, Policy, emit};
use crate::retry::{
    Backoff, BudgetKind, BudgetSpec, Condition, Conditions, HeaderMatcher, HintHeader, Jitter, Methods, RetryAfter, Scope, Share,
    StatusSet, Test,
};
use crate::time::DurationText;

impl Policy {
    /// The whole document, every key in the order of the documentation. Reading it gives an equal policy, but for the seed,
    /// which documents do not hold.
    pub fn to_value(&self) -> Value {
        let s = self.settings();
        Value::from([
            ("max_retries", s.max_retries.into()),
            ("timeout", or_none(s.timeout, duration)),
            ("connect_timeout", or_none(s.connect_timeout, duration)),
            ("per_try_timeout", or_none(s.per_try_timeout, duration)),
            ("per_try_until", name_of(PER_TRY_UNTIL, &s.per_try_until).into()),
            ("idle_timeout", or_none(s.idle_timeout, duration)),
            ("retry_on", conditions(s.retry_on)),
            ("statuses", statuses(&s.statuses)),
            ("stop_headers", Value::list(s.stop_headers.iter().map(matcher))),
            ("response_headers", Value::list(s.response_headers.iter().map(matcher))),
            ("refused_headers", Value::list(s.refused_headers.iter().map(matcher))),
            ("request_headers", Value::list(s.request_headers.iter().map(matcher))),
            ("methods", methods(&s.methods)),
            ("backoff", backoff(&s.backoff)),
            ("retry_after", or_none(s.retry_after.as_ref(), retry_after)),
            ("budget", or_none(s.budget.as_ref(), budget)),
            ("idempotency_key", name_of(IDEMPOTENCY_KEY, &s.idempotency_key).into()),
            ("max_body_buffer", bytes(s.max_body_buffer)),
            ("attempt_header", or_none(s.attempt_header.as_deref(), Value::from)),
            ("compat", or_none(s.compat, |kind| compat(kind, s.aside.as_deref()))),
        ])
    }

    /// The document of what differs from the defaults. Reading it gives an equal policy, but for the seed.
    pub fn to_short_value(&self) -> Value {
        let default = Policy::default();
        let base = default.to_value();
        let mut entries = Vec::new();
        let new_conditions = self.settings().retry_on != default.settings().retry_on;
        let Value::Map(all) = self.to_value() else { return Value::EMPTY };
        for (key, value) in all {
            let keep = match key.as_str() {
                // Conditions alone mean no statuses.
                "statuses" if new_conditions => !self.settings().statuses.eq(&StatusSet::NONE),
                key => base.get(key) != Some(&value),
            };
            if keep {
                entries.push((key.clone(), shortest(&key, value)));
            }
        }
        Value::Map(entries)
    }

    /// [`Policy::to_value`] as YAML, one key a line.
    pub fn to_yaml(&self) -> String {
        emit::lines(&self.to_value())
    }

    /// [`Policy::to_value`] as JSON, on one line.
    pub fn to_json(&self) -> String {
        emit::json(&self.to_value())
    }
}

/// One line of YAML: what differs from the defaults, `{}` for the default policy.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_short_value().fmt(f)
    }
}

/// A block without the keys that the reader would put back: asked of the reader, key by key.
fn shortest(key: &str, value: Value) -> Value {
    let Value::Map(mut entries) = value else { return value };
    let read = |entries: &[(String, Value)]| Policy::from_value(&Value::from([(key, Value::Map(entries.to_vec()))])).ok();
    let whole = read(&entries);
    for name in entries.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>() {
        let without: Vec<_> = entries.iter().filter(|(other, _)| *other != name).cloned().collect();
        if whole.is_some() && read(&without) == whole {
            entries = without;
        }
    }
    Value::Map(entries)
}

fn or_none<T>(value: Option<T>, write: impl Fn(T) -> Value) -> Value {
    value.map_or_else(|| "none".into(), write)
}

fn duration(duration: Duration) -> Value {
    DurationText(duration).to_string().into()
}

fn in_millionths(millionths: u64) -> Value {
    // Exact: up to 16 digits survive the division, and its shortest text has at most six decimals.
    Value::number(millionths as f64 / 1e6)
}

fn conditions(set: Conditions) -> Value {
    let named = Condition::ALL.iter().filter(|condition| set.includes(**condition)).map(|condition| condition.token().to_owned());
    let excluded =
        Condition::ALL.iter().filter(|condition| set.excludes(**condition)).map(|condition| format!("not {}", condition.token()));
    Value::list(named.chain(excluded))
}

/// Ranges of this many statuses and more are written as ranges.
const RANGE: u16 = 4;

fn statuses(set: &StatusSet) -> Value {
    let mut out: Vec<Value> = Vec::new();
    for (low, high) in set.included() {
        if high - low + 1 >= RANGE {
            out.push(format!("{low}-{high}").into());
        } else {
            out.extend((low..=high).map(Value::from));
        }
    }
    for (low, high) in set.excluded() {
        out.push(if low == high { format!("not {low}").into() } else { format!("not {low}-{high}").into() });
    }
    Value::List(out)
}

fn matcher(matcher: &HeaderMatcher) -> Value {
    let text =
        |key: &str, text: &str, ignore_case: bool| vec![(key.to_owned(), text.into()), ("ignore_case".to_owned(), ignore_case.into())];
    let test = match &matcher.test {
        Test::Exact(value, ignore_case) => text("exact", value, *ignore_case),
        Test::Prefix(value, ignore_case) => text("prefix", value, *ignore_case),
        Test::Suffix(value, ignore_case) => text("suffix", value, *ignore_case),
        Test::Contains(value, ignore_case) => text("contains", value, *ignore_case),
        Test::Regex(pattern) => text("regex", pattern.text(), pattern.ignore_case()),
        Test::Range(range) => vec![("range".to_owned(), format!("{}-{}", range.start(), range.end()).into())],
        Test::Present(present) => vec![("present".to_owned(), (*present).into())],
    };
    let name = [("name".to_owned(), matcher.name.as_str().into())];
    Value::Map(name.into_iter().chain(test).chain([("invert".to_owned(), matcher.invert.into())]).collect())
}

/// A matcher without what it is not told to do.
pub(super) fn short_matcher(matcher: &HeaderMatcher) -> Value {
    let Value::Map(entries) = self::matcher(matcher) else { return Value::Null };
    let says = |(key, value): &(String, Value)| key == "present" || *value != Value::Bool(false);
    Value::Map(entries.into_iter().filter(says).collect())
}

fn methods(methods: &Methods) -> Value {
    match methods {
        Methods::Idempotent => "idempotent".into(),
        Methods::Any => "any".into(),
        Methods::List(list) => Value::list(list.iter().map(String::as_str)),
    }
}

fn backoff(backoff: &Backoff) -> Value {
    match backoff {
        Backoff::Constant { delay, jitter } => {
            Value::from([("kind", "constant".into()), ("delay", duration(*delay)), ("jitter", write_jitter(*jitter))])
        }
        Backoff::Linear { base, step, max, jitter } => Value::from([
            ("kind", "linear".into()),
            ("base", duration(*base)),
            ("step", duration(*step)),
            ("max", duration(*max)),
            ("jitter", write_jitter(*jitter)),
        ]),
        Backoff::Exponential { base, factor, max, first_uncapped, jitter } => Value::from([
            ("kind", "exponential".into()),
            ("base", duration(*base)),
            ("factor", Value::number(*factor)),
            ("max", duration(*max)),
            ("first_uncapped", (*first_uncapped).into()),
            ("jitter", write_jitter(*jitter)),
        ]),
        Backoff::Decorrelated { min, max, form } => Value::from([
            ("kind", "decorrelated".into()),
            ("min", duration(*min)),
            ("max", duration(*max)),
            ("form", name_of(FORM, form).into()),
        ]),
        Backoff::Sequence { delays, jitter } => Value::from([
            ("kind", "sequence".into()),
            ("delays", Value::list(delays.iter().copied().map(duration))),
            ("jitter", write_jitter(*jitter)),
        ]),
    }
}

fn write_jitter(jitter: Jitter) -> Value {
    match jitter {
        Jitter::None => "none".into(),
        Jitter::Full => "full".into(),
        Jitter::Equal => "equal".into(),
        Jitter::Ratio(ratio) => Value::from([("ratio", Value::number(ratio))]),
        Jitter::Extra(extra) => Value::from([("extra", duration(extra))]),
        Jitter::ExtraRatio(ratio) => Value::from([("extra_ratio", Value::number(ratio))]),
    }
}

fn retry_after(block: &RetryAfter) -> Value {
    let header = |header: &HintHeader| {
        Value::from([("name", header.name.as_str().into()), ("format", Value::from(name_of(FORMAT, &header.format)))])
    };
    Value::from([
        ("max", or_none(block.max, duration)),
        ("when_over", name_of(WHEN_OVER, &block.when_over).into()),
        ("combine", name_of(COMBINE, &block.combine).into()),
        ("spread", Value::number(block.spread)),
        ("headers", Value::list(block.headers.iter().map(header))),
    ])
}

fn budget(budget: &BudgetSpec) -> Value {
    let mut out = match budget.kind {
        BudgetKind::Ratio { ratio_millionths, min_per_second, ttl, deposit_on } => vec![
            ("kind", "ratio".into()),
            ("ratio", in_millionths(ratio_millionths)),
            ("min_per_second", min_per_second.into()),
            ("ttl", duration(ttl)),
            ("deposit_on", name_of(DEPOSIT_ON, &deposit_on).into()),
        ],
        BudgetKind::Concurrency { percent_millionths, min } => {
            vec![("kind", "concurrency".into()), ("percent", in_millionths(percent_millionths)), ("min", min.into())]
        }
    };
    out.push(match &budget.scope {
        Scope::Origin => ("scope", "origin".into()),
        Scope::Client => ("scope", "client".into()),
        Scope::Name(name) => ("name", name.as_str().into()),
    });
    // Each process for itself is what budgets are unless somebody says so.
    out.extend((budget.share != Share::Process).then(|| ("share", budget.share.as_str().into())));
    Value::map(out)
}

/// The kind alone, or with what else there is.
fn compat(kind: Compat, aside: Option<&Aside>) -> Value {
    let kind: Value = name_of(COMPAT, &kind).into();
    let Some(aside) = aside else { return kind };
    let named = Value::list(LISTS.iter().zip([aside.by_status, aside.by_header]).filter(|(_, named)| *named).map(|((token, _), _)| *token));
    let entries = [
        ("retry_on", named),
        ("retriable_status_codes", statuses(&aside.statuses)),
        ("retriable_headers", Value::list(aside.response_headers.iter().map(matcher))),
    ];
    let given = entries.into_iter().filter(|(_, list)| !matches!(list, Value::List(items) if items.is_empty()));
    let own = aside.per_try_timeout.map(|limit| ("per_try_timeout", or_none(limit, duration)));
    Value::map([("kind", kind)].into_iter().chain(given).chain(own))
}

fn bytes(bytes: u64) -> Value {
    match BINARY_UNITS.iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size)) {
        Some((name, size)) => format!("{}{name}", bytes / size).into(),
        None => bytes.into(),
    }
}
