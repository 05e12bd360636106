//! Callbacks: what they are asked, and what their answers mean.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reknock::client::{self, Opinion, Question, Reply, Wants, delay_from_value};

use crate::blocking::Work;
use crate::body::{Pull, piece};
use crate::convert::{UNIT, header_fields, to_value};
use crate::ending::Ours;
use crate::errors::raised;
use crate::events::Event;
use crate::records::Attempt;
use crate::request::Request;

/// The callbacks of a client or a call.
#[derive(Default)]
pub struct Callbacks {
    pub retry_if: Option<Py<PyAny>>,
    pub delay: Option<Py<PyAny>>,
    pub before_retry: Option<Py<PyAny>>,
    /// Telemetry's, not the caller's: see `Call.observe`.
    pub before_attempt: Option<Py<PyAny>>,
    /// Likewise.
    pub told: Option<Py<PyAny>>,
    pub on_event: Option<Py<PyAny>>,
    pub with_body: bool,
    /// What produces the body of a call: `reknock._body.Source`.
    pub sources: Vec<Py<PyAny>>,
}

impl Callbacks {
    /// Takes an option that is one of them.
    pub fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let slot = match name {
            "retry_if" => &mut self.retry_if,
            "delay" => &mut self.delay,
            "before_retry" => &mut self.before_retry,
            "on_event" => &mut self.on_event,
            "with_body" => {
                self.with_body = value.is_truthy()?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        if !value.is_none() && !value.is_callable() {
            // Found out when it is asked, or told, it would be too late: something was sent.
            return Err(PyTypeError::new_err(format!("{name}: must be a function, got {}", value.get_type().name()?)));
        }
        *slot = (!value.is_none()).then(|| value.clone().unbind());
        Ok(true)
    }

    pub fn copy(&self, py: Python<'_>) -> Self {
        let copy = |callback: &Option<Py<PyAny>>| callback.as_ref().map(|callback| callback.clone_ref(py));
        Callbacks {
            retry_if: copy(&self.retry_if),
            delay: copy(&self.delay),
            before_retry: copy(&self.before_retry),
            before_attempt: copy(&self.before_attempt),
            told: copy(&self.told),
            on_event: copy(&self.on_event),
            with_body: self.with_body,
            sources: Vec::new(),
        }
    }

    /// `log`: what the log takes: nothing, warnings, or all.
    pub fn wants(&self, log: u8) -> Wants {
        Wants {
            retry_if: self.retry_if.is_some(),
            body: self.with_body,
            delay: self.delay.is_some(),
            before_retry: self.before_retry.is_some(),
            before_attempt: self.before_attempt.is_some(),
            events: log > 1 || self.on_event.is_some() || self.before_attempt.is_some(),
            notices: log > 0,
        }
    }

    pub fn visit(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.sources.iter().try_for_each(|source| visit.call(source))?;
        [&self.retry_if, &self.delay, &self.before_retry, &self.before_attempt, &self.told, &self.on_event]
            .into_iter()
            .flatten()
            .try_for_each(|callback| visit.call(callback))
    }

    /// Who is asked, and what with.
    fn question<'py>(&self, py: Python<'py>, asked: &Asked) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let nobody = || PyRuntimeError::new_err("nobody to ask");
        let (callback, arguments) = match asked {
            Asked::Pull(pull) => {
                let wanted = pull.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|pull| (pull.source, pull.first));
                let (source, first) = wanted.ok_or_else(nobody)?;
                let source = self.sources.get(source).ok_or_else(nobody)?;
                return Ok((source.bind(py).getattr(intern!(py, "next"))?, PyTuple::new(py, [first])?));
            }
            Asked::RetryIf(attempt) => (&self.retry_if, PyTuple::new(py, [attempt])?),
            Asked::Delay(attempt) => (&self.delay, PyTuple::new(py, [attempt])?),
            Asked::BeforeAttempt(start) => (&self.before_attempt, PyTuple::new(py, [start])?),
            Asked::BeforeRetry(attempt, request) => {
                (&self.before_retry, PyTuple::new(py, [attempt.bind(py).as_any(), request.bind(py).as_any()])?)
            }
        };
        Ok((callback.as_ref().ok_or_else(nobody)?.bind(py).clone(), arguments))
    }
}

