//! The decision machine alone, for programs with an HTTP client of their own. Times are milliseconds on a clock of the caller's.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::Unknown;
use napi::{Env, Error, Result, Status};
use napi_derive::napi;
use reknock::Tick;
use reknock::policy::{Argument, Value};
use reknock::retry::driver::{Driver, Misuse, outcome};
use reknock::retry::{Answer, Budgets, Call, Decision};

use crate::client::{BudgetReading, reading};
use crate::error::{or_throw, thrown};
use crate::head::millis;
use crate::policy::{NativePolicy, lines};
use crate::value::{UNIT, to_value};

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
    pub fn reading(&self, env: &Env, policy: &NativePolicy, origin: Unknown<'_>, now: Unknown<'_>) -> Result<Option<BudgetReading>> {
        let (origin, now) = (text(env, "origin", origin)?, tick(env, now)?);
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
        method: Unknown<'_>,
        origin: Unknown<'_>,
        has_idempotency_key: Unknown<'_>,
        asked: Unknown<'_>,
        seed: Unknown<'_>,
        now: Unknown<'_>,
    ) -> Result<Self> {
        let (method, origin) = (text(env, "method", method)?, text(env, "origin", origin)?);
        let has_idempotency_key = flag(env, "hasIdempotencyKey", has_idempotency_key)?;
        let asked = flag(env, "asked", asked)?;
        let seed = or_throw(env, Argument::new("seed", &to_value(seed)?).seed())?;
        let now = tick(env, now)?;
        let call = Call { method: &method, has_idempotency_key, asked };
        let budgets = budgets.map(|shared| Arc::clone(&shared.budgets));
        let begun = Driver::begin(&policy.core, call, &origin, budgets, reknock::client::entropy_or(seed), now);
        Ok(NativeRetry { driver: allowed(env, begun)? })
    }

    /// A redirect is followed: the next attempt goes elsewhere, counts in the budget of that origin, and is no retry.
    #[napi(catch_unwind)]
    pub fn redirect(
        &mut self,
        env: &Env,
        method: Unknown<'_>,
        origin: Unknown<'_>,
        has_idempotency_key: Unknown<'_>,
        now: Unknown<'_>,
    ) -> Result<()> {
        let (method, origin) = (text(env, "method", method)?, text(env, "origin", origin)?);
        let has_idempotency_key = flag(env, "hasIdempotencyKey", has_idempotency_key)?;
        let now = tick(env, now)?;
        // Whether somebody is asked was said of the whole call.
        let call = Call { method: &method, has_idempotency_key, asked: false };
        allowed(env, self.driver.redirect(call, &origin, now))
    }

    /// The next attempt is about to be sent; returns its number.
    #[napi(catch_unwind)]
    pub fn attempt(&mut self, env: &Env, now: Unknown<'_>) -> Result<u32> {
        let now = tick(env, now)?;
        Ok(allowed(env, self.driver.attempt(now))?.number)
    }

    /// The verdict on a response head, whose `headers` are names and values in turn, or on a failure.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "what is known of an attempt")]
    pub fn classify(
        &mut self,
        env: &Env,
        status: Unknown<'_>,
        headers: Vec<String>,
        error: Unknown<'_>,
        evidence: Unknown<'_>,
        local: Unknown<'_>,
        wall: Unknown<'_>,
    ) -> Result<NativeVerdict> {
        let wall = or_throw(env, UNIT.unix_time("wall", number(env, "wall", &to_value(wall)?)?))?;
        let status = if_given(to_value(status)?).map(|status| number(env, "status", &status)).transpose()?;
        let error = if_given(to_value(error)?).map(|error| text_of(env, "error", &error)).transpose()?;
        let evidence = text(env, "evidence", evidence)?;
        let local = flag(env, "local", local)?;
        let headers = lines(&headers);
        let headers = headers.as_slice();
        let outcome = allowed(env, outcome(status, &headers, error.as_deref(), &evidence, local))?;
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
        retry: Unknown<'_>,
        wait: Unknown<'_>,
        backoff: Unknown<'_>,
        replayable: Unknown<'_>,
        now: Unknown<'_>,
    ) -> Result<NativeDecision> {
        let retry = if_given(to_value(retry)?).map(|retry| or_throw(env, Argument::new("retry", &retry).flag())).transpose()?;
        let replayable = flag(env, "replayable", replayable)?;
        let answer = Answer { retry, wait: duration(env, "waitMs", wait)?, backoff: duration(env, "backoffMs", backoff)? };
        let now = tick(env, now)?;
        Ok(match allowed(env, self.driver.decide(answer, replayable, now))? {
            Decision::Retry { wait } => NativeDecision { stop_reason: None, wait_ms: Some(millis(wait)) },
            Decision::Stop(reason) => NativeDecision { stop_reason: Some(reason.code()), wait_ms: None },
        })
    }

    /// The call is over and its outcome goes to the caller.
    #[napi(catch_unwind)]
    pub fn finish(&mut self, env: &Env, now: Unknown<'_>) -> Result<()> {
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

fn tick(env: &Env, now: Unknown<'_>) -> Result<Tick> {
    or_throw(env, UNIT.tick("now", number(env, "now", &to_value(now)?)?))
}

fn number(env: &Env, argument: &str, value: &Value) -> Result<f64> {
    or_throw(env, Argument::new(argument, value).number())
}

fn flag(env: &Env, argument: &str, value: Unknown<'_>) -> Result<bool> {
    or_throw(env, Argument::new(argument, &to_value(value)?).flag())
}

fn text(env: &Env, argument: &str, value: Unknown<'_>) -> Result<String> {
    text_of(env, argument, &to_value(value)?)
}

fn text_of(env: &Env, argument: &str, value: &Value) -> Result<String> {
    or_throw(env, Argument::new(argument, value).text().map(str::to_owned))
}

fn if_given(value: Value) -> Option<Value> {
    Some(value).filter(|value| *value != Value::Null)
}

fn duration(env: &Env, argument: &str, value: Unknown<'_>) -> Result<Option<Duration>> {
    or_throw(env, UNIT.duration_if_given(argument, &to_value(value)?))
}
