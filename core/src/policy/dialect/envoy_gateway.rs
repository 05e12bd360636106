//! Envoy Gateway: BackendTrafficPolicy, and HTTPRoute as its translator reads it.

use std::collections::HashMap;
use std::time::Duration;

use super::super::Value;
use super::super::node::{Node, join};
use super::super::problem::Problem;
use super::block::{Block, list, percent, proto_duration, whole};
use super::draft::{Draft, duration, limit};
use super::envoy::cluster::concurrency;
use super::envoy::retry_policy::{self, Timeouts};
use super::pieces::{Piece, Resource, items, text};
use super::routes::Routes;
use super::{Dialect, Found, envoy, gateway_api, istio, routes};

/// What is retried where nothing is said.
const DEFAULT: [&str; 5] = ["connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"];
const STATUS: i64 = 503;
const RETRIES: i64 = 2;
const CONNECT: Duration = Duration::from_secs(10);
/// Retries at a time where nothing is said.
const PARALLEL: i64 = 1024;
/// A route's timeout where nothing is said: Envoy's.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(15);

/// What `retryOn.triggers` may name.
const TRIGGERS: &[&str] = &[
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

/// A policy whose `retry` is empty.
pub(super) fn draft() -> Draft {
    let mut draft = base();
    default_retries(&mut draft);
    draft
}

/// A route of Envoy's, to a cluster as Envoy Gateway makes them.
fn base() -> Draft {
    let mut draft = envoy::draft();
    draft.set("connect_timeout", duration(CONNECT));
    draft.set("budget", concurrency(0.0, PARALLEL));
    draft
}

fn default_retries(draft: &mut Draft) {
    draft.set("max_retries", RETRIES);
    retry_policy::tokens(draft, DEFAULT.into_iter(), "");
    draft.set("statuses", Value::list([STATUS]));
}

/// Policies by the kind, namespace and name of what they are for.
#[derive(Default)]
pub(super) struct Policies<'a> {
    by_target: HashMap<(String, String, String), (String, &'a Value)>,
    routes: Routes<'a>,
}

impl<'a> Policies<'a> {
    pub(super) fn of(pieces: &'a [Piece<'_>]) -> Self {
        let mut policies = Policies { routes: Routes::of(pieces), ..Policies::default() };
        for piece in pieces {
            let Some(resource) = piece.resource().filter(is_policy) else { continue };
            let Some(spec) = resource.value.get("spec") else { continue };
            for target in spec.get("targetRef").into_iter().chain(items(spec, "targetRefs")) {
                let (Some(kind), Some(name)) = (text(target, "kind"), text(target, "name")) else { continue };
                let namespace = text(target, "namespace").unwrap_or(resource.home());
                let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
                policies.by_target.entry(key).or_insert_with(|| (piece.at("spec"), spec));
            }
        }
        policies
    }

    /// The policy of a route: its own, or its Gateway's, whole.
    fn for_route(&self, route: &Resource<'_>) -> Option<&(String, &'a Value)> {
        let of = |kind: &str, namespace: &str, name: &str| self.by_target.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()));
        let parents = route.value.get("spec").map_or(&[] as &[_], |spec| items(spec, "parentRefs"));
        let gateway = |parent| of("Gateway", text(parent, "namespace").unwrap_or(route.home()), text(parent, "name")?);
        of("HTTPRoute", route.home(), route.name.unwrap_or_default()).or_else(|| parents.iter().find_map(gateway))
    }
}

fn is_policy(resource: &Resource<'_>) -> bool {
    resource.group == "gateway.envoyproxy.io" && resource.kind == "BackendTrafficPolicy"
}

pub(super) fn read(found: &mut Found, node: &Node<'_>, resource: Resource<'_>, policies: &Policies<'_>) -> Result<(), Problem> {
    if is_policy(&resource) {
        let bears = ["retry", "timeout", "circuitBreaker"].iter().any(|key| resource.spec(key).is_some());
        let Some(spec) = resource.value.get("spec").filter(|_| bears) else { return Ok(()) };
        let mut policy = Policy::of(Block::any_case(&join(&node.path, "spec"), spec)?)?;
        let limits = policy.retry.take().map_or(Ok(Timeouts::default()), |retry| self::retry(&mut policy.draft, retry))?;
        if !policy.has_retry {
            policy.draft.note(node.path.as_str(), envoy::NO_POLICY);
        }
        limits.set(&mut policy.draft, policy.timeout);
        policies.routes.of_targets(&mut policy.draft, &resource);
        return found.add(policy.draft.finish(Dialect::EnvoyGateway, resource.name.map(str::to_owned))?);
    }
    if resource.kind == "HTTPRoute" { routes(found, node, &resource, policies) } else { Ok(()) }
}

