//! A client that shows every byte and every error.

use std::error::Error;
use std::future::Future;
use std::io;
use std::time::Duration;

use reknock_test_server::{Script, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) type Test = Result<(), Box<dyn Error>>;

pub(crate) const GET: &[u8] = b"GET /path?q=1 HTTP/1.1\r\nhost: test\r\n\r\n";

pub(crate) async fn start(document: Value) -> Result<(Server, Script), Box<dyn Error>> {
    let server = Server::start().await?;
    let script = server.script(document).await?;
    Ok((server, script))
}

pub(crate) async fn connect(script: &Script) -> io::Result<TcpStream> {
    soon(TcpStream::connect(("127.0.0.1", script.port()))).await?
}

/// Fails instead of hanging.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let limit = tokio::time::timeout(Duration::from_secs(20), future).await;
    limit.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the test client waited 20 s"))
}

/// Waits until the script says that `done` holds.
pub(crate) async fn until(script: &Script, done: impl FnMut() -> bool) -> io::Result<()> {
    soon(script.until(done)).await
}

/// All bytes up to the end of the connection, and how it ended.
pub(crate) async fn read_all(tcp: &mut TcpStream) -> io::Result<(Vec<u8>, io::Result<()>)> {
    let mut bytes = Vec::new();
    let end = soon(tcp.read_to_end(&mut bytes)).await?;
    Ok((bytes, end.map(drop)))
}

/// One request on a connection of its own: all bytes that come back, and how it ended.
pub(crate) async fn exchange(script: &Script, request: &[u8]) -> io::Result<(Vec<u8>, io::Result<()>)> {
    let mut tcp = connect(script).await?;
    tcp.write_all(request).await?;
    read_all(&mut tcp).await
}

/// Reads one response with a content-length: its head and its body.
pub(crate) async fn response(tcp: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    soon(async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        tcp.read_exact(&mut body).await?;
        Ok((head, body))
    })
    .await?
}

/// One request on a connection of its own, answered properly.
pub(crate) async fn call(script: &Script) -> io::Result<(String, Vec<u8>)> {
    let mut tcp = connect(script).await?;
    tcp.write_all(GET).await?;
    response(&mut tcp).await
}

/// The part after the head.
pub(crate) fn body(bytes: &[u8]) -> &[u8] {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    at.map_or(&[], |at| &bytes[at + 4..])
}

pub(crate) fn kind(end: &io::Result<()>) -> Option<io::ErrorKind> {
    end.as_ref().err().map(io::Error::kind)
}
