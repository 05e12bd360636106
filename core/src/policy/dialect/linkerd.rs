//! linkerd 1.x: `retries` of services and clients, alone or within a whole configuration.

use super::super::Value;
use super::super::node::{Node, join};
use super::super::problem::Problem;
use super::block::{Block, int, list, millis};
use super::draft::{Draft, limit};
use super::{Dialect, Found, Note};

mod classifier;

/// What linkerd does unless it is told otherwise: it repeats what was not sent, and what the server says it may repeat.
pub(super) fn draft() -> Draft {
    let mut draft = Draft::off();
    // linkerd counts no retries per call; its budget is the only limit.
    draft.set("max_retries", 100);
    draft.set("budget", ratio(0.2, 10, 10));
    classifier::set(&mut draft, classifier::DEFAULT);
    draft
}

const NO_LIMIT: &str = "linkerd has no limit of retries per call but its budget; reknock stops after 100 as well";

fn ratio(ratio: f64, min_per_second: i64, ttl: i64) -> Value {
    Value::from([
        ("kind", Value::from("ratio")),
        ("ratio", Value::number(ratio)),
        ("min_per_second", Value::Int(min_per_second)),
        ("ttl", Value::from(format!("{ttl}s"))),
        // Finagle's, whatever our default is.
        ("deposit_on", Value::from("call")),
    ])
}

/// The policies of a configuration, of a service, of a `retries` block, or of its budget or back-off alone.
pub(super) fn read(found: &mut Found, node: &Node<'_>) -> Result<(), Problem> {
    let Value::Map(_) = &*node.value else { return Ok(()) };
    let mut block = Block::of("", &node.value)?;
    if let Some(routers) = block.take("routers")? {
        for router in list(&routers)? {
            self::router(found, Block::of(&router.path, &router.value)?)?;
        }
    } else if ["service", "client", "retries", "responseClassifier", "totalTimeoutMs", "requestAttemptTimeoutMs", "configs"]
        .iter()
        .any(|key| block.has(key))
    {
        if block.has("service") || block.has("client") {
            router(found, block)?;
        } else {
            // A service and a client have no key in common: their parts may stand side by side.
            let layers = [Layer { holder: "", index: None, value: &node.value }];
            service(found, None, block, &layers)?;
        }
    } else if let Value::Map(entries) = &*node.value {
        let parts = ["budget", "backoff", "minRetriesPerSec", "percentCanRetry", "ttlSecs", "minMs", "maxMs", "ms"];
        if entries.iter().any(|(key, _)| parts.contains(&key.as_str())) || is_backoff(&node.value) {
            let mut draft = draft();
            draft.note("", NO_LIMIT);
            retries(&mut draft, block)?;
            found.add(draft.finish(Dialect::Linkerd, None)?)?;
        }
    }
    Ok(())
}

fn is_backoff(value: &Value) -> bool {
    matches!(value.get("kind"), Some(Value::Str(kind)) if kind == "constant" || kind == "jittered")
}

/// A block whose keys apply, later ones over earlier ones.
struct Layer<'a> {
    holder: &'a str,
    /// Of its `configs`.
    index: Option<usize>,
    value: &'a Value,
}

impl Layer<'_> {
    fn path(&self, key: &str) -> String {
        match self.index {
            Some(index) => join(&format!("{}.configs[{index}]", self.holder), key),
            None => join(self.holder, key),
        }
    }
}

fn router(found: &mut Found, mut router: Block<'_>) -> Result<(), Problem> {
    let text = |node: Option<Node<'_>>| node.and_then(|node| node.str().map(str::to_owned));
    let protocol = text(router.take("protocol")?);
    let label = text(router.take("label")?).or(protocol);
    let client = router.take("client")?;
    let old = router.take("responseClassifier")?;
    let Some(service_node) = router.take("service")? else {
        // Before 1.0 retries stood in the client.
        if let Some(node) = client.filter(|node| node.value.get("retries").is_some() || node.value.get("requestAttemptTimeoutMs").is_some())
        {
            let layers = [Layer { holder: &node.path, index: None, value: &node.value }];
            let mut block = Block::of(&node.path, &node.value)?;
            block.known("retries");
            return service_with(found, label, &layers, &layers, old);
        }
        return Ok(());
    };
    let clients = layers(client.as_ref())?;
    let before = found.policies.len();
    self::services(found, label, &service_node, &clients, old)?;
    for path in narrow(client.as_ref()) {
        for loaded in &mut found.policies[before..] {
            loaded
                .notes
                .push(Note { path: path.clone(), text: "not read: it is for some clients only, and services do not say which".to_owned() });
        }
    }
    Ok(())
}

