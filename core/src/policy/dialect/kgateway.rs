//! Kubernetes resources of gateways built on Envoy: gloo's RouteOption, kgateway's TrafficPolicy, the Gateway API's HTTPRoute; and
//! how many retries their upstreams permit at a time.

use std::time::Duration;

use super::super::Value;
use super::super::node::{Node, join};
use super::super::problem::Problem;
use super::block::{Block, list, proto_duration, whole};
use super::draft::Draft;
use super::envoy::retry_policy::{self, Flavour, Timeouts};
use super::gateway_api::part;
use super::pieces::{Piece, Resource};
use super::routes::{self, Routes};
use super::{Dialect, Found, envoy};

/// The timeout of a route that does not say: Envoy's.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(15);

/// The policies of a resource, of a list of them, or of a part of one.
pub(super) fn read<'a>(found: &'a mut Found, node: &'a Node<'_>, bounds: &'a Bounds<'a>) -> Result<(), Problem> {
    let mut gateway = Gateway { bounds, found, resource: Resource::of(&node.value), rule: None };
    if retry_policy::is_bare(&node.value) && !is_traffic_policy(&node.value) {
        gloo(&mut gateway, None, Some(Block::of(&node.path, &node.value)?), None)
    } else if is_retry(&node.value) {
        retry(&mut gateway, None, Block::of(&node.path, &node.value)?, None)
    } else {
        resource(&mut gateway, &node.path, &node.value, None)
    }
}

/// The policies found so far, and what bounds them all.
struct Gateway<'a> {
    bounds: &'a Bounds<'a>,
    found: &'a mut Found,
    resource: Option<Resource<'a>>,
    /// The rule of a route that is being read, and where it stands.
    rule: Option<(String, &'a Value)>,
}

impl Gateway<'_> {
    /// Routes do not say which upstream's breakers are theirs: those of the only one are.
    fn add(&mut self, mut draft: Draft, name: Option<&str>) -> Result<(), Problem> {
        match self.bounds.breakers.as_slice() {
            [] => {}
            [(path, value)] => {
                let mut block = Block::of(path, value)?;
                if let Some(node) = block.take("maxRetries")? {
                    let budget = envoy::cluster::concurrency(0.0, whole(&node, 0, u32::MAX.into())?);
                    draft.set_from("budget", budget, &node.path);
                }
            }
            [(path, _), ..] => draft.note(path.as_str(), "not read: there are several, and routes do not say which is theirs"),
        }
        if let Some(path) = &self.bounds.constraint {
            draft.note(path.as_str(), "not read: of upstreams only circuitBreakers are");
        }
        match (&self.resource, &self.rule) {
            (Some(route), Some((path, rule))) => routes::of_rule(&mut draft, path, rule, route),
            (Some(policy), None) => self.bounds.routes.of_targets(&mut draft, policy),
            _ => {}
        }
        self.found.add(draft.finish(Dialect::Kgateway, name.map(str::to_owned))?)
    }
}

/// What bounds the retries of all routes: `spec.circuitBreakers` of an Upstream or a BackendConfigPolicy, and `spec.retryConstraint`.
pub(super) struct Bounds<'a> {
    breakers: Vec<(String, &'a Value)>,
    constraint: Option<String>,
    routes: Routes<'a>,
}

