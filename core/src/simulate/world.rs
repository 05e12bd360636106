//! One run: the shipped machine in virtual time, against a model of a server.

use std::sync::Arc;

use super::agenda::{Agenda, Event, What};
use super::chance::{Chance, nanos};
use super::measure::Measure;
use super::scenario::{How, Scenario, Spread};
use super::server::Server;
use crate::error::ErrorKind;
use crate::policy::{Policy, Value};
use crate::record::{Evidence, StopReason};
use crate::retry::{Answer, Budget, BudgetKind, Call, Decision, Outcome, Retry, Share, mix};
use crate::time::{Tick, UnixTime};

/// A call of a client, or of a layer on behalf of an attempt of the one above.
#[derive(Default)]
pub(super) struct Running {
    retry: Option<Retry>,
    /// The number of the call that has this place.
    serial: u64,
    /// Counts what this place begins and ends, so that an event of something that is over is known as such.
    pub(super) stamp: u32,
    layer: u32,
    /// What this host's clock is ahead by.
    phase: u64,
    /// Place and stamp of the attempt of the layer above.
    above: Option<(u32, u32)>,
    /// Place and serial of the call of the layer below that the attempt waits for.
    below: Option<(u32, u64)>,
    worker: bool,
    began: u64,
    retries: u32,
    /// What the answer or failure on its way is.
    pub(super) end: End,
    /// The attempt has a place at the server.
    pub(super) at_work: bool,
    /// The version of the row that the attempt has read.
    pub(super) version: u64,
}

impl Running {
    pub(super) fn layer(&self) -> u32 {
        self.layer
    }
}

/// How an attempt ends.
#[derive(Clone, Copy, Default)]
pub(super) enum End {
    #[default]
    Good,
    Status(u16),
    /// As the scenario's failure at this position has it.
    Failure(usize),
}

pub(super) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    policies: Vec<Policy>,
    seed: u64,
    pub(super) chance: Chance,
    pub(super) agenda: Agenda,
    pub(super) calls: Vec<Running>,
    /// Places of each layer that nobody has: an event of something that is over still knows its layer by its place.
    free: Vec<Vec<u32>>,
    /// The budgets of each layer, by process or by host.
    budgets: Vec<Vec<Arc<Budget>>>,
    by_host: bool,
    /// What the clock of each host shows at the beginning: the slots of budgets begin at other moments on each.
    phases: Vec<u64>,
    serial: u64,
    pub(super) server: Server,
    /// Calls of the batch that are not begun.
    left: u32,
    pub(super) measure: Measure,
}

/// Runs a scenario once.
pub(super) fn run(policy: &Policy, scenario: &Scenario, seed: u64) -> Measure {
    run_on(policy, scenario, seed, |kind| Arc::new(Budget::new(kind)))
}

/// Likewise, on budgets that are made so: one for each layer and holder.
pub(super) fn run_on(policy: &Policy, scenario: &Scenario, seed: u64, budget: impl FnMut(BudgetKind) -> Arc<Budget>) -> Measure {
    let mut world = World::new(policy, scenario, seed, budget);
    world.begin();
    let end = scenario.duration.as_nanos() as u64;
    while let Some((now, event)) = world.agenda.next() {
        if now >= end {
            break;
        }
        if world.measure.sample_due(now) {
            world.sample(now);
        }
        world.step(now, event);
    }
    world.measure
}

/// When the limits end an attempt that is sent at `now`, and which of them: the client's rules for a request without a body whose
/// connection is there (`client::timers`).
pub(crate) fn limit(policy: &Policy, now: Tick, deadline: Option<Tick>) -> Option<(Tick, ErrorKind)> {
    let deadline = deadline.map(|deadline| (deadline, ErrorKind::Deadline));
    match policy.per_try_timeout().map(|limit| (now.after(limit), ErrorKind::PerTryTimeout)) {
        Some(per_try) if deadline.is_none_or(|(deadline, _)| per_try.0 < deadline) => Some(per_try),
        _ => deadline,
    }
}

