//! Between an environment's event loop and the runtime: calls go out, and what has come is taken in one go.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use napi::bindgen_prelude::{Array, BufferSlice, External, Function, Null, Object, ToNapiValue, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};
use napi_derive::napi;
use reknock::Error;
use reknock::client::queue::{Delivery as Came, Item, Queue, QueueHost};
use reknock::client::testing::EngineDelivered;
use reknock::client::{Response, Wants, runtime};
use tokio::sync::oneshot;

use crate::body::Pull;
use crate::call::{CHECK, Call, Delivery};
use crate::client::NativeClient;
use crate::error::{or_throw, parts};
use crate::head::head;
use crate::question::{Pending, edited, listed, reply, shown};
use crate::stream::{CoreStream, Place};
use crate::value::{to_bytes, wrong};

/// What a submission to the runtime gives.
#[expect(clippy::large_enum_variant, reason = "a response is the usual one: a box would cost each call")]
pub enum Outcome {
    Response(std::result::Result<Response, Error>),
    Stream(std::result::Result<Box<CoreStream>, Error>),
    /// A piece of a streamed body, and the rest of it with the place where it lives.
    Piece(std::result::Result<Option<Bytes>, Error>, Box<CoreStream>, Place),
}

/// Wakes the event loop. Weak: alone it keeps no process alive.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Pieces of bodies that calls ask for, by the number of the call.
type Pulls = Arc<Mutex<Vec<(Arc<AtomicU64>, Pull)>>>;

/// Values per entry of a batch: the number of the call, what it is, and two values of that.
const STRIDE: u32 = 4;
/// What an entry is, besides a response (its status) and a streamed response (its status, negative).
const ERROR: i32 = 0;
const QUESTION: i32 = 1;
const PIECE: i32 = 2;
const EVENTS: i32 = 3;
const PULL: i32 = 4;
const GONE: i32 = 5;

/// Takes an environment's calls to the runtime and their results back. Dropped with its environment, which ends its calls.
#[napi]
pub struct Bridge {
    queue: Queue<Outcome>,
    wake: Arc<Mutex<Wake>>,
    /// Calls that are not over, and what else is held. While there is any, it keeps the process alive.
    open: Cell<u64>,
    pulls: Pulls,
    /// Pulls that JavaScript is answering.
    pulled: RefCell<HashMap<u64, oneshot::Sender<Option<Bytes>>>>,
    last_pull: Cell<u64>,
}

