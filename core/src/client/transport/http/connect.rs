//! From a target to a stream that is ready for HTTP: addresses of its name, a race between them, TLS.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::failure;
use super::origin::Origin;
use super::pool::Pool;
use super::socket::{Line, Socket};
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::options::{Http2, TransportOptions};
use crate::client::transport::{Failure, Progress, tls};
use crate::error::{Error, ErrorKind};
use crate::record::Evidence;
use crate::time::DurationText;

/// How long an address has for itself before the next one is tried beside it (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// How long a peer is silent before the system asks whether it is still there, and how long between two questions.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Opens connections as it was told once.
pub(super) struct Connector {
    tls: TlsConnector,
    fixed: HashMap<String, Vec<IpAddr>>,
    #[cfg(unix)]
    unix_socket: Option<PathBuf>,
    local_address: Option<IpAddr>,
    write_stall: Option<Duration>,
    nodelay: bool,
    http2: Http2,
}

/// A stream that is ready for HTTP.
pub(super) struct Connected {
    pub(super) stream: Stream,
    pub(super) line: Line,
    /// Whether HTTP/2 is to be spoken: both sides said so in the handshake, or the options leave no choice.
    pub(super) http2: bool,
}

/// Bytes from and to a server.
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Connector {
    pub(super) fn new(options: &TransportOptions) -> Result<Self, Error> {
        let tls: ClientConfig = tls::shared(&options.tls, options.http2)?;
        Ok(Connector {
            tls: TlsConnector::from(Arc::new(tls)),
            fixed: options.resolve.iter().map(|(name, to)| (name.to_ascii_lowercase(), to.clone())).collect(),
            #[cfg(unix)]
            unix_socket: options.unix_socket.clone(),
            local_address: options.local_address,
            write_stall: options.write_stall,
            nodelay: options.tcp_nodelay,
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
            Some(limit) => tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
                let message = format!("no connection within {} ({origin})", DurationText(limit));
                Err(Failure::new(ErrorKind::ConnectTimeout, Evidence::NotSent, message))
            }),
        }
    }

    async fn open(&self, origin: &Origin, pool: &Pool, progress: &Progress) -> Result<Connected, Failure> {
        let socket = self.socket(origin, pool, progress).await?;
        let line = socket.line();
        if !origin.secure {
            return Ok(Connected { stream: Stream::Plain(socket), line, http2: self.http2 == Http2::Only });
        }
        let name = match &origin.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|error| {
                let message = format!("the host name cannot be in a certificate: {error} ({origin})");
                Failure::new(ErrorKind::InvalidRequest, Evidence::NotSent, message)
            })?,
            Host::Ipv4(address) => ServerName::from(IpAddr::V4(*address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::V6(*address)),
        };
        let began = TokioClock.now();
        let stream = self.tls.connect(name, socket).await.map_err(|error| failure::connecting(error, origin))?;
        progress.note_connection(|connection| connection.tls = Some(TokioClock.now().since(began)));
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2") || self.http2 == Http2::Only;
        Ok(Connected { stream: Stream::Tls(Box::new(stream)), line, http2 })
    }

    async fn socket(&self, origin: &Origin, pool: &Pool, progress: &Progress) -> Result<Socket, Failure> {
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            loop {
                match tokio::net::UnixStream::connect(path).await {
                    Ok(stream) => return Ok(Socket::unix(stream)),
                    Err(error) if failure::is_out_of_descriptors(&error) && pool.give_up_one() => {}
                    Err(error) => return Err(failure::connecting(error, origin)),
                }
            }
        }
        let began = TokioClock.now();
        let addresses = self.addresses(origin).await?;
        let resolved = TokioClock.now();
        if matches!(origin.host, Host::Domain(_)) {
            progress.note_connection(|connection| connection.resolve = Some(resolved.since(began)));
        }
        let stream = self.race(addresses, pool).await.map_err(|error| failure::connecting(error, origin))?;
        progress.note_connection(|connection| connection.connect = Some(TokioClock.now().since(resolved)));
        Ok(Socket::tcp(stream))
    }

    /// The addresses of an origin, in the order in which they are tried: as the resolver has them, families taking turns.
    async fn addresses(&self, origin: &Origin) -> Result<Vec<SocketAddr>, Failure> {
        let name = match &origin.host {
            Host::Ipv4(address) => return Ok(vec![SocketAddr::new(IpAddr::V4(*address), origin.port)]),
            Host::Ipv6(address) => return Ok(vec![SocketAddr::new(IpAddr::V6(*address), origin.port)]),
            Host::Domain(name) => name.as_str(),
        };
        if let Some(fixed) = self.fixed.get(name) {
            return Ok(taking_turns(fixed.iter().map(|address| SocketAddr::new(*address, origin.port)).collect()));
        }
        match tokio::net::lookup_host((name, origin.port)).await {
            Ok(found) => Ok(taking_turns(found.collect())),
            Err(error) => {
                let message = format!("host name not resolved: {} ({origin})", failure::one_line(&error));
                let local = failure::is_local(&error);
                let failure = Failure::new(ErrorKind::Connect, Evidence::NotSent, message);
                Err(Failure { source: Some(Box::new(error)), local, ..failure })
            }
        }
    }

    /// The first address that answers. Each has a head start before the next is tried beside it, and hands over at once when it fails.
    async fn race(&self, addresses: Vec<SocketAddr>, pool: &Pool) -> io::Result<TcpStream> {
        let mut left = addresses.into_iter();
        let Some(first) = left.next() else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the host name has no address"));
        };
        if left.len() == 0 {
            return self.dial(first, pool).await;
        }
        let mut dials = FuturesUnordered::new();
        dials.push(self.dial(first, pool));
        let mut reason = None;
        loop {
            let ended = if left.len() == 0 {
                dials.next().await
            } else {
                // Nobody is at work when the last one failed: the next one begins at once.
                tokio::time::timeout(HEAD_START, dials.next()).await.unwrap_or(None)
            };
            match ended {
                Some(Ok(stream)) => return Ok(stream),
                // The first address is the one that people look at.
                Some(Err(error)) => _ = reason.get_or_insert(error),
                None => {}
            }
            match left.next() {
                Some(next) => dials.push(self.dial(next, pool)),
                None if dials.is_empty() => {
                    return Err(reason.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotConnected)));
                }
                None => {}
            }
        }
    }

    async fn dial(&self, address: SocketAddr, pool: &Pool) -> io::Result<TcpStream> {
        let socket = loop {
            let made = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
            match made {
                Ok(socket) => break socket,
                Err(error) if failure::is_out_of_descriptors(&error) && pool.give_up_one() => {}
                Err(error) => return Err(error),
            }
        };
        if let Some(local) = self.local_address
            && local.is_ipv4() == address.is_ipv4()
        {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        let stream = socket.connect(address).await?;
        // A system that does not know an option does without it.
        let _ = stream.set_nodelay(self.nodelay);
        let raw = SockRef::from(&stream);
        let _ = raw.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
        let _ = raw.set_tcp_user_timeout(self.write_stall);
        Ok(stream)
    }
}

/// Addresses of both families, one of each in turn, beginning with that of the first.
fn taking_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else { return addresses };
    let (ours, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let mut others = others.into_iter();
    let mut turns: Vec<_> = ours.into_iter().flat_map(|address| [Some(address), others.next()]).flatten().collect();
    turns.extend(others);
    turns
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write(context, buffer),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write(context, buffer),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write_vectored(context, buffers),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(socket) => socket.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_flush(context),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}
