//! Readers of other systems' documents: each turns its dialect into a canonical document, which the one reader checks.
//!
//! A mistake is reported in the words of the document it is in: the readers check what their system checks, and what is left
//! to the canonical reader is led back to the place it came from.

mod ballerina;
mod block;
mod documents;
mod draft;
pub mod envoy;
mod envoy_gateway;
mod found;
mod gateway_api;
mod istio;
mod kgateway;
mod ktor;
mod linkerd;
mod linkerd2;
#[cfg_attr(not(feature = "documents"), allow(dead_code, reason = "places are those of texts, which are read with the feature documents"))]
mod origins;
mod owner;
mod pieces;
mod recognise;
mod routes;

use std::fmt;
use std::sync::Arc;

use super::problem::{Problem, document_name, nearest};
use super::set::Scope;
use super::{Policy, Value};
use crate::error::Error;

#[cfg(feature = "documents")]
pub(super) use ballerina::{CODE, NO_LITERAL};
pub(super) use documents::{documents, ours};
use found::Found;
pub(super) use found::Limits;
pub(crate) use origins::Origins;

/// Whose words a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
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
    /// Istio's VirtualService and DestinationRule, and HTTPRoute as Istio reads it.
    Istio,
    /// Envoy Gateway's BackendTrafficPolicy, and HTTPRoute as Envoy Gateway reads it.
    EnvoyGateway,
    /// linkerd2's ServiceProfile, and its annotations of services and routes.
    Linkerd2,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: &'static [Dialect] = &[
        Dialect::Reknock,
        Dialect::Envoy,
        Dialect::Kgateway,
        Dialect::Linkerd,
        Dialect::Ballerina,
        Dialect::Ktor,
        Dialect::Istio,
        Dialect::EnvoyGateway,
        Dialect::Linkerd2,
    ];

    /// Its name, for example `"kgateway"`.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Reknock => "reknock",
            Dialect::Envoy => "envoy",
            Dialect::Kgateway => "kgateway",
            Dialect::Linkerd => "linkerd",
            Dialect::Ballerina => "ballerina",
            Dialect::Ktor => "ktor",
            Dialect::Istio => "istio",
            Dialect::EnvoyGateway => "envoy-gateway",
            Dialect::Linkerd2 => "linkerd2",
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
#[non_exhaustive]
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

/// The notes of a policy: no part of what it decides, so all are equal.
#[derive(Clone, Default)]
pub(crate) struct Notes(Option<Arc<[Note]>>);

impl Notes {
    pub(super) fn of(notes: &[Note]) -> Self {
        Notes((!notes.is_empty()).then(|| notes.into()))
    }

    pub(super) fn as_slice(&self) -> &[Note] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl PartialEq for Notes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

/// A policy that was read, and what is to be known about it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// What the document calls it, if it can hold several: a route, a router, a resource.
    pub name: Option<String>,
    /// Whose words the document was written in.
    pub dialect: Dialect,
    /// The policy.
    pub policy: Policy,
    /// What differs from the original.
    pub notes: Vec<Note>,
    /// Which requests it is for.
    pub(super) scope: Scope,
    /// What of the document its parts are from.
    pub(super) origins: Origins,
}

/// The policies of a value, in the order they stand there. Its dialect is recognised by its keys unless it is named.
///
/// # Errors
/// `config`: what is wrong, in the words of the document; it holds no policy, or its keys belong to several dialects.
pub fn read_all_from_value(document: &Value, dialect: Option<Dialect>) -> Result<Vec<Loaded>, Error> {
    Ok(of_value(document, dialect)?)
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
    Err(problem.maybe_fix(nearest(name, names()).map(|near| format!("did you mean \"{}\"?", document_name(near)))).into())
}

fn of_value(document: &Value, dialect: Option<Dialect>) -> Result<Vec<Loaded>, Problem> {
    match documents(std::slice::from_ref(document), dialect, Limits::TEXT)? {
        Some(all) => Ok(all),
        None => ours(document),
    }
}

impl Policy {
    /// The policy of a document in the words of another system. What differs from the original is told by [`read_all_from_value`].
    ///
    /// # Errors
    /// `config`: what is wrong, in the words of the document; it holds no policy, or several, whose names are listed.
    pub fn from_dialect(dialect: Dialect, document: &Value) -> Result<Policy, Error> {
        Ok(only(of_value(document, Some(dialect))?)?.policy)
    }

    /// A policy by name: `default`, `none`, `llm` (for the APIs of large language models), or what `envoy`, `kgateway`, `linkerd`, `ballerina`, `ktor`, `istio`, `envoy-gateway` and
    /// `linkerd2` (a route whose profile says that it is retryable) do unless told otherwise.
    /// What the other system does not do is off.
    ///
    /// # Errors
    /// `config` with the names there are.
    pub fn preset(name: &str) -> Result<Policy, Error> {
        let draft = match name {
            "default" => return Ok(Policy::default()),
            "none" => return Ok(Policy::none()),
            "llm" => return crate::policy::llm::policy(),
            "envoy" | "kgateway" => envoy::draft(),
            "linkerd" => linkerd::draft(),
            "ballerina" => ballerina::draft(),
            "ktor" => ktor::draft(),
            "istio" => istio::draft(),
            "envoy-gateway" => envoy_gateway::draft(),
            "linkerd2" => linkerd2::draft(),
            _ => return Err(unknown_name("preset", name, preset_names()).into()),
        };
        Ok(draft.finish(Dialect::Reknock, None)?.policy)
    }
}

fn preset_names() -> impl Iterator<Item = &'static str> + Clone {
    ["default", "none", "llm"].into_iter().chain(Dialect::names().skip(1))
}

/// The preset that a document names, where a map may stand as well.
pub(super) fn preset(name: &str) -> Result<Policy, Problem> {
    Policy::preset(name).map_err(|_| {
        let rule = format!("be a map, or one of {}", preset_names().collect::<Vec<_>>().join(", "));
        let near = nearest(name, preset_names()).map(|near| format!("did you mean \"{near}\"?"));
        Problem::must("policy", rule, &name.into()).maybe_fix(near)
    })
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
    let mut names = all.into_iter().map(|loaded| loaded.name.as_deref().map_or_else(|| "without a name".to_owned(), document_name));
    let mut text = names.by_ref().take(MOST_NAMES).collect::<Vec<_>>().join(", ");
    if names.next().is_some() {
        text.push_str(", ...");
    }
    text
}
