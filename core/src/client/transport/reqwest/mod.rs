//! The transport that stands on reqwest, and the only place that knows reqwest.
//!
//! reqwest's own retries, redirects and timers are off. What it cannot be told: a request on a *kept* connection that died before
//! the request was written is sent again inside the pool; such a request never reached the server.

mod body;
mod connect;
mod dns;
mod failure;
mod message;
mod probe;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, RANGE};
use http::{Method, StatusCode};
use hyper_util::client::proxy::matcher::Matcher;

use super::framing::{declare_length, declared_length};
use super::options::{Http2, Proxy, TransportOptions};
use super::{coding, said, tls};
pub use body::ReqwestBody;

use self::connect::{ATTEMPT, Attempt, ConnectLayer};
use self::failure::Sent;
use crate::client::transport::{Failure, Outgoing, Progress, Received, Transport};
use crate::error::Error;
use crate::policy::shown_text;

/// The largest HTTP/2 response head, about what HTTP/1 gets (408 KiB); h2's own 16 KiB are below what servers send.
const MAX_HEAD: u32 = 256 * 1024;

/// Sends attempts with reqwest and keeps their connections. Cheap to clone; clones share the connections. With feature `reqwest`.
///
/// A connection lives in the tokio runtime that opened it: use one transport in one runtime, and none inherited through fork.
///
/// What it cannot show or do, where the transport of this crate's own can:
/// - `resends` is always 0: its pool sends a request again by itself when a kept connection died before a byte of it was taken.
/// - [`Connection::tls`](crate::Connection::tls) is `None`: the handshake is a part of `connect`. `reused` follows from whether a connect was begun for
///   the attempt and ended before its request was sent.
/// - `interim` is always 0: interim answers are not shown, so that `compat: envoy` retries after one; they are read for as long as they come.
/// - Evidence is `unknown` where a connection died before the request was written and hyper does not say so; a GOAWAY with `NO_ERROR` stays `unknown`.
/// - An early answer (413) to a large upload whose connection is then closed is mostly lost: a failed write ends the exchange.
/// - A cancelled upload whose connection is blocked in a write lives on until `tcp_user_timeout`.
/// - An HTTP/2 connection that went silent is used until the system notices; streams beyond the limit wait inside h2, where a dropped one is sent all the same.
/// - Connections are not bounded in number; only idle ones are, per origin.
/// - One address per family is tried at a time; a proxy must answer CONNECT with 200, and its status is not in the message.
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    client: reqwest::Client,
    idle_limit: Option<Duration>,
    compression: bool,
    /// Those that reqwest goes through, for messages.
    proxies: Option<Arc<Matcher>>,
}

impl ReqwestTransport {
    /// A transport without connections; needs no runtime. The first one with given TLS options reads the system's roots (3-7 ms).
    ///
    /// # Errors
    ///
    /// Kind `config`: a CA bundle without any certificate or with a broken one, a client certificate that does not fit its key,
    /// a proxy that is no http or https URL.
    pub fn new(options: &TransportOptions) -> Result<Self, Error> {
        let mut builder = ours(reqwest::Client::builder())
            .tls_backend_preconfigured(tls::shared(&options.tls, options.http2)?)
            .http2_max_header_list_size(MAX_HEAD)
            .pool_idle_timeout(options.pool_idle_timeout)
            .pool_max_idle_per_host(options.pool_max_idle_per_host)
            .tcp_nodelay(options.tcp_nodelay)
            .local_address(options.local_address)
            .dns_resolver(dns::Resolver::new(&options.resolve));
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
        {
            builder = builder.tcp_user_timeout(options.write_stall);
        }
        builder = match options.http2 {
            Http2::Auto => builder,
            Http2::Only => builder.http2_prior_knowledge(),
            Http2::None => builder.http1_only(),
        };
        let proxies;
        (builder, proxies) = match &options.proxy {
            Proxy::Environment if names_no_proxy(std::env::vars_os()) => (builder.no_proxy(), None),
            Proxy::Environment => (builder, Some(Matcher::from_system())),
            Proxy::None => (builder.no_proxy(), None),
            Proxy::Url(url) => (builder.proxy(proxy(url)?), Some(Matcher::builder().all(url.as_str()).build())),
        };
        let client = built(builder)?;
        Ok(ReqwestTransport {
            client,
            idle_limit: options.pool_idle_timeout,
            compression: options.compression,
            proxies: proxies.map(Arc::new),
        })
    }
}

