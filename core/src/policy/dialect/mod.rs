//! Readers of other systems' documents: each turns its dialect into a canonical document, which the one reader checks.
//!
//! A mistake is reported in the words of the document it is in: the readers check what their system checks, and what is left
//! to the canonical reader is led back to the place it came from.

mod ballerina;
mod block;
mod draft;
pub mod envoy;
mod kgateway;
mod ktor;
mod linkerd;
mod recognise;

use std::fmt;

use super::node::Node;
use super::problem::{Problem, nearest, path_name, placed};
use super::{Policy, Value};
use crate::error::Error;

pub(super) use recognise::recognise;

/// Whose words a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// reknock's own policy document.
    Reknock,
    /// Envoy's configuration: `retry_policy` of routes and virtual hosts, alone or within anything that holds them.
    Envoy,
    /// The Kubernetes resources of gateways built on Envoy: RouteOption, TrafficPolicy, HTTPRoute.
    Kgateway,
    /// linkerd 1.x: `retries` of services and clients.
    Linkerd,
    /// Ballerina's `http:ClientConfiguration`: `retryConfig` and `timeout`.
    Ballerina,
    /// Ktor's plugin `HttpRequestRetry`.
    Ktor,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: &'static [Dialect] =
        &[Dialect::Reknock, Dialect::Envoy, Dialect::Kgateway, Dialect::Linkerd, Dialect::Ballerina, Dialect::Ktor];

    /// Its name, for example `"kgateway"`.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Reknock => "reknock",
            Dialect::Envoy => "envoy",
            Dialect::Kgateway => "kgateway",
            Dialect::Linkerd => "linkerd",
            Dialect::Ballerina => "ballerina",
            Dialect::Ktor => "ktor",
        }
    }

    /// The dialect with this name.
    ///
    /// # Errors
    /// `config` with the names there are.
    pub fn from_name(name: &str) -> Result<Dialect, Error> {
        Self::ALL.iter().copied().find(|dialect| dialect.name() == name).ok_or_else(|| unknown_name("dialect", name, Self::names()).into())
    }

    fn names() -> impl Iterator<Item = &'static str> + Clone {
        Self::ALL.iter().map(|dialect| dialect.name())
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn unknown_name(what: &str, name: &str, names: impl Iterator<Item = &'static str> + Clone) -> Problem {
    let list = names.clone().collect::<Vec<_>>().join(", ");
    let fix = nearest(name, names).map(|near| format!("did you mean \"{near}\"?"));
    Problem::must(what, format_args!("be one of {list}"), &name.into()).maybe_fix(fix)
}

/// Something that reknock does not do as the original does, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where in the original document; empty for the document as a whole.
    pub path: String,
    /// What differs.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.path, self.text) }
    }
}

/// A policy that was read, and what is to be known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What the document calls it, if it can hold several: a route, a router, a resource.
    pub name: Option<String>,
    /// Whose words the document was written in.
    pub dialect: Dialect,
    /// The policy.
    pub policy: Policy,
    /// What differs from the original.
    pub notes: Vec<Note>,
}

/// The policies of a value, in the order they stand there. Its dialect is recognised by its keys unless it is named.
///
/// # Errors
/// `config`: what is wrong, in the words of the document; it holds no policy, or its keys belong to several dialects.
pub fn read_all_from_value(document: &Value, dialect: Option<Dialect>) -> Result<Vec<Loaded>, Error> {
    Ok(documents(std::slice::from_ref(document), dialect)?)
}

/// Those of these policies that have this name, in their order: at least one.
///
/// # Errors
/// `config` with the names there are.
pub fn named<'a>(all: impl IntoIterator<Item = &'a Loaded>, name: &str) -> Result<Vec<&'a Loaded>, Error> {
    let all: Vec<&Loaded> = all.into_iter().collect();
    let found: Vec<_> = all.iter().copied().filter(|loaded| loaded.name.as_deref() == Some(name)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let names = || all.iter().filter_map(|loaded| loaded.name.as_deref());
    let problem = match names().next() {
        Some(_) => Problem::must("policy", format_args!("be one of {}", listed(all.iter().copied())), &name.into()),
        None => Problem::must("policy", "be asked for without a name", &name.into()).fix("none here has one"),
    };
    Err(problem.maybe_fix(nearest(name, names()).map(|near| format!("did you mean \"{}\"?", path_name(near)))).into())
}

impl Policy {
    /// The policy of a document in the words of another system. What differs from the original is told by [`read_all_from_value`].
    ///
    /// # Errors
    /// `config`: what is wrong, in the words of the document; it holds no policy, or several, whose names are listed.
    pub fn from_dialect(dialect: Dialect, document: &Value) -> Result<Policy, Error> {
        Ok(only(documents(std::slice::from_ref(document), Some(dialect))?)?.policy)
    }

    /// A policy by name: `default`, `none`, or what `envoy`, `kgateway`, `linkerd`, `ballerina` and `ktor` do unless told otherwise.
    /// What the other system does not do is off.
    ///
    /// # Errors
    /// `config` with the names there are.
    pub fn preset(name: &str) -> Result<Policy, Error> {
        let draft = match name {
            "default" => return Ok(Policy::default()),
            "none" => return Ok(Policy::none()),
            "envoy" | "kgateway" => envoy::draft(),
            "linkerd" => linkerd::draft(),
            "ballerina" => ballerina::draft(),
            "ktor" => ktor::draft(),
            _ => return Err(unknown_name("preset", name, ["default", "none"].into_iter().chain(Dialect::names().skip(1))).into()),
        };
        Ok(draft.finish(Dialect::Reknock, None)?.policy)
    }
}

