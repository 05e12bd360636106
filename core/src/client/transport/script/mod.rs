//! Clients without a network and without waiting: a transport that follows a script, and a clock that leaps.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), reknock::Error> {
//! use reknock::client::Client;
//! use reknock::client::testing::{Script, Step};
//!
//! let script = Script::new([Step::status(503)?, Step::named("reset")?, Step::status(200)?]);
//! let client = Client::on(script.clone()).clock(script.clone()).build()?;
//! let response = client.get("http://service.test/").send().await?;
//! assert_eq!((response.status(), response.attempts().len()), (200, 3));
//! assert_eq!(script.waits(), response.attempts().iter().filter_map(|attempt| attempt.wait).collect::<Vec<_>>());
//! # Ok(())
//! # }
//! ```
//!
//! Time moves only when the executor waits between attempts and when a step takes time; while callbacks think and bodies are made
//! it stands still. Calls inside [`Script::alone`] have a time of their own; others share the script's, one at a time.

mod engine;
mod step;
mod time;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, Method, StatusCode, Version};
use url::Url;

use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::{Failure, Incoming, Outgoing, OutgoingBody, Received, Transport};
use crate::error::{Error, ErrorKind};
use crate::policy::Policy;
use crate::record::Evidence;
use crate::time::{Tick, UnixTime};
pub use engine::{Engine, EngineDelivered, EngineLane, EngineStream};
use step::{Does, End};
pub use step::{Played, Step};
use time::{Delay, Time};

/// What answers in place of servers, one step per send: the first that is for it. The last one that is repeats, unless the script is strict. A
/// transport, and the clock that goes with it.
#[derive(Clone)]
pub struct Script(Arc<Shared>);

struct Shared {
    steps: Mutex<Vec<Step>>,
    /// Each step answers once, and nothing else is answered.
    is_strict: bool,
    /// What no step was for: methods and URLs.
    missed: Mutex<Vec<String>>,
    sends: Mutex<Vec<Sent>>,
    waits: Mutex<Vec<Duration>>,
    /// When the last call ended.
    time: Arc<Time>,
    /// The wall clock when its time begins.
    wall: UnixTime,
    /// Of the waits of clients that are on it by an [`Engine`].
    seed: u64,
}

/// One send as a server would have seen it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sent {
    /// From the making of the script, in its time.
    pub at: Duration,
    /// The method.
    pub method: String,
    /// The URL, without userinfo and fragment.
    pub url: Url,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

tokio::task_local! {
    /// The time of the call that runs.
    static OWN: Arc<Time>;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Script {
    /// A script of these steps; without any, all is answered 200.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self::at(TokioClock.wall(), steps)
    }

    /// Likewise; its wall clock starts here.
    pub fn at(wall: UnixTime, steps: impl IntoIterator<Item = Step>) -> Self {
        Self::made(wall, 0, steps, false)
    }

    /// Likewise; each step answers once, and a send that no step is left for fails.
    pub fn strict(wall: UnixTime, steps: impl IntoIterator<Item = Step>) -> Self {
        Self::made(wall, 0, steps, true)
    }

    /// All of that by arguments; `seed`: another one gives the clients of an [`Engine`] other waits.
    pub fn made(wall: UnixTime, seed: u64, steps: impl IntoIterator<Item = Step>, is_strict: bool) -> Self {
        Script(Arc::new(Shared {
            steps: Mutex::new(steps.into_iter().collect()),
            is_strict,
            missed: Mutex::default(),
            sends: Mutex::default(),
            waits: Mutex::default(),
            time: Arc::default(),
            wall,
            seed,
        }))
    }

    /// What servers would have seen so far, in order: not the attempts that fail before they are sent.
    pub fn sends(&self) -> Vec<Sent> {
        lock(&self.0.sends).clone()
    }

    /// The waits before retries so far, in order.
    pub fn waits(&self) -> Vec<Duration> {
        lock(&self.0.waits).clone()
    }

    /// Steps that nothing was answered with yet.
    pub fn remaining(&self) -> usize {
        let steps = lock(&self.0.steps);
        steps.iter().filter(|step| !step.used).count()
    }

    /// Whether both are the same script.
    pub fn is(&self, other: &Script) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A policy with waits that are the same in every run.
    ///
    /// # Errors
    /// None but those of a policy that is none.
    pub fn seeded(&self, policy: &Policy) -> Result<Policy, Error> {
        policy.to_builder().seed(self.0.seed).build()
    }

    /// What the next step that is for it does to a send that a host makes by means of its own. Its time does not move.
    ///
    /// # Errors
    /// `invalid_request` if no step is for it, or for what is no request.
    pub fn play(&self, method: &str, url: &str, headers: HeaderMap, body: Bytes) -> Result<Played, Error> {
        let request = crate::client::message::request::Request::new(method, url)?;
        let (method, url) = (request.method, request.url);
        let step = self.next(&method, &url).map_err(|failure| Error::new(failure.kind, failure.message))?;
        let played = step.played();
        if played.failure.is_none_or(|(_, evidence)| evidence != Evidence::NotSent) {
            let at = self.time().now().since(Tick::default());
            lock(&self.0.sends).push(Sent { at, method: method.to_string(), url, headers, body });
        }
        Ok(played)
    }

    /// Lets time pass between calls.
    pub fn advance(&self, duration: Duration) {
        self.0.time.move_to(self.0.time.now().after(duration));
    }

    /// Runs a call in a time of its own, which begins when the call before it that ended last ended.
    pub async fn alone<F: Future>(&self, call: F) -> F::Output {
        let own = Arc::new(Time::starting(self.0.time.now()));
        let output = OWN.scope(Arc::clone(&own), call).await;
        self.0.time.move_to(own.now());
        output
    }

    fn time(&self) -> Arc<Time> {
        OWN.try_with(Arc::clone).unwrap_or_else(|_| Arc::clone(&self.0.time))
    }

    /// The sends so far that no step was for: methods and URLs, in order. They failed with kind `invalid_request`.
    pub fn missed(&self) -> Vec<String> {
        lock(&self.0.missed).clone()
    }

    /// Whether each step is to answer once.
    pub fn is_strict(&self) -> bool {
        self.0.is_strict
    }

    fn next(&self, method: &Method, url: &Url) -> Result<Step, Failure> {
        let mut steps = lock(&self.0.steps);
        let mut fitting = (0..steps.len()).filter(|at| steps[*at].is_for(method, url));
        let (first, later) = (fitting.next(), fitting.next());
        match first {
            Some(first) if later.is_some() || self.0.is_strict => Ok(steps.remove(first)),
            Some(last) => {
                steps[last].used = true;
                Ok(steps[last].clone())
            }
            None if steps.is_empty() && !self.0.is_strict => Ok(Step::default()),
            None => {
                let mut shown = url.clone();
                shown.set_query(None);
                let sent = format!("{method} {shown}");
                let problem = format!("no step of the script is for {sent}; add one, or check what the code under test calls");
                lock(&self.0.missed).push(sent);
                Err(Failure::new(ErrorKind::InvalidRequest, Evidence::NotSent, problem))
            }
        }
    }
}

