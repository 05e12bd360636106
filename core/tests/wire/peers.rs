//! Servers and proxies that do one thing.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reknock::client::{Client, Http2, HttpTransport, IntoTransport, Proxy, TransportOptions};
use reknock::policy::{PolicySet, Value};
use reknock::{Error, Policy};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What nothing here may take, however slow the machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server that treats its nth connection like this, and how many there were.
pub struct Peer {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    pub async fn start<F>(serve: impl Fn(TcpStream, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, counted.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Peer { address, connections }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

pub fn options(http2: Http2) -> TransportOptions {
    let mut options = TransportOptions::default();
    options.proxy = Proxy::None;
    options.http2 = http2;
    options
}

/// A policy without waits, changed by this YAML.
pub fn policy(rules: &str) -> Policy {
    let swift = Policy::default().merge(&Value::from([("backoff", "none")])).unwrap();
    swift.merge(&Value::from_yaml(rules).unwrap()).unwrap()
}

/// The transport of our own.
#[derive(Clone)]
pub struct Ours(pub TransportOptions);

impl IntoTransport for Ours {
    type Transport = HttpTransport;

    fn into_transport(self, _: &PolicySet) -> Result<HttpTransport, Error> {
        HttpTransport::new(&self.0)
    }
}

/// Speaks HTTP/2 over plain TCP.
pub fn client(rules: &str) -> Client<HttpTransport> {
    Client::on(Ours(options(Http2::Only))).policy(policy(rules)).build().unwrap()
}

pub async fn patient<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it does not end")
}

/// Reads up to the empty line.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

pub async fn until_closed(stream: &mut TcpStream) {
    let mut rest = [0; 4096];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// Carries bytes both ways until one side ends.
pub async fn splice(mut one: TcpStream, mut other: TcpStream) {
    let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
}

/// Frames of HTTP/2 by hand.
pub struct Frames(TcpStream);

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const GOAWAY: u8 = 7;
pub const END_STREAM: u8 = 1;
pub const SETTINGS: u8 = 4;
const END_HEADERS: u8 = 4;

impl Frames {
    /// After the preface.
    pub async fn accept(mut stream: TcpStream) -> Option<Self> {
        stream.read_exact(&mut [0; 24]).await.ok()?;
        let mut frames = Frames(stream);
        frames.send(SETTINGS, 0, 0, &[]).await;
        Some(frames)
    }

    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.0.write_all(&frame).await;
    }

    /// The next frame of this kind: its stream.
    pub async fn next(&mut self, wanted: u8) -> Option<u32> {
        loop {
            let (kind, stream) = self.any().await?;
            if kind == wanted {
                return Some(stream);
            }
        }
    }

    /// The next frame: its kind and its stream.
    pub async fn any(&mut self) -> Option<(u8, u32)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
    }

    /// A head of status 200.
    pub async fn ok(&mut self, stream: u32, flags: u8) {
        self.send(HEADERS, END_HEADERS | flags, stream, &[0x88]).await;
    }

    /// Resets the connection.
    pub fn break_off(self) {
        self.0.set_zero_linger().unwrap();
    }

    pub async fn goaway(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }
}
