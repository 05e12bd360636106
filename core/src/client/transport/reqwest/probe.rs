//! The request body as the connection sees it: it notes in [`Progress`] what the connection took.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::source::{Source, UploadError};
use crate::client::transport::{OutgoingBody, Progress};

/// The body of one attempt. Its connection calls `is_end_stream` or `poll_frame` when it encodes the request and
/// not before (hyper 1.12, HTTP/1 and HTTP/2), so that an untouched probe proves that nothing was sent, also with an empty body.
pub(super) struct Probe(Arc<Shared>);

/// The attempt's end of a [`Probe`]. Dropping it ends an unfinished upload and frees its bytes and its source at once,
/// even while the connection is blocked in a write.
pub(super) struct Upload(Arc<Shared>);

/// Why a request body ended before its end.
#[derive(Debug)]
pub(super) enum BodyError {
    /// Its attempt was given up. Nobody waits for this: hyper closes the connection or resets the stream.
    Abandoned,
    Upload(UploadError),
}

struct Shared {
    state: Mutex<State>,
    progress: Arc<Progress>,
}

struct State {
    source: Source,
    /// The last byte was handed over.
    done: bool,
    abandoned: bool,
    /// The connection, if it waits for the source.
    waiting: Option<Waker>,
}

/// A body and the handle that ends it.
pub(super) fn probe(body: OutgoingBody, progress: Arc<Progress>) -> (Probe, Upload) {
    progress.hold();
    let state = Mutex::new(State { source: Source::new(body), done: false, abandoned: false, waiting: None });
    let shared = Arc::new(Shared { state, progress });
    (Probe(shared.clone()), Upload(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection looks at the body.
    fn touch(&self, state: &mut State) {
        if !self.progress.is_touched() {
            self.moved(state);
        }
    }

    /// The connection took something, or learned that there is nothing left.
    fn moved(&self, state: &mut State) {
        let now = TokioClock.now();
        if !self.progress.touch(now) {
            refuse();
        }
        if state.source.is_over() && !state.done && !state.abandoned {
            state.done = true;
            self.progress.uploaded(now);
        }
    }
}

/// Ends the task of the connection, before it encodes a request of which somebody was told that it was not sent. It looked whether the request
/// is still wanted and was then held up by the system for longer than [`Progress::proof`] waits, which next to never happens.
/// An error would come too late: HTTP/2 sends a head before it asks for the body.
fn refuse() {
    // Where panics end the process there is only that error, of the body that was given up.
    #[cfg(panic = "unwind")]
    std::panic::resume_unwind(Box::new("a request that was given up cannot be sent any more"));
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.abandoned |= !state.done;
        let source = state.abandoned.then(|| std::mem::take(&mut state.source));
        let waiting = state.waiting.take();
        drop(state);
        drop(source);
        // The source is gone and would not wake it any more: it would never learn that the upload is over.
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Nobody asks the source any more: it learns so at once, however long the response is kept.
        let source = std::mem::take(&mut self.0.lock().source);
        drop(source);
        self.0.progress.release();
    }
}

impl Body for Probe {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.0.lock();
        self.0.touch(&mut state);
        if state.abandoned {
            return Poll::Ready(Some(Err(BodyError::Abandoned)));
        }
        let Poll::Ready(piece) = state.source.poll_piece(context) else {
            state.waiting = Some(context.waker().clone());
            return Poll::Pending;
        };
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => return Poll::Ready(Some(Err(BodyError::Upload(error)))),
        };
        state.waiting = None;
        self.0.moved(&mut state);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        let mut state = self.0.lock();
        self.0.touch(&mut state);
        // An abandoned body has no end: hyper must ask for a frame, and fails, on HTTP/1 mostly before it writes anything.
        if state.abandoned {
            return false;
        }
        if state.source.is_over() && !state.done {
            self.0.moved(&mut state);
        }
        state.source.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.0.lock();
        state.source.left().filter(|_| !state.abandoned).map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Abandoned => f.write_str("the attempt was given up while its body was being sent"),
            BodyError::Upload(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BodyError::Upload(error) => error.source(),
            BodyError::Abandoned => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use super::*;
    use crate::client::transport::source::PIECE;
    use crate::record::Evidence;

    fn frame(probe: &mut Probe) -> Option<Result<usize, BodyError>> {
        match Pin::new(probe).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap().len())),
            Poll::Pending => unreachable!("bytes never wait"),
        }
    }

    #[test]
    fn asking_for_the_size_touches_nothing() {
        let progress = Arc::new(Progress::default());
        let (probe, _upload) = probe(OutgoingBody::Bytes(Bytes::from_static(b"12345")), progress.clone());
        assert_eq!(probe.size_hint().exact(), Some(5));
        assert!(!progress.is_touched());
        assert!(!probe.is_end_stream());
        assert!(progress.is_touched() && progress.uploaded_at().is_none() && progress.uploading().is_some());
    }

    #[test]
    fn an_empty_body_is_uploaded_by_asking_for_its_end() {
        let progress = Arc::new(Progress::default());
        let (probe, _upload) = probe(OutgoingBody::Bytes(Bytes::new()), progress.clone());
        assert!(!progress.is_untouched_for_good(), "it still can be touched");
        assert!(probe.is_end_stream());
        assert!(progress.is_touched() && progress.uploaded_at().is_some() && progress.uploading().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_attempt_given_up_proves() {
        let progress = Arc::new(Progress::default());
        let (waiting, upload) = probe(OutgoingBody::Bytes(Bytes::new()), progress.clone());
        drop(upload);
        assert_eq!(progress.proof(&TokioClock).await, Evidence::NotSent, "still in a queue");
        drop(waiting);
        let now = TokioClock.now();
        assert!(progress.is_untouched_for_good());
        assert_eq!((progress.proof(&TokioClock).await, TokioClock.now()), (Evidence::NotSent, now), "at once");

        let progress = Arc::new(Progress::default());
        let (late, upload) = probe(OutgoingBody::Bytes(Bytes::new()), progress.clone());
        drop(upload);
        let asked = async {
            tokio::time::sleep(Duration::from_micros(1500)).await;
            late.is_end_stream()
        };
        assert_eq!(tokio::join!(progress.proof(&TokioClock), asked), (Evidence::Unknown, false), "it had just been looked at");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_sent_cannot_be_sent_later() {
        let progress = Arc::new(Progress::default());
        let (late, upload) = probe(OutgoingBody::Bytes(Bytes::new()), progress.clone());
        drop(upload);
        assert_eq!(progress.proof(&TokioClock).await, Evidence::NotSent);
        assert!(catch_unwind(AssertUnwindSafe(|| late.is_end_stream())).is_err(), "its connection is not let past it");
        assert_eq!((progress.is_touched(), progress.proof(&TokioClock).await), (false, Evidence::NotSent), "it stays so");
    }

    #[test]
    fn a_large_body_goes_out_in_frames() {
        let progress = Arc::new(Progress::default());
        let (mut probe, upload) = probe(OutgoingBody::Bytes(Bytes::from(vec![7; 2 * PIECE + 1])), progress.clone());
        assert_eq!(frame(&mut probe).unwrap().unwrap(), PIECE);
        assert_eq!(frame(&mut probe).unwrap().unwrap(), PIECE);
        assert!(progress.uploaded_at().is_none());
        assert_eq!(frame(&mut probe).unwrap().unwrap(), 1);
        assert!(progress.uploaded_at().is_some() && probe.is_end_stream());
        drop(upload);
        assert!(frame(&mut probe).is_none(), "a finished body stays finished");
    }

    #[test]
    fn a_connection_that_is_gone_frees_the_source() {
        let source = Arc::new(());
        let held = source.clone();
        let stream = futures_util::stream::poll_fn(move |_| {
            let _ = &held;
            Poll::Pending
        });
        let (probe, upload) = probe(OutgoingBody::Stream { stream: Box::pin(stream), length: None }, Arc::default());
        drop(probe);
        assert_eq!(Arc::strong_count(&source), 1, "the response may be kept for long");
        drop(upload);
    }

    #[test]
    fn giving_up_frees_the_bytes_and_fails_the_body() {
        let progress = Arc::new(Progress::default());
        let (mut probe, upload) = probe(OutgoingBody::Bytes(Bytes::from(vec![7; 2 * PIECE])), progress.clone());
        drop(upload);
        assert!(!probe.is_end_stream() && frame(&mut probe).unwrap().is_err());
        assert!(probe.0.lock().source.is_over());
        assert!(progress.is_touched() && !progress.is_untouched_for_good(), "HTTP/2 may have sent the head");
    }
}