impl Clock for Script {
    fn now(&self) -> Tick {
        self.time().now()
    }

    fn wall(&self) -> UnixTime {
        let passed = self.now().since(Tick::default()).as_millis();
        UnixTime(self.0.wall.0.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX)))
    }

    fn sleep_until(&self, when: Tick) -> impl Future<Output = ()> + Send {
        self.time().sleep_until(when)
    }

    async fn pause_until(&self, when: Tick) {
        let time = self.time();
        lock(&self.0.waits).push(when.since(time.now()));
        time.move_to(when);
        // Who calls the call off has his turn.
        tokio::task::yield_now().await;
    }
}

impl Transport for Script {
    type Body = ScriptBody;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<ScriptBody>, Failure> {
        let step = self.next(&outgoing.method, &outgoing.url)?;
        let time = self.time();
        let Outgoing { method, url, headers, body, connect_timeout, progress } = outgoing;
        if let Does::Fail(kind, evidence @ Evidence::NotSent) = step.does {
            let limit = (kind == ErrorKind::ConnectTimeout).then_some(connect_timeout).flatten();
            progress.connect_began(time.now());
            Delay::new(&time, step.after.saturating_add(limit.unwrap_or_default())).await;
            progress.connect_ended(time.now());
            return Err(step.failure(kind, evidence));
        }
        progress.touch(time.now());
        let at = time.now().since(Tick::default());
        let body = whole(body).await?;
        lock(&self.0.sends).push(Sent { at, method: method.to_string(), url, headers, body });
        progress.uploaded(time.now());
        Delay::new(&time, step.after).await;
        match step.does {
            Does::Hang => {
                Delay::new(&time, Duration::MAX).await;
                Err(step.failure(ErrorKind::Internal, Evidence::Unknown))
            }
            Does::Fail(kind, evidence) => Err(step.failure(kind, evidence)),
            Does::Answer(status) => Ok(step.received(status, self.clone(), method == http::Method::HEAD)),
        }
    }
}

/// The body of a request, read to its end.
async fn whole(body: OutgoingBody) -> Result<Bytes, Failure> {
    match body {
        OutgoingBody::Bytes(bytes) => Ok(bytes),
        OutgoingBody::Stream { mut stream, .. } => {
            let mut all = BytesMut::new();
            while let Some(piece) = stream.next().await {
                let broken = |error| {
                    let failure = Failure::new(ErrorKind::Callback, Evidence::Unknown, "the source of the request body failed");
                    Failure { source: Some(error), ..failure }
                };
                all.extend_from_slice(&piece.map_err(broken)?);
            }
            Ok(all.freeze())
        }
    }
}

impl Step {
    fn received(self, status: StatusCode, script: Script, head_only: bool) -> Received<ScriptBody> {
        let body = ScriptBody { piece: Some(self.body).filter(|body| !head_only && !body.is_empty()), end: self.end, script };
        Received { status, reason: None, version: Version::HTTP_11, headers: self.headers, body, length: None }
    }
}

/// The body of a scripted response.
pub struct ScriptBody {
    piece: Option<Bytes>,
    end: End,
    script: Script,
}

impl Incoming for ScriptBody {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        if let Some(piece) = self.piece.take() {
            return Ok(Some(piece));
        }
        match self.end {
            End::Whole => Ok(None),
            End::Cut => Err(Failure::new(ErrorKind::Body, Evidence::Unknown, "the script cut the body")),
            End::Stall => {
                Delay::new(&self.script.time(), Duration::MAX).await;
                Ok(None)
            }
        }
    }
}
