//! One socket: what the kernel took is counted, no write raises a signal, and a failed write does not hide an answer that is there to be read.

use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// Writes of a peer that is gone fail, and raise no SIGPIPE. Elsewhere the socket itself is told so, or there is no such signal.
#[cfg(all(unix, not(target_vendor = "apple")))]
const QUIET: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const QUIET: i32 = 0;

/// A connected socket, for whoever reads and writes it. Stands below TLS, so that bytes are the kernel's.
#[derive(Debug)]
pub(crate) struct Socket(Arc<Shared>);

/// What can be known of a [`Socket`], and done with it, from beside: while a protocol owns it.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Bytes that the kernel took.
    taken: AtomicU64,
    peer: Option<SocketAddr>,
}

#[derive(Debug)]
struct State {
    stream: Stream,
    /// Why nothing can be written any more, while there may still be something to read.
    failed: Option<io::Error>,
    /// Something was seen to be there, of which the runtime does not know yet.
    unread: bool,
    /// Nothing more will be read: its end has come, or it broke.
    over: bool,
    /// Somebody reads.
    read: bool,
    /// The kernel did not take all that was to be written.
    blocked: bool,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// It was lost on its way to another runtime.
    Lost,
}

/// What a look at a socket that nobody reads shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Nothing has come.
    Quiet,
    /// Bytes have come.
    Bytes,
    /// The peer has closed it, or it broke.
    Over,
}

macro_rules! on {
    ($stream:expr, $inner:ident => $then:expr) => {
        match $stream {
            Stream::Tcp($inner) => $then,
            #[cfg(unix)]
            Stream::Unix($inner) => $then,
            Stream::Lost => Poll::Ready(Err(lost())),
        }
    };
}

impl Socket {
    /// A TCP connection.
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        let peer = stream.peer_addr().ok().map(|peer| SocketAddr::new(peer.ip().to_canonical(), peer.port()));
        #[cfg(target_vendor = "apple")]
        let _ = SockRef::from(&stream).set_nosigpipe(true);
        Self::new(Stream::Tcp(stream), peer)
    }

    /// A connection to a Unix socket.
    #[cfg(unix)]
    pub(crate) fn unix(stream: UnixStream) -> Self {
        #[cfg(target_vendor = "apple")]
        let _ = SockRef::from(&stream).set_nosigpipe(true);
        Self::new(Stream::Unix(stream), None)
    }

    fn new(stream: Stream, peer: Option<SocketAddr>) -> Self {
        let state = Mutex::new(State { stream, failed: None, unread: false, over: false, read: false, blocked: false });
        Socket(Arc::new(Shared { state, taken: AtomicU64::new(0), peer }))
    }

    /// The handle to know it by.
    pub(crate) fn line(&self) -> Line {
        Line(Arc::clone(&self.0))
    }

    /// What a write has come to. A failure is kept back as long as there may be an answer: the read that finds none tells it. Not where nobody has read
    /// yet: who begins by writing would wait for ever.
    fn wrote(&self, state: &mut State, result: Poll<io::Result<usize>>, context: &Context<'_>) -> Poll<io::Result<usize>> {
        state.blocked = result.is_pending();
        match result {
            Poll::Ready(Ok(size)) => {
                self.0.taken.fetch_add(size as u64, Ordering::Release);
                Poll::Ready(Ok(size))
            }
            Poll::Ready(Err(error)) if state.over || !state.read => Poll::Ready(Err(error)),
            Poll::Ready(Err(error)) => {
                state.failed = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Line {
    /// How many bytes the kernel took so far.
    pub(crate) fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Acquire)
    }

    /// Whether the last write waits for the peer to read.
    pub(crate) fn is_blocked(&self) -> bool {
        self.0.lock().blocked
    }

    /// Whether a write has failed, and there may still be something to read.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.lock().failed.is_some()
    }

    /// The address at the other end: the server's, or the proxy's. None of a Unix socket.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Looks whether the peer closed it or said something, without waiting and whatever the runtime knows. Bytes that are seen are there for
    /// the next read.
    pub(crate) fn look(&self) -> Sight {
        let mut state = self.0.lock();
        let seen = match &state.stream {
            Stream::Tcp(stream) => peek(&SockRef::from(stream)),
            #[cfg(unix)]
            Stream::Unix(stream) => peek(&SockRef::from(stream)),
            Stream::Lost => Sight::Over,
        };
        state.unread = seen == Sight::Bytes;
        seen
    }

    /// Takes the socket into the present runtime: only there it wakes anybody.
    ///
    /// # Errors
    /// What the system says, or the old runtime. It can be used nowhere then.
    pub(crate) fn move_here(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.stream = match std::mem::replace(&mut state.stream, Stream::Lost) {
            Stream::Tcp(stream) => Stream::Tcp(TcpStream::from_std(stream.into_std()?)?),
            #[cfg(unix)]
            Stream::Unix(stream) => Stream::Unix(UnixStream::from_std(stream.into_std()?)?),
            Stream::Lost => return Err(lost()),
        };
        Ok(())
    }
}

