//! The state of one call, and the values that its steps hand on.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{EXPECT, HeaderName};
use http::{HeaderMap, Method};
use url::Url;

use super::cancel::Cancel;
use super::events::Level;
use super::question::{Host, Wants};
use super::tell;
use super::trace::{self, Trace};
use super::transfer::Meter;
use crate::client::message::cookies::Cookies;
use crate::client::message::redact::{origin, redacted};
use crate::client::message::redirect::Redirects;
use crate::client::message::request::Request;
use crate::client::system::clock::Clock;
use crate::client::system::entropy;
use crate::client::transport::{Exchanges, Failure, Progress, Received, Transport};
use crate::error::Error;
use crate::identity::{Identity, next_call_id};
use crate::policy::Policy;
use crate::record::{AttemptRecord, StopReason};
use crate::retry::refusals::Refusals;
use crate::retry::{Budgets, Call, Retry};
use crate::time::Tick;

pub(in crate::client) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How the caller wants the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Delivery {
    /// Whole, in memory.
    Buffered,
    /// As it comes.
    Streamed,
    /// Whole if that is soon, else as it comes.
    Auto,
}

/// How an attempt ended.
pub(in crate::client) enum AttemptResult<B> {
    /// With a head, and its whole body if that was read already.
    Response(Received<B>, Option<Bytes>),
    /// With a failure, of the body if a status came before it.
    Failed(Failure, Option<u16>),
}

/// A body as it is handed out.
pub(in crate::client) enum CallBody<B> {
    Buffered(Bytes),
    /// What has been read of it, and where the rest comes from.
    Streamed(Bytes, B),
}

impl<B> AttemptResult<B> {
    pub(in crate::client) fn status(&self) -> Option<u16> {
        match self {
            AttemptResult::Response(received, _) => Some(received.status.as_u16()),
            AttemptResult::Failed(_, status) => *status,
        }
    }

    /// A server says that the request should not have come to it, or on this connection (RFC 9110 section 15.5.20).
    pub(in crate::client) fn is_misdirected(&self) -> bool {
        self.status() == Some(421)
    }

    /// A server, or who is between, cannot do what the request expects of it (RFC 9110 section 10.1.1).
    pub(in crate::client) fn is_too_much_expected(&self, sent: &Request) -> bool {
        self.status() == Some(417) && sent.headers.contains_key(EXPECT)
    }
}

/// A call that ended without a response.
pub(in crate::client) struct CallFailure {
    pub(in crate::client) failure: Failure,
    /// Of the response whose body failed, or that the failure takes the place of.
    pub(in crate::client) status: Option<u16>,
    pub(in crate::client) stop_reason: StopReason,
}

impl CallFailure {
    /// A failure that ends the call in place of the outcome at hand, whose status stays on the error.
    pub(in crate::client) fn replacing(status: Option<u16>, failure: Failure) -> Self {
        let stop_reason = StopReason::of_kind(failure.kind).unwrap_or(StopReason::NotRetryable);
        CallFailure { failure, status, stop_reason }
    }
}

/// Whose call it is. Written out only when somebody is told of it: most calls are over before.
#[derive(Clone, Debug)]
pub(in crate::client) struct Whose {
    pub(in crate::client) id: u64,
    pub(in crate::client) name: Option<Arc<str>>,
    pub(in crate::client) written: Option<Arc<Identity>>,
}

impl Whose {
    /// One more call of this process.
    pub(in crate::client) fn next(name: Option<Arc<str>>) -> Self {
        Whose { id: next_call_id(), name, written: None }
    }

    /// The call of an identity that is out already.
    pub(in crate::client) fn known(call: Arc<Identity>) -> Self {
        Whose { id: call.call_id, name: call.name.clone(), written: Some(call) }
    }

    /// As people read it, unless it was written before: of a call that this is the request of.
    pub(in crate::client) fn identity(&self, method: &Method, url: &Url) -> Arc<Identity> {
        self.written
            .clone()
            .unwrap_or_else(|| Arc::new(Identity::new(self.id, method.to_string(), redacted(url), origin(url), self.name.clone())))
    }
}

/// What the caller wants, besides the request.
pub(in crate::client) struct Mode {
    pub(in crate::client) delivery: Delivery,
    pub(in crate::client) redirects: Redirects,
    /// The call is made within an attempt of another one.
    pub(in crate::client) nested: bool,
    /// Redirects to URLs with credentials are not followed.
    pub(in crate::client) as_fetch: bool,
    /// A 421 is still to be repeated.
    pub(in crate::client) repeat_misdirected: bool,
    /// The jar of cookies is passed over.
    pub(in crate::client) omit_cookies: bool,
    /// Who counts what moves.
    pub(in crate::client) meter: Option<Arc<Meter>>,
}

/// What a client was told of all its calls.
pub(in crate::client) struct CallConfig<C> {
    pub(in crate::client) clock: C,
    pub(in crate::client) max_response_size: Option<u64>,
    pub(in crate::client) cookies: Option<Cookies>,
}

/// What the calls of one client in one process share, wherever they run.
pub(in crate::client) struct CallShared {
    pub(in crate::client) budgets: Arc<Budgets>,
    pub(in crate::client) refusals: Refusals,
    pub(in crate::client) closed: Cancel,
    pub(in crate::client) entropy: u64,
    pub(in crate::client) serial: AtomicU64,
}