/// Makes the `reqwest::ClientBuilder` that a transport is built on, each time one is needed: for the first call, each further tokio runtime, each lane of
/// blocking calls, and in a forked child. (Clones of one finished `reqwest::Client` would share connections between runtimes, and hang.)
///
/// ```no_run
/// # fn main() -> Result<(), reknock::Error> {
/// use reknock::client::{Client, ReqwestBuilder};
///
/// let client = Client::on(ReqwestBuilder(|| reqwest::Client::builder().https_only(true))).build()?;
/// # Ok(())
/// # }
/// ```
///
/// Its retries and redirects are switched off, as calls have their own; a layer that keeps the connect limit is added. Everything else is the builder's:
/// TLS, proxies, timeouts of its own (which end attempts with what it says), codings if its features are on.
#[derive(Clone, Copy)]
pub struct ReqwestBuilder<F>(pub F);

impl<F> fmt::Debug for ReqwestBuilder<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestBuilder").finish_non_exhaustive()
    }
}

impl<F: Fn() -> reqwest::ClientBuilder> ReqwestBuilder<F> {
    /// The transport.
    ///
    /// # Errors
    /// `config` if the builder cannot be built.
    pub fn build(&self) -> Result<ReqwestTransport, Error> {
        let client = built(ours((self.0)()))?;
        Ok(ReqwestTransport { client, idle_limit: None, compression: false, proxies: None })
    }
}

/// What every client has: calls do these themselves.
fn ours(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder
        .retry(reqwest::retry::never().max_retries_per_request(0))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connector_layer(ConnectLayer)
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Error> {
    builder
        .build()
        .map_err(|error| Error::config(format!("transport: cannot be built: {}", failure::root(&error))).with_source(error.without_url()))
}

/// Whether these environment variables name no proxy, so that reqwest need not match every request against none (2 % of a call).
fn names_no_proxy(variables: impl Iterator<Item = (OsString, OsString)>) -> bool {
    // Where the system has settings of its own, they count as well.
    let alone = cfg!(not(any(target_vendor = "apple", windows)));
    let mut names = variables.map(|(name, _)| name.to_string_lossy().to_ascii_lowercase());
    alone && !names.any(|name| name.ends_with("_proxy"))
}

fn proxy(text: &str) -> Result<reqwest::Proxy, Error> {
    let wrong = |what: &str| Error::config(format!("proxy: must be an http or https URL such as \"http://proxy:3128\", got {what}"));
    let url = url::Url::parse(text).map_err(|error| wrong("something that is no URL").with_source(error))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(&format!("scheme {}", shown_text(url.scheme()))));
    }
    reqwest::Proxy::all(url).map_err(|error| wrong("something else").with_source(error.without_url()))
}

impl Transport for ReqwestTransport {
    type Body = ReqwestBody;

    fn idle_limit(&self) -> Option<Duration> {
        self.idle_limit
    }

    fn opens_sockets(&self) -> bool {
        true
    }

    async fn send(&self, outgoing: Outgoing) -> Result<Received<ReqwestBody>, Failure> {
        let Outgoing { method, url, mut headers, body, connect_timeout, progress } = outgoing;
        declare_length(&method, &mut headers, body.length())?;
        let head = method == Method::HEAD;
        let empty = body.length() == Some(0);
        // Of a coded body a range is of no use to those who asked for one of the plain body.
        if self.compression && !headers.contains_key(RANGE) {
            headers.entry(ACCEPT_ENCODING).or_insert(coding::ACCEPTED);
        }

        let (probe, upload) = probe::probe(body, progress.clone());
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(reqwest::Body::wrap(probe));
        let attempt = Attempt::new(connect_timeout, progress.clone());
        let mut response = match ATTEMPT.scope(attempt, self.client.execute(request)).await {
            Ok(response) => response,
            Err(error) => {
                if progress.is_touched() {
                    note_kept(&progress);
                }
                let sent = Sent { untouched: progress.is_untouched_for_good(), empty };
                return Err(failure::classify(error, sent, self.proxies.as_deref()));
            }
        };

        progress.note_connection(|connection| connection.peer = response.remote_addr().map(canonical));
        note_kept(&progress);

        let status = response.status();
        let mut headers = std::mem::take(response.headers_mut());
        let bodiless = head || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        let codings = if bodiless || !self.compression { None } else { coding::take(&mut headers) };
        let length = if bodiless { None } else { declared_length(&headers) };
        let (version, reason) = (response.version(), said(response.extensions()));
        Ok(Received { status, reason, version, headers, length, body: ReqwestBody::new(response, codings.as_deref(), upload) })
    }
}

/// The address as it was before the resolver offered it as another family's.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// An attempt that has a connection, and for which none was opened, has one that was kept.
fn note_kept(progress: &Progress) {
    progress.note_connection(|connection| connection.reused = connection.reused.or(Some(true)));
}

#[cfg(test)]
mod tests;
