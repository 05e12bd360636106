//! What users hold: a client, which begins calls.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::HeaderMap;
use url::Url;

use super::budgets::{budgets_at, process_names};
use super::call::cancel::{Cancel, Cancellation};
use super::call::events::Event;
use super::call::question::Host;
use super::call::room;
use super::call::state::{CallBody, CallConfig, CallShared, CallSite, Delivery, Finished, Mode, Running, Whose};
use super::call::stream::{Reader, StreamingResponse};
use super::call::tell::{heard, tell};
use super::call::transfer::{Meter, OnTransfer};
use super::host::callbacks::Callbacks;
use super::host::lanes::LanePool;
use super::message::cookies::Cookies;
use super::message::fields::Fields;
use super::message::redirect::Redirects;
use super::message::request::Request;
use super::message::response::Response;
use super::policies::{Completed, Policies, head, hold};
use super::system::clock::{Clock, TokioClock};
use super::system::entropy;
use super::system::process::PerProcess;
use super::system::runtime::{PerRuntime, runtime_here};
use super::transport::Transport;
use super::transport::http::HttpTransport;
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::policy::{Policy, PolicySet, envoy};
use crate::retry::refusals::Refusals;
use crate::retry::{BudgetReading, Budgets};

/// Sends requests under a policy.
///
/// Cheap to clone; clones share connections and budgets. May be used from any thread, any number of tasks and any tokio runtime
/// at once; each runtime has connections of its own. In a forked child it starts with no connections and full budgets.
pub struct Client<T = HttpTransport, C = TokioClock>(pub(super) Arc<Inner<T, C>>);

pub(super) struct Inner<T, C> {
    pub(super) config: Config<T, C>,
    pub(super) shared: PerProcess<Arc<Shared<T>>>,
}

/// What a client was told. Never changes.
pub(super) struct Config<T, C> {
    pub(super) transport: Box<dyn Fn() -> Result<T, Error> + Send + Sync>,
    pub(super) calls: CallConfig<C>,
    pub(super) policies: Arc<Policies>,
    pub(super) headers: Arc<HeaderMap>,
    pub(super) redirects: Redirects,
    pub(super) callbacks: Callbacks,
    pub(super) base_url: Option<Url>,
    pub(super) envoy_headers: bool,
    pub(super) budgets: Option<Arc<Budgets>>,
    pub(super) budget_dir: Option<PathBuf>,
    pub(super) share_required: bool,
}

/// What the calls of one client in one process share.
pub(super) struct Shared<T> {
    /// The one for all runtimes, if it is such a one; else each has its own.
    pub(super) everywhere: Option<Arc<T>>,
    pub(super) transports: PerRuntime<T>,
    pub(super) lanes: LanePool<T>,
    pub(super) calls: CallShared,
}

impl<T, C> Clone for Client<T, C> {
    fn clone(&self) -> Self {
        Client(Arc::clone(&self.0))
    }
}

/// The policy alone: header fields and the transport may hold secrets.
impl<T, C> fmt::Debug for Client<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("policy", self.0.config.policies.get().default_policy()).finish_non_exhaustive()
    }
}

impl Client {
    /// The client of those who make none: default options, one per process, made on first use.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`](super::ClientBuilder::build).
    pub fn shared() -> Result<&'static Client, Error> {
        static SHARED: PerProcess<Client> = PerProcess::new();
        SHARED.get_or_try_make(|_| Client::builder().build())
    }
}

/// What one call wants that differs from its client. Write it as `CallOptions { policy, ..CallOptions::default() }`: it grows.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// What the caller names the call, for events, errors and telemetry: an operation or the template of a URL, such as `orders.get`. Never sent.
    pub name: Option<Arc<str>>,
    /// Whose call it is, where that was told before it began; the name is in it.
    pub call: Option<Arc<Identity>>,
    /// Another policy.
    pub policy: Option<Policy>,
    /// Other rules for redirects.
    pub redirects: Option<Redirects>,
    /// Whether redirects are followed, by these rules or the client's.
    pub follow_redirects: Option<bool>,
    /// Whether the client's jar of cookies is passed over: nothing of it is sent, and nothing is taken in.
    pub omit_cookies: bool,
    /// What may cancel the call.
    pub cancel: Option<Cancel>,
    /// The call is made within an attempt of another one that retries: see [`Retry::nested`](crate::retry::Retry::nested).
    pub nested: bool,
    /// Whether the call is made as the Fetch standard has it, where that differs: a 421 is repeated once and at once, a retry like others but for the
    /// policy's statuses and `max_retries`; redirects from https to http are followed, whatever these rules or the client's say, and those to a URL with
    /// credentials are not, so that a server cannot have a caller log in somewhere.
    pub as_fetch: bool,
    /// Who is told how much of the bodies has moved: see [`RequestBuilder::on_transfer`](super::RequestBuilder::on_transfer).
    pub on_transfer: Option<OnTransfer>,
}

