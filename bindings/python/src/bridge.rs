//! Asynchronous calls: one bridge per event loop, between its thread and the runtime.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, intern};
use reknock::client::queue::{Delivery, Item, Queue, QueueHost};
use reknock::client::testing::EngineStream;
use reknock::client::{self, Wants, process_id, runtime};
use reknock::{BoxError, Error};

use crate::body::Pull;
use crate::call::{Call, NativeCall};
use crate::callbacks::{Asked, Callbacks, Turn};
use crate::ending::Ours;
use crate::errors::raised;
use crate::response::Response;
use crate::stream::{Place, Stream, StreamParts, object};
use crate::wake::Wake;

/// What a submission to the runtime gives.
pub enum Outcome {
    Response(Result<client::Response, Error>),
    Stream(Result<EngineStream, Error>),
    /// A piece of a streamed body, and the rest of it with the place where it lives.
    Piece(Result<Option<Bytes>, Error>, EngineStream, Arc<Place>),
}

/// A call on the loop's side.
struct Slot {
    /// What its coroutine waits for.
    future: Option<Py<PyAny>>,
    /// What came while nobody waited.
    ready: VecDeque<PyResult<Py<PyAny>>>,
    /// The end, if it came then: it overtakes what is ready, which is about a call that is over.
    end: Option<PyResult<Py<PyAny>>>,
    /// The task that runs a callback of it, or produces its body: interrupted when the call ends. Whatever else comes waits, as nobody
    /// would answer what was interrupted.
    task: Option<Py<PyAny>>,
    /// It was interrupted: one of the task's cancellations is ours.
    interrupted: bool,
    callbacks: Arc<Callbacks>,
    events: bool,
}

impl Slot {
    fn new(future: Option<Py<PyAny>>, callbacks: Callbacks, events: bool) -> Self {
        Slot { future, ready: VecDeque::new(), end: None, task: None, interrupted: false, callbacks: Arc::new(callbacks), events }
    }
}

/// Takes an event loop's calls to the runtime and their results back. All methods are for the loop's thread.
#[pyclass(frozen, weakref, module = "reknock._native")]
pub struct Bridge {
    /// `None` once cleared.
    queue: Mutex<Option<Queue<Outcome>>>,
    wake: Arc<Wake>,
    slots: Mutex<HashMap<u64, Slot>>,
    create_future: Mutex<Option<Py<PyAny>>>,
    pulls: Pulls,
    pid: u32,
}

/// Pieces of bodies that calls ask for, by the number of the slot where they are produced.
type Pulls = Arc<Mutex<Vec<(Arc<AtomicU64>, Pull)>>>;

