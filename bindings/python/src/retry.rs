//! The decision machine alone, for programs with an HTTP client of their own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reknock::retry::driver::{Driver, Misuse, outcome};
use reknock::retry::{self, Answer, Call};
use reknock::{Measured, StopReason, Tick, UnixTime};

use crate::client::BudgetReading;
use crate::convert::{UNIT, pairs, to_value};
use crate::errors::raised;
use crate::policy::{Policy, chosen};

/// Retry budgets that calls share: keep one beside each client of your own. Any number of threads may use it at once.
#[pyclass(frozen, module = "reknock")]
pub struct Budgets(Arc<retry::Budgets>);

#[pymethods]
impl Budgets {
    #[new]
    fn new() -> Self {
        Budgets(Arc::default())
    }

    /// What the budget of a policy has for an origin; None if no call used it yet. `now`: as for `Retry`.
    #[pyo3(signature = (policy, origin, *, now=None))]
    fn reading(&self, py: Python<'_>, policy: &Policy, origin: &str, now: Option<f64>) -> PyResult<Option<BudgetReading>> {
        let now = tick(py, now)?;
        Ok(policy.0.budget().and_then(|spec| self.0.reading(spec, origin, now)).map(BudgetReading::from))
    }

    fn __repr__(&self) -> &'static str {
        "<Budgets>"
    }
}

/// One call on its way, decided step by step, for those who keep an HTTP client of their own: it sends nothing and waits for nothing.
/// Per attempt: `attempt()`, your send, `classify(...)`, `decide()`, which says to wait and go on, or why not; at the end `finish()`.
/// Leaving it as a context manager finishes the call; leaving it with an exception abandons it.
///
/// The last outcome that is classified counts; after a stop another one may be, as of a body that breaks. A step before its turn raises
/// `RuntimeError`, which says what comes first, and changes nothing.
///
/// method: Default "GET".
/// origin: scheme and authority, such as "http://127.0.0.1:8080". The budget is found by it. Needed with `budgets`, unless the policy's
/// budget has another scope.
/// budgets: Default: none is kept, whatever the policy says.
/// has_idempotency_key: whether the request carries an Idempotency-Key.
/// asked: whether somebody is asked about every outcome: hints are then read on every response.
/// seed: not 0: random waits are drawn from it, the same ones each time, for simulations and tests. A whole number of 64 bits.
/// now: seconds on a monotonic clock. Default: `time.monotonic()`, here and in every method.
///
/// Each call has its own, which one thread uses at a time.
#[pyclass(frozen, module = "reknock")]
pub struct Retry(Mutex<Driver>);

/// What the policy thinks of an outcome. Times are seconds.
#[pyclass(frozen, get_all, module = "reknock")]
pub struct Verdict {
    /// Whether it would be retried, if method, body, limits, deadline and budget agree.
    retry: bool,
    /// Whether the server may have acted on it: "not_sent", "refused" or "unknown".
    evidence: &'static str,
    /// The wait the server asks for.
    hint: Option<f64>,
    /// The policy's own back-off before the next retry.
    backoff: f64,
    /// The wait a retry would have by the policy alone; None if the server asks for too long a one.
    planned_wait: Option<f64>,
}

#[pymethods]
impl Verdict {
    fn __repr__(&self) -> String {
        format!("<Verdict {}, evidence {}>", if self.retry { "retry" } else { "no retry" }, self.evidence)
    }
}

/// What happens next: a wait and then the next attempt, or the reason why not. One of the two is None.
#[pyclass(frozen, get_all, module = "reknock")]
pub struct Decision {
    /// Seconds to wait before the next attempt.
    wait: Option<f64>,
    /// Why there is none.
    stop_reason: Option<&'static str>,
}

#[pymethods]
impl Decision {
    fn __repr__(&self) -> String {
        match (self.wait, self.stop_reason) {
            (Some(wait), _) => format!("<Decision retry after {}>", Measured(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))),
            (None, reason) => format!("<Decision {}>", reason.unwrap_or_default()),
        }
    }
}

