//! The document of a set, read and written: `{policies: {name: policy}, rules: [{match: {..}, policy: name}], default: name}`.

use std::borrow::Cow;

use super::super::dialect::{Dialect, Loaded, Origins};
use super::super::node::{Fields, Node};
use super::super::options::{OptionBlock, row};
use super::super::problem::{Problem, nearest};
use super::super::read::Keys;
use super::super::{MOST_ITEMS, Policy, Value, emit, read, read_match, validate, write};
use super::{HostPattern, PathMatch, PolicySet, RequestMatch, Rule, Scope};
use crate::error::Error;
use crate::retry::{HeaderMatcher, Test};

/// Rules, and policies, of one document.
const MOST_RULES: usize = 20_000;

static SET: OptionBlock = OptionBlock {
    name: "",
    rows: &[
        row("policies", "map of policies by name", "What rules and `default` name."),
        row("rules", "list of rules", "The first one that matches a request says which policy it has."),
        row("default", "name of a policy", "The policy of requests that no rule matches."),
    ],
};

static RULE: OptionBlock = OptionBlock {
    name: "rules[]",
    rows: &[row("match", "block", "Which requests."), row("policy", "name of a policy", "What they have.")],
};

static MATCH: OptionBlock = OptionBlock {
    name: "rules[].match",
    rows: &[
        row("host", "host or list of hosts", "Exact, or with a `*` at its beginning or end; with a port if that matters."),
        row("path", "text or block", "Exact, a beginning if the text ends in `*`, or a block with one test."),
        row("methods", "list of methods", "One of these."),
        row("headers", "list of matchers", "All of these."),
        row("query", "list of matchers", "All of these, of the parameters of the query."),
    ],
};

static PATH: OptionBlock = OptionBlock {
    name: "rules[].match.path",
    rows: &[
        row("exact", "path", "The whole path, without the query."),
        row("prefix", "text", "Its beginning."),
        row("segment", "path", "Its beginning, that ends at a `/` or is all."),
        row("regex", "regular expression", "Matches all of it."),
        row("ignore_case", "`true` or `false`", "Ignore ASCII case in exact, prefix and regex."),
    ],
};

/// Whether a document is a set's: it has policies by name, or rules that name one.
pub fn is_set(document: &Value) -> bool {
    let names = |rule: &Value| rule.get("policy").is_some();
    matches!(document.get("policies"), Some(Value::Map(_)))
        || matches!(document.get("rules"), Some(Value::List(rules)) if rules.first().is_some_and(names))
}

impl PolicySet {
    /// The set of a document; that of a policy is a set of one.
    ///
    /// # Errors
    /// `config`: `path: rule, got value; fix`.
    pub fn from_value(document: &Value) -> Result<PolicySet, Error> {
        Self::from_value_with(document, Keys::Snake)
    }

    /// [`PolicySet::from_value`] with a choice of spellings.
    ///
    /// # Errors
    /// As [`PolicySet::from_value`].
    pub fn from_value_with(document: &Value, keys: Keys) -> Result<PolicySet, Error> {
        match is_set(document) {
            true => Ok(set(document, keys)?),
            false => Policy::from_value_with(document, keys).map(PolicySet::from),
        }
    }

    /// The whole document: a policy's if it is a set of one.
    pub fn to_value(&self) -> Value {
        if let ([only], [], Some(0)) = (self.policies(), self.rules(), self.0.default)
            && only.name.is_none()
        {
            return only.policy.to_value();
        }
        let name = |at: usize| Value::from(self.policies()[at].name.as_deref().unwrap_or_default());
        let policies = self.policies().iter().enumerate().map(|(at, loaded)| (at, loaded.policy.to_short_value()));
        let policies = policies.map(|(at, policy)| (if let Value::Str(name) = name(at) { name } else { String::new() }, policy));
        let rule = |rule: &Rule| Value::from([("match", match_value(&rule.matching)), ("policy", name(rule.policy))]);
        let mut entries = vec![
            ("policies".to_owned(), Value::Map(policies.collect())),
            ("rules".to_owned(), Value::List(self.rules().iter().map(rule).collect())),
        ];
        entries.extend(self.0.default.map(|at| ("default".to_owned(), name(at))));
        Value::Map(entries)
    }

