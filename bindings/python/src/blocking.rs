//! Blocking calls: the calling thread runs the call, with the interpreter released.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use reknock::client::{Event, Host, Question, Reply, Wants, runtime};
use reknock::{BoxError, Error};
use tokio::sync::{mpsc, oneshot};

use crate::body::{Outlet, Pull};
use crate::call::Call;
use crate::callbacks::{Asked, Callbacks};
use crate::errors::raised;
use crate::response::Response;
use crate::stream::StreamParts;

/// How long a signal (Ctrl-C) may have to wait before Python looks at it.
const SLICE: Duration = Duration::from_millis(50);

/// Brings a call's questions to the thread that runs it.
struct ThreadHost {
    wants: Wants,
    questions: mpsc::UnboundedSender<(Question, oneshot::Sender<Reply>)>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Host for ThreadHost {
    fn wants(&self) -> Wants {
        self.wants
    }

    async fn ask(&mut self, question: Question) -> Result<Reply, BoxError> {
        let (sender, reply) = oneshot::channel();
        let _ = self.questions.send((question, sender));
        // Nobody answers any more only when the call is being dropped.
        Ok(reply.await?)
    }

    fn tell(&mut self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

enum Step<T> {
    Done(T),
    Asked(Question, oneshot::Sender<Reply>),
    Pull(Pull),
    Slice,
}

/// Sends a call and reads the whole response.
pub fn send(py: Python<'_>, call: Call, log: bool) -> PyResult<Py<PyAny>> {
    let Call { client, request, options, callbacks, outlet } = call;
    let run = |host| async move { client.send_with(request, &options, host).await };
    Response::object(py, with_callbacks(py, &callbacks, log, &outlet, run)?)
}

/// Sends a call and hands out the response once its head is there.
pub fn stream(py: Python<'_>, call: Call, log: bool) -> PyResult<StreamParts> {
    let Call { client, request, options, callbacks, outlet } = call;
    let run = |host| async move { client.stream_with(request, &options, host).await };
    Ok(StreamParts::new(with_callbacks(py, &callbacks, log, &outlet, run)?))
}

/// Runs something that has no callbacks.
pub fn run<T: Send>(py: Python<'_>, work: impl Future<Output = T> + Send) -> PyResult<T> {
    let (mut work, mut asked) = (pin!(work), Asking::none());
    loop {
        match step(py, work.as_mut(), &mut asked)? {
            Step::Done(result) => return Ok(result),
            _ => py.check_signals()?,
        }
    }
}

/// What a call asks of the thread that runs it.
struct Asking {
    questions: mpsc::UnboundedReceiver<(Question, oneshot::Sender<Reply>)>,
    pulls: mpsc::UnboundedReceiver<Pull>,
}

impl Asking {
    fn none() -> Self {
        Asking { questions: mpsc::unbounded_channel().1, pulls: mpsc::unbounded_channel().1 }
    }
}

fn with_callbacks<T: Send, F>(
    py: Python<'_>,
    callbacks: &Callbacks,
    log: bool,
    outlet: &Outlet,
    start: impl FnOnce(ThreadHost) -> F,
) -> PyResult<T>
where
    F: Future<Output = Result<T, Error>> + Send,
{
    let (sender, questions) = mpsc::unbounded_channel();
    let (pull, pulls) = mpsc::unbounded_channel();
    let mut asking = Asking { questions, pulls };
    // Fails for an outlet that is in use, and a call is sent once.
    let _ = outlet.set(Box::new(move |asked| drop(pull.send(asked))));
    let events = Arc::default();
    let host = ThreadHost { wants: callbacks.wants(log), questions: sender, events: Arc::clone(&events) };
    let tell = || callbacks.tell(py, std::mem::take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner)));
    let mut work = pin!(start(host));
    loop {
        match step(py, work.as_mut(), &mut asking)? {
            Step::Done(result) => {
                tell();
                return result.map_err(|error| raised(py, &error));
            }
            Step::Asked(question, reply) => {
                tell();
                let asked = Asked::new(py, question)?;
                let answer = callbacks.ask(py, &asked)?;
                if let Some(answer) = asked.reply(&answer)? {
                    let _ = reply.send(answer);
                }
            }
            Step::Pull(pull) => {
                let asked = Asked::Pull(Mutex::new(Some(pull)));
                asked.reply(&callbacks.ask(py, &asked)?)?;
            }
            Step::Slice => py.check_signals()?,
        }
    }
}

/// Runs the call until something is to be done with the interpreter.
fn step<T: Send, F: Future<Output = T> + Send>(py: Python<'_>, work: Pin<&mut F>, asking: &mut Asking) -> PyResult<Step<T>> {
    let stepped = py.detach(|| {
        let runtime = runtime()?;
        Ok(runtime.block_on(async {
            tokio::select! {
                biased;
                result = work => Step::Done(result),
                Some((question, reply)) = asking.questions.recv() => Step::Asked(question, reply),
                Some(pull) = asking.pulls.recv() => Step::Pull(pull),
                () = tokio::time::sleep(SLICE) => Step::Slice,
            }
        }))
    });
    stepped.map_err(|error: Error| raised(py, &error))
}
