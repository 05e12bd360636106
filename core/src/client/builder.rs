//! Building clients.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT};
use url::Url;

use super::call::events::Event;
use super::call::question::Attempt;
use super::call::state::CallConfig;
use super::client::{Client, Config, Inner};
use super::host::callbacks::Callbacks;
use super::message::cookies::Cookies;
use super::message::redirect::Redirects;
use super::message::request::{Request, check_url, parse_url};
use super::policies::Policies;
use super::system::clock::{Clock, TokioClock};
use super::system::process::PerProcess;
use super::transport::Transport;
use super::transport::http::HttpTransport;
use super::transport::options::TransportOptions;
#[cfg(feature = "reqwest")]
use super::transport::reqwest::{ReqwestBuilder, ReqwestTransport};
use crate::error::Error;
use crate::policy::{PolicySet, ShownText};
use crate::retry::{Budgets, Opinion};

/// Collects the options of a [`Client`]; [`build`](ClientBuilder::build) checks them.
#[must_use]
pub struct ClientBuilder<S = TransportOptions, C = TokioClock> {
    transport: S,
    clock: C,
    policies: Option<PolicySet>,
    headers: HeaderMap,
    /// Of no request, not even our own.
    without: Vec<HeaderName>,
    invalid_header: Option<String>,
    max_response_size: Option<u64>,
    redirects: Redirects,
    callbacks: Callbacks,
    base_url: Option<String>,
    envoy_headers: bool,
    cookies: Option<Cookies>,
    budgets: Option<Arc<Budgets>>,
    budget_dir: Option<PathBuf>,
    share_required: bool,
}

/// What a client can be built on: options for the transport of this crate, or a transport.
pub trait IntoTransport: Clone + Send + Sync + 'static {
    /// The transport it becomes.
    type Transport: Transport;

    /// Makes the transport; `policies` are the client's. Asked again for each further runtime, and in a forked child: an
    /// implementation that shares connections with those it made before hangs there.
    ///
    /// # Errors
    /// `config` if the options cannot be.
    fn into_transport(self, policies: &PolicySet) -> Result<Self::Transport, Error>;
}

impl IntoTransport for TransportOptions {
    type Transport = HttpTransport;

    fn into_transport(mut self, policies: &PolicySet) -> Result<HttpTransport, Error> {
        // A blocked write ends by idle_timeout, which is ours. The kernel's limit is there for the writes of calls that are gone;
        // at the same length it would often fire first, and look like a connection that was lost.
        self.write_stall = policies.longest_silence().map(|idle| idle.saturating_add(Duration::from_secs(1)));
        HttpTransport::new(&self)
    }
}

/// A builder of reqwest's, asked anew for each runtime and lane.
#[cfg(feature = "reqwest")]
impl<F: Fn() -> reqwest::ClientBuilder + Clone + Send + Sync + 'static> IntoTransport for ReqwestBuilder<F> {
    type Transport = ReqwestTransport;

    fn into_transport(self, _: &PolicySet) -> Result<Self::Transport, Error> {
        self.build()
    }
}

/// A transport that can be cloned stands for itself in all runtimes: right for scripted ones.
impl<T: Transport + Clone> IntoTransport for T {
    type Transport = T;

    fn into_transport(self, _: &PolicySet) -> Result<T, Error> {
        Ok(self)
    }
}

impl Client {
    /// Options for a client, all at their defaults.
    pub fn builder() -> ClientBuilder {
        Self::on(TransportOptions::default())
    }

    /// Options for a client with these transport options, or on another transport.
    pub fn on<S: IntoTransport>(transport: S) -> ClientBuilder<S> {
        ClientBuilder {
            transport,
            clock: TokioClock,
            policies: None,
            headers: HeaderMap::new(),
            without: Vec::new(),
            invalid_header: None,
            max_response_size: None,
            redirects: Redirects::default(),
            callbacks: Callbacks::default(),
            base_url: None,
            envoy_headers: false,
            cookies: None,
            budgets: None,
            budget_dir: None,
            share_required: false,
        }
    }
}