    /// [`PolicySet::to_value`] as YAML, a policy and a rule a line.
    pub fn to_yaml(&self) -> String {
        let document = self.to_value();
        let Some(Value::List(rules)) = document.get("rules").filter(|_| is_set(&document)) else { return emit::lines(&document) };
        let part = |key: &str| document.get(key).map(|value| emit::lines(&Value::from([(key, value.clone())]))).unwrap_or_default();
        let rules: String = rules.iter().map(|rule| format!("- {rule}\n")).collect();
        let rules = if rules.is_empty() { "rules: []\n".to_owned() } else { format!("rules:\n{rules}") };
        part("policies") + &rules + &part("default")
    }

    /// [`PolicySet::to_value`] as JSON, on one line.
    pub fn to_json(&self) -> String {
        emit::json(&self.to_value())
    }
}

impl Rule {
    /// What is said of its requests, in the words of a set's document.
    pub fn match_value(&self) -> Value {
        match_value(&self.matching)
    }
}

/// The set of its document.
pub(in super::super) fn set(document: &Value, keys: Keys) -> Result<PolicySet, Problem> {
    let root = Node::root(document, keys);
    let fields = root.fields(&SET)?;
    let policies = fields.get("policies").map_or(Ok(Vec::new()), |node| policies(node, keys))?;
    let rules = match fields.get("rules") {
        None => Vec::new(),
        Some(node) => {
            let rules = node.list().ok_or_else(|| node.must("be a list"))?;
            if rules.len() > MOST_RULES {
                return Err(validate::too_many(&node.path, MOST_RULES));
            }
            rules.iter().map(|node| rule(node, &policies)).collect::<Result<_, _>>()?
        }
    };
    let default = fields.get("default").map(|node| index(node, &policies)).transpose()?;
    Ok(PolicySet::new(policies, rules, default, Vec::new()))
}

fn policies(node: &Node<'_>, keys: Keys) -> Result<Vec<Loaded>, Problem> {
    let entries = node.entries().ok_or_else(|| node.must("be a map of policies by name"))?;
    if entries.len() > MOST_RULES {
        return Err(validate::too_many(&node.path, MOST_RULES));
    }
    let one = |(name, node): (String, Node<'_>)| {
        let policy = read::of_document(&node.value, keys).map_err(|problem| problem.under(&node.path))?;
        let origins = Origins::ours(node.path.as_str());
        Ok(Loaded { name: Some(name), dialect: Dialect::Reknock, policy, notes: Vec::new(), scope: Scope::default(), origins })
    };
    entries.into_iter().map(one).collect()
}

/// Where the policy of this name stands.
fn index(node: &Node<'_>, policies: &[Loaded]) -> Result<usize, Problem> {
    let name = node.text()?;
    let names = || policies.iter().filter_map(|loaded| loaded.name.as_deref());
    names().position(|known| known == name).ok_or_else(|| {
        let near = nearest(name, names()).map(|near| format!("did you mean \"{near}\"?"));
        let rule = if policies.is_empty() { "be the name of one of policies, which has none" } else { "be the name of one of policies" };
        node.must(rule).maybe_fix(near)
    })
}

fn rule(node: &Node<'_>, policies: &[Loaded]) -> Result<Rule, Problem> {
    let fields = node.fields(&RULE)?;
    let matching = fields.read("match", matching)?.unwrap_or_default();
    Ok(Rule { matching, policy: index(fields.need("policy", "a rule")?, policies)? })
}

pub(super) fn matching(node: &Node<'_>) -> Result<RequestMatch, Problem> {
    let fields = node.fields(&MATCH)?;
    let methods = match fields.read("methods", read_match::methods)? {
        None | Some(crate::retry::Methods::Any) => Vec::new(),
        Some(crate::retry::Methods::List(list)) => list,
        Some(crate::retry::Methods::Idempotent) => return Err(fields.need("methods", "")?.must("be a list of methods")),
    };
    Ok(RequestMatch {
        hosts: fields.read("host", hosts)?.unwrap_or_default(),
        path: fields.read("path", path)?,
        methods,
        headers: headers(&fields)?,
        query: query(&fields)?,
    })
}

fn hosts(node: &Node<'_>) -> Result<Vec<HostPattern>, Problem> {
    let host = |item: &Node<'_>| {
        let text = item.text()?;
        let fix = text.split_once("://").map(|(_, rest)| format!("write \"{}\"", rest.split('/').next().unwrap_or(rest)));
        HostPattern::new(text)
            .ok_or_else(|| item.must("be a host such as \"shop.test\", \"*.shop.test\" or \"shop.test:8080\"").maybe_fix(fix))
    };
    node.items(MOST_ITEMS)?.iter().map(host).collect()
}

