//! HTTP/2 after the request was handed over. The frames are made by hand.

use std::net::SocketAddr;

use http::Method;
use reknock::ErrorKind::{Connect, Protocol, RefusedStream, Reset};
use reknock::Evidence::{NotSent, Refused, Unknown};
use reknock::client::Http2;
use reknock::client::transport::{Failure, Received};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;
use crate::{Tested, TestedBody};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The HPACK field `:status: 200`.
const STATUS_200: u8 = 0x88;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// A response head that promises ten bytes.
fn ten_bytes() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, b"\x88\x0f\x0d\x0210")
}

/// Greets and reads up to the HEADERS of stream 1.
async fn greet(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        if head[3] == HEADERS {
            return Ok(());
        }
    }
}

/// A peer that says this when the request comes, and waits for the client to close.
pub(crate) async fn says(bytes: Vec<u8>) -> SocketAddr {
    peer(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            if greet(&mut stream).await.is_ok() {
                let _ = stream.write_all(&bytes).await;
                until_closed(&mut stream).await;
            }
        }
    })
    .await
}

pub(crate) async fn resets(code: u32) -> SocketAddr {
    says(frame(RST_STREAM, 0, 1, &code.to_be_bytes())).await
}

async fn request(address: SocketAddr, method: Method, body: &'static str) -> Result<Received<TestedBody>, Failure> {
    let mut options = options();
    options.http2 = Http2::Only;
    let transport = Tested::new(&options).unwrap();
    send(&transport, outgoing(method, &format!("http://{address}/path?secret=hunter2"), body)).await
}

pub(crate) async fn get(address: SocketAddr) -> Result<Received<TestedBody>, Failure> {
    request(address, Method::GET, "").await
}

async fn post(address: SocketAddr) -> Result<Received<TestedBody>, Failure> {
    request(address, Method::POST, "body").await
}

#[tokio::test]
async fn refused_stream() {
    let address = resets(7).await;
    assert_eq!(verdict(get(address).await), (RefusedStream, Refused));
    assert_eq!(verdict(post(address).await), (RefusedStream, Refused));
}

/// NO_ERROR, INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM, HTTP_1_1_REQUIRED.
#[tokio::test]
async fn other_resets() {
    for code in [0, 2, 8, 11, 13] {
        let address = resets(code).await;
        assert_eq!(verdict(get(address).await), (Reset, Unknown), "{code}");
        assert_eq!(verdict(post(address).await), (Reset, Unknown), "{code}");
    }
}

#[tokio::test]
async fn goaway_below_our_stream() {
    let graceful = says(goaway(0, 0)).await;
    assert_eq!(verdict(post(graceful).await), (RefusedStream, Refused));
    // Without a body hyper says the same of requests that were served; h2 itself does not.
    let seen = if ours() { Refused } else { Unknown };
    assert_eq!(verdict(get(graceful).await), (RefusedStream, seen));
    let calm = says(goaway(0, 11)).await;
    assert_eq!(verdict(post(calm).await), (RefusedStream, Refused));
    assert_eq!(verdict(get(calm).await), (RefusedStream, Refused));
}

#[tokio::test]
async fn connection_lost() {
    let fin = peer(|mut stream| async move { drop(greet(&mut stream).await) }).await;
    let rst = peer(|mut stream| async move {
        let _ = greet(&mut stream).await;
        reset(stream);
    })
    .await;
    let covered = peer(|mut stream| async move {
        let _ = greet(&mut stream).await;
        let _ = stream.write_all(&goaway(1, 0)).await;
    })
    .await;
    for address in [fin, rst, covered] {
        assert_eq!(verdict(get(address).await), (Reset, Unknown));
        assert_eq!(verdict(post(address).await), (Reset, Unknown));
    }
}

#[tokio::test]
async fn lost_before_the_settings() {
    let allowed = [(Connect, NotSent), (Reset, NotSent), (Reset, Unknown), (Protocol, Unknown)];
    let fin = peer(|stream| async move { drop(stream) }).await;
    let rst = peer(|stream| async move { reset(stream) }).await;
    let http1 = peer(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        until_closed(&mut stream).await;
    })
    .await;
    for address in [fin, rst, http1] {
        for _ in 0..10 {
            one_of(verdict(get(address).await), &allowed);
            one_of(verdict(post(address).await), &allowed);
        }
    }
}

#[tokio::test]
async fn broken_rules() {
    let large = {
        let value = vec![b'v'; 16_000];
        let field = [&b"\x00\x01a\x7f\x81\x7c"[..], &value].concat();
        let fields = field.repeat(30);
        let mut frames = frame(HEADERS, 0, 1, &[STATUS_200]);
        let mut parts = fields.chunks(16_000).peekable();
        while let Some(part) = parts.next() {
            frames.extend(frame(9, if parts.peek().is_none() { END_HEADERS } else { 0 }, 1, part));
        }
        frames
    };
    for (what, bytes) in [
        ("data on stream 0", frame(DATA, 0, 0, b"x")),
        ("no status", frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x0f\x0d\x010")),
        ("bad hpack", frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff\xff\xff")),
        ("NUL in a value", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[&[STATUS_200], &b"\0\x01a\x03b\0c"[..]].concat())),
        ("a line's end in a value", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[&[STATUS_200], &b"\0\x01a\x03b\nc"[..]].concat())),
        ("a list of lengths", frame(HEADERS, END_HEADERS, 1, &[&[STATUS_200], &b"\x0f\x0d\x042, 2"[..]].concat())),
        ("data before the head", frame(DATA, 0, 1, b"x")),
        ("head too large", large),
    ] {
        let address = says(bytes).await;
        assert_eq!(verdict(get(address).await), (Protocol, Unknown), "{what}");
    }
}

#[tokio::test]
async fn bodies_that_are_cut() {
    let three = frame(DATA, 0, 1, b"abc");
    let cut = |end: Vec<u8>| [ten_bytes(), three.clone(), end].concat();
    let cancelled = says(cut(frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()))).await;
    let short = says(cut(frame(DATA, END_STREAM, 1, b""))).await;
    for address in [cancelled, short] {
        let received = get(address).await.unwrap();
        assert_eq!(received.length, Some(10));
        let (_, failure) = read(received.body).await;
        let failure = failure.unwrap();
        presentable(&failure);
        assert_eq!((failure.kind, failure.evidence), (reknock::ErrorKind::Body, Unknown));
    }
    // Taken for complete by hyper, where whoever reads must compare the length; h2 itself tells.
    let quiet = says(cut(frame(RST_STREAM, 0, 1, &0_u32.to_be_bytes()))).await;
    let received = get(quiet).await.unwrap();
    assert_eq!(received.length, Some(10));
    let (bytes, failure) = read(received.body).await;
    assert_eq!((bytes.as_slice(), failure.is_some()), (&b"abc"[..], ours()));
}
