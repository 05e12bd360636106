//! What happens around the calls of a simulation: who calls, how often, and what the server does.

use std::time::Duration;

use super::options::{ARRIVALS, BATCH, EXPECT, FAILURE, NETWORK, SCENARIO, SERVER, SLOW};
use super::presets;
use crate::error::{Error, ErrorKind};
use crate::policy::{Fields, Keys, Names, Node, Problem, Value, or_none};
use crate::retry::Share;

/// A world to try a policy in. Read from a document with [`Scenario::from_value`], or a preset; every key has a default.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub(super) name: String,
    pub(super) duration: Duration,
    pub(super) seeds: u32,
    pub(super) processes: u32,
    pub(super) hosts: u32,
    /// In place of what the policy says.
    pub(super) share: Option<Share>,
    pub(super) layers: u32,
    pub(super) nested: bool,
    pub(super) method: String,
    pub(super) arrivals: Vec<Arrivals>,
    pub(super) batch: Option<Batch>,
    pub(super) network: Network,
    pub(super) server: Server,
    pub(super) expect: Expect,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arrivals {
    pub(super) from: Duration,
    pub(super) rate: f64,
    pub(super) poisson: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) calls: u32,
    pub(super) workers: u32,
    pub(super) pause: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    None,
    Exponential,
    Normal,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    pub(super) latency: Duration,
    pub(super) spread: Spread,
    pub(super) deviation: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Server {
    pub(super) latency: Duration,
    pub(super) per_concurrent: Duration,
    pub(super) capacity: Option<u32>,
    pub(super) queue: u32,
    pub(super) abandoned_runs: bool,
    pub(super) optimistic_lock: bool,
    pub(super) failures: Vec<Failure>,
    pub(super) slow: Vec<Slow>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) from: Duration,
    pub(super) to: Option<Duration>,
    pub(super) share: f64,
    pub(super) how: How,
    pub(super) after: Duration,
}

/// How the server fails.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum How {
    /// With this status, and this `Retry-After` as text.
    Status(u16, Option<String>),
    Error(ErrorKind),
    /// It never answers.
    Silent,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slow {
    pub(super) from: Duration,
    pub(super) to: Option<Duration>,
    pub(super) factor: f64,
}

/// The rules of the gate; those that are `None` are not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Expect {
    pub(super) amplification: Option<f64>,
    pub(super) over: Option<Duration>,
    pub(super) recovery: Option<Duration>,
    pub(super) goodput: Option<f64>,
    pub(super) refused_while_healthy: Option<u64>,
    pub(super) retries_in_100ms: Option<u64>,
}

impl Default for Scenario {
    /// A minute of 50 calls per second to a server that always answers after 20 ms.
    fn default() -> Self {
        Scenario {
            name: "scenario".to_owned(),
            duration: Duration::from_secs(60),
            seeds: 5,
            processes: 1,
            hosts: 1,
            share: None,
            layers: 1,
            nested: false,
            method: "GET".to_owned(),
            arrivals: vec![Arrivals { from: Duration::ZERO, rate: 50.0, poisson: true }],
            batch: None,
            network: Network { latency: Duration::from_millis(1), spread: Spread::None, deviation: Duration::ZERO },
            server: Server {
                latency: Duration::from_millis(20),
                per_concurrent: Duration::ZERO,
                capacity: None,
                queue: 0,
                abandoned_runs: true,
                optimistic_lock: false,
                failures: Vec::new(),
                slow: Vec::new(),
            },
            expect: Expect::default(),
        }
    }
}