/// The rules of a route that say something of retries or time themselves, over what its policy says.
fn routes(found: &mut Found, node: &Node<'_>, resource: &Resource<'_>, policies: &Policies<'_>) -> Result<(), Problem> {
    for mut rule in gateway_api::rules(node, resource)? {
        let own = rule.retry.take();
        if (own.is_none() && rule.timeouts.entries().is_empty()) || rule.redirects {
            continue;
        }
        let policy = policies.for_route(resource);
        let mut policy = match policy {
            Some((path, spec)) => Policy::of(Block::any_case(path, spec)?)?,
            None => Policy::default(),
        };
        let has_retry = own.is_some() || policy.has_retry;
        let mut limits = Timeouts::default();
        match (own, policy.retry.take()) {
            (Some(block), _) => of_rule(&mut policy.draft, block)?,
            (None, Some(block)) => limits = retry(&mut policy.draft, block)?,
            (None, None) => policy.draft.note(rule.path.as_str(), envoy::NO_POLICY),
        }
        istio::timeouts(&mut policy.draft, limits, &mut rule, has_retry, policy.timeout)?;
        routes::of_rule(&mut policy.draft, &rule.path, rule.value, resource);
        found.add(policy.draft.finish(Dialect::EnvoyGateway, rule.name)?)?;
    }
    Ok(())
}

/// What a policy says: its limits are in the draft, its retries are still to be read.
struct Policy<'a> {
    draft: Draft,
    timeout: Duration,
    retry: Option<Block<'a>>,
    has_retry: bool,
}

impl Default for Policy<'_> {
    fn default() -> Self {
        Policy { draft: base(), timeout: ROUTE_TIMEOUT, retry: None, has_retry: false }
    }
}

impl<'a> Policy<'a> {
    fn of(mut spec: Block<'a>) -> Result<Self, Problem> {
        let mut policy = Policy::default();
        policy.retry = spec.block("retry")?;
        policy.has_retry = policy.retry.is_some();
        if let Some(timeout) = spec.block("timeout")? {
            policy.timeouts(timeout)?;
        }
        if let Some(breaker) = spec.block("circuitBreaker")? {
            circuit_breaker(&mut policy.draft, breaker)?;
        }
        if let Some(node) = spec.take("mergeType")? {
            policy.draft.note(node.path, "not merged: this policy is read for itself");
        }
        Ok(policy)
    }

    fn timeouts(&mut self, mut block: Block<'_>) -> Result<(), Problem> {
        let mut notes = Vec::new();
        if let Some(mut http) = block.block("http")? {
            if let Some(node) = http.take("requestTimeout")? {
                self.timeout = proto_duration(&node)?;
                self.draft.source("timeout", &node.path);
            }
            let bounds = "not copied; requestTimeout bounds the whole, perRetry.timeout each attempt";
            http.leave(&[("maxStreamDuration", bounds), ("streamTimeout", bounds), ("streamIdleTimeout", bounds)], &mut notes)?;
        }
        if let Some(mut tcp) = block.block("tcp")?
            && let Some(node) = tcp.take("connectTimeout")?
        {
            self.draft.set_from("connect_timeout", limit(proto_duration(&node)?), &node.path);
        }
        self.draft.note_all(notes);
        Ok(())
    }
}

const NOT_RETRIES: &str = "not copied: it bounds all requests, not retries";

fn circuit_breaker(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let (mut share, mut least, mut path) = (0.0, PARALLEL, None);
    if let Some(node) = block.take("maxParallelRetries")? {
        least = whole(&node, 0, u32::MAX.into())?;
        path = Some(node.path);
    }
    if let Some(mut budget) = block.block("retryBudget")? {
        (share, least) = (20.0, 3);
        if let Some(fraction) = budget.block("percent")? {
            share = self::fraction(fraction)?;
        }
        if let Some(node) = budget.take("minRetryConcurrency")? {
            least = whole(&node, 0, u32::MAX.into())?;
        }
        budget.ignore_rest(draft);
        path = Some(budget.path);
    }
    let mut notes = Vec::new();
    let all = ["maxConnections", "maxPendingRequests", "maxParallelRequests", "maxRequestsPerConnection", "perEndpoint"];
    block.leave(&all.map(|key| (key, NOT_RETRIES)), &mut notes)?;
    draft.note_all(notes);
    draft.set_from("budget", concurrency(share, least), path.as_deref().unwrap_or(&block.path));
    Ok(())
}

