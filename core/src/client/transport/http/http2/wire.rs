//! What goes over one HTTP/2 connection, counted: whether anything came, whether anything went out, how much the peer lets out, and how it broke.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{DATA, Frame, Frames, WINDOW_UPDATE};
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::http::socket::Line;
use crate::time::Tick;

/// What bodies of all streams may send before the peer says more (RFC 9113 6.9.2).
const FIRST_WINDOW: i64 = 65_535;

/// The counts of one connection.
#[derive(Debug)]
pub(super) struct Counts {
    heard: AtomicU64,
    taken: AtomicU64,
    /// What the peer lets out at this moment, in bytes of bodies of all streams. h2 does not tell.
    window: AtomicI64,
    /// When it last let out more.
    widened: AtomicU64,
    broken: OnceLock<io::Error>,
}

impl Counts {
    pub(super) fn new() -> Self {
        Counts {
            heard: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            window: AtomicI64::new(FIRST_WINDOW),
            widened: AtomicU64::new(0),
            broken: OnceLock::new(),
        }
    }

    /// Whether the peer lets out anything of a body just now.
    pub(super) fn lets_out(&self) -> bool {
        self.window.load(Ordering::Acquire) > 0
    }

    /// When it last let out more: uploads get on.
    pub(super) fn widened(&self) -> Tick {
        Tick(self.widened.load(Ordering::Acquire))
    }

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
    /// Its socket, where there is one.
    line: Option<Line>,
    counts: Arc<Counts>,
    coming: Frames,
    going: Frames,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, line: Option<Line>, counts: Arc<Counts>) -> Self {
        Counted { stream, line, counts, coming: Frames::of_server(), going: Frames::of_client() }
    }

    /// Whether nothing goes out any more, while there may be something to read. What is written then is thrown away: h2 does not read, nor end, before
    /// it has got rid of what it has.
    fn has_failed(&self) -> bool {
        self.line.as_ref().is_some_and(Line::has_failed)
    }

    /// Counts what was written of these pieces, and keeps an error: h2 gets one of the same kind.
    fn written(&mut self, result: io::Result<usize>, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let size = result.map_err(|error| self.keep(error))?;
        self.counts.taken.fetch_add(size as u64, Ordering::Release);
        let mut left = size;
        for piece in pieces {
            let part = &piece[..left.min(piece.len())];
            left -= part.len();
            self.going.follow(part, |frame| {
                if frame.kind == DATA {
                    self.counts.window.fetch_sub(i64::from(frame.length), Ordering::AcqRel);
                }
            });
        }
        Ok(size)
    }

    /// Counts what was read.
    fn read(&mut self, bytes: &[u8]) {
        self.counts.heard.fetch_add(bytes.len() as u64, Ordering::Release);
        self.coming.follow(bytes, |Frame { kind, stream, more, .. }| {
            if kind == WINDOW_UPDATE && stream == 0 {
                self.counts.window.fetch_add(i64::from(more), Ordering::AcqRel);
                self.counts.widened.store(TokioClock.now().nanos(), Ordering::Release);
            }
        });
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
        self.read(&buffer.filled()[before..]);
        Poll::Ready(result.map_err(|error| self.keep(error)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.has_failed() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes).map(|result| self.written(result, &[io::IoSlice::new(bytes)]))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.has_failed() {
            return Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces).map(|result| self.written(result, pieces))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_failed() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(context).map_err(|error| self.keep(error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_failed() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context).map_err(|error| self.keep(error))
    }
}
