//! Reads the blocks: `backoff`, `retry_after`, `budget`, `compat`.

use std::time::Duration;

use super::defaults::{BACKOFF_BASE, BACKOFF_FACTOR, BACKOFF_MAX};
use super::dialect::envoy::Aside;
use super::names::{COMBINE, COMPAT, DEPOSIT_ON, FORM, FORMAT, LISTS, Names, SHARE, WHEN_OVER, name_of};
use super::node::{Fields, Node};
use super::options::{self, BACKOFF, BUDGET, HINT_HEADER, JITTER, RETRY_AFTER};
use super::problem::Problem;
use super::read::{kind, millionths, or_none, timeout};
use super::{Compat, MOST_ITEMS, MOST_RETRIES, read_match};
use crate::retry::{Backoff, BudgetKind, BudgetSpec, Condition, DepositOn, HintHeader, Jitter, RetryAfter, Scope, Share};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Exponential,
    Constant,
    Linear,
    Decorrelated,
    Sequence,
}

const KINDS: Names<Kind> = &[
    ("exponential", Kind::Exponential),
    ("constant", Kind::Constant),
    ("linear", Kind::Linear),
    ("decorrelated", Kind::Decorrelated),
    ("sequence", Kind::Sequence),
];

pub(super) fn backoff(node: &Node<'_>) -> Result<Backoff, Problem> {
    if node.is_off() {
        return Ok(Backoff::Constant { delay: Duration::ZERO, jitter: Jitter::None });
    }
    if !node.is_map() {
        return Ok(Backoff::Constant { delay: node.duration()?, jitter: Jitter::None });
    }
    let fields = node.fields(&BACKOFF)?;
    let kind = kind(&fields, KINDS, Kind::Exponential)?;
    let word = name_of(KINDS, &kind);
    fields.only_of(word, &BACKOFF)?;
    let why = format!("kind {word}");
    let need = |key| fields.need(key, &why)?.duration();
    let jitter = |default| Ok(fields.read("jitter", jitter)?.unwrap_or(default));
    let max = |first: Duration| Ok(fields.read("max", Node::duration)?.unwrap_or(BACKOFF_MAX.max(first)));
    Ok(match kind {
        Kind::Constant => Backoff::Constant { delay: need("delay")?, jitter: jitter(Jitter::None)? },
        Kind::Linear => {
            let base = need("base")?;
            Backoff::Linear { base, step: need("step")?, max: max(base)?, jitter: jitter(Jitter::None)? }
        }
        Kind::Exponential => {
            let base = fields.read("base", Node::duration)?.unwrap_or(BACKOFF_BASE);
            Backoff::Exponential {
                base,
                factor: fields.read("factor", Node::number)?.unwrap_or(BACKOFF_FACTOR),
                max: max(base)?,
                first_uncapped: fields.read("first_uncapped", Node::flag)?.unwrap_or(false),
                jitter: jitter(Jitter::Full)?,
            }
        }
        Kind::Decorrelated => {
            let min = need("min")?;
            let form = fields.read("form", |node| node.choice(FORM))?.unwrap_or_default();
            Backoff::Decorrelated { min, max: max(min)?, form }
        }
        Kind::Sequence => {
            let delays = fields.need("delays", &why)?.items(MOST_RETRIES as usize)?.iter().map(Node::duration).collect::<Result<_, _>>()?;
            Backoff::Sequence { delays, jitter: jitter(Jitter::None)? }
        }
    })
}

const JITTERS: Names<Jitter> = &[("full", Jitter::Full), ("equal", Jitter::Equal), ("none", Jitter::None)];

fn jitter(node: &Node<'_>) -> Result<Jitter, Problem> {
    if node.is_off() {
        return Ok(Jitter::None);
    }
    if !node.is_map() {
        return node.choice(JITTERS).map_err(|problem| if node.str().is_some() { problem } else { node.must(JITTER_RULE) });
    }
    let fields = node.fields(&JITTER)?;
    let number = |key| fields.read(key, Node::number);
    match (number("ratio")?, fields.read("extra", Node::duration)?, number("extra_ratio")?) {
        (Some(ratio), None, None) => Ok(Jitter::Ratio(ratio)),
        (None, Some(extra), None) => Ok(Jitter::Extra(extra)),
        (None, None, Some(ratio)) => Ok(Jitter::ExtraRatio(ratio)),
        _ => Err(Problem::new(node.path.as_str(), "must have one key, ratio, extra or extra_ratio")),
    }
}

const JITTER_RULE: &str = "be full, equal, none, {ratio: 0.25}, {extra: \"1s\"} or {extra_ratio: 0.5}";

pub(super) fn retry_after(node: &Node<'_>) -> Result<Option<RetryAfter>, Problem> {
    let Some(fields) = block(node, &RETRY_AFTER)? else { return Ok(None) };
    let mut out = RetryAfter::default();
    for (key, node) in fields.iter() {
        match key {
            "max" => out.max = timeout(node)?,
            "when_over" => out.when_over = node.choice(WHEN_OVER)?,
            "combine" => out.combine = node.choice(COMBINE)?,
            "spread" => out.spread = node.number()?,
            _ => out.headers = node.items(MOST_ITEMS)?.iter().map(hint_header).collect::<Result<_, _>>()?,
        }
    }
    Ok(Some(out))
}

