//! How far attempts are.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderName;

use crate::client::system::clock::{Clock, TokioClock};
use crate::record::{Connection, Evidence};
use crate::time::Tick;

const UNTOUCHED: u8 = 0;
/// Something of the request may have been sent.
const TOUCHED: u8 = 1;
/// Somebody was told that nothing was sent: nothing may be any more.
const SEALED: u8 = 2;

/// How far one attempt is. Written by the transport, read by the executor's timers; all from one clock.
#[derive(Debug, Default)]
pub struct Progress {
    /// Nanoseconds spent connecting so far, in connects that ended.
    connected: AtomicU64,
    /// When the connect at work began, plus one; 0 for none.
    connecting_since: AtomicU64,
    /// `UNTOUCHED`, and from there for good `TOUCHED` or `SEALED`.
    state: AtomicU8,
    /// Somebody who may still touch the body has it.
    held: AtomicBool,
    /// When the upload last moved, plus one; 0 for not yet.
    moved: AtomicU64,
    /// When the last byte of the request was handed over, plus one; 0 for not yet.
    uploaded: AtomicU64,
    /// When the first byte of the response came, plus one; 0 for not yet, or not noted.
    answered: AtomicU64,
    /// Interim answers that came.
    interim: AtomicU32,
    /// How often it was sent again on another connection.
    resends: AtomicU32,
    noted: Mutex<Noted>,
}

/// What is known of an attempt besides.
#[derive(Debug, Default)]
struct Noted {
    /// What it goes over.
    connection: Connection,
    /// The statuses of the interim answers that came.
    interim: Vec<u16>,
    /// The fields of the response that were dropped.
    dropped: Vec<HeaderName>,
}

impl Progress {
    /// The connector starts.
    pub fn connect_began(&self, now: Tick) {
        self.connecting_since.store(now.nanos().saturating_add(1), Ordering::Release);
    }

    /// The connector is done, well or not.
    pub fn connect_ended(&self, now: Tick) {
        let since = self.connecting_since.swap(0, Ordering::AcqRel);
        if since > 0 {
            self.connected.fetch_add(now.nanos().saturating_sub(since - 1), Ordering::AcqRel);
        }
    }

    /// Notes what the attempt goes over, or how long a phase of opening it took; once it is known, so that attempts that fail later have it too.
    pub fn note_connection(&self, note: impl FnOnce(&mut Connection)) {
        note(&mut self.noted().connection);
    }

