//! The layer and its service.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::call::Call;
use super::{Classify, Cloned, Failure, KnownErrors, Mapped, Recorded, Replay, RetryError};
use crate::error::{BoxError, ErrorKind};
use crate::policy::PolicySet;
use crate::record::Evidence;
use crate::retry::{Budgets, Opinion, mix};
use crate::system::entropy;

type RetryIf = dyn Fn(&Attempted<'_>) -> Opinion + Send + Sync;

/// What the calls of a layer's services share.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) policies: PolicySet,
    pub(super) budgets: Arc<Budgets>,
    pub(super) classify: Option<Arc<dyn Classify>>,
    pub(super) retry_if: Option<Arc<RetryIf>>,
    pub(super) origin: Box<str>,
    pub(super) name: Option<Arc<str>>,
    pub(super) allows_nesting: bool,
    entropy: u64,
    calls: Arc<AtomicU64>,
}

impl Config {
    /// What seeds the waits of the next call.
    pub(super) fn next_seed(&self) -> u64 {
        mix(self.entropy, self.calls.fetch_add(1, Ordering::Relaxed))
    }

    /// What an error of the inner service means.
    pub(super) fn failure(&self, error: &(dyn StdError + 'static)) -> Failure {
        let asked = self.classify.as_ref().and_then(|classify| classify.failure(error));
        asked.or_else(|| KnownErrors.failure(error)).unwrap_or(Failure::unknown())
    }
}

/// Puts retries around services: see the [module](super).
///
/// Cheap to clone; the services of a layer and of its clones share their budgets.
#[derive(Clone)]
pub struct RetryLayer<M = Cloned> {
    config: Arc<Config>,
    mode: M,
}

impl RetryLayer {
    /// A layer with this policy, or this set of them. Request bodies are cloned for each attempt: see [`recording`](RetryLayer::recording) for those that cannot be.
    ///
    /// A file that the set is watched for is followed by clients, not by a layer: that has what was read.
    ///
    /// Budgets are the layer's own, those with a name the process's (with the feature `client`, else the layer's).
    pub fn new(policies: impl Into<PolicySet>) -> Self {
        #[cfg(feature = "client")]
        let budgets = crate::client::process_budgets();
        #[cfg(not(feature = "client"))]
        let budgets = Budgets::new();
        let config = Config {
            policies: policies.into(),
            budgets: Arc::new(budgets),
            classify: None,
            retry_if: None,
            origin: "the service".into(),
            name: None,
            allows_nesting: false,
            entropy: entropy::seed(),
            calls: Arc::default(),
        };
        RetryLayer { config: Arc::new(config), mode: Cloned }
    }
}

impl<M> RetryLayer<M> {
    /// Request bodies are kept while they are sent, up to the policy's `max_body_buffer`, and sent again from there: any `http_body::Body`, streams too. A larger one is sent
    /// once (`body_not_replayable`). The inner service is given [`ReplayBody`](super::ReplayBody)s.
    pub fn recording(self) -> RetryLayer<Recorded> {
        RetryLayer { config: self.config, mode: Recorded }
    }

    /// As [`recording`](RetryLayer::recording), for a service that takes one type of body alone: `.recording_as(tonic::body::Body::new)`.
    pub fn recording_as<F>(self, body: F) -> RetryLayer<Mapped<F>> {
        RetryLayer { config: self.config, mode: Mapped(body) }
    }

    /// The budgets to share, with other layers and clients.
    #[must_use]
    pub fn budgets(self, budgets: Arc<Budgets>) -> Self {
        self.with(|config| config.budgets = budgets)
    }

    /// Asked first what an error of the inner service means; [`KnownErrors`](super::KnownErrors) is asked about those it does not know.
    #[must_use]
    pub fn classify(self, classify: impl Classify + 'static) -> Self {
        self.with(|config| config.classify = Some(Arc::new(classify)))
    }