/// A response as [`Client::deliver_with`] hands it out.
#[derive(Debug)]
pub enum Delivered<B, C> {
    /// With its whole body.
    Whole(Response),
    /// With a body that is still to be read.
    Open(StreamingResponse<B, C>),
}

impl<T: Transport, C: Clock> Client<T, C> {
    /// Sends a request under the client's policy and reads the whole response.
    ///
    /// Dropping the future cancels the call in whatever state it is.
    ///
    /// # Errors
    /// The original failure of the last attempt, or `deadline`; with the attempts and the stop reason. A response of any
    /// status is no error.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let options = CallOptions::default();
        let mut call = room();
        call.set(Some(self.send_on(None, request, &options, self.0.config.callbacks.clone())));
        call.as_mut().as_pin_mut().expect("put there just now").await
    }

    /// Likewise, with options of its own, asking `host` in place of the client's callbacks.
    ///
    /// # Errors
    /// As [`send`](Client::send), and `config` if the policy names a budget that is in use with other parameters.
    pub fn send_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> impl Future<Output = Result<Response, Error>> {
        self.send_on(None, request, options, host)
    }

    /// Sends a request under the client's policy and hands out the response once its head is there; the body is read as it comes.
    ///
    /// # Errors
    /// As [`send`](Client::send).
    pub async fn stream(&self, request: Request) -> Result<StreamingResponse<T::Body, C>, Error> {
        self.stream_with(request, &CallOptions::default(), self.0.config.callbacks.clone()).await
    }

    /// Likewise, with options of its own, asking `host` in place of the client's callbacks.
    ///
    /// # Errors
    /// As [`send_with`](Client::send_with).
    pub fn stream_with<H: Host>(
        &self,
        request: Request,
        options: &CallOptions,
        host: H,
    ) -> impl Future<Output = Result<StreamingResponse<T::Body, C>, Error>> {
        self.stream_on(None, request, options, host)
    }

    /// Where a call runs: there, or in the present runtime.
    #[allow(clippy::manual_async_fn)] // whose arguments are copied once more: these are large
    pub(super) fn send_on<H: Host>(
        &self,
        on: Option<CallSite<'_, T>>,
        request: Request,
        options: &CallOptions,
        host: H,
    ) -> impl Future<Output = Result<Response, Error>> {
        async move {
            let mut running = self.begin(on, request, options, host, Delivery::Buffered)?;
            let Finished { head, body, stop_reason, ended } = running.finish(options.cancel.as_ref()).await?;
            Ok(Response { head: running.head(head, stop_reason, ended), body: body.into_bytes() })
        }
    }

    pub(super) async fn stream_on<H: Host>(
        &self,
        on: Option<CallSite<'_, T>>,
        request: Request,
        options: &CallOptions,
        host: H,
    ) -> Result<StreamingResponse<T::Body, C>, Error> {
        match self.delivered_on(on, request, options, host, Delivery::Streamed).await? {
            Delivered::Open(response) => Ok(response),
            Delivered::Whole(_) => Err(Error::new(ErrorKind::Internal, "a streamed call was buffered")),
        }
    }

    /// Likewise, handing the response out when its body is there, or without the rest after 1 MiB of it or 20 ms after its head, and at once if its
    /// media type is one of those that are made while they are read (`text/event-stream`, JSON by lines, audio, video). What breaks before that
    /// may be retried; `max_response_size` holds for all of it.
    ///
    /// # Errors
    /// As [`send_with`](Client::send_with).
    pub async fn deliver_with<H: Host>(&self, request: Request, options: &CallOptions, host: H) -> Result<Delivered<T::Body, C>, Error> {
        self.delivered_on(None, request, options, host, Delivery::Auto).await
    }

    async fn delivered_on<H: Host>(
        &self,
        on: Option<CallSite<'_, T>>,
        request: Request,
        options: &CallOptions,
        host: H,
        delivery: Delivery,
    ) -> Result<Delivered<T::Body, C>, Error> {
        let mut running = self.begin(on, request, options, host, delivery)?;
        let Finished { head, body, stop_reason, ended } = running.finish(options.cancel.as_ref()).await?;
        let (early, body) = match body {
            CallBody::Buffered(body) => return Ok(Delivered::Whole(Response { head: running.head(head, stop_reason, ended), body })),
            CallBody::Streamed(early, body) => (early, body),
        };
        let (clock, idle) = (self.0.config.calls.clock.clone(), running.policy.idle_timeout());
        let cancellation = Cancellation { cancel: options.cancel.clone(), closed: running.shared.closed.clone() };
        let (length, progress) = (head.length, Arc::clone(&running.progress));
        let most = self.0.config.calls.max_response_size.filter(|_| delivery == Delivery::Auto);
        let head = running.head(head, stop_reason, ended);
        let body = Some(body);
        let reader = Reader { early, body, clock, idle, progress, cancellation, length, read: 0, most };
        Ok(Delivered::Open(StreamingResponse::new(head, reader)))
    }

    fn begin<'a, H: Host>(
        &'a self,
        on: Option<CallSite<'a, T>>,
        mut request: Request,
        options: &'a CallOptions,
        mut host: H,
        delivery: Delivery,
    ) -> Result<Running<'a, T, C, H>, Error> {
        let config = &self.0.config;
        let on = match on {
            Some(on) => on,
            None => self.here()?,
        };
        let mut redirects = options.redirects.unwrap_or(config.redirects);
        redirects.follow = options.follow_redirects.unwrap_or(redirects.follow);
        redirects.allow_downgrade |= options.as_fetch;
        config.complete(&mut request);
        request.tell_page();
        let policy = match &options.policy {
            Some(policy) => config.policy_for(&mut request, policy),
            None => {
                let policies = config.policies.at(|| config.calls.clock.now(), &on.shared.budgets);
                let policy = config.chosen(&policies, &request);
                Cow::Owned(config.policy_for(&mut request, policy).into_owned())
            }
        };
        if config.policies.is_untold()
            && let wants = host.wants()
            && heard(wants).is_some()
            && let Some(error) = config.policies.untold_error()
        {
            tell(&mut host, wants, Event::of_policy(&error));
        }
        let CallOptions { nested, as_fetch, omit_cookies, .. } = *options;
        let meter = options.on_transfer.as_ref().map(Meter::new);
        let mode = Mode { delivery, redirects, nested, as_fetch, repeat_misdirected: as_fetch, omit_cookies, meter };
        let whose = options.call.clone().map_or_else(|| Whose::next(options.name.clone()), Whose::known);
        Running::begin(&config.calls, on, policy, host, mode, whose, request)
    }

    /// Ends the calls in flight with kind `closed`, streamed bodies included, and those to come. Clones of the client are closed with it.
    pub fn close(&self) {
        if let Ok(shared) = self.own() {
            shared.calls.closed.cancel();
            shared.lanes.clear();
            shared.everywhere.iter().for_each(|transport| transport.close());
        }
    }

    /// Where a call that is awaited runs.
    fn here(&self) -> Result<CallSite<'_, T>, Error> {
        let shared = self.own()?;
        let transport = match &shared.everywhere {
            Some(transport) => {
                runtime_here(transport.opens_sockets())?;
                Arc::clone(transport)
            }
            None => {
                let transport = shared.transports.get(&self.0.config.transport)?;
                if transport.opens_sockets() {
                    runtime_here(true)?;
                }
                transport
            }
        };
        Ok(CallSite { shared: &shared.calls, transport, exchanges: None })
    }

    /// What hangs on the process; made anew in a forked child.
    pub(super) fn own(&self) -> Result<&Arc<Shared<T>>, Error> {
        let config = &self.0.config;
        self.0.shared.get_or_try_make(|parents| {
            // A parent's may be locked by a thread that is gone.
            let budgets = config.budgets.clone().filter(|_| parents.is_none()).unwrap_or_else(|| Arc::new(config.own_budgets()));
            hold(&config.policies.get(), &budgets)?;
            let closed = Cancel::new();
            if parents.is_some_and(|parents| parents.calls.closed.is_cancelled()) {
                closed.cancel();
            }
            let first = (config.transport)()?;
            let everywhere = first.for_another_runtime().map(Arc::new);
            let transports = PerRuntime::new(first);
            let calls = CallShared { budgets, refusals: Refusals::default(), closed, entropy: entropy::seed(), serial: AtomicU64::new(0) };
            Ok(Arc::new(Shared { everywhere, transports, lanes: LanePool::default(), calls }))
        })
    }

    /// The client's policy; of a set, the one for requests that no rule is for.
    pub fn policy(&self) -> Policy {
        self.policies().default_policy().clone()
    }

    /// The client's policies.
    pub fn policies(&self) -> PolicySet {
        self.0.config.policies.get()
    }

    /// The policy that a call of this request has unless it brings its own.
    pub fn policy_for(&self, request: &Request) -> Policy {
        self.0.config.chosen(&self.policies(), request).clone()
    }

    /// Gives the client and its clones other policies, for calls that begin from now on; those in flight keep theirs. Budgets with the same parameters go on;
    /// a named one with others is a fresh one from now on, for the whole process. A file that was watched is followed no longer, unless the new set is that
    /// of one.
    ///
    /// # Errors
    /// `config`, and nothing is changed: a budget has to be the host's and cannot.
    pub fn set_policy(&self, policy: impl Into<PolicySet>) -> Result<(), Error> {
        self.0.config.policies.replace(policy.into(), &self.own()?.calls.budgets)
    }

    /// Why the last change of the file that the client follows ([`PolicySet::watch`]) was not taken; `None` if it was, and if it follows none.
    pub fn policy_error(&self) -> Option<Arc<Error>> {
        self.0.config.policies.error()
    }

    /// The client's jar of cookies, if it has one.
    pub fn cookies(&self) -> Option<&Cookies> {
        self.0.config.calls.cookies.as_ref()
    }

    /// The client's callbacks.
    pub fn callbacks(&self) -> &Callbacks {
        &self.0.config.callbacks
    }

    /// What the budget for the origin of `url` (scheme, host and port) has under the policy that a GET of it has.
    ///
    /// `None` if the policy has no budget, no call used it yet, or `url` is no URL.
    pub fn budget(&self, url: &str) -> Option<BudgetReading> {
        let request = Request::new("GET", url).ok()?;
        let policy = self.policy_for(&request);
        let spec = policy.budget()?;
        let origin = request.origin();
        self.own().ok()?.calls.budgets.reading(spec, origin, self.0.config.calls.clock.now())
    }
}

