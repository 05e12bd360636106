//! Bodies that are sent again, and those that cannot be.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{iter, repeat_with, unfold};
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use reknock::tower::{Records, ReplayBody, RetryLayer};
use reknock::{BoxError, ErrorKind, Policy, StopReason};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
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

/// Whoever asks once more gets no end: half a body is none.
#[tokio::test]
async fn a_body_that_failed_fails_whenever_it_is_asked() {
    let inner = Answers::new(|request: Request<ReplayBody<_>>| async move {
        let mut body = std::pin::pin!(request.into_body());
        assert_eq!(body.as_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "1");
        for _ in 0..2 {
            assert!(body.as_mut().frame().await.unwrap().is_err());
            assert!(!http_body::Body::is_end_stream(&*body));
        }
        Ok(status(503))
    });
    let frames = vec![Ok(Frame::data(Bytes::from("1"))), Err("the disk is gone".into())];
    let mut service = RetryLayer::new(swift()).recording().layer(inner);
    let response = service.call(Request::put("http://host/").body(streamed(frames)).unwrap()).await.unwrap();
    assert_eq!(response.extensions().get::<Records>().unwrap().stop_reason(), Some(StopReason::BodyNotReplayable));
}

/// Somebody else's task may bear the panic: the body is no whole one for that.
#[tokio::test]
async fn a_body_that_panics_is_not_sent_again() {
    let inner = Answers::new(|request: Request<ReplayBody<_>>| async move {
        let body = request.into_body();
        assert!(tokio::spawn(read(body)).await.unwrap_err().is_panic());
        Ok(status(503))
    });
    let mut service = RetryLayer::new(swift()).recording().layer(inner);
    // As a panic unwinds, without its message.
    let frames = iter([0]).map(|_| -> Result<Frame<Bytes>, BoxError> { std::panic::resume_unwind(Box::new(())) });
    let response = service.call(Request::put("http://host/").body(StreamBody::new(frames)).unwrap()).await.unwrap();
    let records = response.extensions().get::<Records>().unwrap();
    assert_eq!((records.attempts().len(), records.stop_reason()), (1, Some(StopReason::BodyNotReplayable)));
}

/// A body that says more than it knows.
struct Said<B>(B, u64);

impl<B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin> http_body::Body for Said<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.1)
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_it_says_ends_the_call() {
    for (length, than) in [(2, "longer"), (4, "shorter")] {
        let inner = Answers::new(|request: Request<ReplayBody<_>>| async move { read(request.into_body()).await.map(|_| status(200)) });
        let body = Said(streamed(vec![Ok(Frame::data(Bytes::from("123")))]), length);
        let mut service = RetryLayer::new(swift()).recording().layer(inner);
        let error = service.call(Request::put("http://host/").body(body).unwrap()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (Some(ErrorKind::InvalidRequest), 1));
        assert_eq!(error.to_string(), format!("the request body is {than} than its declared length of {length} bytes"));
    }
}

/// What a body gives, piece by piece, until its sender is dropped.
fn fed() -> (mpsc::UnboundedSender<&'static str>, impl http_body::Body<Data = Bytes, Error = BoxError> + Send) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let frames = unfold(receiver, |mut receiver| async move {
        let text: &str = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from(text))), receiver))
    });
    (sender, StreamBody::new(frames))
}

/// As connections of HTTP/2 do: a task has the body, and waits for it. Nobody else would ever wake it.
#[tokio::test]
async fn who_waits_for_the_body_of_an_attempt_that_is_over_is_told() {
    let (tasks, mut reading) = mpsc::unbounded_channel();
    let inner = Answers::new(move |request: Request<ReplayBody<_>>| {
        tasks.send(tokio::spawn(read(request.into_body()))).unwrap();
        async move {
            tokio::task::yield_now().await;
            Ok(status(503))
        }
    });
    let (_sender, body) = fed();
    let mut service = RetryLayer::new(swift()).recording().layer(inner);
    let mut calling = service.call(Request::put("http://host/").body(body).unwrap());
    let mut tasks: Vec<JoinHandle<Result<_, BoxError>>> = Vec::new();
    // The first attempt ends, the second is dropped with its call.
    while tasks.len() < 2 {
        tokio::select! {
            biased;
            task = reading.recv() => tasks.push(task.unwrap()),
            response = &mut calling => panic!("{response:?}"),
        }
    }
    drop(calling);
    for task in tasks {
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the attempt that this body belongs to is over");
    }
}

/// Both ways at once: the response is there, and the request goes on.
#[tokio::test]
async fn the_body_of_a_request_that_is_answered_goes_on() {
    let (tasks, mut reading) = mpsc::unbounded_channel();
    let attempt = AtomicU32::new(0);
    let inner = Answers::new(move |request: Request<ReplayBody<_>>| {
        let first = attempt.fetch_add(1, Ordering::Relaxed) == 0;
        let (mut body, tasks) = (Box::pin(request.into_body()), tasks.clone());
        async move {
            body.frame().await.unwrap()?;
            if first {
                return Ok(status(503));
            }
            tasks.send(tokio::spawn(read(body))).unwrap();
            Ok(status(200))
        }
    });
    let (sender, body) = fed();
    sender.send("one").unwrap();
    let mut service = RetryLayer::new(swift()).recording().layer(inner);
    let response = service.call(Request::put("http://host/").body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    for text in ["two", "three", "four and more than is kept"] {
        sender.send(text).unwrap();
    }
    drop(sender);
    let (rest, _) = reading.recv().await.unwrap().await.unwrap().unwrap();
    assert_eq!(rest, "twothreefour and more than is kept");
}

type Nothing = UnsyncBoxBody<Bytes, BoxError>;

/// Answers 503 with pieces without end, of which none gives anything.
#[derive(Clone)]
struct Endless;

impl Service<Request<()>> for Endless {
    type Response = Response<Nothing>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let frames = repeat_with(|| Ok(Frame::data(Bytes::new())));
        std::future::ready(Ok(Response::builder().status(503).body(Nothing::new(StreamBody::new(frames))).unwrap()))
    }
}

#[tokio::test]
async fn a_response_of_nothing_without_end_is_left() {
    let response = RetryLayer::new(swift()).layer(Endless).call(Request::get("http://host/").body(()).unwrap()).await.unwrap();
    assert_eq!(response.extensions().get::<Records>().unwrap().attempts().len(), 3);
}
