//! linkerd2's annotations: `retry.linkerd.io/*` and `timeout.linkerd.io/*` of services and routes.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::super::super::Value;
use super::super::super::node::{Node, join};
use super::super::super::problem::Problem;
use super::super::draft::{Draft, duration, limit};
use super::super::pieces::{Piece, Resource, items, text};
use super::super::{Dialect, Found, gateway_api, routes};
use super::{BUFFER, notes_of_retries, profile};

const RETRY: &str = "retry.linkerd.io/";
const TIMEOUT: &str = "timeout.linkerd.io/";

pub(super) fn is_ours(key: &str) -> bool {
    key.starts_with(RETRY) || key.starts_with(TIMEOUT)
}

/// The annotations of a resource.
pub(super) fn all<'a>(resource: &Resource<'a>) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    let entries = match resource.value.get("metadata").and_then(|metadata| metadata.get("annotations")) {
        Some(Value::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().map(|(key, value)| (key.as_str(), value))
}

/// What services say, by namespace and name.
#[derive(Default)]
pub(in super::super) struct Services<'a> {
    /// The paths of their annotations, and these.
    annotated: HashMap<(&'a str, &'a str), (String, Resource<'a>)>,
    /// Those with a profile, which switches the annotations off.
    profiled: HashSet<(&'a str, &'a str)>,
}

impl<'a> Services<'a> {
    pub(in super::super) fn of(pieces: &'a [Piece<'_>]) -> Self {
        let mut services = Services::default();
        for piece in pieces {
            let Some(resource) = piece.resource() else { continue };
            match (resource.group, resource.kind) {
                ("", "Service") => {
                    let name = resource.name.unwrap_or_default();
                    services.annotated.insert((resource.home(), name), (piece.at("metadata.annotations"), resource));
                }
                ("linkerd.io", "ServiceProfile") => {
                    services.profiled.extend(profile::service_of(&resource).map(|(name, namespace)| (namespace, name)));
                }
                _ => {}
            }
        }
        services
    }
}

pub(super) fn read(found: &mut Found, node: &Node<'_>, resource: &Resource<'_>, services: &Services<'_>) -> Result<(), Problem> {
    let path = join(&join(&node.path, "metadata"), "annotations");
    let own = Annotations::of(&path, resource)?;
    if resource.kind == "Service" {
        // A profile switches them off.
        if services.profiled.contains(&(resource.home(), resource.name.unwrap_or_default())) {
            return Ok(());
        }
        let mut draft = own.draft();
        draft.scope.by_path = true;
        draft.scope.matches.push(routes::of_hosts(routes::service(resource.name.unwrap_or_default(), resource.home())));
        draft.scope.namespace = resource.namespace.map(str::to_owned);
        return found.add(draft.finish(Dialect::Linkerd2, resource.name.map(str::to_owned))?);
    }
    let own = own.or(of_service(resource, services)?);
    let rules = if resource.kind == "HTTPRoute" { gateway_api::rules(node, resource)? } else { Vec::new() };
    if rules.iter().all(|rule| rule.timeouts.entries().is_empty()) {
        let mut draft = own.draft();
        rules.iter().for_each(|rule| routes::of_rule(&mut draft, &rule.path, rule.value, resource));
        return found.add(draft.finish(Dialect::Linkerd2, resource.name.map(str::to_owned))?);
    }
    for mut rule in rules {
        let mut draft = own.draft();
        if let (Some(node), None) = (rule.timeouts.take("request")?, &own.request) {
            let length = super::super::block::proto_duration(&node)?;
            draft.set_from("timeout", limit(length), &node.path);
        }
        if let Some(node) = rule.timeouts.take("backendRequest")? {
            draft.note(node.path, OF_RESPONSE);
        }
        routes::of_rule(&mut draft, &rule.path, rule.value, resource);
        found.add(draft.finish(Dialect::Linkerd2, rule.name)?)?;
    }
    Ok(())
}

/// What the service says that a route is of.
fn of_service(route: &Resource<'_>, services: &Services<'_>) -> Result<Annotations, Problem> {
    for parent in route.value.get("spec").map_or(&[] as &[_], |spec| items(spec, "parentRefs")) {
        let name = text(parent, "name").unwrap_or_default();
        if let Some((path, service)) = services.annotated.get(&(text(parent, "namespace").unwrap_or(route.home()), name)) {
            return Annotations::of(path, service);
        }
    }
    Ok(Annotations::default())
}

const OF_RESPONSE: &str = "not copied: a limit from the first to the last byte of one answer; per_try_timeout ends with the head";

/// What the annotations say.
#[derive(Default)]
struct Annotations {
    retry: Option<Retry>,
    request: Option<(Duration, String)>,
    idle: Option<(Duration, String)>,
    response: Option<String>,
    path: String,
}

#[derive(Default)]
struct Retry {
    statuses: Option<(Vec<String>, String)>,
    grpc: Vec<&'static str>,
    limit: Option<(i64, String)>,
    timeout: Option<(Duration, String)>,
}

