//! From addresses to a connection of TCP: from where we were told to, and to the first that answers.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use super::failure;
use super::pool::Pool;
use crate::client::transport::options::TransportOptions;
use crate::error::BoxError;

/// How long an address has for itself before the next one is tried beside it (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// How long a peer is silent before the system asks whether it is still there, and how long between two questions.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Opens TCP connections as it was told once.
pub(super) struct Dialer {
    local_address: Option<IpAddr>,
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    interface: Option<String>,
    write_stall: Option<Duration>,
    nodelay: bool,
}

impl Dialer {
    pub(super) fn new(options: &TransportOptions) -> Self {
        Dialer {
            local_address: options.local_address,
            #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
            interface: options.interface.clone(),
            write_stall: options.write_stall,
            nodelay: options.tcp_nodelay,
        }
    }

    /// The first address that answers. Each has a head start before the next is tried beside it, and hands over at once when it fails.
    pub(super) async fn race(&self, mut addresses: Vec<SocketAddr>, pool: &Pool) -> io::Result<TcpStream> {
        if let Some(local) = self.local_address {
            addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
            if addresses.is_empty() {
                let family = if local.is_ipv4() { "IPv4" } else { "IPv6" };
                return Err(OwnEnd::error("local_address", local, format!("the other end has no {family} address")));
            }
        }
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
                // A task may have to run before the descriptor is free.
                Err(error) if failure::is_out_of_descriptors(&error) && pool.give_up_one() => tokio::task::yield_now().await,
                Err(error) => return Err(error),
            }
        };
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
        if let Some(name) = &self.interface {
            let bound = SockRef::from(&socket).bind_device(Some(name.as_bytes()));
            bound.map_err(|error| OwnEnd::error("interface", name, error))?;
        }
        if let Some(local) = self.local_address {
            socket.bind(SocketAddr::new(local, 0)).map_err(|error| OwnEnd::error("local_address", local, error))?;
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

/// What we were told to connect from does not serve.
#[derive(Debug)]
pub(super) struct OwnEnd {
    option: &'static str,
    given: String,
    why: BoxError,
}

impl OwnEnd {
    fn error(option: &'static str, given: impl fmt::Display, why: impl Into<BoxError>) -> io::Error {
        io::Error::other(OwnEnd { option, given: given.to_string(), why: why.into() })
    }
}

impl fmt::Display for OwnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OwnEnd { option, given, why } = self;
        write!(f, "no connection can be opened from {option} {given}: {why}")
    }
}

impl std::error::Error for OwnEnd {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.why)
    }
}

/// Addresses of both families, one of each in turn, beginning with that of the first.
pub(super) fn taking_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else { return addresses };
    let (ours, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let mut others = others.into_iter();
    let mut turns: Vec<_> = ours.into_iter().flat_map(|address| [Some(address), others.next()]).flatten().collect();
    turns.extend(others);
    turns
}
