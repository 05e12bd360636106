//! Content codings: which there are, and how they are undone while the body arrives.
//!
//! Not left to reqwest, which stops at the first of several gzip members and hands them out as the whole body, takes names in lower case
//! only, and knows neither lists of codings nor the deflate without its envelope that many servers send.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};
use tokio::task::coop;

/// What requests say they accept.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip, br, zstd, deflate");

/// The most codings on top of each other that are undone: nobody sends more in earnest, and each can make a thousand bytes of one.
const MOST: usize = 2;

/// Bytes that come from further below.
pub(super) type Source = Pin<Box<dyn AsyncBufRead + Send + Sync>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings of a response in the order they were applied, taken from its header fields with what describes the coded body. `None` if
/// there are none, or one that is not known: then the body is handed out as it comes.
pub(super) fn take(headers: &mut HeaderMap) -> Option<Vec<Coding>> {
    let mut codings = Vec::new();
    for line in headers.get_all(CONTENT_ENCODING) {
        for name in line.to_str().ok()?.split(',').map(str::trim) {
            codings.push(match name.to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                "identity" | "" => continue,
                _ => return None,
            });
        }
    }
    if codings.is_empty() || codings.len() > MOST {
        return None;
    }
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    Some(codings)
}

/// A body whose head is `headers`, with its codings undone.
#[cfg(fuzzing)]
pub fn uncoded(headers: &mut HeaderMap, source: Source) -> Source {
    match take(headers) {
        Some(codings) => undone(source, &codings),
        None => source,
    }
}

/// The bytes that `codings` were applied to.
pub(super) fn undone(source: Source, codings: &[Coding]) -> Source {
    codings.iter().rev().fold(source, |source, &coding| Box::pin(BufReader::new(Undo::new(coding, source))))
}

/// Undoes one coding, to the end of its source.
struct Undo {
    coding: Coding,
    state: State,
    /// Of its source.
    barren: Arc<AtomicUsize>,
}

/// The most bytes in a row that give nothing: empty members, frames to be skipped, empty blocks, what comes behind the last member. Tables of contents, as
/// of zstd's seekable format, are smaller; a server that sends more of it keeps the call from its end.
const MOST_BARREN: usize = 1 << 20;

/// A source that ends with an error once too much was taken from it that gave nothing.
struct Measured {
    source: Source,
    /// Bytes that were taken since something came of them.
    barren: Arc<AtomicUsize>,
}

impl AsyncRead for Measured {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let there = ready!(self.as_mut().poll_fill_buf(context))?;
        let size = there.len().min(out.remaining());
        out.put_slice(&there[..size]);
        self.consume(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for Measured {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.barren.load(Ordering::Relaxed) > MOST_BARREN {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "more than 1 MiB of it in a row gives no byte of a body")));
        }
        this.source.as_mut().poll_fill_buf(context)
    }

    fn consume(mut self: Pin<&mut Self>, size: usize) {
        self.barren.fetch_add(size, Ordering::Relaxed);
        self.source.as_mut().consume(size);
    }
}

impl Undo {
    fn new(coding: Coding, source: Source) -> Self {
        let barren = Arc::default();
        let source = Measured { source, barren: Arc::clone(&barren) };
        Undo { coding, state: State::Begin(Box::pin(source)), barren }
    }
}

enum State {
    /// Nothing was read. A body without any byte was never coded.
    Begin(Source),
    Member(Decoder),
    /// A member has ended: another one may follow.
    Rest(Source),
    /// What follows is no member, and left out; but it is read, so that a cut shows.
    Ignored(Source),
    /// Also after an error.
    Over,
}

enum Decoder {
    Gzip(GzipDecoder<Source>),
    Zlib(ZlibDecoder<Source>),
    Deflate(DeflateDecoder<Source>),
    Brotli(Box<BrotliDecoder<Source>>),
    Zstd(ZstdDecoder<Source>),
}

impl Decoder {
    fn new(coding: Coding, first: u8, source: Source) -> Self {
        match coding {
            Coding::Gzip => Decoder::Gzip(GzipDecoder::new(source)),
            // The method in the envelope (RFC 1950); without one it would be a block with bits set that are always 0.
            Coding::Deflate if first & 0x0f == 8 => Decoder::Zlib(ZlibDecoder::new(source)),
            Coding::Deflate => Decoder::Deflate(DeflateDecoder::new(source)),
            Coding::Brotli => Decoder::Brotli(Box::new(BrotliDecoder::new(source))),
            Coding::Zstd => Decoder::Zstd(ZstdDecoder::new(source)),
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Decoder::Gzip(decoder) => Pin::new(decoder).poll_read(context, out),
            Decoder::Zlib(decoder) => Pin::new(decoder).poll_read(context, out),
            Decoder::Deflate(decoder) => Pin::new(decoder).poll_read(context, out),
            Decoder::Brotli(decoder) => Pin::new(&mut **decoder).poll_read(context, out),
            Decoder::Zstd(decoder) => Pin::new(decoder).poll_read(context, out),
        }
    }

