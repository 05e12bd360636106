//! The rules: each looks at a policy and says what is wrong with it, if anything.

use std::time::Duration;

use super::bounds::{Bounds, in_step};
use super::{Finding, Severity, Surroundings};
use crate::policy::{IdempotencyKey, Policy};
use crate::retry::{Backoff, BudgetKind, Condition, Conditions, DepositOn, WhenOver};
use crate::time::DurationText;

/// A rule of [`lint`](super::lint).
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, which does not change.
    pub id: &'static str,
    /// How bad what it finds is.
    pub severity: Severity,
    /// What it finds, in one sentence.
    pub summary: &'static str,
    /// Why that matters, and what to do.
    pub help: &'static str,
}

macro_rules! rules {
    ($($name:ident $severity:ident $id:literal $summary:literal $help:literal)*) => {
        $(static $name: Rule = Rule { id: $id, severity: Severity::$severity, summary: $summary, help: $help };)*
        /// Every rule, in the order of the documentation.
        pub(super) static ALL: &[&Rule] = &[$(&$name,)*];
    };
}

rules! {
    NEVER_RETRIED Error "retries-never-happen" "Some of `max_retries` can never be made."
        "The shortest waits alone reach the `timeout` before them, or nothing is retried at all. Lower `max_retries`, shorten the waits or raise `timeout`."
    NEVER_FIRES Warning "limit-never-fires" "A limit is not shorter than one that contains it."
        "An attempt that hangs then ends the call, and no retry is made. Leave room for at least two attempts: `per_try_timeout` at most half of `timeout`."
    HINT_BEYOND Warning "hint-beyond-deadline" "Servers may ask for longer waits than the call may last."
        "A hint up to `retry_after.max` is obeyed, but a wait that does not fit before the deadline ends the call at once. Lower `retry_after.max` or raise `timeout`."
    HINT_UNLIMITED Warning "hint-without-limit" "A server decides how long a call lasts."
        "Neither `retry_after.max` nor `timeout` bounds the wait that a server asks for. Set one of them."
    CAP_BELOW Warning "cap-below-base" "The cap of the back-off is below its first wait."
        "All waits but the first are shorter than it. Raise `backoff.max`."
    NO_DEADLINE Warning "no-deadline" "A call may last for ever."
        "Without `timeout`, an attempt is bounded by `per_try_timeout` and `connect_timeout` alone, and one of them is off. Set `timeout`."
    UNSAFE_METHODS Warning "repeats-unsafe-methods" "POST and PATCH may be executed twice."
        "`methods` permits repeating requests that a server may have executed. Set `idempotency_key: auto` if the server honours keys, or leave `methods` at `idempotent`."
    KEYS_IGNORED Note "keys-ignored" "An `Idempotency-Key` of the caller's means nothing."
        "With `idempotency_key: none` a POST with a key is not repeated. Leave it at `honour`."
    NO_BUDGET Warning "no-budget" "In an outage every call is sent `max_retries` + 1 times."
        "Nothing bounds the extra load of all calls together, and retries of a server that is overloaded keep it so. Add a budget."
    BUDGET_CLOSED Error "budget-never-opens" "The budget grants no retry, ever."
        "It earns nothing and has no reserve. Raise `budget.ratio` or `budget.min_per_second` (concurrency: `budget.min` or `budget.percent`), or set `max_retries: 0`."
    BUDGET_DRY Note "budget-dry-in-outage" "In an outage the budget grants nothing once it is spent."
        "It earns by successes alone and has no reserve: a lone client gets no retry after a cold start. Set `budget.min_per_second` to 1 or more."
    BUDGET_REFUSES Warning "budget-below-max-retries" "A call that comes alone gets fewer retries than `max_retries` promises."
        "The reserve is smaller than `max_retries`, so that batch jobs and quiet services are refused. Raise `budget.min_per_second` or lower `max_retries`."
    FLOOR Warning "floor-above-capacity" "The reserves of all processes together are more than the server can bear."
        "Each process may send `budget.min_per_second` retries whatever fails. Share one purse (`share: host`) or lower the reserve."
    IN_STEP Warning "no-jitter" "Clients that fail together come back together."
        "Waits without chance repeat the load that failed. Set `backoff.jitter: full`."
    AT_ONCE Warning "no-wait" "Retries are sent at once."
        "A server that just failed gets the same load again within milliseconds. Set a back-off; keep zero waits for a pool of many servers behind a load balancer."
    FINAL_STATUS Warning "retries-what-stays" "Statuses are retried that do not heal by waiting."
        "400, 401, 403, 404, 405, 406, 410, 411, 413 to 417, 422, 431, 451, 501 and 505 come again. Take them out of `statuses`."
    FINAL_TLS Warning "retries-tls" "Refusals of certificates are retried."
        "A certificate does not become valid by waiting. Leave `tls` out of `retry_on` unless a proxy in between is flaky."
    MEMORY Note "large-replay-buffer" "Each call may hold much memory for replay."
        "Every call in flight with a one-shot body may hold `max_body_buffer`. Send bodies that can be made again (bytes, files, factories), or lower it."
}

