//! What the executor needs of an HTTP implementation: send one attempt, say truthfully how it failed.

mod coding;
mod framing;
pub(super) mod http;
pub(super) mod options;
mod progress;
#[cfg(feature = "reqwest")]
pub(super) mod reqwest;
pub(super) mod script;
mod source;
mod tls;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Method, StatusCode, Version};
use bytes::Bytes;
use url::Url;

/// What fuzz targets reach of a transport's inside.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use super::coding::uncoded;
}

pub(super) use self::progress::Exchanges;
use self::progress::Standing;
pub use self::progress::{Pausing, Progress};
pub use super::message::body::OutgoingBody;
use crate::error::{BoxError, ErrorKind};
use crate::record::Evidence;
pub use crate::record::{Connection, HttpVersion};

/// Sends attempts. [`HttpTransport`](super::HttpTransport) is the one that clients stand on; tests and simulations have scripted ones.
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

    /// Itself for another runtime, if its connections may be used in any. `None`, the default, asks for another one to be made.
    fn for_another_runtime(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Whether it leaves tasks in the runtime, which has to run now and then so that connections are closed and seen to be closed. Default: yes.
    fn leaves_tasks(&self) -> bool {
        true
    }

    /// Whether something may have happened to its connections in the present runtime that their tasks have to see before the next call. Default: as
    /// [`leaves_tasks`](Transport::leaves_tasks).
    fn has_news(&self) -> bool {
        self.leaves_tasks()
    }

    /// Whether it opens sockets in the runtime of a call, which is an error then where that has no I/O enabled. Default: no, as of transports in
    /// memory.
    fn opens_sockets(&self) -> bool {
        false
    }

    /// Whether its writes may raise SIGPIPE where nobody ignores it. Default: yes.
    fn raises_signals(&self) -> bool {
        true
    }

    /// Closes a connection that nobody uses, so that its descriptor comes free. False if there is none.
    fn give_up_one(&self) -> bool {
        false
    }

    /// A server said that the connection to this URL's origin leads to the wrong one (421): what is sent there from now on takes a new one. Default:
    /// nothing, for transports without connections.
    fn forget(&self, _url: &Url) {}

    /// Closes the connections that nobody uses: its client was closed. Default: nothing, they are closed when it is dropped.
    fn close(&self) {}
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

/// A response head with its body to come.
#[derive(Debug)]
pub struct Received<B> {
    /// The status.
    pub status: StatusCode,
    /// The words that came with the status, where they are not the usual ones.
    pub reason: Option<Box<str>>,
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
        let Received { status, reason, version, headers, body, length } = self;
        (Received { status, reason, version, headers, body: (), length }, body)
    }
}

/// The words that a server sent with its status, where they are not the usual ones: hyper keeps no others. A byte is a character, as in header fields.
pub(in crate::client) fn said(extensions: &::http::Extensions) -> Option<Box<str>> {
    let phrase = extensions.get::<hyper::ext::ReasonPhrase>()?;
    Some(phrase.as_bytes().iter().map(|byte| char::from(*byte)).collect())
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
    /// What a proxy answered that refused to open a tunnel.
    pub refusal: Option<Box<Refusal>>,
    /// This machine alone is at fault: no descriptor, port or memory was left.
    pub local: bool,
    /// A kept connection was found dead before anything of the request was taken: the same attempt may be sent on another one.
    pub stale: bool,
    /// One line for people, without secrets.
    pub message: String,
    /// The original error.
    pub source: Option<BoxError>,
}

/// The head of a proxy's answer to CONNECT. A wait it asks for is minded as that of a response.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
}

impl Failure {
    /// A failure that policies may judge, without an original error.
    pub fn new(kind: ErrorKind, evidence: Evidence, message: impl Into<String>) -> Self {
        let message = message.into();
        Failure { kind, evidence, permanent: false, refusal: None, local: false, stale: false, message, source: None }
    }
}