pub(super) fn bounds<'a>(pieces: &'a [Piece<'_>]) -> Bounds<'a> {
    let constraint = of_spec(pieces, "retryConstraint").next().map(|(path, _)| path);
    // One is read; what is more is told.
    Bounds { breakers: of_spec(pieces, "circuitBreakers").take(2).collect(), constraint, routes: Routes::of(pieces) }
}

/// The values of a key in the `spec` of resources, and where they stand.
fn of_spec<'a>(pieces: &'a [Piece<'_>], key: &'static str) -> impl Iterator<Item = (String, &'a Value)> {
    pieces.iter().filter_map(move |piece| {
        let resource = piece.resource().filter(|resource| is_ours(resource.group) || resource.group.starts_with(GATEWAY_API))?;
        Some((join(&piece.at("spec"), key), resource.spec(key)?))
    })
}

fn is_traffic_policy(value: &Value) -> bool {
    ["statusCodes", "backoffBaseInterval", "rateLimitedBackOff", "attempts"].iter().any(|key| value.get(key).is_some())
}

fn is_retry(value: &Value) -> bool {
    is_traffic_policy(value) || (value.get("codes").is_some() && value.get("retry").is_none())
}

/// Deeper than any resource; lists of lists are not followed further.
const DEEPEST: usize = 32;

fn resource<'a>(gateway: &mut Gateway<'a>, path: &str, value: &'a Value, name: Option<&str>) -> Result<(), Problem> {
    if path.matches(['.', '[']).count() > DEEPEST {
        return Ok(());
    }
    match value {
        Value::List(items) => items.iter().enumerate().try_for_each(|(i, item)| {
            let place = format!("{path}[{i}]");
            if path.ends_with("rules") && gateway.resource.is_some_and(|resource| resource.kind == "HTTPRoute") {
                gateway.rule = Some((place.clone(), item));
            }
            resource(gateway, &place, item, part(name, item, i).as_deref())
        }),
        Value::Map(entries) => {
            let of_resource = match value.get("metadata").and_then(|metadata| metadata.get("name")) {
                Some(Value::Str(name)) => Some(name.as_str()),
                _ => name,
            };
            if value.get("metadata").is_some() && !may_hold(value) {
                return Ok(());
            }
            let mut block = Block::of(path, value)?;
            if let Some(retries) = block.block("retries")? {
                return gloo(gateway, of_resource, Some(retries), block.take("timeout")?);
            }
            if let Some(inner) = block.block("retry")? {
                return retry(gateway, of_resource, inner, block.block("timeouts")?);
            }
            // A route that only says how long it may take.
            let says = |value: &Value| ["request", "backendRequest"].iter().any(|key| value.get(key).is_some());
            if let Some(timeouts) = entries.iter().find(|(key, value)| key == "timeouts" && says(value)).and(block.block("timeouts")?) {
                return no_retry(gateway, of_resource, timeouts);
            }
            if path.ends_with("options")
                && let Some(node) = block.take("timeout")?
            {
                let mut draft = envoy::draft();
                draft.note(path, envoy::NO_POLICY);
                Timeouts::default().set(&mut draft, proto_duration(&node)?);
                return gateway.add(draft, of_resource);
            }
            let holds = |key: &str| HOLDERS.contains(&key) || path.ends_with("virtualHosts");
            let inner = entries.iter().filter(|(key, _)| holds(key));
            inner.into_iter().try_for_each(|(key, value)| resource(gateway, &join(path, key), value, of_resource))
        }
        _ => Ok(()),
    }
}

/// The keys on the way to the retries of requests; those of other services (JWKS, authorization, logs) stand under others.
const HOLDERS: &[&str] = &[
    "spec",
    "options",
    "rules",
    "routes",
    "virtualHost",
    "virtualHosts",
    "listeners",
    "httpListener",
    "hybridListener",
    "matchedListeners",
    "aggregateListener",
    "httpResources",
    "routeOptions",
];

/// The groups of gloo's and kgateway's own resources.
const GROUPS: &[&str] = &["gateway.kgateway.dev", "gateway.gloo.solo.io", "gateway.solo.io", "gloo.solo.io"];
const GATEWAY_API: &str = "gateway.networking.";

/// Whether a group is gloo's or kgateway's own.
pub(super) fn is_ours(group: &str) -> bool {
    GROUPS.contains(&group)
}

/// Whether an `apiVersion` is of a group that may hold retries.
pub(super) fn is_version_of_ours(version: &str) -> bool {
    version.split_once('/').is_some_and(|(group, _)| is_ours(group) || group.starts_with(GATEWAY_API))
}

/// Whether to look into a resource: one of our groups, or one without a version.
fn may_hold(resource: &Value) -> bool {
    resource.get("apiVersion").is_none_or(|version| matches!(version, Value::Str(version) if is_version_of_ours(version)))
}

/// gloo's `retries`: Envoy's retry policy in other letters.
fn gloo(gateway: &mut Gateway<'_>, name: Option<&str>, block: Option<Block<'_>>, timeout: Option<Node<'_>>) -> Result<(), Problem> {
    let Some(mut block) = block else { return Ok(()) };
    let mut draft = envoy::draft();
    let timeouts = retry_policy::fill(&mut draft, &mut block, Flavour::Gloo)?;
    timeouts.set(&mut draft, timeout.as_ref().map_or(Ok(ROUTE_TIMEOUT), proto_duration)?);
    gateway.add(draft, name)
}

/// `retry` of a TrafficPolicy or of an HTTPRoute's rule.
fn retry(gateway: &mut Gateway<'_>, name: Option<&str>, mut block: Block<'_>, timeouts: Option<Block<'_>>) -> Result<(), Problem> {
    let mut draft = envoy::draft();
    let is_policy =
        ["retryOn", "statusCodes", "perTryTimeout", "backoffBaseInterval", "rateLimitedBackOff"].iter().any(|key| block.has(key));
    let mut timeouts = timeouts.unwrap_or_else(|| Block::empty("timeouts"));
    let mut limits = Timeouts::default();
    if is_policy {
        traffic_policy(&mut draft, &mut block, &mut limits)?;
    } else {
        http_route(&mut draft, &mut block)?;
        limits.per_try = timeouts.take("backendRequest")?.map(|node| Ok::<_, Problem>((proto_duration(&node)?, node.path))).transpose()?;
    }
    let total = timeouts.take("request")?.as_ref().map_or(Ok(ROUTE_TIMEOUT), proto_duration)?;
    limits.set(&mut draft, total);
    let mut notes = Vec::new();
    timeouts.leave(&[("streamIdle", "the idle timeout of a stream is not copied")], &mut notes)?;
    draft.note_all(notes);
    block.ignore_rest(&mut draft);
    gateway.add(draft, name)
}

