//! reqwest's client as a service of `http` messages.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::error::BoxError;

/// Among the extensions of a response that came after redirects.
#[derive(Clone, Copy)]
pub(super) struct Redirected;

/// A `reqwest::Client` as a `Service<http::Request<B>>`, for a [`RetryLayer`](super::RetryLayer) around it. Build the client with
/// `.retry(reqwest::retry::never())`: two loops multiply; and, if requests that must not be sent twice may be redirected, with
/// `.redirect(reqwest::redirect::Policy::none())`: reqwest does not tell whether a connection that it could not make was that of a redirect's target.
///
/// A request of reqwest's goes in by `http::Request::try_from(request)` (with [`recording`](super::RetryLayer::recording), as its body is no clone).
#[derive(Clone, Debug)]
pub struct ReqwestService(reqwest::Client);

impl ReqwestService {
    /// Sends by this client.
    pub fn new(client: reqwest::Client) -> Self {
        ReqwestService(client)
    }
}

impl<B> Service<Request<B>> for ReqwestService
where
    B: Body + Send + Sync + 'static,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = Response<reqwest::Body>;
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, reqwest::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let sending =
            reqwest::Request::try_from(request.map(reqwest::Body::wrap)).map(|request| (request.url().clone(), self.0.execute(request)));
        Box::pin(async {
            let (url, sending) = sending?;
            let mut response = sending.await?;
            if *response.url() != url {
                response.extensions_mut().insert(Redirected);
            }
            Ok(Response::from(response))
        })
    }
}
