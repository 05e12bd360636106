//! Request bodies: what can be produced once, and what can be produced again.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;

use crate::error::{BoxError, panic_text};
use crate::files;
use crate::kept::Kept;

/// Pieces of a body, one after the other.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// The body of one attempt.
#[non_exhaustive]
pub enum OutgoingBody {
    /// These bytes, perhaps none.
    Bytes(Bytes),
    /// Pieces that come one after the other. Yielding more or less than `length` is a failure of kind `invalid_request`, an error
    /// of the stream one of kind `callback`.
    Stream {
        /// The pieces.
        stream: BodyStream,
        /// How many bytes they are, if that is known.
        length: Option<u64>,
    },
}

impl OutgoingBody {
    /// The number of bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            OutgoingBody::Bytes(bytes) => Some(bytes.len() as u64),
            OutgoingBody::Stream { length, .. } => *length,
        }
    }
}

/// A request body. Bytes, files and factories can be sent again; a stream only as far as it was recorded.
#[derive(Clone)]
pub struct Body(Kind);

#[derive(Clone)]
enum Kind {
    Bytes(Bytes),
    Factory { make: Factory, length: Option<u64> },
    Once { stream: Arc<Mutex<Once>>, length: Option<u64> },
}

type Factory = Arc<dyn Fn() -> Result<BodyStream, BoxError> + Send + Sync>;

impl Body {
    /// A stream that can be consumed once. What it yields is recorded while it is sent, up to the policy's `max_body_buffer`,
    /// and as long as all of it was recorded it can be sent again.
    ///
    /// `length` in bytes, if known, becomes the content-length; a stream that yields more or less ends the call with
    /// `invalid_request`. An error of the stream ends the call with `callback`.
    pub fn stream(stream: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static, length: Option<u64>) -> Self {
        let once = Once { source: Some(Box::pin(stream)), ..Once::default() };
        Body(Kind::Once { stream: Arc::new(Mutex::new(once)), length })
    }

    /// A function that makes a new stream for each attempt, so that the body can be sent again whatever its size.
    ///
    /// `length` and errors as for [`stream`](Body::stream).
    pub fn factory(make: impl Fn() -> Result<BodyStream, BoxError> + Send + Sync + 'static, length: Option<u64>) -> Self {
        Body(Kind::Factory { make: Arc::new(make), length })
    }

    /// The rest of a file from its present position, read again from there for each attempt. It must not change meanwhile.
    ///
    /// # Errors
    /// It is no regular file, or what the system says of its position or size.
    pub fn file(mut file: File) -> io::Result<Self> {
        let data = file.metadata()?;
        files::regular(&data)?;
        let start = file.stream_position()?;
        let length = data.len().saturating_sub(start);
        let file = Arc::new(file);
        Ok(Self::factory(move || Ok(file_stream(Arc::clone(&file), start, length)), Some(length)))
    }

    /// The file at a path, as [`file`](Body::file) has it.
    ///
    /// # Errors
    /// As there; and if it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        files::open(path.as_ref()).and_then(Body::file)
    }

    /// The number of bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Factory { length, .. } | Kind::Once { length, .. } => *length,
        }
    }

    /// Declares the number of bytes of a stream.
    pub(in crate::client) fn declare(&mut self, bytes: u64) {
        match &mut self.0 {
            Kind::Bytes(_) => {}
            Kind::Factory { length, .. } | Kind::Once { length, .. } => *length = Some(bytes),
        }
    }

    /// The bytes, if it is made of bytes.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The body of the next attempt. `most`: how much of a stream is recorded, in bytes.
    pub(in crate::client) fn produce(&self, most: u64) -> Result<OutgoingBody, BoxError> {
        Ok(match &self.0 {
            Kind::Bytes(bytes) => OutgoingBody::Bytes(bytes.clone()),
            Kind::Factory { make, length } => OutgoingBody::Stream { stream: made(make)?, length: *length },
            Kind::Once { stream, length } => {
                let pass = lock(stream).pass;
                OutgoingBody::Stream { stream: Box::pin(Replay { once: Arc::clone(stream), pass, next: 0, most }), length: *length }
            }
        })
    }

    /// Whether all of it can be produced again.
    pub(in crate::client) fn is_replayable(&self) -> bool {
        match &self.0 {
            Kind::Bytes(_) | Kind::Factory { .. } => true,
            Kind::Once { stream, .. } => !lock(stream).kept.lost,
        }
    }

    /// Back to the start, for the next attempt: ends a pass that is still going on. False if it cannot be produced again.
    pub(in crate::client) fn rewind(&self) -> bool {
        match &self.0 {
            Kind::Bytes(_) | Kind::Factory { .. } => true,
            Kind::Once { stream, .. } => {
                let mut once = lock(stream);
                if !once.kept.lost {
                    once.pass += 1;
                    once.kept.settle();
                }
                !once.kept.lost
            }
        }
    }

    /// Its pieces, for a body that contains it.
    pub(in crate::client) fn into_stream(self, most: u64) -> Result<BodyStream, BoxError> {
        match self.produce(most)? {
            OutgoingBody::Bytes(bytes) => Ok(Box::pin(futures_util::stream::iter([Ok(bytes)]))),
            OutgoingBody::Stream { stream, .. } => Ok(stream),
        }
    }

    /// Whether it is no stream that can be consumed once.
    pub(in crate::client) fn is_renewable(&self) -> bool {
        !matches!(self.0, Kind::Once { .. })
    }
}

impl Default for Body {
    fn default() -> Self {
        Body(Kind::Bytes(Bytes::new()))
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Body(Kind::Bytes(bytes.into()))
    }
}

