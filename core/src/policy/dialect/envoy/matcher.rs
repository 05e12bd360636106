//! Envoy's header matchers, in today's form and the older ones.

use super::super::super::node::{Node, join};
use super::super::super::problem::Problem;
use super::super::super::{Value, read_match};
use super::super::block::{Block, list};
use super::super::draft::Draft;
use crate::retry::HeaderMatcher;

/// Sets `key` to the matchers of a list.
pub(super) fn set(draft: &mut Draft, key: &'static str, node: &Node<'_>) -> Result<(), Problem> {
    let mut matchers = Vec::new();
    for (i, item) in list(node)?.iter().enumerate() {
        draft.source(format!("{key}[{i}]"), &item.path);
        let (matcher, regex) = matcher(draft, item)?;
        draft.source(format!("{key}[{i}].name"), &join(&item.path, "name"));
        draft.source(format!("{key}[{i}].regex"), regex.as_deref().unwrap_or(&item.path));
        matchers.push(matcher);
    }
    draft.set_from(key, Value::List(matchers), &node.path);
    Ok(())
}

/// The matchers of a list as they are, each on a request; `None` if one cannot be read.
pub(in super::super) fn of_request(draft: &mut Draft, node: &Node<'_>) -> Result<Option<Vec<HeaderMatcher>>, Problem> {
    let values = list(node)?.iter().map(|item| Ok(matcher(draft, item)?.0)).collect::<Result<Vec<_>, Problem>>()?;
    Ok(read_match::matchers(&Node::at(node.path.as_str(), &Value::List(values))).ok())
}

/// One matcher, and where its test is.
fn matcher(draft: &mut Draft, node: &Node<'_>) -> Result<(Value, Option<String>), Problem> {
    let mut block = Block::of(&node.path, &node.value)?;
    let name = block.need("name")?;
    let mut out = vec![("name", Value::from(name.text()?))];
    let mut tests: Vec<(&'static str, Node<'_>)> = Vec::new();
    for (old, test) in [
        ("exact_match", "exact"),
        ("prefix_match", "prefix"),
        ("suffix_match", "suffix"),
        ("contains_match", "contains"),
        ("regex_match", "regex"),
    ] {
        tests.extend(block.take(old)?.map(|node| (test, node)));
    }
    if let Some(mut old) = block.block("safe_regex_match")? {
        tests.push(("regex", regex(&mut old)?));
    }
    if let Some(mut string) = block.block("string_match")? {
        for test in ["exact", "prefix", "suffix", "contains"] {
            tests.extend(string.take(test)?.map(|node| (test, node)));
        }
        if let Some(mut safe) = string.block("safe_regex")? {
            tests.push(("regex", regex(&mut safe)?));
        }
        let ignore_case = string.take("ignore_case")?.map(|node| node.flag()).transpose()?.unwrap_or(false);
        // Envoy's regular expressions take no notice of it.
        if ignore_case && !tests.iter().any(|(test, _)| *test == "regex") {
            out.push(("ignore_case", Value::Bool(true)));
        }
        if string.has("custom") {
            return Err(Problem::new(join(&string.path, "custom"), "custom matchers cannot be read")
                .fix("write exact, prefix, suffix, contains or safe_regex"));
        }
        string.no_rest(&["exact", "prefix", "suffix", "contains", "safe_regex", "ignore_case"])?;
    }
    let mut kinds: Vec<String> = tests.iter().map(|(_, node)| node.path.clone()).collect();
    if let Some((test, node)) = tests.first() {
        out.push((test, Value::from(node.text()?)));
    }
    if let Some(mut range) = block.block("range_match")? {
        kinds.push(range.path.clone());
        out.push(("range", self::range(&mut range)?));
    }
    if let Some(present) = block.take("present_match")? {
        kinds.push(present.path.clone());
        out.push(("present", Value::Bool(present.flag()?)));
    }
    if kinds.len() > 1 {
        return Err(Problem::new(node.path.as_str(), format!("must have one test, got {}", kinds.join(" and "))));
    }
    if let Some(invert) = block.take("invert_match")? {
        out.push(("invert", Value::Bool(invert.flag()?)));
    }
    if let Some(missing) = block.take("treat_missing_header_as_empty")?
        && missing.flag()?
    {
        draft.note(missing.path, "not copied: a missing header matches nothing but present tests");
    }
    block.no_rest(&["name", "string_match", "range_match", "present_match", "invert_match", "treat_missing_header_as_empty"])?;
    Ok((Value::map(out), kinds.pop()))
}

fn regex<'a>(block: &mut Block<'a>) -> Result<Node<'a>, Problem> {
    block.take("google_re2")?;
    let regex = block.need("regex")?;
    block.no_rest(&["regex", "google_re2"])?;
    Ok(regex)
}

/// Envoy's range leaves its end out; 64-bit numbers are text in JSON made from protocol buffers.
fn range(block: &mut Block<'_>) -> Result<Value, Problem> {
    let mut bound = |key: &str| block.take(key)?.map_or(Ok(0), |node| super::whole(&node, i64::MIN, i64::MAX));
    let (start, end) = (bound("start")?, bound("end")?);
    block.no_rest(&["start", "end"])?;
    if end <= start {
        return Err(Problem::new(block.path.as_str(), format!("end must be above start, got {start} and {end}")));
    }
    Ok(Value::from(format!("{start}-{}", end - 1)))
}