/// Added to a streamed call's number, it is that of the slot for its body, which goes out for as long as the response comes in.
const UPLOAD: u64 = 1 << 63;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl Bridge {
    /// `sockets` makes the descriptor a socket, for loops that only watch these.
    #[new]
    #[pyo3(signature = (event_loop, sockets=false))]
    fn new(event_loop: &Bound<'_, PyAny>, sockets: bool) -> PyResult<Self> {
        let _ours = Ours::here();
        let wake = Arc::new(Wake::new(sockets).map_err(|error| PyOSError::new_err(error.to_string()))?);
        let waker = Arc::clone(&wake);
        Ok(Bridge {
            queue: Mutex::new(Some(Queue::new(move || waker.wake()))),
            wake,
            slots: Mutex::default(),
            create_future: Mutex::new(Some(event_loop.getattr("create_future")?.unbind())),
            pulls: Pulls::default(),
            pid: process_id(),
        })
    }

    /// Becomes readable when `drain` has something to do.
    fn fileno(&self) -> RawFd {
        self.wake.fileno()
    }

    /// Calls that are not over.
    #[getter]
    fn in_flight(&self) -> usize {
        lock(&self.slots).keys().filter(|id| **id < UPLOAD).count()
    }

    /// Begins a call; returns its number and a future of what comes first.
    fn send(&self, py: Python<'_>, call: &NativeCall, log: u8, streamed: bool) -> PyResult<(u64, Py<PyAny>)> {
        let _ours = Ours::here();
        let Call { client, request, options, mut callbacks, outlet } = call.take()?;
        let wants = callbacks.wants(log);
        let number = Arc::new(AtomicU64::new(0));
        if !callbacks.sources.is_empty() {
            let (pulls, wake, number) = (Arc::clone(&self.pulls), Arc::clone(&self.wake), Arc::clone(&number));
            // Fails for an outlet that is in use, and a call is sent once.
            let _ = outlet.set(Box::new(move |pull| {
                lock(&pulls).push((Arc::clone(&number), pull));
                wake.wake();
            }));
        }
        let sources = if streamed { std::mem::take(&mut callbacks.sources) } else { Vec::new() };
        let (id, future) = self.submit(py, wants, callbacks, |host| async move {
            if streamed {
                return Outcome::Stream(client.stream_with(request, &options, host).await);
            }
            Outcome::Response(client.send_with(request, &options, host).await)
        })?;
        let mut producer = id;
        if !sources.is_empty() {
            producer += UPLOAD;
            let slot = Slot::new(None, Callbacks { sources, ..Callbacks::default() }, false);
            lock(&self.slots).insert(producer, slot);
        }
        number.store(producer, Ordering::Relaxed);
        Ok((id, future))
    }

    /// The number under which `next` and `answer` give a streamed call's body what it asks for; None if it asks for nothing.
    fn upload(&self, id: u64) -> Option<u64> {
        let upload = id + UPLOAD;
        lock(&self.slots).contains_key(&upload).then_some(upload)
    }

    /// Ends a call with an exception, unless its end or the head of its response was handed out.
    fn fail(&self, py: Python<'_>, id: u64, error: Bound<'_, PyAny>) {
        let _ours = Ours::here();
        if lock(&self.slots).contains_key(&id)
            && let Ok(queue) = self.queue()
        {
            let events = py.detach(|| queue.cancel(id));
            let error = Err(PyErr::from_value(error));
            let callbacks = lock(&self.slots).get(&id).map(|slot| Arc::clone(&slot.callbacks));
            let item = match callbacks {
                Some(callbacks) if !events.is_empty() => Py::new(py, Turn::over(id, callbacks, events, error)).map(Py::into_any),
                _ => error,
            };
            self.hand_over(py, id, item, true);
        }
    }

    /// Reads the next piece of a streamed body; returns its number and a future of bytes, or None at the end.
    fn piece(&self, py: Python<'_>, stream: &Bound<'_, Stream>) -> PyResult<(u64, Py<PyAny>)> {
        let _ours = Ours::here();
        let place = stream.get().place();
        let mut body = place.take(py)?;
        self.submit(py, Wants::default(), Callbacks::default(), |_| async move {
            let piece = body.chunk().await;
            Outcome::Piece(piece, body, place)
        })
    }

    /// Answers what a call asked; returns a future of what comes next.
    fn answer(&self, py: Python<'_>, turn: &Turn, answer: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let _ours = Ours::here();
        let reply = turn.reply(answer)?;
        let future = self.next(py, turn.id)?;
        if let Some(reply) = reply {
            self.queue()?.answer(turn.id, Ok(reply));
        }
        Ok(future)
    }

    /// What a call asked has failed: it ends with that; returns a future of what comes next.
    fn fail_answer(&self, py: Python<'_>, turn: &Turn) -> PyResult<Py<PyAny>> {
        let _ours = Ours::here();
        let future = self.next(py, turn.id)?;
        turn.drop_pull();
        self.queue()?.answer(turn.id, Err(BoxError::from("see the exception")));
        Ok(future)
    }

    /// A future of what comes next in a call.
    fn next(&self, py: Python<'_>, id: u64) -> PyResult<Py<PyAny>> {
        let _ours = Ours::here();
        let future = self.future(py)?;
        let mut slots = lock(&self.slots);
        let slot = slots.get_mut(&id).ok_or_else(|| PyRuntimeError::new_err("the call is over"))?;
        let task = slot.task.take();
        if let Some(end) = slot.end.take() {
            let gone = slots.remove(&id);
            drop(slots);
            if let (Ok(end), Some(slot)) = (&end, &gone) {
                earlier_events(py, &slot.ready, end);
            }
            drop((task, gone));
            settle(py, &future, end);
            return Ok(future);
        }
        match slot.ready.pop_front() {
            None => slot.future = Some(future.clone_ref(py)),
            Some(item) => {
                drop(slots);
                settle(py, &future, item);
            }
        }
        drop(task);
        Ok(future)
    }

    /// Whether the end of a call has come: what it asked before needs no answer.
    fn over(&self, id: u64) -> bool {
        lock(&self.slots).get(&id).is_none_or(|slot| slot.end.is_some())
    }

    /// Has `task`, which runs a callback of a call, cancelled when the call ends.
    fn watch(&self, id: u64, task: Py<PyAny>) {
        if let Some(slot) = lock(&self.slots).get_mut(&id) {
            slot.task = Some(task);
            slot.interrupted = false;
        }
    }

    /// Ends that; True if the task was cancelled from here. That something has come does not say so: the cancel may be the user's.
    fn unwatch(&self, id: u64) -> bool {
        let _ours = Ours::here();
        let mut slots = lock(&self.slots);
        let Some(slot) = slots.get_mut(&id) else { return false };
        let task = slot.task.take();
        let interrupted = std::mem::take(&mut slot.interrupted);
        drop(slots);
        drop(task);
        interrupted
    }

    /// Ends a call, whatever its state; returns what is still to be told of it, up to its end.
    fn cancel(&self, py: Python<'_>, id: u64) -> Option<Turn> {
        let _ours = Ours::here();
        let slot = lock(&self.slots).remove(&id)?;
        let queue = self.queue().ok().filter(|_| self.pid == process_id());
        let last = queue.map(|queue| py.detach(move || queue.cancel(id))).unwrap_or_default();
        let mut events = events_of(py, slot.ready.iter().chain(&slot.end));
        events.extend(last);
        (!events.is_empty()).then(|| Turn::on(id, Arc::clone(&slot.callbacks), None, events, None))
    }

    /// Settles the futures of what has come. Never runs user code.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let _ours = Ours::here();
        // First the descriptor, then the queue: the other way round loses wake-ups.
        self.wake.clear();
        for delivery in self.queue()?.take() {
            self.deliver(py, delivery)?;
        }
        for (number, pull) in std::mem::take(&mut *lock(&self.pulls)) {
            let id = number.load(Ordering::Relaxed);
            let callbacks = lock(&self.slots).get(&id).map(|slot| Arc::clone(&slot.callbacks));
            if let Some(callbacks) = callbacks {
                let asked = Some(Asked::Pull(Mutex::new(Some(pull))));
                let turn = Turn::on(id, callbacks, asked, Vec::new(), None);
                self.hand_over(py, id, Py::new(py, turn).map(Py::into_any), false);
            }
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(create) = self.create_future.try_lock() {
            create.as_ref().map_or(Ok(()), |create| visit.call(create))?;
        }
        let Ok(slots) = self.slots.try_lock() else { return Ok(()) };
        for slot in slots.values() {
            for object in [&slot.future, &slot.task].into_iter().flatten() {
                visit.call(object)?;
            }
            for item in slot.ready.iter().chain(&slot.end).flatten() {
                visit.call(item)?;
            }
            slot.callbacks.visit(visit)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let (create, slots) = (lock(&self.create_future).take(), std::mem::take(&mut *lock(&self.slots)));
        self.stop();
        drop((create, slots));
    }
}

impl Bridge {
    fn submit<F>(
        &self,
        py: Python<'_>,
        wants: Wants,
        callbacks: Callbacks,
        start: impl FnOnce(QueueHost<Outcome>) -> F,
    ) -> PyResult<(u64, Py<PyAny>)>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let runtime = runtime().map_err(|error| raised(py, &error))?;
        let future = self.future(py)?;
        let id = self.queue()?.submit(runtime, wants, start);
        let slot = Slot::new(Some(future.clone_ref(py)), callbacks, wants.events);
        lock(&self.slots).insert(id, slot);
        Ok((id, future))
    }

    fn queue(&self) -> PyResult<Queue<Outcome>> {
        lock(&self.queue).clone().ok_or_else(|| PyRuntimeError::new_err("the event loop is closed"))
    }

    fn future(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &*lock(&self.create_future) {
            Some(create) => create.call0(py),
            None => Err(PyRuntimeError::new_err("the event loop is closed")),
        }
    }

    fn deliver(&self, py: Python<'_>, delivery: Delivery<Outcome>) -> PyResult<()> {
        let Delivery { id, events, item } = delivery;
        let mut slots = lock(&self.slots);
        let Some(slot) = slots.get_mut(&id) else { return Ok(()) };
        let (callbacks, told) = (Arc::clone(&slot.callbacks), slot.events || !events.is_empty());
        drop(slots);
        let over = !matches!(item, Item::Question(_));
        let item = match item {
            Item::Question(question) => {
                let asked = Asked::new(py, *question);
                asked.and_then(|asked| Ok(Py::new(py, Turn::on(id, callbacks, Some(asked), events, None))?.into_any()))
            }
            item => {
                let result = match item {
                    Item::Done(Outcome::Response(Ok(response))) => Response::object(py, response),
                    Item::Done(Outcome::Stream(Ok(stream))) => Py::new(py, StreamParts::new(stream)).map(Py::into_any),
                    Item::Done(Outcome::Piece(piece, body, place)) => {
                        place.put(body);
                        match piece {
                            Ok(piece) => object(py, piece),
                            Err(error) => Err(raised(py, &error)),
                        }
                    }
                    Item::Done(Outcome::Response(Err(error)) | Outcome::Stream(Err(error))) | Item::Failed(error) => {
                        Err(raised(py, &error))
                    }
                    Item::Question(_) => Err(PyRuntimeError::new_err("a question twice")),
                };
                if told { Py::new(py, Turn::over(id, callbacks, events, result)).map(Py::into_any) } else { result }
            }
        };
        self.hand_over(py, id, item, over);
        Ok(())
    }

    /// Gives an item to the coroutine of a call, now or when it asks.
    fn hand_over(&self, py: Python<'_>, id: u64, item: PyResult<Py<PyAny>>, over: bool) {
        let mut slots = lock(&self.slots);
        let Some(slot) = slots.get_mut(&id) else { return };
        let future = slot.future.take();
        let Some(future) = future else {
            let task = if over {
                slot.end = Some(item);
                slot.task.take()
            } else {
                slot.ready.push_back(item);
                None
            };
            slot.interrupted |= task.is_some();
            drop(slots);
            if let Some(task) = task {
                // As asyncio.timeout does; the coroutine takes the cancellation back.
                let _ = task.call_method0(py, intern!(py, "cancel"));
            }
            return;
        };
        let gone = if over { slots.remove(&id) } else { None };
        drop(slots);
        let refused = settle(py, &future, item);
        if let Some(turn) = refused.filter(|item| item.bind(py).cast::<Turn>().is_ok()) {
            // Its task was cancelled and does not know yet: it will ask for what is still to be told.
            let mut slots = lock(&self.slots);
            match (gone, slots.get_mut(&id)) {
                (Some(slot), _) => drop(slots.insert(id, Slot { end: Some(Ok(turn)), ..slot })),
                (None, Some(slot)) => slot.ready.push_back(Ok(turn)),
                (None, None) => {}
            }
        }
    }

    /// Ends all calls. In a forked child nothing inherited is touched: its locks may be held by threads that are gone.
    fn stop(&self) {
        let queue = lock(&self.queue).take();
        if self.pid != process_id() {
            std::mem::forget(queue);
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Lets the end of a call tell observers first what the turns would have told that it overtook.
fn earlier_events(py: Python<'_>, overtaken: &VecDeque<PyResult<Py<PyAny>>>, end: &Py<PyAny>) {
    let Ok(end) = end.bind(py).cast::<Turn>() else { return };
    let mut events = events_of(py, overtaken.iter());
    let mut own = lock(&end.get().events);
    events.append(&mut own);
    *own = events;
}

/// What turns would have told that nobody got to see.
fn events_of<'a>(py: Python<'_>, items: impl Iterator<Item = &'a PyResult<Py<PyAny>>>) -> Vec<client::Event> {
    let turns = items.flatten().filter_map(|item| item.bind(py).cast::<Turn>().ok());
    turns.flat_map(|turn| turn.get().take_events()).collect()
}

/// Sets a future, unless it was cancelled meanwhile: then it gives back the result.
fn settle(py: Python<'_>, future: &Py<PyAny>, item: PyResult<Py<PyAny>>) -> Option<Py<PyAny>> {
    let (set, item) = match item {
        Ok(item) => (future.call_method1(py, intern!(py, "set_result"), (&item,)), Some(item)),
        Err(error) => (future.call_method1(py, intern!(py, "set_exception"), (error.into_value(py),)), None),
    };
    // What no future takes (StopIteration) is told in its place. InvalidStateError, both times: its task was cancelled, and will say so.
    if let Err(problem) = set {
        drop(future.call_method1(py, intern!(py, "set_exception"), (problem.into_value(py),)));
        return item;
    }
    None
}
