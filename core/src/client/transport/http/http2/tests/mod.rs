//! Whole exchanges over connections in memory and on loopback, with h2 or a few frames by hand as the server.

mod connections;
mod lanes;
mod races;
mod streams;
mod windows;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::body::Http2Body;
use super::connection::{Connection, Leave};
use super::exchange::Exchange;
use super::gate::{Found, Gate, Opened, Place};
use super::head;
use crate::client::transport::http::upload::Upload;
use crate::client::transport::{Failure, OutgoingBody, Progress};

/// There may be any number of connections.
struct NotLimited;

impl Leave for NotLimited {
    fn is_wanted(&self) -> bool {
        false
    }
}

/// Where connections lead: to a server that is a function of the stream, and of the connection's number from 0.
pub(super) struct Network<F> {
    serve: F,
    opened: AtomicUsize,
    ping: Option<Duration>,
    gate: Arc<Gate>,
}

impl<F, S> Network<F>
where
    F: Fn(DuplexStream, usize) -> S + Send + Sync,
    S: Future<Output = ()> + Send + 'static,
{
    pub(super) fn new(serve: F) -> Self {
        Network { serve, opened: AtomicUsize::new(0), ping: None, gate: Gate::new(true) }
    }

    pub(super) fn with_pings(serve: F) -> Self {
        Network { ping: Some(Duration::from_secs(5)), ..Self::new(serve) }
    }

    pub(super) fn connections(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    pub(super) async fn connect(&self) -> Result<Opened<()>, Failure> {
        let (ours, theirs) = duplex(256 * 1024);
        tokio::spawn((self.serve)(theirs, self.opened.fetch_add(1, Ordering::SeqCst)));
        let connection = Connection::start(ours, None, self.ping, &self.gate, NotLimited).await.unwrap();
        Ok(Opened::Http2(connection))
    }

    pub(super) async fn place(&self, uploads: bool) -> Place {
        let found = self.gate.place(Some(Duration::from_secs(5)), uploads, &Progress::default(), self.connect()).await;
        match found.expect("there is a place") {
            Found::Place(place) => place,
            Found::Other(()) => unreachable!(),
        }
    }

    /// Sends a request and waits for its head.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: OutgoingBody,
        progress: Arc<Progress>,
    ) -> Result<Response<Http2Body>, Failure> {
        let authority = Authority::from_static("there");
        let request = head::request(method, Scheme::HTTP, &authority, PathAndQuery::try_from(path).unwrap(), HeaderMap::new()).unwrap();
        Exchange::enter(self.place(body.length() != Some(0)).await, request, Upload::new(body, None, Arc::clone(&progress)), &progress)?
            .await
    }

    pub(super) async fn put(&self, path: &str, size: usize) -> Result<Response<Http2Body>, Failure> {
        self.send(Method::PUT, path, OutgoingBody::Bytes(Bytes::from(vec![7; size])), Arc::default()).await
    }

    pub(super) async fn head(&self, path: &str) -> Result<Response<Http2Body>, Failure> {
        self.send(Method::GET, path, NO_BODY, Arc::default()).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        whole(self.head(path).await?).await
    }
}

pub(super) async fn whole(response: Response<Http2Body>) -> Result<Vec<u8>, Failure> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = poll_fn(|context| body.poll_frame(context)).await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

pub(super) const NO_BODY: OutgoingBody = OutgoingBody::Bytes(Bytes::new());

/// Answers every request with these bytes, after `pause`.
pub(super) async fn answer(stream: DuplexStream, builder: h2::server::Builder, bytes: Bytes, pause: Duration) {
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let bytes = bytes.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Ok(mut out) = respond.send_response(Response::new(()), false) {
                let _ = out.send_data(bytes, true);
            }
        });
    }
}

/// Frames by hand.
pub(super) struct Frames(DuplexStream);

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

impl Frames {
    /// After the preface and the settings of both.
    pub(super) async fn accept(mut stream: DuplexStream) -> Self {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        let mut frames = Frames(stream);
        frames.send(SETTINGS, 0, 0, &[]).await;
        frames
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.0.write_all(&frame).await;
    }

    /// The next frame: kind, flags, stream, payload. `None` at the end.
    pub(super) async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }

    /// The stream of the next request.
    pub(super) async fn request(&mut self) -> Option<u32> {
        loop {
            let (kind, _, stream, _) = self.next().await?;
            if kind == HEADERS {
                return Some(stream);
            }
        }
    }

    /// A head of response: the index of its status in HPACK's table (8 is 200, 9 is 204, 11 is 304).
    pub(super) async fn head(&mut self, stream: u32, status: u8, flags: u8) {
        self.send(HEADERS, END_HEADERS | flags, stream, &[0x80 | status]).await;
    }

    pub(super) async fn goaway(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    /// Reads on until the peer closes.
    pub(super) async fn drain(&mut self) {
        while self.next().await.is_some() {}
    }
}