#[napi]
impl Bridge {
    /// `wake` is called on the event loop when there is something to drain.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env, wake: Function<'_, (), ()>) -> Result<Self> {
        let mut wake: Wake = wake.build_threadsafe_function::<()>().weak::<true>().build()?;
        idle(&mut wake, env)?;
        let wake = Arc::new(Mutex::new(wake));
        let waker = Arc::clone(&wake);
        Ok(Bridge {
            queue: Queue::new(move || rouse(&waker)),
            wake,
            open: Cell::new(0),
            pulls: Pulls::default(),
            pulled: RefCell::default(),
            last_pull: Cell::new(0),
        })
    }

    /// Begins a call; returns its number. With the bit that says so, it only throws what is wrong with it.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the call's parts; an object of them costs more than the call")]
    pub fn send(
        &self,
        env: &Env,
        client: &NativeClient,
        method: String,
        url: String,
        headers: Option<Vec<String>>,
        body: Unknown<'_>,
        bits: u32,
        options: Option<Object<'_>>,
    ) -> Result<f64> {
        let mut call = Call::new(env, client, &method, &url, headers, body, bits)?;
        if let Some(options) = options {
            call.read(env, &options)?;
        }
        if bits & CHECK != 0 {
            return Ok(0.0);
        }
        let Call { client, request, options, wants, delivery, outlet } = call;
        let number = outlet.map(|outlet| {
            let number = Arc::new(AtomicU64::new(0));
            let (pulls, wake, call) = (Arc::clone(&self.pulls), Arc::clone(&self.wake), Arc::clone(&number));
            // Fails for an outlet that is in use, and a call is sent once.
            let _ = outlet.set(Box::new(move |pull| {
                pulls.lock().unwrap_or_else(PoisonError::into_inner).push((Arc::clone(&call), pull));
                rouse(&wake);
            }));
            number
        });
        let id = self.submit(env, wants, |host| async move {
            match delivery {
                Delivery::Buffered => Outcome::Response(client.send_with(request, &options, host).await),
                Delivery::Streamed => Outcome::Stream(client.stream_with(request, &options, host).await.map(Box::new)),
                Delivery::Auto => match client.deliver_with(request, &options, host).await {
                    Ok(EngineDelivered::Whole(response)) => Outcome::Response(Ok(response)),
                    Ok(EngineDelivered::Open(stream)) => Outcome::Stream(Ok(Box::new(stream))),
                    Err(error) => Outcome::Response(Err(error)),
                },
            }
        })?;
        if let Some(number) = number {
            number.store(id, Ordering::Relaxed);
        }
        Ok(id as f64)
    }

    /// Reads the next piece of a streamed body; returns a number, or null if the body is closed.
    #[napi(catch_unwind)]
    pub fn piece(&self, env: &Env, place: &External<Place>) -> Result<Option<f64>> {
        let Some(mut body) = place.take() else { return Ok(None) };
        let place = Place::clone(place);
        let id = self.submit(env, Wants::default(), |_| async move {
            let piece = body.chunk().await;
            Outcome::Piece(piece, body, place)
        })?;
        Ok(Some(id as f64))
    }

    /// Answers a question of `retryIf` or `delay`.
    #[napi(catch_unwind)]
    pub fn answer(&self, env: &Env, id: f64, question: String, answer: Unknown<'_>) -> Result<()> {
        self.queue.answer(id as u64, Ok(reply(env, &question, answer)?));
        Ok(())
    }

    /// What was asked threw, or gave no answer: the call ends with that.
    #[napi(catch_unwind)]
    pub fn fail_answer(&self, id: f64) {
        self.queue.answer(id as u64, Err("see what it threw".into()));
    }

    /// Answers a question of `beforeRetry`; null is no edit.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "the request's parts")]
    pub fn answer_request(
        &self,
        env: &Env,
        id: f64,
        pending: &Pending,
        url: Option<String>,
        headers: Option<Vec<String>>,
        body: Option<Unknown<'_>>,
    ) -> Result<()> {
        self.queue.answer(id as u64, Ok(edited(env, pending, url, headers, body)?));
        Ok(())
    }

    /// Hands over a piece of a request body that was asked for; null is its end.
    #[napi(catch_unwind)]
    pub fn feed(&self, pull: f64, piece: Option<Unknown<'_>>) -> Result<()> {
        let piece = match piece {
            None => None,
            Some(piece) => Some(to_bytes(piece)?.ok_or_else(|| wrong("a piece must be text or bytes"))?),
        };
        if let Some(pull) = self.pulled.borrow_mut().remove(&(pull as u64)) {
            // The attempt it was for may be over.
            let _ = pull.send(piece);
        }
        Ok(())
    }

    /// Ends a call that is not over, whatever its state. Nothing further comes of it; returns the events that have not come yet.
    #[napi(catch_unwind)]
    pub fn cancel<'env>(&self, env: &'env Env, id: f64) -> Result<Unknown<'env>> {
        let events = self.queue.cancel(id as u64);
        self.ended(env, 1)?;
        listed(env, &events)
    }

    /// Keeps the process alive until `release`: a request body is sent on although its call is over.
    #[napi(catch_unwind)]
    pub fn hold(&self, env: &Env) -> Result<()> {
        self.begun(env)
    }

    /// Ends a `hold`.
    #[napi(catch_unwind)]
    pub fn release(&self, env: &Env) -> Result<()> {
        self.ended(env, 1)
    }

    /// Calls that are not over, and what else is held.
    #[napi(getter, catch_unwind)]
    pub fn in_flight(&self) -> f64 {
        self.open.get() as f64
    }

    /// What has come since the last time: entries of four values, one after the other. Runs nothing of the user's.
    #[napi(catch_unwind)]
    pub fn drain<'env>(&self, env: &'env Env) -> Result<Array<'env>> {
        // In this order, and in the batch what asks for pieces first and what is gone last: what asked before its call's response came is known
        // by then, so that the upload outlives its call; and one that outlives it is told of its end.
        let deliveries = self.queue.take();
        let pulls = std::mem::take(&mut *self.pulls.lock().unwrap_or_else(PoisonError::into_inner));
        let mut batch = Batch { env, array: env.create_array(deliveries.len() as u32 * STRIDE)?, next: 0 };
        // Nobody answers for an attempt that is over.
        self.pulled.borrow_mut().retain(|_, pull| !pull.is_closed());
        let mut gone = Vec::new();
        for (number, pull) in pulls {
            let id = number.load(Ordering::Relaxed);
            match pull {
                Pull::Gone { pass } => gone.push((id, pass)),
                Pull::Piece { pass, reply } => {
                    let key = self.last_pull.get() + 1;
                    self.last_pull.set(key);
                    batch.push(id, PULL, key as f64, pass)?;
                    self.pulled.borrow_mut().insert(key, reply);
                }
            }
        }
        let mut over = 0;
        for delivery in deliveries {
            over += u64::from(!matches!(delivery.item, Item::Question(_)));
            batch.deliver(delivery)?;
        }
        for (id, pass) in gone {
            batch.push(id, GONE, pass, Null)?;
        }
        self.ended(env, over)?;
        Ok(batch.array)
    }
}

