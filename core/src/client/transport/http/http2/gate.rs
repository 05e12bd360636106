//! The HTTP/2 connections of one origin, and the places for streams on them.
//!
//! A request enters h2 only when it has a place there: h2 keeps what it may not open yet, and sends it later even if nobody wants it
//! any more. Waiting for a place is not yet sending: nothing went out, and whoever stops waiting leaves nothing behind.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use super::wire::Counts;
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::{Failure, Progress, Refusal, Standing};
use crate::error::ErrorKind;
use crate::record::Evidence;
use crate::time::{DurationText, Tick};

/// How long all places are taken before a further connection is opened.
const PATIENCE: Duration = Duration::from_millis(100);

/// The HTTP/2 connections of one origin.
pub(in crate::client::transport::http) struct Gate {
    state: Mutex<State>,
    /// Calls that wait for a place, first come, first served.
    waiting: AtomicUsize,
    /// Those among them that a free place does not help: the peer lets no body out.
    starved: AtomicUsize,
    freed: Notify,
}

struct State {
    /// In the order in which they were opened. The first ones are filled first, so that the last ones can become idle.
    connections: Vec<Arc<Connection>>,
    /// Whether the origin speaks HTTP/2, as far as we know: then calls wait for a connection that another one opens.
    known: bool,
    /// Gone when it is open or given up; says so when it failed.
    opening: Option<watch::Receiver<Option<Reason>>>,
    /// Since when it is really being opened: before, it waits until there may be one more.
    dialing: Option<Instant>,
    /// When the last one was opened.
    opened: Option<Instant>,
}

/// What a request wants of a connection.
#[derive(Clone, Copy)]
pub(super) struct Want {
    /// It has a body.
    uploads: bool,
    came: Tick,
}

impl Want {
    /// Whether it can go there: not where bodies of others use up all that the peer lets out, and nothing has moved since it came.
    pub(super) fn suits(self, counts: &Counts) -> bool {
        !self.uploads || counts.lets_out() || counts.widened() > self.came
    }
}

/// What can be told to many of one failure.
#[derive(Clone)]
struct Reason {
    kind: ErrorKind,
    permanent: bool,
    refusal: Option<Box<Refusal>>,
    message: String,
}

/// A place on a connection, given back when dropped.
pub(in crate::client::transport::http) struct Place {
    connection: Arc<Connection>,
    /// For one request.
    sender: SendRequest<Bytes>,
}

/// What connecting gave.
pub(in crate::client::transport::http) enum Opened<C> {
    Http2(Connection),
    /// The peer chose another version.
    Other(C),
}

/// What a request can be sent on.
pub(in crate::client::transport::http) enum Found<C> {
    Place(Place),
    Other(C),
}

impl Gate {
    /// `known`: the origin is taken to speak HTTP/2 before it has said so.
    pub(in crate::client::transport::http) fn new(known: bool) -> Arc<Self> {
        let state = State { connections: Vec::new(), known, opening: None, dialing: None, opened: None };
        Arc::new(Gate { state: Mutex::new(state), waiting: AtomicUsize::new(0), starved: AtomicUsize::new(0), freed: Notify::new() })
    }

    /// Whether there is a connection that takes requests, now or soon.
    pub(in crate::client::transport::http) fn is_open(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 || self.lock().connections.iter().any(|connection| connection.link.is_usable())
    }