    fn into_source(self) -> Source {
        match self {
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Zlib(decoder) => decoder.into_inner(),
            Decoder::Deflate(decoder) => decoder.into_inner(),
            Decoder::Brotli(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.into_inner(),
        }
    }
}

/// Whether another member (RFC 1952) or frame (RFC 8878, also those to be skipped) begins so.
fn goes_on(coding: Coding, first: u8) -> bool {
    match coding {
        Coding::Gzip => first == 0x1f,
        Coding::Zstd => matches!(first, 0x28 | 0x50..=0x5f),
        Coding::Deflate | Coding::Brotli => false,
    }
}

impl Undo {
    fn poll(&mut self, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            // Much can be taken that gives nothing (empty members), from a source that has it ready: timers and other calls get their turn.
            ready!(coop::poll_proceed(context)).made_progress();
            match &mut self.state {
                State::Begin(source) => {
                    let first = ready!(source.as_mut().poll_fill_buf(context))?.first().copied();
                    self.begin(first);
                }
                State::Member(decoder) => {
                    let before = out.filled().len();
                    ready!(decoder.poll_read(context, out))?;
                    if out.filled().len() > before {
                        self.barren.store(0, Ordering::Relaxed);
                        return Poll::Ready(Ok(()));
                    }
                    if let State::Member(decoder) = std::mem::replace(&mut self.state, State::Over) {
                        self.state = State::Rest(decoder.into_source());
                    }
                }
                State::Rest(source) => {
                    let first = ready!(source.as_mut().poll_fill_buf(context))?.first().copied();
                    if first.is_none_or(|first| goes_on(self.coding, first)) {
                        self.begin(first);
                    } else if let State::Rest(source) = std::mem::replace(&mut self.state, State::Over) {
                        self.state = State::Ignored(source);
                    }
                }
                State::Ignored(source) => {
                    let size = ready!(source.as_mut().poll_fill_buf(context))?.len();
                    if size == 0 {
                        self.state = State::Over;
                    } else {
                        source.as_mut().consume(size);
                    }
                }
                State::Over => return Poll::Ready(Ok(())),
            }
        }
    }

    /// A member that begins so, or the end.
    fn begin(&mut self, first: Option<u8>) {
        if let State::Begin(source) | State::Rest(source) = std::mem::replace(&mut self.state, State::Over)
            && let Some(first) = first
        {
            self.state = State::Member(Decoder::new(self.coding, first, source));
        }
    }
}

impl AsyncRead for Undo {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Without room for a byte nothing could be learned from getting none.
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(self.poll(context, out));
        if result.is_err() {
            self.state = State::Over;
        }
        Poll::Ready(result)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Cursor;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// A gzip member of no bytes.
    const EMPTY: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";

    #[tokio::test]
    async fn much_that_gives_nothing_lets_others_have_their_turn() {
        let mut source = undone(Box::pin(Cursor::new(EMPTY.repeat(10_000))), &[Coding::Gzip]);
        let first = poll_fn(|context| Poll::Ready(source.as_mut().poll_fill_buf(context).is_pending())).await;
        assert!(first, "it is not gone through in one go");
        let mut all = Vec::new();
        assert_eq!(source.read_to_end(&mut all).await.unwrap(), 0);
    }

    /// However it is made: a server must not be able to keep a call busy for ever.
    #[tokio::test]
    async fn much_that_gives_nothing_ends() {
        let skipped = [&b"\x50\x2a\x4d\x18\x08\0\0\0"[..], &[0; 8]].concat();
        // Behind the head of a member (RFC 1952), blocks that are stored and empty (RFC 1951).
        let blocks = [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &b"\0\0\0\xff\xff".repeat(1 << 20)].concat();
        let many = |piece: &[u8]| piece.repeat((2 << 20) / piece.len());
        for (bytes, coding) in [
            (many(EMPTY), Coding::Gzip),
            (blocks, Coding::Gzip),
            (b"\0\0\0\xff\xff".repeat(1 << 20), Coding::Deflate),
            (many(&skipped), Coding::Zstd),
            ([EMPTY, &vec![b'-'; 2 << 20]].concat(), Coding::Gzip),
        ] {
            let mut all = Vec::new();
            let error = undone(Box::pin(Cursor::new(bytes)), &[coding]).read_to_end(&mut all).await.unwrap_err();
            assert!(error.to_string().starts_with("more than 1 MiB"), "{coding:?}: {error}");
        }
    }

    #[tokio::test]
    async fn what_is_left_out_may_look_like_a_member_when_it_comes() {
        let pieces = [&[EMPTY, b"\0"].concat()[..], b"\x1fmore"].map(|piece| Ok::<_, io::Error>(bytes::Bytes::copy_from_slice(piece)));
        let source = tokio_util::io::StreamReader::new(futures_util::stream::iter(pieces));
        let mut all = Vec::new();
        assert_eq!(undone(Box::pin(source), &[Coding::Gzip]).read_to_end(&mut all).await.unwrap(), 0);
    }
}