/// Its kind and size, nothing of its contents.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            Kind::Bytes(_) => "Bytes",
            Kind::Factory { .. } => "Factory",
            Kind::Once { .. } => "Stream",
        };
        f.debug_struct(name).field("length", &self.length()).finish()
    }
}

/// A stream that can be consumed once, and what it yielded so far.
#[derive(Default)]
struct Once {
    source: Option<BodyStream>,
    /// Lost, too, once it failed: it cannot be sent again.
    kept: Kept,
    /// Which pass may read on: one that is outdated must not take from the source what the next one needs.
    pass: u64,
}

fn made(make: &Factory) -> Result<BodyStream, BoxError> {
    catch_unwind(AssertUnwindSafe(|| make())).unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_text(&*panic)).into()))
}

fn lock(once: &Mutex<Once>) -> MutexGuard<'_, Once> {
    once.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One attempt's pass over a [`Once`]: first what was kept, then the source. Only the latest pass gets anything.
struct Replay {
    once: Arc<Mutex<Once>>,
    pass: u64,
    next: usize,
    most: u64,
}

impl Stream for Replay {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let mut guard = lock(&this.once);
        let once = &mut *guard;
        if once.pass != this.pass {
            return Poll::Ready(Some(Err("the attempt that was reading it was given up".into())));
        }
        if let Some(piece) = once.kept.get(this.next) {
            this.next += 1;
            return Poll::Ready(Some(Ok(piece.clone())));
        }
        let Some(source) = &mut once.source else { return Poll::Ready(None) };
        // Lost, should it panic.
        let lost = std::mem::replace(&mut once.kept.lost, true);
        let polled = source.as_mut().poll_next(context);
        once.kept.lost = lost;
        let piece = match polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => {
                once.source = None;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(piece)) => piece,
        };
        match &piece {
            Ok(bytes) => once.kept.keep(bytes, this.most),
            Err(_) => once.kept.lose(),
        }
        this.next = once.kept.len();
        Poll::Ready(Some(piece))
    }
}

const FILE_PIECE: u64 = 64 * 1024;

/// `length` bytes of a file from `start`, read where blocking is allowed, without moving the file's position.
fn file_stream(file: Arc<File>, start: u64, length: u64) -> BodyStream {
    Box::pin(unfold((start, length), move |(offset, left)| {
        let file = Arc::clone(&file);
        async move {
            if left == 0 {
                return None;
            }
            let read = tokio::task::spawn_blocking(move || read_at(&file, offset, left.min(FILE_PIECE) as usize)).await;
            match read.map_err(BoxError::from).and_then(|read| read.map_err(BoxError::from)) {
                // The end came early: the declared length tells the transport.
                Ok(piece) if piece.is_empty() => None,
                Ok(piece) => {
                    let size = piece.len() as u64;
                    Some((Ok(piece), (offset + size, left - size)))
                }
                Err(error) => Some((Err(error), (offset, 0))),
            }
        }
    }))
}

fn read_at(file: &File, offset: u64, size: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; size];
    #[cfg(unix)]
    let read = std::os::unix::fs::FileExt::read_at(file, &mut buffer, offset)?;
    #[cfg(windows)]
    let read = std::os::windows::fs::FileExt::seek_read(file, &mut buffer, offset)?;
    buffer.truncate(read);
    Ok(buffer.into())
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[test]
    fn only_regular_files_are_bodies() {
        let refused = |result: io::Result<Body>| result.err().map(|error| error.to_string());
        for (path, what) in [("/dev/zero", "a device"), ("/", "a directory")] {
            let message = format!("must be a regular file, got {what}");
            assert_eq!(refused(Body::open(path)).as_ref(), Some(&message));
            assert_eq!(refused(File::open(path).and_then(Body::file)).as_ref(), Some(&message));
        }
        assert_eq!(Body::open("Cargo.toml").expect("a file").length(), std::fs::metadata("Cargo.toml").ok().map(|data| data.len()));
    }

    /// However small the pieces are, and how large the buffers that they are views of.
    #[tokio::test]
    async fn what_is_kept_of_small_pieces_is_small() {
        let pieces = (0..65_536_u32).map(|number| {
            let buffer = Bytes::from(vec![number as u8; 64 * 1024]);
            Ok(buffer.slice(..8))
        });
        let body = Body::stream(futures_util::stream::iter(pieces), None);
        let mut passes = Vec::new();
        for _ in 0..2 {
            assert!(body.rewind());
            let OutgoingBody::Stream { stream, .. } = body.produce(1 << 20).unwrap() else { panic!("bytes") };
            let all: Vec<Bytes> = stream.map(Result::unwrap).collect().await;
            passes.push(all);
        }
        assert_eq!(passes[0].len(), 65_536, "sent as they came");
        assert!(passes[1].len() <= 9, "{} pieces are kept", passes[1].len());
        assert_eq!(passes[0].concat(), passes[1].concat());
    }

    #[tokio::test]
    async fn small_and_large_pieces_stay_in_order() {
        let sizes = [1, 5000, 3, 4096, 4095, 70_000, 0, 9];
        let pieces = sizes.map(|size: usize| Ok(Bytes::from(vec![size as u8; size])));
        let body = Body::stream(futures_util::stream::iter(pieces), None);
        let mut passes = Vec::new();
        for stop in [3, 5, usize::MAX] {
            assert!(body.rewind());
            let OutgoingBody::Stream { stream, .. } = body.produce(1 << 20).unwrap() else { panic!("bytes") };
            passes.push(stream.take(stop).map(Result::unwrap).collect::<Vec<Bytes>>().await.concat());
        }
        let whole = sizes.map(|size| vec![size as u8; size]).concat();
        assert_eq!(passes[2], whole);
        assert!(whole.starts_with(&passes[0]) && whole.starts_with(&passes[1]));
    }
}
