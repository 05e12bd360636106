//! Bodies that are sent again, and those that cannot be.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::iter;
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use reknock::tower::{Records, ReplayBody, RetryLayer};
use reknock::{BoxError, ErrorKind, Policy, StopReason};
use tower_layer::Layer;
use tower_service::Service;

use crate::services::{Answers, status};

/// Frames that come once.
fn streamed(frames: Vec<Result<Frame<Bytes>, BoxError>>) -> impl http_body::Body<Data = Bytes, Error = BoxError> + Send {
    StreamBody::new(iter(frames))
}

fn swift() -> Policy {
    Policy::from_yaml("{backoff: none, max_body_buffer: 10B}").unwrap()
}

/// Reads a body whole.
async fn read<B: http_body::Body<Data = Bytes, Error = BoxError>>(body: B) -> Result<(Bytes, Option<HeaderMap>), BoxError> {
    let whole = body.collect().await?;
    let trailers = whole.trailers().cloned();
    Ok((whole.to_bytes(), trailers))
}

#[tokio::test]
async fn a_stream_that_was_half_read_is_sent_whole_with_its_trailers() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, attempt) = (Arc::clone(&seen), AtomicU32::new(0));
    let inner = Answers::new(move |request: Request<ReplayBody<_>>| {
        let (log, first) = (Arc::clone(&log), attempt.fetch_add(1, Ordering::Relaxed) == 0);
        async move {
            let mut body = request.into_body();
            if first {
                let frame = body.frame().await.unwrap()?;
                log.lock().unwrap().push((frame.into_data().unwrap(), None));
                return Ok(status(503));
            }
            let whole = read(body).await?;
            log.lock().unwrap().push(whole);
            Ok(status(200))
        }
    });
    let trailers = HeaderMap::from_iter([("checksum".parse().unwrap(), "7".parse().unwrap())]);
    let frames = vec![Ok(Frame::data(Bytes::from("one"))), Ok(Frame::data(Bytes::from("two"))), Ok(Frame::trailers(trailers.clone()))];
    let mut service = RetryLayer::new(swift()).recording().layer(inner);
    let response = service.call(Request::put("http://host/").body(streamed(frames)).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(*seen.lock().unwrap(), [(Bytes::from("one"), None), (Bytes::from("onetwo"), Some(trailers))]);
}

#[tokio::test]
async fn a_stream_larger_than_the_buffer_is_sent_once() {
    let inner = Answers::new(|request: Request<ReplayBody<_>>| async move {
        assert_eq!(read(request.into_body()).await?.0.len(), 12);
        Ok(status(503))
    });
    let frames = vec![Ok(Frame::data(Bytes::from("123456"))), Ok(Frame::data(Bytes::from("789012")))];
    let mut service = RetryLayer::new(swift()).recording().layer(inner);
    let response = service.call(Request::put("http://host/").body(streamed(frames)).unwrap()).await.unwrap();
    let records = response.extensions().get::<Records>().unwrap();
    assert_eq!((records.attempts().len(), records.stop_reason()), (1, Some(StopReason::BodyNotReplayable)));
}

#[tokio::test]
async fn a_body_whose_source_fails_ends_the_call() {
    let inner = Answers::new(|request: Request<ReplayBody<_>>| async move { read(request.into_body()).await.map(|_| status(200)) });
    let frames = vec![Ok(Frame::data(Bytes::from("1"))), Err("the disk is gone".into())];
    let mut service = RetryLayer::new(swift()).recording().layer(inner);
    let error = service.call(Request::put("http://host/").body(streamed(frames)).unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string(), error.attempts().len()), (Some(ErrorKind::Callback), "the disk is gone".to_owned(), 1));
}

#[tokio::test]
async fn the_body_of_an_attempt_that_is_over_takes_nothing_from_the_next() {
    let old = Arc::new(Mutex::new(None));
    let inner = Answers::new(move |request: Request<ReplayBody<_>>| {
        let before = old.lock().unwrap().replace(request.into_body());
        async move {
            let Some(before) = before else { return Ok(status(503)) };
            let error = read(before).await.unwrap_err();
            assert_eq!(error.to_string(), "the attempt that this body belongs to is over");
            Ok(status(200))
        }
    });
    let mut service = RetryLayer::new(swift()).recording().layer(inner);
    let frames = vec![Ok(Frame::data(Bytes::from("1")))];
    let response = service.call(Request::put("http://host/").body(streamed(frames)).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
}

/// A service that takes one type of body alone.
#[tokio::test]
async fn recorded_bodies_become_what_a_service_takes() {
    type Boxed = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;
    let inner = Answers::new(|request: Request<Boxed>| async move {
        let (bytes, _) = read(request.into_body()).await?;
        Ok(status(if bytes.len() == 1 { 200 } else { 500 }))
    });
    let mut service = RetryLayer::new(swift()).recording_as(Boxed::new).layer(inner);
    let frames = vec![Ok(Frame::data(Bytes::from("1")))];
    let response = service.call(Request::post("http://host/").body(streamed(frames)).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
}