/// The policies of a router's services.
fn services(
    found: &mut Found,
    label: Option<String>,
    service_node: &Node<'_>,
    clients: &[Layer<'_>],
    old: Option<Node<'_>>,
) -> Result<(), Problem> {
    match service_node.value.get("configs") {
        Some(Value::List(configs)) => {
            found.blocks(configs.len())?;
            let mut prefixes = Vec::with_capacity(configs.len());
            for (i, config) in configs.iter().enumerate() {
                let Some(Value::Str(prefix)) = config.get("prefix") else {
                    return Err(Problem::new(format!("{}.configs[{i}].prefix", service_node.path), "required"));
                };
                prefixes.push((prefix, segments(prefix)));
            }
            for (own, parts) in &prefixes {
                // What applies to a wider prefix applies here too; later ones win.
                let applying = prefixes.iter().zip(configs).enumerate().filter(|(_, ((_, wide), _))| covers(wide, parts));
                let layer = |(index, (_, value))| Layer { holder: &service_node.path, index: Some(index), value };
                let applying: Vec<Layer<'_>> = applying.map(layer).collect();
                let name = label.as_ref().map_or((*own).clone(), |label| format!("{label}{own}"));
                service_with(found, Some(name), &applying, clients, None)?;
            }
            Ok(())
        }
        _ => service_with(found, label, &[Layer { holder: &service_node.path, index: None, value: &service_node.value }], clients, old),
    }
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// Whether a prefix of names covers another, segment by segment; `*` is any segment.
fn covers(wide: &[&str], narrow: &[&str]) -> bool {
    wide.len() <= narrow.len() && wide.iter().zip(narrow).all(|(a, b)| a == b || *a == "*")
}

/// Whether it covers every name.
fn covers_all(prefix: &str) -> bool {
    segments(prefix).is_empty()
}

/// The parts of a client that apply to every service.
fn layers<'a>(client: Option<&'a Node<'_>>) -> Result<Vec<Layer<'a>>, Problem> {
    let Some(node) = client else { return Ok(Vec::new()) };
    match node.value.get("configs") {
        Some(Value::List(configs)) => {
            let all = configs.iter().enumerate().filter(|(_, config)| match config.get("prefix") {
                Some(Value::Str(prefix)) => covers_all(prefix),
                _ => false,
            });
            Ok(all.map(|(i, value)| Layer { holder: &node.path, index: Some(i), value }).collect())
        }
        _ => Ok(vec![Layer { holder: &node.path, index: None, value: &node.value }]),
    }
}

/// The blocks of clients that do not apply to every service, and bear on retries.
fn narrow(client: Option<&Node<'_>>) -> Vec<String> {
    let Some(node) = client else { return Vec::new() };
    let Some(Value::List(configs)) = node.value.get("configs") else { return Vec::new() };
    let bears = |config: &Value| ["requestAttemptTimeoutMs", "requeueBudget", "retries"].iter().any(|key| config.get(key).is_some());
    let covered = |config: &Value| matches!(config.get("prefix"), Some(Value::Str(prefix)) if covers_all(prefix));
    let all = configs.iter().enumerate().filter(|(_, config)| bears(config) && !covered(config));
    all.take(MOST_NARROW).map(|(i, _)| format!("{}.configs[{i}]", node.path)).collect()
}

/// Notes on clients are for each service.
const MOST_NARROW: usize = 10;

fn service(found: &mut Found, name: Option<String>, block: Block<'_>, layers: &[Layer<'_>]) -> Result<(), Problem> {
    if let Some((_, Value::List(_))) = block.entries().iter().find(|(key, _)| key == "configs") {
        // A service's block without the key that holds it.
        let whole = Value::from([("service", Value::Map(block.entries().to_vec()))]);
        return router(found, Block::of("", &whole)?);
    }
    service_with(found, name, layers, layers, None)
}

/// One policy from the layers of a service and those of its clients.
fn service_with(
    found: &mut Found,
    name: Option<String>,
    services: &[Layer<'_>],
    clients: &[Layer<'_>],
    old: Option<Node<'_>>,
) -> Result<(), Problem> {
    let mut draft = draft();
    let last = |layers: &[Layer<'_>], key: &str| -> Result<Option<(String, Value)>, Problem> {
        let given = layers.iter().rev().find(|layer| layer.value.get(key).is_some_and(|value| *value != Value::Null));
        Ok(given.map(|layer| (layer.path(key), layer.value.get(key).cloned().unwrap_or(Value::Null))))
    };
    let classifier = last(services, "responseClassifier")?.or(old.map(|node| (node.path, node.value.into_owned())));
    let (retried, total) = (last(services, "retries")?.or(last(clients, "retries")?), last(services, "totalTimeoutMs")?);
    let (attempt, requeue) = (last(clients, "requestAttemptTimeoutMs")?, last(clients, "requeueBudget")?);
    if [&classifier, &retried, &total, &attempt].iter().all(|part| part.is_none()) {
        return Ok(());
    }
    draft.note("", NO_LIMIT);
    if let Some((path, value)) = &classifier {
        classifier::read(&mut draft, Block::of(path, value)?)?;
    }
    if let Some((path, value)) = &retried {
        retries(&mut draft, Block::of(path, value)?)?;
    }
    if let Some((path, value)) = &total {
        draft.set_from("timeout", limit(millis(&Node::at(path.as_str(), value), 0)?), path);
    }
    if let Some((path, value)) = &attempt {
        let length = limit(millis(&Node::at(path.as_str(), value), 0)?);
        draft.set_from("per_try_timeout", length.clone(), path);
        draft.set_from("connect_timeout", length, path);
        draft.note(path.as_str(), "connecting has the same limit of its own, and does not count in that of the attempt");
    }
    if let Some((path, value)) = last(services, "retryBufferSize")? {
        buffer(&mut draft, Block::of(&path, &value)?)?;
    }
    if let Some((path, _)) = last(services, "classificationTimeoutMs")? {
        draft.note(path, BY_HEAD);
    }
    if let Some((path, value)) = &requeue {
        budget(&mut Draft::off(), Block::of(path, value)?)?;
        draft.note(path.as_str(), "not copied: what was not sent is retried within the budget of retries");
    }
    found.add(draft.finish(Dialect::Linkerd, name)?)
}

const BY_HEAD: &str = "not copied: an answer is judged by its head, its body is not awaited";

/// How much of a stream an HTTP/2 service keeps for retries.
fn buffer(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    if let Some(node) = block.take("requestBytes")? {
        draft.set_from("max_body_buffer", int(&node, 0, i32::MAX.into())?, &node.path);
    }
    if let Some(node) = block.take("responseBytes")? {
        draft.note(node.path, BY_HEAD);
    }
    block.no_rest(&["requestBytes", "responseBytes"])
}

/// `retries`, or its parts without the key that holds them.
fn retries(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    if ["minRetriesPerSec", "percentCanRetry", "ttlSecs"].iter().any(|key| block.has(key)) {
        return budget(draft, block);
    }
    if block.has("kind") || block.has("minMs") || block.has("maxMs") || block.has("ms") {
        return backoff(draft, block);
    }
    if let Some(inner) = block.block("budget")? {
        budget(draft, inner)?;
    }
    if let Some(inner) = block.block("backoff")? {
        backoff(draft, inner)?;
    }
    block.no_rest(&["budget", "backoff"])
}

/// The ranges are Finagle's, and so are the words.
fn budget(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let mut number = |key: &str, default: i64| match block.take(key)? {
        Some(node) => int(&node, i32::MIN.into(), i32::MAX.into()).map(|number| (number, Some(node))),
        None => Ok((default, None)),
    };
    let said = |node: Option<&Node<'_>>, rule: &str| {
        let got = node.map(|node| node.value.shown().to_string()).unwrap_or_default();
        Err(Problem::new(node.map_or("", |node| node.path.as_str()), format!("{rule}, got {got}")))
    };
    let ((min, min_node), (ttl, ttl_node)) = (number("minRetriesPerSec", 10)?, number("ttlSecs", 10)?);
    if min < 0 {
        return said(min_node.as_ref(), "minRetriesPerSec must be non-negative");
    }
    if !(1..=60).contains(&ttl) {
        return said(ttl_node.as_ref(), "ttl must be [1 second, 60 seconds]");
    }
    let mut share = 0.2;
    if let Some(node) = block.take("percentCanRetry")? {
        share = node.number()?;
        // Neither is NaN.
        if !(0.0..=f64::INFINITY).contains(&share) {
            return said(Some(&node), "percentCanRetry must be non-negative");
        }
        if share > 1000.0 {
            return said(Some(&node), "percentCanRetry must not be greater than 1000.0");
        }
        let rounded = (share * 1e6).round() / 1e6;
        if rounded != share {
            draft.note(node.path.as_str(), format!("counted as {rounded}: a ratio has six decimals"));
            share = rounded;
        }
    }
    draft.set_from("budget", ratio(share, min, ttl), &block.path);
    block.no_rest(&["minRetriesPerSec", "percentCanRetry", "ttlSecs"])
}

fn backoff(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let kind = block.need("kind").map_err(|problem| problem.fix("write constant or jittered"))?;
    match kind.str() {
        Some("constant") => {
            let delay = block.take("ms")?.map_or(Ok(Default::default()), |node| millis(&node, 0))?;
            draft.set_from("backoff", super::draft::duration(delay), &block.path);
            block.no_rest(&["kind", "ms"])
        }
        Some("jittered") => {
            let mut end = |key: &'static str| {
                let path = join(&block.path, key);
                let node = block.take(key)?.ok_or_else(|| Problem::new(path, format!("'{key}' must be specified")))?;
                millis(&node, 1).map(|length| (length, node))
            };
            let ((min, _), (max, node)) = (end("minMs")?, end("maxMs")?);
            if max < min {
                return Err(node.must(format_args!("be at least minMs ({})", min.as_millis())));
            }
            let backoff = Value::from([
                ("kind", Value::from("decorrelated")),
                ("min", super::draft::duration(min)),
                ("max", super::draft::duration(max)),
                ("form", Value::from("aws")),
            ]);
            draft.set_from("backoff", backoff, &block.path);
            draft.note(
                block.path.as_str(),
                "drawn as linkerd documents it and up to 1.7.4 did it; 1.7.5 never draws a shorter wait than the last (form: increasing)",
            );
            block.no_rest(&["kind", "minMs", "maxMs"])
        }
        _ => Err(kind.must("be one of constant, jittered")),
    }
}