const SHARES: Names<Share> = &[("process", Share::Process), ("host", Share::Host)];
const SPACINGS: Names<bool> = &[("poisson", true), ("constant", false)];
const SPREADS: Names<Spread> = &[("none", Spread::None), ("exponential", Spread::Exponential), ("normal", Spread::Normal)];
const ABANDONED: Names<bool> = &[("runs", true), ("stops", false)];
const RULES: Names<bool> = &[("plain", false), ("optimistic_lock", true)];
const ERRORS: Names<Option<ErrorKind>> = &[
    ("connect", Some(ErrorKind::Connect)),
    ("connect_timeout", Some(ErrorKind::ConnectTimeout)),
    ("reset", Some(ErrorKind::Reset)),
    ("refused_stream", Some(ErrorKind::RefusedStream)),
    ("silent", None),
];

/// The longest list of a scenario.
const MOST: usize = 1000;
/// The longest scenario.
const LONGEST: Duration = Duration::from_secs(3600);

impl Scenario {
    /// The scenario of a document: a map with the keys that `docs/simulate.md` lists. `preset: spike` begins with a preset in place of the
    /// defaults; the other keys replace its own, one by one.
    ///
    /// # Errors
    /// `config` for the first mistake: path, rule, value, fix.
    pub fn from_value(document: &Value) -> Result<Scenario, Error> {
        Ok(read(document)?)
    }

    /// The scenario of a text: the name of a preset, or a JSON object as [`Scenario::from_value`] reads it.
    ///
    /// # Errors
    /// As [`Scenario::from_value`]; and for what is no JSON.
    #[cfg(feature = "documents")]
    pub fn from_text(text: &str) -> Result<Scenario, Error> {
        match text.trim_start().starts_with('{') {
            true => Self::from_value(&Value::from_json(text)?),
            false => Self::preset(text),
        }
    }

    /// A preset: `spike`, `brown-out`, `outage`, `flapping`, `rate-limit`, `slow-start` or `batch`.
    ///
    /// # Errors
    /// `config` for any other name, with the nearest one.
    pub fn preset(name: &str) -> Result<Scenario, Error> {
        Ok(presets::find("preset", name)?)
    }

    /// The names of the presets.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        presets::NAMES.iter().copied()
    }

    /// What it is called in results.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many seeds it runs with.
    pub fn seeds(&self) -> u32 {
        self.seeds
    }
}

fn read(document: &Value) -> Result<Scenario, Problem> {
    if let Value::Str(name) = document {
        return presets::find("scenario", name);
    }
    let Value::Map(entries) = document else {
        return Err(Problem::must("scenario", "be a map or the name of a preset", document));
    };
    let mut scenario = Scenario::default();
    let mut rest = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        match (key.as_str(), value) {
            ("preset", Value::Str(name)) => scenario = presets::find("preset", name)?,
            ("preset", value) => return Err(Problem::must("preset", "be text", value)),
            _ => rest.push((key.clone(), value.clone())),
        }
    }
    merge(&mut scenario, &Value::Map(rest))?;
    Ok(scenario)
}

/// `scenario` with the keys of `document` in place of its own.
pub(super) fn merge(scenario: &mut Scenario, document: &Value) -> Result<(), Problem> {
    let root = Node::root(document, Keys::Snake);
    let fields = root.fields(&SCENARIO)?;
    let own_calls = fields.get("arrivals").is_some();
    for (key, node) in fields.iter() {
        match key {
            "name" => scenario.name = node.text()?.to_owned(),
            "duration" => scenario.duration = within(node, Duration::from_secs(1), LONGEST)?,
            "seeds" => scenario.seeds = whole(node, 1, 1000)?,
            "processes" => scenario.processes = whole(node, 1, 4096)?,
            "hosts" => scenario.hosts = whole(node, 1, 4096)?,
            "share" => scenario.share = Some(node.choice(SHARES)?),
            "layers" => scenario.layers = whole(node, 1, 8)?,
            "nested" => scenario.nested = node.flag()?,
            "method" => scenario.method = node.text()?.to_owned(),
            "arrivals" => scenario.arrivals = list(node, arrivals)?,
            "batch" => {
                scenario.batch = or_none(node, batch)?;
                if scenario.batch.is_some() && !own_calls {
                    scenario.arrivals.clear();
                }
            }
            "network" => network(node, &mut scenario.network)?,
            "server" => server(node, &mut scenario.server)?,
            _ => scenario.expect = or_none(node, expect)?.unwrap_or_default(),
        }
    }
    across(scenario)
}

