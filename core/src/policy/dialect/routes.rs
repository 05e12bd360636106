//! Which requests the routes of other systems are for, in the words of a policy set.

use super::super::Value;
use super::super::node::{Node, join};
use super::super::problem::Problem;
use super::super::set::{HostPattern, PathMatch, RequestMatch};
use super::draft::Draft;
use super::pieces::{Piece, Resource, items, text};
use crate::retry::{HeaderMatcher, Pattern, Test};

const NOT_JUDGED: &str = "taken as met: a client cannot judge it";
/// Such a match is left out: to take it as met would give its policy to requests that are none of its.
const NO_MATCH: &str = "no rule: cannot be read";

fn unread(draft: &mut Draft, path: String) {
    draft.note(path, NO_MATCH);
    draft.scope.partial = true;
}

/// The hosts among these texts.
pub(super) fn hosts<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<HostPattern> {
    names.into_iter().filter_map(HostPattern::new).collect()
}

/// The texts of a list.
pub(super) fn listed(value: &Value) -> impl Iterator<Item = &str> {
    let items = if let Value::List(items) = value { items.as_slice() } else { &[] };
    items.iter().filter_map(|item| if let Value::Str(text) = item { Some(text.as_str()) } else { None })
}

fn texts<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    value.get(key).into_iter().flat_map(listed)
}

/// All requests to these hosts.
pub(super) fn of_hosts(hosts: Vec<HostPattern>) -> RequestMatch {
    RequestMatch { hosts, ..RequestMatch::default() }
}

/// What a service is called within its cluster. A short name is known in its own namespace, which is taken for the client's.
pub(super) fn service(name: &str, namespace: &str) -> Vec<HostPattern> {
    let (short, namespace) = match name.split('.').collect::<Vec<_>>().as_slice() {
        [name] if *name != "*" => (Some(*name), namespace),
        [_, namespace, "svc", ..] => (None, *namespace),
        _ => return hosts([name]),
    };
    let first = name.split('.').next().unwrap_or(name);
    let long = ["", ".svc", ".svc.cluster.local"].map(|end| format!("{first}.{namespace}{end}"));
    hosts(short.into_iter().chain(long.iter().map(String::as_str)))
}

fn pattern(text: &str, ignore_case: bool) -> Option<Test> {
    Pattern::new(text, ignore_case).ok().map(|pattern| Test::Regex(Box::new(pattern)))
}

fn header(name: &str, test: Test) -> HeaderMatcher {
    HeaderMatcher { name: name.to_ascii_lowercase(), test, invert: false }
}

/// Istio's string match: `{exact | prefix | regex}`; nothing in it is any value.
fn istio_test(value: &Value, ignore_case: bool) -> Option<Test> {
    let said = |key| text(value, key);
    match (said("exact"), said("prefix"), said("regex")) {
        (Some(exact), ..) => Some(Test::Exact(exact.to_owned(), ignore_case)),
        (_, Some(prefix), _) => Some(Test::Prefix(prefix.to_owned(), ignore_case)),
        (_, _, Some(regex)) => pattern(regex, ignore_case),
        _ => matches!(value, Value::Null | Value::Map(_)).then_some(Test::Present(true)),
    }
}

fn entries<'a>(value: &'a Value, key: &str) -> &'a [(String, Value)] {
    if let Some(Value::Map(entries)) = value.get(key) { entries } else { &[] }
}

/// The requests of an `http` item of a VirtualService: one of `match`, each of which is all of its parts.
pub(super) fn of_virtual_service(draft: &mut Draft, item: &Node<'_>, service: &Resource<'_>) {
    let spec = service.value.get("spec").unwrap_or(service.value);
    let named = texts(spec, "hosts").flat_map(|host| self::service(host, service.home())).collect();
    draft.scope.namespace = service.namespace.map(str::to_owned);
    let base = of_hosts(named);
    let all = items(&item.value, "match");
    if all.is_empty() {
        draft.scope.matches.push(base);
        return;
    }
    for (i, value) in all.iter().enumerate() {
        let path = format!("{}[{i}]", join(&item.path, "match"));
        match istio_match(draft, &path, value, &base) {
            Some(matching) => draft.scope.matches.push(matching),
            None => unread(draft, path),
        }
    }
}

