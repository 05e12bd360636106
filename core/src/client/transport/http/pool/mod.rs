//! The connections of one client: those that nobody uses, and how many there may be.
//!
//! A connection belongs to no runtime for good: it moves to the one that uses it next. So the calls of all runtimes and lanes share what is there.

mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use url::Url;

use self::queue::Waiting;
use super::http1::Http1;
use super::http2::Gates;
use super::idle;
use super::origin::Origin;
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::system::process::process_id;
use crate::client::transport::{Failure, Pausing, Progress, Standing};
use crate::time::Tick;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Open ones, of all origins.
    pub(super) open: usize,
    /// Open ones, of each origin.
    pub(super) open_per_origin: usize,
    /// Unused ones, of all origins.
    pub(super) idle: usize,
    /// Unused ones, of each origin.
    pub(super) idle_per_origin: usize,
    /// How long an unused one is kept.
    pub(super) age: Option<Duration>,
}

/// The connections of one client.
pub(super) struct Pool {
    limits: Limits,
    pid: u32,
    /// The connections on which many requests are sent at once. They hold leases, too.
    pub(super) gates: Gates,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Comparing a few names is cheaper than hashing one.
    origins: BTreeMap<Box<str>, Entry>,
    open: usize,
    idle: usize,
    /// Calls that wait, of all origins.
    waiting: usize,
    /// The number of the next call that waits: they are served in order.
    next: u64,
    /// Somebody will look after the idle ones in time.
    watched: bool,
    /// Nobody makes calls any more: what becomes idle is closed.
    closed: bool,
}

struct Entry {
    origin: Arc<Origin>,
    /// The last one used is last.
    idle: VecDeque<Box<Http1>>,
    /// Connections that are open, being opened, or idle.
    open: usize,
    /// By their numbers.
    waiting: BTreeMap<u64, oneshot::Sender<Granted>>,
}

/// Leave to have one connection open to an origin. Dropping it gives it to the next call that waits.
pub(super) struct Lease {
    pool: Arc<Pool>,
    origin: Arc<Origin>,
    /// The connection has gone back to the pool, and takes its place there.
    kept: bool,
}

/// What a call gets: a connection that was kept, or leave to open one.
pub(super) struct Granted {
    // In this order: its place is free when it is closed.
    pub(super) kept: Option<Box<Http1>>,
    pub(super) lease: Lease,
}

/// What a call finds.
enum Taken {
    Granted(Granted),
    /// It comes later, in order.
    Later(Waiting),
}

impl Pool {
    pub(super) fn new(limits: Limits, gates: Gates) -> Arc<Self> {
        Arc::new(Pool { limits, pid: process_id(), gates, state: Mutex::default() })
    }

