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

/// The policies of one document, in the order they stand there. Its dialect is recognised by its keys unless it is named.
///
/// # Errors
/// `config`: what is wrong, in the words of the document; it holds no policy, or its keys belong to several dialects.
pub fn read_all(document: &Value, dialect: Option<Dialect>) -> Result<Vec<Loaded>, Error> {
    Ok(documents(std::slice::from_ref(document), dialect)?)
}

impl Policy {
    /// The policy of a document in the words of another system. What differs from the original is told by [`read_all`].
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

fn listed(all: &[Loaded]) -> String {
    let names = all.iter().map(|loaded| loaded.name.as_deref().map_or_else(|| "without a name".to_owned(), path_name));
    let mut text = names.take(MOST_NAMES).collect::<Vec<_>>().join(", ");
    if all.len() > MOST_NAMES {
        text.push_str(", ...");
    }
    text
}

/// The most policies of one text.
const MOST_POLICIES: usize = 1000;

/// The policies of the documents of one text.
pub(super) fn documents(documents: &[Value], dialect: Option<Dialect>) -> Result<Vec<Loaded>, Problem> {
    let dialect = match dialect {
        Some(dialect) => dialect,
        None => recognise(documents)?,
    };
    // What one document says may matter to another: Envoy's clusters, linkerd's clients.
    let nodes = documents.iter().enumerate().map(|(i, document)| (place(documents, i), Node::at("", document)));
    let mut found: Vec<Loaded> = Vec::new();
    for (place, node) in nodes {
        let read = match dialect {
            Dialect::Reknock => reknock(&node),
            Dialect::Envoy => envoy::read(&node, documents),
            Dialect::Kgateway => kgateway::read(&node, documents),
            Dialect::Linkerd => linkerd::read(&node),
            Dialect::Ballerina => ballerina::read(&node),
            Dialect::Ktor => ktor::read(&node),
        };
        let mut loaded = read.map_err(|problem| problem.within(&place))?;
        for note in loaded.iter_mut().flat_map(|loaded| &mut loaded.notes) {
            note.path = placed(&place, &note.path);
        }
        found.append(&mut loaded);
        if found.len() > MOST_POLICIES {
            return Err(Problem::new("policy", format!("must be at most {MOST_POLICIES} in one text")));
        }
    }
    if found.is_empty() { Err(nothing(dialect)) } else { Ok(found) }
}

/// What the ith document is called, if there are several.
fn place(documents: &[Value], i: usize) -> String {
    if documents.len() > 1 { format!("document {}", i + 1) } else { String::new() }
}

fn reknock(node: &Node<'_>) -> Result<Vec<Loaded>, Problem> {
    let policy = super::read::of_document(&node.value)?;
    Ok(vec![Loaded { name: None, dialect: Dialect::Reknock, policy, notes: Vec::new() }])
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
