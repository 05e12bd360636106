//! A loopback port that can serve, refuse, or leave SYNs unanswered, and stays ours meanwhile.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::outcome::Mode;

const BACKLOG: i32 = 4096;
/// The smallest backlog that does not bring SYN cookies into play; the kernel queues one more than it says.
const FULL_BACKLOG: i32 = 1;
/// A connect on loopback takes microseconds: silence for this long means that the queue is full.
const SILENCE: Duration = Duration::from_millis(60);

/// Linux asks both sockets at each bind, so that the anchor can keep everybody else out in between.
const GUARDED: bool = cfg!(target_os = "linux");

pub(crate) struct Port {
    /// Bound but never listening: nobody else gets the port while there is no listener.
    anchor: Socket,
    address: SocketAddr,
    mode: Mode,
    listener: Option<TcpListener>,
    /// Our own connections in the queue of a full listener.
    fillers: Vec<TcpStream>,
    /// Their addresses: once the port serves again, they come out of the queue and are no clients.
    filler_addresses: HashSet<SocketAddr>,
}

impl Port {
    /// Reserves a free port, not listening yet.
    pub(crate) fn reserve() -> io::Result<Self> {
        let anchor = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), !GUARDED)?;
        let address = anchor.local_addr()?.as_socket().ok_or_else(|| io::Error::other("no IP address"))?;
        Ok(Self { anchor, address, mode: Mode::Refuse, listener: None, fillers: Vec::new(), filler_addresses: HashSet::new() })
    }

    pub(crate) fn number(&self) -> u16 {
        self.address.port()
    }

    /// The next client; never resolves while the port does not serve.
    pub(crate) async fn accept(&mut self) -> TcpStream {
        loop {
            let Some(listener) = self.listener.as_ref().filter(|_| self.mode == Mode::Serve) else {
                return std::future::pending().await;
            };
            match listener.accept().await {
                Ok((_, peer)) if self.filler_addresses.remove(&peer) => {}
                Ok((stream, _)) => return stream,
                // Out of file descriptors, or the client is gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Returns when a fresh connect meets the new mode.
    pub(crate) async fn switch(&mut self, mode: Mode) -> io::Result<()> {
        if mode == self.mode {
            return Ok(());
        }
        if mode == Mode::Refuse {
            self.listener = None;
            self.fillers.clear();
            self.filler_addresses.clear();
            self.mode = mode;
            return Ok(());
        }
        if self.listener.is_none() {
            self.anchor.set_reuse_address(true)?;
            let socket = bound(self.address, true)?;
            socket.listen(BACKLOG)?;
            self.anchor.set_reuse_address(!GUARDED)?;
            socket.set_nonblocking(true)?;
            self.listener = Some(TcpListener::from_std(socket.into())?);
        }
        // The same socket goes on, so that no connect is refused in between.
        let listener = self.listener.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        match mode {
            Mode::Full => {
                SockRef::from(listener).listen(FULL_BACKLOG)?;
                self.drop_queued().await;
                self.fill().await?;
            }
            _ => {
                self.fillers.clear();
                SockRef::from(listener).listen(BACKLOG)?;
            }
        }
        self.mode = mode;
        Ok(())
    }

    /// Closes what nobody accepted before the port stopped to serve.
    async fn drop_queued(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await {}
        self.filler_addresses.clear();
    }

    async fn fill(&mut self) -> io::Result<()> {
        loop {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
            let address = socket.local_addr()?;
            let patience = if self.fillers.len() <= FULL_BACKLOG as usize { Duration::from_secs(2) } else { SILENCE };
            match tokio::time::timeout(patience, socket.connect(self.address)).await {
                Err(_) => return Ok(()),
                Ok(stream) => {
                    self.filler_addresses.insert(address);
                    self.fillers.push(stream?);
                }
            }
        }
    }
}

/// `share` lets a second socket that shares be bound to the same port, as long as only one listens.
fn bound(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(share)?;
    #[cfg(all(unix, not(target_os = "linux")))]
    socket.set_reuse_port(share)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
