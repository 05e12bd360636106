//! Request bodies that may be sent again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::error::{BoxError, ErrorKind};
use crate::kept::Kept;
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
    /// What went wrong with its source: nobody could send it.
    pub(super) failed: Option<ErrorKind>,
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
        /// No attempt follows the one that was answered, whose body may go on.
        fn release(kept: &mut Self::Kept);
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

    fn release(_: &mut B) {}

    fn state(_: &B) -> BodyState {
        BodyState { replayable: true, moved: None, failed: None }
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

    fn release(kept: &mut Recorder<B>) {
        kept.release();
    }

    fn state(kept: &Recorder<B>) -> BodyState {
        let recording = lock(&kept.recording);
        let replayable = !recording.kept.lost && recording.failed.is_none();
        BodyState { replayable, moved: recording.moved, failed: recording.failed }
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

    fn release(kept: &mut Recorder<B>) {
        kept.release();
    }

    fn state(kept: &Recorder<B>) -> BodyState {
        <Recorded as sealed::Sealed<B>>::state(kept)
    }
}

/// A body of which attempts are made.
pub struct Recorder<B> {
    recording: Arc<Mutex<Recording<B>>>,
    /// The last attempt was answered: its body may go on without this.
    released: bool,
}

struct Recording<B> {
    /// `None` once it ended, well or not.
    source: Option<Pin<Box<B>>>,
    kept: Kept,
    trailers: Option<HeaderMap>,
    most: u64,
    /// Its length, if it says so before, and how much of it came.
    declared: Option<u64>,
    came: u64,
    failed: Option<ErrorKind>,
    moved: Option<Tick>,
    /// Whose body may take from the source.
    attempt: u64,
    /// Who waits for the source.
    waiting: Option<Waker>,
}

impl<B: Body> Recorder<B> {
    fn new(body: B, most: u64) -> Self {
        let declared = body.size_hint().exact();
        let mut kept = Kept::default();
        if declared.is_some_and(|declared| declared > most) {
            kept.lose();
        }
        let recording = Recording {
            source: Some(Box::pin(body)),
            kept,
            trailers: None,
            most,
            declared,
            came: 0,
            failed: None,
            moved: None,
            attempt: 0,
            waiting: None,
        };
        Recorder { recording: Arc::new(Mutex::new(recording)), released: false }
    }

    fn next(&mut self) -> ReplayBody<B> {
        let attempt = self.end();
        let left = lock(&self.recording).declared;
        ReplayBody { recording: Arc::clone(&self.recording), place: Place { attempt, ..Place::default() }, left }
    }

    fn release(&mut self) {
        self.released = true;
        // What comes from now on is kept no more; what was, the body may still have to give.
        lock(&self.recording).kept.lost = true;
    }
}

impl<B> Recorder<B> {
    /// Ends the attempt under way: whoever waits for its body is told. The number of the next one.
    fn end(&self) -> u64 {
        let mut recording = lock(&self.recording);
        recording.attempt += 1;
        recording.kept.settle();
        let (attempt, waiting) = (recording.attempt, recording.waiting.take());
        drop(recording);
        waiting.into_iter().for_each(Waker::wake);
        attempt
    }
}

impl<B> Drop for Recorder<B> {
    fn drop(&mut self) {
        if !self.released {
            self.end();
        }
    }
}

/// The body of one attempt: what attempts before it took of the original, then the rest of that. Trailers included.
///
/// That of an attempt that is over ends with an error, so that nobody takes what belongs to the next one; so does one whose original failed, whenever it is asked, and one whose
/// original is not as long as it says (`size_hint`).
pub struct ReplayBody<B> {
    recording: Arc<Mutex<Recording<B>>>,
    place: Place,
    left: Option<u64>,
}

/// How far a body is.
#[derive(Default)]
struct Place {
    attempt: u64,
    /// The next one of the kept pieces.
    next: usize,
    trailed: bool,
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
        let frame = ready!(lock(&this.recording).poll(&mut this.place, context));
        if let (Some(Ok(frame)), Some(left)) = (&frame, &mut this.left) {
            *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.recording).is_over(&self.place)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

impl<B> Recording<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, place: &mut Place, context: &mut Context<'_>) -> Polled {
        if self.attempt != place.attempt {
            return Poll::Ready(Some(Err("the attempt that this body belongs to is over".into())));
        }
        if let Some(piece) = self.kept.get(place.next) {
            place.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
        }
        loop {
            if self.failed.is_some() {
                return Poll::Ready(Some(Err("the original of this body failed before".into())));
            }
            let Some(source) = &mut self.source else {
                let trailers = self.trailers.clone().filter(|_| !std::mem::replace(&mut place.trailed, true));
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            };
            // Should it panic.
            self.failed = Some(ErrorKind::Callback);
            let polled = source.as_mut().poll_frame(context);
            self.failed = None;
            let frame = match polled {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => return self.fail(ErrorKind::Callback, error.into()),
                Poll::Ready(None) if self.is_short() => return self.wrong_length("shorter"),
                Poll::Ready(None) => {
                    self.source = None;
                    continue;
                }
                Poll::Pending => {
                    match &mut self.waiting {
                        Some(waker) => waker.clone_from(context.waker()),
                        None => self.waiting = Some(context.waker().clone()),
                    }
                    return Poll::Pending;
                }
            };
            self.moved = Some(TokioClock.now());
            match frame.into_data().map_err(Frame::into_trailers) {
                Ok(mut data) => return self.data(data.copy_to_bytes(data.remaining()), place),
                Err(Ok(trailers)) => {
                    place.trailed = true;
                    self.trailers = Some(trailers.clone());
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                // A kind of frame that is not known yet.
                Err(Err(_)) => {}
            }
        }
    }

    /// A piece came.
    fn data(&mut self, data: Bytes, place: &mut Place) -> Polled {
        self.came = self.came.saturating_add(data.len() as u64);
        if self.declared.is_some_and(|declared| self.came > declared) {
            return self.wrong_length("longer");
        }
        self.kept.keep(&data, self.most);
        place.next = self.kept.len();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    /// Whether there is nothing left to give, as far as that is known without asking.
    fn is_over(&self, place: &Place) -> bool {
        let gave_all = place.next >= self.kept.len() && (place.trailed || self.trailers.is_none());
        let ended = self.source.as_ref().is_none_or(|source| source.is_end_stream());
        // An end that is none shows when it is asked.
        self.attempt == place.attempt && self.failed.is_none() && gave_all && ended && !self.is_short()
    }

    fn is_short(&self) -> bool {
        self.declared.is_some_and(|declared| self.came < declared)
    }

    fn wrong_length(&mut self, than: &str) -> Polled {
        let declared = self.declared.unwrap_or_default();
        self.fail(ErrorKind::InvalidRequest, format!("the request body is {than} than its declared length of {declared} bytes").into())
    }

    fn fail(&mut self, kind: ErrorKind, error: BoxError) -> Polled {
        (self.source, self.failed) = (None, Some(kind));
        Poll::Ready(Some(Err(error)))
    }
}

fn lock<B>(recording: &Mutex<Recording<B>>) -> MutexGuard<'_, Recording<B>> {
    // What was kept of a body that panicked is whole, and it has failed.
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}
