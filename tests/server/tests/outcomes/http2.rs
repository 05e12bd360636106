//! HTTP/2 outcomes, seen by an HTTP/2 client.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{Method, Request, Response};
use reknock_test_server::Script;
use serde_json::{Value, json};

use crate::client::{GET, Test, connect, exchange, response, soon, start, until};

type Sender = SendRequest<Bytes>;

async fn open(script: &Script) -> Result<Sender, Box<dyn std::error::Error>> {
    let (sender, connection) = h2::client::handshake(connect(script).await?).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn send(sender: &mut Sender, body: &'static [u8]) -> Result<Response<RecvStream>, h2::Error> {
    let request = Request::builder().method(Method::POST).uri("http://h/p?q").body(());
    let request = request.unwrap_or_default();
    poll_fn(|cx| sender.poll_ready(cx)).await?;
    let (response, mut stream) = sender.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        stream.send_data(Bytes::from_static(body), true)?;
    }
    response.await
}

async fn read(body: &mut RecvStream) -> Result<Vec<u8>, (usize, h2::Error)> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| (bytes.len(), error))?;
        let _ = body.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[tokio::test]
async fn answers_come_over_one_connection() -> Test {
    let document = json!({"http2": true, "script": [
        {"do": "status", "status": 503, "headers": [["retry-after", "1"]], "body": "no"},
        {"do": "echo"},
        {"do": "status", "status": 200, "body_size": 3_000_000},
    ]});
    let (_server, script) = start(document).await?;
    let mut sender = open(&script).await?;
    let mut first = soon(send(&mut sender, b"")).await??;
    assert_eq!(first.status(), 503);
    assert_eq!(first.headers()["retry-after"], "1");
    assert_eq!(first.headers()["content-length"], "2");
    assert_eq!(read(first.body_mut()).await.map_err(|e| e.1)?, b"no");
    let mut second = soon(send(&mut sender, b"hello")).await??;
    let echo: Value = serde_json::from_slice(&read(second.body_mut()).await.map_err(|e| e.1)?)?;
    assert_eq!((&echo["version"], &echo["body"]), (&json!("2"), &json!("hello")));
    let mut third = soon(send(&mut sender, b"")).await??;
    assert_eq!(soon(read(third.body_mut())).await?.map_err(|e| e.1)?.len(), 3_000_000);
    let log = script.log();
    assert_eq!((log[1].version, log[1].target.as_str(), log[1].body_size), ("2", "/p?q", 5));
    assert!(log[1].body_complete);
    assert_eq!(script.connections(), 1);
    Ok(())
}

#[tokio::test]
async fn streams_are_refused_and_reset() -> Test {
    let document = json!([
        {"do": "h2-rst", "code": 7},
        {"do": "h2-rst", "code": 0},
        {"do": "h2-body-rst", "code": 2, "after": 100},
        {"do": "status", "status": 200},
    ]);
    let (_server, script) = start(document).await?;
    let mut sender = open(&script).await?;
    for reason in [Reason::REFUSED_STREAM, Reason::NO_ERROR] {
        let error = soon(send(&mut sender, b"")).await?.err().ok_or("answered")?;
        assert!(error.is_reset() && error.is_remote());
        assert_eq!(error.reason(), Some(reason));
    }
    let mut response = soon(send(&mut sender, b"")).await??;
    let (read, error) = soon(read(response.body_mut())).await?.err().ok_or("complete")?;
    assert_eq!((read, error.reason()), (100, Some(Reason::INTERNAL_ERROR)));
    assert_eq!(soon(send(&mut sender, b"")).await??.status(), 200);
    assert_eq!(script.connections(), 1);
    assert_eq!(script.log()[0].did, "h2-rst 7");
    Ok(())
}

