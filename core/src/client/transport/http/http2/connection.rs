//! One HTTP/2 connection, and what those who use it share with its task.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use h2::client::{Builder, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::driver::{Drive, Driven, Driver, Watch};
use super::gate::{Gate, Want};
use super::wire::{Counted, Counts};
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::system::runtime::is_lane;
use crate::client::transport::http::socket::{Line, Sight};
use crate::time::Tick;

/// Streams before the peer has said how many it takes. It does so at once, and refuses what is too many: with one, nothing is ever refused.
const UNTOLD: usize = 1;
/// Streams at most, whatever the peer takes: as many stream windows as the largest connection window has room for, so that
/// responses which nobody reads cannot keep any other from coming.
pub(super) const MOST: usize = (WHOLE_WINDOW / STREAM_WINDOW) as usize;
/// What one response may have on the way to its reader.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
/// The largest that HTTP/2 knows.
const WHOLE_WINDOW: u32 = (1 << 31) - 1;
/// Header fields of a response, in bytes: as much as HTTP/1 gets.
const MOST_HEAD: u32 = 408 * 1024;
/// What of a request's body may wait for its turn.
const MOST_UNSENT: usize = 256 * 1024;
/// Room for the overhead of small pieces of bodies that nobody reads, in bytes.
const MOST_OVERHEAD: usize = 4 * 1024 * 1024;

/// A connection, as those who use it see it. When the last of them is gone and no stream is open, its task closes it.
pub(in crate::client::transport::http) struct Connection {
    sender: SendRequest<Bytes>,
    pub(super) link: Arc<Link>,
    /// That of a runtime which may stand still, and the task with it: it is closed with its last user.
    line: Option<Line>,
}

/// What a connection's task and its users share.
pub(super) struct Link {
    pub(super) counts: Arc<Counts>,
    gate: Weak<Gate>,
    /// The connection itself, for whoever drives it; `None` once it is over.
    driven: Mutex<Option<Box<dyn Drive>>>,
    /// It is a lane's: a call that has it to itself drives it, so that its task need not wake that call.
    lane: bool,
    /// A call has driven it last: what comes wakes that call, and not the task.
    by_call: AtomicBool,
    /// Streams that have a place.
    open: AtomicUsize,
    /// Places, as the peer wants it.
    pub(super) limit: AtomicUsize,
    /// The task has its timer set, or needs none.
    pub(super) watched: AtomicBool,
    /// How much had been heard when somebody began to doubt whether the peer is still there, plus one; 0 for no doubt.
    doubted: AtomicU64,
    /// It takes no new streams any more.
    closing: AtomicBool,
    /// It gave no sign of life for as long as its pings allow.
    pub(super) silent: AtomicBool,
    /// Since when no stream is open.
    idle_since: AtomicU64,
    pub(super) task: AtomicWaker,
    /// The address at the other end.
    pub(super) peer: Option<SocketAddr>,
    /// A request has entered it.
    used: AtomicBool,
    /// Given back when its socket is closed.
    leave: Mutex<Option<Box<dyn Leave>>>,
}

/// Leave to have a connection open. Dropping it gives it back.
pub(in crate::client::transport::http) trait Leave: Send {
    /// Whether somebody waits for it.
    fn is_wanted(&self) -> bool;
}

impl Connection {
    /// Shakes hands on a fresh stream and starts the task.
    pub(in crate::client::transport::http) async fn start<S>(
        stream: S,
        line: Option<Line>,
        ping: Option<Duration>,
        gate: &Arc<Gate>,
        leave: impl Leave + 'static,
    ) -> Result<Self, h2::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let counts = Arc::new(Counts::new());
        let (sender, mut connection) = Builder::new()
            .initial_max_send_streams(UNTOLD)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WHOLE_WINDOW)
            .max_header_list_size(MOST_HEAD)
            .max_send_buffer_size(MOST_UNSENT)
            .data_frame_budget(MOST_OVERHEAD)
            .enable_push(false)
            .handshake::<_, Bytes>(Counted::new(stream, line.clone(), Arc::clone(&counts)))
            .await?;
        let watch = ping.zip(connection.ping_pong()).map(|(every, pings)| Watch::new(every, pings));
        let link = Arc::new(Link {
            counts,
            gate: Arc::downgrade(gate),
            driven: Mutex::new(Some(Driven::new(connection))),
            lane: is_lane(),
            by_call: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            limit: AtomicUsize::new(UNTOLD),
            watched: AtomicBool::new(watch.is_none()),
            doubted: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            idle_since: AtomicU64::new(TokioClock.now().nanos()),
            task: AtomicWaker::new(),
            peer: line.as_ref().and_then(Line::peer),
            used: AtomicBool::new(false),
            leave: Mutex::new(Some(Box::new(leave))),
        });
        tokio::spawn(Driver { link: Arc::clone(&link), watch });
        let stands_still = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        Ok(Connection { sender, link, line: line.filter(|_| stands_still) })
    }

    /// Where one request goes in. A sender that is used again minds a stream that h2 has not opened yet, which the gate does already.
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    /// Takes a place, if one is free and the connection still takes requests of this kind. Where the request goes in.
    pub(super) fn enter(&self, want: Want) -> Option<SendRequest<Bytes>> {
        if !self.link.is_usable() || !want.suits(&self.link.counts) || !self.link.enter() {
            return None;
        }
        let mut sender = self.sender();
        // What it has learned of its peer since it was last looked at: a farewell, an end.
        if !self.is_alive() || matches!(sender.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_))) {
            self.link.close();
            self.link.leave_place();
            self.link.task.wake();
            return None;
        }
        Some(sender)
    }

    /// Whether its peer has not closed it, as far as can be seen. Nobody drives an idle one of a lane: what has come to it meanwhile is read first.
    fn is_alive(&self) -> bool {
        let Some(line) = self.line.as_ref().filter(|_| self.link.is_for_one_call()) else { return true };
        let mut seen = line.look();
        if seen == Sight::Bytes {
            self.link.drive_by_call(&mut Context::from_waker(Waker::noop()));
            seen = line.look();
        }
        seen != Sight::Over
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // It may be a call that h2 would wake, which is long gone.
        self.link.task.wake();
        if let Some(line) = &self.line {
            line.close();
            // The task, which would give it back, may not run for long.
            self.link.give_leave_back();
        }
    }
}

