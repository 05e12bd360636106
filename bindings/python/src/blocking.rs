//! Blocking calls: the calling thread runs the call, with the interpreter released, from one turn to the next.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pyo3::prelude::*;
use reknock::BoxError;
use reknock::client::testing::{EngineLane, EngineStream};
use reknock::client::{AnswerSender, ChannelHost, Event, EventKind, HostReceiver, Reply, Wants};
use tokio::sync::mpsc;

use crate::body::{Outlet, Pull};
use crate::bridge::Outcome;
use crate::call::Call;
use crate::callbacks::{Asked, Callbacks, Turn};
use crate::errors::raised;
use crate::response::Response;
use crate::stream::{Place, StreamParts, object};

/// How long a signal (Ctrl-C) may have to wait before Python looks at it.
const SLICE: Duration = Duration::from_millis(50);

/// Other threads than the main one are never shown any.
const LONG: Duration = Duration::from_secs(3600);

/// Sends a call and reads the whole response; returns that or a turn.
pub fn send(py: Python<'_>, call: Call, log: u8) -> PyResult<Py<PyAny>> {
    let Call { client, request, options, callbacks, outlet } = call;
    let lane = client.lane().map_err(|error| raised(py, &error))?;
    let on = OnLane::new(lane, callbacks, &outlet);
    let wants = on.callbacks.wants(log);
    Work::new(on, wants, |lane, host| async move { Outcome::Response(lane.send_with(request, &options, host).await) }).run(py)
}

/// Sends a call and hands out the response once its head is there; returns that or a turn.
pub fn stream(py: Python<'_>, call: Call, log: u8) -> PyResult<Py<PyAny>> {
    let Call { client, request, options, callbacks, outlet } = call;
    let lane = client.lane().map_err(|error| raised(py, &error))?;
    let on = OnLane::new(lane, callbacks, &outlet);
    let wants = on.callbacks.wants(log);
    Work::new(on, wants, |lane, host| async move { Outcome::Stream(lane.stream_with(request, &options, host).await) }).run(py)
}

/// Reads the next piece of a streamed body; returns it, None at the end, or a turn.
pub fn piece(py: Python<'_>, mut stream: EngineStream, on: OnLane, place: Arc<Place>) -> PyResult<Py<PyAny>> {
    Work::new(on, Wants::default(), |_, _| async move { Outcome::Piece(stream.chunk().await, stream, place) }).run(py)
}

/// What a call runs on, and with it the reads of its body.
pub struct OnLane {
    lane: Arc<EngineLane>,
    /// They produce the request's body, which may still be going out.
    pub callbacks: Arc<Callbacks>,
    pulls: Pulls,
}

/// Where the pieces of a call's body are asked for; `None` if nothing is produced.
type Pulls = Option<mpsc::UnboundedReceiver<Pull>>;

impl OnLane {
    fn new(lane: EngineLane, callbacks: Callbacks, outlet: &Outlet) -> Self {
        let mut pulls = None;
        if !callbacks.sources.is_empty() {
            let (pull, asked) = mpsc::unbounded_channel();
            // Fails for an outlet that is in use, and a call is sent once.
            let _ = outlet.set(Box::new(move |asked| drop(pull.send(asked))));
            pulls = Some(asked);
        }
        OnLane { lane: Arc::new(lane), callbacks: Arc::new(callbacks), pulls }
    }
}

/// A blocking call between two stretches of the calling thread.
pub struct Work {
    // In this order: the lane closes what the call leaves.
    future: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    on: OnLane,
    receiver: HostReceiver,
    slice: Duration,
    /// What it has asked, in order; the first is with Python.
    asked: VecDeque<(Asked, Option<AnswerSender>)>,
    answer: Option<AnswerSender>,
    /// What is told with what comes next.
    held: Vec<Event>,
}

enum Step {
    Done(Box<Outcome>),
    /// There is something on the receiver.
    Messages,
    Pull(Pull),
    Slice,
}