impl Line {
    /// Closes the socket, whoever has it.
    pub(crate) fn close(&self) {
        let gone = std::mem::replace(&mut self.0.lock().stream, Stream::Lost);
        drop(gone);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection did not survive its move to another runtime")
}

fn peek(socket: &SockRef<'_>) -> Sight {
    match socket.peek(&mut [MaybeUninit::uninit()]) {
        Ok(0) => Sight::Over,
        Ok(_) => Sight::Bytes,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sight::Quiet,
        Err(_) => Sight::Over,
    }
}

/// Reads what was seen to be there. False if it is not there any more.
fn read_seen(socket: &SockRef<'_>, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
    match (&mut &**socket).read(buffer.initialize_unfilled()) {
        Ok(size) => {
            buffer.advance(size);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

impl State {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.unread) {
            let read = match &self.stream {
                Stream::Tcp(stream) => read_seen(&SockRef::from(stream), buffer)?,
                #[cfg(unix)]
                Stream::Unix(stream) => read_seen(&SockRef::from(stream), buffer)?,
                Stream::Lost => false,
            };
            if read {
                return Poll::Ready(Ok(()));
            }
        }
        on!(&mut self.stream, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

macro_rules! send {
    ($stream:ident, $context:ident, $buffers:ident) => {
        loop {
            ready!($stream.poll_write_ready($context))?;
            let sent = $stream.try_io(Interest::WRITABLE, || match $buffers {
                [one] => SockRef::from(&*$stream).send_with_flags(one, QUIET),
                more => SockRef::from(&*$stream).send_vectored_with_flags(more, QUIET),
            });
            match sent {
                // The runtime knows better now.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                sent => break Poll::Ready(sent),
            }
        }
    };
}

fn poll_send(stream: &mut Stream, context: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    match stream {
        Stream::Tcp(stream) => send!(stream, context, buffers),
        #[cfg(unix)]
        Stream::Unix(stream) => send!(stream, context, buffers),
        Stream::Lost => Poll::Ready(Err(lost())),
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        state.read = true;
        let before = buffer.filled().len();
        let result = ready!(state.poll_read(context, buffer));
        let ended = result.is_err() || buffer.filled().len() == before && buffer.remaining() > 0;
        state.over |= ended;
        match state.failed.take() {
            // There was no answer: what broke is the write.
            Some(failed) if ended => Poll::Ready(Err(failed)),
            failed => {
                state.failed = failed;
                Poll::Ready(result)
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        if state.failed.is_some() {
            return Poll::Pending;
        }
        let result = poll_send(&mut state.stream, context, buffers);
        self.wrote(&mut state, result, context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is kept back here.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(&mut self.0.lock().stream, stream => Pin::new(stream).poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A connection that the peer has reset, after saying this.
    async fn reset(said: &[u8]) -> Socket {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (socket, mut theirs) = (Socket::tcp(ours.unwrap()), theirs.unwrap().0);
        theirs.write_all(said).await.unwrap();
        theirs.set_zero_linger().unwrap();
        drop(theirs);
        while socket.line().look() == Sight::Quiet {
            tokio::task::yield_now().await;
        }
        socket
    }

    #[tokio::test]
    async fn a_failed_write_is_kept_back_only_from_those_who_read() {
        // As those do who have to ask before they are told anything.
        let mut socket = reset(b"").await;
        let written = async {
            // The first may find nothing wrong, where the reset has been told to the one who looked.
            socket.write_all(b"a").await?;
            socket.write_all(b"b").await
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), written).await.expect("it waits for ever").is_err());

        let mut socket = reset(b"no").await;
        let mut said = [0; 2];
        socket.read_exact(&mut said[..1]).await.unwrap();
        let writing = std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut socket).poll_write(context, b"a").is_pending()));
        assert!(writing.await && socket.line().has_failed(), "there is an answer to be read");
        socket.read_exact(&mut said[1..]).await.unwrap();
        assert!(socket.read(&mut said).await.is_err() && !socket.line().has_failed());
    }
}
