//! What goes over one HTTP/2 connection, counted: whether anything came, whether anything went out, and how it broke.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The counts of one connection.
#[derive(Debug, Default)]
pub(super) struct Counts {
    heard: AtomicU64,
    taken: AtomicU64,
    broken: OnceLock<io::Error>,
}

impl Counts {
    /// The bytes that came so far: when it grows, the peer is alive.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Acquire)
    }

    /// The bytes that were taken from us so far: as long as it stands still, nothing new went out.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// The first error of reading or writing. h2 keeps of it no more than the text.
    pub(super) fn broken(&self) -> Option<&io::Error> {
        self.broken.get()
    }
}

/// A stream whose bytes are counted.
pub(super) struct Counted<S> {
    stream: S,
    counts: Arc<Counts>,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, counts: Arc<Counts>) -> Self {
        Counted { stream, counts }
    }

    /// Counts what was written, and keeps an error: h2 gets one of the same kind.
    fn written(&self, result: io::Result<usize>) -> io::Result<usize> {
        match result {
            Ok(size) => {
                self.counts.taken.fetch_add(size as u64, Ordering::Release);
                Ok(size)
            }
            Err(error) => Err(self.keep(error)),
        }
    }

    fn keep(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        let _ = self.counts.broken.set(error);
        kind.into()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = std::task::ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let came = buffer.filled().len() - before;
        self.counts.heard.fetch_add(came as u64, Ordering::Release);
        Poll::Ready(result.map_err(|error| self.keep(error)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes).map(|result| self.written(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces).map(|result| self.written(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context).map_err(|error| self.keep(error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context).map_err(|error| self.keep(error))
    }
}
