//! Reads what outcomes are told by: `retry_on`, `statuses`, `response_headers`, `methods`.

use std::ops::RangeInclusive;

use super::node::Node;
use super::options::MATCHER;
use super::problem::{Problem, nearest};
use super::value::Value;
use super::{MOST_ITEMS, validate};
use crate::retry::{Condition, Conditions, HeaderMatcher, Methods, Pattern, StatusSet, Test};

/// No list of words is longer than this: all statuses, one by one, included and excluded.
const MOST_WORDS: usize = 1800;

pub(super) fn conditions(node: &Node<'_>) -> Result<Conditions, Problem> {
    node.items(MOST_WORDS)?.iter().try_fold(Conditions::NONE, |all, item| {
        let (negative, word) = negated(item.str().unwrap_or_default());
        match Condition::from_token(word) {
            Some(condition) => Ok(if negative { all.without(condition) } else { all.with(condition) }),
            None => Err(unknown_condition(item, word)),
        }
    })
}

fn unknown_condition(item: &Node<'_>, word: &str) -> Problem {
    let problem = item.must("be a condition");
    if is_status(&item.value) || status_range(word).is_some() {
        return problem.fix("statuses belong in statuses");
    }
    let names = Condition::ALL.iter().map(|condition| condition.token());
    match nearest(word, names.clone()) {
        Some(near) => problem.fix(format!("did you mean \"{near}\"?")),
        None => problem.fix(format!("the conditions are {}", names.collect::<Vec<_>>().join(", "))),
    }
}

fn is_status(value: &Value) -> bool {
    matches!(value, Value::Int(_))
}

/// `"not X"` is X, negative.
fn negated(text: &str) -> (bool, &str) {
    match text.strip_prefix("not ") {
        Some(word) => (true, word.trim_start()),
        None => (false, text),
    }
}

pub(super) fn statuses(node: &Node<'_>) -> Result<StatusSet, Problem> {
    node.items(MOST_WORDS)?.iter().try_fold(StatusSet::NONE, |all, item| {
        let number = match *item.value {
            Value::Int(number) => Some(number.to_string()),
            _ => item.str().map(str::to_owned),
        };
        let text = number.unwrap_or_default();
        let (negative, word) = negated(&text);
        let range = status_range(word).ok_or_else(|| {
            let condition = Condition::from_token(word).map(|_| "conditions belong in retry_on");
            item.must("be a status from 100 to 999, a rising range like \"500-599\", or \"not 501\"").maybe_fix(condition)
        })?;
        Ok(range.fold(all, |all, status| if negative { all.without(status) } else { all.with(status) }))
    })
}

/// `"503"` or `"500-599"`.
fn status_range(word: &str) -> Option<RangeInclusive<u16>> {
    let (low, high) = word.split_once('-').unwrap_or((word, word));
    let status = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|status| digits && (StatusSet::LOWEST..=StatusSet::HIGHEST).contains(status))
    };
    let range = status(low)?..=status(high)?;
    (!range.is_empty()).then_some(range)
}

pub(super) fn methods(node: &Node<'_>) -> Result<Methods, Problem> {
    match node.str() {
        Some("idempotent") => return Ok(Methods::Idempotent),
        Some("any") => return Ok(Methods::Any),
        _ => {}
    }
    let mut methods: Vec<String> = Vec::new();
    for item in node.items(MOST_ITEMS)? {
        let method = item.text()?;
        validate::method(&item.path, method)?;
        if !methods.iter().any(|known| known == method) {
            methods.push(method.to_owned());
        }
    }
    Ok(Methods::List(methods))
}

pub(super) fn matchers(node: &Node<'_>) -> Result<Vec<HeaderMatcher>, Problem> {
    node.items(MOST_ITEMS)?.iter().map(matcher).collect()
}

pub(super) fn matcher(node: &Node<'_>) -> Result<HeaderMatcher, Problem> {
    if let Some(name) = node.str() {
        return Ok(HeaderMatcher { name: name.to_ascii_lowercase(), test: Test::Present(true), invert: false });
    }
    let fields = node.fields(&MATCHER)?;
    let name = fields.need("name", "a matcher")?.text()?.to_ascii_lowercase();
    let invert = fields.read("invert", Node::flag)?.unwrap_or(false);
    let ignore_case = fields.read("ignore_case", Node::flag)?;
    let mut tests = fields.iter().filter(|(key, _)| !matches!(*key, "name" | "invert" | "ignore_case"));
    let Some((key, value)) = tests.next() else {
        return ignored_case(node, ignore_case, Test::Present(true)).map(|test| HeaderMatcher { name, test, invert });
    };
    if let Some((second, _)) = tests.next() {
        return Err(Problem::new(node.path.as_str(), format!("must have one test, got {key} and {second}")));
    }
    let text = || value.text().map(str::to_owned);
    let any_case = ignore_case.unwrap_or(false);
    let test = match key {
        "exact" => Test::Exact(text()?, any_case),
        "prefix" => Test::Prefix(text()?, any_case),
        "suffix" => Test::Suffix(text()?, any_case),
        "contains" => Test::Contains(text()?, any_case),
        "regex" => regex(value, any_case)?,
        "range" => ignored_case(node, ignore_case, Test::Range(range(value)?))?,
        _ => ignored_case(node, ignore_case, Test::Present(value.flag()?))?,
    };
    Ok(HeaderMatcher { name, test, invert })
}

/// A test that has no case to ignore.
fn ignored_case(node: &Node<'_>, ignore_case: Option<bool>, test: Test) -> Result<Test, Problem> {
    match ignore_case {
        Some(_) => Err(Problem::new(node.path.as_str(), "ignore_case belongs to exact, prefix, suffix, contains and regex")),
        None => Ok(test),
    }
}

pub(super) fn regex(node: &Node<'_>, ignore_case: bool) -> Result<Test, Problem> {
    let pattern = Pattern::new(node.text()?, ignore_case).map_err(|reason| {
        // The compiler draws the pattern first; the last line says what is wrong.
        let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").trim_end_matches('.').to_owned();
        node.must("be a regular expression").fix(last)
    })?;
    Ok(Test::Regex(Box::new(pattern)))
}

/// `"1-9"`, `"-5-3"`, `"-9--1"`: the first dash after a digit parts the ends.
fn range(node: &Node<'_>) -> Result<RangeInclusive<i64>, Problem> {
    let ends = node.str().and_then(|text| {
        let dash = text.char_indices().skip(1).find(|(_, c)| *c == '-')?.0;
        let whole = |text: &str| text.parse::<i64>().ok().filter(|_| !text.starts_with('+'));
        Some(whole(&text[..dash])?..=whole(&text[dash + 1..])?)
    });
    ends.ok_or_else(|| node.must("be a range of whole numbers").fix("write for example \"1-9\" or \"-5-5\""))
}