    /// Whether it has a connection that lives, or a call that waits. One that has to show that it is alive may still have something to send.
    pub(super) fn is_used(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 || self.lock().connections.iter().any(|connection| !connection.link.is_closing())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, if one is free and nobody waits for it. `uploads`: for a request with a body.
    pub(in crate::client::transport::http) fn try_place(&self, uploads: bool) -> Option<Place> {
        let want = Want { uploads, came: Tick::MAX };
        if self.waiting.load(Ordering::Acquire) > 0 { None } else { self.lock().place(want) }
    }

    /// A place on one of the connections, or what `connect` gives, whichever comes first. `connect` is begun when there is no connection and nobody
    /// opens one, or when all places were taken for a while, or all that the peer lets out. `limit`: how long another call may take to connect.
    ///
    /// # Errors
    /// That of `connect`, of our own or of the call that connected for all, if there is no connection left. Nothing was sent.
    pub(in crate::client::transport::http) async fn place<C, F>(
        &self,
        limit: Option<Duration>,
        uploads: bool,
        progress: &Progress,
        connect: F,
    ) -> Result<Found<C>, Failure>
    where
        F: Future<Output = Result<Opened<C>, Failure>> + Send,
    {
        let want = Want { uploads, came: TokioClock.now() };
        let _waiting = Waiting::new(&self.waiting);
        let mut starved = None;
        let mut connect = pin!(connect);
        let mut connecting = Connecting::No;
        let mut standing = None;
        let came = Instant::now();
        loop {
            let mut freed = pin!(self.freed.notified());
            // Before looking, so that nothing is missed in between.
            freed.as_mut().enable();
            let look = {
                let mut state = self.lock();
                if let Some(place) = state.place(want) {
                    self.pass_on(&state);
                    return Ok(Found::Place(place));
                }
                if uploads && starved.is_none() && state.has_room() {
                    // What woke us is no use to us: it may be to others, now and from now on.
                    starved = Some(Waiting::new(&self.starved));
                    self.lost();
                }
                state.look(&mut connecting, came)?
            };
            match connecting {
                Connecting::Yes(_) => standing = None,
                _ => _ = standing.get_or_insert_with(|| Standing::new(progress)),
            }
            let (mut theirs, next) = match look {
                // Our own keeps its limit itself.
                Look::Alone(None) => (None, None),
                Look::Alone(Some(Theirs { failed, since })) => {
                    (Some(failed), limit.zip(since).map(|(limit, since)| since.max(came) + limit))
                }
                Look::Full(patience) => (None, patience),
            };
            tokio::select! {
                biased;
                result = &mut connect, if matches!(connecting, Connecting::Yes(_)) => {
                    match result {
                        Ok(opened) => return Ok(self.opened(opened)),
                        Err(failure) => connecting.fail(failure),
                    }
                }
                () = freed => {}
                reason = failed(&mut theirs), if theirs.is_some() => {
                    if let Some(reason) = reason {
                        return Err(reason.into());
                    }
                }
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    if let (Some(_), Some(limit)) = (&theirs, limit) {
                        return Err(Failure::new(
                            ErrorKind::ConnectTimeout,
                            Evidence::NotSent,
                            format!("no connection within {}", DurationText(limit)),
                        ));
                    }
                }
            }
        }
    }

    /// Takes a new connection in, with a place on it.
    fn opened<C>(&self, opened: Opened<C>) -> Found<C> {
        let mut state = self.lock();
        match opened {
            Opened::Other(other) => {
                state.known = false;
                Found::Other(other)
            }
            Opened::Http2(connection) => {
                let connection = Arc::new(connection);
                // The first place of a new connection is ours; should it be closed already, its stream says so.
                connection.link.first();
                state.known = true;
                state.opened = Some(Instant::now());
                state.connections.push(Arc::clone(&connection));
                self.pass_on(&state);
                let sender = connection.sender();
                Found::Place(Place { connection, sender })
            }
        }
    }

    /// Connecting has come to its turn, and begins now.
    pub(in crate::client::transport::http) fn dials(&self) {
        self.lock().dialing = Some(Instant::now());
        self.lost();
    }

    /// Something changed: the first who waits may look.
    pub(super) fn freed(&self) {
        if self.starved.load(Ordering::Acquire) > 0 {
            self.lost();
        } else if self.waiting.load(Ordering::Acquire) > 0 {
            self.freed.notify_one();
        }
    }

    /// Somebody waits for leave to have a connection, and one of ours is not used.
    pub(super) fn make_room(&self) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            self.give_up_one();
        }
    }

    /// A connection takes nothing new any more: all who wait look what that means for them.
    pub(super) fn lost(&self) {
        self.freed.notify_waiters();
    }

    /// Who got a place lets the next one look, if there may be more.
    fn pass_on(&self, state: &State) {
        if state.has_room() {
            self.freed();
        }
    }

    /// Lets go of the connections that were idle since before `then`, and of those that are closed. The moment since when the oldest idle one that
    /// stays is so.
    pub(super) fn sweep(&self, then: Tick) -> Option<Tick> {
        let mut state = self.lock();
        let gone =
            state.sort_out(|connection| !connection.link.is_closing() && connection.link.idle_since().is_none_or(|since| since > then));
        let oldest = state.connections.iter().filter_map(|connection| connection.link.idle_since()).min();
        drop(state);
        drop(gone);
        oldest
    }

    /// Lets go of all: each ends with the requests that are on it.
    pub(super) fn forget(&self) {
        let gone = self.lock().sort_out(|_| false);
        drop(gone);
    }

    /// Lets go of a connection that nobody uses. False if there is none.
    pub(super) fn give_up_one(&self) -> bool {
        let mut state = self.lock();
        let idle = state.connections.iter().position(|connection| connection.link.idle_since().is_some());
        let gone = idle.map(|index| state.connections.remove(index));
        drop(state);
        gone.is_some()
    }
}