impl Work {
    fn new<F>(on: OnLane, wants: Wants, start: impl FnOnce(Arc<EngineLane>, ChannelHost) -> F) -> Box<Self>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (host, receiver) = HostReceiver::new(wants);
        let future = Box::pin(start(Arc::clone(&on.lane), host));
        Box::new(Work { future, on, receiver, slice: SLICE, asked: VecDeque::new(), answer: None, held: Vec::new() })
    }

    /// Takes the reply to what Python was asked last; `None` went where it belongs.
    pub fn answered(&mut self, reply: Option<Reply>) {
        if let (Some(answer), Some(reply)) = (self.answer.take(), reply) {
            answer.reply(Ok(reply));
        }
    }

    /// What Python was asked last, or was to ask next, has failed: the call ends with that, and with its records.
    pub fn failed(&mut self) {
        let waiting = std::mem::take(&mut self.asked).into_iter().filter_map(|(_, answer)| answer);
        for answer in self.answer.take().into_iter().chain(waiting) {
            answer.reply(Err(BoxError::from("see the exception")));
        }
    }

    /// Runs it until it is over, or has something to tell or to ask.
    pub fn run(mut self: Box<Self>, py: Python<'_>) -> PyResult<Py<PyAny>> {
        loop {
            let mut events = std::mem::take(&mut self.held);
            if self.asked.is_empty() {
                let step = match self.step(py) {
                    Ok(step) => step,
                    Err(error) => {
                        let callbacks = Arc::clone(&self.on.callbacks);
                        events.extend((*self).close(py));
                        if events.is_empty() {
                            return Err(error);
                        }
                        return Ok(Py::new(py, Turn::over(0, callbacks, events, Err(error)))?.into_any());
                    }
                };
                let told = self.receiver.take();
                events.extend(told.events);
                match step {
                    Step::Done(outcome) => return (*self).over(py, *outcome, events),
                    Step::Pull(pull) => self.asked.push_back((Asked::Pull(Mutex::new(Some(pull))), None)),
                    Step::Messages | Step::Slice => {}
                }
                if let Some((question, answer)) = told.question {
                    self.asked.push_back((Asked::new(py, question)?, Some(answer)));
                }
            }
            let asked = self.asked.pop_front().map(|(asked, answer)| {
                self.answer = answer;
                asked
            });
            if asked.is_none() && self.waits(&events) {
                self.held = events;
            } else {
                let callbacks = Arc::clone(&self.on.callbacks);
                return Ok(Py::new(py, Turn::on(0, callbacks, asked, events, Some(self)))?.into_any());
            }
        }
    }

    /// Whether these are nothing to stop for: telemetry knows of an attempt's start, and the log need not be told at once.
    fn waits(&self, events: &[Event]) -> bool {
        let nobody = self.on.callbacks.on_event.is_none();
        events.iter().all(|event| nobody && matches!(event.kind, EventKind::AttemptStart { .. }))
    }

    /// Ends it, whatever its state; returns what is still to be told of it.
    pub fn close(self, py: Python<'_>) -> Vec<Event> {
        let Work { future, on: OnLane { lane, callbacks, pulls }, receiver, mut held, .. } = self;
        py.detach(|| drop((future, lane, pulls)));
        drop(callbacks);
        held.extend(receiver.take().events);
        held
    }

    /// What it comes to.
    fn over(self, py: Python<'_>, outcome: Outcome, events: Vec<Event>) -> PyResult<Py<PyAny>> {
        let Work { future, on, .. } = self;
        drop(future);
        let callbacks = Arc::clone(&on.callbacks);
        let result = match outcome {
            Outcome::Response(Ok(response)) => {
                if let Some(lane) = Arc::into_inner(on.lane) {
                    lane.settle();
                }
                Response::object(py, response)
            }
            Outcome::Stream(Ok(stream)) => Py::new(py, StreamParts::on_lane(stream, on)).map(Py::into_any),
            Outcome::Piece(piece, stream, place) => {
                let OnLane { lane, callbacks, pulls } = on;
                let lane = Arc::into_inner(lane).and_then(|lane| lane.after(&piece));
                let on = lane.map(|lane| Box::new(OnLane { lane: Arc::new(lane), callbacks, pulls }));
                place.put_with_lane(stream, on);
                piece.map_err(|error| raised(py, &error)).and_then(|piece| object(py, piece))
            }
            Outcome::Response(Err(error)) | Outcome::Stream(Err(error)) => {
                py.detach(|| drop(on));
                Err(raised(py, &error))
            }
        };
        if events.is_empty() {
            return result;
        }
        Ok(Py::new(py, Turn::over(0, callbacks, events, result))?.into_any())
    }

    /// Runs it until something is to be done with the interpreter.
    fn step(&mut self, py: Python<'_>) -> PyResult<Step> {
        let Work { future, on: OnLane { lane, pulls, .. }, receiver, slice, .. } = self;
        let stepped = py.detach(|| {
            let something = pin!(async {
                tokio::select! {
                    biased;
                    outcome = future.as_mut() => Step::Done(Box::new(outcome)),
                    () = receiver.wanted() => Step::Messages,
                    Some(pull) = pulled(pulls) => Step::Pull(pull),
                }
            });
            lane.block_for(*slice, something)
        });
        let step = stepped.map_err(|error| raised(py, &error))?.unwrap_or(Step::Slice);
        if matches!(step, Step::Slice) {
            self.look(py)?;
        }
        Ok(step)
    }

    /// Looks for signals, or learns that there is no need to.
    fn look(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.slice == SLICE {
            let threading = py.import("threading")?;
            if !threading.call_method0("current_thread")?.is(&threading.call_method0("main_thread")?) {
                self.slice = LONG;
            }
        }
        py.check_signals()
    }
}

async fn pulled(pulls: &mut Pulls) -> Option<Pull> {
    match pulls {
        Some(pulls) => pulls.recv().await,
        None => None,
    }
}
