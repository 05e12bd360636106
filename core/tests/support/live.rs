//! A scripted server, a client for it, and patience.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // a test may

use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::iter;
use reknock::client::{Body, BodyStream, Client, ClientBuilder, Http2, Proxy, TransportOptions};
use reknock::policy::Value;
use reknock::{BoxError, Policy};
use reknock_test_server::{Script, Server};
use serde_json::Value as Json;

/// What nothing here may take, however slow the machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A script on a server of its own.
pub struct Peer {
    pub server: Server,
    pub script: Script,
}

impl std::ops::Deref for Peer {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.script
    }
}

pub async fn peer(document: Json) -> Peer {
    let server = Server::start().await.unwrap();
    let script = server.script(document.clone()).await.unwrap_or_else(|error| panic!("{document}: {error}"));
    Peer { server, script }
}

/// The default policy without waits, changed by a document.
pub fn swift(document: &Json) -> Policy {
    without_waits(&super::support::value(document))
}

/// Likewise, the document as a value.
pub fn without_waits(document: &Value) -> Policy {
    let swift = Policy::default().merge(&Value::from([("backoff", "none")])).unwrap();
    swift.merge(document).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// No proxy, and the script's authority alone.
pub fn options(ca: Option<&str>) -> TransportOptions {
    let mut options = TransportOptions::default();
    options.proxy = Proxy::None;
    options.http2 = Http2::Auto;
    options.tls.system_roots = false;
    options.tls.ca_bundle = ca.map(|pem| Bytes::copy_from_slice(pem.as_bytes()));
    options
}

pub fn builder(document: &Json) -> ClientBuilder {
    Client::on(options(None)).policy(swift(document))
}

pub fn client(document: &Json) -> Client {
    builder(document).build().unwrap()
}

/// Waits, but not for ever.
pub async fn patient<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it does not end")
}

/// Waits until the server tells that it is so.
pub async fn eventually(script: &Script, what: &str, holds: impl FnMut() -> bool) {
    assert!(tokio::time::timeout(PATIENCE, script.until(holds)).await.is_ok(), "{what}");
}

/// A body of recognisable bytes.
pub fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 65536 % 251) as u8).collect()
}

/// These bytes, in pieces of at most `piece`.
pub fn pieces(bytes: &[u8], piece: usize) -> BodyStream {
    let pieces: Vec<Result<Bytes, BoxError>> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(iter(pieces))
}

pub fn once(bytes: &[u8], length: Option<u64>) -> Body {
    Body::stream(pieces(bytes, 10_000), length)
}

/// A temporary file with `before` and then `rest`, positioned after `before`.
pub fn file(before: &[u8], rest: &[u8]) -> std::fs::File {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let name = format!("reknock-tests-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let mut file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all(before).unwrap();
    file.write_all(rest).unwrap();
    file.seek(SeekFrom::Start(before.len() as u64)).unwrap();
    file
}
