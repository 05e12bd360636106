//! Building clients and requests.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use http::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde::Serialize;

use super::clock::{Clock, TokioClock};
use super::transport::Transport;
use super::{Body, Client, Request, ReqwestTransport, Response, Shared, TransportOptions, entropy};
use crate::error::Error;
use crate::policy::Policy;
use crate::retry::{BudgetNames, Budgets};

/// The names of budgets that all clients of the process share.
fn process_names() -> Arc<BudgetNames> {
    static NAMES: OnceLock<Arc<BudgetNames>> = OnceLock::new();
    Arc::clone(NAMES.get_or_init(Arc::default))
}

/// Collects the options of a [`Client`]; [`build`](ClientBuilder::build) checks them.
#[must_use]
pub struct ClientBuilder<S = TransportOptions, C = TokioClock> {
    transport: S,
    clock: C,
    policy: Policy,
    headers: HeaderMap,
    invalid_header: Option<String>,
    max_response_size: Option<u64>,
}

/// What a client can be built on: options for the transport on reqwest, or a transport.
pub trait IntoTransport {
    /// The transport it becomes.
    type Transport: Transport;

    /// Makes the transport; `policy` is the client's.
    ///
    /// # Errors
    /// `config` if the options cannot be.
    fn into_transport(self, policy: &Policy) -> Result<Self::Transport, Error>;
}

impl IntoTransport for TransportOptions {
    type Transport = ReqwestTransport;

    fn into_transport(mut self, policy: &Policy) -> Result<ReqwestTransport, Error> {
        // The limit of a blocked write is the limit of silence.
        self.write_stall = policy.idle_timeout();
        ReqwestTransport::new(&self)
    }
}

impl<T: Transport> IntoTransport for T {
    type Transport = T;

    fn into_transport(self, _: &Policy) -> Result<T, Error> {
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
            policy: Policy::default(),
            headers: HeaderMap::new(),
            invalid_header: None,
            max_response_size: None,
        }
    }
}

impl<S: IntoTransport, C: Clock> ClientBuilder<S, C> {
    /// The policy of all calls that bring none of their own. Default [`Policy::default`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Another clock, for tests and simulations.
    pub fn clock<D: Clock>(self, clock: D) -> ClientBuilder<S, D> {
        let ClientBuilder { transport, policy, headers, invalid_header, max_response_size, .. } = self;
        ClientBuilder { transport, clock, policy, headers, invalid_header, max_response_size }
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

    /// The largest response body, decompressed, that is read into memory, in bytes. Default no limit.
    pub fn max_response_size(mut self, bytes: u64) -> Self {
        self.max_response_size = Some(bytes);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// `config` for transport options that cannot be, a header that is none, or a named budget that is in use with other parameters.
    pub fn build(mut self) -> Result<Client<S::Transport, C>, Error> {
        if let Some(name) = self.invalid_header {
            return Err(Error::config(format!("headers: {name:?} is no valid header name, or its value has control characters")));
        }
        self.headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("reknock/", env!("CARGO_PKG_VERSION"))));
        let budgets = Budgets::sharing(process_names());
        if let Some(spec) = self.policy.budget() {
            budgets.hold(spec)?;
        }
        Ok(Client(Arc::new(Shared {
            transport: self.transport.into_transport(&self.policy)?,
            clock: self.clock,
            policy: self.policy,
            budgets,
            headers: self.headers,
            max_response_size: self.max_response_size,
            entropy: entropy::seed(),
            serial: AtomicU64::new(0),
        })))
    }
}

/// A request on its way to being sent. The first mistake is kept and returned by [`send`](RequestBuilder::send).
#[must_use]
pub struct RequestBuilder<'a, T, C> {
    client: &'a Client<T, C>,
    request: Result<Request, Error>,
    policy: Option<Policy>,
}

impl<T: Transport, C: Clock> Client<T, C> {
    /// A request with any method.
    pub fn request(&self, method: &str, url: &str) -> RequestBuilder<'_, T, C> {
        RequestBuilder { client: self, request: Request::new(method, url), policy: None }
    }

    /// A GET request.
    pub fn get(&self, url: &str) -> RequestBuilder<'_, T, C> {
        self.request("GET", url)
    }

    /// A HEAD request.
    pub fn head(&self, url: &str) -> RequestBuilder<'_, T, C> {
        self.request("HEAD", url)
    }

    /// A POST request.
    pub fn post(&self, url: &str) -> RequestBuilder<'_, T, C> {
        self.request("POST", url)
    }

    /// A PUT request.
    pub fn put(&self, url: &str) -> RequestBuilder<'_, T, C> {
        self.request("PUT", url)
    }

    /// A PATCH request.
    pub fn patch(&self, url: &str) -> RequestBuilder<'_, T, C> {
        self.request("PATCH", url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: &str) -> RequestBuilder<'_, T, C> {
        self.request("DELETE", url)
    }
}

impl<T: Transport, C: Clock> RequestBuilder<'_, T, C> {
    /// Adds a header field line.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.change(|request| request.append_header(name, value))
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.change(|request| {
            request.set_body(body);
            Ok(())
        })
    }

    /// Sets a JSON body, and `content-type: application/json` if there is no content-type yet.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        self.change(|request| request.set_json(value))
    }

    /// Another policy for this call, in place of the client's.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sends it and reads the whole response.
    ///
    /// # Errors
    /// `invalid_request` for the first mistake above, else as [`Client::send`].
    pub async fn send(self) -> Result<Response, Error> {
        match &self.policy {
            Some(policy) => self.client.send_with(self.request?, policy).await,
            None => self.client.send(self.request?).await,
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Request) -> Result<(), Error>) -> Self {
        self.request = self.request.and_then(|mut request| change(&mut request).map(|()| request));
        self
    }
}
