//! HTTP/1 response bodies.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, header};
use reknock::ErrorKind::Body;
use reknock::Evidence::Unknown;
use reknock::client::transport::{Failure, Received};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use crate::support::*;
use crate::{Tested, TestedBody};

async fn failed(address: SocketAddr) -> Vec<u8> {
    broken(get(address).await.unwrap()).await
}

async fn broken(received: Received<TestedBody>) -> Vec<u8> {
    let (bytes, failure) = read(received.body).await;
    let failure = failure.expect("the body must fail");
    presentable(&failure);
    assert_eq!((failure.kind, failure.evidence), (Body, Unknown));
    bytes
}

#[tokio::test]
async fn cut_bodies() {
    assert_eq!(failed(answers("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await).await, b"abc");
    assert_eq!(failed(answers("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await).await, b"abc");
    failed(answers("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n").await).await;
    // The head must be read before the RST overtakes it.
    let was_read = Arc::new(Notify::new());
    let told = was_read.clone();
    let rst = peer(move |mut stream| {
        let was_read = told.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
            was_read.notified().await;
            reset(stream);
        }
    })
    .await;
    let received = get(rst).await.unwrap();
    was_read.notify_one();
    broken(received).await;
}

fn gzipped(length: usize, bytes: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n").as_bytes(), bytes].concat()
}

/// "hello" with the time zero.
const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";

#[tokio::test]
async fn corrupt_codings() {
    failed(answers(gzipped(7, b"garbage")).await).await;
    failed(answers(gzipped(GZIP.len() - 6, &GZIP[..GZIP.len() - 6])).await).await;
    failed(answers(gzipped(GZIP.len(), &GZIP[..GZIP.len() - 6])).await).await;
}

#[tokio::test]
async fn whole_bodies() {
    let lengths = |received: &Received<_>| (received.length, received.headers.contains_key(header::CONTENT_LENGTH));

    let received = get(answers("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").await).await.unwrap();
    assert_eq!(lengths(&received), (Some(3), true));
    assert_eq!(read(received.body).await.0, b"abc");

    let received = get(answers("HTTP/1.1 200 OK\r\n\r\nto the close").await).await.unwrap();
    assert_eq!(lengths(&received), (None, false));
    let (bytes, failure) = read(received.body).await;
    assert!(bytes == b"to the close" && failure.is_none());

    let both = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let received = get(answers(both).await).await.unwrap();
    assert_eq!(received.length, None, "the chunks are counted instead (RFC 9112 section 6.3)");
    let (bytes, failure) = read(received.body).await;
    assert!(bytes == b"abc" && failure.is_none());

    let received = get(answers(gzipped(GZIP.len(), GZIP)).await).await.unwrap();
    assert_eq!(lengths(&received), (None, false));
    assert!(!received.headers.contains_key(header::CONTENT_ENCODING));
    let (bytes, failure) = read(received.body).await;
    assert!(bytes == b"hello" && failure.is_none());

    let mut plain = options();
    plain.compression = false;
    let url = format!("http://{}/", answers(gzipped(GZIP.len(), GZIP)).await);
    let received = send(&Tested::new(&plain).unwrap(), outgoing(Method::GET, &url, "")).await.unwrap();
    assert_eq!(lengths(&received), (Some(GZIP.len() as u64), true));
    assert_eq!(read(received.body).await.0, GZIP);
}

#[tokio::test]
async fn responses_without_a_body_have_no_length() {
    let head = format!("http://{}/", answers("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await);
    let received = send(&transport(), outgoing(Method::HEAD, &head, "")).await.unwrap();
    assert_eq!((received.length, read(received.body).await.1.is_none()), (None, true));
    let unchanged = get(answers("HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n").await).await.unwrap();
    assert_eq!((unchanged.length, read(unchanged.body).await.1.is_none()), (None, true));
}

/// `GZIP` once more, as a stored block.
fn gzip_of_gzip() -> Vec<u8> {
    let length = GZIP.len() as u16;
    let stored = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01", &length.to_le_bytes()[..], &(!length).to_le_bytes(), GZIP].concat();
    [&stored[..], b"\x60\xff\x88\x91", &u32::from(length).to_le_bytes()].concat()
}

/// "hello" in a frame of its own, as a raw block.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello";

/// "hello" by a request with this method, answered with this content-encoding.
async fn coded(method: Method, coding: &str, bytes: &[u8]) -> (Received<()>, Vec<u8>, Option<Failure>) {
    let head = format!("HTTP/1.1 200 OK\r\n{coding}\r\ncontent-length: {}\r\n\r\n", bytes.len());
    let url = format!("http://{}/", answers([head.as_bytes(), bytes].concat()).await);
    let Received { status, reason, version, headers, body, length } = send(&transport(), outgoing(method, &url, "")).await.unwrap();
    let (bytes, failure) = read(body).await;
    (Received { status, reason, version, headers, body: (), length }, bytes, failure)
}

#[tokio::test]
async fn codings_are_undone_however_servers_write_them() {
    let raw = &GZIP[10..17];
    let zlib = [b"\x78\x9c", raw, b"\x06\x2c\x02\x15"].concat();
    let (two, twice, junk) = ([GZIP, GZIP].concat(), gzip_of_gzip(), [GZIP, b"junk"].concat());
    let frames = [ZSTD, b"\x50\x2a\x4d\x18\x01\0\0\0x", ZSTD].concat();
    for (coding, bytes, expected) in [
        ("content-encoding: gzip", &two[..], "hellohello"),
        ("content-encoding: gzip", &junk, "hello"),
        ("content-encoding: gzip", b"", ""),
        ("content-encoding: GZip", GZIP, "hello"),
        ("content-encoding: x-gzip", GZIP, "hello"),
        ("content-encoding: identity , gzip", GZIP, "hello"),
        ("content-encoding: gzip, gzip", &twice, "hello"),
        ("content-encoding: gzip\r\ncontent-encoding: gzip", &twice, "hello"),
        ("content-encoding: deflate", &zlib, "hello"),
        ("content-encoding: deflate", raw, "hello"),
        ("content-encoding: zstd", &frames, "hellohello"),
        ("content-encoding: br", b"\x0b\x02\x80hello\x03", "hello"),
    ] {
        let (head, bytes, failure) = coded(Method::GET, coding, bytes).await;
        assert!(failure.is_none(), "{coding}: {failure:?}");
        assert_eq!((String::from_utf8(bytes).unwrap().as_str(), head.length), (expected, None), "{coding}");
        assert!(!head.headers.contains_key(header::CONTENT_ENCODING) && !head.headers.contains_key(header::CONTENT_LENGTH), "{coding}");
    }
}

#[tokio::test]
async fn what_was_not_undone_keeps_its_headers() {
    let six = format!("content-encoding: {}", ["gzip"; 6].join(","));
    let unread = [(Method::HEAD, "content-encoding: gzip"), (Method::GET, "content-encoding: gzip, rot13"), (Method::GET, &six)];
    for (method, coding) in unread {
        let (head, bytes, failure) = coded(method.clone(), coding, GZIP).await;
        assert!(failure.is_none(), "{failure:?}");
        assert_eq!(bytes, if method == Method::HEAD { b"" } else { GZIP });
        assert_eq!(head.headers[header::CONTENT_ENCODING], coding.split_once(": ").unwrap().1);
        assert_eq!(head.headers[header::CONTENT_LENGTH], GZIP.len().to_string());
    }
}