fn istio_match(draft: &mut Draft, path: &str, value: &Value, base: &RequestMatch) -> Option<RequestMatch> {
    let mut matching = base.clone();
    let any_case = value.get("ignoreUriCase") == Some(&Value::Bool(true));
    for (key, part) in if let Value::Map(entries) = value { entries.as_slice() } else { &[] } {
        match key.as_str() {
            "uri" => matching.path = Some(PathMatch::Test(istio_test(part, any_case)?)),
            "method" => match istio_test(part, false)? {
                Test::Exact(method, _) => matching.methods.push(method),
                test => matching.headers.push(header(":method", test)),
            },
            "authority" => matching.headers.push(header(":authority", istio_test(part, false)?)),
            "scheme" => matching.headers.push(header(":scheme", istio_test(part, false)?)),
            "headers" => {
                for (name, part) in entries(value, "headers") {
                    matching.headers.push(header(name, istio_test(part, false)?));
                }
            }
            "withoutHeaders" => {
                for (name, part) in entries(value, "withoutHeaders") {
                    match istio_test(part, false)? {
                        Test::Present(_) => matching.headers.push(header(name, Test::Present(false))),
                        _ => return None,
                    }
                }
            }
            "queryParams" => {
                for (name, part) in entries(value, "queryParams") {
                    matching.query.push(HeaderMatcher { name: name.clone(), test: istio_test(part, false)?, invert: false });
                }
            }
            "sourceLabels" | "sourceNamespace" | "gateways" | "port" => draft.note(join(path, key), NOT_JUDGED),
            _ => {}
        }
    }
    Some(matching)
}

/// The hosts of a route of the Gateway API: its own, or those of the services that it is for; none for any.
fn route_hosts(route: &Resource<'_>) -> Vec<HostPattern> {
    let Some(spec) = route.value.get("spec") else { return Vec::new() };
    let own = hosts(texts(spec, "hostnames"));
    if !own.is_empty() {
        return own;
    }
    let services = items(spec, "parentRefs").iter().filter(|parent| text(parent, "kind") == Some("Service"));
    services
        .filter_map(|parent| Some(service(text(parent, "name")?, text(parent, "namespace").unwrap_or(route.home()))))
        .flatten()
        .collect()
}

/// The requests of a rule of a route of the Gateway API.
pub(super) fn of_rule(draft: &mut Draft, path: &str, rule: &Value, route: &Resource<'_>) {
    draft.scope.by_path = true;
    draft.scope.namespace = route.namespace.map(str::to_owned);
    let base = of_hosts(route_hosts(route));
    let all = items(rule, "matches");
    if all.is_empty() {
        draft.scope.matches.push(base);
        return;
    }
    for (i, value) in all.iter().enumerate() {
        match route_match(value, &base) {
            Some(matching) => draft.scope.matches.push(matching),
            None => unread(draft, format!("{}[{i}]", join(path, "matches"))),
        }
    }
}

fn route_match(value: &Value, base: &RequestMatch) -> Option<RequestMatch> {
    let mut matching = base.clone();
    if let Some(path) = value.get("path") {
        let said = text(path, "value").unwrap_or("/");
        matching.path = match text(path, "type").unwrap_or("PathPrefix") {
            "Exact" => Some(PathMatch::Test(Test::Exact(said.to_owned(), false))),
            "PathPrefix" => (said != "/").then(|| PathMatch::Segment(said.to_owned())),
            "RegularExpression" => Some(PathMatch::Test(pattern(said, false)?)),
            _ => return None,
        };
    }
    matching.methods.extend(text(value, "method").map(str::to_owned));
    let test = |part: &Value| {
        let said = text(part, "value")?;
        match text(part, "type").unwrap_or("Exact") {
            "Exact" => Some(Test::Exact(said.to_owned(), false)),
            "RegularExpression" => pattern(said, false),
            _ => None,
        }
    };
    for part in items(value, "headers") {
        matching.headers.push(header(text(part, "name")?, test(part)?));
    }
    for part in items(value, "queryParams") {
        matching.query.push(HeaderMatcher { name: text(part, "name")?.to_owned(), test: test(part)?, invert: false });
    }
    Some(matching)
}

