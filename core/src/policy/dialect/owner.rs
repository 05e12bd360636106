//! Whose a piece is: told by a resource's group and kind, or by its keys.

use std::collections::{BTreeMap, HashMap};

use super::super::Value;
use super::super::problem::Problem;
use super::pieces::{Piece, Resource, items, text};
use super::recognise::recognise;
use super::{Dialect, kgateway, linkerd2};

/// Whose a piece is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Owner {
    Of(Dialect),
    /// No keys tell it.
    Unknown,
    /// A resource that no dialect reads.
    Nobody,
    /// Another system's retries, which are not read.
    Other(&'static str),
}

/// What a file of resources says about whose its Gateway API routes are.
#[derive(Default)]
pub(super) struct World {
    /// Systems whose own resources it holds, or whose class a Gateway has.
    present: Vec<Dialect>,
    /// Those of Gateways, by namespace and name.
    gateways: HashMap<(String, String), Dialect>,
    /// Those whose policies say that they are for a route, by namespace and name.
    claims: HashMap<(String, String), Vec<Dialect>>,
}

/// The Gateway API's group, and that of its experiments.
const GATEWAY_API: [&str; 2] = ["gateway.networking.k8s.io", "gateway.networking.x-k8s.io"];

/// Groups of resources, and whose they are.
const GROUPS: &[(&str, Dialect)] = &[
    ("gateway.envoyproxy.io", Dialect::EnvoyGateway),
    ("linkerd.io", Dialect::Linkerd2),
    ("policy.linkerd.io", Dialect::Linkerd2),
    ("sailoperator.io", Dialect::Istio),
];

/// Systems whose retries are not read, and what tells them.
const OTHERS: &[(&str, &str, &str)] = &[
    ("kuma.io", "MeshRetry", "Kuma's MeshRetry"),
    ("kuma.io", "Retry", "Kuma's Retry"),
    ("consul.hashicorp.com", "ServiceRouter", "Consul's ServiceRouter"),
    ("traefik.io", "Middleware", "Traefik's retry"),
    ("traefik.containo.us", "Middleware", "Traefik's retry"),
    ("getambassador.io", "Mapping", "Emissary's Mapping"),
    ("getambassador.io", "Module", "Emissary's Module"),
    ("projectcontour.io", "HTTPProxy", "Contour's HTTPProxy"),
];

