//! The completion queue: how results, questions and events reach a host that does not run on tokio.
//!
//! The host submits futures, sleeps on its waker, and drains what is done in one go. The queue carries numbers; what they stand for
//! stays with the host. A call that has a question resolves with it and goes on when it is answered.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::client::call::events::Event;
use crate::client::call::question::{Host, Question, Reply, Wants};
use crate::error::{BoxError, Error, ErrorKind};

/// Tells a host that its queue has something. Called from any thread, when the queue was empty; it must not block.
pub trait Waker: Send + Sync + 'static {
    /// The queue has something.
    fn wake(&self);
}

impl<F: Fn() + Send + Sync + 'static> Waker for F {
    fn wake(&self) {
        self();
    }
}

/// What comes out of the queue.
#[derive(Debug)]
pub enum Item<R> {
    /// The result of what was submitted. Nothing further comes under this number.
    Done(R),
    /// A question of a call. It waits for [`Queue::answer`] under the same number.
    Question(Box<Question>),
    /// It panicked, which is a bug. Nothing further comes under this number.
    Failed(Error),
}

/// One delivery: the number of the submission, what observers are told, and what happened.
#[derive(Debug)]
pub struct Delivery<R> {
    /// The number that [`Queue::submit`] gave.
    pub id: u64,
    /// Events since the last delivery under this number, in order.
    pub events: Vec<Event>,
    /// What happened.
    pub item: Item<R>,
}

/// A completion queue. `R` is the result of what the host submits.
///
/// May be used from any thread. Dropping the last clone aborts what is still running; numbers are never used again.
pub struct Queue<R>(Arc<Shared<R>>);

struct Shared<R> {
    done: Arc<Done<R>>,
    running: Mutex<HashMap<u64, Running>>,
    last: AtomicU64,
}

struct Running {
    task: Option<AbortHandle>,
    asked: Asked,
    /// Somebody is told of what it does.
    heard: bool,
    /// Where its last events go, if it was cancelled.
    cancelled: Option<mpsc::Sender<Vec<Event>>>,
}

/// How long a cancel waits for the call's last events at most. The runtime ends it at once, unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the answer to the present question goes.
type Asked = Arc<Mutex<Option<oneshot::Sender<Result<Reply, BoxError>>>>>;

struct Done<R> {
    items: Mutex<Vec<Delivery<R>>>,
    waker: Box<dyn Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<R> Done<R> {
    /// Adds a delivery; true if somebody has to be woken.
    #[must_use]
    fn add(&self, delivery: Delivery<R>) -> bool {
        let mut items = lock(&self.items);
        items.push(delivery);
        items.len() == 1
    }

    fn push(&self, delivery: Delivery<R>) {
        if self.add(delivery) {
            self.waker.wake();
        }
    }
}

/// Delivers the end of a submission, whatever ends it.
struct End<R> {
    id: u64,
    shared: Weak<Shared<R>>,
    done: Arc<Done<R>>,
    told: Arc<Mutex<Vec<Event>>>,
    /// None if its task was dropped on its way, which [`shutdown`](crate::client::shutdown) does.
    item: Option<Item<R>>,
}

impl<R> Drop for End<R> {
    fn drop(&mut self) {
        // A call that was cancelled at the last moment delivers nothing: its number is gone.
        let Some(shared) = self.shared.upgrade() else { return };
        let gone = || Item::Failed(Error::new(ErrorKind::Closed, "reknock was shut down in this process"));
        let item = self.item.take().unwrap_or_else(gone);
        let events = std::mem::take(&mut *lock(&self.told));
        // Delivered before anybody finds its number gone: who cancels it then takes it back, and counts it once.
        let mut running = lock(&shared.running);
        let wakes = match running.remove(&self.id) {
            None => false,
            Some(Running { cancelled: None, .. }) => self.done.add(Delivery { id: self.id, events, item }),
            Some(Running { cancelled: Some(waiting), .. }) => {
                // Nobody, if it took too long.
                let _ = waiting.send(events);
                false
            }
        };
        drop(running);
        if wakes {
            self.done.waker.wake();
        }
    }
}

impl<R> Clone for Queue<R> {
    fn clone(&self) -> Self {
        Queue(Arc::clone(&self.0))
    }
}

impl<R> fmt::Debug for Queue<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("running", &self.running()).finish_non_exhaustive()
    }
}

