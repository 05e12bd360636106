//! Envoy's routes, virtual hosts and clusters, alone or within anything that holds them; and its request headers.

mod aside;
pub(super) mod cluster;
mod matcher;
mod request;
pub(super) mod retry_policy;

use std::time::Duration;

use super::super::node::{Node, join};
use super::super::problem::Problem;
use super::super::set::HostPattern;
use super::super::{Policy, Value};
use super::block::{Block, list, proto_duration, whole};
use super::draft::Draft;
use super::recognise::is_schema;
use super::{Dialect, Found, Note, routes};
use crate::error::Error;

pub(crate) use aside::Aside;
pub(super) use aside::Named;
pub(super) use cluster::Clusters;
pub(super) use matcher::of_request as request_matchers;
pub use request::{REQUEST_HEADERS, expected_rq_timeout_ms, with_request_headers};

/// The timeout of a route that does not say.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(15);

/// What Envoy does unless it is told otherwise.
pub(super) fn draft() -> Draft {
    let mut draft = Draft::off();
    draft.set("compat", "envoy");
    draft.set("max_retries", 1);
    draft.set("timeout", super::draft::duration(ROUTE_TIMEOUT));
    draft.set("max_body_buffer", 1 << 20);
    draft.set("backoff", retry_policy::backoff_of(retry_policy::BASE, retry_policy::BASE * 10));
    draft.set("budget", cluster::default_budget());
    draft
}

/// The policy of an Envoy route action (`{timeout, retry_policy}` in Envoy's JSON or YAML names), with the `circuit_breakers` of its
/// cluster beside them if there are any. A route without a `retry_policy` retries nothing by itself.
///
/// # Errors
/// `config` with the path of what is wrong. Unknown tokens of `retry_on` are ignored, as Envoy does.
pub fn route(route: &Value) -> Result<Policy, Error> {
    if !matches!(route, Value::Map(_)) {
        return Err(Problem::must("route", "be a map", route).into());
    }
    let pieces = super::pieces::all(std::slice::from_ref(route))?;
    let (clusters, mut found) = (Clusters::of(&pieces), Found::within(super::Limits::TEXT));
    Walk { clusters: &clusters, found: &mut found }.action(Block::of("", route)?, &Host::default(), None, None)?;
    Ok(super::only(found.policies)?.policy)
}

/// The policies of a document.
pub(super) fn read(found: &mut Found, node: &Node<'_>, clusters: &Clusters<'_>) -> Result<(), Problem> {
    if retry_policy::is_bare(&node.value) {
        let mut draft = draft();
        let mut block = Block::of(&node.path, &node.value)?;
        let timeouts = retry_policy::fill(&mut draft, &mut block, retry_policy::Flavour::Envoy)?;
        timeouts.set(&mut draft, ROUTE_TIMEOUT);
        cluster::budget(&mut draft, clusters.first())?;
        return found.add(draft.finish(Dialect::Envoy, None)?);
    }
    let before = found.policies.len();
    let mut walk = Walk { clusters, found };
    if is_action(&node.value) && node.value.get("match").is_none() {
        return walk.action(Block::of(&node.path, &node.value)?, &Host::default(), None, None);
    }
    walk.value(&node.path, &node.value, &Host::default())?;
    if let (true, Some(only)) = (walk.found.policies.len() == before, clusters.only())
        && only.retry_policy().is_some()
    {
        walk.action(Block::empty(&node.path), &Host::default(), only.name.map(str::to_owned), None)?;
    }
    Ok(())
}

/// Whether a value is what a route does with its requests.
pub(super) fn is_action(value: &Value) -> bool {
    let keys = ["retry_policy", "cluster", "cluster_header", "weighted_clusters", "timeout"];
    let known = |key: &str| keys.iter().any(|known| *known == key || super::super::problem::camel(known) == key);
    let Value::Map(entries) = value else { return false };
    // A Cluster has timeouts too, and so has a virtual host a policy.
    let other = |key: &str| matches!(key, "routes" | "virtual_hosts" | "virtualHosts" | "clusters" | "static_resources");
    entries.iter().any(|(key, _)| known(key)) && !entries.iter().any(|(key, _)| other(key))
}

/// Whether a list holds the routes of a virtual host.
pub(super) fn are_routes(value: &Value) -> bool {
    let is_route = |item: &Value| {
        let does = |key: &str| matches!(item.get(key), Some(Value::Map(_)));
        item.get("match").is_some() && ["route", "redirect", "direct_response", "directResponse"].iter().any(|key| does(key))
    };
    matches!(value, Value::List(items) if items.first().is_some_and(is_route))
}

/// What a virtual host gives to its routes.
#[derive(Clone, Default)]
struct Host<'a> {
    name: Option<String>,
    retry_policy: Option<(String, &'a Value)>,
    buffer: Option<Node<'a>>,
    hedge: Option<String>,
    domains: Vec<HostPattern>,
    notes: Vec<Note>,
}

