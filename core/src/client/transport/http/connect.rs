//! From a target to a stream that is ready for HTTP: addresses of its name, proxies, TLS.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::dial::{Dialer, taking_turns};
use super::failure;
use super::origin::Origin;
use super::pool::Pool;
use super::proxy::{Proxies, Route, Speaks, Via};
use super::resolve::Resolver;
use super::socket::{Line, Socket};
use super::stream::Stream;
use super::tunnel;
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::system::environment;
use crate::client::transport::options::{Http2, TransportOptions};
use crate::client::transport::{Failure, Progress, tls};
use crate::error::{Error, ErrorKind};
use crate::record::Evidence;
use crate::time::DurationText;

/// Opens connections as it was told once.
pub(super) struct Connector {
    tls: TlsConnector,
    fixed: HashMap<String, Vec<IpAddr>>,
    resolver: Resolver,
    #[cfg(unix)]
    unix_socket: Option<PathBuf>,
    dialer: Dialer,
    http2: Http2,
    proxies: Proxies,
    /// To a proxy that speaks HTTP over TLS.
    proxy_tls: TlsConnector,
}

/// A stream that is ready for HTTP.
pub(super) struct Connected {
    pub(super) stream: Stream,
    pub(super) line: Line,
    /// Whether HTTP/2 is to be spoken: both sides said so in the handshake, or the options leave no choice.
    pub(super) http2: bool,
    /// The proxy that is at the other end, if it is to forward requests.
    pub(super) forward: Option<Forward>,
}

/// One connect: for whom, and what messages call its goal.
struct Errand<'a, P> {
    pool: &'a Pool,
    progress: &'a Progress,
    place: P,
}

impl<P: fmt::Display> Errand<'_, P> {
    /// Speaks TLS to `host` on a stream.
    async fn handshake<S>(&self, tls: &TlsConnector, host: &Host<String>, stream: S) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|error| {
                let message = format!("the host name cannot be in a certificate: {error} ({})", self.place);
                Failure::new(ErrorKind::InvalidRequest, Evidence::NotSent, message)
            })?,
            Host::Ipv4(address) => ServerName::from(IpAddr::V4(*address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::V6(*address)),
        };
        let began = TokioClock.now();
        let stream = tls.connect(name, stream).await;
        self.progress.note_connection(|connection| connection.tls = Some(TokioClock.now().since(began)));
        let stream = stream.map_err(|error| failure::connecting(error, &self.place))?;
        Ok(stream)
    }
}

impl Errand<'_, Route<'_>> {
    /// Asks the proxy at the other end for a way to a server.
    async fn tunnel<S>(&self, stream: S, host: &Host<String>, port: u16) -> Result<S, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let began = TokioClock.now();
        let through = tunnel::through(self.place.via, stream, host, port).await;
        self.progress.note_connection(|connection| {
            connection.connect = Some(connection.connect.unwrap_or_default() + TokioClock.now().since(began));
        });
        through.map_err(|failure| failure::at(failure, &self.place))
    }
}

/// How requests are written for a proxy that forwards them.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    pub(super) authorization: Option<HeaderValue>,
}

impl Connector {
    pub(super) fn new(options: &TransportOptions) -> Result<Self, Error> {
        let tls: ClientConfig = tls::shared(&options.tls, options.http2)?;
        let mut proxy_tls = tls.clone();
        proxy_tls.alpn_protocols.clear();
        Ok(Connector {
            tls: TlsConnector::from(Arc::new(tls)),
            proxies: Proxies::new(&options.proxy, environment::text)?,
            proxy_tls: TlsConnector::from(Arc::new(proxy_tls)),
            fixed: options.resolve.iter().map(|(name, to)| (name.to_ascii_lowercase(), to.clone())).collect(),
            resolver: Resolver::new(),
            #[cfg(unix)]
            unix_socket: options.unix_socket.clone(),
            dialer: Dialer::new(options),
            http2: options.http2,
        })
    }

