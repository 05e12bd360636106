//! The decision machine alone, for programs with an HTTP client of their own. Times are milliseconds on a clock of the caller's.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{BigInt, Unknown};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;
use reknock::Tick;
use reknock::retry::driver::{Driver, Misuse, outcome};
use reknock::retry::{Answer, Budgets, Call, Decision};

use crate::client::{BudgetReading, reading};
use crate::error::{or_throw, thrown};
use crate::head::millis;
use crate::policy::{NativePolicy, lines};
use crate::value::{UNIT, to_value, wrong};

/// Retry budgets that calls share.
#[napi]
#[derive(Default)]
pub struct NativeBudgets {
    budgets: Arc<Budgets>,
}

/// One call on its way, decided step by step: it sends nothing, waits for nothing and reads no clock.
#[napi]
pub struct NativeRetry {
    driver: Driver,
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
    pub fn reading(&self, env: &Env, policy: &NativePolicy, origin: String, now: f64) -> Result<Option<BudgetReading>> {
        let now = tick(env, now)?;
        Ok(policy.core.budget().and_then(|spec| self.budgets.reading(spec, &origin, now)).map(reading))
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
        let now = tick(env, now)?;
        let (false, seed, true) = seed.get_u64() else { return Err(wrong("seed: must be a whole number of 64 bits")) };
        let call = Call { method: &method, has_idempotency_key, asked };
        let budgets = budgets.map(|shared| Arc::clone(&shared.budgets));
        let begun = Driver::begin(&policy.core, call, &origin, budgets, reknock::client::entropy_or(seed), now);
        Ok(NativeRetry { driver: allowed(env, begun)? })
    }

    /// A redirect is followed: the next attempt goes elsewhere, counts in the budget of that origin, and is no retry.
    #[napi(catch_unwind)]
    pub fn redirect(&mut self, env: &Env, method: String, origin: String, has_idempotency_key: bool, now: f64) -> Result<()> {
        let now = tick(env, now)?;
        // Whether somebody is asked was said of the whole call.
        let call = Call { method: &method, has_idempotency_key, asked: false };
        allowed(env, self.driver.redirect(call, &origin, now))
    }

    /// The next attempt is about to be sent; returns its number.
    #[napi(catch_unwind)]
    pub fn attempt(&mut self, env: &Env, now: f64) -> Result<u32> {
        let now = tick(env, now)?;
        Ok(allowed(env, self.driver.attempt(now))?.number)
    }

    /// The verdict on a response head, whose `headers` are names and values in turn, or on a failure.
    #[napi(catch_unwind)]
    pub fn classify(
        &mut self,
        env: &Env,
        status: Option<f64>,
        headers: Vec<String>,
        error: Option<String>,
        evidence: String,
        wall: f64,
    ) -> Result<NativeVerdict> {
        let wall = or_throw(env, UNIT.unix_time("wall", wall))?;
        let headers = lines(&headers);
        let headers = headers.as_slice();
        let outcome = allowed(env, outcome(status, &headers, error.as_deref(), &evidence))?;
        let (verdict, planned) = allowed(env, self.driver.classify(outcome, wall))?;
        Ok(NativeVerdict {
            retry: verdict.retry,
            evidence: verdict.evidence.code(),
            hint_ms: verdict.hint.map(millis),
            backoff_ms: millis(verdict.backoff),
            planned_wait_ms: planned.map(millis),
        })
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
        let now = tick(env, now)?;
        Ok(match allowed(env, self.driver.decide(answer, replayable, now))? {
            Decision::Retry { wait } => NativeDecision { stop_reason: None, wait_ms: Some(millis(wait)) },
            Decision::Stop(reason) => NativeDecision { stop_reason: Some(reason.code()), wait_ms: None },
        })
    }

    /// The call is over and its outcome goes to the caller.
    #[napi(catch_unwind)]
    pub fn finish(&mut self, env: &Env, now: f64) -> Result<()> {
        self.driver.finish(tick(env, now)?);
        Ok(())
    }

    /// The call is abandoned: gives back what it holds of its budget.
    #[napi(catch_unwind)]
    pub fn abandon(&mut self) {
        self.driver.abandon();
    }
}

/// A step that is refused: an error of ours if it is a matter of values, one as Node has it if it is one of order.
fn allowed<T>(env: &Env, result: std::result::Result<T, Misuse>) -> Result<T> {
    result.map_err(|misuse| match misuse {
        Misuse::Value(error) | Misuse::Budget(error) => thrown(env, &error),
        Misuse::Order(text) => match env.throw_error(&text, Some("ERR_INVALID_STATE")) {
            Ok(()) => Error::new(Status::PendingException, String::new()),
            Err(broken) => broken,
        },
    })
}

fn tick(env: &Env, now: f64) -> Result<Tick> {
    or_throw(env, UNIT.tick("now", now))
}

fn duration(env: &Env, argument: &str, value: Unknown<'_>) -> Result<Option<Duration>> {
    or_throw(env, UNIT.duration_if_given(argument, &to_value(value)?))
}