/// The one policy of a document.
pub(super) fn only(mut all: Vec<Loaded>) -> Result<Loaded, Problem> {
    match all.pop() {
        Some(one) if all.is_empty() => Ok(one),
        Some(last) => {
            all.push(last);
            Err(Problem::new("policy", format!("must be one, there are {}: {}", all.len(), listed(&all))).fix("load_all reads them all"))
        }
        None => Err(Problem::new("policy", "there is none")),
    }
}

/// The most names that an error lists.
const MOST_NAMES: usize = 20;

fn listed<'a>(all: impl IntoIterator<Item = &'a Loaded>) -> String {
    let mut names = all.into_iter().map(|loaded| loaded.name.as_deref().map_or_else(|| "without a name".to_owned(), path_name));
    let mut text = names.by_ref().take(MOST_NAMES).collect::<Vec<_>>().join(", ");
    if names.next().is_some() {
        text.push_str(", ...");
    }
    text
}

/// The most policies of one text.
const MOST_POLICIES: usize = 1000;
/// The most header matchers of all policies of one text; each may be a regular expression to compile.
const MOST_MATCHERS: usize = 10_000;

/// The policies found so far, within bounds: what is small in a text may stand for much.
#[derive(Default)]
struct Found {
    policies: Vec<Loaded>,
    matchers: usize,
    /// Blocks that are compared with each other.
    blocks: usize,
}

impl Found {
    fn add(&mut self, loaded: Loaded) -> Result<(), Problem> {
        let settings = loaded.policy.settings();
        self.matchers += settings.response_headers.len() + settings.request_headers.len();
        self.matchers += settings.aside.as_ref().map_or(0, |aside| aside.response_headers.len());
        self.policies.push(loaded);
        if self.matchers > MOST_MATCHERS {
            return Err(Problem::new("policy", format!("all of them must have at most {MOST_MATCHERS} header matchers in one text")));
        }
        if self.policies.len() > MOST_POLICIES { Err(too_many()) } else { Ok(()) }
    }

    /// An error if there are more of these in the text than policies may be.
    fn blocks(&mut self, more: usize) -> Result<(), Problem> {
        self.blocks += more;
        if self.blocks > MOST_POLICIES { Err(too_many()) } else { Ok(()) }
    }
}

fn too_many() -> Problem {
    Problem::new("policy", format!("must be at most {MOST_POLICIES} in one text"))
}

/// The policies of the documents of one text.
pub(super) fn documents(documents: &[Value], dialect: Option<Dialect>) -> Result<Vec<Loaded>, Problem> {
    let dialect = match dialect {
        Some(dialect) => dialect,
        None => recognise(documents)?,
    };
    // What one document says may matter to another.
    let clusters = if dialect == Dialect::Envoy { envoy::cluster::all(documents) } else { Vec::new() };
    let bounds = kgateway::bounds(if dialect == Dialect::Kgateway { documents } else { &[] });
    let mut found = Found::default();
    for (i, document) in documents.iter().enumerate() {
        let (place, node) = (place(documents, i), Node::at("", document));
        let before = found.policies.len();
        let read = match dialect {
            Dialect::Reknock => reknock(&mut found, &node),
            Dialect::Envoy => envoy::read(&mut found, &node, &clusters),
            Dialect::Kgateway => kgateway::read(&mut found, &node, &bounds),
            Dialect::Linkerd => linkerd::read(&mut found, &node),
            Dialect::Ballerina => ballerina::read(&mut found, &node),
            Dialect::Ktor => ktor::read(&mut found, &node),
        };
        read.map_err(|problem| problem.within(&place))?;
        for note in found.policies[before..].iter_mut().flat_map(|loaded| &mut loaded.notes) {
            note.path = placed(&place, &note.path);
        }
    }
    if found.policies.is_empty() { Err(nothing(dialect)) } else { Ok(found.policies) }
}

/// What the ith document is called, if there are several.
fn place(documents: &[Value], i: usize) -> String {
    if documents.len() > 1 { format!("document {}", i + 1) } else { String::new() }
}

fn reknock(found: &mut Found, node: &Node<'_>) -> Result<(), Problem> {
    let policy = super::read::of_document(&node.value)?;
    found.add(Loaded { name: None, dialect: Dialect::Reknock, policy, notes: Vec::new() })
}

fn nothing(dialect: Dialect) -> Problem {
    let sought = match dialect {
        Dialect::Reknock => "a map of keys",
        Dialect::Envoy => "a retry_policy",
        Dialect::Kgateway => "a RouteOption, TrafficPolicy or HTTPRoute with retries",
        Dialect::Linkerd => "a retries block",
        Dialect::Ballerina => "a retryConfig",
        Dialect::Ktor => "HttpRequestRetry or one of its functions",
    };
    Problem::new(dialect.name(), format!("no policy found; it is told by {sought}"))
}