fn across(scenario: &Scenario) -> Result<(), Problem> {
    if scenario.hosts > scenario.processes {
        let got = Value::from(scenario.hosts);
        return Err(Problem::must("hosts", format!("be at most processes ({})", scenario.processes), &got));
    }
    if scenario.arrivals.is_empty() && scenario.batch.is_none() {
        return Err(Problem::new("arrivals", "must hold a rate where there is no batch"));
    }
    if scenario.arrivals.windows(2).any(|pair| pair[0].from >= pair[1].from) {
        return Err(Problem::new("arrivals", "must be in order of from, each later than the one before"));
    }
    // What a run may cost: its memory and its time.
    let calls: f64 = scenario
        .arrivals
        .iter()
        .enumerate()
        .map(|(i, each)| {
            let to = scenario.arrivals.get(i + 1).map_or(scenario.duration, |next| next.from.min(scenario.duration));
            each.rate * to.saturating_sub(each.from).as_secs_f64()
        })
        .sum();
    if calls > 20e6 {
        return Err(Problem::new("arrivals", format!("must make at most 20000000 calls within duration, these make about {calls:.0}")));
    }
    Ok(())
}

fn arrivals(node: &Node<'_>) -> Result<Arrivals, Problem> {
    let fields = node.fields(&ARRIVALS)?;
    Ok(Arrivals {
        from: duration(&fields, "from")?,
        rate: number(fields.need("rate", "arrivals")?, 0.0, 1e6)?,
        poisson: fields.read("spacing", |node| node.choice(SPACINGS))?.unwrap_or(true),
    })
}

fn batch(node: &Node<'_>) -> Result<Batch, Problem> {
    let fields = node.fields(&BATCH)?;
    Ok(Batch {
        calls: whole(fields.need("calls", "a batch")?, 1, 1_000_000)?,
        workers: fields.read("workers", |node| whole(node, 1, 100_000))?.unwrap_or(1),
        pause: duration(&fields, "pause")?,
    })
}

fn network(node: &Node<'_>, network: &mut Network) -> Result<(), Problem> {
    for (key, node) in node.fields(&NETWORK)?.iter() {
        match key {
            "latency" => network.latency = within(node, Duration::ZERO, LONGEST)?,
            "spread" => network.spread = if node.is_off() { Spread::None } else { node.choice(SPREADS)? },
            _ => network.deviation = within(node, Duration::ZERO, LONGEST)?,
        }
    }
    Ok(())
}

fn server(node: &Node<'_>, server: &mut Server) -> Result<(), Problem> {
    for (key, node) in node.fields(&SERVER)?.iter() {
        match key {
            "latency" => server.latency = within(node, Duration::ZERO, LONGEST)?,
            "per_concurrent" => server.per_concurrent = within(node, Duration::ZERO, LONGEST)?,
            "capacity" => server.capacity = or_none(node, |node| whole(node, 1, 1_000_000))?,
            "queue" => server.queue = whole(node, 0, 1_000_000)?,
            "abandoned_work" => server.abandoned_runs = node.choice(ABANDONED)?,
            "rule" => server.optimistic_lock = node.choice(RULES)?,
            "failures" => server.failures = list(node, failure)?,
            _ => server.slow = list(node, slow)?,
        }
    }
    Ok(())
}