/// `timeouts` of a TrafficPolicy or of an HTTPRoute's rule without `retry`: one attempt is the whole.
fn no_retry(gateway: &mut Gateway<'_>, name: Option<&str>, mut timeouts: Block<'_>) -> Result<(), Problem> {
    let mut draft = envoy::draft();
    draft.note(timeouts.path.as_str(), envoy::NO_POLICY);
    let (request, backend) = (timeouts.take("request")?, timeouts.take("backendRequest")?);
    let total = backend.or(request);
    Timeouts::default().set(&mut draft, total.as_ref().map_or(Ok(ROUTE_TIMEOUT), proto_duration)?);
    gateway.add(draft, name)
}

const LEAST: Duration = Duration::from_millis(1);

fn at_least_1ms(node: &Node<'_>) -> Result<Duration, Problem> {
    let length = proto_duration(node)?;
    if length < LEAST { Err(node.must("be at least 1ms")) } else { Ok(length) }
}

fn traffic_policy(draft: &mut Draft, block: &mut Block<'_>, limits: &mut Timeouts) -> Result<(), Problem> {
    let (retry_on, codes) = (block.take("retryOn")?, block.take("statusCodes")?);
    if retry_on.is_none() && codes.is_none() {
        return Err(Problem::new(join(&block.path, "retryOn"), "retryOn or statusCodes is required"));
    }
    let items = retry_on.as_ref().map_or(Ok(Vec::new()), list)?;
    let named = items.iter().map(Node::text).collect::<Result<Vec<_>, _>>()?;
    let implied = codes.is_some().then_some("retriable-status-codes");
    let path = retry_on.as_ref().map_or(block.path.as_str(), |node| node.path.as_str());
    retry_policy::tokens(draft, named.iter().copied().chain(implied), path);
    if let Some(node) = &codes {
        retry_policy::statuses(draft, node, 400, 599)?;
    }
    if let Some(node) = block.take("attempts")? {
        draft.retries(whole(&node, 0, i32::MAX.into())?, &node.path);
    }
    limits.per_try = block.take("perTryTimeout")?.map(|node| Ok::<_, Problem>((at_least_1ms(&node)?, node.path))).transpose()?;
    if let Some(node) = block.take("backoffBaseInterval")? {
        let base = at_least_1ms(&node)?;
        draft.set_from("backoff", retry_policy::backoff_of(base, base.saturating_mul(10)), &node.path);
    }
    if let Some(mut limited) = block.block("rateLimitedBackOff")? {
        if !named.contains(&"envoy-ratelimited") {
            return Err(Problem::new(limited.path.as_str(), "needs envoy-ratelimited in retryOn"));
        }
        retry_policy::rate_limited(draft, &mut limited)?;
    }
    let mut notes = Vec::new();
    block.leave(&[("retryHostPredicates", "not copied: a client has no choice of hosts")], &mut notes)?;
    draft.note_all(notes);
    Ok(())
}

/// What kgateway makes of the Gateway API's `retry`, whatever it says.
const HTTP_ROUTE: [&str; 7] =
    ["cancelled", "connect-failure", "refused-stream", "reset", "retriable-headers", "retriable-status-codes", "unavailable"];

fn http_route(draft: &mut Draft, block: &mut Block<'_>) -> Result<(), Problem> {
    retry_policy::tokens(draft, HTTP_ROUTE.into_iter(), &block.path);
    draft.note(
        block.path.as_str(),
        "reset is retried, as kgateway's newest version does; older ones did not retry it, nor a backendRequest timeout",
    );
    if let Some(node) = block.take("codes")? {
        retry_policy::statuses(draft, &node, 400, 599)?;
    }
    if let Some(node) = block.take("attempts")? {
        draft.retries(whole(&node, 1, i32::MAX.into())?, &node.path);
    }
    if let Some(node) = block.take("backoff")? {
        let base = at_least_1ms(&node)?;
        draft.set_from("backoff", retry_policy::backoff_of(base, base.saturating_mul(10)), &node.path);
        draft.note(node.path, "the least wait to the Gateway API, the scale of a random one from zero to Envoy, which is what is done");
    }
    Ok(())
}
