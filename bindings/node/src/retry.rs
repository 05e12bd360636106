//! The decision machine alone, for programs with an HTTP client of their own. Times are milliseconds on a clock of the caller's.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{BigInt, FromNapiValue, Unknown};
use napi::{Env, Result, ValueType};
use napi_derive::napi;
use reknock::retry::{Answer, Budgets, Call, Decision, Outcome, Retry, Verdict};
use reknock::{ErrorKind, Evidence, Tick, UnixTime};

use crate::client::{BudgetReading, reading};
use crate::error::or_throw;
use crate::head::millis;
use crate::policy::{NativePolicy, lines};
use crate::value::{UNIT, wrong};

/// Retry budgets that calls share.
#[napi]
#[derive(Default)]
pub struct NativeBudgets {
    budgets: Arc<Budgets>,
}

/// One call on its way, decided step by step: it sends nothing, waits for nothing and reads no clock.
#[napi]
pub struct NativeRetry {
    /// `None` once it is over.
    retry: Option<Retry>,
    verdict: Option<Verdict>,
}

/// What the policy thinks of an outcome.
#[napi(object, object_from_js = false)]
pub struct NativeVerdict {
    /// Whether the policy would retry it.
    pub retry: bool,
    /// Whether the server may have acted on it.
    pub evidence: &'static str,
    /// The wait the server asks for.
    pub hint_ms: Option<f64>,
    /// The policy's own back-off before the next retry.
    pub backoff_ms: f64,
    /// The wait a retry would have by the policy alone; none if the server asks for too long a one.
    pub planned_wait_ms: Option<f64>,
}

/// What happens next.
#[napi(object, object_from_js = false)]
pub struct NativeDecision {
    /// Why it is not sent again; none if it is.
    pub stop_reason: Option<&'static str>,
    /// How long to wait before it is.
    pub wait_ms: Option<f64>,
}

#[napi]
impl NativeBudgets {
    /// Budgets that are full.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the budget of a policy has for an origin.
    #[napi(catch_unwind)]
    pub fn reading(&self, policy: &NativePolicy, origin: String, now: f64) -> Option<BudgetReading> {
        self.budgets.reading(policy.core.budget()?, &origin, tick(now)).map(reading)
    }
}

#[napi]
impl NativeRetry {
    /// Begins a call: fixes its deadline and counts it in its budget.
    #[napi(constructor, catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "what is known of a call")]
    pub fn new(
        env: &Env,
        policy: &NativePolicy,
        budgets: Option<&NativeBudgets>,
        method: String,
        origin: String,
        has_idempotency_key: bool,
        asked: bool,
        seed: BigInt,
        now: f64,
    ) -> Result<Self> {
        let now = tick(now);
        let (false, seed, true) = seed.get_u64() else { return Err(wrong("seed: must be a whole number of 64 bits")) };
        let budget = match (budgets, policy.core.budget()) {
            (Some(shared), Some(spec)) => Some(or_throw(env, shared.budgets.find(spec, &origin, now))?),
            _ => None,
        };
        let call = Call { method: &method, has_idempotency_key, asked };
        let retry = Retry::begin(&policy.core, call, budget, reknock::client::entropy_or(seed), 0, now);
        Ok(NativeRetry { retry: Some(retry), verdict: None })
    }

    /// The next attempt is about to be sent; returns its number.
    #[napi(catch_unwind)]
    pub fn attempt(&mut self, now: f64) -> Result<u32> {
        Ok(self.live()?.attempt(tick(now)).number)
    }

    /// The verdict on a response head; `headers` are names and values in turn.
    #[napi(catch_unwind)]
    pub fn response(&mut self, status: u16, headers: Vec<String>, wall: f64) -> Result<NativeVerdict> {
        self.classify(Outcome::Response { status, headers: &lines(&headers).as_slice() }, wall)
    }

    /// The verdict on a failure.
    #[napi(catch_unwind)]
    pub fn failure(&mut self, kind: String, evidence: String) -> Result<NativeVerdict> {
        let kind = ErrorKind::from_code(&kind).ok_or_else(|| wrong("an unknown kind of error"))?;
        let known = Evidence::ALL.iter().copied().find(|known| known.code() == evidence);
        self.classify(Outcome::Failure { kind, evidence: known.ok_or_else(|| wrong("unknown evidence"))? }, 0.0)
    }

    /// What happens after the outcome that was classified last.
    #[napi(catch_unwind)]
    pub fn decide(
        &mut self,
        env: &Env,
        retry: Option<bool>,
        wait: Unknown<'_>,
        backoff: Unknown<'_>,
        replayable: bool,
        now: f64,
    ) -> Result<NativeDecision> {
        let answer = Answer { retry, wait: duration(env, "waitMs", wait)?, backoff: duration(env, "backoffMs", backoff)? };
        self.live()?;
        let verdict = self.verdict.take().ok_or_else(|| wrong("classify an outcome before deciding"))?;
        Ok(match self.live()?.decide(verdict, answer, replayable, tick(now)) {
            Decision::Retry { wait } => NativeDecision { stop_reason: None, wait_ms: Some(millis(wait)) },
            Decision::Stop(reason) => NativeDecision { stop_reason: Some(reason.code()), wait_ms: None },
        })
    }

    /// The call is over and its outcome goes to the caller.
    #[napi(catch_unwind)]
    pub fn finish(&mut self, now: f64) {
        if let Some(retry) = self.retry.take() {
            retry.finish(tick(now));
        }
    }

    /// The call is abandoned: gives back what it holds of its budget.
    #[napi(catch_unwind)]
    pub fn abandon(&mut self) {
        drop(self.retry.take());
    }
}

impl NativeRetry {
    fn live(&mut self) -> Result<&mut Retry> {
        self.retry.as_mut().ok_or_else(|| wrong("the call is over"))
    }

    fn classify(&mut self, outcome: Outcome<'_>, wall: f64) -> Result<NativeVerdict> {
        let retry = self.live()?;
        let verdict = retry.classify(outcome, UnixTime(wall as i64));
        let out = NativeVerdict {
            retry: verdict.retry,
            evidence: verdict.evidence.code(),
            hint_ms: verdict.hint.map(millis),
            backoff_ms: millis(verdict.backoff),
            planned_wait_ms: retry.planned_wait(verdict).map(millis),
        };
        self.verdict = Some(verdict);
        Ok(out)
    }
}

/// A point in time; one before the clock's start is its start.
fn tick(now: f64) -> Tick {
    Tick((now * 1e6) as u64)
}

fn duration(env: &Env, argument: &str, value: Unknown<'_>) -> Result<Option<Duration>> {
    if value.get_type()? == ValueType::Undefined {
        return Ok(None);
    }
    or_throw(env, UNIT.duration(argument, f64::from_unknown(value)?)).map(Some)
}
