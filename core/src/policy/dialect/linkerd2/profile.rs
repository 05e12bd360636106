//! linkerd2's ServiceProfile: which routes are sent again, and the budget that all of them share.

use std::time::Duration;

use super::super::super::Value;
use super::super::super::node::Node;
use super::super::super::problem::Problem;
use super::super::block::{Block, list, whole};
use super::super::draft::{Draft, duration};
use super::super::pieces::{Resource, items};
use super::super::{Dialect, Found, routes};
use super::{BUFFER, notes_of_retries};
use crate::time::parse_duration;

/// What a profile without a budget has.
const BUDGET: (f64, i64, Duration) = (0.2, 10, Duration::from_secs(10));

/// A route that is retryable.
pub(in super::super) fn draft() -> Draft {
    let mut draft = Draft::off();
    // Its budget is the only limit.
    draft.set("max_retries", 100);
    draft.set("statuses", Value::list(["500-599"]));
    draft.set("max_body_buffer", BUFFER);
    draft.set("budget", budget_of(BUDGET.0, BUDGET.1, BUDGET.2));
    draft
}

fn budget_of(ratio: f64, min_per_second: i64, ttl: Duration) -> Value {
    Value::from([
        ("kind", Value::from("ratio")),
        ("ratio", Value::number(ratio)),
        ("min_per_second", Value::Int(min_per_second)),
        ("ttl", duration(ttl)),
        ("deposit_on", Value::from("success")),
    ])
}

const NO_LIMIT: &str = "linkerd2 has no limit of retries per call but its budget; reknock stops after 100 as well";
const DEPOSITS: &str = "a transport error and a body that cannot be sent again deposit in linkerd2 as well";

pub(super) fn read(found: &mut Found, node: &Node<'_>, resource: &Resource<'_>) -> Result<(), Problem> {
    let mut top = Block::of(&node.path, resource.value)?;
    let Some(mut spec) = top.block("spec")? else { return Ok(()) };
    let budget = spec.block("retryBudget")?;
    let budget = budget.map(|block| budget_from(block)).transpose()?;
    let Some(routes) = spec.take("routes")? else { return Ok(()) };
    for (i, item) in list(&routes)?.into_iter().enumerate() {
        let mut route = Block::of(&item.path, &item.value)?;
        let retryable = route.take("isRetryable")?.map_or(Ok(false), |node| node.flag())?;
        let mut draft = if retryable { draft() } else { Draft::off() };
        let classes = route.take("responseClasses")?;
        if retryable {
            draft.note("", NO_LIMIT);
            draft.note("", DEPOSITS);
            notes_of_retries(&mut draft);
            if let Some(Budget { value, path, rounded }) = &budget {
                draft.set_from("budget", value.clone(), path);
                draft.note_all(rounded.iter().cloned().collect());
            }
            if let Some(classes) = &classes {
                draft.set_from("statuses", failures(classes)?, &classes.path);
            }
        }
        if let Some(node) = route.take("timeout")? {
            let length = go_duration(&node)?;
            draft.set_from("timeout", super::super::draft::limit(length), &node.path);
        }
        let own = match item.value.get("name") {
            Some(Value::Str(name)) => name.clone(),
            _ => format!("[{i}]"),
        };
        let name = resource.name.map_or_else(|| own.clone(), |name| format!("{name}/{own}"));
        routes::of_profile(&mut draft, &item.path, &item.value, resource);
        found.add(draft.finish(Dialect::Linkerd2, Some(name))?)?;
    }
    Ok(())
}

/// A duration as Go writes it.
fn go_duration(node: &Node<'_>) -> Result<Duration, Problem> {
    let text = node.text()?;
    let known = if text == "0" { Some(Duration::ZERO) } else { parse_duration(text) };
    known.ok_or_else(|| node.must("be a duration").fix("write for example \"300ms\""))
}

struct Budget {
    value: Value,
    path: String,
    rounded: Option<super::super::Note>,
}

