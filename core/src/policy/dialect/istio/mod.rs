//! Istio: what its control plane makes of VirtualServices, HTTPRoutes, DestinationRules and the mesh's configuration for a client.

mod mesh;

use std::time::Duration;

use super::super::Value;
use super::super::node::{Node, join};
use super::super::problem::Problem;
use super::block::{Block, list, proto_duration, whole};
use super::draft::{Draft, duration};
use super::envoy::cluster::concurrency;
use super::envoy::retry_policy::{self, Timeouts};
use super::gateway_api::{self, Rule};
use super::pieces::{Resource, items, text};
use super::{Dialect, Found, envoy, routes};

use mesh::Destination;
pub(super) use mesh::Mesh;

/// What is retried where nothing is said.
const DEFAULT: [&str; 5] = ["connect-failure", "refused-stream", "unavailable", "cancelled", STATUS_CODES];
/// What is retried by an HTTPRoute besides its codes.
const OF_HTTP_ROUTE: [&str; 4] = ["connect-failure", "refused-stream", "unavailable", "cancelled"];
const STATUS_CODES: &str = "retriable-status-codes";
const RETRIES: i64 = 2;
/// How long connecting may take where neither a rule nor the mesh says.
const CONNECT: Duration = Duration::from_secs(10);

/// A route that says nothing, of a mesh that says nothing.
pub(super) fn draft() -> Draft {
    let mut draft = base();
    draft.set("timeout", "none");
    default_retries(&mut draft);
    draft
}

/// A route of Envoy's, to a cluster as Istio makes them: retries have no limit at a time.
fn base() -> Draft {
    let mut draft = envoy::draft();
    draft.set("connect_timeout", duration(CONNECT));
    draft.set("budget", concurrency(0.0, u32::MAX.into()));
    draft
}

fn default_retries(draft: &mut Draft) {
    draft.set("max_retries", RETRIES);
    retry_policy::tokens(draft, DEFAULT.into_iter(), "");
}

pub(super) fn read(found: &mut Found, node: &Node<'_>, resource: Option<Resource<'_>>, mesh: &Mesh<'_>) -> Result<(), Problem> {
    let mut reader = Reader { mesh, found };
    match resource {
        Some(resource) => match resource.kind {
            "VirtualService" => reader.virtual_service(node, &resource),
            "HTTPRoute" => reader.http_route(node, &resource),
            "DestinationRule" if !mesh.has_routes() => reader.destination_rule(node, &resource),
            _ if mesh::is_installation(&resource) && mesh.is_alone() => reader.mesh_alone(),
            _ => Ok(()),
        },
        None if has_http(&node.value) => {
            let part = Resource { group: "", kind: "VirtualService", name: None, namespace: None, value: &node.value };
            reader.virtual_service(node, &part)
        }
        // The mesh's configuration alone: what it says of every route.
        None if mesh.is_alone() => reader.mesh_alone(),
        None => Ok(()),
    }
}

/// Whether a document is a part of a VirtualService.
fn has_http(value: &Value) -> bool {
    [Some(value), value.get("spec")].into_iter().flatten().any(|part| !items(part, "http").is_empty())
}

struct Reader<'r, 'p> {
    mesh: &'r Mesh<'p>,
    found: &'r mut Found,
}

impl Reader<'_, '_> {
    fn virtual_service(&mut self, node: &Node<'_>, resource: &Resource<'_>) -> Result<(), Problem> {
        let mut top = Block::of(&node.path, &node.value)?;
        let Some(routes) = top.block("spec")?.unwrap_or(top).take("http")? else { return Ok(()) };
        for (i, item) in list(&routes)?.into_iter().enumerate() {
            let mut http = Block::of(&item.path, &item.value)?;
            // What redirects, answers itself or is delegated has no requests of its own.
            let Some(destinations) = http.take("route")? else { continue };
            let (mut draft, mut limits) = (base(), Timeouts::default());
            match http.block("retries")? {
                Some(block) => retries(&mut draft, &mut limits, block)?,
                None => self.mesh.retries(&mut draft, &mut limits)?,
            }
            let timeout = http.take("timeout")?;
            let total = timeout.as_ref().map_or(Ok(Duration::ZERO), proto_duration)?;
            draft.source("timeout", timeout.as_ref().map_or("", |node| node.path.as_str()));
            limits.set(&mut draft, total);
            let of_each = list(&destinations)?;
            if of_each.len() > 1 {
                draft.note(destinations.path.as_str(), "the limits of the first of them are those of all");
            }
            let destination = of_each.first().and_then(|first| Destination::of_route(&first.value, resource));
            routes::of_virtual_service(&mut draft, &item, resource);
            self.finish(draft, destination, gateway_api::part(resource.name, &item.value, i))?;
        }
        Ok(())
    }