    /// A connection to `origin` within `limit`. Where descriptors run out, those of `pool`'s idle connections are given up first.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        limit: Option<Duration>,
        pool: &Pool,
        progress: &Progress,
    ) -> Result<Connected, Failure> {
        let connecting = self.open(origin, pool, progress);
        match limit {
            None => connecting.await,
            Some(limit) => tokio::time::timeout(limit, connecting).await.unwrap_or_else(|elapsed| {
                let message = format!("no connection within {} ({origin})", DurationText(limit));
                let failure = Failure::new(ErrorKind::ConnectTimeout, Evidence::NotSent, message);
                Err(Failure { source: Some(Box::new(elapsed)), ..failure })
            }),
        }
    }

    async fn open(&self, origin: &Origin, pool: &Pool, progress: &Progress) -> Result<Connected, Failure> {
        if let Some(via) = self.proxy(origin) {
            return self.through(origin, &Errand { pool, progress, place: Route { via, origin } }).await;
        }
        let errand = Errand { pool, progress, place: origin };
        let socket = self.socket(&origin.host, origin.port, &errand).await?;
        let line = socket.line();
        if !origin.secure {
            return Ok(self.plain(Stream::Plain(socket), line));
        }
        let stream = errand.handshake(&self.tls, &origin.host, socket).await?;
        Ok(self.secure(Stream::Tls, stream, line))
    }

    /// The proxy to this origin. A Unix socket is the peer, whoever is asked for.
    fn proxy(&self, origin: &Origin) -> Option<&Via> {
        #[cfg(unix)]
        if self.unix_socket.is_some() {
            return None;
        }
        self.proxies.via(origin.secure, &origin.host, origin.port)
    }

    async fn through(&self, origin: &Origin, errand: &Errand<'_, Route<'_>>) -> Result<Connected, Failure> {
        let via = errand.place.via;
        let host = match via.speaks {
            // It is given no names.
            Speaks::Socks5 => match self.addresses(&origin.host, origin.port, errand).await?.first().map(SocketAddr::ip) {
                Some(IpAddr::V4(address)) => Host::Ipv4(address),
                Some(IpAddr::V6(address)) => Host::Ipv6(address),
                None => origin.host.clone(),
            },
            _ => origin.host.clone(),
        };
        let socket = self.socket(&via.host, via.port, errand).await?;
        let line = socket.line();
        let forwards = matches!(via.speaks, Speaks::Http | Speaks::Https) && !origin.secure && self.http2 != Http2::Only;
        let forward = forwards.then(|| Forward { authorization: via.authorization() });
        if via.speaks != Speaks::Https {
            if forwards {
                return Ok(Connected { stream: Stream::Plain(socket), line, http2: false, forward });
            }
            let socket = errand.tunnel(socket, &host, origin.port).await?;
            if !origin.secure {
                return Ok(self.plain(Stream::Plain(socket), line));
            }
            let stream = errand.handshake(&self.tls, &origin.host, socket).await?;
            return Ok(self.secure(Stream::Tls, stream, line));
        }
        let stream = errand.handshake(&self.proxy_tls, &via.host, socket).await?;
        if forwards {
            return Ok(Connected { stream: Stream::Tls(Box::new(stream)), line, http2: false, forward });
        }
        let stream = errand.tunnel(stream, &host, origin.port).await?;
        if !origin.secure {
            return Ok(self.plain(Stream::Tls(Box::new(stream)), line));
        }
        let stream = errand.handshake(&self.tls, &origin.host, stream).await?;
        Ok(self.secure(Stream::TlsInTls, stream, line))
    }

    fn plain(&self, stream: Stream, line: Line) -> Connected {
        Connected { stream, line, http2: self.http2 == Http2::Only, forward: None }
    }

    fn secure<S>(&self, kind: fn(Box<TlsStream<S>>) -> Stream, stream: TlsStream<S>, line: Line) -> Connected {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2") || self.http2 == Http2::Only;
        Connected { stream: kind(Box::new(stream)), line, http2, forward: None }
    }

    async fn socket(&self, host: &Host<String>, port: u16, errand: &Errand<'_, impl fmt::Display>) -> Result<Socket, Failure> {
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            loop {
                match tokio::net::UnixStream::connect(path).await {
                    Ok(stream) => return Ok(Socket::unix(stream)),
                    Err(error) if failure::is_out_of_descriptors(&error) && errand.pool.give_up_one() => {}
                    Err(error) => return Err(failure::connecting(error, &errand.place)),
                }
            }
        }
        let addresses = self.addresses(host, port, errand).await?;
        let began = TokioClock.now();
        let stream = self.dialer.race(addresses, errand.pool).await;
        errand.progress.note_connection(|connection| connection.connect = Some(TokioClock.now().since(began)));
        let stream = stream.map_err(|error| failure::connecting(error, &errand.place))?;
        Ok(Socket::tcp(stream))
    }

    /// The addresses of a host, in the order in which they are tried: as the resolver has them, families taking turns.
    async fn addresses(&self, host: &Host<String>, port: u16, errand: &Errand<'_, impl fmt::Display>) -> Result<Vec<SocketAddr>, Failure> {
        let name = match host {
            Host::Ipv4(address) => return Ok(vec![SocketAddr::new(IpAddr::V4(*address), port)]),
            Host::Ipv6(address) => return Ok(vec![SocketAddr::new(IpAddr::V6(*address), port)]),
            Host::Domain(name) => name.as_str(),
        };
        if let Some(fixed) = self.fixed.get(name) {
            return Ok(taking_turns(fixed.iter().map(|address| SocketAddr::new(*address, port)).collect()));
        }
        let began = TokioClock.now();
        let found = self.resolver.addresses(name).await;
        errand.progress.note_connection(|connection| connection.resolve = Some(TokioClock.now().since(began)));
        let with_port = |mut found: Vec<SocketAddr>| {
            found.iter_mut().for_each(|address| address.set_port(port));
            taking_turns(found)
        };
        found.map(with_port).map_err(|error| {
            let message = format!("host name not resolved: {} ({})", failure::one_line(&error), errand.place);
            let local = failure::is_local(&error);
            let failure = Failure::new(ErrorKind::Connect, Evidence::NotSent, message);
            Failure { source: Some(Box::new(error)), local, ..failure }
        })
    }
}
