//! One request on its place, up to the head of its response.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use h2::RecvStream;
use h2::client::ResponseFuture;
use http::{Method, Request, Response, StatusCode};

use super::super::heads::MOST_INTERIM;
use super::body::{Http2Body, Rest};
use super::failure;
use super::gate::Place;
use super::sending::Sending;
use crate::client::transport::framing::declared_length;
use crate::client::transport::http::expect::Expectation;
use crate::client::transport::http::upload::Upload;
use crate::client::transport::{Failure, Progress};
use crate::error::ErrorKind;
use crate::record::{Evidence, HttpVersion};

/// A request in its stream. Dropped before its head came, it resets the stream, and its connection has to show that it is alive.
pub(in crate::client::transport::http) struct Exchange {
    /// `None` once it has ended.
    place: Option<Place>,
    answer: ResponseFuture,
    sending: Option<Sending>,
    /// What had been taken from us before.
    before: u64,
    /// Others were sent there before: it may have been lost since.
    reused: bool,
    progress: Arc<Progress>,
    /// The body waits for an answer.
    expectation: Option<Expectation>,
    head: bool,
    /// It has a body.
    uploads: bool,
}

impl Exchange {
    /// Puts a request into a stream.
    ///
    /// # Errors
    /// The request is none that HTTP/2 can carry, or the connection was lost in this very moment. Nothing was sent.
    pub(in crate::client::transport::http) fn enter(
        mut place: Place,
        request: Request<()>,
        mut body: Upload,
        progress: &Arc<Progress>,
    ) -> Result<Self, Failure> {
        let link = Arc::clone(&place.connection().link);
        let empty = body.is_over();
        let expectation = body.expectation();
        let head = *request.method() == Method::HEAD;
        let before = link.counts.taken();
        let reused = link.uses();
        progress.note_connection(|connection| {
            connection.reused = Some(reused);
            connection.peer = link.peer;
            connection.version = Some(HttpVersion::Http2);
        });
        match place.sender().send_request(request, empty) {
            Ok((answer, stream)) => {
                progress.sent();
                body.begin();
                let sending = (!empty).then(|| Sending::new(stream, body));
                let progress = Arc::clone(progress);
                Ok(Exchange { place: Some(place), answer, sending, before, reused, progress, expectation, head, uploads: !empty })
            }
            Err(error) => {
                link.close();
                Err(failure::of_entry(error, &link))
            }
        }
    }

    fn interim(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        while let Poll::Ready(Some(Ok(answer))) = self.answer.poll_informational(context) {
            self.progress.note_interim(answer.status().as_u16());
            if answer.status() == StatusCode::CONTINUE
                && let Some(expectation) = &self.expectation
            {
                expectation.go_on();
            }
            if self.progress.interim() > MOST_INTERIM {
                let message = format!("the server sent more than {MOST_INTERIM} interim answers (1xx)");
                return Err(Failure::new(ErrorKind::Protocol, Evidence::Unknown, message));
            }
        }
        Ok(())
    }

    fn poll_head(&mut self, place: &Place, context: &mut Context<'_>) -> Poll<Result<Response<RecvStream>, Failure>> {
        let link = &place.connection().link;
        if let Some(sending) = &mut self.sending
            && let Poll::Ready(result) = sending.poll(context)
        {
            self.sending = None;
            if let Err(error) = result {
                return Poll::Ready(Err(failure::of_upload(error, link, self.before)));
            }
        }
        link.drive_by_call(context);
        self.interim(context)?;
        Pin::new(&mut self.answer).poll(context).map_err(|error| {
            let failure = failure::of_head(error, link, self.before);
            // Who takes a connection that was there may meet its end: nobody's fault, and nothing was sent.
            Failure { stale: self.reused && failure.evidence == Evidence::NotSent, ..failure }
        })
    }

    fn ended(&mut self, place: Place, response: Response<RecvStream>) -> Response<Http2Body> {
        if let Some(expectation) = &self.expectation {
            expectation.answered();
        }
        let (head, stream) = response.into_parts();
        let bodiless = self.head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let rest = self.sending.take().map(Rest::start);
        let length = if self.uploads { declared_length(&head.headers) } else { None };
        Response::from_parts(head, Http2Body::new(stream, place, bodiless, length, rest))
    }
}

impl Future for Exchange {
    type Output = Result<Response<Http2Body>, Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(place) = this.place.take() else { return Poll::Ready(Err(failure::polled_again())) };
        match this.poll_head(&place, context) {
            Poll::Pending => {
                this.place = Some(place);
                Poll::Pending
            }
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(this.ended(place, response))),
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            place.connection().link.doubt();
        }
    }
}