    fn finish(&mut self, mut draft: Draft, destination: Option<Destination<'_>>, name: Option<String>) -> Result<(), Problem> {
        self.mesh.limits(&mut draft, destination.as_ref())?;
        self.found.add(draft.finish(Dialect::Istio, name)?)
    }

    fn http_route(&mut self, node: &Node<'_>, resource: &Resource<'_>) -> Result<(), Problem> {
        for mut rule in gateway_api::rules(node, resource)? {
            if rule.redirects {
                continue;
            }
            let (mut draft, mut limits) = (base(), Timeouts::default());
            let retries = rule.retry.take();
            let has_retry = retries.is_some();
            match retries {
                Some(block) => route_retry(&mut draft, block)?,
                None => self.mesh.retries(&mut draft, &mut limits)?,
            }
            timeouts(&mut draft, limits, &mut rule, has_retry, Duration::ZERO)?;
            let destination = Destination::of_backends(&rule, resource);
            routes::of_rule(&mut draft, &rule.path, rule.value, resource);
            self.finish(draft, destination, rule.name)?;
        }
        Ok(())
    }

    /// A DestinationRule whose host no route of the file goes to: what the mesh does by itself, within its limits.
    fn destination_rule(&mut self, node: &Node<'_>, resource: &Resource<'_>) -> Result<(), Problem> {
        let Some(Value::Str(host)) = resource.spec("host") else { return Ok(()) };
        let spec = resource.value.get("spec").unwrap_or(&Value::Null);
        let own = spec.get("trafficPolicy").is_some().then_some(None);
        let subsets = items(spec, "subsets").iter().filter(|subset| subset.get("trafficPolicy").is_some());
        for subset in own.into_iter().chain(subsets.map(|subset| text(subset, "name")).filter(Option::is_some)) {
            let (mut draft, mut limits) = (base(), Timeouts::default());
            self.mesh.retries(&mut draft, &mut limits)?;
            limits.set(&mut draft, Duration::ZERO);
            draft.note(node.path.as_str(), "no route goes here: retries and timeout are the mesh's own");
            // Which requests go to a subset only routes say.
            draft.scope.matches.extend(subset.is_none().then(|| routes::of_hosts(routes::service(host, resource.home()))));
            draft.scope.namespace = resource.namespace.map(str::to_owned);
            let name = match (resource.name, subset) {
                (Some(name), Some(subset)) => Some(format!("{name}/{subset}")),
                (name, subset) => name.or(subset).map(str::to_owned),
            };
            self.finish(draft, Some(Destination { host, subset, port: None, namespace: resource.home() }), name)?;
        }
        Ok(())
    }

    fn mesh_alone(&mut self) -> Result<(), Problem> {
        let (mut draft, mut limits) = (base(), Timeouts::default());
        self.mesh.retries(&mut draft, &mut limits)?;
        limits.set(&mut draft, Duration::ZERO);
        self.finish(draft, None, Some("defaultHttpRetryPolicy".to_owned()))
    }
}

const NO_RETRIES: &str = "attempts is not above 0: only x-envoy-retry-on of a request brings retries";
const NO_HOSTS: &str = "not copied: a client has no choice of hosts";

