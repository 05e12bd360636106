//! Request bodies that may be sent again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::error::BoxError;
use crate::system::clock::{Clock, TokioClock};
use crate::time::Tick;

/// How a call's body is sent again: [`Cloned`], [`Recorded`] or [`Mapped`].
pub trait Replay<B>: sealed::Sealed<B> {}

impl<B, M: sealed::Sealed<B>> Replay<B> for M {}

/// Each attempt gets a clone: for bodies of bytes and text (`Full<Bytes>`, `String`, `Bytes`), whatever their size. What cannot be cloned does not compile here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cloned;

/// Each attempt gets a [`ReplayBody`], which keeps what passes through it, up to the policy's `max_body_buffer`: for streams, and for any other body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded;

/// As [`Recorded`], with a function that makes the inner service's body of each [`ReplayBody`], such as `tonic::body::Body::new`.
#[derive(Clone, Copy, Debug)]
pub struct Mapped<F>(pub(super) F);

/// What is known of a body that was sent, or is being sent.
pub struct BodyState {
    /// It can be sent from its beginning.
    pub(super) replayable: bool,
    /// When a piece of it was taken last.
    pub(super) moved: Option<Tick>,
    /// Its source failed: nobody could send it.
    pub(super) failed: bool,
}

pub(super) mod sealed {
    use super::BodyState;

    pub trait Sealed<B> {
        /// What the inner service is given.
        type Sent;
        /// What is kept while the call lasts.
        type Kept: Send;
        fn keep(&self, body: B, most: u64) -> Self::Kept;
        /// The body of the next attempt; bodies of attempts before it end with an error.
        fn next(&self, kept: &mut Self::Kept) -> Self::Sent;
        fn state(kept: &Self::Kept) -> BodyState;
    }
}

impl<B: Clone + Send> sealed::Sealed<B> for Cloned {
    type Sent = B;
    type Kept = B;

    fn keep(&self, body: B, _: u64) -> B {
        body
    }

    fn next(&self, kept: &mut B) -> B {
        kept.clone()
    }

    fn state(_: &B) -> BodyState {
        BodyState { replayable: true, moved: None, failed: false }
    }
}

impl<B: Body + Send> sealed::Sealed<B> for Recorded {
    type Sent = ReplayBody<B>;
    type Kept = Recorder<B>;

    fn keep(&self, body: B, most: u64) -> Recorder<B> {
        Recorder::new(body, most)
    }

    fn next(&self, kept: &mut Recorder<B>) -> ReplayBody<B> {
        kept.next()
    }

    fn state(kept: &Recorder<B>) -> BodyState {
        let recording = lock(&kept.recording);
        BodyState { replayable: !recording.lost && !recording.failed, moved: recording.moved, failed: recording.failed }
    }
}

impl<B: Body + Send, T, F: Fn(ReplayBody<B>) -> T> sealed::Sealed<B> for Mapped<F> {
    type Sent = T;
    type Kept = Recorder<B>;

    fn keep(&self, body: B, most: u64) -> Recorder<B> {
        Recorder::new(body, most)
    }

    fn next(&self, kept: &mut Recorder<B>) -> T {
        self.0(kept.next())
    }

    fn state(kept: &Recorder<B>) -> BodyState {
        <Recorded as sealed::Sealed<B>>::state(kept)
    }
}

/// A body of which attempts are made.
pub struct Recorder<B> {
    recording: Arc<Mutex<Recording<B>>>,
    /// Its length, if it is known before.
    length: Option<u64>,
    attempt: u64,
}

struct Recording<B> {
    /// `None` once it ended, well or not.
    source: Option<Pin<Box<B>>>,
    kept: Vec<Piece>,
    size: u64,
    most: u64,
    /// It was too large to be kept.
    lost: bool,
    failed: bool,
    moved: Option<Tick>,
    /// Whose body may take from the source.
    attempt: u64,
}

#[derive(Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl<B: Body> Recorder<B> {
    fn new(body: B, most: u64) -> Self {
        let length = body.size_hint().exact();
        let lost = length.is_some_and(|length| length > most);
        let source = Some(Box::pin(body));
        let recording = Recording { source, kept: Vec::new(), size: 0, most, lost, failed: false, moved: None, attempt: 0 };
        Recorder { recording: Arc::new(Mutex::new(recording)), length, attempt: 0 }
    }

    fn next(&mut self) -> ReplayBody<B> {
        self.attempt += 1;
        lock(&self.recording).attempt = self.attempt;
        ReplayBody { recording: Arc::clone(&self.recording), attempt: self.attempt, at: 0, left: self.length }
    }
}

/// The body of one attempt: what attempts before it took of the original, then the rest of that. Trailers included.
///
/// That of an attempt that is over ends with an error, so that nobody takes what belongs to the next one.
pub struct ReplayBody<B> {
    recording: Arc<Mutex<Recording<B>>>,
    attempt: u64,
    /// How many kept pieces it gave.
    at: usize,
    left: Option<u64>,
}

impl<B> Body for ReplayBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let piece = ready!(lock(&this.recording).poll(this.attempt, this.at, context));
        if let Some(Ok(piece)) = &piece {
            this.at += 1;
            if let (Piece::Data(data), Some(left)) = (piece, &mut this.left) {
                *left = left.saturating_sub(data.len() as u64);
            }
        }
        Poll::Ready(piece.map(|piece| {
            piece.map(|piece| match piece {
                Piece::Data(data) => Frame::data(data),
                Piece::Trailers(trailers) => Frame::trailers(trailers),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        let recording = lock(&self.recording);
        self.at >= recording.kept.len() && recording.source.as_ref().is_none_or(|source| source.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl<B> Recording<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, attempt: u64, at: usize, context: &mut Context<'_>) -> Poll<Option<Result<Piece, BoxError>>> {
        if self.attempt != attempt {
            return Poll::Ready(Some(Err("the attempt that this body belongs to is over".into())));
        }
        if let Some(piece) = self.kept.get(at) {
            return Poll::Ready(Some(Ok(piece.clone())));
        }
        loop {
            let Some(source) = &mut self.source else { return Poll::Ready(None) };
            let frame = match ready!(source.as_mut().poll_frame(context)) {
                Some(Ok(frame)) => frame,
                ended => {
                    self.source = None;
                    self.failed = ended.is_some();
                    return Poll::Ready(ended.and_then(Result::err).map(|error| Err(error.into())));
                }
            };
            self.moved = Some(TokioClock.now());
            let piece = match frame.into_data() {
                Ok(mut data) => Piece::Data(data.copy_to_bytes(data.remaining())),
                Err(frame) => match frame.into_trailers() {
                    Ok(trailers) => Piece::Trailers(trailers),
                    // A kind of frame that is not known yet.
                    Err(_) => continue,
                },
            };
            self.keep(&piece);
            return Poll::Ready(Some(Ok(piece)));
        }
    }

    fn keep(&mut self, piece: &Piece) {
        if let Piece::Data(data) = piece {
            self.size += data.len() as u64;
            self.lost |= self.size > self.most;
        }
        match self.lost {
            true => self.kept = Vec::new(),
            false => self.kept.push(piece.clone()),
        }
    }
}

fn lock<B>(recording: &Mutex<Recording<B>>) -> MutexGuard<'_, Recording<B>> {
    // A body that panicked has nothing more to give; what was kept of it is whole.
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}
