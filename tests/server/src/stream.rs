//! A client connection, with or without TLS, that can end in every way TCP knows.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How long we wait for the client's FIN after ours; closing earlier with unread bytes would send an RST.
const LINGER: Duration = Duration::from_secs(2);

pub(crate) struct Stream {
    /// Read ahead, not yet given out.
    ahead: BytesMut,
    io: Io,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self { ahead: BytesMut::new(), io: Io::Plain(tcp) }
    }

    pub(crate) fn tls(tls: TlsStream<TcpStream>) -> Self {
        Self { ahead: BytesMut::new(), io: Io::Tls(Box::new(tls)) }
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.io, Io::Tls(_))
    }

    fn tcp(&self) -> &TcpStream {
        match &self.io {
            Io::Plain(tcp) => tcp,
            Io::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Whether TLS agreed on HTTP/2.
    pub(crate) fn negotiated_http2(&self) -> bool {
        match &self.io {
            Io::Plain(_) => false,
            Io::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Looks at the first `count` bytes without taking them; fewer only at the end of the stream.
    pub(crate) async fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.ahead.len() < count {
            let mut chunk = [0; 1024];
            let wanted = chunk.len().min(count - self.ahead.len());
            let read = match &mut self.io {
                Io::Plain(tcp) => tcp.read(&mut chunk[..wanted]).await?,
                Io::Tls(tls) => tls.read(&mut chunk[..wanted]).await?,
            };
            if read == 0 {
                break;
            }
            self.ahead.extend_from_slice(&chunk[..read]);
        }
        Ok(&self.ahead)
    }

    /// Ends the connection with an RST.
    pub(crate) fn reset(self) {
        // A linger time of zero makes close send an RST; it fails only on a dead socket.
        let _ = SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
    }

    /// Ends the connection with a FIN, in TLS after close_notify unless told otherwise.
    pub(crate) async fn close(mut self, close_notify: bool) {
        let _ = self.flush().await;
        if close_notify || !self.is_tls() {
            let _ = self.shutdown().await;
        } else {
            let _ = SockRef::from(self.tcp()).shutdown(std::net::Shutdown::Write);
        }
        let _ = tokio::time::timeout(LINGER, self.until_gone()).await;
    }

    /// Waits for the client's FIN or RST without reading. A FIN behind bytes that do not fit into our receive
    /// buffer is not seen.
    pub(crate) async fn until_gone_unread(&self) {
        while let Ok(ready) = self.tcp().ready(Interest::READABLE).await {
            if ready.is_read_closed() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Reads and drops until the client closes or resets.
    pub(crate) async fn until_gone(&mut self) {
        let mut scratch = vec![0; 16 * 1024];
        while matches!(self.read(&mut scratch).await, Ok(1..)) {}
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            return Poll::Ready(Ok(()));
        }
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Io::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Io::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Io::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