    /// Asked after every attempt, while retries are left, the body can be sent again and the deadline has not passed: `true` adds a retry to the policy's, a `Duration` one
    /// after that long, `false` leaves it to the policy, [`Opinion::Stop`] stops. Method and evidence rules, limits, deadline and budget still hold.
    #[must_use]
    pub fn retry_if<O: Into<Opinion>>(self, f: impl Fn(&Attempted<'_>) -> O + Send + Sync + 'static) -> Self {
        self.with(|config| config.retry_if = Some(Arc::new(move |attempt| f(attempt).into())))
    }

    /// By what the budget of requests is found whose URI names no host and that have no `Host` (of a service that knows itself where it sends); default: they share one.
    #[must_use]
    pub fn origin(self, name: impl Into<Box<str>>) -> Self {
        self.with(|config| config.origin = name.into())
    }

    /// What the layer's calls are named in spans and events (feature `tracing`), such as `orders.get`: by operation, never by what varies. A request with a
    /// [`CallName`] among its extensions says otherwise. Default: nothing.
    #[must_use]
    pub fn name(self, name: impl Into<Arc<str>>) -> Self {
        self.with(|config| config.name = Some(name.into()))
    }

    /// Calls that are made within an attempt of another such layer retry as well, which multiplies (default: one attempt, `nested`).
    #[must_use]
    pub fn allow_nesting(self) -> Self {
        self.with(|config| config.allows_nesting = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl<M> fmt::Debug for RetryLayer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLayer").field("policies", &self.config.policies).finish_non_exhaustive()
    }
}

impl<S, M: Clone> Layer<S> for RetryLayer<M> {
    type Service = RetryService<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService { inner, layer: self.clone() }
    }
}

/// A service that retries: a [`RetryLayer`] around another one.
#[derive(Clone, Debug)]
pub struct RetryService<S, M = Cloned> {
    inner: S,
    layer: RetryLayer<M>,
}

/// A call under way. Dropping it cancels the call: what it holds of its budget is given back.
pub type RetryFuture<R> = Pin<Box<dyn Future<Output = Result<Response<R>, RetryError>> + Send>>;

impl<S, B, R, M> Service<Request<B>> for RetryService<S, M>
where
    M: Replay<B> + Clone + Send + 'static,
    M::Kept: 'static,
    S: Service<Request<M::Sent>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Send + 'static,
    R: Body + Send + 'static,
{
    type Response = Response<R>;
    type Error = RetryError;
    type Future = RetryFuture<R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), RetryError>> {
        self.inner.poll_ready(context).map_err(|error| {
            let error = error.into();
            let kind = self.layer.config.failure(&*error).kind;
            RetryError::new(error, kind, Default::default())
        })
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready makes the call.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        match Call::begin(ready, Arc::clone(&self.layer.config), self.layer.mode.clone(), request) {
            Ok(call) => Box::pin(call.run()),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// What one call is named, such as `orders.get` or `/orders/{id}`: put among the extensions of its request, in place of the layer's
/// [`name`](RetryLayer::name).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallName(pub Arc<str>);

impl<T: Into<Arc<str>>> From<T> for CallName {
    fn from(name: T) -> Self {
        CallName(name.into())
    }
}

/// The attempt that a request is: among its extensions, for what lies further in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Retries that may follow it.
    pub retries_left: u32,
}

/// One attempt and how it ended, as `retry_if` sees it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Attempted<'a> {
    /// From 1.
    pub number: u32,
    /// Retries left, the one in question included.
    pub retries_left: u32,
    /// The method of the request.
    pub method: &'a Method,
    /// Where it goes.
    pub uri: &'a Uri,
    /// Since the start of the call.
    pub elapsed: Duration,
    /// The response status; `None` on failures.
    pub status: Option<StatusCode>,
    /// The response's header fields; `None` on failures.
    pub headers: Option<&'a HeaderMap>,
    /// What the inner service failed with.
    pub error: Option<&'a (dyn StdError + 'static)>,
    /// The kind of failure, if it is known.
    pub kind: Option<ErrorKind>,
    /// Whether the server may have acted on it.
    pub evidence: Evidence,
    /// The wait the server asks for.
    pub hint: Option<Duration>,
    /// Whether the policy would retry it.
    pub verdict: bool,
    /// The wait the policy would take; `None` if the server asks for a longer one than allowed.
    pub planned_wait: Option<Duration>,
}
