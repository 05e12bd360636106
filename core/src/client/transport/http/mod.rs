//! The transport that stands on hyper's HTTP/1 connections and a pool of our own: it knows which connection a request went down, and whether a
//! byte of it was taken.

mod body;
mod connect;
mod dial;
mod expect;
mod failure;
mod heads;
mod held;
mod http1;
mod http2;
pub(crate) mod idle;
mod origin;
mod pool;
mod proxy;
mod resolve;
mod socket;
mod stream;
mod tunnel;
mod upload;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, RANGE};
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri};
use url::{Position, Url};

pub use self::body::HttpBody;
use self::body::Live;
use self::connect::{Connected, Connector, Forward};
use self::expect::Expectation;
use self::http1::Http1;
use self::http2::{Connection, Exchange, Found, Gate, Gates, Leave, Opened, Place, trim};
use self::origin::{Origin, impossible};
use self::pool::{Granted, Lease, Limits, Pool};
use self::upload::Upload;
use super::framing::{declare_length, declared_length};
use super::options::{Http2, TransportOptions};
use super::{Failure, Outgoing, Pausing, Progress, Received, Transport, coding, said};
use crate::error::{Error, ErrorKind};
use crate::record::Evidence;

/// Sends attempts and keeps their connections, for all runtimes and lanes of its client. Cheap to clone; clones share the connections.
///
/// Belongs to its process: none inherited through fork may be used.
#[derive(Clone)]
pub struct HttpTransport(Arc<Shared>);

struct Shared {
    connector: Connector,
    pool: Arc<Pool>,
    http2: Http2,
    /// How long a silent peer of HTTP/2 is left alone.
    ping: Option<Duration>,
    compression: bool,
}

impl Drop for Shared {
    /// Connections of HTTP/2 and bodies that are still read hold on to the pool: it would outlive the client by as long as it keeps what is idle.
    fn drop(&mut self) {
        if self.pool.is_own() {
            self.pool.close();
        }
    }
}

impl HttpTransport {
    /// A transport without connections; needs no runtime. The first one with given TLS options reads the system's roots (3-7 ms).
    ///
    /// # Errors
    /// Kind `config`: a CA bundle without any certificate or with a broken one, a client certificate that does not fit its key, no connection at
    /// all, a Unix socket or an interface that cannot be.
    pub fn new(options: &TransportOptions) -> Result<Self, Error> {
        options.check()?;
        let limits = Limits {
            open: options.max_connections,
            open_per_origin: options.max_connections_per_origin,
            idle: idle::most(),
            idle_per_origin: options.pool_max_idle_per_host,
            age: options.pool_idle_timeout,
        };
        let gates = Gates::new(options.http2 == Http2::Only);
        let (connector, pool) = (Connector::new(options)?, Pool::new(limits, gates));
        let (http2, ping, compression) = (options.http2, options.http2_ping, options.compression);
        Ok(HttpTransport(Arc::new(Shared { connector, pool, http2, ping, compression })))
    }

    /// A connection for one request. `uploads`: it has a body.
    async fn way(&self, url: &Url, limit: Option<Duration>, uploads: bool, progress: &Progress) -> Result<Way, Failure> {
        let may_be_http2 = match self.0.http2 {
            Http2::Auto => url.scheme() == "https",
            Http2::Only => true,
            Http2::None => false,
        };
        if !may_be_http2 {
            let Granted { lease, kept } = self.0.pool.acquire(url, progress, true).await?;
            if let Some(connection) = kept {
                return Ok(Way::Http1 { connection, lease, kept: true });
            }
            // Boxed, as it is seldom needed: it would make the future of every call large.
            return Box::pin(self.open1(lease, limit, progress)).await;
        }
        let (origin, gate) = self.0.pool.gates.of(url)?;
        if let Some(place) = gate.try_place(uploads) {
            return Ok(Way::Http2 { place, origin });
        }
        if !gate.is_open()
            && let Some(Granted { lease, kept: Some(connection) }) = self.0.pool.kept(url)
        {
            return Ok(Way::Http1 { connection, lease, kept: true });
        }
        let _waiting = Pausing::new(progress);
        // Boxed likewise.
        match Box::pin(gate.place(limit, uploads, progress, self.open(url, limit, progress, &gate))).await? {
            Found::Place(place) => Ok(Way::Http2 { place, origin }),
            Found::Other(way) => Ok(way),
        }
    }

