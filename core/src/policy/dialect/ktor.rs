//! Ktor's plugin `HttpRequestRetry`, its functions as keys. As there, each writes what it is about, and the last one counts.

use std::time::Duration;

use super::super::node::{Node, join};
use super::super::problem::{Problem, nearest};
use super::super::{MOST_RETRIES, Value};
use super::block::{Block, int, millis};
use super::draft::{Draft, duration};
use super::{Dialect, Found};

/// What the functions write to.
struct Slots {
    max: i64,
    max_path: String,
    server_errors: bool,
    /// Whether exceptions are retried, and timeouts among them.
    exceptions: Option<bool>,
    delay: Delay,
    delay_path: String,
    respect_retry_after: bool,
}

enum Delay {
    Constant { millis: Duration, random: Duration },
    Exponential { base: f64, first: Duration, max: Duration, random: Duration },
}

const SECOND: Duration = Duration::from_secs(1);

impl Default for Slots {
    /// What the plugin does when it is installed bare.
    fn default() -> Self {
        Slots {
            max: 3,
            max_path: String::new(),
            server_errors: true,
            exceptions: Some(false),
            delay: Delay::Exponential { base: 2.0, first: SECOND, max: SECOND * 60, random: SECOND },
            delay_path: String::new(),
            respect_retry_after: true,
        }
    }
}

/// What Ktor does unless it is told otherwise.
pub(super) fn draft() -> Draft {
    let mut draft = Draft::off();
    Slots::default().write(&mut draft);
    draft
}

/// The functions and properties of the plugin.
const KEYS: &[&str] = &[
    "maxRetries",
    "retryOnServerErrors",
    "retryOnException",
    "retryOnExceptionOrServerErrors",
    "noRetry",
    "constantDelay",
    "exponentialDelay",
    "retryIf",
    "retryOnExceptionIf",
    "delayMillis",
    "modifyRequest",
    "delay",
];

/// The policies of a document with `HttpRequestRetry`, or of the functions alone.
pub(super) fn read(found: &mut Found, node: &Node<'_>) -> Result<(), Problem> {
    let empty = matches!(&*node.value, Value::Map(entries) if entries.is_empty());
    if empty || KEYS.iter().any(|key| node.value.get(key).is_some()) {
        let mut draft = draft();
        plugin(&mut draft, &node.path, &node.value)?;
        return found.add(draft.finish(Dialect::Ktor, None)?);
    }
    walk(found, &node.path, &node.value, None)
}

fn walk(found: &mut Found, path: &str, value: &Value, name: Option<&str>) -> Result<(), Problem> {
    match value {
        Value::List(items) => items.iter().enumerate().try_for_each(|(i, item)| walk(found, &format!("{path}[{i}]"), item, name)),
        Value::Map(entries) => {
            let Some(place) = entries.iter().position(|(key, _)| key == "HttpRequestRetry") else {
                return entries.iter().try_for_each(|(key, value)| walk(found, &join(path, key), value, Some(key)));
            };
            let mut draft = draft();
            plugin(&mut draft, &join(path, "HttpRequestRetry"), &entries[place].1)?;
            if let Some(timeout) = entries.iter().position(|(key, _)| key == "HttpTimeout") {
                // What is installed after the retries is inside them.
                http_timeout(&mut draft, Block::of(&join(path, "HttpTimeout"), &entries[timeout].1)?, timeout > place)?;
            }
            found.add(draft.finish(Dialect::Ktor, name.map(str::to_owned))?)
        }
        _ => Ok(()),
    }
}

fn plugin(draft: &mut Draft, path: &str, value: &Value) -> Result<(), Problem> {
    let mut slots = Slots::default();
    if !matches!(value, Value::Null | Value::Bool(true)) {
        for (key, value) in Block::of(path, value)?.entries() {
            slots.call(key, &Node::at(join(path, key), value))?;
        }
    }
    slots.write(draft);
    if slots.max > 0 {
        draft.note(path, "the limit is that of the call; Ktor begins anew after each redirect");
        draft.note(path, "a body that can be read only once is not sent again; Ktor sends what is left of it");
    }
    if slots.max > 0 && slots.respect_retry_after {
        draft.note(path, "dates in Retry-After and milliseconds in retry-after-ms are read as well; Ktor reads whole seconds only");
    }
    Ok(())
}