    /// Whether it is this process's, and not its parent's.
    pub(super) fn is_own(&self) -> bool {
        self.pid == process_id()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to the URL's origin that is kept and alive, if there is one.
    pub(super) fn kept(self: &Arc<Self>, url: &Url) -> Option<Granted> {
        loop {
            let mut state = self.lock();
            let entry = state.origins.get_mut(Origin::name(url))?;
            let kept = entry.take_kept()?;
            let lease = Lease { pool: Arc::clone(self), origin: Arc::clone(&entry.origin), kept: false };
            state.idle -= 1;
            drop(state);
            let mut granted = Granted { kept: Some(kept), lease };
            if granted.is_usable() {
                return Some(granted);
            }
        }
    }

    /// A connection to `origin` that is alive, or leave to open one; waits where there are as many as there may be. The wait is no attempt's time:
    /// `pauses` unless that stands still already.
    ///
    /// # Errors
    /// `invalid_request` for a URL that leads nowhere.
    pub(super) async fn acquire(self: &Arc<Self>, url: &Url, progress: &Progress, pauses: bool) -> Result<Granted, Failure> {
        loop {
            let mut granted = match self.take(url)? {
                Taken::Granted(granted) => granted,
                Taken::Later(mut waiting) => {
                    let _pausing = pauses.then(|| Pausing::new(progress));
                    let _standing = Standing::new(progress);
                    match (&mut waiting.granted).await {
                        Ok(granted) => granted,
                        // Who would have served it is gone.
                        Err(_) => continue,
                    }
                }
            };
            // Another may be alive. What was taken is closed here, outside of the lock.
            if granted.is_usable() {
                return Ok(granted);
            }
        }
    }

    /// What there is now, or a place in the queue.
    fn take(self: &Arc<Self>, url: &Url) -> Result<Taken, Failure> {
        let mut state = self.lock();
        // Whoever asks is another client that stands on the same transport.
        state.closed = false;
        let entry = match state.origins.get_mut(Origin::name(url)) {
            Some(entry) => entry,
            None => {
                let origin = Origin::of(url)?;
                let entry = Entry { origin: Arc::clone(&origin), idle: VecDeque::new(), open: 0, waiting: BTreeMap::new() };
                state.origins.entry(origin.name.clone()).or_insert(entry)
            }
        };
        let lease = Lease { pool: Arc::clone(self), origin: Arc::clone(&entry.origin), kept: false };
        if let Some(kept) = entry.take_kept() {
            state.idle -= 1;
            return Ok(Taken::Granted(Granted { kept: Some(kept), lease }));
        }
        if entry.open < self.limits.open_per_origin {
            // One that nobody uses makes room. It is closed outside of the lock.
            let gone = if state.open >= self.limits.open { state.drop_oldest() } else { None };
            if state.open < self.limits.open {
                state.count(&lease.origin, 1);
                drop(state);
                drop(gone);
                return Ok(Taken::Granted(Granted { kept: None, lease }));
            }
        }
        let full = state.open >= self.limits.open;
        let (number, granted) = state.queue(&lease.origin);
        drop(state);
        let origin = lease.forget();
        // One that nobody uses gives its place to who waits when it is closed. It may be another runtime's, which may stand still.
        self.gates.give_up_one((!full).then_some(&origin.name));
        Ok(Taken::Later(Waiting { pool: Arc::clone(self), origin, number, granted }))
    }

    /// Closes the connection that has been idle for longest, so that its descriptor is free. False if there is none.
    pub(super) fn give_up_one(&self) -> bool {
        let gone = self.lock().drop_oldest();
        gone.is_some() || self.gates.give_up_one(None)
    }

    /// Closes what is idle to a URL's origin; new requests there are sent on new connections.
    pub(super) fn forget(&self, url: &Url) {
        let mut gone = VecDeque::new();
        let mut state = self.lock();
        if let Some(entry) = state.origins.get_mut(Origin::name(url)) {
            gone = std::mem::take(&mut entry.idle);
            let origin = Arc::clone(&entry.origin);
            state.idle -= gone.len();
            state.count(&origin, -gone.len().cast_signed());
        }
        drop(state);
        drop(gone);
        self.gates.forget(url);
    }

    /// Closes all that are idle, and from now on what becomes idle, as nobody makes calls any more. What is in use goes on to its end.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let gone: Vec<_> = std::iter::from_fn(|| state.drop_oldest()).collect();
        drop(state);
        drop(gone);
        self.gates.clear();
    }

    /// Closes what has been idle for too long. When to look again; `None` if nothing is left to look after.
    pub(super) fn sweep(&self, now: Tick) -> Option<Tick> {
        let later = self.limits.age.and_then(|age| self.gates.sweep(now, age));
        let mut gone = Vec::new();
        let mut state = self.lock();
        let next = loop {
            // Without a limit nobody watches.
            let age = self.limits.age?;
            let Some((since, _)) = state.oldest() else {
                // What is in use becomes idle, and is due no sooner than that.
                let next = (state.open > 0).then(|| now.after(age));
                state.watched = later.is_some() || next.is_some();
                break next;
            };
            let due = since.after(age);
            if due > now {
                break Some(due);
            }
            gone.extend(state.drop_oldest());
        };
        drop(state);
        drop(gone);
        next.into_iter().chain(later).min()
    }

    /// A connection for many requests was opened: it is to be closed in time.
    pub(super) fn watch(self: &Arc<Self>) {
        let watch = self.limits.age.is_some() && !std::mem::replace(&mut self.lock().watched, true);
        if watch {
            idle::watch(self);
        }
    }