/// More than this per call is worth a note.
const MUCH_MEMORY: u64 = 16 << 20;

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &'static Rule, path: &'static str, text: String, fix: impl Into<String>) {
        self.0.push(Finding { rule, path, text, fix: fix.into(), place: None });
    }
}

pub(super) fn findings(policy: &Policy, surroundings: Surroundings, bounds: &Bounds) -> Vec<Finding> {
    let mut out = Findings(Vec::new());
    if policy.max_retries() > 0 {
        never(policy, &mut out);
        hints(policy, &mut out);
        safety(policy, &mut out);
        waits(policy, &mut out);
        budget(policy, surroundings, bounds, &mut out);
        what(policy, &mut out);
        if bounds.memory_per_call > MUCH_MEMORY {
            let text = format!("up to {} bytes are held for each call in flight", bounds.memory_per_call);
            out.add(&MEMORY, "max_body_buffer", text, "lower it, or send bodies that can be made again");
        }
    }
    limits(policy, bounds, &mut out);
    out.0
}

fn shown(duration: Duration) -> DurationText {
    DurationText(duration)
}

fn retries_nothing(policy: &Policy) -> bool {
    policy.conditions() == Conditions::NONE && policy.statuses().is_empty() && policy.response_headers().is_empty()
}

fn never(policy: &Policy, out: &mut Findings) {
    let retries = policy.max_retries();
    if retries_nothing(policy) && policy.compat().is_none() {
        let text = format!("is {retries}, but retry_on, statuses and response_headers are empty: only a callback can ask for a retry");
        return out.add(&NEVER_RETRIED, "max_retries", text, "say what is retried, or write max_retries: 0");
    }
    let Some(timeout) = policy.timeout() else { return };
    let mut shortest = Duration::ZERO;
    for n in 1..=retries {
        shortest = shortest.saturating_add(policy.backoff().range(n).0);
        if shortest >= timeout {
            let text =
                format!("is {retries}, but the waits before retry {n} are {} at least, and timeout is {}", shown(shortest), shown(timeout));
            return out.add(&NEVER_RETRIED, "max_retries", text, format!("write max_retries: {}, or raise timeout", n - 1));
        }
    }
}

fn limits(policy: &Policy, bounds: &Bounds, out: &mut Findings) {
    let Some(timeout) = policy.timeout() else {
        if bounds.longest_call.is_none() && (policy.per_try_timeout().is_none() || policy.connect_timeout().is_none()) {
            let text = "is none, and an attempt may last for ever".to_owned();
            out.add(&NO_DEADLINE, "timeout", text, "set timeout, or both connect_timeout and per_try_timeout");
        }
        return;
    };
    for (path, limit) in [("connect_timeout", policy.connect_timeout()), ("per_try_timeout", policy.per_try_timeout())] {
        if let Some(limit) = limit.filter(|limit| *limit >= timeout) {
            let text = format!("is {}, and timeout ends the whole call after {}", shown(limit), shown(timeout));
            out.add(&NEVER_FIRES, path, text, format!("write {path}: {} or less", shown(timeout / 2)));
        }
    }
}

fn hints(policy: &Policy, out: &mut Findings) {
    let Some(hints) = policy.retry_after() else { return };
    match (hints.max, policy.timeout()) {
        (None, None) => {
            out.add(
                &HINT_UNLIMITED,
                "retry_after.max",
                "is none, and timeout too".to_owned(),
                "write retry_after: {max: 60s}, or set timeout",
            );
        }
        (Some(max), Some(timeout)) if max > timeout && hints.when_over != WhenOver::Ignore => {
            let text = format!("is {}, and timeout ends the call after {}", shown(max), shown(timeout));
            out.add(&HINT_BEYOND, "retry_after.max", text, "lower it to what is left for a wait, or raise timeout");
        }
        _ => {}
    }
}

