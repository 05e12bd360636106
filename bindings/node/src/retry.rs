//! The decision machine alone, for programs with an HTTP client of their own. Times are milliseconds on a clock of the caller's.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Array, Object, Unknown};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;
use reknock::client::{Event, Opinion, entropy_or, minted_key, process_budgets_with};
use reknock::policy::{Argument, Value};
use reknock::retry::driver::{self, Driver, Misuse, Options, Target, no_error, outcome};
use reknock::retry::{Answer, Budgets, Decision, Retry};
use reknock::{ErrorKind, StopReason, Tick, explain_call};

use crate::client::{BudgetReading, reading};
use crate::error::{or_throw, thrown};
use crate::head::{millis, records};
use crate::identity::NativeIdentity;
use crate::policy::{NativePolicy, lines};
use crate::question::event;
use crate::value::{KEYS, UNIT, to_value};

/// Retry budgets that calls share.
#[napi]
pub struct NativeBudgets {
    pub(crate) budgets: Arc<Budgets>,
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

/// The limits of one attempt, in milliseconds.
#[napi(object, object_from_js = false)]
pub struct NativeLimits {
    /// Of making a connection.
    pub connect_timeout: Option<f64>,
    /// Of the attempt up to its response head.
    pub per_try_timeout: Option<f64>,
    /// Of silence while a body is written or read.
    pub idle_timeout: Option<f64>,
    /// What is left of the call.
    pub remaining: Option<f64>,
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
    pub fn new(env: &Env, options: Unknown<'_>) -> Result<Self> {
        let budgets = or_throw(env, process_budgets_with(&to_value(options)?, KEYS))?;
        Ok(NativeBudgets { budgets: Arc::new(budgets) })
    }

    /// What the budget of a policy has for an origin.
    #[napi(catch_unwind)]
    pub fn reading(&self, env: &Env, policy: &NativePolicy, origin: Unknown<'_>, now: Unknown<'_>) -> Result<Option<BudgetReading>> {
        let (origin, now) = (text(env, "origin", origin)?, tick(env, now)?);
        Ok(driver::reading(&self.budgets, &policy.core, &origin, now).map(reading))
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
        headers: Vec<String>,
        has_idempotency_key: Unknown<'_>,
        asked: Unknown<'_>,
        nested: Unknown<'_>,
        seed: Unknown<'_>,
        now: Unknown<'_>,
    ) -> Result<Self> {
        let about = About::new(env, method, origin, headers, has_idempotency_key)?;
        let (asked, nested) = (flag(env, "asked", asked)?, flag(env, "nested", nested)?);
        let seed = or_throw(env, Argument::new("seed", &to_value(seed)?).seed())?;
        let now = tick(env, now)?;
        about.target(|target| {
            let budgets = budgets.map(|shared| Arc::clone(&shared.budgets));
            let minted_key = minted_key(&policy.core, target.method, target.carries_key());
            let options = Options { budgets, asked, nested, minted_key, entropy: entropy_or(seed) };
            Ok(NativeRetry { driver: allowed(env, Driver::begin(&policy.core, target, options, now))? })
        })
    }

    /// A redirect is followed: the next attempt goes elsewhere, counts in the budget of that origin, and is no retry.
    #[napi(catch_unwind)]
    pub fn redirect(
        &mut self,
        env: &Env,
        method: Unknown<'_>,
        origin: Unknown<'_>,
        headers: Vec<String>,
        has_idempotency_key: Unknown<'_>,
        now: Unknown<'_>,
    ) -> Result<()> {
        let about = About::new(env, method, origin, headers, has_idempotency_key)?;
        let now = tick(env, now)?;
        about.target(|target| allowed(env, self.driver.redirect(target, now)))
    }

    /// The next attempt is about to be sent; returns its number.
    #[napi(catch_unwind)]
    pub fn attempt(&mut self, env: &Env, now: Unknown<'_>) -> Result<u32> {
        let now = tick(env, now)?;
        Ok(allowed(env, self.driver.attempt(now))?.number)
    }

