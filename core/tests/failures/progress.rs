//! What an attempt that is given up proves, and what the connection is told of it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use http::Method;
use reknock::Evidence;
use reknock::client::transport::{Incoming, OutgoingBody, Transport};
use reknock::client::{Clock, Http2, TokioClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::Tested;
use crate::support::*;

#[tokio::test]
async fn dropped_while_waiting_for_the_answer() {
    let (arrived, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_arrived, tell_gone) = (arrived.clone(), gone.clone());
    let address = peer(move |mut stream| {
        let (arrived, gone) = (tell_arrived.clone(), tell_gone.clone());
        async move {
            read_head(&mut stream).await;
            arrived.notify_one();
            until_closed(&mut stream).await;
            gone.notify_one();
        }
    })
    .await;
    for body in ["", "body"] {
        let request = outgoing(Method::POST, &format!("http://{address}/"), body);
        let progress = request.progress.clone();
        let transport = transport();
        tokio::select! {
            _ = transport.send(request) => panic!("nobody answers"),
            () = arrived.notified() => {}
        }
        assert!(progress.is_touched() && !progress.is_connecting() && progress.uploaded_at().is_some());
        assert_eq!(progress.proof(&TokioClock).await, Evidence::Unknown);
        tokio::time::timeout(PATIENCE, gone.notified()).await.expect("the connection is closed");
    }
}

#[tokio::test]
async fn dropped_while_connecting() {
    let silent = silent("127.0.0.1").await;
    let handshake = peer(|mut stream| async move { until_closed(&mut stream).await }).await;
    for url in [format!("http://{}/", silent.address), format!("https://{handshake}/")] {
        let request = outgoing(Method::POST, &url, "");
        let progress = request.progress.clone();
        let transport = transport();
        {
            let mut sending = pin!(transport.send(request));
            while !progress.is_connecting() {
                tokio::select! {
                    biased;
                    _ = &mut sending => panic!("nobody answers"),
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        assert!(progress.is_untouched_for_good() && !progress.is_connecting());
        assert_eq!(progress.proof(&TokioClock).await, Evidence::NotSent);
    }
}

/// Reads the frames of a client until it acknowledges the settings of its server, which it has heeded by then.
async fn until_settled(stream: &mut TcpStream) {
    let mut preface = [0; 24];
    let mut head = [0; 9];
    stream.read_exact(&mut preface).await.unwrap();
    loop {
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut rest = vec![0; length as usize];
        stream.read_exact(&mut rest).await.unwrap();
        if (head[3], head[4]) == (4, 1) {
            return;
        }
    }
}

/// A request waiting for a slot on an HTTP/2 connection was not sent.
#[tokio::test]
async fn dropped_while_waiting_for_a_stream() {
    use crate::http2::frame;
    let settled = Arc::new(Notify::new());
    let tell = settled.clone();
    let address = peer(move |mut stream| {
        let settled = tell.clone();
        async move {
            // SETTINGS with MAX_CONCURRENT_STREAMS 0, and an acknowledgement of the client's.
            let _ = stream.write_all(&frame(4, 0, 0, &[0, 3, 0, 0, 0, 0])).await;
            let _ = stream.write_all(&frame(4, 1, 0, &[])).await;
            until_settled(&mut stream).await;
            settled.notify_one();
            until_closed(&mut stream).await;
        }
    })
    .await;
    let mut options = options();
    options.http2 = Http2::Only;
    let transport = Tested::new(&options).unwrap();
    // One request may overtake the settings, one takes the place in front of the closed door; whoever comes then waits behind it.
    let url = format!("http://{address}/");
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let (request, transport) = (outgoing(Method::POST, &url, "body"), transport.clone());
        waiting.push(tokio::spawn(async move { transport.send(request).await.is_ok() }));
        settled.notified().await;
        settled.notify_one();
        // There is a connection: what is left to do of sending waits for nobody.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    let last = outgoing(Method::POST, &url, "body");
    let progress = last.progress.clone();
    assert!(tokio::time::timeout(Duration::from_millis(50), transport.send(last)).await.is_err());
    assert_eq!(progress.proof(&TokioClock).await, Evidence::NotSent);
    assert!(!progress.is_connecting() && waiting.iter().all(|task| !task.is_finished()));
}

#[tokio::test]
async fn a_kept_connection_needs_no_connect() {
    let address = peer(|mut stream| async move {
        while !read_head(&mut stream).await.is_empty() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let transport = transport();
    for fresh in [true, false] {
        let request = outgoing(Method::GET, &format!("http://{address}/"), "");
        let progress = request.progress.clone();
        let received = send(&transport, request).await.unwrap();
        assert_eq!(received.version, http::Version::HTTP_11);
        assert_eq!(received.body.remote_addr(), Some(address));
        assert_eq!(read(received.body).await.0, b"ok");
        assert!(progress.is_touched() && progress.uploaded_at().is_some() && !progress.is_connecting());
        assert_eq!(!progress.connecting_time(TokioClock.now()).is_zero(), fresh);
    }
}

/// Refuses as soon as it has the head, and tells when the connection is closed.
async fn answers_early() -> (SocketAddr, Arc<Notify>) {
    let gone = Arc::new(Notify::new());
    let tell = gone.clone();
    let address = peer(move |mut stream| {
        let gone = tell.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").await;
            until_closed(&mut stream).await;
            gone.notify_one();
        }
    })
    .await;
    (address, gone)
}

/// The answer comes before the upload ends; giving up the body ends the upload.
#[tokio::test]
async fn an_early_answer_ends_the_upload_with_its_body() {
    let (address, gone) = answers_early().await;
    let received = post(address, vec![0; 50_000_000]).await.unwrap();
    assert_eq!(received.status, 413);
    assert_eq!(read(received.body).await.0, b"no");
    tokio::time::timeout(PATIENCE, gone.notified()).await.expect("the connection is closed");
}

/// Likewise where the upload waits for its source, so that nothing else would wake the connection.
#[tokio::test]
async fn an_early_answer_ends_an_upload_that_waits_for_its_source() {
    let (address, gone) = answers_early().await;
    let mut request = outgoing(Method::POST, &format!("http://{address}/"), "");
    let stream = futures_util::stream::iter([Ok("first".into())]).chain(futures_util::stream::pending());
    request.body = OutgoingBody::Stream { stream: Box::pin(stream), length: None };
    let transport = transport();
    let mut received = send(&transport, request).await.unwrap();
    while received.body.frame().await.unwrap().is_some() {}
    // The connection has done all it can do, and sleeps.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    drop(received);
    tokio::time::timeout(PATIENCE, gone.notified()).await.expect("the connection is closed");
}