/// The arguments of a function: none, the first one alone, or by name.
fn arguments<'a>(node: &'a Node<'_>, first: &'static str) -> Result<(Block<'a>, Option<Node<'a>>), Problem> {
    match &*node.value {
        Value::Null | Value::Bool(true) => Ok((Block::empty(&node.path), None)),
        Value::Map(_) => {
            let mut block = Block::of(&node.path, &node.value)?;
            let first = block.take(first)?;
            Ok((block, first))
        }
        Value::Int(_) | Value::Float(_) => Ok((Block::empty(&node.path), Some(Node::at(node.path.as_str(), &node.value)))),
        _ => Err(node.must(format_args!("be true, {first}, or a map of arguments"))),
    }
}

impl Slots {
    fn call(&mut self, key: &str, node: &Node<'_>) -> Result<(), Problem> {
        if *node.value == Value::Bool(false) {
            return Ok(());
        }
        match key {
            "maxRetries" => self.limit(node, true),
            "retryOnServerErrors" => {
                self.server_errors = true;
                self.limited(node, &["maxRetries"]).map(|_| ())
            }
            "retryOnException" => {
                let timeouts = self.limited(node, &["maxRetries", "retryOnTimeout"])?;
                self.exceptions = Some(timeouts);
                Ok(())
            }
            "retryOnExceptionOrServerErrors" => {
                (self.server_errors, self.exceptions) = (true, Some(false));
                self.limited(node, &["maxRetries"]).map(|_| ())
            }
            "noRetry" => {
                arguments(node, "")?.0.no_rest(&[])?;
                (self.max, self.server_errors, self.exceptions) = (0, false, None);
                Ok(())
            }
            "constantDelay" => self.constant(node),
            "exponentialDelay" => self.exponential(node),
            "retryIf" | "retryOnExceptionIf" => Err(code(node, "the callback retry_if")),
            "delayMillis" => Err(code(node, "the callback delay")),
            "modifyRequest" => Err(code(node, "the callback before_retry")),
            "delay" => Err(code(node, "a clock of its own in tests")),
            "retry" => Err(code(node, "a policy for the one call")),
            _ => {
                let near = nearest(key, KEYS.iter().copied()).map(|near| format!("did you mean {near}?"));
                let problem = Problem::new(node.path.as_str(), "unknown function");
                Err(problem.fix(near.unwrap_or_else(|| format!("the functions are {}", KEYS.join(", ")))))
            }
        }
    }

    fn limit(&mut self, node: &Node<'_>, is_property: bool) -> Result<(), Problem> {
        let number = int(node, i32::MIN.into(), i32::MAX.into())?;
        // To a function -1 means: as it is.
        if is_property || number != -1 {
            self.max = number;
            node.path.clone_into(&mut self.max_path);
        }
        Ok(())
    }