/// `retries` of a route, or the mesh's `defaultHttpRetryPolicy`.
fn retries(draft: &mut Draft, limits: &mut Timeouts, mut block: Block<'_>) -> Result<(), Problem> {
    let attempts = block.take("attempts")?;
    let number = attempts.as_ref().map_or(Ok(0), |node| whole(node, i32::MIN.into(), i32::MAX.into()))?;
    let retry_on = block.take("retryOn")?;
    let listed = retry_on.as_ref().map_or(Ok(""), Node::text)?;
    let per_try = block.take("perTryTimeout")?.map(|node| Ok::<_, Problem>((proto_duration(&node)?, node.path))).transpose()?;
    let backoff = block.take("backoff")?;
    let mut notes = Vec::new();
    block.leave(&[("retryRemoteLocalities", NO_HOSTS), ("retryIgnorePreviousHosts", NO_HOSTS)], &mut notes)?;
    if number <= 0 {
        draft.note(attempts.map_or_else(|| join(&block.path, "attempts"), |node| node.path), NO_RETRIES);
        return Ok(());
    }
    draft.note_all(notes);
    block.ignore_rest(draft);
    draft.retries(number, &attempts.map_or_else(String::new, |node| node.path));
    let path = retry_on.as_ref().map_or(block.path.as_str(), |node| node.path.as_str());
    tokens(draft, listed, path);
    limits.per_try = per_try;
    if let Some(node) = backoff {
        let base = retry_policy::positive(&node)?;
        draft.set_from("backoff", retry_policy::backoff_of(base, base.saturating_mul(10)), &node.path);
    }
    Ok(())
}

/// Sets conditions and statuses of a comma list, in which numbers are codes.
fn tokens(draft: &mut Draft, listed: &str, path: &str) {
    let mut named: Vec<&str> = Vec::new();
    let mut codes: Vec<i64> = Vec::new();
    for item in listed.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        match item.parse::<i64>() {
            Ok(code) if has_phrase(code) => codes.push(code),
            _ => named.push(item),
        }
    }
    if listed.is_empty() {
        named.extend(DEFAULT);
    }
    if !codes.is_empty() && !named.contains(&STATUS_CODES) {
        named.push(STATUS_CODES);
    }
    retry_policy::tokens(draft, named.into_iter(), path);
    draft.set_from("statuses", Value::list(codes), path);
}

/// Whether a status has a reason phrase that Go's library knows.
fn has_phrase(code: i64) -> bool {
    matches!(code, 100..=103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=418 | 421..=426 | 428 | 429 | 431 | 451 | 500..=508 | 510 | 511)
}

/// `retry` of an HTTPRoute's rule.
fn route_retry(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let attempts = block.take("attempts")?;
    let number = attempts.as_ref().map_or(Ok(RETRIES), |node| whole(node, i32::MIN.into(), i32::MAX.into()))?;
    if number <= 0 {
        draft.note(attempts.map_or_else(String::new, |node| node.path), NO_RETRIES);
        return Ok(());
    }
    draft.retries(number, attempts.as_ref().map_or("", |node| node.path.as_str()));
    let codes = block.take("codes")?;
    let mut listed = OF_HTTP_ROUTE.join(",");
    for code in codes.as_ref().map_or(Ok(Vec::new()), list)? {
        listed.push_str(&format!(",{}", whole(&code, 400, 599)?));
    }
    tokens(draft, &listed, codes.as_ref().map_or(block.path.as_str(), |node| node.path.as_str()));
    if let Some(node) = block.take("backoff")? {
        let base = retry_policy::positive(&node)?;
        draft.set_from("backoff", retry_policy::backoff_of(base, base.saturating_mul(10)), &node.path);
    }
    block.ignore_rest(draft);
    Ok(())
}

/// `timeouts` of an HTTPRoute's rule, whose `request` is `unless` where it is not given. Zero is no limit; to Istio, which has none anyway, it is the
/// same as nothing.
pub(super) fn timeouts(
    draft: &mut Draft,
    mut limits: Timeouts,
    rule: &mut Rule<'_>,
    has_retry: bool,
    unless: Duration,
) -> Result<(), Problem> {
    let mut given = |key: &str| -> Result<_, Problem> {
        let Some(node) = rule.timeouts.take(key)? else { return Ok(None) };
        Ok(Some((proto_duration(&node)?, node.path)).filter(|(length, _)| !length.is_zero() || !unless.is_zero()))
    };
    let (request, backend) = (given("request")?, given("backendRequest")?);
    let total = if has_retry {
        if backend.is_some() {
            limits.per_try = backend;
        }
        request
    } else {
        backend.or(request)
    };
    let (total, path) = total.unwrap_or((unless, String::new()));
    draft.source("timeout", &path);
    limits.set(draft, total);
    Ok(())
}
