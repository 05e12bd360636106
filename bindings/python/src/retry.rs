//! The decision machine alone, for programs with an HTTP client of their own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reknock::policy::Value;
use reknock::retry::{Answer, Call, Outcome};
use reknock::{ErrorKind, Evidence, StopReason, Tick, UnixTime, retry};

use crate::client::BudgetReading;
use crate::convert::{UNIT, pairs, to_value};
use crate::errors::raised;
use crate::policy::{Policy, chosen};

/// Retry budgets that calls share: keep one beside each client of your own. Any number of threads may use it at once.
#[pyclass(frozen, module = "reknock")]
pub struct Budgets(retry::Budgets);

#[pymethods]
impl Budgets {
    #[new]
    fn new() -> Self {
        Budgets(retry::Budgets::new())
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
/// method: Default "GET".
/// origin: scheme and authority, such as "http://127.0.0.1:8080". The budget is found by it.
/// budgets: Default: none is kept, whatever the policy says.
/// has_idempotency_key: whether the request carries an Idempotency-Key.
/// asked: whether somebody is asked about every outcome: hints are then read on every response.
/// seed: not 0: random waits are drawn from it, the same ones each time, for simulations and tests. A whole number of 64 bits.
/// now: seconds on a monotonic clock. Default: `time.monotonic()`, here and in every method.
///
/// Each call has its own, which one thread uses at a time.
#[pyclass(frozen, module = "reknock")]
pub struct Retry(Mutex<State>);

struct State {
    /// `None` once it is over.
    retry: Option<retry::Retry>,
    verdict: Option<retry::Verdict>,
}

impl State {
    fn live(&mut self) -> PyResult<&mut retry::Retry> {
        self.retry.as_mut().ok_or_else(|| PyRuntimeError::new_err("the call is over"))
    }
}

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
            (Some(wait), _) => format!("<Decision retry after {wait}s>"),
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
        let budget = match (budgets, policy.budget()) {
            (Some(shared), Some(spec)) => Some(shared.0.find(spec, origin, now).map_err(|error| raised(py, &error))?),
            _ => None,
        };
        let call = Call { method, has_idempotency_key, asked };
        let retry = retry::Retry::begin(&policy, call, budget, reknock::client::entropy_or(seed), 0, now);
        Ok(Retry(Mutex::new(State { retry: Some(retry), verdict: None })))
    }

    /// The next attempt is about to be sent; its number, from 1.
    #[pyo3(signature = (*, now=None))]
    fn attempt(&self, py: Python<'_>, now: Option<f64>) -> PyResult<u32> {
        let now = tick(py, now)?;
        Ok(self.state().live()?.attempt(now).number)
    }

    /// What the policy thinks of a response, by `status_code` and `headers`, or of a failure, by the kind of `error` (as an exception's
    /// `kind`) and its `evidence`. `wall`: seconds since 1970, for hints that are dates; default: `time.time()`.
    #[pyo3(signature = (*, status_code=None, headers=None, error=None, evidence="unknown", wall=None))]
    fn classify(
        &self,
        py: Python<'_>,
        status_code: Option<u16>,
        headers: Option<&Bound<'_, PyAny>>,
        error: Option<&str>,
        evidence: &str,
        wall: Option<f64>,
    ) -> PyResult<Verdict> {
        let wall = UnixTime((clock(py, "time", wall)? * 1e3).round() as i64);
        let lines = headers.map_or(Ok(Vec::new()), pairs)?;
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let headers = lines.as_slice();
        let outcome = match (status_code, error) {
            (Some(status), None) => Outcome::Response { status, headers: &headers },
            (None, Some(kind)) => failure(kind, evidence)?,
            _ => return Err(PyTypeError::new_err("an outcome is a status_code or an error")),
        };
        let mut state = self.state();
        let retry = state.live()?;
        let verdict = retry.classify(outcome, wall);
        let planned = retry.planned_wait(verdict);
        state.verdict = Some(verdict);
        Ok(Verdict {
            retry: verdict.retry,
            evidence: verdict.evidence.code(),
            hint: verdict.hint.map(|hint| hint.as_secs_f64()),
            backoff: verdict.backoff.as_secs_f64(),
            planned_wait: planned.map(|wait| wait.as_secs_f64()),
        })
    }

    /// What happens after the outcome that was classified last. What callbacks of yours said: `retry` or stop, whatever the verdict;
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
        let mut state = self.state();
        state.live()?;
        let verdict = state.verdict.take().ok_or_else(|| PyRuntimeError::new_err("classify an outcome before deciding"))?;
        Ok(match state.live()?.decide(verdict, answer, replayable, now) {
            retry::Decision::Retry { wait } => Decision { wait: Some(wait.as_secs_f64()), stop_reason: None },
            retry::Decision::Stop(reason) => Decision { wait: None, stop_reason: Some(StopReason::code(reason)) },
        })
    }

    /// The call is over and its outcome goes to whoever made it.
    #[pyo3(signature = (*, now=None))]
    fn finish(&self, py: Python<'_>, now: Option<f64>) -> PyResult<()> {
        let now = tick(py, now)?;
        if let Some(retry) = self.state().retry.take() {
            retry.finish(now);
        }
        Ok(())
    }

    /// The call is given up: what it holds of its budget is given back.
    fn abandon(&self) {
        self.state().retry = None;
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
        match &self.state().retry {
            Some(retry) => format!("<Retry, {} sent, {} retries left>", retry.attempts(), retry.retries_left()),
            None => "<Retry, over>".to_owned(),
        }
    }
}

impl Retry {
    /// Nothing of Python's runs while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(kind: &str, evidence: &str) -> PyResult<Outcome<'static>> {
    let unknown = |what, given: &str| PyValueError::new_err(format!("unknown {what} {given:?}"));
    let kind = ErrorKind::from_code(kind).ok_or_else(|| unknown("error", kind))?;
    let known = Evidence::ALL.iter().copied().find(|known| known.code() == evidence);
    Ok(Outcome::Failure { kind, evidence: known.ok_or_else(|| unknown("evidence", evidence))? })
}

/// A point in time; one before the clock's start is its start.
fn tick(py: Python<'_>, now: Option<f64>) -> PyResult<Tick> {
    Ok(Tick((clock(py, "monotonic", now)? * 1e9).round() as u64))
}

/// What was given, or what the clock of this name in Python's `time` says.
fn clock(py: Python<'_>, name: &str, given: Option<f64>) -> PyResult<f64> {
    given.map_or_else(|| py.import("time")?.call_method0(name)?.extract(), Ok)
}

fn duration(argument: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    let number = match to_value(value)? {
        Value::Int(number) => number as f64,
        Value::Float(number) => number,
        _ => return Err(PyTypeError::new_err(format!("{argument} must be a number of seconds or a timedelta"))),
    };
    UNIT.duration(argument, number).map(Some).map_err(|error| raised(value.py(), &error))
}