fn path(node: &Node<'_>) -> Result<PathMatch, Problem> {
    if let Some(text) = node.str() {
        let test = match text.strip_suffix('*') {
            Some(start) => Test::Prefix(absolute(node, start)?, false),
            None => Test::Exact(absolute(node, text)?, false),
        };
        return Ok(PathMatch::Test(test));
    }
    let fields = node.fields(&PATH)?;
    let any_case = fields.read("ignore_case", Node::flag)?.unwrap_or(false);
    let mut tests = fields.iter().filter(|(key, _)| *key != "ignore_case");
    let (Some((key, value)), None) = (tests.next(), tests.next()) else {
        return Err(Problem::new(node.path.as_str(), "must have one test: exact, prefix, segment or regex"));
    };
    Ok(match key {
        "exact" => PathMatch::Test(Test::Exact(absolute(value, value.text()?)?, any_case)),
        "prefix" => PathMatch::Test(Test::Prefix(absolute(value, value.text()?)?, any_case)),
        "segment" if any_case => return Err(Problem::new(node.path.as_str(), "ignore_case belongs to exact, prefix and regex")),
        "segment" => PathMatch::Segment(absolute(value, value.text()?)?),
        _ => PathMatch::Test(read_match::regex(value, any_case)?),
    })
}

/// A path begins with a slash: another one would silently match nothing.
fn absolute(node: &Node<'_>, path: &str) -> Result<String, Problem> {
    match path {
        path if path.contains(['?', '#']) => Err(node.must("be a path without a query").fix("the query has a key of its own")),
        path if path.is_empty() || path.starts_with('/') => Ok(path.to_owned()),
        path => Err(node.must("begin with /").fix(format!("write \"/{path}\""))),
    }
}

/// What a matcher of a request may be about besides its header fields.
pub(in super::super) const PSEUDO: &[&str] = &[":method", ":scheme", ":authority", ":path"];

fn headers(fields: &Fields<'_>) -> Result<Vec<HeaderMatcher>, Problem> {
    let Some(node) = fields.get("headers") else { return Ok(Vec::new()) };
    let all = read_match::matchers(node)?;
    validate::matchers(&node.path, &all, PSEUDO)?;
    Ok(all)
}

/// Matchers of parameters, whose names are in their own case.
fn query(fields: &Fields<'_>) -> Result<Vec<HeaderMatcher>, Problem> {
    let Some(node) = fields.get("query") else { return Ok(Vec::new()) };
    let one = |item: &Node<'_>| {
        let written = item.str().map(str::to_owned).or_else(|| match item.value.get("name") {
            Some(Value::Str(name)) => Some(name.clone()),
            _ => None,
        });
        let matcher = read_match::matcher(item)?;
        Ok(HeaderMatcher { name: written.unwrap_or_default(), ..matcher })
    };
    node.items(MOST_ITEMS)?.iter().map(one).collect()
}

/// What is said of a match, in its document's words.
pub(super) fn match_value(matching: &RequestMatch) -> Value {
    let mut entries: Vec<(&str, Value)> = Vec::new();
    match matching.hosts.as_slice() {
        [] => {}
        [only] => entries.push(("host", only.to_string().into())),
        hosts => entries.push(("host", Value::list(hosts.iter().map(ToString::to_string)))),
    }
    entries.extend(matching.path.as_ref().map(|path| ("path", path_value(path))));
    let mut list = |key, all: Vec<Value>| entries.extend((!all.is_empty()).then_some((key, Value::List(all))));
    list("methods", matching.methods.iter().map(|method| method.as_str().into()).collect());
    list("headers", matching.headers.iter().map(write::short_matcher).collect());
    list("query", matching.query.iter().map(write::short_matcher).collect());
    Value::map(entries)
}

fn path_value(path: &PathMatch) -> Value {
    let (key, text, ignore_case): (_, Cow<'_, str>, _) = match path {
        PathMatch::Segment(start) => ("segment", start.into(), false),
        PathMatch::Test(Test::Exact(path, ignore_case)) => ("exact", path.into(), *ignore_case),
        PathMatch::Test(Test::Prefix(start, ignore_case)) => ("prefix", start.into(), *ignore_case),
        PathMatch::Test(Test::Regex(pattern)) => ("regex", pattern.text().into(), pattern.ignore_case()),
        PathMatch::Test(_) => return Value::Null,
    };
    let case = ignore_case.then_some(("ignore_case", Value::Bool(true)));
    Value::map([(key, Value::from(&*text))].into_iter().chain(case))
}
