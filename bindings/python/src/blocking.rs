//! Blocking calls: the calling thread runs the call, with the interpreter released.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::time::Duration;

use pyo3::prelude::*;
use reknock::Error;
use reknock::client::{ChannelHost, HostMessages, HostReceiver, Wants};
use tokio::sync::mpsc;

use crate::body::{Outlet, Pull};
use crate::call::Call;
use crate::callbacks::{Asked, Callbacks};
use crate::engine::CoreLane;
use crate::errors::raised;
use crate::response::Response;
use crate::stream::StreamParts;

/// How long a signal (Ctrl-C) may have to wait before Python looks at it.
const SLICE: Duration = Duration::from_millis(50);

/// Other threads than the main one are never shown any.
const LONG: Duration = Duration::from_secs(3600);

/// Sends a call and reads the whole response.
pub fn send(py: Python<'_>, call: Call, log: u8) -> PyResult<Py<PyAny>> {
    let Call { client, request, options, callbacks, outlet } = call;
    let lane = client.lane().map_err(|error| raised(py, &error))?;
    let mut pulls = pulls(&callbacks, &outlet);
    let response = with_callbacks(py, &lane, &callbacks, log, &mut pulls, |host| lane.send_with(request, &options, host))?;
    lane.settle();
    Response::object(py, response)
}

/// Sends a call and hands out the response once its head is there.
pub fn stream(py: Python<'_>, call: Call, log: u8) -> PyResult<StreamParts> {
    let Call { client, request, options, callbacks, outlet } = call;
    let lane = client.lane().map_err(|error| raised(py, &error))?;
    let mut pulls = pulls(&callbacks, &outlet);
    let stream = with_callbacks(py, &lane, &callbacks, log, &mut pulls, |host| lane.stream_with(request, &options, host))?;
    Ok(StreamParts::on_lane(stream, OnLane { lane, callbacks, pulls }))
}

/// What a streamed body is read on.
pub struct OnLane {
    lane: CoreLane,
    /// They produce the request's body, which may still be going out.
    pub callbacks: Callbacks,
    pulls: Pulls,
}

impl OnLane {
    /// For the next read of the body, after one that ended so: as [`CoreLane::after`].
    pub fn after<P>(self, read: &Result<Option<P>, Error>) -> Option<Self> {
        let OnLane { lane, callbacks, pulls } = self;
        lane.after(read).map(|lane| OnLane { lane, callbacks, pulls })
    }

    /// Runs something that asks nothing, and what the request's body asks for meanwhile.
    pub fn run<T: Send>(&mut self, py: Python<'_>, work: impl Future<Output = T> + Send) -> PyResult<T> {
        let OnLane { lane, callbacks, pulls } = self;
        let mut thread = Thread { lane, slice: SLICE, pulls };
        let (receiver, mut work) = (HostReceiver::new(Wants::default()).1, pin!(work));
        loop {
            match thread.step(py, work.as_mut(), &receiver)? {
                Step::Done(result) => return Ok(result),
                Step::Pull(pull) => produce(py, callbacks, pull)?,
                Step::Messages | Step::Slice => thread.look(py)?,
            }
        }
    }
}

fn produce(py: Python<'_>, callbacks: &Callbacks, pull: Pull) -> PyResult<()> {
    let asked = Asked::Pull(Mutex::new(Some(pull)));
    asked.reply(&callbacks.ask(py, &asked)?)?;
    Ok(())
}

/// Where the pieces of a call's body are asked for; `None` if nothing is produced.
fn pulls(callbacks: &Callbacks, outlet: &Outlet) -> Pulls {
    if callbacks.sources.is_empty() {
        return None;
    }
    let (pull, pulls) = mpsc::unbounded_channel();
    // Fails for an outlet that is in use, and a call is sent once.
    let _ = outlet.set(Box::new(move |asked| drop(pull.send(asked))));
    Some(pulls)
}

fn with_callbacks<T: Send, F>(
    py: Python<'_>,
    lane: &CoreLane,
    callbacks: &Callbacks,
    log: u8,
    pulls: &mut Pulls,
    start: impl FnOnce(ChannelHost) -> F,
) -> PyResult<T>
where
    F: Future<Output = Result<T, Error>> + Send,
{
    let mut thread = Thread { lane, slice: SLICE, pulls };
    let (host, receiver) = HostReceiver::new(callbacks.wants(log));
    let mut work = pin!(start(host));
    loop {
        let step = thread.step(py, work.as_mut(), &receiver)?;
        let HostMessages { events, question } = receiver.take();
        callbacks.tell(py, events)?;
        match step {
            Step::Done(result) => return result.map_err(|error| raised(py, &error)),
            Step::Messages => {}
            Step::Pull(pull) => produce(py, callbacks, pull)?,
            Step::Slice => thread.look(py)?,
        }
        if let Some((question, answer)) = question {
            let asked = Asked::new(py, question)?;
            if let Some(reply) = asked.reply(&callbacks.ask(py, &asked)?)? {
                answer.reply(Ok(reply));
            }
        }
    }
}

enum Step<T> {
    Done(T),
    /// There is something on the receiver.
    Messages,
    Pull(Pull),
    Slice,
}

/// The calling thread at work.
struct Thread<'a> {
    lane: &'a CoreLane,
    slice: Duration,
    pulls: &'a mut Pulls,
}

type Pulls = Option<mpsc::UnboundedReceiver<Pull>>;

impl Thread<'_> {
    /// Runs the call until something is to be done with the interpreter.
    fn step<T: Send, F: Future<Output = T> + Send>(
        &mut self,
        py: Python<'_>,
        work: Pin<&mut F>,
        receiver: &HostReceiver,
    ) -> PyResult<Step<T>> {
        let Thread { lane, slice, pulls } = self;
        let stepped = py.detach(|| {
            let something = pin!(async {
                tokio::select! {
                    biased;
                    result = work => Step::Done(result),
                    () = receiver.wanted() => Step::Messages,
                    Some(pull) = pulled(pulls) => Step::Pull(pull),
                }
            });
            lane.block_for(*slice, something)
        });
        let stepped = stepped.map(|step| step.unwrap_or(Step::Slice));
        stepped.map_err(|error| raised(py, &error))
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