    /// What the attempt goes over, as far as it was noted.
    pub fn connection(&self) -> Connection {
        self.noted().connection
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first byte of the response came. Transports that do not say so are taken to have seen it when they hand out the head.
    pub fn answered(&self, now: Tick) {
        // Only the first one counts.
        let _ = self.answered.compare_exchange(0, now.nanos().saturating_add(1), Ordering::AcqRel, Ordering::Relaxed);
    }

    /// When the first byte of the response came, if that was noted.
    pub fn answered_at(&self) -> Option<Tick> {
        moment(&self.answered)
    }

    /// An interim answer (1xx) came. Transports that do not see them do not say so.
    pub fn note_interim(&self, status: u16) {
        self.interim.fetch_add(1, Ordering::AcqRel);
        self.noted().interim.push(status);
    }

    /// A field of the response was dropped, because its value is none that a field can have.
    pub fn note_dropped(&self, name: HeaderName) {
        self.noted().dropped.push(name);
    }

    /// The statuses of the interim answers that came, and the names of the fields that were dropped, in order. Told once.
    pub(in crate::client) fn take_notes(&self) -> (Vec<u16>, Vec<HeaderName>) {
        let noted = &mut *self.noted();
        (std::mem::take(&mut noted.interim), std::mem::take(&mut noted.dropped))
    }

    /// How many interim answers came, as far as that was noted.
    pub fn interim(&self) -> u32 {
        self.interim.load(Ordering::Acquire)
    }

    /// The request is sent again on another connection, because one that was kept turned out dead before a byte of it was taken.
    pub fn resent(&self) {
        self.resends.fetch_add(1, Ordering::AcqRel);
        self.moved.store(0, Ordering::Release);
        self.uploaded.store(0, Ordering::Release);
    }

    /// How often that happened.
    pub fn resends(&self) -> u32 {
        self.resends.load(Ordering::Acquire)
    }

    /// The connection asked for the request's body: from here on something may have been sent.
    ///
    /// Whether it may be: `false` once [`proof`](Progress::proof) has said that it was not. Transports that work on after their future of
    /// `send` was dropped must send nothing then.
    pub fn touch(&self, now: Tick) -> bool {
        if self.settle(TOUCHED) != TOUCHED {
            return false;
        }
        self.moved.store(now.nanos().saturating_add(1), Ordering::Release);
        true
    }

    /// The connection took a piece of the body, or begins to: whether anything was sent is another matter, see [`sent`](Progress::sent).
    pub fn moved(&self, now: Tick) {
        self.moved.store(now.nanos().saturating_add(1), Ordering::Release);
    }

    /// Something of the request was sent.
    pub fn sent(&self) {
        self.settle(TOUCHED);
    }

    /// Takes the state there, unless it was settled before. What it is now.
    fn settle(&self, state: u8) -> u8 {
        self.state.compare_exchange(UNTOUCHED, state, Ordering::AcqRel, Ordering::Acquire).map_or_else(|settled| settled, |_| state)
    }

    /// The last byte of the body was handed over.
    pub fn uploaded(&self, now: Tick) {
        self.uploaded.store(now.nanos().saturating_add(1), Ordering::Release);
    }

    /// The body is handed over to somebody who may touch it. Transports that hold nothing back need not say so.
    pub fn hold(&self) {
        self.held.store(true, Ordering::Release);
    }

    /// Nobody can touch the body any more.
    pub fn release(&self) {
        self.held.store(false, Ordering::Release);
    }

    /// Whether somebody has the body who may still touch it, or is sending it.
    pub(in crate::client) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// What an attempt without any outcome (timeout, cancel, deadline) proves. Ask after dropping the future of `send`.
    ///
    /// Mostly answers at once. A request that was handed to its connection and not begun is doubtful for a moment: the connection may
    /// just have looked whether it is still wanted, in another thread. It is asked again for 5 ms, which is 10^5 times
    /// as long as that moment; then it is one that waits in a queue (HTTP/2), where it is looked at again before it goes. Whoever is
    /// later all the same, because the system let it wait, finds the request sealed.
    pub async fn proof<C: Clock>(&self, clock: &C) -> Evidence {
        for _ in 0..5 {
            if self.is_touched() || !self.is_held() {
                break;
            }
            clock.sleep_until(clock.now().after(Duration::from_millis(1))).await;
        }
        self.seal()
    }

    /// Likewise, without waiting: a request that is doubtful is held back.
    pub(in crate::client) fn seal(&self) -> Evidence {
        if self.settle(SEALED) == TOUCHED { Evidence::Unknown } else { Evidence::NotSent }
    }

    /// Whether the body was not touched and cannot be any more.
    pub fn is_untouched_for_good(&self) -> bool {
        // In this order: what is released is not touched later.
        !self.is_held() && !self.is_touched()
    }

    /// Whether something of the request may have been sent.
    pub fn is_touched(&self) -> bool {
        self.state.load(Ordering::Acquire) == TOUCHED
    }

    /// Whether the connector is at work.
    pub fn is_connecting(&self) -> bool {
        self.connecting_since.load(Ordering::Acquire) > 0
    }

    /// The time that connecting took so far.
    pub fn connecting_time(&self, now: Tick) -> Duration {
        let since = self.connecting_since.load(Ordering::Acquire);
        let running = if since > 0 { now.nanos().saturating_sub(since - 1) } else { 0 };
        Duration::from_nanos(self.connected.load(Ordering::Acquire).saturating_add(running))
    }

    /// When the upload last moved, while it is going on: it was begun and its last byte was not handed over.
    pub fn uploading(&self) -> Option<Tick> {
        self.moved_at().filter(|_| self.uploaded.load(Ordering::Acquire) == 0)
    }

    /// When the upload last moved, if it did.
    pub fn moved_at(&self) -> Option<Tick> {
        moment(&self.moved)
    }

    /// When the last byte of the body was handed over, if it was.
    pub fn uploaded_at(&self) -> Option<Tick> {
        moment(&self.uploaded)
    }
}

/// What is noted as one more than a moment, or 0 for none.
fn moment(noted: &AtomicU64) -> Option<Tick> {
    noted.load(Ordering::Acquire).checked_sub(1).map(Tick)
}

/// The exchanges of the call that a lane has, and of those before: as many as somebody may still send something of.
#[derive(Default)]
pub(in crate::client) struct Exchanges(Mutex<Vec<Arc<Progress>>>);

impl Exchanges {
    /// One more begins.
    pub(in crate::client) fn begin(&self, progress: &Arc<Progress>) {
        self.unfinished().push(Arc::clone(progress));
    }

    pub(in crate::client) fn are_over(&self) -> bool {
        self.unfinished().is_empty()
    }

    fn unfinished(&self) -> MutexGuard<'_, Vec<Arc<Progress>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|progress| progress.is_held());
        all
    }
}

/// While it lives, an attempt connects or waits for a connection: its `per_try_timeout` stands still.
#[derive(Debug)]
pub struct Pausing<'a>(&'a Progress);

impl<'a> Pausing<'a> {
    /// From now on.
    pub fn new(progress: &'a Progress) -> Self {
        progress.connect_began(TokioClock.now());
        Pausing(progress)
    }
}

impl Drop for Pausing<'_> {
    fn drop(&mut self) {
        self.0.connect_ended(TokioClock.now());
    }
}

/// While it lives, an attempt waits for a place on a connection, or for leave to open one: its record says how long.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    progress: &'a Progress,
    since: Tick,
}

impl<'a> Standing<'a> {
    /// From now on.
    pub(super) fn new(progress: &'a Progress) -> Self {
        Standing { progress, since: TokioClock.now() }
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        let more = TokioClock.now().since(self.since);
        self.progress.note_connection(|connection| connection.waited = Some(connection.waited.unwrap_or_default() + more));
    }
}