/// A question with what it hands to the callback.
pub enum Asked {
    RetryIf(Py<Attempt>),
    Delay(Py<Attempt>),
    BeforeRetry(Py<Attempt>, Py<Request>),
    BeforeAttempt(Py<Event>),
    /// The next piece of the body; its reply goes where it came from.
    Pull(Mutex<Option<Pull>>),
}

impl Asked {
    pub fn new(py: Python<'_>, question: Question) -> PyResult<Self> {
        let attempt = |attempt: Box<client::Attempt>| Py::new(py, Attempt(*attempt));
        Ok(match question {
            Question::RetryIf(about) => Asked::RetryIf(attempt(about)?),
            Question::Delay(about) => Asked::Delay(attempt(about)?),
            Question::BeforeRetry(about, request) => Asked::BeforeRetry(attempt(about)?, Py::new(py, Request::new(*request))?),
            Question::BeforeAttempt(start) => Asked::BeforeAttempt(Py::new(py, Event(*start))?),
            question => return Err(PyRuntimeError::new_err(format!("unknown question {question:?}"))),
        })
    }

    /// What an answer means to the core; `None` if it went where it belongs.
    pub fn reply(&self, answer: &Bound<'_, PyAny>) -> PyResult<Option<Reply>> {
        let py = answer.py();
        let core = |error: reknock::Error| raised(py, &error);
        Ok(Some(match self {
            Asked::Pull(pull) => {
                let piece = piece(answer)?;
                if let Some(pull) = pull.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    // The attempt it was for may be over.
                    let _ = pull.reply.send(piece);
                }
                return Ok(None);
            }
            Asked::RetryIf(_) => Reply::Opinion(opinion_of(answer)?),
            Asked::Delay(_) => Reply::Delay(delay_from_value(&to_value(answer)?, UNIT).map_err(core)?),
            Asked::BeforeAttempt(_) => Reply::Fields(fields_of(answer)?),
            Asked::BeforeRetry(_, request) => match request.get().take() {
                Some(request) => Reply::Request(Box::new(request)),
                None => return Err(PyRuntimeError::new_err("the request has been sent")),
            },
        }))
    }
}

/// What a `before_attempt` returned: header fields as those of a request, or None.
fn fields_of(answer: &Bound<'_, PyAny>) -> PyResult<HeaderMap> {
    let mut fields = HeaderMap::new();
    let given = if answer.is_none() { Vec::new() } else { header_fields(answer)? };
    for (name, value) in given {
        let value = value.as_deref().map(HeaderValue::from_str);
        match (HeaderName::from_bytes(name.as_bytes()), value) {
            (Ok(name), Some(Ok(value))) => fields.append(name, value),
            _ => return Err(PyValueError::new_err("before_attempt: a header field that is none")),
        };
    }
    Ok(fields)
}

/// What a `retry_if` returned.
pub fn opinion_of(answer: &Bound<'_, PyAny>) -> PyResult<Opinion> {
    Opinion::from_value(&to_value(answer)?, UNIT).map_err(|error| raised(answer.py(), &error))
}

/// What happened to a call, when it is more than its result. Python's frames tell and ask: see `reknock/_calls.py`.
#[pyclass(frozen, module = "reknock._native")]
pub struct Turn {
    /// Of an asynchronous call.
    pub id: u64,
    pub callbacks: Arc<Callbacks>,
    pub asked: Option<Asked>,
    pub events: Mutex<Vec<client::Event>>,
    /// Of a call that is over, until it is taken.
    pub result: Mutex<Option<PyResult<Py<PyAny>>>>,
    pub over: bool,
    /// A blocking call that goes on when it is answered.
    pub work: Mutex<Option<Box<Work>>>,
}