    /// Reads `maxRetries`, and gives back `retryOnTimeout`.
    fn limited(&mut self, node: &Node<'_>, known: &[&'static str]) -> Result<bool, Problem> {
        let (mut block, max) = arguments(node, "maxRetries")?;
        if let Some(max) = max {
            self.limit(&max, false)?;
        }
        let timeouts = match known.contains(&"retryOnTimeout") {
            true => block.take("retryOnTimeout")?.map_or(Ok(false), |node| node.flag())?,
            false => false,
        };
        block.no_rest(known)?;
        Ok(timeouts)
    }

    fn constant(&mut self, node: &Node<'_>) -> Result<(), Problem> {
        let (mut block, first) = arguments(node, "millis")?;
        let length = first.map_or(Ok(SECOND), |node| millis(&node, 1))?;
        let random = self.common(&mut block)?;
        self.delay = Delay::Constant { millis: length, random };
        node.path.clone_into(&mut self.delay_path);
        block.no_rest(&["millis", "randomizationMs", "respectRetryAfterHeader"])
    }

    fn exponential(&mut self, node: &Node<'_>) -> Result<(), Problem> {
        let (mut block, base) = arguments(node, "base")?;
        let base = match base {
            None => 2.0,
            // NaN is not above 0.
            Some(node) => Some(node.number()?).filter(|base| *base > 0.0).ok_or_else(|| node.must("be a number above 0"))?,
        };
        let first = block.take("baseDelayMs")?.map_or(Ok(SECOND), |node| millis(&node, 1))?;
        let max = block.take("maxDelayMs")?.map_or(Ok(SECOND * 60), |node| millis(&node, 1))?;
        let random = self.common(&mut block)?;
        self.delay = Delay::Exponential { base, first, max, random };
        node.path.clone_into(&mut self.delay_path);
        block.no_rest(&["base", "baseDelayMs", "maxDelayMs", "randomizationMs", "respectRetryAfterHeader"])
    }

    /// What both delays take.
    fn common(&mut self, block: &mut Block<'_>) -> Result<Duration, Problem> {
        self.respect_retry_after = block.take("respectRetryAfterHeader")?.map_or(Ok(true), |node| node.flag())?;
        block.take("randomizationMs")?.map_or(Ok(SECOND), |node| millis(&node, 0))
    }

    fn write(&self, draft: &mut Draft) {
        draft.retries(self.max, &self.max_path);
        if self.server_errors {
            draft.set("statuses", Value::list(["500-599"]));
        } else {
            draft.set("statuses", "none");
        }
        let all = ["reset", "tls", "truncated-body", "not per-try-timeout", "not connect-timeout"];
        match self.exceptions {
            None => draft.set("retry_on", "none"),
            Some(timeouts) => draft.set("retry_on", Value::list(all.into_iter().take(if timeouts { 3 } else { 5 }))),
        }
        draft.set_from("backoff", self.backoff(), &self.delay_path);
        if self.respect_retry_after {
            draft.set(
                "retry_after",
                Value::from([("max", Value::from("none")), ("combine", Value::from("max")), ("spread", Value::Int(0))]),
            );
        } else {
            draft.set("retry_after", "none");
        }
    }

    fn backoff(&self) -> Value {
        let jitter = |random: Duration| match random.is_zero() {
            true => Value::from("none"),
            false => Value::from([("extra", duration(random))]),
        };
        match self.delay {
            Delay::Constant { millis, random } => {
                Value::from([("kind", Value::from("constant")), ("delay", duration(millis)), ("jitter", jitter(random))])
            }
            Delay::Exponential { base, first, max, random } if base.is_finite() && first <= max => Value::from([
                ("kind", Value::from("exponential")),
                ("base", duration(first)),
                ("factor", Value::number(base)),
                ("max", duration(max)),
                ("jitter", jitter(random)),
            ]),
            // A first wait above the cap, or a growth without end: one by one.
            Delay::Exponential { base, first, max, random } => {
                let waits = self.max.clamp(1, MOST_RETRIES.into()) as i32;
                let wait = |n: i32| crate::time::saturating_secs((base.powi(n) * first.as_secs_f64()).min(max.as_secs_f64()));
                let mut delays: Vec<Duration> = (0..waits).map(wait).collect();
                while delays.len() > 1 && delays[delays.len() - 2] == delays[delays.len() - 1] {
                    delays.pop();
                }
                Value::from([
                    ("kind", Value::from("sequence")),
                    ("delays", Value::list(delays.into_iter().map(duration))),
                    ("jitter", jitter(random)),
                ])
            }
        }
    }
}

fn code(node: &Node<'_>, callback: &str) -> Problem {
    Problem::new(node.path.as_str(), "takes code, which no document holds").fix(format!("use {callback}"))
}

fn http_timeout(draft: &mut Draft, mut block: Block<'_>, inside: bool) -> Result<(), Problem> {
    let mut given = |key: &str| -> Result<_, Problem> { block.take(key)?.map(|node| Ok((millis(&node, 1)?, node.path))).transpose() };
    let (request, connect, socket) = (given("requestTimeoutMillis")?, given("connectTimeoutMillis")?, given("socketTimeoutMillis")?);
    if let Some((limit, path)) = connect {
        draft.set_from("connect_timeout", duration(limit), &path);
    }
    if let Some((limit, path)) = &socket {
        draft.set_from("idle_timeout", duration(*limit), path);
        // It bounds the silence before the head as well.
        draft.set_from("per_try_timeout", duration(*limit), path);
        draft.note(path.as_str(), "a silent body counts as a truncated one, which is retried like other exceptions");
    }
    match (request, socket) {
        (Some((limit, path)), _) if !inside => draft.set_from("timeout", duration(limit), &path),
        (Some((limit, path)), Some((silence, _))) if limit > silence => {
            draft.note(path, "not copied: the silence before the head ends sooner, and an attempt has one limit besides idle_timeout");
        }
        (Some((limit, path)), _) => {
            draft.set_from("per_try_timeout", duration(limit), &path);
            draft.set("per_try_until", "body");
        }
        (None, _) => {}
    }
    block.no_rest(&["requestTimeoutMillis", "connectTimeoutMillis", "socketTimeoutMillis"])
}
