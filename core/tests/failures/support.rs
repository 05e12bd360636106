//! Peers that do one thing, and one attempt against them.

use std::error::Error as StdError;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use reknock::client::transport::{Failure, Incoming, Outgoing, OutgoingBody, Progress, Received, Transport};
use reknock::client::{Proxy, TransportOptions};
use reknock::{ErrorKind, Evidence};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::{Tested, TestedBody};

/// What nothing here may take, however slow the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A peer that treats every connection like this, on 127.0.0.1.
pub(crate) async fn peer<F, B>(behaviour: B) -> SocketAddr
where
    B: Fn(TcpStream) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behaviour(stream));
        }
    });
    address
}

/// A peer that answers every request head with these bytes, then closes.
pub(crate) async fn answers(bytes: impl Into<Bytes>) -> SocketAddr {
    let bytes = bytes.into();
    peer(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
        }
    })
    .await
}

/// An address whose port is closed.
pub(crate) async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A listener that answers no SYN, and what keeps it so.
pub(crate) struct Silent {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

pub(crate) async fn silent(ip: &str) -> Silent {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 0)).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    Silent { address, _listener: listener, _waiting: waiting }
}

/// Reads up to the empty line.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Closes with RST.
pub(crate) fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// Reads until the other side closes.
pub(crate) async fn until_closed(stream: &mut TcpStream) {
    let mut rest = [0; 4096];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// Whether it is the transport of our own, which sees what reqwest hides.
pub(crate) fn ours() -> bool {
    std::any::type_name::<Tested>().ends_with("HttpTransport")
}

pub(crate) fn options() -> TransportOptions {
    let mut options = TransportOptions::default();
    options.proxy = Proxy::None;
    options
}

pub(crate) fn transport() -> Tested {
    Tested::new(&options()).unwrap()
}

pub(crate) fn outgoing(method: Method, url: &str, body: impl Into<Bytes>) -> Outgoing {
    Outgoing {
        method,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: OutgoingBody::Bytes(body.into()),
        connect_timeout: Some(PATIENCE),
        progress: Arc::new(Progress::default()),
    }
}

pub(crate) async fn send(transport: &Tested, outgoing: Outgoing) -> Result<Received<TestedBody>, Failure> {
    tokio::time::timeout(PATIENCE, transport.send(outgoing)).await.expect("neither a response nor a failure")
}

pub(crate) async fn get(address: SocketAddr) -> Result<Received<TestedBody>, Failure> {
    send(&transport(), outgoing(Method::GET, &format!("http://{address}/path?secret=hunter2"), "")).await
}

pub(crate) async fn post(address: SocketAddr, body: impl Into<Bytes>) -> Result<Received<TestedBody>, Failure> {
    send(&transport(), outgoing(Method::POST, &format!("http://{address}/path?secret=hunter2"), body)).await
}

/// The body up to its end or failure.
pub(crate) async fn read(mut body: TestedBody) -> (Vec<u8>, Option<Failure>) {
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, body.frame()).await.expect("the body neither ends nor fails") {
            Ok(Some(frame)) => bytes.extend_from_slice(&frame),
            Ok(None) => return (bytes, None),
            Err(failure) => return (bytes, Some(failure)),
        }
    }
}

/// The kind and evidence of a failure whose text is presentable.
#[track_caller]
pub(crate) fn verdict<T>(result: Result<T, Failure>) -> (ErrorKind, Evidence) {
    let Err(failure) = result else { panic!("a response") };
    presentable(&failure);
    (failure.kind, failure.evidence)
}

#[track_caller]
pub(crate) fn presentable(failure: &Failure) {
    let text = &failure.message;
    let starts_well = text.starts_with(|first: char| !first.is_uppercase() || text.starts_with("TLS"));
    assert!(!text.is_empty() && starts_well && !text.contains('\n'), "{text:?}");
    let mut everything = format!("{text} {failure:?}");
    let mut source = failure.source.as_ref().map(|source| &**source as &(dyn StdError + 'static));
    while let Some(error) = source {
        everything += &format!(" {error} {error:?}");
        source = error.source();
    }
    assert!(!everything.contains("hunter2"), "a secret in {everything}");
}

/// Fails unless `got` is one of the outcomes that the race allows.
#[track_caller]
pub(crate) fn one_of(got: (ErrorKind, Evidence), allowed: &[(ErrorKind, Evidence)]) {
    assert!(allowed.contains(&got), "{got:?} is not among {allowed:?}");
}