impl<R: Send + 'static> Queue<R> {
    /// An empty queue.
    pub fn new(waker: impl Waker) -> Self {
        let done = Arc::new(Done { items: Mutex::default(), waker: Box::new(waker) });
        Queue(Arc::new(Shared { done, running: Mutex::default(), last: AtomicU64::new(0) }))
    }

    /// Runs a future on `runtime`; its result comes out under the number that this returns. `start` gets the host that brings the
    /// call's questions into the queue.
    pub fn submit<F>(&self, runtime: &Handle, wants: Wants, start: impl FnOnce(QueueHost<R>) -> F) -> u64
    where
        F: Future<Output = R> + Send + 'static,
    {
        let id = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let asked = Asked::default();
        let told: Arc<Mutex<Vec<Event>>> = Arc::default();
        let host = QueueHost { id, wants, done: Arc::clone(&self.0.done), asked: Arc::clone(&asked), told: Arc::clone(&told) };
        // Boxed where it is made: it is large, and would be moved several times.
        let work = std::panic::AssertUnwindSafe(Box::pin(start(host))).catch_unwind();
        // Before the task starts, so that its end finds its entry; not held meanwhile, as it may end at once.
        lock(&self.0.running).insert(id, Running { task: None, asked, heard: wants.events, cancelled: None });
        let end = End { id, shared: Arc::downgrade(&self.0), done: Arc::clone(&self.0.done), told, item: None };
        let task = runtime.spawn(async move {
            // Moved in before the work begins, and so dropped with it.
            let mut end = end;
            end.item = Some(match work.await {
                Ok(result) => Item::Done(result),
                Err(_) => Item::Failed(Error::new(ErrorKind::Internal, "a call panicked; please report it")),
            });
            drop(end);
        });
        if let Some(running) = lock(&self.0.running).get_mut(&id) {
            running.task = Some(task.abort_handle());
        }
        id
    }

    /// What has come since the last time, in order.
    pub fn take(&self) -> Vec<Delivery<R>> {
        std::mem::take(&mut *lock(&self.0.done.items))
    }

    /// Answers the present question of a call. An error ends the call with kind `callback` and this as its source.
    /// Answers to calls that are over, or that asked nothing, go nowhere.
    pub fn answer(&self, id: u64, answer: Result<Reply, BoxError>) {
        let asked = lock(&self.0.running).get(&id).map(|running| Arc::clone(&running.asked));
        if let Some(sender) = asked.and_then(|asked| lock(&asked).take()) {
            // The call may have ended by its deadline meanwhile.
            let _ = sender.send(answer);
        }
    }

    /// Ends a submission at once; nothing further comes under its number. Gives the events that have not come out yet, up to the end of the call: where
    /// they are wanted, it waits for the moment that the runtime takes to end it.
    pub fn cancel(&self, id: u64) -> Vec<Event> {
        let mut running = lock(&self.0.running);
        let (task, last) = match running.get_mut(&id) {
            Some(call) if call.heard => {
                let (waiting, last) = mpsc::channel();
                call.cancelled = Some(waiting);
                (call.task.clone(), Some(last))
            }
            _ => (running.remove(&id).and_then(|call| call.task), None),
        };
        drop(running);
        if let Some(task) = task {
            task.abort();
        }
        let last = last.and_then(|last| last.recv_timeout(PATIENCE).ok());
        lock(&self.0.running).remove(&id);
        let mut items = lock(&self.0.done.items);
        let events: Vec<Event> = items.extract_if(.., |delivery| delivery.id == id).flat_map(|delivery| delivery.events).collect();
        events.into_iter().chain(last.into_iter().flatten()).collect()
    }
}

impl<R> Queue<R> {
    /// Submissions that are not over.
    pub fn running(&self) -> usize {
        lock(&self.0.running).len()
    }
}

impl<R> Drop for Shared<R> {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).values();
        running.filter_map(|running| running.task.as_ref()).for_each(AbortHandle::abort);
    }
}

/// The host of a submitted call: its questions come out of the queue.
pub struct QueueHost<R> {
    id: u64,
    wants: Wants,
    done: Arc<Done<R>>,
    asked: Asked,
    told: Arc<Mutex<Vec<Event>>>,
}

impl<R: Send> Host for QueueHost<R> {
    fn wants(&self) -> Wants {
        self.wants
    }

    async fn ask(&mut self, question: Question) -> Result<Reply, BoxError> {
        let (sender, answer) = oneshot::channel();
        *lock(&self.asked) = Some(sender);
        let events = std::mem::take(&mut *lock(&self.told));
        self.done.push(Delivery { id: self.id, events, item: Item::Question(Box::new(question)) });
        answer.await.unwrap_or_else(|_| Err("the question was dropped without an answer".into()))
    }

    fn tell(&mut self, event: Event) {
        lock(&self.told).push(event);
    }
}