#[tokio::test]
async fn connections_go_away_and_close() -> Test {
    let document = json!([
        {"do": "h2-goaway", "code": 0},
        {"do": "h2-goaway", "code": 11},
        {"do": "h2-close"},
        {"do": "reset"},
        {"do": "status", "status": 200},
    ]);
    let (_server, script) = start(document).await?;
    for reason in [Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
        let error = soon(send(&mut open(&script).await?, b"x")).await?.err().ok_or("answered")?;
        assert!(error.is_go_away() && error.is_remote(), "{error:?}");
        assert_eq!(error.reason(), Some(reason));
    }
    for _ in 0..2 {
        let error = soon(send(&mut open(&script).await?, b"")).await?.err().ok_or("answered")?;
        assert!(error.is_io(), "{error:?}");
    }
    assert_eq!(soon(send(&mut open(&script).await?, b"")).await??.status(), 200);
    assert_eq!(script.connections(), 5);
    Ok(())
}

#[tokio::test]
async fn odd_heads_and_broken_bodies() -> Test {
    let document = json!({"http2": true, "script": [
        {"do": "bad-head", "kind": "status"},
        {"do": "garbage"},
        {"do": "partial-head"},
        {"do": "status", "status": 200, "body_mode": "truncate-fin", "after": 10},
        {"do": "big-head", "lines": 50},
        {"do": "status", "status": 200, "interim": [103], "body_size": 10, "drip": {"bytes": 3, "every": "5ms"}},
    ]});
    let (_server, script) = start(document).await?;
    for _ in 0..3 {
        assert!(soon(send(&mut open(&script).await?, b"")).await?.is_err());
    }
    let mut response = soon(send(&mut open(&script).await?, b"")).await??;
    let (count, _) = soon(read(response.body_mut())).await?.err().ok_or("complete")?;
    assert_eq!(count, 10);
    let mut sender = open(&script).await?;
    assert_eq!(soon(send(&mut sender, b"")).await??.headers().len(), 50);
    let mut response = soon(send(&mut sender, b"")).await??;
    assert_eq!(soon(read(response.body_mut())).await?.map_err(|e| e.1)?.len(), 10);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_stream_is_noticed() -> Test {
    let (_server, script) = start(json!([{"do": "h2-hang"}, {"do": "status", "status": 200}])).await?;
    let mut sender = open(&script).await?;
    let cancelled = tokio::time::timeout(Duration::from_millis(50), send(&mut sender, b"")).await;
    assert!(cancelled.is_err());
    until(&script, || script.log()[0].client_gone_ms.is_some()).await?;
    assert_eq!(soon(send(&mut sender, b"")).await??.status(), 200);
    // And so is a closed connection.
    let (_server, script) = start(json!([{"do": "h2-hang"}])).await?;
    let (mut sender, connection) = h2::client::handshake::<_>(connect(&script).await?).await?;
    let connection = tokio::spawn(connection);
    let waiting = tokio::spawn(async move { send(&mut sender, b"").await.map(drop) });
    until(&script, || script.log().len() == 1).await?;
    connection.abort();
    until(&script, || script.log()[0].client_gone_ms.is_some()).await?;
    waiting.abort();
    Ok(())
}

#[tokio::test]
async fn the_port_can_refuse_after_an_answer() -> Test {
    let document = json!({"http2": true, "script": [
        {"do": "status", "status": 503}, {"do": "refused"}, {"do": "status", "status": 200}]});
    let (_server, script) = start(document).await?;
    let mut sender = open(&script).await?;
    assert_eq!(soon(send(&mut sender, b"")).await??.status(), 503);
    assert!(connect(&script).await.is_err());
    until(&script, || script.open_connections() == 0).await?;
    script.advance().await;
    assert_eq!(soon(send(&mut open(&script).await?, b"")).await??.status(), 200);
    Ok(())
}

#[tokio::test]
async fn http1_on_an_http2_port_is_answered() -> Test {
    let document = json!([{"do": "status", "status": 200}, {"do": "h2-rst", "code": 7}]);
    let (_server, script) = start(document).await?;
    let mut tcp = connect(&script).await?;
    tokio::io::AsyncWriteExt::write_all(&mut tcp, GET).await?;
    assert!(response(&mut tcp).await?.0.starts_with("HTTP/1.1 200"));
    let (bytes, _) = exchange(&script, GET).await?;
    assert!(bytes.starts_with(b"HTTP/1.1 505"));
    Ok(())
}