    /// Gives what came free, a place or a connection with its place, to the call that waits for it. Without one the connection is kept, and
    /// the place is free.
    fn serve(self: &Arc<Self>, origin: &Arc<Origin>, mut kept: Option<Box<Http1>>) {
        let mut gone = Vec::new();
        let mut state = self.lock();
        loop {
            let next = state.next_waiting(origin, &self.limits);
            let Some((other, call)) = next else { break };
            if !Arc::ptr_eq(&other, origin) {
                // Its place goes to another origin.
                gone.extend(kept.take());
                state.count(origin, -1);
                state.count(&other, 1);
            }
            let lease = Lease { pool: Arc::clone(self), origin: other, kept: false };
            drop(state);
            let refused = call.send(Granted { kept: kept.take(), lease });
            let Err(Granted { kept: back, lease }) = refused else { return drop(gone) };
            // That call is gone.
            kept = back;
            let other = lease.forget();
            state = self.lock();
            if !Arc::ptr_eq(&other, origin) {
                state.count(&other, -1);
                state.count(origin, 1);
            }
        }
        if state.closed {
            gone.extend(kept.take());
        }
        match kept {
            Some(kept) => gone.extend(state.keep(origin, kept, &self.limits)),
            None => state.count(origin, -1),
        }
        let watch = self.limits.age.is_some() && state.idle > 0 && !std::mem::replace(&mut state.watched, true);
        drop(state);
        drop(gone);
        if watch {
            idle::watch(self);
        }
    }

    /// How long an unused connection may be kept.
    pub(super) fn age(&self) -> Option<Duration> {
        self.limits.age
    }
}

impl Granted {
    /// Whether it is of use: there is leave, and what was kept is alive.
    fn is_usable(&mut self) -> bool {
        self.kept.as_mut().is_none_or(|kept| kept.is_usable())
    }
}

impl Entry {
    /// The connection to be used next: best one that this runtime's socket wakes.
    fn take_kept(&mut self) -> Option<Box<Http1>> {
        let last = self.idle.len().checked_sub(1)?;
        let here = Handle::current().id();
        let best = self.idle.iter().rposition(|kept| kept.home() == here).unwrap_or(last);
        self.idle.remove(best)
    }
}

impl State {
    /// Changes the number of open connections; forgets an origin that has none and for which nobody waits.
    fn count(&mut self, origin: &Origin, change: isize) {
        let Some(entry) = self.origins.get_mut(&origin.name) else { return };
        entry.open = entry.open.saturating_add_signed(change);
        self.open = self.open.saturating_add_signed(change);
        if entry.open == 0 && entry.waiting.is_empty() {
            self.origins.remove(&origin.name);
        }
    }

    /// Since when the longest idle connection has been so, and where.
    fn oldest(&self) -> Option<(Tick, &Arc<Origin>)> {
        let firsts = self.origins.values().filter_map(|entry| Some((entry.idle.front()?.since, &entry.origin)));
        firsts.min_by_key(|(since, _)| *since)
    }

    fn drop_oldest(&mut self) -> Option<Box<Http1>> {
        let origin = Arc::clone(self.oldest()?.1);
        let gone = self.origins.get_mut(&origin.name)?.idle.pop_front();
        self.idle -= 1;
        self.count(&origin, -1);
        gone
    }

    /// Keeps a connection; what is too many goes, the longest idle first.
    #[allow(clippy::vec_box)] // they are boxed wherever they are: moving one copies a pointer
    fn keep(&mut self, origin: &Origin, mut kept: Box<Http1>, limits: &Limits) -> Vec<Box<Http1>> {
        kept.since = TokioClock.now();
        let mut gone = Vec::new();
        if let Some(entry) = self.origins.get_mut(&origin.name) {
            entry.idle.push_back(kept);
            self.idle += 1;
            if entry.idle.len() > limits.idle_per_origin {
                gone.extend(entry.idle.pop_front());
                self.idle -= 1;
                self.count(origin, -1);
            }
        }
        while self.idle > limits.idle {
            let Some(oldest) = self.drop_oldest() else { break };
            gone.push(oldest);
        }
        gone
    }
}

impl Lease {
    /// Gives the connection back, for the next call.
    pub(super) fn keep(self, connection: Box<Http1>) {
        let pool = Arc::clone(&self.pool);
        pool.serve(&self.forget(), Some(connection));
    }

    /// Where it leads.
    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// Whether its connection is to be closed once nobody uses it: a call waits for the place that it takes, or no call will come.
    pub(super) fn is_wanted(&self) -> bool {
        let state = self.pool.lock();
        state.closed || state.next_origin(&self.origin, &self.pool.limits).is_some()
    }

    /// Whether it belongs to the parent of this process.
    pub(super) fn is_inherited(&self) -> bool {
        !self.pool.is_own()
    }

    /// Its place is counted otherwise.
    fn forget(mut self) -> Arc<Origin> {
        self.kept = true;
        Arc::clone(&self.origin)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.kept {
            self.pool.serve(&self.origin, None);
        }
    }
}
