//! What errors mean, and that they come back as they were.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Request;
use reknock::tower::{Classify, Failure, KnownErrors, RetryLayer};
use reknock::{BoxError, Error, ErrorKind, Evidence, Policy, StopReason};
use tower_layer::Layer;
use tower_service::Service;

use crate::services::Answers;

/// Of somebody else, within whose text nobody looks.
#[derive(Debug, PartialEq)]
struct Strange(&'static str);

impl fmt::Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Strange {}

fn failing(error: impl Fn() -> BoxError + Send + Sync + 'static) -> Answers<()> {
    Answers::new(move |_| std::future::ready(Err(error())))
}

fn post() -> Request<()> {
    Request::post("http://host/").body(()).unwrap()
}

fn layer() -> RetryLayer {
    RetryLayer::new(Policy::from_yaml("{backoff: none}").unwrap())
}

#[tokio::test]
async fn the_original_error_comes_back() {
    let error = layer().layer(failing(|| Strange("connection refused").into())).call(post()).await.unwrap_err();
    assert_eq!((error.kind(), error.stop_reason(), error.attempts().len()), (None, Some(StopReason::NotRetryable), 1));
    assert_eq!(error.downcast_ref(), Some(&Strange("connection refused")));
    assert_eq!(error.to_string(), "connection refused");
    assert!(std::error::Error::source(&error).unwrap().is::<Strange>());
    assert_eq!(*error.into_source().downcast::<Strange>().unwrap(), Strange("connection refused"));
}

#[tokio::test]
async fn a_classifier_of_ones_own_is_asked_first() {
    let refused =
        |error: &(dyn std::error::Error + 'static)| error.is::<Strange>().then(|| Failure::new(ErrorKind::Connect, Evidence::NotSent));
    let error = layer().classify(refused).layer(failing(|| Strange("no").into())).call(post()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.stop_reason(), error.attempts().len()),
        (Some(ErrorKind::Connect), Some(StopReason::RetriesExhausted), 3)
    );
}

#[tokio::test]
async fn retry_if_may_have_retried_what_nobody_knows() {
    let layer = RetryLayer::new(Policy::from_yaml("{backoff: none, methods: any}").unwrap());
    let asked = layer.retry_if(|attempt| attempt.error.is_some_and(|error| error.is::<Strange>()));
    let error = asked.layer(failing(|| Strange("again").into())).call(post()).await.unwrap_err();
    assert_eq!(error.attempts().len(), 3);
}

/// The attempts of a loop within are one for the loop around it: a last one that did not leave proves nothing of those before.
#[tokio::test]
async fn the_least_that_is_proved_of_attempts_within_holds() {
    let sent = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&sent);
    let innermost = failing(move || match count.fetch_add(1, Ordering::Relaxed) {
        0 => io::Error::from(io::ErrorKind::ConnectionReset).into(),
        _ => io::Error::from(io::ErrorKind::ConnectionRefused).into(),
    });
    let within = RetryLayer::new(Policy::from_yaml("{backoff: none, methods: any, retry_on: [reset]}").unwrap()).allow_nesting();
    let error = layer().layer(within.layer(innermost)).call(post()).await.unwrap_err();
    assert_eq!((error.kind(), error.stop_reason()), (Some(ErrorKind::Connect), Some(StopReason::NotIdempotent)));
    assert_eq!((sent.load(Ordering::Relaxed), error.attempts()[0].evidence), (3, Evidence::Unknown));
}

#[test]
fn errors_are_known_by_types() {
    let io = |kind: io::ErrorKind| BoxError::from(io::Error::from(kind));
    let known = |error: BoxError| KnownErrors.failure(&*error).map(|failure| (failure.kind, failure.evidence));
    let unknown = |kind| Some((Some(kind), Evidence::Unknown));
    assert_eq!(known(io(io::ErrorKind::ConnectionRefused)), Some((Some(ErrorKind::Connect), Evidence::NotSent)));
    assert_eq!(known(io(io::ErrorKind::ConnectionReset)), unknown(ErrorKind::Reset));
    assert_eq!(known(io(io::ErrorKind::PermissionDenied)), Some((None, Evidence::Unknown)));
    assert_eq!(known(io::Error::other(io::Error::from(io::ErrorKind::BrokenPipe)).into()), unknown(ErrorKind::Reset));
    assert_eq!(known(Error::new(ErrorKind::Tls, "no").into()), unknown(ErrorKind::Tls));
    assert_eq!(known(Strange("connection reset by peer").into()), None);
    let short = KnownErrors.failure(&io::Error::from_raw_os_error(libc::EMFILE)).unwrap();
    assert!(short.local);
}
