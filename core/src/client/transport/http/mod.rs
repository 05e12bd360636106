//! The transport that stands on hyper's HTTP/1 connections and a pool of our own: it knows which connection a request went down, and whether a
//! byte of it was taken.

mod body;
mod connect;
mod failure;
mod http1;
pub(crate) mod idle;
mod origin;
mod pool;
mod socket;
mod upload;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, HOST, RANGE};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri};
use url::{Position, Url};

pub use self::body::HttpBody;
use self::connect::Connector;
use self::http1::Http1;
use self::origin::impossible;
use self::pool::{Granted, Lease, Limits, Pool};
use self::upload::Upload;
use super::framing::{declare_length, declared_length};
use super::options::TransportOptions;
use super::{Failure, Outgoing, Pausing, Progress, Received, Transport, coding};
use crate::error::Error;

/// Sends attempts and keeps their connections, for all runtimes and lanes of its client. Cheap to clone; clones share the connections.
///
/// Belongs to its process: none inherited through fork may be used.
#[derive(Clone)]
pub struct HttpTransport(Arc<Shared>);

struct Shared {
    connector: Connector,
    pool: Arc<Pool>,
    compression: bool,
}

impl HttpTransport {
    /// A transport without connections; needs no runtime. The first one with given TLS options reads the system's roots (3-7 ms).
    ///
    /// # Errors
    /// Kind `config`: a CA bundle without any certificate or with a broken one, a client certificate that does not fit its key.
    pub fn new(options: &TransportOptions) -> Result<Self, Error> {
        let limits = Limits {
            open: options.max_connections,
            open_per_origin: options.max_connections_per_origin,
            idle: idle::most(),
            idle_per_origin: options.pool_max_idle_per_host,
            age: options.pool_idle_timeout,
        };
        let (connector, pool) = (Connector::new(options)?, Pool::new(limits));
        Ok(HttpTransport(Arc::new(Shared { connector, pool, compression: options.compression })))
    }

    /// A connection for one request, and whether it was kept.
    async fn connection(&self, url: &Url, limit: Option<Duration>, progress: &Progress) -> Result<(Box<Http1>, Lease, bool), Failure> {
        let Granted { lease, kept } = self.0.pool.acquire(url, progress).await?;
        if let Some(kept) = kept {
            progress.note_connection(|connection| {
                connection.reused = Some(true);
                connection.peer = kept.line().peer();
            });
            return Ok((kept, lease, true));
        }
        let _connecting = Pausing::new(progress);
        let connected = self.0.connector.connect(lease.origin(), limit, &self.0.pool, progress).await?;
        progress.note_connection(|connection| {
            connection.reused = Some(false);
            connection.peer = connected.line.peer();
        });
        if connected.http2 {
            return Err(impossible("HTTP/2 was asked for, which this transport does not speak"));
        }
        let opened = Http1::new(connected).await.map_err(|error| failure::exchange(error, false, lease.origin()))?;
        Ok((opened, lease, false))
    }
}

impl Transport for HttpTransport {
    type Body = HttpBody;

    fn idle_limit(&self) -> Option<Duration> {
        self.0.pool.age()
    }

    fn for_another_runtime(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn leaves_tasks(&self) -> bool {
        false
    }

    fn close(&self) {
        self.0.pool.clear();
    }

    async fn send(&self, outgoing: Outgoing) -> Result<Received<HttpBody>, Failure> {
        let Outgoing { method, url, mut headers, body, connect_timeout, progress } = outgoing;
        declare_length(&method, &mut headers, body.length())?;
        // Of a coded body a range is of no use to those who asked for one of the plain body.
        if self.0.compression && !headers.contains_key(RANGE) {
            headers.entry(ACCEPT_ENCODING).or_insert(coding::ACCEPTED);
        }
        let path = PathAndQuery::try_from(&url[Position::BeforePath..Position::AfterQuery]).map_err(impossible)?;
        let (connection, lease, kept) = self.connection(&url, connect_timeout, &progress).await?;
        let origin = Arc::clone(lease.origin());
        if !headers.contains_key(HOST) {
            headers.insert(HOST, origin.header.clone());
        }
        let head = method == Method::HEAD;
        let mut request = Request::new(Upload::new(body, Arc::clone(&progress)));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(path);
        *request.headers_mut() = headers;
        let peer = connection.line().peer();
        let response = connection.exchange(lease, request, &progress).await.map_err(|unanswered| {
            let failure = failure::exchange(unanswered.error, unanswered.touched, &origin);
            // Who takes a kept connection may meet its end: nobody's fault, and nothing was sent.
            Failure { stale: kept && !unanswered.touched, ..failure }
        })?;
        let (mut parts, body) = response.into_parts();
        let bodiless = head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let codings = if bodiless || !self.0.compression { None } else { coding::take(&mut parts.headers) };
        let length = if bodiless { None } else { declared_length(&parts.headers) };
        let body = HttpBody::new(body, peer, codings.as_deref(), origin);
        Ok(Received { status: parts.status, version: parts.version, headers: parts.headers, length, body })
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}