impl<'a> World<'a> {
    fn new(policy: &Policy, scenario: &'a Scenario, seed: u64, mut made: impl FnMut(BudgetKind) -> Arc<Budget>) -> Self {
        let mut chance = Chance::new(seed, 0);
        let budget = policy.budget().filter(|_| policy.max_retries() > 0);
        let by_host =
            budget.is_some_and(|spec| scenario.share.unwrap_or(spec.share) == Share::Host && matches!(spec.kind, BudgetKind::Ratio { .. }));
        let holders = if by_host { scenario.hosts } else { scenario.processes };
        let mut of_layer = |_| budget.map_or_else(Vec::new, |spec| (0..holders).map(|_| made(spec.kind)).collect());
        let inner = match scenario.nested {
            // Within an attempt one attempt is made.
            true => policy.merge(&Value::Bool(false)).unwrap_or_else(|_| Policy::none()),
            false => policy.clone(),
        };
        World {
            budgets: (0..scenario.layers).map(&mut of_layer).collect(),
            by_host,
            policies: (0..scenario.layers).map(|layer| if layer == 0 { policy.clone() } else { inner.clone() }).collect(),
            // Within an hour of zero.
            phases: (0..scenario.hosts).map(|_| nanos(chance.uniform() * 3.6e12)).collect(),
            scenario,
            seed,
            chance,
            agenda: Agenda::default(),
            calls: Vec::new(),
            free: vec![Vec::new(); scenario.layers as usize],
            serial: 0,
            server: Server::default(),
            left: scenario.batch.as_ref().map_or(0, |batch| batch.calls),
            measure: Measure::new(scenario),
        }
    }

    fn begin(&mut self) {
        if let Some(first) = self.scenario.arrivals.first() {
            self.agenda.put(first.from.as_nanos() as u64, Event::of_nobody(What::Arrive));
        }
        if let Some(batch) = &self.scenario.batch {
            for _ in 0..batch.workers.min(batch.calls) {
                self.agenda.put(0, Event::of_nobody(What::Work));
            }
        }
    }

    fn step(&mut self, now: u64, event: Event) {
        let Event { what, call, stamp } = event;
        match what {
            What::Arrive => self.arrive(now),
            What::Work => self.work(now),
            What::Reach => self.reach(now, call, stamp),
            What::Served => self.served(now, call, stamp),
            _ if !self.is_current(call, stamp) => {}
            What::Resend => self.send(now, call),
            What::Write => {
                let way = self.way();
                self.agenda.put(now + way, Event { what: What::Written, ..event });
            }
            What::Written => self.written(now, call, stamp),
            What::Answer | What::Fail | What::PerTry | What::Deadline => self.ended(now, call, what),
        }
    }

    pub(super) fn is_current(&self, call: u32, stamp: u32) -> bool {
        self.calls[call as usize].stamp == stamp
    }

    /// A call of the arrivals begins, and it is known when the next one comes.
    fn arrive(&mut self, now: u64) {
        let arrivals = &self.scenario.arrivals;
        let next = arrivals.partition_point(|each| each.from.as_nanos() as u64 <= now);
        let current = &arrivals[next - 1];
        let change = arrivals.get(next).map_or(u64::MAX, |each| each.from.as_nanos() as u64);
        let begins = current.from.as_nanos() as u64 == now;
        let gap = match (current.rate > 0.0, current.poisson) {
            (false, _) => u64::MAX,
            (true, true) => self.chance.exponential(1e9 / current.rate),
            (true, false) => nanos(1e9 / current.rate).max(1),
        };
        let (rate, poisson) = (current.rate, current.poisson);
        self.agenda.put(now.saturating_add(gap).min(change), Event::of_nobody(What::Arrive));
        // Gaps by chance have no call at the moment from which they are counted.
        if rate > 0.0 && !(begins && poisson) {
            self.call(now, 0, None, false);
        }
    }

    fn work(&mut self, now: u64) {
        if self.left > 0 {
            self.left -= 1;
            self.call(now, 0, None, true);
        }
    }

