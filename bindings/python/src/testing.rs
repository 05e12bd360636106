//! Scripts that answer in place of servers: `reknock.testing`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use reknock::client::testing;
use reknock::{Error, Policy, UnixTime};

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

/// Answers in place of servers, one step per send; the last step repeats.
#[pyclass(frozen, from_py_object, module = "reknock.testing")]
#[derive(Clone)]
pub struct Script {
    pub core: testing::Script,
    seed: u64,
}

impl Script {
    /// The policy with waits that are the same in every run.
    pub fn seeded(&self, policy: &Policy) -> Result<Policy, Error> {
        policy.to_builder().seed(self.seed).build()
    }
}

#[pymethods]
impl Script {
    #[new]
    #[pyo3(signature = (steps, *, seed=0, now=None))]
    fn new(steps: &Bound<'_, PyAny>, seed: u64, now: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let steps: Vec<testing::Step> = steps.try_iter()?.map(|item| step(&item?)).collect::<PyResult<_>>()?;
        let core = match now {
            None => testing::Script::new(steps),
            Some(now) => {
                let seconds: f64 = now.call_method0("timestamp")?.extract()?;
                testing::Script::at(UnixTime((seconds * 1e3).round() as i64), steps)
            }
        };
        Ok(Script { core, seed })
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

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {
        let mut active = active_ones();
        let own = active.iter().rposition(|script| script.core.is(&self.core));
        if let Some(own) = own {
            active.remove(own);
        }
        ANY.store(!active.is_empty(), Ordering::Release);
    }

    fn __repr__(&self) -> String {
        format!("<Script, {} sent, {} steps remaining>", self.core.sends().len(), self.core.remaining())
    }
}

/// What happens to one send.
#[pyclass(frozen, module = "reknock.testing")]
pub struct Step(testing::Step);

#[pymethods]
impl Step {
    #[new]
    #[pyo3(signature = (does, *, headers=None, content=None, json=None, after=None, ends=None, evidence=None))]
    fn new(
        does: &Bound<'_, PyAny>,
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
