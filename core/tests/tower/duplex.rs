//! Both ways at once over HTTP/2, as gRPC streams: refused in trailers alone, then answered while the request goes on.

use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use reknock::tower::{Records, RetryLayer};
use reknock::{BoxError, Policy};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tower_layer::Layer;
use tower_service::Service;

use crate::live::patient;

/// Answers the first stream without looking at its body, and tells how that ended; the others with what comes, as it comes.
async fn serve(listener: TcpListener, ended: mpsc::UnboundedSender<Result<(), h2::Error>>) {
    let (socket, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(socket).await.unwrap();
    let mut first = true;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let refused = std::mem::replace(&mut first, false);
        let ended = ended.clone();
        tokio::spawn(async move {
            let mut body = request.into_body();
            if refused {
                respond.send_response(Response::builder().header("grpc-status", "14").body(()).unwrap(), true).unwrap();
                // It stays open until the client gives it up.
                let end = loop {
                    match body.data().await {
                        Some(Ok(_)) => {}
                        end => break end.map_or(Ok(()), |last| last.map(drop)),
                    }
                };
                return ended.send(end).unwrap();
            }
            let mut sending = respond.send_response(Response::new(()), false).unwrap();
            while let Some(piece) = body.data().await {
                sending.send_data(piece.unwrap(), false).unwrap();
            }
            sending.send_trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())])).unwrap();
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (ended, mut refused) = mpsc::unbounded_channel();
    let serving = tokio::spawn(serve(listener, ended));
    let (sender, receiver) = mpsc::unbounded_channel();
    let body = StreamBody::new(unfold(receiver, |mut receiver| async move {
        let text: &str = receiver.recv().await?;
        Some((Ok::<_, BoxError>(Frame::data(Bytes::from(text))), receiver))
    }));
    let http = Client::builder(TokioExecutor::new()).http2_only(true).retry_canceled_requests(false).build_http();
    let policy = Policy::from_yaml("{methods: any, retry_on: [unavailable], backoff: none}").unwrap();
    let mut service = RetryLayer::new(policy).recording().layer(http);

    sender.send("one").unwrap();
    let response = patient(service.call(Request::post(url).body(body).unwrap())).await.unwrap();
    assert_eq!(response.extensions().get::<Records>().unwrap().attempts().len(), 2);
    let mut answer = response.into_body();
    for text in ["one", "two", "three"] {
        if text != "one" {
            sender.send(text).unwrap();
        }
        let frame = patient(answer.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    drop(sender);
    let frame = patient(answer.frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_trailers().unwrap()["grpc-status"], "0");
    // The stream that was refused was given up, not ended as if it were whole.
    assert!(patient(refused.recv()).await.unwrap().is_err());
    serving.abort();
}
