//! The control endpoint: JSON over HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::log::Log;
use crate::server::Inner;
use crate::stream::Stream;
use crate::wire::{Head, NoHead, Wire};
use crate::{Error, reply};

/// Largest script document.
const MAX_DOCUMENT: usize = 64 << 20;
/// The longest wait for a change of a log.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    connections.spawn(connection(tcp, Arc::clone(&inner)));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

async fn connection(tcp: TcpStream, inner: Arc<Inner>) {
    let _ = tcp.set_nodelay(true);
    let never = watch::Sender::new(());
    let mut renewals = never.subscribe();
    let mut wire = Wire::new(Stream::plain(tcp));
    loop {
        let head = match wire.head(&mut renewals).await {
            Ok(head) => head,
            Err(NoHead::Bad(status, message)) => {
                let answer = (status, json!({ "error": message }));
                let _ = send(&mut wire, answer, false).await;
                return wire.stream.close(true).await;
            }
            Err(_) => return,
        };
        let keep_alive = head.keep_alive;
        let Ok(body) = read_body(&mut wire, &head).await else {
            return;
        };
        let answer = match body {
            Some(body) => handle(&inner, &head, &body).await,
            None => (413, json!({ "error": "the document is over 64 MiB" })),
        };
        let keep_alive = keep_alive && answer.0 != 413;
        if send(&mut wire, answer, keep_alive).await.is_err() {
            return;
        }
        if !keep_alive {
            return wire.stream.close(true).await;
        }
    }
}

async fn read_body(wire: &mut Wire, head: &Head) -> std::io::Result<Option<BytesMut>> {
    if head.expects_continue {
        wire.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        wire.flush().await?;
    }
    let mut state = head.body;
    let mut body = BytesMut::new();
    while let Some(piece) = wire.piece(&mut state).await? {
        if body.len() + piece.len() > MAX_DOCUMENT {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}

async fn send(wire: &mut Wire, (status, body): (u16, Value), keep_alive: bool) -> std::io::Result<()> {
    let body = if status == 204 { String::new() } else { body.to_string() };
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    if status != 204 {
        headers.push(("content-length".to_owned(), body.len().to_string()));
    }
    if !keep_alive {
        headers.push(("connection".to_owned(), "close".to_owned()));
    }
    wire.write(&reply::head(status, None, &headers)).await?;
    wire.write(body.as_bytes()).await?;
    wire.flush().await
}

async fn handle(inner: &Arc<Inner>, head: &Head, body: &[u8]) -> (u16, Value) {
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    let path: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (head.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => (200, json!({ "ok": true })),
        ("POST", ["scripts"]) => register(inner, body).await,
        (method, ["scripts", id, rest @ ..]) => {
            let Some(running) = inner.find(id) else {
                return (404, json!({ "error": format!("no script {id}") }));
            };
            match (method, rest) {
                ("GET", ["log"]) => log(&running.state.log, query).await,
                ("POST", ["advance"]) => {
                    running.state.advance().await;
                    (200, json!({ "ok": true }))
                }
                ("DELETE", []) => {
                    inner.remove(id);
                    running.stop().await;
                    (204, Value::Null)
                }
                _ => not_found(head),
            }
        }
        _ => not_found(head),
    }
}

/// The log now, or with `after=N` as soon as it changed more than N times; after ten seconds in any case.
async fn log(log: &Log, query: &str) -> (u16, Value) {
    if !query.is_empty() {
        let Some(changes) = query.strip_prefix("after=").and_then(|number| number.parse().ok()) else {
            return (400, json!({ "error": format!("a log takes after=N, got {query:?}") }));
        };
        let _ = tokio::time::timeout(PATIENCE, log.changed_after(changes)).await;
    }
    (200, log.to_json())
}

fn not_found(head: &Head) -> (u16, Value) {
    (404, json!({ "error": format!("no {} {}", head.method, head.target) }))
}

async fn register(inner: &Arc<Inner>, body: &[u8]) -> (u16, Value) {
    let document = match serde_json::from_slice::<Value>(body) {
        Ok(document) => document,
        Err(error) => return (400, json!({ "error": format!("not JSON: {error}") })),
    };
    match inner.register(&document).await {
        Ok(running) => (201, running.to_json()),
        Err(error @ Error::Document(_)) => (400, json!({ "error": error.to_string() })),
        Err(error) => (500, json!({ "error": error.to_string() })),
    }
}