    /// A call begins at a layer.
    pub(super) fn call(&mut self, now: u64, layer: u32, above: Option<(u32, u32)>, worker: bool) {
        let process = self.chance.below(self.scenario.processes);
        let host = process % self.scenario.hosts;
        let holder = if self.by_host { host } else { process };
        let budget = self.budgets[layer as usize].get(holder as usize).cloned();
        let facts = Call { method: &self.scenario.method, has_idempotency_key: false, asked: false };
        self.serial += 1;
        // Each process has an entropy of its own, as real ones have.
        let entropy = mix(self.seed, u64::from(process) << 8 | u64::from(layer));
        let phase = self.phases[host as usize];
        let retry = Retry::begin(&self.policies[layer as usize], facts, budget, entropy, self.serial, Tick(now + phase));
        let place = self.free[layer as usize].pop().unwrap_or_else(|| {
            self.calls.push(Running::default());
            (self.calls.len() - 1) as u32
        });
        let running = &mut self.calls[place as usize];
        let stamp = running.stamp;
        *running =
            Running { retry: Some(retry), serial: self.serial, stamp, layer, phase, above, worker, began: now, ..Running::default() };
        if let Some((above, _)) = above {
            self.calls[above as usize].below = Some((place, self.serial));
        }
        if layer == 0 {
            self.measure.offered(now);
        }
        self.send(now, place);
    }

    /// An attempt goes out.
    fn send(&mut self, now: u64, place: u32) {
        let running = &mut self.calls[place as usize];
        let Some(retry) = &mut running.retry else { return };
        let tick = Tick(now + running.phase);
        let deadline = retry.attempt(tick).deadline;
        running.stamp += 1;
        running.at_work = false;
        running.below = None;
        let (stamp, phase, last) = (running.stamp, running.phase, running.layer + 1 == self.scenario.layers);
        if running.retries > 0 && running.layer == 0 {
            self.measure.resent(now);
        }
        if last {
            self.measure.attempt(now);
        }
        let event = |what| Event { what, call: place, stamp };
        let policy = &self.policies[running.layer as usize];
        let connect_timeout = policy.connect_timeout();
        match limit(policy, tick, deadline) {
            Some((at, ErrorKind::PerTryTimeout)) => self.agenda.put_limit(at.nanos() - phase, event(What::PerTry)),
            Some((at, _)) => self.agenda.put(at.nanos() - phase, event(What::Deadline)),
            None => {}
        }
        let is_connect = |how: &How| matches!(how, How::Error(ErrorKind::Connect | ErrorKind::ConnectTimeout));
        let failure = if last { self.failing(now, is_connect) } else { None };
        let way = self.way();
        let Some(index) = failure else { return self.agenda.put(now + way, event(What::Reach)) };
        self.calls[place as usize].end = End::Failure(index);
        match self.scenario.server.failures[index].how {
            How::Error(ErrorKind::ConnectTimeout) => {
                if let Some(limit) = connect_timeout {
                    self.agenda.put(now + limit.as_nanos() as u64, event(What::Fail));
                }
            }
            _ => {
                let back = self.way();
                self.agenda.put(now + way + back, event(What::Fail));
            }
        }
    }

    /// The failure that befalls a request at `now`, among those of which `counts` says yes.
    pub(super) fn failing(&mut self, now: u64, counts: impl Fn(&How) -> bool) -> Option<usize> {
        let scenario = self.scenario;
        let within = |from: std::time::Duration, to: Option<std::time::Duration>| {
            now >= from.as_nanos() as u64 && to.is_none_or(|to| now < to.as_nanos() as u64)
        };
        let active = |failure: &super::scenario::Failure| within(failure.from, failure.to) && counts(&failure.how);
        (0..scenario.server.failures.len()).find(|index| {
            let failure = &scenario.server.failures[*index];
            active(failure) && (failure.share >= 1.0 || self.chance.uniform() < failure.share)
        })
    }

    /// The time of one way through the network.
    pub(super) fn way(&mut self) -> u64 {
        let network = &self.scenario.network;
        let mean = network.latency.as_nanos() as f64;
        match network.spread {
            Spread::None => nanos(mean),
            Spread::Exponential => self.chance.exponential(mean),
            Spread::Normal => self.chance.normal(mean, network.deviation.as_nanos() as f64),
        }
    }