impl<S: IntoTransport, C: Clock> ClientBuilder<S, C> {
    /// The policy of all calls that bring none of their own, or a set, whose rules choose for each call by its first URL. Default
    /// [`default_policies`].
    pub fn policy(mut self, policy: impl Into<PolicySet>) -> Self {
        self.policies = Some(policy.into());
        self
    }

    /// Another clock, for tests and simulations.
    pub fn clock<D: Clock>(self, clock: D) -> ClientBuilder<S, D> {
        self.with(|transport, _| (transport, clock))
    }

    /// Another transport, for tests and simulations; transport options are lost.
    pub fn transport<R: IntoTransport>(self, transport: R) -> ClientBuilder<R, C> {
        self.with(|_, clock| (transport, clock))
    }

    fn with<R, D>(self, replace: impl FnOnce(S, C) -> (R, D)) -> ClientBuilder<R, D> {
        let ClientBuilder {
            transport,
            clock,
            policies,
            headers,
            without,
            invalid_header,
            max_response_size,
            redirects,
            callbacks,
            base_url,
            envoy_headers,
            cookies,
            budgets,
            budget_dir,
            share_required,
        } = self;
        let (transport, clock) = replace(transport, clock);
        ClientBuilder {
            transport,
            clock,
            policies,
            headers,
            without,
            invalid_header,
            max_response_size,
            redirects,
            callbacks,
            base_url,
            envoy_headers,
            cookies,
            budgets,
            budget_dir,
            share_required,
        }
    }