#[pymethods]
impl Retry {
    #[new]
    #[pyo3(signature = (
        policy=None, *, method="GET", origin="", budgets=None, has_idempotency_key=false, asked=false, seed=0, now=None
    ))]
    #[allow(clippy::too_many_arguments, reason = "what is known of a call")]
    fn new(
        py: Python<'_>,
        policy: Option<&Bound<'_, PyAny>>,
        method: &str,
        origin: &str,
        budgets: Option<&Budgets>,
        has_idempotency_key: bool,
        asked: bool,
        seed: u64,
        now: Option<f64>,
    ) -> PyResult<Self> {
        let base = reknock::Policy::default();
        let policy = policy.map_or(Ok(None), |policy| chosen(&base, policy))?.unwrap_or(base);
        let now = tick(py, now)?;
        let call = Call { method, has_idempotency_key, asked };
        let budgets = budgets.map(|shared| Arc::clone(&shared.0));
        let begun = Driver::begin(&policy, call, origin, budgets, reknock::client::entropy_or(seed), now);
        Ok(Retry(Mutex::new(allowed(py, begun)?)))
    }

    /// A redirect is followed: the next attempt is of another method or origin, counts in the budget of that origin, and is no retry.
    /// The policy, its deadline and the rest of what was said of the call stay.
    #[pyo3(signature = (*, method, origin="", has_idempotency_key=false, now=None))]
    fn redirect(&self, py: Python<'_>, method: &str, origin: &str, has_idempotency_key: bool, now: Option<f64>) -> PyResult<()> {
        let now = tick(py, now)?;
        // Whether somebody is asked was said of the whole call.
        let call = Call { method, has_idempotency_key, asked: false };
        self.step(py, |driver| driver.redirect(call, origin, now))
    }

    /// The next attempt is about to be sent; its number, from 1.
    #[pyo3(signature = (*, now=None))]
    fn attempt(&self, py: Python<'_>, now: Option<f64>) -> PyResult<u32> {
        let now = tick(py, now)?;
        Ok(self.step(py, |driver| driver.attempt(now))?.number)
    }

    /// What the policy thinks of a response, by `status_code` and `headers`, or of a failure, by the kind of `error` (as an exception's
    /// `kind`) and its `evidence`. `local`: this machine alone is short of something (descriptors, ports, memory); a retry then costs no budget. `wall`: seconds since 1970, for hints that are dates; default: `time.time()`.
    #[pyo3(signature = (*, status_code=None, headers=None, error=None, evidence="unknown", local=false, wall=None))]
    #[allow(clippy::too_many_arguments, reason = "what is known of an attempt")]
    fn classify(
        &self,
        py: Python<'_>,
        status_code: Option<f64>,
        headers: Option<&Bound<'_, PyAny>>,
        error: Option<&str>,
        evidence: &str,
        local: bool,
        wall: Option<f64>,
    ) -> PyResult<Verdict> {
        let wall = wall_time(py, wall)?;
        let lines = headers.map_or(Ok(Vec::new()), pairs)?;
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let headers = lines.as_slice();
        let outcome = allowed(py, outcome(status_code, &headers, error, evidence, local))?;
        let (verdict, planned) = self.step(py, |driver| driver.classify(outcome, wall))?;
        Ok(Verdict {
            retry: verdict.retry,
            evidence: verdict.evidence.code(),
            hint: verdict.hint.map(|hint| hint.as_secs_f64()),
            backoff: verdict.backoff.as_secs_f64(),
            planned_wait: planned.map(|wait| wait.as_secs_f64()),
        })
    }

    /// What happens after the outcome that was classified last. What callbacks of yours said: `retry` true or false (stop), whatever the verdict;
    /// `wait` exactly so many seconds; `backoff` in place of the policy's, hints apply. `replayable`: the body can be produced again.
    #[pyo3(signature = (*, retry=None, wait=None, backoff=None, replayable=true, now=None))]
    fn decide(
        &self,
        py: Python<'_>,
        retry: Option<bool>,
        wait: Option<&Bound<'_, PyAny>>,
        backoff: Option<&Bound<'_, PyAny>>,
        replayable: bool,
        now: Option<f64>,
    ) -> PyResult<Decision> {
        let answer = Answer { retry, wait: duration("wait", wait)?, backoff: duration("backoff", backoff)? };
        let now = tick(py, now)?;
        Ok(match self.step(py, |driver| driver.decide(answer, replayable, now))? {
            retry::Decision::Retry { wait } => Decision { wait: Some(wait.as_secs_f64()), stop_reason: None },
            retry::Decision::Stop(reason) => Decision { wait: None, stop_reason: Some(StopReason::code(reason)) },
        })
    }

    /// The call is over and its outcome goes to whoever made it.
    #[pyo3(signature = (*, now=None))]
    fn finish(&self, py: Python<'_>, now: Option<f64>) -> PyResult<()> {
        let now = tick(py, now)?;
        self.driver().finish(now);
        Ok(())
    }

    /// The call is given up: what it holds of its budget is given back.
    fn abandon(&self) {
        self.driver().abandon();
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        match exception.get_item(0).is_ok_and(|class| !class.is_none()) {
            true => self.abandon(),
            false => self.finish(py, None)?,
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        match self.driver().retry() {
            Some(retry) => format!("<Retry, {} sent, {} retries left>", retry.attempts(), retry.retries_left()),
            None => "<Retry, over>".to_owned(),
        }
    }
}

impl Retry {
    /// The error is made when the driver is free again.
    fn step<T>(&self, py: Python<'_>, step: impl FnOnce(&mut Driver) -> Result<T, Misuse>) -> PyResult<T> {
        let result = step(&mut self.driver());
        allowed(py, result)
    }

    /// Nothing of Python's runs while it is held.
    fn driver(&self) -> MutexGuard<'_, Driver> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step that is refused: an error of ours if it is a matter of values, one as Python has it if it is one of order.
fn allowed<T>(py: Python<'_>, result: Result<T, Misuse>) -> PyResult<T> {
    result.map_err(|misuse| match misuse {
        Misuse::Value(error) | Misuse::Budget(error) => raised(py, &error),
        Misuse::Order(text) => PyRuntimeError::new_err(text),
    })
}

fn tick(py: Python<'_>, now: Option<f64>) -> PyResult<Tick> {
    UNIT.tick("now", clock(py, "monotonic", now)?).map_err(|error| raised(py, &error))
}

fn wall_time(py: Python<'_>, wall: Option<f64>) -> PyResult<UnixTime> {
    UNIT.unix_time("wall", clock(py, "time", wall)?).map_err(|error| raised(py, &error))
}

/// What was given, or what the clock of this name in Python's `time` says.
fn clock(py: Python<'_>, name: &str, given: Option<f64>) -> PyResult<f64> {
    given.map_or_else(|| py.import("time")?.call_method0(name)?.extract(), Ok)
}

fn duration(argument: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    UNIT.duration_if_given(argument, &to_value(value)?).map_err(|error| raised(value.py(), &error))
}
