//! HTTPRoute of the Gateway API, as far as everyone reads it alike.

use super::super::Value;
use super::super::node::Node;
use super::super::problem::Problem;
use super::block::Block;
use super::pieces::{Resource, items};

/// A rule of a route.
pub(super) struct Rule<'a> {
    pub(super) path: String,
    /// The route's name, and the rule's own or its number.
    pub(super) name: Option<String>,
    pub(super) retry: Option<Block<'a>>,
    pub(super) timeouts: Block<'a>,
    pub(super) value: &'a Value,
    /// The first of those that its requests go to.
    pub(super) backend: Option<&'a Value>,
    /// It answers itself.
    pub(super) redirects: bool,
}

pub(super) fn rules<'a>(node: &Node<'_>, resource: &Resource<'a>) -> Result<Vec<Rule<'a>>, Problem> {
    let mut top = Block::of(&node.path, resource.value)?;
    let Some(mut spec) = top.block("spec")? else { return Ok(Vec::new()) };
    let Some((path, Value::List(all))) = spec.found("rules")? else { return Ok(Vec::new()) };
    let rule = |(i, value): (usize, &'a Value)| {
        let path = format!("{path}[{i}]");
        let mut block = Block::of(&path, value)?;
        let redirect = |filter: &Value| matches!(filter.get("type"), Some(Value::Str(kind)) if kind == "RequestRedirect");
        Ok(Rule {
            name: part(resource.name, value, i),
            retry: block.block("retry")?,
            timeouts: block.block("timeouts")?.unwrap_or_else(|| Block::empty(&path)),
            backend: items(value, "backendRefs").first(),
            redirects: items(value, "filters").iter().any(redirect),
            value,
            path,
        })
    };
    all.iter().enumerate().map(rule).collect()
}

/// The name of the ith part of something with a name; the first needs no other.
pub(super) fn part(name: Option<&str>, item: &Value, i: usize) -> Option<String> {
    let own = match item.get("name") {
        Some(Value::Str(text)) => text.clone(),
        _ if i == 0 => return name.map(str::to_owned),
        _ => format!("[{i}]"),
    };
    name.map(|name| format!("{name}/{own}"))
}