    /// A header field of all requests that do not bring it themselves.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
            }
            _ => self.invalid_header = self.invalid_header.or_else(|| Some(name.to_owned())),
        }
        self
    }

    /// Leaves out a header field that requests would carry by default: `user-agent`.
    pub fn without_header(mut self, name: &str) -> Self {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => {
                self.headers.remove(&name);
                self.without.push(name);
            }
            Err(_) => self.invalid_header = self.invalid_header.or_else(|| Some(name.to_owned())),
        }
        self
    }

    /// Basic credentials of all requests that bring none themselves.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.headers.insert(AUTHORIZATION, super::message::auth::basic(user.as_bytes(), password.as_bytes()));
        self
    }

    /// The largest response body, decompressed, that is read into memory, in bytes. Default no limit.
    pub fn max_response_size(mut self, bytes: u64) -> Self {
        self.max_response_size = Some(bytes);
        self
    }

    /// Which redirects are followed. Default: up to 20, not from https to http.
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// The callbacks of all calls. Default none.
    pub fn callbacks(mut self, callbacks: Callbacks) -> Self {
        self.callbacks = callbacks;
        self
    }

    /// See [`Callbacks::retry_if`].
    pub fn retry_if<O: Into<Opinion>>(self, f: impl Fn(&Attempt) -> O + Send + Sync + 'static) -> Self {
        let callbacks = self.callbacks.clone().retry_if(f);
        self.callbacks(callbacks)
    }

    /// See [`Callbacks::delay`].
    pub fn delay<D: Into<Option<Duration>>>(self, f: impl Fn(&Attempt) -> D + Send + Sync + 'static) -> Self {
        let callbacks = self.callbacks.clone().delay(f);
        self.callbacks(callbacks)
    }

    /// See [`Callbacks::before_retry`].
    pub fn before_retry(self, f: impl Fn(&Attempt, &mut Request) -> Result<(), Error> + Send + Sync + 'static) -> Self {
        let callbacks = self.callbacks.clone().before_retry(f);
        self.callbacks(callbacks)
    }

    /// See [`Callbacks::on_event`].
    pub fn on_event(self, f: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let callbacks = self.callbacks.clone().on_event(f);
        self.callbacks(callbacks)
    }

    /// What relative URLs are appended to: `http://host/v1` and `users` or `/users` make `http://host/v1/users`. Default none.
    pub fn base_url(mut self, url: &str) -> Self {
        self.base_url = Some(url.to_owned());
        self
    }

    /// Whether `x-envoy-retry-on` and its kin on a request change its policy, as they would in Envoy. They are removed before it is
    /// sent. Default off.
    pub fn envoy_headers(mut self, on: bool) -> Self {
        self.envoy_headers = on;
        self
    }

    /// Keeps what servers set as cookies in this jar, those of retried responses and redirects included, and sends what is in it to where it belongs. A
    /// request with a `cookie` header of its own goes as it is. Default: none.
    pub fn cookies(mut self, jar: Cookies) -> Self {
        self.cookies = Some(jar);
        self
    }

    /// Budgets to share with other clients and with those who drive the machine themselves, in place of the client's own. Their ticks must be
    /// those of the client's clock: by default, the host's CLOCK_MONOTONIC. A forked child whose parent used the client has budgets of its own.
    pub fn budgets(mut self, budgets: Arc<Budgets>) -> Self {
        self.budgets = Some(budgets);
        self
    }

    /// Where the budgets with `share: host` are: a directory that is this user's alone (mode 700; made if it is not there), on a file system of this
    /// machine. Default: the environment's `REKNOCK_BUDGET_DIR`, else `/dev/shm/reknock-UID`. Processes share those in the same directory: containers
    /// a mounted one. Not for budgets that were given ([`budgets`](ClientBuilder::budgets)), nor for a name that another client of this process holds.
    pub fn budget_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.budget_dir = Some(directory.into());
        self
    }

    /// Whether a budget with `share: host` that cannot be shared is an error, of kind `config`: here where the policy has it, else of the call. Default
    /// false: such a budget is the process's alone, and its reading says why.
    pub fn share_required(mut self, required: bool) -> Self {
        self.share_required = required;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// `config` for transport options that cannot be, a header that is none, a named budget that is in use with other parameters, or one that is
    /// [required](ClientBuilder::share_required) to be the host's and cannot.
    pub fn build(mut self) -> Result<Client<S::Transport, C>, Error> {
        if let Some(name) = self.invalid_header {
            let name = ShownText(&name);
            return Err(Error::config(format!("headers: {name} is no valid header name, or its value has control characters")));
        }
        if self.headers.contains_key(TRANSFER_ENCODING) {
            return Err(Error::config("headers: transfer-encoding is written by the connection, which knows how each body goes out"));
        }
        if !self.without.contains(&USER_AGENT) {
            self.headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("reknock/", env!("CARGO_PKG_VERSION"))));
        }
        let base_url = self.base_url.map(|url| base(&url)).transpose()?;
        let policies = Policies::new(self.policies.map_or_else(default_policies, Ok)?);
        let (transport, given) = (self.transport, Arc::clone(&policies));
        let config = Config {
            transport: Box::new(move || transport.clone().into_transport(&given.get())),
            calls: CallConfig { clock: self.clock, max_response_size: self.max_response_size, cookies: self.cookies },
            policies,
            headers: Arc::new(self.headers),
            redirects: self.redirects,
            callbacks: self.callbacks,
            base_url,
            envoy_headers: self.envoy_headers,
            budgets: self.budgets,
            budget_dir: self.budget_dir,
            share_required: self.share_required,
        };
        let client = Client(Arc::new(Inner { config, shared: PerProcess::new() }));
        // So that what cannot be shows now and not at the first call.
        client.own()?;
        Ok(client)
    }
}

/// The policies of clients that are given none: those of the file that `REKNOCK_POLICY` names, which is followed
/// ([`PolicySet::watch`]), else [`Policy::default`](crate::Policy::default).
///
/// # Errors
/// `config`: that file cannot be read, or says what no policy can.
pub fn default_policies() -> Result<PolicySet, Error> {
    #[cfg(feature = "documents")]
    if let Some(path) = std::env::var_os("REKNOCK_POLICY").filter(|path| !path.is_empty()) {
        return PolicySet::watch(std::path::PathBuf::from(path), None);
    }
    Ok(PolicySet::default())
}

/// A base URL ends with a slash, so that relative ones are appended to all of it.
fn base(text: &str) -> Result<Url, Error> {
    let wrong = |what: String| Error::config(format!("base_url: must be an absolute http or https URL, {what}"));
    let mut url = parse_url(text).and_then(|url| check_url(&url).map(|()| url)).map_err(|error| wrong(error.to_string()))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("without query and fragment".to_owned()));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}