    /// Connects to an origin for HTTP/1.
    async fn open1(&self, lease: Lease, limit: Option<Duration>, progress: &Progress) -> Result<Way, Failure> {
        let _connecting = Pausing::new(progress);
        let connected = self.0.connector.connect(lease.origin(), limit, &self.0.pool, progress).await?;
        self.http1(connected, lease).await
    }

    /// Connects to an origin that may speak HTTP/2.
    async fn open(&self, url: &Url, limit: Option<Duration>, progress: &Progress, gate: &Arc<Gate>) -> Result<Opened<Way>, Failure> {
        let Granted { lease, kept } = self.0.pool.acquire(url, progress, false).await?;
        if let Some(connection) = kept {
            return Ok(Opened::Other(Way::Http1 { connection, lease, kept: true }));
        }
        gate.dials();
        let connected = self.0.connector.connect(lease.origin(), limit, &self.0.pool, progress).await?;
        if !connected.http2 {
            return self.http1(connected, lease).await.map(Opened::Other);
        }
        let origin = Arc::clone(lease.origin());
        let line = Some(connected.line);
        let leave = Counted { lease, _open: self.0.pool.gates.count() };
        let opened = Connection::start(connected.stream, line, self.0.ping, gate, leave).await;
        let connection = opened.map_err(|error| {
            let message = format!("the HTTP/2 connection cannot be opened: {error} ({origin})");
            Failure::new(ErrorKind::Connect, Evidence::NotSent, message)
        })?;
        self.0.pool.watch();
        Ok(Opened::Http2(connection))
    }

    async fn http1(&self, connected: Connected, lease: Lease) -> Result<Way, Failure> {
        let connection = Http1::new(connected).await.map_err(|error| failure::exchange(error, false, &**lease.origin()))?;
        Ok(Way::Http1 { connection, lease, kept: false })
    }
}

/// Sends a request over HTTP/1.
async fn send1(request: Request<Upload>, connection: Box<Http1>, lease: Lease, kept: bool, progress: &Progress) -> Result<Answer, Failure> {
    let origin = Arc::clone(lease.origin());
    let peer = connection.line().peer();
    progress.note_connection(|connection| {
        connection.reused = Some(kept);
        connection.peer = peer;
    });
    let response = connection.exchange(lease, request, progress).await.map_err(|unanswered| {
        let failure = failure::exchange(unanswered.error, unanswered.touched, &*origin);
        // Who takes a kept connection may meet its end: nobody's fault, and nothing was sent.
        Failure { stale: kept && !unanswered.touched, ..failure }
    })?;
    Ok(Answer { response: response.map(Live::Http1), origin, peer })
}

