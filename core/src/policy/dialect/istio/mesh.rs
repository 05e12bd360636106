//! What Istio's DestinationRules and the mesh's configuration say: limits by host, subset and port, and the retries of routes that
//! say nothing.

use std::collections::HashMap;

use super::super::super::Value;
use super::super::super::node::join;
use super::super::super::problem::Problem;
use super::super::block::{Block, percent, proto_duration, whole};
use super::super::draft::{Draft, limit};
use super::super::envoy::cluster::concurrency;
use super::super::envoy::retry_policy::Timeouts;
use super::super::gateway_api::Rule;
use super::super::pieces::{Piece, Resource, items, text};

/// Where a route's requests go.
pub(in super::super) struct Destination<'a> {
    pub(super) host: &'a str,
    pub(super) subset: Option<&'a str>,
    pub(super) port: Option<i64>,
    /// The route's own.
    pub(super) namespace: &'a str,
}

impl<'a> Destination<'a> {
    /// Of an item of a VirtualService's `route`.
    pub(super) fn of_route(item: &'a Value, route: &Resource<'a>) -> Option<Self> {
        let destination = item.get("destination")?;
        let port = destination.get("port").and_then(|port| number(port.get("number")?));
        Some(Destination { host: text(destination, "host")?, subset: text(destination, "subset"), port, namespace: route.home() })
    }

    /// Of the first of `backendRefs`.
    pub(super) fn of_backends(rule: &Rule<'a>, route: &Resource<'a>) -> Option<Self> {
        let backend = rule.backend?;
        let namespace = text(backend, "namespace").unwrap_or(route.home());
        Some(Destination { host: text(backend, "name")?, subset: None, port: backend.get("port").and_then(number), namespace })
    }
}

fn number(value: &Value) -> Option<i64> {
    if let Value::Int(number) = value { Some(*number) } else { None }
}

/// A value and where it stands in the whole text.
type At<'a> = (String, &'a Value);

/// A DestinationRule.
struct DestinationRule<'a> {
    namespace: &'a str,
    policy: Option<At<'a>>,
    subsets: HashMap<&'a str, Option<At<'a>>>,
}

#[derive(Default)]
pub(in super::super) struct Mesh<'a> {
    /// By host, as names of the mesh are written in full.
    rules: HashMap<String, Vec<DestinationRule<'a>>>,
    /// `retryConstraint` of XBackendTrafficPolicies, by host.
    constraints: HashMap<String, At<'a>>,
    retries: Option<At<'a>>,
    connect: Option<At<'a>>,
    routes: bool,
    resources: bool,
}

/// Whether a resource says how Istio is to be installed, the mesh's configuration included.
pub(super) fn is_installation(resource: &Resource<'_>) -> bool {
    matches!(resource.group, "install.istio.io" | "sailoperator.io")
}

/// A short name belongs to the namespace of who says it.
fn full(host: &str, namespace: &str) -> String {
    if host.contains('.') || host == "*" { host.to_owned() } else { format!("{host}.{namespace}.svc.cluster.local") }
}