fn hint_header(node: &Node<'_>) -> Result<HintHeader, Problem> {
    if let Some(name) = node.str() {
        return Ok(HintHeader { name: name.to_ascii_lowercase(), format: Default::default() });
    }
    let fields = node.fields(&HINT_HEADER)?;
    let name = fields.need("name", "a header")?.text()?.to_ascii_lowercase();
    let format = fields.read("format", |node| node.choice(FORMAT))?.unwrap_or_default();
    Ok(HintHeader { name, format })
}

/// The fields of a block, or `None` where it is turned off.
fn block<'a>(node: &'a Node<'a>, block: &'static super::OptionBlock) -> Result<Option<Fields<'a>>, Problem> {
    if node.is_map() {
        return node.fields(block).map(Some);
    }
    or_none(node, |node| Err(node.must("be a map or none").fix("leave the key out for the default")))
}

const BUDGET_KINDS: Names<bool> = &[("ratio", true), ("concurrency", false)];
const SCOPES: Names<bool> = &[("origin", true), ("client", false)];

/// Envoy's numbers, for a concurrency budget that leaves them out.
const CONCURRENCY_PERCENT: u64 = 20_000_000;
const CONCURRENCY_MIN: u32 = 3;

pub(super) fn budget(node: &Node<'_>) -> Result<Option<BudgetSpec>, Problem> {
    let Some(fields) = block(node, &BUDGET)? else { return Ok(None) };
    let ratio = kind(&fields, BUDGET_KINDS, true)?;
    fields.only_of(name_of(BUDGET_KINDS, &ratio), &BUDGET)?;
    let scope = scope(&fields)?;
    let count = |node: &Node<'_>| node.whole(0, u32::MAX.into()).map(|number| number as u32);
    let mut kind = BudgetKind::default();
    if !ratio {
        kind = BudgetKind::Concurrency { percent_millionths: CONCURRENCY_PERCENT, min: CONCURRENCY_MIN };
    }
    for (key, node) in fields.iter() {
        match (&mut kind, key) {
            (BudgetKind::Ratio { ratio_millionths, .. }, "ratio") => *ratio_millionths = millionths(node, super::MOST_RATIO)?,
            (BudgetKind::Ratio { min_per_second, .. }, "min_per_second") => *min_per_second = count(node)?,
            (BudgetKind::Ratio { ttl, .. }, "ttl") => *ttl = node.duration()?,
            (BudgetKind::Ratio { deposit_on, .. }, "deposit_on") => *deposit_on = node.choice::<DepositOn>(DEPOSIT_ON)?,
            (BudgetKind::Concurrency { percent_millionths, .. }, "percent") => *percent_millionths = millionths(node, super::MOST_PERCENT)?,
            (BudgetKind::Concurrency { min, .. }, "min") => *min = count(node)?,
            _ => {}
        }
    }
    let share = fields.get("share").map(share).transpose()?.unwrap_or_default();
    Ok(Some(BudgetSpec { kind, scope, share }))
}

fn share(node: &Node<'_>) -> Result<Share, Problem> {
    match node.str() {
        Some("fleet") => Err(node.must("be one of process, host").fix("fleet is a word for later: no budget is shared between hosts yet")),
        _ => node.choice(SHARE),
    }
}

/// `scope: origin`, `scope: client`, or `name: payments`.
fn scope(fields: &Fields<'_>) -> Result<Scope, Problem> {
    match (fields.get("scope"), fields.get("name")) {
        (None, None) => Ok(Scope::default()),
        (None, Some(name)) => Ok(Scope::Name(name.text()?.to_owned())),
        (Some(scope), Some(_)) => {
            Err(Problem::new(scope.path.as_str(), "cannot stand beside name").fix("a named budget has no other scope"))
        }
        (Some(scope), None) if scope.is_map() => Err(scope.must("be one of origin, client").fix("write name: payments in place of scope")),
        (Some(scope), None) => Ok(if scope.choice(SCOPES)? { Scope::Origin } else { Scope::Client }),
    }
}

/// Whose differences apply, and what its block says besides.
pub(super) fn compat(node: &Node<'_>) -> Result<(Option<Compat>, Option<Box<Aside>>), Problem> {
    if !node.is_map() {
        return Ok((or_none(node, |node| node.choice(COMPAT))?, None));
    }
    let fields = node.fields(&options::COMPAT)?;
    let compat = fields.need("kind", "compat")?.choice(COMPAT)?;
    let mut aside = Aside::default();
    for (key, node) in fields.iter() {
        match key {
            "retry_on" => {
                for item in node.items(MOST_ITEMS)? {
                    match item.choice(LISTS)? {
                        Condition::RetriableStatusCodes => aside.by_status = true,
                        _ => aside.by_header = true,
                    }
                }
            }
            "retriable_status_codes" => aside.statuses = read_match::statuses(node)?,
            "retriable_headers" => aside.response_headers = read_match::matchers(node)?,
            "per_try_timeout" => aside.per_try_timeout = Some(timeout(node)?),
            _ => {}
        }
    }
    Ok((Some(compat), aside.kept()))
}
