//! One request on its place, up to the head of its response.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::ResponseFuture;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;

use super::body::{Http2Body, Rest};
use super::failure;
use super::gate::Place;
use super::upload::Upload;
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::{Failure, Progress};
use crate::error::ErrorKind;
use crate::record::Evidence;

/// Interim answers to one request: who sends more means to keep us busy.
pub(in crate::client::transport::http) const MOST_INTERIM: usize = 100;

/// A request in its stream. Dropped before its head came, it resets the stream, and its connection has to show that it is alive.
pub(in crate::client::transport::http) struct Exchange<B> {
    /// `None` once it has ended.
    place: Option<Place>,
    answer: ResponseFuture,
    upload: Option<Upload<B>>,
    /// What had been taken from us before.
    before: u64,
    interim: usize,
    head: bool,
    progress: Arc<Progress>,
}

/// Puts a request into a stream, or gives it back if the connection takes no more.
///
/// # Errors
/// The request is none that HTTP/2 can carry, or the connection was lost in this very moment. Nothing was sent.
pub(in crate::client::transport::http) fn enter<B>(
    place: Place,
    request: Request<()>,
    body: B,
    progress: Arc<Progress>,
) -> Result<Result<Exchange<B>, (Request<()>, B)>, Failure>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Failure>,
{
    let connection = place.connection();
    let mut sender = connection.sender();
    if let Poll::Ready(Err(_)) = sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
        connection.link.close();
        return Ok(Err((request, body)));
    }
    let empty = body.size_hint().exact() == Some(0);
    let head = *request.method() == Method::HEAD;
    let before = connection.link.counts.taken();
    match sender.send_request(request, empty) {
        Ok((answer, stream)) => {
            let now = TokioClock.now();
            progress.touch(now);
            if empty {
                progress.uploaded(now);
            }
            let upload = (!empty).then(|| Upload::new(stream, body));
            Ok(Ok(Exchange { place: Some(place), answer, upload, before, interim: 0, head, progress }))
        }
        Err(error) => {
            connection.link.close();
            Err(failure::of_entry(error, &connection.link))
        }
    }
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Failure>,
{
    fn interim(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        while let Poll::Ready(Some(Ok(answer))) = self.answer.poll_informational(context) {
            self.interim += 1;
            if self.interim > MOST_INTERIM {
                let message = format!("the server sent more than {MOST_INTERIM} interim answers (1xx)");
                return Err(Failure::new(ErrorKind::Protocol, Evidence::Unknown, message));
            }
            let _ = answer;
        }
        Ok(())
    }

    fn ended(&mut self, place: Place, response: Response<RecvStream>) -> Response<Http2Body> {
        let (head, stream) = response.into_parts();
        let bodiless = self.head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let rest = self.upload.take().map(Rest::start);
        Response::from_parts(head, Http2Body::new(stream, place, bodiless, rest))
    }
}

impl<B> Future for Exchange<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Failure>,
{
    type Output = Result<Response<Http2Body>, Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(upload) = &mut this.upload {
            match upload.poll(context) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => this.upload = None,
                Poll::Ready(Err(failure)) => {
                    this.place = None;
                    return Poll::Ready(Err(failure));
                }
            }
        }
        let result = match this.interim(context) {
            Err(failure) => Err(failure),
            Ok(()) => match Pin::new(&mut this.answer).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => result.map_err(|error| match &this.place {
                    Some(place) => failure::of_head(error, &place.connection().link, this.before),
                    None => failure::polled_again(),
                }),
            },
        };
        Poll::Ready(match (result, this.place.take()) {
            (Ok(response), Some(place)) => Ok(this.ended(place, response)),
            (Err(failure), _) => Err(failure),
            (Ok(_), None) => Err(failure::polled_again()),
        })
    }
}

impl<B> Unpin for Exchange<B> {}

impl<B> Drop for Exchange<B> {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            place.connection().link.doubt();
        }
    }
}