impl<T, C: Clock> Config<T, C> {
    fn own_budgets(&self) -> Budgets {
        match self.calls.clock.is_of_the_host() {
            true => budgets_at(self.budget_dir.clone(), self.share_required),
            false => Budgets::sharing(Arc::clone(process_names())),
        }
    }
}

impl<T, C> Config<T, C> {
    /// The policy that the client's rules choose for a request.
    fn chosen<'a>(&self, policies: &'a PolicySet, request: &Request) -> &'a Policy {
        if policies.rules().is_empty() {
            return policies.default_policy();
        }
        let headers = Completed { own: &request.headers, given: &self.headers };
        policies.for_request(&head(request, &headers)).policy
    }

    /// The policy of one request: what its header fields change, and whether they allow retries at all.
    fn policy_for<'a>(&self, request: &mut Request, policy: &'a Policy) -> Cow<'a, Policy> {
        let asked = self.envoy_headers.then(|| envoy::with_request_headers(policy, &*request.headers));
        let head = head(request, &*request.headers);
        match asked {
            None => policy.for_request(&head),
            Some(policy) => {
                let policy = policy.for_request(&head).into_owned();
                envoy::REQUEST_HEADERS.iter().for_each(|name| request.remove_header(name));
                Cow::Owned(policy)
            }
        }
    }

    /// Adds what every request of this client carries, under what it brings itself.
    fn complete(&self, request: &mut Request) {
        if request.headers.is_empty() && request.without.is_empty() {
            request.headers = Fields::Shared(Arc::clone(&self.headers));
            return;
        }
        for name in self.headers.keys() {
            if !request.headers.contains_key(name) && !request.without.contains(name) {
                for value in self.headers.get_all(name) {
                    request.headers.append(name, value.clone());
                }
            }
        }
    }
}
