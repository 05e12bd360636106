//! Blocking calls: the calling thread runs the call, with the interpreter released.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use reknock::client::{self, Event, Host, Question, Reply, Wants, runtime};
use reknock::{BoxError, Error};
use tokio::sync::{mpsc, oneshot};

use crate::call::Call;
use crate::callbacks::{Asked, Callbacks};
use crate::errors::raised;
use crate::response::Response;

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
    Slice,
}

/// Sends a call and reads the whole response.
pub fn send(py: Python<'_>, call: Call, log: bool) -> PyResult<Py<PyAny>> {
    let Call { client, request, options, callbacks } = call;
    let run = |host| async move { client.send_with(request, &options, host).await };
    let response: client::Response = with_callbacks(py, &callbacks, log, run)?;
    Response::object(py, response)
}

fn with_callbacks<T: Send, F>(py: Python<'_>, callbacks: &Callbacks, log: bool, start: impl FnOnce(ThreadHost) -> F) -> PyResult<T>
where
    F: Future<Output = Result<T, Error>> + Send,
{
    let (sender, mut questions) = mpsc::unbounded_channel();
    let events = Arc::default();
    let host = ThreadHost { wants: callbacks.wants(log), questions: sender, events: Arc::clone(&events) };
    let tell = || callbacks.tell(py, std::mem::take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner)));
    let mut work = pin!(start(host));
    loop {
        match step(py, work.as_mut(), &mut questions)? {
            Step::Done(result) => {
                tell();
                return result.map_err(|error| raised(py, &error));
            }
            Step::Asked(question, reply) => {
                tell();
                let asked = Asked::new(py, question)?;
                let answer = callbacks.ask(py, &asked)?;
                let _ = reply.send(asked.reply(&answer)?);
            }
            Step::Slice => py.check_signals()?,
        }
    }
}

type Questions = mpsc::UnboundedReceiver<(Question, oneshot::Sender<Reply>)>;

/// Runs the call until something is to be done with the interpreter.
fn step<T: Send, F: Future<Output = T> + Send>(py: Python<'_>, work: Pin<&mut F>, questions: &mut Questions) -> PyResult<Step<T>> {
    let stepped = py.detach(|| {
        let runtime = runtime()?;
        Ok(runtime.block_on(async {
            tokio::select! {
                biased;
                result = work => Step::Done(result),
                Some((question, reply)) = questions.recv() => Step::Asked(question, reply),
                () = tokio::time::sleep(SLICE) => Step::Slice,
            }
        }))
    });
    stepped.map_err(|error: Error| raised(py, &error))
}
