//! One HTTP/2 connection: the task that drives it, and what the task and those who use it share.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::{Sleep, sleep};

use super::gate::{Gate, Want};
use super::wire::{Counted, Counts};
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::http::socket::{Line, Sight};
use crate::time::Tick;

/// Streams before the peer has said how many it takes. It does so at once, and refuses what is too many: with one, nothing is ever refused.
const UNTOLD: usize = 1;
/// Streams at most, whatever the peer takes: as many stream windows as the largest connection window has room for, so that
/// responses which nobody reads cannot keep any other from coming.
const MOST: usize = (WHOLE_WINDOW / STREAM_WINDOW) as usize;
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
    /// That of a lane, whose task does not run while nobody calls: it is closed with its last user.
    line: Option<Line>,
}

/// What a connection's task and its users share.
pub(super) struct Link {
    pub(super) counts: Arc<Counts>,
    gate: Weak<Gate>,
    /// Streams that have a place.
    open: AtomicUsize,
    /// Places, as the peer wants it.
    limit: AtomicUsize,
    /// How much had been heard when somebody began to doubt whether the peer is still there, plus one; 0 for no doubt.
    doubted: AtomicU64,
    /// It takes no new streams any more.
    closing: AtomicBool,
    /// It gave no sign of life for as long as its pings allow.
    silent: AtomicBool,
    /// Since when no stream is open.
    idle_since: AtomicU64,
    task: AtomicWaker,
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
        let link = Arc::new(Link {
            counts,
            gate: Arc::downgrade(gate),
            open: AtomicUsize::new(0),
            limit: AtomicUsize::new(UNTOLD),
            doubted: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            idle_since: AtomicU64::new(TokioClock.now().nanos()),
            task: AtomicWaker::new(),
            peer: line.as_ref().and_then(Line::peer),
            used: AtomicBool::new(false),
            leave: Mutex::new(Some(Box::new(leave))),
        });
        let watch =
            ping.zip(connection.ping_pong()).map(|(every, pings)| Watch { every, pings, heard: 0, asked: false, timer: None, set: false });
        tokio::spawn(Driver { connection, watch, widened: Tick(0), link: Arc::clone(&link), _left: Left(Arc::clone(&link)) });
        let lane = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        Ok(Connection { sender, link, line: line.filter(|_| lane) })
    }

    /// Where one request goes in. A sender that is used again minds a stream that h2 has not opened yet, which the gate does already.
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    /// Whether something came that its task has not seen. One of a runtime that runs by itself is not looked at.
    pub(super) fn has_news(&self) -> bool {
        self.line.as_ref().is_none_or(|line| line.look() != Sight::Quiet)
    }

    /// Takes a place, if one is free and the connection still takes requests of this kind. Where the request goes in.
    pub(super) fn enter(&self, want: Want) -> Option<SendRequest<Bytes>> {
        if !self.link.is_usable() || !want.suits(&self.link.counts) || !self.link.enter() {
            return None;
        }
        let mut sender = self.sender();
        // What it has learned of its peer since it was last looked at: a farewell, an end.
        if let Poll::Ready(Err(_)) = sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
            self.link.close();
            self.link.open.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(sender)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.close();
            // The task, which would give it back, may not run for long.
            drop(self.link.leave().take());
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

    fn is_doubted(&self) -> bool {
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

    /// Takes a place if one is free.
    fn enter(&self) -> bool {
        let limit = self.limit.load(Ordering::Acquire);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < limit).then_some(open + 1)).is_ok()
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
        let idle = self.open.fetch_sub(1, Ordering::AcqRel) == 1;
        if idle {
            self.idle_since.store(TokioClock.now().nanos(), Ordering::Release);
        }
        self.tell(Gate::freed);
        if idle && self.leave().as_ref().is_some_and(|leave| leave.is_wanted()) {
            self.tell(Gate::make_room);
        }
    }

    fn leave(&self) -> MutexGuard<'_, Option<Box<dyn Leave>>> {
        self.leave.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: fn(&Gate)) {
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

/// The task of a connection.
struct Driver<S: AsyncRead + AsyncWrite + Unpin> {
    connection: h2::client::Connection<Counted<S>, Bytes>,
    watch: Option<Watch>,
    /// When the peer last let out more, as those who wait for it were told.
    widened: Tick,
    link: Arc<Link>,
    /// Dropped last: when the socket is closed.
    _left: Left,
}

/// Gives the leave back.
struct Left(Arc<Link>);

impl Drop for Left {
    fn drop(&mut self) {
        let leave = self.0.leave().take();
        drop(leave);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Unpin for Driver<S> {}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let link = &this.link;
        link.task.register(context.waker());
        loop {
            // How it ended is told by its streams, and by what its socket said.
            if Pin::new(&mut this.connection).poll(context).is_ready() {
                return Poll::Ready(());
            }
            let limit = this.connection.max_concurrent_send_streams().min(MOST);
            if link.limit.swap(limit, Ordering::AcqRel) != limit {
                link.tell(Gate::freed);
            }
            if link.doubted.load(Ordering::Acquire) > 0 && !link.is_doubted() {
                link.doubted.store(0, Ordering::Release);
                link.tell(Gate::freed);
            }
            let widened = link.counts.widened();
            if std::mem::replace(&mut this.widened, widened) != widened {
                link.tell(Gate::freed);
            }
            match this.watch.as_mut().map(|watch| watch.look(link, context)) {
                None | Some(Look::Quiet) => return Poll::Pending,
                // For the ping to go out.
                Some(Look::Asked) => {}
                Some(Look::Dead) => {
                    link.silent.store(true, Ordering::Release);
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Driver<S> {
    fn drop(&mut self) {
        // Before the connection is dropped, which ends its streams.
        self.link.close();
        self.link.tell(Gate::freed);
    }
}

/// Asks a silent peer for a sign of life while somebody waits for it.
struct Watch {
    every: Duration,
    pings: PingPong,
    /// How much had been heard when the timer was set.
    heard: u64,
    /// A ping is on its way.
    asked: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// It will wake the task.
    set: bool,
}

enum Look {
    Quiet,
    Asked,
    Dead,
}

impl Watch {
    /// One timer runs on over any number of calls: what it costs is spread over seconds.
    fn look(&mut self, link: &Link, context: &mut Context<'_>) -> Look {
        if self.asked && self.pings.poll_pong(context).is_ready() {
            self.asked = false;
        }
        let doubted = link.is_doubted();
        if doubted && !self.asked {
            return self.ask(link);
        }
        if self.timer.is_none() {
            if link.idle_since().is_some() && !doubted {
                return Look::Quiet;
            }
            self.rest(link);
        }
        let Some(timer) = &mut self.timer else { return Look::Quiet };
        // It wakes this task, which is the same for good: asking it once is enough.
        if self.set && !timer.is_elapsed() || timer.as_mut().poll(context).is_pending() {
            self.set = true;
            return Look::Quiet;
        }
        self.timer = None;
        if link.counts.heard() > self.heard {
            return self.look(link, context);
        }
        match (self.asked, link.idle_since().is_some() && !doubted) {
            (_, true) => Look::Quiet,
            (true, false) => Look::Dead,
            (false, false) => self.ask(link),
        }
    }

    fn ask(&mut self, link: &Link) -> Look {
        self.asked = self.pings.send_ping(Ping::opaque()).is_ok();
        self.rest(link);
        if self.asked { Look::Asked } else { Look::Quiet }
    }

    fn rest(&mut self, link: &Link) {
        self.heard = link.counts.heard();
        self.timer = Some(Box::pin(sleep(self.every)));
        self.set = false;
    }
}