/// A request as HTTP/1 has it.
fn request1(outgoing: Outgoing, path: PathAndQuery, origin: &Origin, forward: Option<&Forward>) -> Result<Request<Upload>, Failure> {
    let Outgoing { method, url, mut headers, body, progress, .. } = outgoing;
    if !headers.contains_key(HOST) {
        headers.insert(HOST, origin.header.clone());
    }
    trim(&mut headers);
    let expectation = Expectation::of(&headers, &body);
    let mut request = Request::new(Upload::new(body, expectation, progress));
    *request.uri_mut() = match forward {
        None => Uri::from(path),
        Some(proxy) => {
            if let Some(user) = &proxy.authorization {
                headers.entry(PROXY_AUTHORIZATION).or_insert_with(|| user.clone());
            }
            Uri::try_from(&url[..Position::AfterQuery]).map_err(impossible)?
        }
    };
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Puts a request into a stream of HTTP/2.
fn enter2(outgoing: Outgoing, path: PathAndQuery, origin: &Origin, place: Place) -> Result<Exchange, Failure> {
    let Outgoing { method, mut headers, body, progress, .. } = outgoing;
    if let Some(length @ 1..) = body.length() {
        headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    let expectation = Expectation::of(&headers, &body);
    let scheme = if origin.secure { Scheme::HTTPS } else { Scheme::HTTP };
    let request = http2::request(method, scheme, &origin.authority, path, headers)
        .ok_or_else(|| impossible("its host header is none that HTTP/2 could name"))?;
    let entered = Exchange::enter(place, request, Upload::new(body, expectation, Arc::clone(&progress)), &progress);
    entered.map_err(|failure| failure::at(failure, origin))
}

/// A connection for one request.
enum Way {
    Http1 {
        connection: Box<Http1>,
        lease: Lease,
        /// Others were sent there before.
        kept: bool,
    },
    Http2 {
        place: Place,
        origin: Arc<Origin>,
    },
}

/// Leave to have a connection of HTTP/2, of which there is one more.
struct Counted {
    lease: Lease,
    _open: http2::Counted,
}

impl Leave for Counted {
    fn is_wanted(&self) -> bool {
        self.lease.is_wanted()
    }
}

/// A response head with its body as it comes.
struct Answer {
    response: Response<Live>,
    origin: Arc<Origin>,
    peer: Option<SocketAddr>,
}

impl Transport for HttpTransport {
    type Body = HttpBody;

    fn idle_limit(&self) -> Option<Duration> {
        self.0.pool.age()
    }

    fn for_another_runtime(&self) -> Option<Self> {
        Some(self.clone())
    }

    /// Connections of HTTP/2 have one each.
    fn leaves_tasks(&self) -> bool {
        self.0.pool.gates.are_open()
    }

    /// A call looks at the connection that it takes.
    fn has_news(&self) -> bool {
        false
    }

    fn opens_sockets(&self) -> bool {
        true
    }

    fn raises_signals(&self) -> bool {
        false
    }

    fn give_up_one(&self) -> bool {
        self.0.pool.give_up_one()
    }

    fn forget(&self, url: &Url) {
        self.0.pool.forget(url);
    }

    fn close(&self) {
        self.0.pool.close();
    }

    #[allow(clippy::manual_async_fn)] // whose arguments are copied once more: these are large
    fn send(&self, mut outgoing: Outgoing) -> impl Future<Output = Result<Received<HttpBody>, Failure>> + Send {
        async move {
            let Outgoing { method, url, headers, body, connect_timeout, progress } = &mut outgoing;
            declare_length(method, headers, body.length())?;
            // Of a coded body a range is of no use to those who asked for one of the plain body.
            if self.0.compression && !headers.contains_key(RANGE) {
                headers.entry(ACCEPT_ENCODING).or_insert(coding::ACCEPTED);
            }
            let path = PathAndQuery::try_from(&url[Position::BeforePath..Position::AfterQuery]).map_err(impossible)?;
            let head = *method == Method::HEAD;
            let way = self.way(url, *connect_timeout, body.length() != Some(0), progress).await?;
            let Answer { response, origin, peer } = match way {
                Way::Http1 { connection, lease, kept } => {
                    let progress = Arc::clone(progress);
                    let request = request1(outgoing, path, lease.origin(), connection.forward.as_ref())?;
                    send1(request, connection, lease, kept, &progress).await?
                }
                Way::Http2 { place, origin } => {
                    let peer = place.peer();
                    let exchange = enter2(outgoing, path, &origin, place)?;
                    let response = exchange.await.map_err(|failure| failure::at(failure, &*origin))?;
                    Answer { response: response.map(Live::Http2), origin, peer }
                }
            };
            let (mut parts, body) = response.into_parts();
            let bodiless = head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            let codings = if bodiless || !self.0.compression { None } else { coding::take(&mut parts.headers) };
            let length = if bodiless { None } else { declared_length(&parts.headers) };
            let body = HttpBody::new(body, peer, codings.as_deref(), origin);
            let reason = said(&parts.extensions);
            Ok(Received { status: parts.status, reason, version: parts.version, headers: parts.headers, length, body })
        }
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}