impl Annotations {
    fn of(path: &str, resource: &Resource<'_>) -> Result<Self, Problem> {
        let mut found = Annotations { path: path.to_owned(), ..Annotations::default() };
        for (key, value) in all(resource).filter(|(key, value)| is_ours(key) && **value != Value::Null) {
            let path = join(path, key);
            let node = Node::at(path.as_str(), value);
            let text: Cow<'_, str> = match value {
                Value::Str(text) => text.as_str().into(),
                Value::Int(number) => number.to_string().into(),
                _ => return Err(node.must("be text")),
            };
            let length = || self::length(&node, &text).map(|length| Some((length, path.clone())).filter(|(length, _)| !length.is_zero()));
            match key {
                "retry.linkerd.io/http" => found.retry().statuses = Some((statuses(&node, &text)?, path.clone())),
                "retry.linkerd.io/grpc" => found.retry().grpc = codes(&node, &text)?,
                "retry.linkerd.io/limit" => {
                    let number = text.parse::<u16>().map_err(|_| node.must("be a whole number from 0 to 65535"))?;
                    found.retry().limit = Some((number.into(), path.clone()));
                }
                "retry.linkerd.io/timeout" => {
                    let length = length()?;
                    found.retry().timeout = length;
                }
                "timeout.linkerd.io/request" => found.request = length()?,
                "timeout.linkerd.io/idle" => found.idle = length()?,
                "timeout.linkerd.io/response" => found.response = length()?.map(|(_, path)| path),
                _ => {}
            }
        }
        Ok(found)
    }

    fn retry(&mut self) -> &mut Retry {
        self.retry.get_or_insert_default()
    }

    /// These, and where they say nothing of retries or nothing of time, those of the service.
    fn or(mut self, service: Annotations) -> Self {
        self.retry = self.retry.or(service.retry);
        if self.request.is_none() && self.idle.is_none() && self.response.is_none() {
            (self.request, self.idle, self.response) = (service.request, service.idle, service.response);
        }
        self
    }

    fn draft(&self) -> Draft {
        let mut draft = Draft::off();
        if let Some(retry) = &self.retry {
            retry.write(&mut draft, &self.path);
        }
        if let Some((length, path)) = &self.request {
            draft.set_from("timeout", duration(*length), path);
        }
        if let Some((length, path)) = &self.idle {
            draft.set_from("idle_timeout", duration(*length), path);
        }
        if let Some(path) = &self.response {
            draft.note(path.as_str(), OF_RESPONSE);
        }
        draft
    }
}

impl Retry {
    fn write(&self, draft: &mut Draft, path: &str) {
        draft.set("max_body_buffer", BUFFER);
        // Without a number, or with 0, it is one.
        let (number, path) = self.limit.as_ref().map_or((1, path), |(number, path)| ((*number).max(1), path.as_str()));
        draft.retries(number, path);
        let mut conditions = vec!["refused-stream"];
        if let Some((length, path)) = &self.timeout {
            draft.set_from("per_try_timeout", duration(*length), path);
            conditions.push("per-try-timeout");
            draft.note(path.as_str(), "holds for every attempt; linkerd2 lets the last one that it permits take its time");
        }
        if !self.grpc.is_empty() {
            draft.note("", "grpc-status is read in the headers of a response only, not in its trailers");
        }
        conditions.extend(&self.grpc);
        draft.set("retry_on", Value::list(conditions));
        if let Some((statuses, path)) = &self.statuses {
            draft.set_from("statuses", Value::list(statuses.iter().map(String::as_str)), path);
        }
        let backoff = [
            ("kind", Value::from("exponential")),
            ("base", Value::from("25ms")),
            ("max", Value::from("250ms")),
            ("jitter", Value::from([("extra_ratio", Value::Int(1))])),
        ];
        draft.set("backoff", Value::from(backoff));
        draft.note("", "the headers l5d-retry-* and l5d-*timeout of a request are not read");
        notes_of_retries(draft);
    }
}

/// `5xx`, `gateway-error`, codes and ranges of them, with nothing around the commas.
fn statuses(node: &Node<'_>, text: &str) -> Result<Vec<String>, Problem> {
    let code = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|code| digits && (100..600).contains(code))
    };
    let item = |item: &str| {
        if item.eq_ignore_ascii_case("5xx") {
            return Ok("500-599".to_owned());
        }
        if item.eq_ignore_ascii_case("gateway-error") {
            return Ok("502-504".to_owned());
        }
        let range = item.split_once('-').map_or((code(item), code(item)), |(first, last)| (code(first), code(last)));
        match range {
            (Some(first), Some(last)) if first <= last => Ok(format!("{first}-{last}")),
            _ => {
                let trimmed = item.trim() != item;
                let problem = Problem::new(node.path.as_str(), format!("{} is no status", Value::from(item).shown()));
                Err(problem.fix(if trimmed { "write the list without blanks" } else { "write 5xx, gateway-error, 503 or 500-503" }))
            }
        }
    };
    text.split(',').map(item).collect()
}

const CODES: &[&str] = &["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];

fn codes(node: &Node<'_>, text: &str) -> Result<Vec<&'static str>, Problem> {
    let item = |item: &str| {
        let known = CODES.iter().copied().find(|code| code.eq_ignore_ascii_case(item));
        known.ok_or_else(|| Problem::one_of(node.path.as_str(), CODES.iter().copied(), &item.into()))
    };
    text.split(',').map(item).collect()
}

/// A whole number with a unit; 0 needs none.
fn length(node: &Node<'_>, text: &str) -> Result<Duration, Problem> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let number = digits.parse::<u64>().ok();
    if (number, unit) == (Some(0), "") {
        return Ok(Duration::ZERO);
    }
    let length = number.zip(factor).and_then(|(number, factor): (u64, u64)| number.checked_mul(factor));
    // What a document can say.
    let length = length.filter(|ms| *ms <= 18_446_744_073_709).map(Duration::from_millis);
    length.ok_or_else(|| {
        let fix = match (number, unit) {
            (Some(number), "") => format!("write \"{number}s\" or \"{number}ms\""),
            _ => "write for example \"300ms\" or \"5s\": ms, s, m, h and d are known, and no fractions".to_owned(),
        };
        node.must("be a whole number with a unit").fix(fix)
    })
}
