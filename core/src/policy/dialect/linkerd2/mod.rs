//! linkerd2: ServiceProfiles, and annotations of services and routes. Its proxy is not Envoy: the rules are its own.

mod annotations;
mod profile;

use super::super::Value;
use super::super::node::Node;
use super::super::problem::Problem;
use super::Found;
use super::draft::Draft;
use super::pieces::Resource;

pub(super) use annotations::Services;
pub(super) use profile::draft;

/// Bodies that are kept for retries.
const BUFFER: &str = "64KiB";

/// What both kinds of policies have in common that a client does otherwise.
fn notes_of_retries(draft: &mut Draft) {
    draft.note("", "a body that was not fully sent when the answer came is sent again; linkerd2 gives up then");
}

/// Whether a resource is one of those whose annotations say something of retries or time.
pub(super) fn is_annotated(resource: &Resource<'_>) -> bool {
    const KINDS: [&str; 4] = ["Service", "HTTPRoute", "GRPCRoute", "EgressNetwork"];
    KINDS.contains(&resource.kind) && annotations::all(resource).any(|(key, _)| annotations::is_ours(key))
}

pub(super) fn read(found: &mut Found, node: &Node<'_>, resource: Resource<'_>, services: &Services<'_>) -> Result<(), Problem> {
    match resource.kind {
        "ServiceProfile" if resource.group == "linkerd.io" => profile::read(found, node, &resource),
        _ if is_annotated(&resource) || is_route(&resource) => annotations::read(found, node, &resource, services),
        _ => Ok(()),
    }
}

/// linkerd's own form of the Gateway API's routes: their timeouts count without an annotation.
fn is_route(resource: &Resource<'_>) -> bool {
    let rules = resource.value.get("spec").map_or(&[] as &[Value], |spec| super::pieces::items(spec, "rules"));
    resource.kind == "HTTPRoute" && rules.iter().any(|rule| rule.get("timeouts").is_some())
}