    /// The outcome of an attempt is known to its client.
    fn ended(&mut self, now: u64, place: u32, what: What) {
        if matches!(what, What::PerTry | What::Deadline) && !self.scenario.server.abandoned_runs {
            self.give_up(now, place);
        }
        let failures = &self.scenario.server.failures;
        let running = &mut self.calls[place as usize];
        let Some(retry) = &mut running.retry else { return };
        let failed = |kind, evidence| (Outcome::Failure { kind, evidence, local: false }, false);
        let none: &[(&str, &str)] = &[];
        let hint;
        let (outcome, good) = match (what, running.end) {
            (What::PerTry, _) => failed(ErrorKind::PerTryTimeout, Evidence::Unknown),
            (What::Deadline, _) => failed(ErrorKind::Deadline, Evidence::Unknown),
            (_, End::Good) => (Outcome::Response { status: 200, headers: &none }, true),
            (_, End::Status(status)) => (Outcome::Response { status, headers: &none }, false),
            (_, End::Failure(index)) => match &failures[index].how {
                How::Status(status, None) => (Outcome::Response { status: *status, headers: &none }, false),
                How::Status(status, Some(after)) => {
                    hint = [("retry-after", after.as_str())];
                    (Outcome::Response { status: *status, headers: &&hint[..] }, false)
                }
                How::Error(kind @ (ErrorKind::Connect | ErrorKind::ConnectTimeout)) => failed(*kind, Evidence::NotSent),
                How::Error(kind @ ErrorKind::RefusedStream) => failed(*kind, Evidence::Refused),
                How::Error(kind) => failed(*kind, Evidence::Unknown),
                How::Silent => return,
            },
        };
        let tick = Tick(now + running.phase);
        let verdict = retry.classify(outcome, UnixTime(0));
        running.stamp += 1;
        match retry.decide(verdict, Answer::default(), true, tick) {
            Decision::Retry { wait } => {
                running.retries += 1;
                let early = verdict.hint.is_some_and(|hint| wait < hint);
                self.measure.retry(running.retries, wait, early);
                let at = now.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
                self.agenda.put(at, Event { what: What::Resend, call: place, stamp: running.stamp });
            }
            Decision::Stop(reason) => self.stopped(now, place, reason, good),
        }
    }

    fn stopped(&mut self, now: u64, place: u32, reason: StopReason, good: bool) {
        let running = &mut self.calls[place as usize];
        if let Some(retry) = running.retry.take() {
            retry.finish(Tick(now + running.phase));
        }
        let (above, worker) = (running.above, running.worker);
        if reason == StopReason::BudgetExhausted {
            self.measure.refused(now);
        }
        if running.layer == 0 {
            self.measure.ended(now, running.began, running.retries, reason, good);
        }
        let layer = running.layer;
        self.free[layer as usize].push(place);
        if let Some((above, stamp)) = above
            && self.is_current(above, stamp)
        {
            self.calls[above as usize].end = if good { End::Good } else { End::Status(503) };
            let way = self.way();
            self.agenda.put(now + way, Event { what: What::Answer, call: above, stamp });
        }
        if let Some(batch) = self.scenario.batch.as_ref().filter(|_| worker) {
            self.agenda.put(now + batch.pause.as_nanos() as u64, Event::of_nobody(What::Work));
        }
    }

    /// Nobody waits any longer for what this attempt began.
    fn give_up(&mut self, now: u64, place: u32) {
        if std::mem::take(&mut self.calls[place as usize].at_work) {
            self.leave_server(now);
        }
        let Some((below, serial)) = self.calls[place as usize].below.take() else { return };
        let running = &mut self.calls[below as usize];
        if running.serial == serial && running.retry.take().is_some() {
            running.stamp += 1;
            let layer = running.layer;
            self.give_up(now, below);
            self.free[layer as usize].push(below);
        }
    }

    /// What the budgets hold, all of one layer together.
    fn sample(&mut self, now: u64) {
        let hosts = self.scenario.hosts as usize;
        let outer = self.budgets[0].iter().enumerate();
        let balance = outer.map(|(holder, budget)| budget.reading(Tick(now + self.phases[holder % hosts])).balance).sum();
        self.measure.sample(now, balance);
    }
}