/// `{numerator, denominator}` in percent.
fn fraction(mut block: Block<'_>) -> Result<f64, Problem> {
    let numerator = block.need("numerator")?;
    let above = percent(&numerator, "be a number from 0", f64::MAX)?;
    let below = block.take("denominator")?.map_or(Ok(100), |node| whole(&node, 1, i32::MAX.into()))?;
    let share = above * 100.0 / below as f64;
    if share > 100.0 { Err(numerator.must("be at most denominator")) } else { Ok(share) }
}

/// `retry` of a policy.
fn retry(draft: &mut Draft, mut block: Block<'_>) -> Result<Timeouts, Problem> {
    default_retries(draft);
    if let Some(node) = block.take("numRetries")? {
        draft.retries(whole(&node, 0, i32::MAX.into())?, &node.path);
    }
    if let Some(retry_on) = block.block("retryOn")? {
        self::retry_on(draft, retry_on)?;
    }
    let mut limits = Timeouts::default();
    if let Some(mut each) = block.block("perRetry")? {
        limits.per_try = each.take("timeout")?.map(|node| Ok::<_, Problem>((proto_duration(&node)?, node.path))).transpose()?;
        if let Some(wait) = each.block("backOff")? {
            backoff(draft, wait)?;
        }
        each.ignore_rest(draft);
    }
    let mut notes = Vec::new();
    block.leave(&[("numAttemptsPerPriority", "not copied: a client has no choice of hosts")], &mut notes)?;
    draft.note_all(notes);
    block.ignore_rest(draft);
    Ok(limits)
}

/// Given at all, it leaves no default status; without triggers the default ones stay.
fn retry_on(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let path = block.path.clone();
    draft.set("statuses", "none");
    if let Some(node) = block.take("triggers")? {
        let mut named = Vec::new();
        for item in list(&node)? {
            let word = item.text()?.to_owned();
            if !TRIGGERS.contains(&word.as_str()) {
                return Err(item.one_of(TRIGGERS.iter().copied()));
            }
            named.push(word);
        }
        if !named.is_empty() {
            retry_policy::tokens(draft, named.iter().map(String::as_str), &node.path);
        }
    }
    if let Some(node) = block.take("httpStatusCodes")? {
        retry_policy::statuses(draft, &node, 100, 600)?;
        if draft.named.is_some_and(|named| !named.by_status) {
            draft.note(node.path, "does nothing, because triggers do not name retriable-status-codes");
        }
    }
    draft.source("retry_on", &path);
    block.ignore_rest(draft);
    Ok(())
}

fn backoff(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let (base, max) = (block.take("baseInterval")?, block.take("maxInterval")?);
    let Some(base) = base else {
        return match max {
            Some(_) => Err(Problem::new(join(&block.path, "baseInterval"), "required beside maxInterval")),
            None => Ok(()),
        };
    };
    let first = retry_policy::positive(&base)?;
    let most = match &max {
        None => first.saturating_mul(10),
        Some(node) => match retry_policy::positive(node)? {
            most if most < first => return Err(node.must(format_args!("be at least baseInterval ({})", crate::time::DurationText(first)))),
            most => most,
        },
    };
    draft.set_from("backoff", retry_policy::backoff_of(first, most), &block.path);
    block.ignore_rest(draft);
    Ok(())
}

/// `retry` of a route's rule.
fn of_rule(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    default_retries(draft);
    if let Some(node) = block.take("attempts")? {
        draft.retries(whole(&node, 0, i32::MAX.into())?, &node.path);
    }
    if let Some(node) = block.take("codes")? {
        retry_policy::statuses(draft, &node, 400, 599)?;
    }
    if let Some(node) = block.take("backoff")? {
        let base = retry_policy::positive(&node)?;
        draft.set_from("backoff", retry_policy::backoff_of(base, base.saturating_mul(10)), &node.path);
    }
    block.ignore_rest(draft);
    Ok(())
}
