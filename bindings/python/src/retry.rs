//! The decision machine alone, for programs with an HTTP client of their own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reknock::client::{entropy_or, minted_key};
use reknock::policy::Value;
use reknock::retry::driver::{Driver, Misuse, Options, Target, no_error, outcome};
use reknock::retry::{self, Answer};
use reknock::{ErrorKind, Measured, StopReason, Tick, UnixTime, client};

use crate::budgets::Budgets;
use crate::callbacks::opinion_of;
use crate::convert::{UNIT, hint_seconds, pairs, to_value};
use crate::errors::raised;
use crate::events::{Event, Identity};
use crate::policy::{Policy, chosen};
use crate::records::records;

/// One call on its way, decided step by step, for those who keep an HTTP client of their own: it sends nothing and waits for nothing.
/// Per attempt: `attempt()`, your send, `classify(...)`, `decide()`, which says to wait and go on, or why not; at the end `finish()`.
/// Leaving it as a context manager finishes the call; leaving it with an exception abandons it.
///
/// The last outcome that is classified counts; after a stop another one may be, as of a body that breaks. A step before its turn raises
/// `RuntimeError`, which says what comes first, and changes nothing.
///
/// method: Default "GET".
/// origin: where it goes: a URL, by whose scheme, host and port the budget is found, or any name for what is no URL. Needed with `budgets`,
/// unless the policy's budget has another scope.
/// headers: the request's header fields: an Idempotency-Key among them counts.
/// budgets: Default: none is kept, whatever the policy says.
/// has_idempotency_key: whether the request carries an Idempotency-Key that is not among `headers`.
/// asked: whether somebody is asked about every outcome: hints are then read on every response.
/// nested: whether the call is made within an attempt of another one that retries: where it would be retried it ends with "nested".
/// seed: not 0: random waits are drawn from it, the same ones each time, for simulations and tests. A whole number of 64 bits.
/// now: seconds on a monotonic clock. Default: `time.monotonic()`, here and in every method.
///
/// Each call has its own, which one thread uses at a time.
#[pyclass(frozen, module = "reknock")]
pub struct Retry(Mutex<Driver>, Mutex<Vec<client::Event>>);

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

/// The limits of one attempt, in seconds, none longer than what is left of the call. None is no limit.
#[pyclass(frozen, get_all, module = "reknock")]
pub struct Limits {
    /// Of making a connection.
    connect_timeout: Option<f64>,
    /// Of the attempt up to its response head.
    per_try_timeout: Option<f64>,
    /// Of silence while a body is written or read.
    idle_timeout: Option<f64>,
    /// What is left of the call.
    remaining: Option<f64>,
}

#[pymethods]
impl Limits {
    fn __repr__(&self) -> String {
        let Limits { connect_timeout, per_try_timeout, idle_timeout, remaining } = self;
        let shown = |limit: &Option<f64>| limit.map_or("None".to_owned(), |limit| limit.to_string());
        let [connect, per_try, idle, left] = [connect_timeout, per_try_timeout, idle_timeout, remaining].map(shown);
        format!("Limits(connect_timeout={connect}, per_try_timeout={per_try}, idle_timeout={idle}, remaining={left})")
    }
}

