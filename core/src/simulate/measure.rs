//! What one run counted.

use std::collections::VecDeque;
use std::time::Duration;

use super::histogram::Histogram;
use super::scenario::Scenario;
use crate::record::StopReason;

const SECOND: u64 = 1_000_000_000;
const TENTH: u64 = SECOND / 10;
/// Windows in which the highest amplification is looked for, in seconds; that of `expect` comes on top.
pub(super) const WINDOWS: [usize; 3] = [1, 5, 20];
/// Retry numbers that are counted apart; later ones are counted with the last.
const APART: usize = 16;
/// Goodput is back when, for five seconds, this share of what was asked for ends well...
const BACK: f64 = 0.9;
/// ...and this share of all that comes afterwards.
const STAYS: f64 = 0.85;
const BACK_FOR: usize = 5;

#[derive(Default)]
pub(super) struct Measure {
    /// By second: calls begun, attempts sent to the server (by the innermost layer), calls ended well.
    pub(super) offered: Vec<u32>,
    pub(super) attempts: Vec<u32>,
    pub(super) good: Vec<u32>,
    /// What the budgets held at the beginning of each second.
    pub(super) balance: Vec<i64>,
    pub(super) refusals: u64,
    pub(super) refused_while_healthy: u64,
    pub(super) early: u64,
    /// Calls by the number of their retries.
    pub(super) by_retries: Vec<u64>,
    /// Calls by why they ended.
    pub(super) reasons: Vec<(StopReason, u64)>,
    pub(super) durations: Histogram,
    /// The waits before each retry number.
    pub(super) waits: Vec<Histogram>,
    pub(super) retries_in_100ms: u32,
    recent: VecDeque<u64>,
    healthy_until: u64,
    disturbed_until: Option<u64>,
    /// When the last call ended.
    pub(super) last: u64,
}

impl Measure {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let seconds = scenario.duration.as_secs() as usize + usize::from(scenario.duration.subsec_nanos() > 0);
        let (from, to) = disturbance(scenario);
        Measure {
            offered: vec![0; seconds],
            attempts: vec![0; seconds],
            good: vec![0; seconds],
            balance: Vec::with_capacity(seconds),
            healthy_until: from.map_or(u64::MAX, |from| from.as_nanos() as u64),
            disturbed_until: to.map(|to| to.as_nanos() as u64),
            ..Measure::default()
        }
    }

    pub(super) fn offered(&mut self, now: u64) {
        self.offered[(now / SECOND) as usize] += 1;
    }

    pub(super) fn attempt(&mut self, now: u64) {
        self.attempts[(now / SECOND) as usize] += 1;
    }

    /// A retry of the outermost layer is sent.
    pub(super) fn resent(&mut self, now: u64) {
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|first| now - first >= TENTH) {
            self.recent.pop_front();
        }
        self.retries_in_100ms = self.retries_in_100ms.max(self.recent.len() as u32);
    }

    pub(super) fn retry(&mut self, number: u32, wait: Duration, early: bool) {
        let index = (number as usize).min(APART) - 1;
        if self.waits.len() <= index {
            self.waits.resize_with(index + 1, Histogram::default);
        }
        self.waits[index].count(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        self.early += u64::from(early);
    }

    pub(super) fn refused(&mut self, now: u64) {
        self.refusals += 1;
        self.refused_while_healthy += u64::from(now < self.healthy_until);
    }

    pub(super) fn ended(&mut self, now: u64, began: u64, retries: u32, reason: StopReason, good: bool) {
        if good {
            self.good[(now / SECOND) as usize] += 1;
        }
        let index = (retries as usize).min(APART);
        if self.by_retries.len() <= index {
            self.by_retries.resize(index + 1, 0);
        }
        self.by_retries[index] += 1;
        match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.reasons.push((reason, 1)),
        }
        self.durations.count(now - began);
        self.last = now;
    }

    /// Whether a second has begun whose balance is not known.
    pub(super) fn sample_due(&self, now: u64) -> bool {
        self.balance.len() as u64 <= now / SECOND
    }

    pub(super) fn sample(&mut self, now: u64, balance: i64) {
        self.balance.resize((now / SECOND) as usize + 1, balance);
    }

    pub(super) fn calls(&self) -> u64 {
        total(&self.offered)
    }

    pub(super) fn sends(&self) -> u64 {
        total(&self.attempts)
    }

    /// Attempts per call, over the whole run.
    pub(super) fn amplification(&self) -> f64 {
        ratio(self.sends(), self.calls())
    }

    /// The same in the worst window of so many seconds.
    pub(super) fn peak(&self, seconds: usize) -> f64 {
        let windows = self.attempts.windows(seconds).zip(self.offered.windows(seconds));
        windows.map(|(attempts, offered)| ratio(total(attempts), total(offered))).fold(0.0, f64::max)
    }

    /// The share of the calls that ended well.
    pub(super) fn goodput(&self) -> f64 {
        ratio(total(&self.good), self.calls())
    }

    /// Calls per second that ended well in the last 20 seconds.
    pub(super) fn final_rate(&self) -> f64 {
        let tail = &self.good[self.good.len().saturating_sub(20)..];
        ratio(total(tail), tail.len() as u64)
    }

    /// Whether anything disturbs the scenario, and then when goodput was back: seconds after the last disturbance, `None` for never.
    pub(super) fn recovery(&self) -> Option<Option<u64>> {
        let from = self.disturbed_until?.div_ceil(SECOND) as usize;
        let holds = |slice: std::ops::Range<usize>, share: f64| {
            let (good, offered) = (total(&self.good[slice.clone()]), total(&self.offered[slice]));
            good as f64 >= share * offered as f64
        };
        let end = self.good.len();
        let back = (from..end.saturating_sub(BACK_FOR)).find(|second| {
            // Near the end the answers of the last calls are still to come.
            holds(*second..second + BACK_FOR, BACK) && holds((*second).min(end.saturating_sub(2 * BACK_FOR))..end, STAYS)
        });
        Some(back.map(|second| (second - from) as u64))
    }
}

/// When the first disturbance begins and the last one ends.
fn disturbance(scenario: &Scenario) -> (Option<Duration>, Option<Duration>) {
    let server = &scenario.server;
    let failures = server.failures.iter().map(|failure| (failure.from, failure.to));
    let windows = || failures.clone().chain(server.slow.iter().map(|slow| (slow.from, slow.to)));
    let changes = || scenario.arrivals.iter().skip(1).map(|each| each.from);
    let from = windows().map(|(from, _)| from).chain(changes()).min();
    // What never ends leaves nothing to recover from.
    let to = windows().map(|(_, to)| to.filter(|to| *to < scenario.duration)).chain(changes().map(Some)).collect::<Option<Vec<_>>>();
    (from, to.and_then(|ends| ends.into_iter().max()))
}

fn total(counts: &[u32]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}