impl Bridge {
    fn submit<F>(&self, env: &Env, wants: Wants, start: impl FnOnce(QueueHost<Outcome>) -> F) -> Result<u64>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let runtime = or_throw(env, runtime())?;
        self.begun(env)?;
        Ok(self.queue.submit(runtime, wants, start))
    }

    fn begun(&self, env: &Env) -> Result<()> {
        if self.open.replace(self.open.get() + 1) == 0 {
            busy(&mut self.wake.lock().unwrap_or_else(PoisonError::into_inner), env)?;
        }
        Ok(())
    }

    /// So many calls are over.
    fn ended(&self, env: &Env, calls: u64) -> Result<()> {
        let left = self.open.get().saturating_sub(calls);
        if self.open.replace(left) > 0 && left == 0 {
            idle(&mut self.wake.lock().unwrap_or_else(PoisonError::into_inner), env)?;
        }
        Ok(())
    }
}

/// The statuses say that the environment is going: nobody is left to be woken.
fn rouse(wake: &Mutex<Wake>) {
    let _ = wake.lock().unwrap_or_else(PoisonError::into_inner).call((), ThreadsafeFunctionCallMode::NonBlocking);
}

#[allow(deprecated)] // what replaces it cannot be switched on and off
fn busy(wake: &mut Wake, env: &Env) -> Result<()> {
    wake.refer(env)
}

#[allow(deprecated)] // what replaces it cannot be switched on and off
fn idle(wake: &mut Wake, env: &Env) -> Result<()> {
    wake.unref(env)
}

/// Entries one after the other: the cheapest thing to hand to JavaScript.
struct Batch<'env> {
    env: &'env Env,
    array: Array<'env>,
    next: u32,
}

impl<'env> Batch<'env> {
    fn push(&mut self, id: u64, what: i32, value: impl ToNapiValue, more: impl ToNapiValue) -> Result<()> {
        self.array.set(self.next, id as f64)?;
        self.array.set(self.next + 1, what)?;
        self.array.set(self.next + 2, value)?;
        self.array.set(self.next + 3, more)?;
        self.next += STRIDE;
        Ok(())
    }

    fn deliver(&mut self, came: Came<Outcome>) -> Result<()> {
        let Came { id, events, item } = came;
        let env = self.env;
        if !events.is_empty() {
            self.push(id, EVENTS, listed(env, &events)?, Null)?;
        }
        match item {
            Item::Question(question) => self.push(id, QUESTION, shown(env, *question)?, Null),
            Item::Done(Outcome::Response(Ok(response))) => {
                let (own, body) = response.into_parts();
                let status = own.status().into();
                match body.is_empty() {
                    true => self.push(id, status, head(own), Null),
                    false => self.push(id, status, head(own), copied(env, &body)?),
                }
            }
            Item::Done(Outcome::Stream(Ok(stream))) => {
                let own = (**stream).clone();
                self.push(id, -i32::from(own.status()), head(own), External::new(Place::new(stream)))
            }
            Item::Done(Outcome::Piece(piece, body, place)) => {
                place.put(body);
                match piece {
                    Ok(Some(piece)) => self.push(id, PIECE, copied(env, &piece)?, Null),
                    Ok(None) => self.push(id, PIECE, Null, Null),
                    Err(error) => self.push(id, ERROR, parts(env, &error)?, Null),
                }
            }
            Item::Done(Outcome::Response(Err(error)) | Outcome::Stream(Err(error))) | Item::Failed(error) => {
                self.push(id, ERROR, parts(env, &error)?, Null)
            }
        }
    }
}

/// Bytes in V8's own memory: they may move on to other threads, where memory of ours would end with this environment.
pub fn copied<'env>(env: &'env Env, bytes: &[u8]) -> Result<BufferSlice<'env>> {
    BufferSlice::copy_from(env, bytes)
}