    /// Whether the header fields of a response with this status are looked at.
    #[napi(catch_unwind)]
    pub fn reads_fields(&self, status: f64) -> bool {
        self.driver.retry().is_some_and(|retry| retry.reads_fields(status as u16))
    }

    /// The verdict on a response head, whose `headers` are names and values in turn, or on a failure.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "what an outcome may be")]
    pub fn classify(
        &mut self,
        env: &Env,
        status: Unknown<'_>,
        headers: Vec<String>,
        error: Unknown<'_>,
        error_class: Unknown<'_>,
        evidence: Unknown<'_>,
        local: Unknown<'_>,
        returned: Unknown<'_>,
        wall: Unknown<'_>,
        now: Unknown<'_>,
    ) -> Result<NativeVerdict> {
        let now = tick(env, now)?;
        let wall = or_throw(env, UNIT.unix_time("wall", number(env, "wall", &to_value(wall)?)?))?;
        let status = if_given(to_value(status)?).map(|status| number(env, "status", &status)).transpose()?;
        let error = if_given(to_value(error)?).map(|error| text_of(env, "error", &error)).transpose()?;
        let error_class = if_given(to_value(error_class)?).map(|class| text_of(env, "errorClass", &class)).transpose()?;
        let evidence = text(env, "evidence", evidence)?;
        let (local, returned) = (flag(env, "local", local)?, flag(env, "returned", returned)?);
        let headers = lines(&headers);
        let headers = headers.as_slice();
        let outcome = allowed(env, outcome(status, &headers, error.as_deref(), error_class.as_deref(), &evidence, local, returned))?;
        let (verdict, planned) = allowed(env, self.driver.classify(outcome, error_class.as_deref(), wall, now))?;
        Ok(NativeVerdict {
            retry: verdict.retry,
            evidence: verdict.evidence.code(),
            hint_ms: verdict.hint.map(millis),
            backoff_ms: millis(verdict.backoff),
            planned_wait_ms: planned.map(millis),
        })
    }

    /// What was classified last came after redirects that the client followed by itself.
    #[napi(catch_unwind)]
    pub fn followed(&mut self, env: &Env) -> Result<()> {
        allowed(env, self.driver.followed())
    }

    /// Whether a `retryIf` is to be asked about the outcome that was classified last.
    #[napi(catch_unwind)]
    pub fn is_worth_asking(&self, env: &Env, replayable: Unknown<'_>, now: Unknown<'_>) -> Result<bool> {
        Ok(self.driver.is_worth_asking(flag(env, "replayable", replayable)?, tick(env, now)?))
    }

