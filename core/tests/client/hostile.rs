//! Servers that mean harm: a documented error, in bounded memory and time.

use crate::live::*;
use reknock::client::{Client, Http2};
use reknock::{Error, ErrorKind};
use serde_json::{Value as Json, json};

const MEGABYTE: u64 = 1 << 20;

async fn attacked(script: Json, limits: Json) -> Result<(u16, usize), Error> {
    let http2 = script.get("http2").is_some();
    let peer = peer(script).await;
    let mut options = options(None);
    options.http2 = if http2 { Http2::Only } else { Http2::Auto };
    let policy = swift(&json!({"max_retries": 0})).merge(&crate::support::value(&limits)).unwrap();
    let client = Client::on(options).policy(policy).max_response_size(MEGABYTE).build().unwrap();
    let result = patient(client.get(peer.url()).send()).await;
    drop(client);
    eventually(&peer, "the connection is closed", || peer.open_connections() == 0).await;
    result.map(|response| (response.status(), response.bytes().len()))
}

#[tokio::test]
async fn bombs() {
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let bomb = json!({"do": "status", "status": 200, "body_size": 64 << 20, "fill": "zeros", "encoding": encoding});
        let error = attacked(json!([bomb]), json!({})).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::ResponseTooLarge, Some(200)), "{encoding}: {error}");

        let peer = peer(json!([bomb])).await;
        let mut response = patient(client(&json!({})).get(peer.url()).stream()).await.unwrap();
        let error = patient(response.bytes(MEGABYTE as usize)).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::ResponseTooLarge, Some(200)), "{encoding}: {error}");
        eventually(&peer, "the connection is closed", || peer.open_connections() == 0).await;
    }
    let endless = json!([{"do": "status", "status": 200, "body_size": 1_u64 << 40, "chunked": true}]);
    assert_eq!(attacked(endless, json!({})).await.unwrap_err().kind(), ErrorKind::ResponseTooLarge);
}

#[tokio::test]
async fn heads() {
    for (what, script) in [
        ("a long line", json!([{"do": "big-head", "size": 500_000}])),
        ("a line of 64 MiB", json!([{"do": "big-head", "size": 64 << 20}])),
        ("a million lines", json!([{"do": "big-head", "lines": 1_000_000}])),
        ("two lengths", json!([{"do": "bad-head", "kind": "two-lengths"}])),
        ("a bad version", json!([{"do": "bad-head", "kind": "version"}])),
        ("a bad header", json!([{"do": "bad-head", "kind": "header"}])),
        ("a bad status", json!([{"do": "bad-head", "kind": "status"}])),
        ("no HTTP", json!([{"do": "garbage", "text": "no HTTP"}])),
        ("a banner", json!([{"do": "banner", "text": "220 hi\r\n", "end": "fin"}])),
    ] {
        let error = attacked(script, json!({})).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{what}: {error}");
    }
    // Many short lines are no harm.
    assert_eq!(attacked(json!([{"do": "big-head", "lines": 200}]), json!({})).await.unwrap().0, 200);
    let flood = json!({"http2": true, "script": [{"do": "big-head", "lines": 24_000}]});
    let error = attacked(flood, json!({})).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Reset), "{error}");
}

#[tokio::test]
async fn interim_heads_without_end() {
    let error = attacked(json!([{"do": "status", "status": 200, "interim_endless": true}]), json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn redirect_loops() {
    let error = attacked(json!([{"do": "redirect", "status": 302, "location": "$url/again"}]), json!({})).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::TooManyRedirects, 21));
}

#[tokio::test]
async fn lies_about_the_body() {
    for (what, outcome) in [
        ("more promised", json!({"do": "status", "status": 200, "body": "0123456789", "content_length": 11})),
        ("far more promised", json!({"do": "status", "status": 200, "body": "0123456789", "content_length": u64::MAX / 2})),
        ("a checksum", json!({"do": "status", "status": 200, "body_size": 5000, "encoding": "gzip", "gzip_corrupt": true})),
        ("a short coding", json!({"do": "status", "status": 200, "body_size": 5000, "encoding": "gzip", "gzip_corrupt": "short"})),
        ("no coding", json!({"do": "status", "status": 200, "body": "plain", "headers": [["content-encoding", "gzip"]]})),
        ("cut", json!({"do": "status", "status": 200, "body_size": 5000, "chunked": true, "body_mode": "truncate-fin"})),
    ] {
        let error = attacked(json!([outcome]), json!({})).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Body, Some(200)), "{what}: {error}");
    }
    // What comes after the promised bytes is nobody's: the connection is not used again.
    let less = json!([{"do": "status", "status": 200, "body": "0123456789", "content_length": 5}]);
    assert_eq!(attacked(less, json!({})).await.unwrap(), (200, 5));
}

#[tokio::test]
async fn drips_for_ever() {
    let drip = json!({"do": "status", "status": 200, "body_size": 1_000_000, "drip": {"bytes": 1, "every": "5ms"}});
    let error = attacked(json!([drip]), json!({"timeout": "400ms"})).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Deadline, Some(200)), "{error}");
    // Given up on, it is not waited for.
    let failing = json!([{"do": "status", "status": 503, "body_size": 1_000_000, "drip": {"bytes": 1, "every": "5ms"}}, {"do": "status", "status": 200}]);
    assert_eq!(attacked(failing, json!({"max_retries": 1})).await.unwrap().0, 200);
}