/// Routes of the Gateway API, for the policies that are attached to them.
#[derive(Default)]
pub(super) struct Routes<'a>(Vec<(String, Resource<'a>)>);

/// Of two policies for the same requests the lower one wins.
const OF_ROUTE: u8 = 1;
const OF_GATEWAY: u8 = 2;

impl<'a> Routes<'a> {
    pub(super) fn of(pieces: &'a [Piece<'_>]) -> Self {
        let route = |piece: &'a Piece<'_>| {
            let resource = piece.resource().filter(|resource| resource.kind == "HTTPRoute")?;
            Some((join(&piece.path, "spec.rules"), resource))
        };
        Routes(pieces.iter().filter_map(route).collect())
    }

    /// The requests of the routes that a policy names, that name it, or whose gateway it names. What refers to a resource does so by kind, namespace and
    /// name, whatever the group says.
    pub(super) fn of_targets(&self, draft: &mut Draft, policy: &Resource<'_>) {
        draft.scope.namespace = policy.namespace.map(str::to_owned);
        let one = policy.spec("targetRef").into_iter();
        let several = policy.value.get("spec").map_or(&[] as &[_], |spec| items(spec, "targetRefs"));
        for target in one.chain(several) {
            let (Some(kind), Some(name)) = (text(target, "kind"), text(target, "name")) else { continue };
            let namespace = text(target, "namespace").unwrap_or(policy.home());
            let section = text(target, "sectionName");
            match kind {
                "HTTPRoute" => {
                    let is_meant = |route: &Resource<'_>| route.name == Some(name) && route.home() == namespace;
                    let of_section = |rule: &Value| section.is_none() || text(rule, "name") == section;
                    self.add(draft, OF_ROUTE, is_meant, of_section);
                }
                "Gateway" => {
                    let is_parent = |route: &Resource<'_>, parent: &Value| {
                        text(parent, "name") == Some(name)
                            && text(parent, "namespace").unwrap_or(route.home()) == namespace
                            && (section.is_none() || text(parent, "sectionName") == section)
                    };
                    let parents = |route: &Resource<'a>| route.value.get("spec").map_or(&[] as &[_], |spec| items(spec, "parentRefs"));
                    self.add(draft, OF_GATEWAY, |route| parents(route).iter().any(|parent| is_parent(route, parent)), |_| true);
                }
                "Service" => draft.scope.matches.push(of_hosts(service(name, namespace))),
                _ => {}
            }
        }
        let names_it = |rule: &Value| {
            let references = items(rule, "filters").iter().filter_map(|filter| filter.get("extensionRef"));
            let mut kinds = references.map(|reference| (text(reference, "kind"), text(reference, "name")));
            kinds.any(|(kind, name)| kind == Some(policy.kind) && name == policy.name)
        };
        self.add(draft, OF_ROUTE, |route| route.home() == policy.home(), names_it);
    }

    fn add(&self, draft: &mut Draft, layer: u8, is_meant: impl Fn(&Resource<'a>) -> bool, rule_is_meant: impl Fn(&Value) -> bool) {
        for (path, route) in self.0.iter().filter(|(_, route)| is_meant(route)) {
            let rules = route.value.get("spec").map_or(&[] as &[_], |spec| items(spec, "rules"));
            for (i, rule) in rules.iter().enumerate().filter(|(_, rule)| rule_is_meant(rule)) {
                draft.scope.layer = layer;
                of_rule(draft, &format!("{path}[{i}]"), rule, route);
            }
        }
    }
}

/// The requests of a route of Envoy's, which stands at a path, in a virtual host with these domains.
pub(super) fn of_envoy(draft: &mut Draft, route: Option<(&str, &Value)>, domains: &[HostPattern]) -> Result<(), Problem> {
    let base = of_hosts(domains.to_vec());
    match route.and_then(|(path, route)| Some((join(path, "match"), route.get("match")?))) {
        // A policy that stands alone.
        None if domains.is_empty() => {}
        None => draft.scope.matches.push(base),
        Some((path, value)) => match envoy_match(draft, &path, value, base)? {
            Some(matching) => draft.scope.matches.push(matching),
            None => unread(draft, path),
        },
    }
    Ok(())
}