    /// What happens after the outcome that was classified last.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "what may be said of an outcome")]
    pub fn decide(
        &mut self,
        env: &Env,
        opinion: Unknown<'_>,
        retry: Unknown<'_>,
        wait: Unknown<'_>,
        backoff: Unknown<'_>,
        replayable: Unknown<'_>,
        now: Unknown<'_>,
    ) -> Result<NativeDecision> {
        let retry = if_given(to_value(retry)?).map(|retry| or_throw(env, Argument::new("retry", &retry).flag())).transpose()?;
        let replayable = flag(env, "replayable", replayable)?;
        let said: Answer = or_throw(env, Opinion::from_value(&to_value(opinion)?, UNIT))?.into();
        let (retry, wait) = (said.retry.or(retry), said.wait.or(duration(env, "waitMs", wait)?));
        let answer = Answer { retry, wait, backoff: duration(env, "backoffMs", backoff)? };
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

    /// Likewise, of a call that observers are told of: it ends by what ended it, an error of this kind.
    #[napi(catch_unwind)]
    pub fn give_up(&mut self, env: &Env, kind: String, now: Unknown<'_>) -> Result<()> {
        let kind = ErrorKind::from_code(&kind).ok_or_else(|| no_error(&Value::from(&*kind)));
        self.driver.give_up(allowed(env, kind)?, tick(env, now)?);
        Ok(())
    }

    /// The limits of an attempt that is made now; none if the call is over.
    #[napi(catch_unwind)]
    pub fn limits(&self, env: &Env, now: Unknown<'_>) -> Result<Option<NativeLimits>> {
        let now = tick(env, now)?;
        Ok(self.driver.limits(now).map(|limits| NativeLimits {
            connect_timeout: limits.connect_timeout.map(millis),
            per_try_timeout: limits.per_try_timeout.map(millis),
            idle_timeout: limits.idle_timeout.map(millis),
            remaining: limits.remaining.map(millis),
        }))
    }

    /// The moment at which the call's time is over.
    #[napi(getter, catch_unwind)]
    pub fn deadline(&self) -> Option<f64> {
        Some(millis(self.driver.retry()?.deadline()?.since(Tick(0))))
    }

    /// Retries that may still be made.
    #[napi(getter, catch_unwind)]
    pub fn retries_left(&self) -> u32 {
        self.driver.retry().map_or(0, Retry::retries_left)
    }

    /// The largest one-shot body that is to be kept.
    #[napi(getter, catch_unwind)]
    pub fn max_body_buffer(&self) -> f64 {
        self.driver.retry().map_or(0.0, |retry| retry.policy().max_body_buffer() as f64)
    }

    /// The header fields that the policy puts on the attempt under way: pairs.
    #[napi(getter, catch_unwind)]
    pub fn headers(&self) -> Vec<Vec<String>> {
        self.driver.headers().into_iter().map(|(name, value)| vec![name, value]).collect()
    }

    /// What was sent, in order.
    #[napi(getter, catch_unwind)]
    pub fn attempts<'env>(&self, env: &'env Env) -> Result<Array<'env>> {
        records(env, self.driver.records())
    }

    /// Why nothing further was sent.
    #[napi(getter, catch_unwind)]
    pub fn stop_reason(&self) -> Option<&'static str> {
        self.driver.stop_reason().map(StopReason::code)
    }

    /// What observers of the call are told now: of the retry that was decided, or of its end.
    #[napi(catch_unwind)]
    pub fn event<'env>(&self, env: &'env Env, call: &NativeIdentity, now: Unknown<'_>) -> Result<Object<'env>> {
        event(env, &Event::of_driver(Arc::clone(&call.core), &self.driver, tick(env, now)?))
    }

    /// What they are told before that: a budget that refused, or that is not the host's as it was to be. Once.
    #[napi(catch_unwind)]
    pub fn notices<'env>(&mut self, env: &'env Env, call: &NativeIdentity) -> Result<Vec<Object<'env>>> {
        Event::notices_of_driver(Some(&call.core), &mut self.driver).iter().map(|notice| event(env, notice)).collect()
    }

    /// The attempts as a short timeline, under a line that says whose they are, if that is given.
    #[napi(catch_unwind)]
    pub fn explain(&self, call: Option<&NativeIdentity>) -> String {
        explain_call(call.map(|call| &*call.core), self.driver.records(), self.driver.stop_reason())
    }
}

/// What is known of a request.
struct About {
    method: String,
    origin: String,
    headers: Vec<String>,
    has_idempotency_key: bool,
}

impl About {
    fn new(env: &Env, method: Unknown<'_>, origin: Unknown<'_>, headers: Vec<String>, has_idempotency_key: Unknown<'_>) -> Result<Self> {
        let has_idempotency_key = flag(env, "hasIdempotencyKey", has_idempotency_key)?;
        Ok(About { method: text(env, "method", method)?, origin: text(env, "origin", origin)?, headers, has_idempotency_key })
    }

    fn target<T>(&self, take: impl FnOnce(Target<'_>) -> T) -> T {
        let About { method, origin, headers, has_idempotency_key } = self;
        take(Target { method, origin, headers: &lines(headers).as_slice(), has_idempotency_key: *has_idempotency_key })
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
