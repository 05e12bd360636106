//! Services that answer by a function.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use reknock::BoxError;
use tower_service::Service;

type Answering = Pin<Box<dyn Future<Output = Result<Response<String>, BoxError>> + Send>>;
type Function<B> = dyn Fn(Request<B>) -> Answering + Send + Sync;

/// Answers each request by a function.
pub struct Answers<B>(Arc<Function<B>>);

impl<B> Answers<B> {
    pub fn new<F: Future<Output = Result<Response<String>, BoxError>> + Send + 'static>(
        f: impl Fn(Request<B>) -> F + Send + Sync + 'static,
    ) -> Self {
        Answers(Arc::new(move |request| Box::pin(f(request))))
    }
}

impl<B> Clone for Answers<B> {
    fn clone(&self) -> Self {
        Answers(Arc::clone(&self.0))
    }
}

impl<B> Service<Request<B>> for Answers<B> {
    type Response = Response<String>;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        (self.0)(request)
    }
}

/// A response of a status.
pub fn status(status: u16) -> Response<String> {
    Response::builder().status(status).body(String::new()).unwrap()
}