impl CallShared {
    fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

/// Where one call runs.
pub(in crate::client) struct CallSite<'a, T> {
    pub(in crate::client) shared: &'a CallShared,
    /// The present runtime's, or a lane's.
    pub(in crate::client) transport: Arc<T>,
    /// Where a lane is told of what the call begins.
    pub(in crate::client) exchanges: Option<&'a Exchanges>,
}

/// The state of one call.
pub(in crate::client) struct Running<'a, T: Transport, C, H> {
    pub(in crate::client) config: &'a CallConfig<C>,
    pub(in crate::client) shared: &'a CallShared,
    pub(in crate::client) transport: Arc<T>,
    pub(in crate::client) exchanges: Option<&'a Exchanges>,
    pub(in crate::client) policy: Cow<'a, Policy>,
    pub(in crate::client) host: H,
    /// What the host answers, read once.
    pub(in crate::client) wants: Wants,
    /// The least that somebody wants to be told, if anybody listens.
    pub(in crate::client) heard: Option<Level>,
    /// Somebody wants spans.
    pub(in crate::client) spans: bool,
    pub(in crate::client) mode: Mode,
    /// The request of the present hop.
    pub(in crate::client) request: Request,
    pub(in crate::client) whose: Whose,
    /// The origin that the caller named, if there are cookies for it.
    pub(in crate::client) named: Option<url::Origin>,
    /// The request of the present attempt alone, if a callback edited it.
    pub(in crate::client) edited: Option<Request>,
    /// Header fields of the present attempt alone, if telemetry gave it some.
    pub(in crate::client) fields: Option<Box<HeaderMap>>,
    pub(in crate::client) retry: Retry,
    pub(in crate::client) began: Tick,
    pub(in crate::client) records: Vec<AttemptRecord>,
    /// The attempt of the last record is going on.
    pub(in crate::client) open: bool,
    /// Observers were told of its start, and not yet of its end.
    pub(in crate::client) started: bool,
    /// The span of the present attempt.
    pub(in crate::client) trace: Trace,
    /// How far the attempt in flight is.
    pub(in crate::client) progress: Arc<Progress>,
}

/// A call that ended with a response.
pub(in crate::client) struct Finished<B> {
    pub(in crate::client) head: Received<()>,
    pub(in crate::client) body: CallBody<B>,
    pub(in crate::client) stop_reason: StopReason,
    /// When.
    pub(in crate::client) ended: Tick,
}

impl<B> CallBody<B> {
    /// The bytes of a buffered call.
    pub(in crate::client) fn into_bytes(self) -> Bytes {
        match self {
            CallBody::Buffered(bytes) => bytes,
            CallBody::Streamed(..) => Bytes::new(),
        }
    }
}

impl<'a, T: Transport, C: Clock, H: Host> Running<'a, T, C, H> {
    pub(in crate::client) fn begin(
        config: &'a CallConfig<C>,
        on: CallSite<'a, T>,
        policy: Cow<'a, Policy>,
        host: H,
        mode: Mode,
        whose: Whose,
        mut request: Request,
    ) -> Result<Self, Error> {
        request.settle_length()?;
        let CallSite { shared, transport, exchanges } = on;
        if policy.wants_key(request.method())
            && !request.headers.contains_key(IDEMPOTENCY_KEY)
            && let Some(key) = entropy::uuid()
        {
            request.headers.insert(IDEMPOTENCY_KEY, key);
        }
        let began = config.clock.now();
        let budget = match policy.budget() {
            Some(spec) => Some(shared.budgets.find(spec, request.origin(), began)?),
            None => None,
        };
        let wants = host.wants();
        let heard = tell::heard(wants);
        let spans = heard.is_some() && trace::spans();
        let purse = if heard.is_some() { budget.clone() } else { None };
        let mut retry = Retry::begin(&policy, facts(&request, wants.retry_if), budget, shared.entropy, shared.next_serial(), began);
        retry.set_nested(mode.nested);
        let (records, progress) = (Vec::with_capacity(1), Arc::default());
        let named = config.cookies.is_some().then(|| request.url.origin());
        let mut running = Running {
            config,
            shared,
            transport,
            exchanges,
            policy,
            host,
            wants,
            heard,
            spans,
            mode,
            request,
            whose,
            named,
            edited: None,
            fields: None,
            retry,
            began,
            records,
            open: false,
            started: false,
            trace: Trace::default(),
            progress,
        };
        running.tell_unshared(purse.as_ref());
        Ok(running)
    }

    /// Whose call it is. Asked for before the first request gives way to another.
    pub(in crate::client) fn identity(&mut self) -> Arc<Identity> {
        let Running { whose, request, .. } = self;
        let identity = whose.identity(&request.method, &request.url);
        whose.written.get_or_insert(identity).clone()
    }

    /// What the present attempt sends, or the last one sent.
    pub(in crate::client) fn sent(&self) -> &Request {
        self.edited.as_ref().unwrap_or(&self.request)
    }
}

/// What the machine is told of a request.
pub(in crate::client) fn facts(request: &Request, asked: bool) -> Call<'_> {
    Call { method: request.method.as_str(), has_idempotency_key: request.headers.contains_key(IDEMPOTENCY_KEY), asked }
}