impl Link {
    /// Whether it takes new requests at all, be it when a place is free.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_closing() && !self.is_doubted()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// No new requests.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Whether it is closing because nothing was heard.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Acquire)
    }

    pub(super) fn is_doubted(&self) -> bool {
        match self.doubted.load(Ordering::Acquire) {
            0 => false,
            doubted => self.counts.heard() < doubted,
        }
    }

    /// Somebody waited here in vain: nothing new goes here until something was heard, for which the task now asks.
    pub(super) fn doubt(&self) {
        self.doubted.store(self.counts.heard() + 1, Ordering::Release);
        self.task.wake();
        self.tell(Gate::lost);
    }

    /// Whether a doubt has just been lifted.
    pub(super) fn trusts_again(&self) -> bool {
        let lifted = self.doubted.load(Ordering::Acquire) > 0 && !self.is_doubted();
        if lifted {
            self.doubted.store(0, Ordering::Release);
        }
        lifted
    }

    /// Takes a place if one is free.
    fn enter(&self) -> bool {
        let limit = self.limit.load(Ordering::Acquire);
        let entered = self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < limit).then_some(open + 1));
        // Two calls need the task to drive for them, and each needs it to look after the peer.
        if self.lane && entered.is_ok_and(|others| others > 0 || !self.watched.load(Ordering::Acquire)) {
            self.task.wake();
        }
        entered.is_ok()
    }

    /// Whether who has a place here may drive the connection.
    pub(super) fn is_for_one_call(&self) -> bool {
        self.lane && self.open.load(Ordering::Acquire) == 1
    }

    /// Whether a call drives it, which has it to itself.
    pub(super) fn is_driven_by_call(&self) -> bool {
        self.is_for_one_call() && self.by_call.load(Ordering::Acquire)
    }

    /// From a call that has a place here: drives the connection, if that is the only one.
    pub(super) fn drive_by_call(&self, context: &mut Context<'_>) {
        if !self.is_for_one_call() {
            return;
        }
        if self.drive_as(true, context).is_ready() {
            self.end();
        }
        // Another one came meanwhile, and maybe its task has driven before us.
        if !self.is_for_one_call() {
            self.task.wake();
        }
    }

    /// From the task: what comes wakes it from now on.
    pub(super) fn drive(&self, context: &mut Context<'_>) -> Poll<()> {
        self.drive_as(false, context)
    }

    fn drive_as(&self, call: bool, context: &mut Context<'_>) -> Poll<()> {
        let mut driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner);
        self.by_call.store(call, Ordering::Release);
        driven.as_mut().map_or(Poll::Ready(()), |connection| connection.drive(self, context))
    }

    /// The call that drives has got all it wants, and leaves nothing to be sent: nobody need drive on.
    pub(super) fn rest(&self) {
        self.by_call.store(false, Ordering::Release);
    }

    /// It is over, or its runtime is.
    pub(super) fn end(&self) {
        // Before the connection is dropped, which ends its streams.
        self.close();
        self.tell(Gate::freed);
        let gone = self.driven.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(gone);
        // Its socket is closed.
        self.give_leave_back();
        self.task.wake();
    }

    /// Takes the first place of all.
    pub(super) fn first(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// A request enters. Whether it is not the first one.
    pub(super) fn uses(&self) -> bool {
        self.used.swap(true, Ordering::AcqRel)
    }

    /// Gives a place back. A connection that nobody uses any more makes room where calls wait for one.
    pub(super) fn go(&self) {
        let idle = self.leave_place();
        if idle {
            self.idle_since.store(TokioClock.now().nanos(), Ordering::Release);
        }
        self.tell(Gate::freed);
        if idle && self.leave().as_ref().is_some_and(|leave| leave.is_wanted()) {
            self.tell(Gate::make_room);
        }
    }

    /// Gives a place back. Whether it was the last one.
    fn leave_place(&self) -> bool {
        let idle = self.open.fetch_sub(1, Ordering::AcqRel) == 1;
        self.hand_over();
        idle
    }

    /// The call that drives, if one does, leaves: its stream may have to be reset, and others may wait.
    pub(super) fn hand_over(&self) {
        if self.by_call.swap(false, Ordering::AcqRel) {
            self.task.wake();
        }
    }

    fn give_leave_back(&self) {
        let leave = self.leave().take();
        drop(leave);
    }

    fn leave(&self) -> MutexGuard<'_, Option<Box<dyn Leave>>> {
        self.leave.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, what: fn(&Gate)) {
        if let Some(gate) = self.gate.upgrade() {
            what(&gate);
        }
    }

    /// Since when no stream is open; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Tick> {
        (self.open.load(Ordering::Acquire) == 0).then(|| Tick(self.idle_since.load(Ordering::Acquire)))
    }

    /// Whether a new request would get a place now.
    pub(super) fn has_room(&self) -> bool {
        self.is_usable() && self.open.load(Ordering::Acquire) < self.limit.load(Ordering::Acquire)
    }
}