fn envoy_match(draft: &mut Draft, path: &str, value: &Value, mut matching: RequestMatch) -> Result<Option<RequestMatch>, Problem> {
    let either = |snake: &str| value.get(snake).or_else(|| value.get(&super::super::problem::camel(snake)));
    let any_case = either("case_sensitive") == Some(&Value::Bool(false));
    let said = |key: &str| if let Some(Value::Str(text)) = either(key) { Some(text.as_str()) } else { None };
    if let Some(exact) = said("path") {
        matching.path = Some(PathMatch::Test(Test::Exact(exact.to_owned(), any_case)));
    } else if let Some(start) = said("path_separated_prefix") {
        matching.path = Some(PathMatch::Segment(start.to_owned()));
    } else if let Some(start) = said("prefix") {
        matching.path = (start != "/" && !start.is_empty()).then(|| PathMatch::Test(Test::Prefix(start.to_owned(), any_case)));
    } else if let Some(regex) = either("safe_regex") {
        let Some(test) = text(regex, "regex").and_then(|regex| pattern(regex, false)) else { return Ok(None) };
        matching.path = Some(PathMatch::Test(test));
    } else {
        return Ok(None);
    }
    if let Some(headers) = either("headers") {
        let node = Node::at(join(path, "headers"), headers);
        let Some(all) = super::envoy::request_matchers(draft, &node)? else { return Ok(None) };
        for matcher in all {
            match matcher.test {
                Test::Exact(method, _) if matcher.name == ":method" && !matcher.invert => matching.methods.push(method),
                _ => matching.headers.push(matcher),
            }
        }
    }
    let parameters = if let Some(Value::List(all)) = either("query_parameters") { all.as_slice() } else { &[] };
    for part in parameters {
        let (Some(name), string) = (text(part, "name"), part.get("string_match").or_else(|| part.get("stringMatch"))) else {
            return Ok(None);
        };
        let Some(test) = string.map_or(Some(Test::Present(true)), |string| istio_test(string, false)) else { return Ok(None) };
        matching.query.push(HeaderMatcher { name: name.to_owned(), test, invert: false });
    }
    for key in ["grpc", "runtime_fraction", "tls_context", "dynamic_metadata", "filter_state"] {
        if either(key).is_some() {
            draft.note(join(path, key), NOT_JUDGED);
        }
    }
    Ok(Some(matching))
}

/// Conditions within conditions.
const DEEPEST: usize = 16;
/// What a condition may come to.
const MOST_MATCHES: usize = 100;

/// The requests of a route of a ServiceProfile: `{method, pathRegex, all, any}`; what says `not` cannot be told in a set.
pub(super) fn of_profile(draft: &mut Draft, path: &str, route: &Value, profile: &Resource<'_>) {
    let base = of_hosts(service(profile.name.unwrap_or_default(), profile.home()));
    match route.get("condition").map_or(Some(vec![base.clone()]), |condition| conditions(condition, vec![base], 0)) {
        Some(all) => draft.scope.matches.extend(all),
        None => unread(draft, join(path, "condition")),
    }
}

/// Those of `given` that meet a condition, each as several where one of several is enough.
fn conditions(condition: &Value, mut given: Vec<RequestMatch>, depth: usize) -> Option<Vec<RequestMatch>> {
    if depth > DEEPEST || condition.get("not").is_some() {
        return None;
    }
    for matching in &mut given {
        if let Some(method) = text(condition, "method") {
            if !matching.methods.is_empty() && !matching.methods.iter().any(|known| known == method) {
                return None;
            }
            matching.methods = vec![method.to_owned()];
        }
        if let Some(regex) = text(condition, "pathRegex") {
            if matching.path.is_some() {
                return None;
            }
            matching.path = Some(PathMatch::Test(pattern(regex, false)?));
        }
    }
    for inner in items(condition, "all") {
        given = conditions(inner, given, depth + 1)?;
    }
    let any = items(condition, "any");
    if !any.is_empty() {
        let each = any.iter().map(|inner| conditions(inner, given.clone(), depth + 1)).collect::<Option<Vec<_>>>()?;
        given = each.concat();
    }
    (given.len() <= MOST_MATCHES).then_some(given)
}
