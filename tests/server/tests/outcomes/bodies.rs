//! Response bodies: their framing, their compression, and how they break off.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{GET, Test, body, call, exchange, kind, start};

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index % 65536 % 251) as u8).collect()
}

/// Undoes `transfer-encoding: chunked`.
fn dechunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            return (bytes == b"\r\n").then_some(out);
        }
        out.extend_from_slice(bytes.get(..size)?);
        bytes = &bytes[size + 2..];
    }
}

#[tokio::test]
async fn bodies_are_framed_as_asked() -> Test {
    let document = json!({"keep_alive": false, "script": [
        {"do": "status", "status": 200, "body_size": 200_000},
        {"do": "status", "status": 200, "body_size": 200_000, "chunked": true},
        {"do": "status", "status": 200, "body_size": 200_000, "no_length": true},
        {"do": "status", "status": 200, "body_base64": "AAEC", "content_length": 5},
        {"do": "status", "status": 299, "reason": "So So", "body_size": 5, "fill": "zeros"},
        {"do": "status", "status": 204},
    ]});
    let (_server, script) = start(document).await?;
    let (bytes, _) = exchange(&script, GET).await?;
    assert!(String::from_utf8_lossy(&bytes).contains("content-length: 200000"));
    assert_eq!(body(&bytes), pattern(200_000));
    let (bytes, _) = exchange(&script, GET).await?;
    assert!(String::from_utf8_lossy(&bytes).contains("transfer-encoding: chunked"));
    assert_eq!(dechunk(body(&bytes)), Some(pattern(200_000)));
    let (bytes, _) = exchange(&script, GET).await?;
    assert!(!String::from_utf8_lossy(&bytes).contains("content-length"));
    assert_eq!(body(&bytes), pattern(200_000));
    let (bytes, end) = exchange(&script, GET).await?;
    assert!(String::from_utf8_lossy(&bytes).contains("content-length: 5"));
    assert_eq!((body(&bytes), end.is_ok()), ([0, 1, 2].as_slice(), true));
    let (bytes, _) = exchange(&script, GET).await?;
    assert!(bytes.starts_with(b"HTTP/1.1 299 So So\r\n"));
    assert_eq!(body(&bytes), [0; 5]);
    let (bytes, _) = exchange(&script, GET).await?;
    assert!(!String::from_utf8_lossy(&bytes).contains("content-length"));
    Ok(())
}

#[tokio::test]
async fn bodies_break_off() -> Test {
    let document = json!([
        {"do": "status", "status": 200, "body_mode": "truncate-fin"},
        {"do": "status", "status": 200, "body": "0123456789", "body_mode": "truncate-reset", "after": 3},
        {"do": "status", "status": 200, "body": "0123456789", "body_mode": "truncate-fin", "chunked": true},
    ]);
    let (_server, script) = start(document).await?;
    let (bytes, end) = exchange(&script, GET).await?;
    assert!(String::from_utf8_lossy(&bytes).contains("content-length: 1024"));
    assert_eq!((body(&bytes).len(), kind(&end)), (512, None));
    let (bytes, end) = exchange(&script, GET).await?;
    assert_eq!((body(&bytes), kind(&end)), (b"012".as_slice(), Some(ErrorKind::ConnectionReset)));
    let (bytes, end) = exchange(&script, GET).await?;
    assert_eq!((body(&bytes), kind(&end)), (b"5\r\n01234\r\n".as_slice(), None));
    assert_eq!(script.log()[2].did, "status 200, body fin");
    Ok(())
}

#[tokio::test]
async fn bodies_are_compressed() -> Test {
    let encoded = |encoding: &str| json!({"do": "status", "status": 200, "body_size": 100_000, "encoding": encoding});
    let script = json!([encoded("gzip"), encoded("deflate"), encoded("br"), encoded("zstd")]);
    let (_server, script) = start(script).await?;
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(call(&script).await?.1.as_slice()).read_to_end(&mut out)?;
    assert_eq!(out, pattern(100_000));
    out.clear();
    flate2::read::ZlibDecoder::new(call(&script).await?.1.as_slice()).read_to_end(&mut out)?;
    assert_eq!(out, pattern(100_000));
    out.clear();
    brotli::Decompressor::new(call(&script).await?.1.as_slice(), 4096).read_to_end(&mut out)?;
    assert_eq!(out, pattern(100_000));
    assert_eq!(zstd::decode_all(call(&script).await?.1.as_slice())?, pattern(100_000));
    Ok(())
}

#[tokio::test]
async fn gzip_can_be_damaged_or_a_bomb() -> Test {
    let document = json!({"keep_alive": false, "script": [
        {"do": "status", "status": 200, "body": "hello", "gzip_corrupt": true},
        {"do": "status", "status": 200, "body": "hello", "gzip_corrupt": "short"},
        {"do": "status", "status": 200, "body_size": 300_000_000, "fill": "zeros", "encoding": "gzip"},
    ]});
    let (_server, script) = start(document).await?;
    let mut out = Vec::new();
    let (head, body1) = call(&script).await?;
    assert!(head.contains("content-encoding: gzip"));
    let error = flate2::read::GzDecoder::new(body1.as_slice()).read_to_end(&mut out).err();
    assert_eq!((out.as_slice(), error.map(|e| e.kind())), (b"hello".as_slice(), Some(ErrorKind::InvalidInput)));
    let body2 = call(&script).await?.1;
    let error = flate2::read::GzDecoder::new(body2.as_slice()).read_to_end(&mut out).err();
    assert_eq!(error.map(|e| e.kind()), Some(ErrorKind::UnexpectedEof));
    let (bytes, _) = exchange(&script, GET).await?;
    let bomb = dechunk(body(&bytes)).ok_or("bad chunks")?;
    assert!(bomb.len() < 3_000_000, "{}", bomb.len());
    let size = std::io::copy(&mut flate2::read::GzDecoder::new(bomb.as_slice()), &mut std::io::sink())?;
    assert_eq!(size, 300_000_000);
    Ok(())
}

#[tokio::test]
async fn bodies_drip() -> Test {
    let document = json!([{"do": "status", "status": 200, "body": "abcdef", "drip": {"bytes": 2, "every": "40ms"}}]);
    let (_server, script) = start(document).await?;
    let begin = Instant::now();
    assert_eq!(call(&script).await?.1, b"abcdef");
    assert!(begin.elapsed() >= Duration::from_millis(80));
    Ok(())
}