impl<'a> Mesh<'a> {
    pub(in super::super) fn of(pieces: &'a [Piece<'_>]) -> Self {
        let mut mesh = Mesh::default();
        for piece in pieces {
            let Some(resource) = piece.resource() else {
                mesh.configuration(piece, &[]);
                mesh.configuration(piece, &["meshConfig"]);
                continue;
            };
            match (resource.group, resource.kind) {
                ("networking.istio.io", "DestinationRule") => mesh.rule(piece, &resource),
                _ if is_installation(&resource) => {
                    mesh.configuration(piece, &["spec", "meshConfig"]);
                    mesh.configuration(piece, &["spec", "values", "meshConfig"]);
                    continue;
                }
                ("gateway.networking.x-k8s.io", "XBackendTrafficPolicy") => mesh.constraint(piece, &resource),
                (_, "VirtualService" | "HTTPRoute") => mesh.routes = true,
                _ => {}
            }
            mesh.resources |= resource.group.ends_with(".istio.io");
        }
        mesh
    }

    /// Whether some route is in the file.
    pub(super) fn has_routes(&self) -> bool {
        self.routes
    }

    /// Whether there is nothing but the mesh's configuration.
    pub(super) fn is_alone(&self) -> bool {
        !self.routes && !self.resources && self.retries.is_some()
    }

    fn configuration(&mut self, piece: &'a Piece<'_>, keys: &[&str]) {
        let (mut path, mut value) = (piece.path.clone(), &*piece.value);
        for key in keys {
            let Some(inner) = value.get(key) else { return };
            (path, value) = (join(&path, key), inner);
        }
        let at = |key: &str| Some((piece.placed(&join(&path, key)), value.get(key)?));
        self.retries = self.retries.take().or_else(|| at("defaultHttpRetryPolicy"));
        if keys.is_empty() && value.get("defaultHttpRetryPolicy").is_none() && value.get("defaultInboundHttpRetryPolicy").is_none() {
            // Any other document may have such a key.
            return;
        }
        self.connect = self.connect.take().or_else(|| at("connectTimeout"));
    }

    fn rule(&mut self, piece: &'a Piece<'_>, resource: &Resource<'a>) {
        // It is for some clients only, and this one does not know its labels.
        let selects = resource.spec("workloadSelector").is_some();
        let (Some(Value::Str(host)), Some(spec), false) = (resource.spec("host"), resource.value.get("spec"), selects) else { return };
        let spec_path = piece.at("spec");
        let policy = spec.get("trafficPolicy").map(|policy| (join(&spec_path, "trafficPolicy"), policy));
        let subsets = items(spec, "subsets").iter().enumerate().filter_map(|(i, subset)| {
            let path = format!("{spec_path}.subsets[{i}].trafficPolicy");
            Some((text(subset, "name")?, subset.get("trafficPolicy").map(|policy| (path, policy))))
        });
        let rules = self.rules.entry(full(host, resource.home())).or_default();
        match rules.iter_mut().find(|rule| rule.namespace == resource.home()) {
            // Two of a namespace are one: the first says more.
            Some(rule) => {
                rule.policy = rule.policy.take().or(policy);
                subsets.for_each(|(name, policy)| _ = rule.subsets.entry(name).or_insert(policy));
            }
            None => rules.push(DestinationRule { namespace: resource.home(), policy, subsets: subsets.collect() }),
        }
    }

    fn constraint(&mut self, piece: &'a Piece<'_>, resource: &Resource<'a>) {
        let (Some(constraint), Some(spec)) = (resource.spec("retryConstraint"), resource.value.get("spec")) else { return };
        let path = join(&piece.at("spec"), "retryConstraint");
        for target in items(spec, "targetRefs").iter().filter_map(|target| text(target, "name")) {
            self.constraints.entry(full(target, resource.home())).or_insert_with(|| (path.clone(), constraint));
        }
    }

    /// The retries of a route that says nothing.
    pub(super) fn retries(&self, draft: &mut Draft, limits: &mut Timeouts) -> Result<(), Problem> {
        match &self.retries {
            Some((path, value)) => super::retries(draft, limits, Block::of(path, value)?),
            None => {
                super::default_retries(draft);
                Ok(())
            }
        }
    }

    /// The rule for a host: of the client's namespace, of the host's own, or any; by its name, or by the longest wildcard.
    fn find(&self, host: &str, namespace: &str) -> Option<&DestinationRule<'a>> {
        let of = |rules: &'_ Vec<DestinationRule<'a>>| {
            let home = host.split('.').nth(1);
            let by = |namespace: &str| rules.iter().position(|rule| rule.namespace == namespace);
            by(namespace).or_else(|| by(home?)).or(if rules.is_empty() { None } else { Some(0) })
        };
        let pick = |name: &str| self.rules.get(name).and_then(|rules| rules.get(of(rules)?));
        let wild = host.match_indices('.').find_map(|(at, _)| pick(&format!("*{}", &host[at..])));
        pick(host).or(wild).or_else(|| pick("*"))
    }

    /// Sets the limits of connecting and of retries at a time.
    pub(super) fn limits(&self, draft: &mut Draft, destination: Option<&Destination<'_>>) -> Result<(), Problem> {
        if let Some((path, value)) = &self.connect {
            connect(draft, path, value)?;
        }
        let Some(destination) = destination else { return Ok(()) };
        let host = full(destination.host, destination.namespace);
        let mut traffic = Traffic::default();
        if let Some(rule) = self.find(&host, destination.namespace) {
            traffic.layer(rule.policy.as_ref(), destination.port);
            if let Some(subset) = destination.subset {
                traffic.layer(rule.subsets.get(subset).and_then(Option::as_ref), destination.port);
            }
        }
        if let Some((path, value)) = traffic.pool {
            pool(draft, Block::of(&path, value)?)?;
        }
        match (traffic.budget, self.constraints.get(&host)) {
            (Some((path, value)), _) => budget(draft, Block::of(&path, value)?),
            (None, Some((path, value))) => constraint(draft, Block::of(path, value)?),
            (None, None) => Ok(()),
        }
    }
}