impl Turn {
    /// What goes on, and asks something or has something to tell.
    pub fn on(id: u64, callbacks: Arc<Callbacks>, asked: Option<Asked>, events: Vec<client::Event>, work: Option<Box<Work>>) -> Self {
        let (events, work) = (Mutex::new(events), Mutex::new(work));
        Turn { id, callbacks, asked, events, result: Mutex::default(), over: false, work }
    }

    /// What is over, and has something to tell first.
    pub fn over(id: u64, callbacks: Arc<Callbacks>, events: Vec<client::Event>, result: PyResult<Py<PyAny>>) -> Self {
        Turn { result: Mutex::new(Some(result)), over: true, ..Turn::on(id, callbacks, None, events, None) }
    }

    /// The reply to post for an answer, or what it raised.
    pub fn reply(&self, answer: &Bound<'_, PyAny>) -> PyResult<Option<Reply>> {
        self.asked.as_ref().map_or(Ok(None), |asked| asked.reply(answer))
    }

    /// What it has to tell observers.
    pub fn take_events(&self) -> Vec<client::Event> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nobody answers for a piece of the body that was asked for.
    pub fn drop_pull(&self) {
        if let Some(Asked::Pull(pull)) = &self.asked {
            let pull = pull.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(pull);
        }
    }

    fn take_work(&self) -> Option<Box<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Turn {
    /// The number of the call.
    #[getter]
    fn id(&self) -> u64 {
        self.id
    }

    /// Whether it is over, and has a result.
    #[getter]
    #[pyo3(name = "over")]
    fn is_over(&self) -> bool {
        self.over
    }

    /// What is to be told first, once.
    fn events(&self) -> Vec<Event> {
        self.take_events().into_iter().map(Event).collect()
    }

    /// Who is to be told, besides the log: telemetry, and the caller's observer.
    fn observers(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        [&self.callbacks.told, &self.callbacks.on_event].into_iter().flatten().map(|observer| observer.clone_ref(py)).collect()
    }

    /// The callback and its arguments; None if the call asks nothing.
    fn question<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyTuple>)>> {
        self.asked.as_ref().map(|asked| self.callbacks.question(py, asked)).transpose()
    }

    /// Goes on with a blocking call; returns what comes next.
    fn answer(&self, answer: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let _ours = Ours::here();
        let Some(mut work) = self.take_work() else { return Err(PyRuntimeError::new_err("nothing was asked")) };
        match self.reply(answer) {
            Ok(reply) => {
                work.answered(reply);
                work.run(answer.py())
            }
            Err(error) => {
                *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
                Err(error)
            }
        }
    }

    /// What was asked has failed: goes on with a blocking call, which ends with that.
    fn fail(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let _ours = Ours::here();
        let Some(mut work) = self.take_work() else { return Err(PyRuntimeError::new_err("nothing was asked")) };
        self.drop_pull();
        work.failed();
        work.run(py)
    }

    /// Ends a blocking call that waits for its answer. It may have more to tell then.
    fn cancel(&self, py: Python<'_>) {
        let _ours = Ours::here();
        if let Some(work) = self.take_work() {
            let last = work.close(py);
            self.events.lock().unwrap_or_else(PoisonError::into_inner).extend(last);
        }
    }

    /// The result of a call that is over, once: the exception that it may be keeps the frame that has this, in a circle that nobody would see.
    fn result(&self) -> PyResult<Py<PyAny>> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.unwrap_or_else(|| Err(PyRuntimeError::new_err("there is no result, or it was taken")))
    }

    fn __repr__(&self) -> String {
        format!("<Turn of call {}>", self.id)
    }
}

/// Gives what an observer raised to `sys.unraisablehook`.
#[pyfunction]
pub fn unraisable(error: &Bound<'_, PyAny>, observer: Option<&Bound<'_, PyAny>>) {
    let _ours = Ours::here();
    PyErr::from_value(error.clone()).write_unraisable(error.py(), observer);
}
