//! The request body as the connection sees it: it notes in [`Progress`] what the connection took.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::client::clock::{Clock, TokioClock};
use crate::client::transport::Progress;

/// Bytes handed over at once: small enough that a slow upload shows as moving, large enough to cost nothing.
const FRAME: usize = 16 * 1024;

/// The body of one attempt. Its connection calls `is_end_stream` or `poll_frame` when it encodes the request and
/// not before (hyper 1.12, HTTP/1 and HTTP/2), so that an untouched probe proves that nothing was sent, also with an empty body.
pub(super) struct Probe(Arc<Shared>);

/// The attempt's end of a [`Probe`]. Dropping it ends an unfinished upload and frees its bytes at once,
/// even while the connection is blocked in a write.
#[derive(Debug)]
pub(super) struct Upload(Arc<Shared>);

/// The error of a body whose attempt was given up. Nobody waits for it: hyper closes the connection or resets the stream.
#[derive(Debug)]
pub(super) struct Abandoned;

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    progress: Arc<Progress>,
}

#[derive(Debug)]
struct State {
    rest: Bytes,
    /// The last byte was handed over.
    done: bool,
    abandoned: bool,
}

/// A body of these bytes and the handle that ends it.
pub(super) fn probe(bytes: Bytes, progress: Arc<Progress>) -> (Probe, Upload) {
    progress.hold();
    let state = Mutex::new(State { rest: bytes, done: false, abandoned: false });
    let shared = Arc::new(Shared { state, progress });
    (Probe(shared.clone()), Upload(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, state: &mut State) {
        let now = TokioClock.now();
        self.progress.touch(now);
        if state.rest.is_empty() && !state.done {
            state.done = true;
            self.progress.uploaded(now);
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if !state.done {
            state.abandoned = true;
            state.rest = Bytes::new();
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.progress.release();
    }
}

impl Body for Probe {
    type Data = Bytes;
    type Error = Abandoned;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Abandoned>>> {
        let mut state = self.0.lock();
        if state.abandoned {
            self.0.progress.touch(TokioClock.now());
            return Poll::Ready(Some(Err(Abandoned)));
        }
        let length = state.rest.len().min(FRAME);
        let frame = state.rest.split_to(length);
        self.0.touch(&mut state);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        let mut state = self.0.lock();
        // An abandoned body has no end: hyper must ask for a frame, and fails, on HTTP/1 mostly before it writes anything.
        if state.abandoned {
            self.0.progress.touch(TokioClock.now());
            return false;
        }
        if state.rest.is_empty() || !self.0.progress.is_touched() {
            self.0.touch(&mut state);
        }
        state.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.0.lock();
        if state.abandoned { SizeHint::default() } else { SizeHint::with_exact(state.rest.len() as u64) }
    }
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the attempt was given up while its body was being sent")
    }
}

impl std::error::Error for Abandoned {}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;
    use crate::record::Evidence;

    fn frame(probe: &mut Probe) -> Option<Result<usize, Abandoned>> {
        match Pin::new(probe).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap().len())),
            Poll::Pending => unreachable!("a probe never waits"),
        }
    }

    #[test]
    fn asking_for_the_size_touches_nothing() {
        let progress = Arc::new(Progress::default());
        let (probe, _upload) = probe(Bytes::from_static(b"12345"), progress.clone());
        assert_eq!(probe.size_hint().exact(), Some(5));
        assert!(!progress.is_touched());
        assert!(!probe.is_end_stream());
        assert!(progress.is_touched() && progress.uploaded_at().is_none() && progress.uploading().is_some());
    }

    #[test]
    fn an_empty_body_is_uploaded_by_asking_for_its_end() {
        let progress = Arc::new(Progress::default());
        let (probe, _upload) = probe(Bytes::new(), progress.clone());
        assert!(!progress.is_untouched_for_good(), "it still can be touched");
        assert!(probe.is_end_stream());
        assert!(progress.is_touched() && progress.uploaded_at().is_some() && progress.uploading().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_attempt_given_up_proves() {
        let progress = Arc::new(Progress::default());
        let (waiting, upload) = probe(Bytes::new(), progress.clone());
        drop(upload);
        assert_eq!(progress.proof(&TokioClock).await, Evidence::NotSent, "still in a queue");
        drop(waiting);
        let now = TokioClock.now();
        assert!(progress.is_untouched_for_good());
        assert_eq!((progress.proof(&TokioClock).await, TokioClock.now()), (Evidence::NotSent, now), "at once");

        let progress = Arc::new(Progress::default());
        let (late, upload) = probe(Bytes::new(), progress.clone());
        drop(upload);
        let asked = async {
            tokio::time::sleep(Duration::from_micros(1500)).await;
            late.is_end_stream()
        };
        assert_eq!(tokio::join!(progress.proof(&TokioClock), asked), (Evidence::Unknown, false), "it had just been looked at");
    }

    #[test]
    fn a_large_body_goes_out_in_frames() {
        let progress = Arc::new(Progress::default());
        let (mut probe, upload) = probe(Bytes::from(vec![7; 2 * FRAME + 1]), progress.clone());
        assert_eq!(frame(&mut probe).unwrap().unwrap(), FRAME);
        assert_eq!(frame(&mut probe).unwrap().unwrap(), FRAME);
        assert!(progress.uploaded_at().is_none());
        assert_eq!(frame(&mut probe).unwrap().unwrap(), 1);
        assert!(progress.uploaded_at().is_some() && probe.is_end_stream());
        drop(upload);
        assert!(frame(&mut probe).is_none(), "a finished body stays finished");
    }

    #[test]
    fn giving_up_frees_the_bytes_and_fails_the_body() {
        let progress = Arc::new(Progress::default());
        let (mut probe, upload) = probe(Bytes::from(vec![7; 2 * FRAME]), progress.clone());
        drop(upload);
        assert!(!probe.is_end_stream() && frame(&mut probe).unwrap().is_err());
        assert!(probe.0.lock().rest.is_empty());
        assert!(progress.is_touched() && !progress.is_untouched_for_good(), "HTTP/2 may have sent the head");
    }
}