/// What is not told of a budget that is there is 0.
fn budget_from(mut block: Block<'_>) -> Result<Budget, Problem> {
    let mut rounded = None;
    let mut share = 0.0;
    if let Some(node) = block.take("retryRatio")? {
        share = node.number()?;
        if !(0.0..=1000.0).contains(&share) {
            return Err(node.must("be a number from 0 to 1000"));
        }
        let exact = (share * 1e6).round() / 1e6;
        if exact != share {
            rounded = Some(super::super::Note { path: node.path, text: format!("counted as {exact}: a ratio has six decimals") });
            share = exact;
        }
    }
    let min = block.take("minRetriesPerSecond")?.map_or(Ok(0), |node| whole(&node, 0, u32::MAX.into()))?;
    let node = block.need("ttl")?;
    let ttl = go_duration(&node)?;
    if !(Duration::from_secs(1)..=Duration::from_secs(60)).contains(&ttl) {
        return Err(node.must("be from 1s to 60s"));
    }
    block.no_rest(&["retryRatio", "minRetriesPerSecond", "ttl"])?;
    Ok(Budget { value: budget_of(share, min, ttl), path: block.path, rounded })
}

const STATUSES: std::ops::RangeInclusive<i64> = 100..=999;

/// The statuses that are failures: the first class that matches decides, without one it is 500 to 599.
fn failures(classes: &Node<'_>) -> Result<Value, Problem> {
    let all = list(classes)?;
    let mut known: Vec<(Class, bool)> = Vec::new();
    for item in &all {
        let mut block = Block::of(&item.path, &item.value)?;
        let is_failure = block.take("isFailure")?.map_or(Ok(false), |node| node.flag())?;
        let condition = block.need("condition")?;
        known.push((Class::of(&condition, 0)?, is_failure));
    }
    let fails = |status: i64| {
        let decided = known.iter().find(|(class, _)| class.matches(status)).map(|(_, is_failure)| *is_failure);
        decided.unwrap_or((500..600).contains(&status))
    };
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for status in STATUSES.filter(|status| fails(*status)) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == status => *last = status,
            _ => ranges.push((status, status)),
        }
    }
    Ok(Value::list(ranges.into_iter().map(|(first, last)| format!("{first}-{last}"))))
}

/// The condition of a response class.
struct Class {
    status: Option<(i64, i64)>,
    all: Vec<Class>,
    any: Option<Vec<Class>>,
    not: Option<Box<Class>>,
}

/// Conditions within conditions.
const DEEPEST: usize = 16;

impl Class {
    fn of(node: &Node<'_>, depth: usize) -> Result<Class, Problem> {
        let mut block = Block::of(&node.path, &node.value)?;
        if depth > DEEPEST {
            return Err(Problem::new(node.path.as_str(), format!("conditions are nested deeper than {DEEPEST}")));
        }
        let several = |node: Node<'_>| list(&node)?.iter().map(|item| Class::of(item, depth + 1)).collect::<Result<Vec<_>, _>>();
        let status = block.block("status")?.map(range).transpose()?;
        let all = block.take("all")?.map_or(Ok(Vec::new()), several)?;
        let any = block.take("any")?.map(several).transpose()?;
        let not = block.take("not")?.map(|node| Class::of(&node, depth + 1)).transpose()?.map(Box::new);
        block.no_rest(&["status", "all", "any", "not"])?;
        Ok(Class { status, all, any, not })
    }

    fn matches(&self, status: i64) -> bool {
        self.status.is_none_or(|(min, max)| (min..=max).contains(&status))
            && self.all.iter().all(|class| class.matches(status))
            && self.any.as_ref().is_none_or(|any| any.iter().any(|class| class.matches(status)))
            && self.not.as_ref().is_none_or(|not| !not.matches(status))
    }
}

fn range(mut block: Block<'_>) -> Result<(i64, i64), Problem> {
    let mut end = |key: &str, unless: i64| block.take(key)?.map_or(Ok(unless), |node| whole(&node, 100, 599));
    let (min, max) = (end("min", 100)?, end("max", 599)?);
    if max < min {
        return Err(Problem::new(block.path.as_str(), format!("max must be at least min ({min}), got {max}")));
    }
    block.no_rest(&["min", "max"])?;
    Ok((min, max))
}

/// The names of the services that profiles are for, with their namespaces: the first two parts of the name.
pub(super) fn service_of<'a>(resource: &Resource<'a>) -> Option<(&'a str, &'a str)> {
    let mut parts = resource.name?.split('.');
    let name = parts.next()?;
    let has_routes = resource.value.get("spec").is_some_and(|spec| !items(spec, "routes").is_empty());
    has_routes.then(|| (name, parts.next().unwrap_or(resource.home())))
}