struct Walk<'a, 'f> {
    clusters: &'a Clusters<'a>,
    found: &'f mut Found,
}

/// Where a `retry_policy` is about something else than the requests of a route.
pub(super) const ELSEWHERE: &[&str] = &[
    // Envoy Gateway's own form of what it reads.
    "xdsIR",
    "infraIR",
    "http_filters",
    "httpFilters",
    "typed_per_filter_config",
    "typedPerFilterConfig",
    "typed_extension_protocol_options",
    "typedExtensionProtocolOptions",
    "access_log",
    "accessLog",
    "tracing",
    "stats_sinks",
    "statsSinks",
    "rds",
    "grpc_services",
    "grpcServices",
    "grpc_service",
    "grpcService",
    "dynamic_resources",
    "dynamicResources",
];

impl<'a> Walk<'a, '_> {
    fn value(&mut self, path: &str, value: &'a Value, host: &Host<'a>) -> Result<(), Problem> {
        match value {
            Value::List(items) => items.iter().enumerate().try_for_each(|(i, item)| self.value(&format!("{path}[{i}]"), item, host)),
            Value::Map(entries) if !is_schema(value) => {
                let block = Block::of(path, value)?;
                if block.has("routes") && (block.has("domains") || !matches!(value.get("routes"), Some(Value::Map(_)))) {
                    return self.host(block);
                }
                if block.has("route") && block.has("match") {
                    return self.route(path, value, host, None);
                }
                if let Some((key, action)) = entries.iter().find(|(key, action)| key == "route" && is_action(action)) {
                    return self.action(Block::of(&join(path, key), action)?, host, None, None);
                }
                let inner = entries.iter().filter(|(key, _)| !ELSEWHERE.contains(&key.as_str()));
                inner.into_iter().try_for_each(|(key, value)| self.value(&join(path, key), value, host))
            }
            _ => Ok(()),
        }
    }

    fn host(&mut self, mut block: Block<'a>) -> Result<(), Problem> {
        let mut notes = Vec::new();
        block.leave(HOST_LEFT_OUT, &mut notes)?;
        let host = Host {
            name: block.take("name")?.and_then(|name| name.str().map(str::to_owned)),
            retry_policy: block.found("retry_policy")?,
            buffer: buffer(&mut block)?,
            hedge: block.take("hedge_policy")?.map(|node| node.path),
            domains: block.take("domains")?.map(|node| routes::hosts(routes::listed(&node.value))).unwrap_or_default(),
            notes,
        };
        let path = join(&block.path, "routes");
        let Some((_, Value::List(routes))) = block.entries().iter().find(|(key, _)| key == "routes") else {
            return Err(Problem::must(path, "be a list", block.take("routes")?.as_ref().map_or(&Value::Null, |node| &node.value)));
        };
        let before = self.found.policies.len();
        for (i, route) in routes.iter().enumerate() {
            let name = route_name(route).unwrap_or_else(|| format!("routes[{i}]"));
            self.route(&format!("{path}[{i}]"), route, &host, Some(name))?;
        }
        if self.found.policies.len() == before && host.retry_policy.is_some() {
            self.action(Block::empty(&block.path), &host, None, None)?;
        }
        Ok(())
    }

    fn route(&mut self, path: &str, value: &'a Value, host: &Host<'a>, name: Option<String>) -> Result<(), Problem> {
        let mut block = Block::of(path, value)?;
        let mut host = host.clone();
        host.buffer = buffer(&mut block)?.or(host.buffer);
        let Some(action) = block.block("route")? else { return Ok(()) };
        let name = name.or_else(|| block.take("name").ok().flatten().and_then(|name| name.str().map(str::to_owned)));
        self.action(action, &host, name, Some((&block.path, value)))
    }

    /// A route action: its own retry policy, or the virtual host's, whole.
    fn action(
        &mut self,
        mut action: Block<'a>,
        host: &Host<'a>,
        name: Option<String>,
        route: Option<(&str, &'a Value)>,
    ) -> Result<(), Problem> {
        let mut draft = draft();
        let mut notes = host.notes.clone();
        let cluster = self.cluster(&mut action, &mut notes)?;
        let of_cluster = cluster.as_ref().and_then(cluster::Cluster::retry_policy);
        let own = action.found("retry_policy")?;
        let mut policy = match of_cluster.as_ref().or(own.as_ref()).or(host.retry_policy.as_ref()) {
            Some((path, value)) => Block::of(path, value)?,
            None => Block::empty(&join(&action.path, "retry_policy")),
        };
        let given = of_cluster.is_some() || own.is_some() || host.retry_policy.is_some();
        if action.has("hedge_policy") || host.hedge.is_some() {
            let path = action.take("hedge_policy")?.map(|node| node.path).or(host.hedge.clone());
            draft.note(path.unwrap_or_default(), "hedging is not done: a slow attempt is ended by per_try_timeout, not raced");
        }
        let timeout = action.take("timeout")?.map(|node| Ok::<_, Problem>((proto_duration(&node)?, node.path))).transpose()?;
        let timeouts = match given {
            true => retry_policy::fill(&mut draft, &mut policy, retry_policy::Flavour::Envoy)?,
            false => {
                draft.note(action.path.as_str(), NO_POLICY);
                retry_policy::Timeouts::default()
            }
        };
        let (timeout, path) = timeout.unwrap_or((ROUTE_TIMEOUT, String::new()));
        draft.source("timeout", &path);
        timeouts.set(&mut draft, timeout);
        action.leave(LEFT_OUT, &mut notes)?;
        draft.note_all(notes);
        if let Some(node) = buffer(&mut action)?.or_else(|| host.buffer.clone()) {
            draft.set_from("max_body_buffer", whole(&node, 0, i64::MAX)?.min(1 << 40), &node.path);
        }
        cluster::budget(&mut draft, cluster.as_ref())?;
        routes::of_envoy(&mut draft, route, &host.domains)?;
        let name = match (&host.name, name) {
            (Some(host), Some(route)) if route.starts_with('/') => Some(format!("{host}{route}")),
            (Some(host), Some(route)) => Some(format!("{host}/{route}")),
            (host, route) => route.or_else(|| host.clone()),
        };
        self.found.add(draft.finish(Dialect::Envoy, name)?)
    }

    /// The cluster that a route goes to, if the documents hold it; the only one there is, if the route names none.
    fn cluster(&self, action: &mut Block<'a>, notes: &mut Vec<Note>) -> Result<Option<cluster::Cluster<'a>>, Problem> {
        let high = action.take("priority")?.is_some_and(|node| node.str() == Some("HIGH") || *node.value == Value::Int(1));
        let mut named: Vec<String> = action.take("cluster")?.and_then(|node| node.str().map(str::to_owned)).into_iter().collect();
        if let Some(mut weighted) = action.block("weighted_clusters")?
            && let Some(clusters) = weighted.take("clusters")?
        {
            let names = list(&clusters)?.into_iter().filter_map(|cluster| match cluster.value.get("name") {
                Some(Value::Str(name)) => Some(name.clone()),
                _ => None,
            });
            named.extend(names);
            if named.iter().filter(|name| self.clusters.named(name).is_some()).count() > 1 {
                notes.push(Note { path: clusters.path, text: "the limits of the first of them are those of all".to_owned() });
            }
        }
        let found = match named.as_slice() {
            [] => self.clusters.only(),
            names => names.iter().find_map(|name| self.clusters.named(name)),
        };
        Ok(found.map(|cluster| cluster::Cluster { high, ..cluster.clone() }))
    }
}

/// Beside no retry policy at all.
pub(super) const NO_POLICY: &str = "no retry policy: only x-envoy-retry-on of a request brings retries";

/// Likewise of a virtual host.
const HOST_LEFT_OUT: &[(&str, &str)] = &[
    ("retry_policy_typed_config", "not read; only retry_policy is"),
    ("include_is_timeout_retry_header", "x-envoy-is-timeout-retry is not sent"),
    ("include_attempt_count_in_response", "a response tells its attempts itself, not in a header"),
];

/// Keys of a route action that bear on retries and have no counterpart.
const LEFT_OUT: &[(&str, &str)] = &[
    ("retry_policy_typed_config", "not read; only retry_policy is"),
    ("idle_timeout", "the idle timeout of a stream is not copied; retry_policy.per_try_idle_timeout is"),
    ("max_stream_duration", "not copied; timeout bounds the whole, per_try_timeout each attempt"),
    ("max_grpc_timeout", "the header grpc-timeout is not read"),
    ("grpc_timeout_offset", "the header grpc-timeout is not read"),
    ("internal_redirect_policy", "redirects are followed by the client, within its own limit"),
];

/// How much of a body is kept for retries, under its new name or its old one.
fn buffer<'a>(block: &mut Block<'a>) -> Result<Option<Node<'a>>, Problem> {
    let new = block.take("request_body_buffer_limit")?;
    let old = block.take("per_request_buffer_limit_bytes")?;
    Ok(new.or(old))
}

/// The name of a route, or what it matches.
fn route_name(route: &Value) -> Option<String> {
    let matched = |key: &str| route.get("match")?.get(key);
    let keys = ["prefix", "path", "path_separated_prefix", "pathSeparatedPrefix"];
    let name = route.get("name").or_else(|| keys.into_iter().find_map(matched))?;
    match name {
        Value::Str(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}
