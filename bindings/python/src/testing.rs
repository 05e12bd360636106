//! Scripts that answer in place of servers: `reknock.testing`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use reknock::client::testing;
use reknock::{Error, UnixTime};

use crate::convert::{UNIT, bytes, json_text, pairs, to_bytes, to_value};
use crate::errors::raised;
use crate::headers::Headers;
use crate::response::parsed;

/// The scripts that answer all clients; the last one does.
static ACTIVE: Mutex<Vec<Script>> = Mutex::new(Vec::new());

/// Whether there are any: calls on the network take no lock.
static ANY: AtomicBool = AtomicBool::new(false);

fn active_ones() -> MutexGuard<'static, Vec<Script>> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The script that answers all clients now.
pub fn active() -> Option<Script> {
    if ANY.load(Ordering::Acquire) { active_ones().last().cloned() } else { None }
}

/// Answers in place of servers, one step per send: the first that is for it; the last one that is repeats.
///
/// seed: another one gives other waits.
/// now: what its wall clock begins with. Default: now.
/// strict: each step answers once, a send that no step is left for fails, and so does leaving the `with` block while steps remain.
#[pyclass(frozen, from_py_object, module = "reknock.testing")]
#[derive(Clone)]
pub struct Script {
    pub core: testing::Script,
}

#[pymethods]
impl Script {
    #[new]
    #[pyo3(signature = (steps, *, seed=0, now=None, strict=false))]
    fn new(steps: &Bound<'_, PyAny>, seed: u64, now: Option<&Bound<'_, PyAny>>, strict: bool) -> PyResult<Self> {
        let py = steps.py();
        let steps: Vec<testing::Step> = steps.try_iter()?.map(|item| step(&item?)).collect::<PyResult<_>>()?;
        let seconds: f64 = match now {
            None => py.import("time")?.call_method0("time")?.extract()?,
            Some(now) => now.call_method0("timestamp")?.extract()?,
        };
        let wall = UnixTime((seconds * 1e3).round() as i64);
        Ok(Script { core: testing::Script::made(wall, seed, steps, strict) })
    }

    /// What servers would have seen so far, in order: not the attempts that fail before they are sent.
    #[getter]
    fn sends<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.core.sends().into_iter().map(Sent))
    }

    /// The waits before retries so far, in seconds, in order. Nobody waited.
    #[getter]
    fn waits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.core.waits().iter().map(Duration::as_secs_f64))
    }

    /// How many steps nothing was answered with yet.
    #[getter]
    fn remaining(&self) -> usize {
        self.core.remaining()
    }

    /// Lets time pass between calls, in seconds.
    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        self.core.advance(duration(py, seconds)?);
        Ok(())
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        let mut active = active_ones();
        active.push(slf.clone());
        ANY.store(true, Ordering::Release);
        slf
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.leave();
        let (missed, left) = (self.core.missed(), self.core.remaining());
        let failed = exception.get_item(0).is_ok_and(|kind| !kind.is_none());
        if failed || !self.core.is_strict() || (missed.is_empty() && left == 0) {
            return Ok(());
        }
        Err(PyAssertionError::new_err(match missed.first() {
            Some(first) => format!("{} sent that no step of the script was for, first {first}", missed.len()),
            None => format!("{left} steps of the script answered nothing"),
        }))
    }

    /// The sends so far that no step was for, as "GET http://service.test/". They failed with `InvalidRequest`.
    #[getter]
    fn missed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.core.missed())
    }

    fn __repr__(&self) -> String {
        format!("<Script, {} sent, {} steps remaining>", self.core.sends().len(), self.core.remaining())
    }
}

impl Script {
    /// It answers no longer.
    fn leave(&self) {
        let mut active = active_ones();
        let own = active.iter().rposition(|script| script.core.is(&self.core));
        if let Some(own) = own {
            active.remove(own);
        }
        ANY.store(!active.is_empty(), Ordering::Release);
    }
}

/// What happens to one send.
///
/// does: a status, or the name of a failure.
/// method, url: it is for such sends alone. `*` in a URL stands for anything; one that begins with `/` is compared with path and query; one
/// that has no query is for any query.
#[pyclass(frozen, module = "reknock.testing")]
pub struct Step(testing::Step);

#[pymethods]
impl Step {
    #[new]
    #[pyo3(signature = (does, *, method=None, url=None, headers=None, content=None, json=None, after=None, ends=None, evidence=None))]
    #[allow(clippy::too_many_arguments, reason = "what a step may be")]
    fn new(
        does: &Bound<'_, PyAny>,
        method: Option<&str>,
        url: Option<&str>,
        headers: Option<&Bound<'_, PyAny>>,
        content: Option<&Bound<'_, PyAny>>,
        json: Option<&Bound<'_, PyAny>>,
        after: Option<f64>,
        ends: Option<&str>,
        evidence: Option<&str>,
    ) -> PyResult<Self> {
        let py = does.py();
        let core = |error: Error| raised(py, &error);
        let mut step = step(does)?;
        if let Some(method) = method {
            step = step.for_method(method).map_err(core)?;
        }
        if let Some(url) = url {
            step = step.for_url(url);
        }
        if let Some(json) = json {
            step = step.body(json_text(json)?).header("content-type", "application/json").map_err(core)?;
        }
        if let Some(content) = content {
            let body = to_bytes(content)?;
            step = step.body(body.ok_or_else(|| pyo3::exceptions::PyTypeError::new_err("content must be bytes or str"))?);
        }
        for (name, value) in headers.map_or(Ok(Vec::new()), pairs)? {
            step = step.header(&name, &value).map_err(core)?;
        }
        if let Some(after) = after {
            step = step.after(duration(py, after)?);
        }
        if let Some(ends) = ends {
            step = step.ends(ends).map_err(core)?;
        }
        if let Some(evidence) = evidence {
            step = step.evidence(evidence).map_err(core)?;
        }
        Ok(Step(step))
    }
}

/// A status, the name of a failure, or a step.
fn step(item: &Bound<'_, PyAny>) -> PyResult<testing::Step> {
    if let Ok(step) = item.cast::<Step>() {
        return Ok(step.get().0.clone());
    }
    testing::Step::from_value(&to_value(item)?).map_err(|error| raised(item.py(), &error))
}

fn duration(py: Python<'_>, seconds: f64) -> PyResult<Duration> {
    UNIT.duration("script", seconds).map_err(|error| raised(py, &error))
}

/// One send as a server would have seen it.
#[pyclass(frozen, module = "reknock.testing")]
pub struct Sent(testing::Sent);

#[pymethods]
impl Sent {
    /// Seconds from the making of the script, in its time.
    #[getter]
    fn at(&self) -> f64 {
        self.0.at.as_secs_f64()
    }

    /// The method.
    #[getter]
    fn method(&self) -> &str {
        &self.0.method
    }

    /// The URL.
    #[getter]
    fn url(&self) -> &str {
        self.0.url.as_str()
    }

    /// The header fields.
    #[getter]
    fn headers(&self) -> Headers {
        Headers(self.0.headers.clone())
    }

    /// The whole body.
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        bytes(py, &self.0.body)
    }

    /// The body as JSON.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        parsed(&self.content(py)?, "utf-8")
    }

    fn __repr__(&self) -> String {
        format!("<Sent {} {} at {}s>", self.0.method, self.0.url, self.at())
    }
}