fn safety(policy: &Policy, out: &mut Findings) {
    let repeated: Vec<_> = ["POST", "PATCH"].into_iter().filter(|method| policy.methods().contains(method)).collect();
    if !repeated.is_empty() && policy.idempotency_key() != IdempotencyKey::Auto {
        let text = format!("repeats {} although the server may have executed it", repeated.join(" and "));
        out.add(&UNSAFE_METHODS, "methods", text, "write idempotency_key: auto, or methods: idempotent");
    }
    if repeated.is_empty() && policy.idempotency_key() == IdempotencyKey::None {
        out.add(&KEYS_IGNORED, "idempotency_key", "is none: a POST with a key is not repeated".to_owned(), "write idempotency_key: honour");
    }
}

fn waits(policy: &Policy, out: &mut Findings) {
    if let Backoff::Exponential { base, max, .. } | Backoff::Linear { base, max, .. } = policy.backoff()
        && max < base
    {
        out.add(
            &CAP_BELOW,
            "backoff.max",
            format!("is {}, and base is {}", shown(*max), shown(*base)),
            format!("write max: {} or more", shown(*base)),
        );
    }
    if (1..=policy.max_retries()).all(|n| policy.backoff().range(n).1.is_zero()) {
        out.add(&AT_ONCE, "backoff", "waits for nothing".to_owned(), "leave backoff out for the default");
    } else if in_step(policy) {
        out.add(&IN_STEP, "backoff.jitter", "is none: the waits of all clients are the same".to_owned(), "write jitter: full");
    }
}

fn budget(policy: &Policy, surroundings: Surroundings, bounds: &Bounds, out: &mut Findings) {
    let retries = policy.max_retries();
    let Some(spec) = policy.budget() else {
        let text = format!("is none: {} sends per call when everything fails", retries + 1);
        return out.add(&NO_BUDGET, "budget", text, "leave budget out for the default");
    };
    match spec.kind {
        BudgetKind::Ratio { ratio_millionths: 0, min_per_second: 0, .. } => {
            out.add(&BUDGET_CLOSED, "budget", "earns nothing and has no reserve".to_owned(), "raise ratio or min_per_second");
        }
        BudgetKind::Ratio { ratio_millionths, min_per_second, ttl, deposit_on } => {
            let reserve = f64::from(min_per_second) * ttl.as_secs_f64();
            let earned = if deposit_on == DepositOn::Call { ratio_millionths as f64 / 1e6 } else { 0.0 };
            if min_per_second == 0 && deposit_on == DepositOn::Success {
                out.add(
                    &BUDGET_DRY,
                    "budget.min_per_second",
                    "is 0, and only successes earn".to_owned(),
                    "write min_per_second: 1 or more",
                );
            } else if (reserve + earned).floor() < f64::from(retries) {
                let text = format!("gives a call that comes alone {} retries, and max_retries is {retries}", (reserve + earned).floor());
                let enough = (f64::from(retries) / ttl.as_secs_f64()).ceil();
                out.add(&BUDGET_REFUSES, "budget.min_per_second", text, format!("write min_per_second: {enough} or more"));
            }
        }
        BudgetKind::Concurrency { percent_millionths, min: 0 } if percent_millionths < 1_000_000 => {
            out.add(&BUDGET_CLOSED, "budget", "permits no retry below a hundred sends in flight".to_owned(), "raise min or percent");
        }
        BudgetKind::Concurrency { .. } => {}
    }
    if let Some(capacity) = surroundings.capacity
        && bounds.floor_per_second > capacity
    {
        let text = format!(
            "lets {} processes send {} retries per second, and the server bears {capacity}",
            surroundings.processes, bounds.floor_per_second
        );
        out.add(&FLOOR, "budget.min_per_second", text, "share one purse per host, or lower it");
    }
}

/// Statuses that say that the request itself is wrong.
const STAYS: [u16; 19] = [400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 416, 417, 422, 431, 451, 501, 505, 511];

fn what(policy: &Policy, out: &mut Findings) {
    let statuses: Vec<String> = STAYS.iter().filter(|status| policy.statuses().contains(**status)).map(u16::to_string).collect();
    if !statuses.is_empty() {
        let text = format!("retries {}", statuses.join(", "));
        let excluded: Vec<String> = statuses.iter().map(|status| format!("\"not {status}\"")).collect();
        out.add(&FINAL_STATUS, "statuses", text, format!("take them out, or add {}", excluded.join(", ")));
    }
    if policy.conditions().includes(Condition::Tls) {
        out.add(&FINAL_TLS, "retry_on", "includes tls".to_owned(), "take it out");
    }
}
