//! What a policy can do at most, proven from its numbers.

use std::fmt;
use std::time::Duration;

use super::Surroundings;
use crate::policy::{Policy, Value};
use crate::retry::{BudgetKind, Jitter, Share, WhenOver};
use crate::time::DurationText;

/// Proven bounds. `None` is no bound.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bounds {
    /// Attempts of one call.
    pub attempts: u32,
    /// The longest single wait.
    pub longest_wait: Option<Duration>,
    /// How long a call can last: until its response head, or with its whole body if `timeout` bounds it.
    pub longest_call: Option<Duration>,
    /// Retries per call that the budget grants in the long run; beside them there is the floor.
    pub retries_per_call: f64,
    /// Retries per second that need no calls, of all processes together.
    pub floor_per_second: f64,
    /// Retries that are there at once, of all processes together, before anything was earned.
    pub burst: f64,
    /// Retries at a time (concurrency budgets), of all processes together, whatever is in flight.
    pub at_a_time: Option<u64>,
    /// Bytes that a call may hold so that its body can be sent again.
    pub memory_per_call: u64,
    window: Duration,
    budget: bool,
}

impl Bounds {
    pub(super) fn of(policy: &Policy, surroundings: Surroundings) -> Self {
        let retries = policy.max_retries();
        let mut bounds = Bounds {
            attempts: retries + 1,
            longest_wait: longest_wait(policy),
            longest_call: longest_call(policy),
            retries_per_call: f64::from(retries),
            floor_per_second: 0.0,
            burst: 0.0,
            at_a_time: None,
            memory_per_call: if retries > 0 { policy.max_body_buffer() } else { 0 },
            window: Duration::ZERO,
            budget: false,
        };
        let Some(spec) = policy.budget().filter(|_| retries > 0) else { return bounds };
        let processes = f64::from(surroundings.processes);
        match spec.kind {
            BudgetKind::Ratio { ratio_millionths, min_per_second, ttl, .. } => {
                let one_purse = surroundings.one_purse || spec.share == Share::Host;
                let purses = if one_purse { 1.0 } else { processes };
                let ratio = ratio_millionths as f64 / 1e6;
                bounds.retries_per_call = ratio.min(f64::from(retries));
                bounds.floor_per_second = purses * f64::from(min_per_second);
                bounds.burst = bounds.floor_per_second * ttl.as_secs_f64();
                bounds.window = ttl;
                bounds.budget = true;
            }
            BudgetKind::Concurrency { min, .. } => bounds.at_a_time = Some(u64::from(min).saturating_mul(surroundings.processes.into())),
        }
        bounds
    }

    /// Attempts, at most, that so many calls make within `during`.
    ///
    /// `during` lasts until the last retry. With a ratio budget, what is withdrawn within ten slots is at most what was deposited in them and the
    /// reserve; the slots that `during` touches, one more than it is long, are covered by so many tens.
    pub fn attempts_of(&self, calls: u64, during: Duration) -> f64 {
        let calls = calls as f64;
        let alone = calls * f64::from(self.attempts);
        if !self.budget {
            return alone;
        }
        let slots = (during.as_secs_f64() / self.window.as_secs_f64() * 10.0).floor() + 2.0;
        let windows = (slots / 10.0).ceil();
        alone.min(calls + calls * self.retries_per_call + self.burst * windows)
    }

    /// By names that do not change; durations as text.
    pub fn to_value(&self) -> Value {
        let duration = |duration: Option<Duration>| duration.map(|duration| DurationText(duration).to_string());
        Value::map([
            ("attempts_per_call", Value::from(self.attempts)),
            ("longest_wait", duration(self.longest_wait).into()),
            ("longest_call", duration(self.longest_call).into()),
            ("retries_per_call", Value::number(self.retries_per_call)),
            ("floor_per_second", Value::number(self.floor_per_second)),
            ("burst", Value::number(self.burst)),
            ("retries_at_a_time", self.at_a_time.into()),
            ("memory_per_call", self.memory_per_call.into()),
        ])
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = |duration: Option<Duration>| duration.map_or("no limit".to_owned(), |duration| DurationText(duration).to_string());
        writeln!(f, "attempts per call: at most {}", self.attempts)?;
        writeln!(f, "longest wait: {}", limit(self.longest_wait))?;
        writeln!(f, "longest call: {}", limit(self.longest_call))?;
        match self.at_a_time {
            Some(least) => writeln!(f, "retries at a time: {least}, or the budget's share of the sends in flight")?,
            None if self.budget => writeln!(
                f,
                "amplification: at most {} times the calls, and {} retries per second (a burst of {})",
                1.0 + self.retries_per_call,
                self.floor_per_second,
                self.burst
            )?,
            None => writeln!(f, "amplification: {} times the calls when everything fails", self.attempts)?,
        }
        writeln!(f, "memory held for replay: {} bytes per call at most", self.memory_per_call)
    }
}

fn longest_wait(policy: &Policy) -> Option<Duration> {
    let retries = policy.max_retries();
    if retries == 0 {
        return Some(Duration::ZERO);
    }
    // Waits need not grow, so that each number is asked.
    let own = (1..=retries).map(|n| policy.backoff().range(n).1).max().unwrap_or_default();
    let hinted = match policy.retry_after() {
        None => Some(own),
        Some(hints) => match (hints.max, hints.when_over) {
            (None, _) => None,
            (Some(max), WhenOver::Cap) => Some(own.max(max)),
            (Some(max), _) => Some(own.max(max.saturating_add(max.mul_f64(hints.spread)))),
        },
    };
    // No wait is begun that does not end before the deadline.
    match (hinted, policy.timeout()) {
        (Some(wait), Some(timeout)) => Some(wait.min(timeout)),
        (wait, timeout) => wait.or(timeout),
    }
}

fn longest_call(policy: &Policy) -> Option<Duration> {
    if policy.timeout().is_some() {
        return policy.timeout();
    }
    let each = policy.connect_timeout()?.saturating_add(policy.per_try_timeout()?);
    let attempts = each.saturating_mul(policy.max_retries() + 1);
    Some(attempts.saturating_add(longest_wait(policy)?.saturating_mul(policy.max_retries())))
}

/// Whether waits of many clients fall on the same moments.
pub(super) fn in_step(policy: &Policy) -> bool {
    use crate::retry::Backoff;
    let jitter = match policy.backoff() {
        Backoff::Constant { jitter, delay } => (*jitter, *delay),
        Backoff::Linear { jitter, base, .. } | Backoff::Exponential { jitter, base, .. } => (*jitter, *base),
        Backoff::Decorrelated { .. } => return false,
        Backoff::Sequence { jitter, delays } => (*jitter, delays.iter().copied().max().unwrap_or_default()),
    };
    matches!(jitter, (Jitter::None, wait) if !wait.is_zero())
}
