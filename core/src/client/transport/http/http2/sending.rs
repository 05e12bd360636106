//! The body of a request on its way into a stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};

use crate::client::transport::http::upload::Upload;
use crate::client::transport::source::UploadError;

/// A body that goes out as fast as the peer's windows allow. Dropped before its end, it leaves the stream to be reset.
pub(super) struct Sending {
    stream: SendStream<Bytes>,
    body: Upload,
}

impl Sending {
    pub(super) fn new(stream: SendStream<Bytes>, body: Upload) -> Self {
        Sending { stream, body }
    }

    /// Ready when everything was handed over, or the peer wants no more of it: what that means, its answer tells.
    ///
    /// # Errors
    /// That of the body. The stream is reset.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        loop {
            self.stream.reserve_capacity(1);
            if self.stream.capacity() == 0 {
                match ready!(self.stream.poll_capacity(context)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(Ok(())),
                }
            } else if self.stream.poll_reset(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.body.poll_piece(context)) {
                Some(Ok(piece)) => {
                    let last = self.body.is_over();
                    if self.stream.send_data(piece, last).is_err() || last {
                        return Poll::Ready(Ok(()));
                    }
                }
                None => {
                    let _ = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}