impl World {
    pub(super) fn of(pieces: &[Piece<'_>]) -> Self {
        let mut world = World::default();
        let resources = || pieces.iter().filter_map(Piece::resource);
        let classes: BTreeMap<&str, Dialect> = resources()
            .filter(|resource| resource.kind == "GatewayClass" && GATEWAY_API.contains(&resource.group))
            .filter_map(|class| {
                let Some(Value::Str(controller)) = class.spec("controllerName") else { return None };
                Some((class.name?, by_word(controller)?))
            })
            .collect();
        classes.values().for_each(|dialect| world.add(*dialect));
        for resource in resources() {
            if GATEWAY_API.contains(&resource.group) {
                if let ("Gateway", Some(Value::Str(class))) = (resource.kind, resource.spec("gatewayClassName"))
                    && let Some(dialect) = classes.get(class.as_str()).copied().or_else(|| by_word(class))
                {
                    world.add(dialect);
                    world.gateways.insert((resource.home().to_owned(), resource.name.unwrap_or_default().to_owned()), dialect);
                }
                world.claims_of_filters(&resource);
            } else if let Some(dialect) = by_group(&resource) {
                world.add(dialect);
                world.claims_of_targets(&resource, dialect);
            }
        }
        world
    }

    fn add(&mut self, dialect: Dialect) {
        if !self.present.contains(&dialect) {
            self.present.push(dialect);
        }
    }

    /// The routes that a policy says it is for.
    fn claims_of_targets(&mut self, resource: &Resource<'_>, dialect: Dialect) {
        let one = resource.spec("targetRef").into_iter();
        let several = resource.value.get("spec").map_or(&[] as &[_], |spec| items(spec, "targetRefs"));
        for target in one.chain(several).filter(|target| text(target, "kind") == Some("HTTPRoute")) {
            self.claim(text(target, "namespace").unwrap_or(resource.home()), text(target, "name"), dialect);
        }
    }

    /// A route whose filters name an extension of kgateway's.
    fn claims_of_filters(&mut self, route: &Resource<'_>) {
        for rule in route.value.get("spec").map_or(&[] as &[_], |spec| items(spec, "rules")) {
            for filter in items(rule, "filters") {
                let group = filter.get("extensionRef").and_then(|reference| text(reference, "group"));
                if group.is_some_and(kgateway::is_ours) {
                    self.claim(route.home(), route.name, Dialect::Kgateway);
                }
            }
        }
    }

    fn claim(&mut self, namespace: &str, name: Option<&str>, dialect: Dialect) {
        let claims = self.claims.entry((namespace.to_owned(), name.unwrap_or_default().to_owned())).or_default();
        if !claims.contains(&dialect) {
            claims.push(dialect);
        }
    }

    /// Whose a resource of the Gateway API is, and a note where nothing tells it.
    ///
    /// # Errors
    /// Policies of several systems say that they are for it: their names.
    fn of_gateway_api(&self, resource: &Resource<'_>) -> Result<(Dialect, Option<&'static str>), String> {
        let claims = self.claims.get(&(resource.home().to_owned(), resource.name.unwrap_or_default().to_owned()));
        match claims.map_or(&[] as &[_], Vec::as_slice) {
            [] => {}
            [one] => return Ok((*one, None)),
            several => return Err(listed(several)),
        }
        let parents = resource.value.get("spec").map_or(&[] as &[_], |spec| items(spec, "parentRefs"));
        let gateways = parents.iter().filter_map(|parent| {
            let namespace = text(parent, "namespace").unwrap_or(resource.home());
            self.gateways.get(&(namespace.to_owned(), text(parent, "name")?.to_owned()))
        });
        let mut found: Vec<Dialect> = gateways.copied().collect();
        found.sort_unstable();
        found.dedup();
        if found.is_empty() {
            // linkerd2 reads only what bears its annotations, or its own group.
            found.extend(self.present.iter().filter(|dialect| **dialect != Dialect::Linkerd2));
        }
        // Istio's resources are there beside a gateway of another's more often than the other way round.
        let likely = [Dialect::Kgateway, Dialect::EnvoyGateway, Dialect::Istio].into_iter().find(|dialect| found.contains(dialect));
        match (found.len(), likely) {
            (1, Some(dialect)) => Ok((dialect, None)),
            (_, Some(dialect)) => Ok((dialect, Some(SEVERAL))),
            (_, None) => Ok((Dialect::Kgateway, Some(GUESSED))),
        }
    }

    /// Whose a piece is, and a note where that was guessed.
    pub(super) fn owner(&self, piece: &Piece<'_>) -> Result<(Owner, Option<&'static str>), Problem> {
        let Some(resource) = piece.resource() else { return Ok((of_keys(&piece.value)?, None)) };
        if linkerd2::is_annotated(&resource) {
            return Ok((Owner::Of(Dialect::Linkerd2), None));
        }
        if let Some(dialect) = by_group(&resource) {
            return Ok((Owner::Of(dialect), None));
        }
        if GATEWAY_API.contains(&resource.group) {
            return match self.of_gateway_api(&resource) {
                Ok((dialect, note)) => Ok((Owner::Of(dialect), note)),
                Err(several) => {
                    let problem = Problem::new(piece.placed(&piece.path), format!("policies of several are for it: {several}"));
                    Err(problem.fix("name the dialect that is meant"))
                }
            };
        }
        Ok((other(&resource).map_or(Owner::Nobody, Owner::Other), None))
    }
}

const GUESSED: &str =
    "read as kgateway does, because nothing says whose it is; Istio and Envoy Gateway read it otherwise: name their dialect";
const SEVERAL: &str =
    "several of kgateway, Envoy Gateway and Istio are here and read it differently; nothing says whose it is: name the dialect";

fn listed(dialects: &[Dialect]) -> String {
    dialects.iter().map(|dialect| dialect.name()).collect::<Vec<_>>().join(", ")
}

fn by_group(resource: &Resource<'_>) -> Option<Dialect> {
    if kgateway::is_ours(resource.group) {
        return Some(Dialect::Kgateway);
    }
    if resource.group.ends_with(".istio.io") {
        return Some(Dialect::Istio);
    }
    GROUPS.iter().find(|(group, _)| *group == resource.group).map(|(_, dialect)| *dialect)
}

/// Whose the name of a GatewayClass or of its controller is.
fn by_word(word: &str) -> Option<Dialect> {
    let has = |part: &str| word.to_ascii_lowercase().contains(part);
    if has("istio") {
        Some(Dialect::Istio)
    } else if has("kgateway") || has("gloo") || has("solo.io") {
        Some(Dialect::Kgateway)
    } else if word == "eg" || has("envoy") {
        Some(Dialect::EnvoyGateway)
    } else {
        None
    }
}

/// The system that is not read whose retries a resource holds.
fn other(resource: &Resource<'_>) -> Option<&'static str> {
    let known = |(group, kind, what): &(_, &str, &'static str)| {
        let ours = resource.group == *group && resource.kind == *kind;
        let retries = match *kind {
            "Middleware" => resource.spec("retry").is_some(),
            "Mapping" => resource.spec("retry_policy").is_some(),
            "Module" => resource.spec("config").is_some_and(|config| config.get("retry_policy").is_some()),
            _ => true,
        };
        (ours && retries).then_some(*what)
    };
    OTHERS.iter().find_map(known).or_else(|| annotated(resource))
}

/// What an Ingress says to its controller.
fn annotated(resource: &Resource<'_>) -> Option<&'static str> {
    let Some(Value::Map(annotations)) = resource.value.get("metadata").and_then(|metadata| metadata.get("annotations")) else {
        return None;
    };
    let has = |part: &str| annotations.iter().any(|(key, _)| key.contains(part));
    if has("nginx") && has("proxy-next-upstream") {
        Some("nginx's proxy_next_upstream")
    } else if has("haproxy") && has("retry-on") {
        Some("HAProxy's retry-on")
    } else {
        None
    }
}

/// Whose a document is that is no resource.
fn of_keys(value: &Value) -> Result<Owner, Problem> {
    let word = |key| text(value, key).unwrap_or_default();
    if word("type") == "MeshRetry" || (word("type") == "Retry" && value.get("mesh").is_some()) {
        return Ok(Owner::Other("Kuma's MeshRetry"));
    }
    if word("Kind") == "service-router" || word("kind") == "service-router" {
        return Ok(Owner::Other("Consul's ServiceRouter"));
    }
    if let Some(Value::Map(middlewares)) = value.get("http").and_then(|http| http.get("middlewares"))
        && middlewares.iter().any(|(_, middleware)| middleware.get("retry").is_some())
    {
        return Ok(Owner::Other("Traefik's retry"));
    }
    Ok(recognise(value)?.map_or(Owner::Unknown, Owner::Of))
}
