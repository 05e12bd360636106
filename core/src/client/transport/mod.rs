//! What the executor needs of an HTTP implementation: send one attempt, say truthfully how it failed.

mod coding;
mod http;
pub(super) mod options;
pub(super) mod reqwest;
pub(super) mod script;
mod tls;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ::http::{HeaderMap, Method, StatusCode, Version};
use url::Url;

use crate::client::message::body::BodyStream;
use crate::client::system::clock::Clock;
use crate::error::{BoxError, ErrorKind};
use crate::record::Evidence;
use crate::time::Tick;

/// Sends attempts. One implementation stands on reqwest; tests and simulations have scripted ones.
///
/// An implementation keeps no timer of its own but `connect_timeout`, follows no redirect and repeats nothing.
/// Dropping the future or the body ends the exchange at once.
pub trait Transport: Send + Sync + 'static {
    /// The body of a response.
    type Body: Incoming;

    /// Sends one attempt and waits for its response head.
    fn send(&self, outgoing: Outgoing) -> impl Future<Output = Result<Received<Self::Body>, Failure>> + Send;

    /// How long a connection that nobody uses is kept; `None` for no limit.
    fn idle_limit(&self) -> Option<Duration> {
        None
    }
}

/// A response body as it arrives.
pub trait Incoming: Send + 'static {
    /// The next piece; `None` at the end. A failure is of kind `body`.
    fn frame(&mut self) -> impl Future<Output = Result<Option<Bytes>, Failure>> + Send;
}

/// One attempt, ready to be sent.
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// An http or https URL without userinfo and fragment.
    pub url: Url,
    /// All header fields of the caller and the executor; the transport adds only what HTTP demands.
    pub headers: HeaderMap,
    /// The body.
    pub body: OutgoingBody,
    /// The limit of name resolution, TCP, proxy and TLS together; `None` for no limit.
    pub connect_timeout: Option<Duration>,
    /// Where the transport notes how far it is, for the executor's timers and the evidence.
    pub progress: Arc<Progress>,
}

/// The body of one attempt.
#[non_exhaustive]
pub enum OutgoingBody {
    /// These bytes, perhaps none.
    Bytes(Bytes),
    /// Pieces that come one after the other. Yielding more or less than `length` is a failure of kind `invalid_request`, an error
    /// of the stream one of kind `callback`.
    Stream {
        /// The pieces.
        stream: BodyStream,
        /// How many bytes they are, if that is known.
        length: Option<u64>,
    },
}

impl OutgoingBody {
    /// The number of bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            OutgoingBody::Bytes(bytes) => Some(bytes.len() as u64),
            OutgoingBody::Stream { length, .. } => *length,
        }
    }
}

/// A response head with its body to come.
#[derive(Debug)]
pub struct Received<B> {
    /// The status.
    pub status: StatusCode,
    /// The protocol version.
    pub version: Version,
    /// The header fields. Those that describe a coding which was undone (content-encoding, content-length) are removed.
    pub headers: HeaderMap,
    /// The body, decoded.
    pub body: B,
    /// What `content-length` said about the body as it will be handed out; `None` if it did not, or a coding was undone,
    /// or the response has no body by rule (HEAD, 204, 304).
    pub length: Option<u64>,
}

impl<B> Received<B> {
    /// The head, and the body.
    pub(in crate::client) fn split(self) -> (Received<()>, B) {
        let Received { status, version, headers, body, length } = self;
        (Received { status, version, headers, body: (), length }, body)
    }
}

/// Why an attempt failed.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whether the server may have acted on it.
    pub evidence: Evidence,
    /// Repeating it cannot help and no policy may try: a proxy that demands authentication.
    pub permanent: bool,
    /// One line for people, without secrets.
    pub message: String,
    /// The original error.
    pub source: Option<BoxError>,
}

impl Failure {
    /// A failure that policies may judge, without an original error.
    pub fn new(kind: ErrorKind, evidence: Evidence, message: impl Into<String>) -> Self {
        Failure { kind, evidence, permanent: false, message: message.into(), source: None }
    }
}

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
}

impl Progress {
    /// The connector starts.
    pub fn connect_began(&self, now: Tick) {
        self.connecting_since.store(now.nanos() + 1, Ordering::Release);
    }

    /// The connector is done, well or not.
    pub fn connect_ended(&self, now: Tick) {
        let since = self.connecting_since.swap(0, Ordering::AcqRel);
        if since > 0 {
            self.connected.fetch_add(now.nanos().saturating_sub(since - 1), Ordering::AcqRel);
        }
    }

    /// The connection asked for the request's body: from here on something may have been sent.
    ///
    /// Whether it may be: `false` once [`proof`](Progress::proof) has said that it was not. Transports that work on after their future of
    /// `send` was dropped must send nothing then.
    pub fn touch(&self, now: Tick) -> bool {
        if self.settle(TOUCHED) != TOUCHED {
            return false;
        }
        self.moved.store(now.nanos() + 1, Ordering::Release);
        true
    }

    /// Takes the state there, unless it was settled before. What it is now.
    fn settle(&self, state: u8) -> u8 {
        self.state.compare_exchange(UNTOUCHED, state, Ordering::AcqRel, Ordering::Acquire).map_or_else(|settled| settled, |_| state)
    }

    /// The last byte of the body was handed over.
    pub fn uploaded(&self, now: Tick) {
        self.uploaded.store(now.nanos() + 1, Ordering::Release);
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
        let moved = self.moved.load(Ordering::Acquire);
        (moved > 0).then(|| Tick(moved - 1))
    }

    /// When the last byte of the body was handed over, if it was.
    pub fn uploaded_at(&self) -> Option<Tick> {
        let uploaded = self.uploaded.load(Ordering::Acquire);
        (uploaded > 0).then(|| Tick(uploaded - 1))
    }
}