#[pymethods]
impl Retry {
    #[new]
    #[pyo3(signature = (
        policy=None, *, method="GET", origin="", headers=None, budgets=None, has_idempotency_key=false, asked=false, nested=false, seed=0,
        now=None
    ))]
    #[allow(clippy::too_many_arguments, reason = "what is known of a call")]
    fn new(
        py: Python<'_>,
        policy: Option<&Bound<'_, PyAny>>,
        method: &str,
        origin: &str,
        headers: Option<&Bound<'_, PyAny>>,
        budgets: Option<&Budgets>,
        has_idempotency_key: bool,
        asked: bool,
        nested: bool,
        seed: u64,
        now: Option<f64>,
    ) -> PyResult<Self> {
        let policy = match policy.map(|policy| (policy, policy.cast::<Policy>())) {
            Some((_, Ok(policy))) => policy.get().0.clone(),
            Some((said, Err(_))) => {
                let base = reknock::Policy::default();
                chosen(&base, said)?.unwrap_or(base)
            }
            None => reknock::Policy::default(),
        };
        let now = tick(py, now)?;
        with_target(method, origin, headers, has_idempotency_key, |target| {
            let budgets = budgets.map(|shared| Arc::clone(&shared.0));
            let minted_key = minted_key(&policy, method, target.carries_key());
            let options = Options { budgets, asked, nested, minted_key, entropy: entropy_or(seed) };
            Ok(Retry(Mutex::new(allowed(py, Driver::begin(&policy, target, options, now))?), Mutex::default()))
        })
    }

    /// A redirect is followed: the next attempt is of another method or origin, counts in the budget of that origin, and is no retry.
    /// The policy, its deadline and the rest of what was said of the call stay.
    #[pyo3(signature = (*, method, origin="", headers=None, has_idempotency_key=false, now=None))]
    fn redirect(
        &self,
        py: Python<'_>,
        method: &str,
        origin: &str,
        headers: Option<&Bound<'_, PyAny>>,
        has_idempotency_key: bool,
        now: Option<f64>,
    ) -> PyResult<()> {
        let now = tick(py, now)?;
        with_target(method, origin, headers, has_idempotency_key, |target| self.step(py, |driver| driver.redirect(target, now)))
    }

    /// The next attempt is about to be sent; its number, from 1.
    #[pyo3(signature = (*, now=None))]
    fn attempt(&self, py: Python<'_>, now: Option<f64>) -> PyResult<u32> {
        let now = tick(py, now)?;
        Ok(self.step(py, |driver| driver.attempt(now))?.number)
    }

    /// What the policy thinks of a response, by `status_code` and `headers` (or a function that gives them, called only if they are looked at), or of a failure, by the kind of `error` (as an exception's
    /// `kind`) and its `evidence`. `error_class` names the class of a failure on the record; alone it is of no such kind, and only an opinion
    /// has it retried. `local`: this machine alone is short of something (descriptors, ports, memory), and a retry costs no
    /// budget. `returned`: it gave what was asked, without a status. `wall`: seconds since 1970, for hints that are dates; default:
    /// `time.time()`.
    #[pyo3(signature = (
        *, status_code=None, headers=None, error=None, evidence="unknown", error_class=None, local=false, returned=false, wall=None, now=None
    ))]
    #[allow(clippy::too_many_arguments, reason = "what an outcome may be")]
    fn classify(
        &self,
        py: Python<'_>,
        status_code: Option<f64>,
        headers: Option<&Bound<'_, PyAny>>,
        error: Option<&str>,
        evidence: &str,
        error_class: Option<&str>,
        local: bool,
        returned: bool,
        wall: Option<f64>,
        now: Option<f64>,
    ) -> PyResult<Verdict> {
        let (wall, now) = (wall_time(py, wall)?, tick(py, now)?);
        let lines = match (headers, status_code) {
            (Some(read), Some(status)) if read.is_callable() => match self.reads_fields(status as u16) {
                true => pairs(&read.call0()?)?,
                false => Vec::new(),
            },
            _ => headers.map_or(Ok(Vec::new()), pairs)?,
        };
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (&**name, &**value)).collect();
        let headers = lines.as_slice();
        let outcome = allowed(py, outcome(status_code, &headers, error, error_class, evidence, local, returned))?;
        let (verdict, planned) = self.step(py, |driver| driver.classify(outcome, error_class, wall, now))?;
        Ok(Verdict {
            retry: verdict.retry,
            evidence: verdict.evidence.code(),
            hint: verdict.hint.map(hint_seconds),
            backoff: verdict.backoff.as_secs_f64(),
            planned_wait: planned.map(|wait| wait.as_secs_f64()),
        })
    }

    /// What was classified last came after redirects that the client followed by itself: what it proves says nothing of the requests that were
    /// redirected, one of which may have been executed.
    fn followed(&self, py: Python<'_>) -> PyResult<()> {
        self.step(py, |driver| driver.followed())
    }

    /// Whether a `retry_if` is to be asked about the outcome that was classified last: retries are left, the body can be produced again, there
    /// is time.
    #[pyo3(signature = (*, replayable=true, now=None))]
    fn is_worth_asking(&self, py: Python<'_>, replayable: bool, now: Option<f64>) -> PyResult<bool> {
        let now = tick(py, now)?;
        Ok(self.driver().is_worth_asking(replayable, now))
    }

    /// What happens after the outcome that was classified last. What callbacks of yours said: `retry` true or false (stop), whatever the verdict;
    /// `wait` exactly so many seconds; `backoff` in place of the policy's, hints apply. `replayable`: the body can be produced again.
    /// `opinion`: what a `retry_if` returned, which means what it means to a client, in place of `retry` and `wait`.
    #[pyo3(signature = (*, opinion=None, retry=None, wait=None, backoff=None, replayable=true, now=None))]
    #[allow(clippy::too_many_arguments, reason = "what may be said of an outcome")]
    fn decide(
        &self,
        py: Python<'_>,
        opinion: Option<&Bound<'_, PyAny>>,
        retry: Option<bool>,
        wait: Option<&Bound<'_, PyAny>>,
        backoff: Option<&Bound<'_, PyAny>>,
        replayable: bool,
        now: Option<f64>,
    ) -> PyResult<Decision> {
        let said: Answer = opinion.map(opinion_of).transpose()?.unwrap_or_default().into();
        let (retry, wait) = (said.retry.or(retry), said.wait.or(duration("wait", wait)?));
        let answer = Answer { retry, wait, backoff: duration("backoff", backoff)? };
        let now = tick(py, now)?;
        let (decision, notices) =
            self.step(py, |driver| Ok((driver.decide(answer, replayable, now)?, client::Event::notices_of_driver(None, driver))))?;
        for notice in notices {
            self.1.lock().unwrap_or_else(PoisonError::into_inner).push(notice.clone());
            py.import("reknock._log")?.call_method1("notice", (Event(notice),))?;
        }
        Ok(match decision {
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

    /// Likewise, of a call that observers are told of: it ends by what ended it, an error of kind "cancelled", "callback" or "invalid_request".
    #[pyo3(signature = (kind, *, now=None))]
    fn give_up(&self, py: Python<'_>, kind: &str, now: Option<f64>) -> PyResult<()> {
        let now = tick(py, now)?;
        let kind = ErrorKind::from_code(kind).ok_or_else(|| no_error(&Value::from(kind)));
        self.driver().give_up(allowed(py, kind)?, now);
        Ok(())
    }

    /// The limits of an attempt that is made now. None if the call is over.
    #[pyo3(signature = (*, now=None))]
    fn limits(&self, py: Python<'_>, now: Option<f64>) -> PyResult<Option<Limits>> {
        let now = tick(py, now)?;
        let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
        Ok(self.driver().limits(now).map(|limits| Limits {
            connect_timeout: seconds(limits.connect_timeout),
            per_try_timeout: seconds(limits.per_try_timeout),
            idle_timeout: seconds(limits.idle_timeout),
            remaining: seconds(limits.remaining),
        }))
    }

    /// Seconds left of the call; None if it has no limit or is over.
    #[pyo3(signature = (*, now=None))]
    fn remaining(&self, py: Python<'_>, now: Option<f64>) -> PyResult<Option<f64>> {
        Ok(self.limits(py, now)?.and_then(|limits| limits.remaining))
    }

    /// The moment at which the call's time is over, as `now` counts; None if it has no limit or is over.
    #[getter]
    fn deadline(&self) -> Option<f64> {
        let deadline = self.driver().retry()?.deadline()?;
        Some(deadline.since(Tick(0)).as_secs_f64())
    }

    /// Whether the request may be repeated although the server may have executed it.
    #[getter]
    fn is_idempotent(&self) -> bool {
        self.driver().retry().is_some_and(retry::Retry::is_idempotent)
    }

    /// Retries that may still be made; 0 if the call is over.
    #[getter]
    fn retries_left(&self) -> u32 {
        self.driver().retry().map_or(0, retry::Retry::retries_left)
    }

    /// The largest one-shot body, in bytes, that is to be kept so that it can be sent again; 0 if the call is over.
    #[getter]
    fn max_body_buffer(&self) -> u64 {
        self.driver().retry().map_or(0, |retry| retry.policy().max_body_buffer())
    }

    /// The header fields that the policy puts on the attempt under way, in place of the request's own of the same name.
    #[getter]
    fn headers(&self) -> Vec<(String, String)> {
        self.driver().headers()
    }

    /// What was sent, in order; when the call is over, too.
    #[getter]
    fn attempts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let sent = self.driver().records().to_vec();
        records(py, &sent)
    }

    /// Why nothing further was sent; None before that is decided.
    #[getter]
    fn stop_reason(&self) -> Option<&'static str> {
        self.driver().stop_reason().map(StopReason::code)
    }

    /// Whether it stopped, and the call has failed by that: with an error, or with a response that would have been retried if it could have been.
    #[getter]
    fn failed(&self) -> bool {
        self.driver().has_failed()
    }

    /// What observers of the call are told now: of the retry that was decided, or of its end.
    #[pyo3(signature = (call, *, now=None))]
    fn event(&self, py: Python<'_>, call: &Identity, now: Option<f64>) -> PyResult<Event> {
        let now = tick(py, now)?;
        Ok(Event(client::Event::of_driver(Arc::clone(&call.0), &self.driver(), now)))
    }

    /// What observers of the call are to be told besides, before that: a budget that refused, or that is not the host's as it was to be. Once; the log has it.
    fn notices(&self, call: &Identity) -> Vec<Event> {
        let notices = std::mem::take(&mut *self.1.lock().unwrap_or_else(PoisonError::into_inner));
        let of_call = |mut notice: client::Event| {
            notice.call = Some(Arc::clone(&call.0));
            Event(notice)
        };
        notices.into_iter().map(of_call).collect()
    }

    /// The attempts as a short timeline, with the advice that fits the stop reason; under a line that says whose they are, if that is given.
    #[pyo3(signature = (call=None))]
    fn explain(&self, call: Option<&Identity>) -> String {
        let driver = self.driver();
        reknock::explain_call(call.map(|call| &*call.0), driver.records(), driver.stop_reason())
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

    fn reads_fields(&self, status: u16) -> bool {
        self.driver().retry().is_some_and(|retry| retry.reads_fields(status))
    }

    /// Nothing of Python's runs while it is held.
    fn driver(&self) -> MutexGuard<'_, Driver> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a request, for as long as it is needed.
fn with_target<T>(
    method: &str,
    origin: &str,
    headers: Option<&Bound<'_, PyAny>>,
    has_idempotency_key: bool,
    take: impl FnOnce(Target<'_>) -> PyResult<T>,
) -> PyResult<T> {
    let lines = headers.map_or(Ok(Vec::new()), pairs)?;
    let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (&**name, &**value)).collect();
    take(Target { method, origin, headers: &lines.as_slice(), has_idempotency_key })
}

/// A step that is refused: an error of ours if it is a matter of values, one as Python has it if it is one of order.
fn allowed<T>(py: Python<'_>, result: Result<T, Misuse>) -> PyResult<T> {
    result.map_err(|misuse| match misuse {
        Misuse::Value(error) | Misuse::Budget(error) => raised(py, &error),
        Misuse::Order(text) => PyRuntimeError::new_err(text),
    })
}

pub fn tick(py: Python<'_>, now: Option<f64>) -> PyResult<Tick> {
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