fn failure(node: &Node<'_>) -> Result<Failure, Problem> {
    let fields = node.fields(&FAILURE)?;
    let error = fields.read("error", |node| node.choice(ERRORS))?;
    let status = fields.read("status", |node| whole(node, 400, 599))?;
    let hint = fields.read("retry_after", |node| within(node, Duration::ZERO, LONGEST))?;
    if let (Some(_), Some(node)) = (hint, fields.get("error")) {
        return Err(Problem::new(node.path.as_str(), "cannot stand beside retry_after").fix("only an answer has header fields"));
    }
    let how = match (status, error) {
        (Some(_), Some(_)) => return Err(Problem::new(node.path.as_str(), "must have one of status and error, has both")),
        (None, Some(Some(kind))) => How::Error(kind),
        (None, Some(None)) => How::Silent,
        (status, None) => How::Status(status.unwrap_or(503) as u16, hint.map(|hint| hint.as_secs().to_string())),
    };
    let (from, to) = window(&fields)?;
    Ok(Failure {
        from,
        to,
        share: fields.read("share", |node| number(node, 0.0, 1.0))?.unwrap_or(1.0),
        how,
        after: duration(&fields, "after")?,
    })
}

fn slow(node: &Node<'_>) -> Result<Slow, Problem> {
    let fields = node.fields(&SLOW)?;
    let (from, to) = window(&fields)?;
    let factor = fields.need("factor", "slow")?;
    match number(factor, 0.0, 1000.0)? {
        0.0 => Err(factor.must("be above 0")),
        factor => Ok(Slow { from, to, factor }),
    }
}

fn expect(node: &Node<'_>) -> Result<Expect, Problem> {
    let fields = node.fields(&EXPECT)?;
    let mut expect = Expect::default();
    let count = |node: &Node<'_>| node.whole(0, i64::MAX).map(|number| Some(number as u64));
    for (key, node) in fields.iter() {
        match key {
            "amplification" => expect.amplification = Some(number(node, 1.0, 1e9)?),
            "over" => {
                let over = within(node, Duration::from_secs(1), LONGEST)?;
                if over.subsec_nanos() != 0 {
                    return Err(node.must("be in whole seconds"));
                }
                expect.over = Some(over);
            }
            "recovery" => expect.recovery = Some(within(node, Duration::ZERO, LONGEST)?),
            "goodput" => expect.goodput = Some(number(node, 0.0, 1.0)?),
            "refused_while_healthy" => expect.refused_while_healthy = count(node)?,
            _ => expect.retries_in_100ms = count(node)?,
        }
    }
    if let (Some(_), None) = (expect.over, expect.amplification) {
        return Err(Problem::new("expect.over", "is the window of amplification, which is not given"));
    }
    Ok(expect)
}

fn window(fields: &Fields<'_>) -> Result<(Duration, Option<Duration>), Problem> {
    let from = duration(fields, "from")?;
    let Some(node) = fields.get("to") else { return Ok((from, None)) };
    let to = or_none(node, |node| within(node, Duration::ZERO, LONGEST))?;
    match to {
        Some(to) if to <= from => Err(node.must("be later than from")),
        to => Ok((from, to)),
    }
}

fn list<T>(node: &Node<'_>, read: impl Fn(&Node<'_>) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
    if node.str().is_some() && !node.is_off() {
        return Err(node.must("be a list of blocks"));
    }
    node.items(MOST)?.iter().map(read).collect()
}

fn duration(fields: &Fields<'_>, key: &str) -> Result<Duration, Problem> {
    Ok(fields.read(key, |node| within(node, Duration::ZERO, LONGEST))?.unwrap_or_default())
}

fn within(node: &Node<'_>, least: Duration, most: Duration) -> Result<Duration, Problem> {
    use crate::time::DurationText;
    match node.duration()? {
        read if (least..=most).contains(&read) => Ok(read),
        _ => Err(node.must(format!("be from {} to {}", DurationText(least), DurationText(most)))),
    }
}

fn whole(node: &Node<'_>, least: i64, most: i64) -> Result<u32, Problem> {
    node.whole(least, most).map(|number| number as u32)
}

fn number(node: &Node<'_>, least: f64, most: f64) -> Result<f64, Problem> {
    match node.number()? {
        number if (least..=most).contains(&number) => Ok(number),
        _ => Err(node.must(format!("be a number from {least} to {most}"))),
    }
}