impl State {
    /// Takes out those that `keep` does not want, to be dropped where no lock is held.
    fn sort_out(&mut self, keep: impl Fn(&Connection) -> bool) -> Vec<Arc<Connection>> {
        let (kept, gone) = std::mem::take(&mut self.connections).into_iter().partition(|connection| keep(connection));
        self.connections = kept;
        gone
    }

    fn place(&mut self, want: Want) -> Option<Place> {
        self.connections.iter().find_map(|connection| {
            let sender = connection.enter(want)?;
            Some(Place { connection: Arc::clone(connection), sender })
        })
    }

    fn has_room(&self) -> bool {
        self.connections.iter().any(|connection| connection.link.has_room())
    }

    /// What is to be waited for. Makes `connecting` ours where it is our turn.
    fn look(&mut self, connecting: &mut Connecting, came: Instant) -> Result<Look, Failure> {
        self.connections.retain(|connection| !connection.link.is_closing());
        let theirs = self.opening.clone().filter(|opening| opening.has_changed().is_ok());
        if self.connections.iter().any(|connection| connection.link.is_usable()) {
            if !matches!(connecting, Connecting::No) {
                return Ok(Look::Full(None));
            }
            let now = Instant::now();
            let patience = match theirs {
                // Should it come to nothing, it is our turn then.
                Some(_) => now + PATIENCE,
                None => came.max(self.opened.unwrap_or(came)) + PATIENCE,
            };
            if now < patience {
                return Ok(Look::Full(Some(patience)));
            }
            self.begin(connecting);
            return Ok(Look::Full(None));
        }
        match connecting {
            Connecting::Failed(failure) => Err(failure.take().unwrap_or_else(gone)),
            Connecting::Yes(_) => Ok(Look::Alone(None)),
            Connecting::No if self.known && theirs.is_some() => {
                Ok(Look::Alone(theirs.map(|failed| Theirs { failed, since: self.dialing })))
            }
            Connecting::No => {
                self.begin(connecting);
                Ok(Look::Alone(None))
            }
        }
    }

    fn begin(&mut self, connecting: &mut Connecting) {
        let (tell, opening) = watch::channel(None);
        *connecting = Connecting::Yes(tell);
        self.opening = Some(opening);
        self.dialing = None;
    }
}

/// Whether this call connects.
enum Connecting {
    No,
    /// And tells those who wait for it.
    Yes(watch::Sender<Option<Reason>>),
    Failed(Option<Failure>),
}

impl Connecting {
    fn fail(&mut self, failure: Failure) {
        // A limit of ours is no other's.
        if let Connecting::Yes(tell) = self
            && failure.kind != ErrorKind::ConnectTimeout
        {
            let _ = tell.send(Some(Reason::of(&failure)));
        }
        *self = Connecting::Failed(Some(failure));
    }
}

impl Reason {
    fn of(failure: &Failure) -> Self {
        let Failure { kind, permanent, ref refusal, ref message, .. } = *failure;
        Reason { kind, permanent, refusal: refusal.clone(), message: message.clone() }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Failure {
        let Reason { kind, permanent, refusal, message } = reason;
        Failure { permanent, refusal, ..Failure::new(kind, Evidence::NotSent, message) }
    }
}

fn gone() -> Failure {
    Failure::new(ErrorKind::Connect, Evidence::NotSent, "the connection was lost before anything was sent")
}

/// What a call without a place waits for.
enum Look {
    /// There is no connection: for ours, or for one that another call opens.
    Alone(Option<Theirs>),
    /// For a free place, and at this moment for a further connection.
    Full(Option<Instant>),
}

/// Another call's connecting.
struct Theirs {
    failed: watch::Receiver<Option<Reason>>,
    /// Since when it is at it.
    since: Option<Instant>,
}

/// How another call's connecting failed; `None` if it did not.
async fn failed(theirs: &mut Option<watch::Receiver<Option<Reason>>>) -> Option<Reason> {
    theirs.as_mut()?.wait_for(Option::is_some).await.ok()?.clone()
}

/// One who waits, counted.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Place {
    /// The address at the other end.
    pub(in crate::client::transport::http) fn peer(&self) -> Option<SocketAddr> {
        self.connection.link.peer
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Where its request goes in.
    pub(super) fn sender(&mut self) -> &mut SendRequest<Bytes> {
        &mut self.sender
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connection.link.go();
    }
}