/// What layers of traffic policies come to.
#[derive(Default)]
struct Traffic<'a> {
    pool: Option<At<'a>>,
    budget: Option<At<'a>>,
}

impl<'a> Traffic<'a> {
    /// A policy replaces block by block; one of the port replaces everything.
    fn layer(&mut self, policy: Option<&At<'a>>, port: Option<i64>) {
        let Some((path, policy)) = policy else { return };
        let at = |path: &str, value: &'a Value, key: &str| {
            let inner = value.get(key).filter(|inner| **inner != Value::Null)?;
            Some((join(path, key), inner))
        };
        self.pool = at(path, policy, "connectionPool").or(self.pool.take());
        self.budget = at(path, policy, "retryBudget").or(self.budget.take());
        let of_port = |(_, settings): &(usize, &'a Value)| {
            port.is_some() && settings.get("port").and_then(|port| number(port.get("number")?)) == port
        };
        if let Some((i, settings)) = items(policy, "portLevelSettings").iter().enumerate().find(of_port) {
            let path = format!("{path}.portLevelSettings[{i}]");
            (self.pool, self.budget) = (at(&path, settings, "connectionPool"), at(&path, settings, "retryBudget"));
        }
    }
}

fn connect(draft: &mut Draft, path: &str, value: &Value) -> Result<(), Problem> {
    let length = proto_duration(&super::Node::at(path, value))?;
    draft.set_from("connect_timeout", limit(length), path);
    Ok(())
}

const NOT_RETRIES: &str = "not copied: it bounds all requests, not retries";

fn pool(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let mut notes = Vec::new();
    if let Some(mut tcp) = block.block("tcp")? {
        if let Some(node) = tcp.take("connectTimeout")? {
            connect(draft, &node.path, &node.value)?;
        }
        tcp.leave(&[("maxConnections", NOT_RETRIES)], &mut notes)?;
    }
    if let Some(mut http) = block.block("http")? {
        if let Some(node) = http.take("maxRetries")? {
            let most = whole(&node, i32::MIN.into(), i32::MAX.into())?;
            if most > 0 {
                draft.set_from("budget", concurrency(0.0, most), &node.path);
            }
        }
        http.leave(&[("http1MaxPendingRequests", NOT_RETRIES), ("http2MaxRequests", NOT_RETRIES)], &mut notes)?;
    }
    draft.note_all(notes);
    Ok(())
}

/// Istio's numbers for a budget that leaves them out.
const PERCENT: f64 = 20.0;
const CONCURRENCY: i64 = 3;
const INTERVAL: &str = "not copied: the percentage is of the sends in flight, not of those in an interval";

fn budget(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let share = block.take("percent")?.map_or(Ok(PERCENT), |node| percent(&node, "be a percentage from 0 to 100", 100.0))?;
    let least = block.take("minRetryConcurrency")?.map_or(Ok(0), |node| whole(&node, 0, u32::MAX.into()))?;
    let mut notes = Vec::new();
    block.leave(&[("budgetInterval", INTERVAL)], &mut notes)?;
    draft.note_all(notes);
    block.ignore_rest(draft);
    draft.set_from("budget", concurrency(share, if least == 0 { CONCURRENCY } else { least }), &block.path);
    Ok(())
}

/// Requests per second that may always be retried, where it is not told.
const RATE: i64 = 10;

fn constraint(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let (mut share, mut least) = (PERCENT, RATE);
    if let Some(mut budget) = block.block("budget")? {
        share = budget.take("percent")?.map_or(Ok(PERCENT), |node| percent(&node, "be a percentage from 0 to 100", 100.0))?;
    }
    draft.note(block.path.as_str(), INTERVAL);
    if let Some(mut rate) = block.block("minRetryRate")? {
        least = rate.take("count")?.map_or(Ok(RATE), |node| whole(&node, 0, u32::MAX.into()))?;
    }
    draft.set_from("budget", concurrency(share, least), &block.path);
    Ok(())
}
