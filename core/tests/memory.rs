//! Memory of large bodies. A binary of its own with one test: what is measured is the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // the size of a run comes from the environment

#[path = "support/live.rs"]
mod live;
mod support;

use bytes::Bytes;
use futures_util::stream::unfold;
use live::*;
use reknock::client::{Body, Client};
use serde_json::json;

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 40 * MIB;

/// The largest resident size since the last `reset`, in bytes.
fn peak() -> u64 {
    field("VmHWM:")
}

fn field(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs `work`, and gives by how much the process grew at most.
async fn growth(what: &str, work: impl Future<Output = ()>) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = field("VmRSS:");
    tokio::time::timeout(PATIENCE * 3, work).await.expect("it does not end");
    let grown = peak().saturating_sub(before);
    println!("{what}: {:.1} MiB", grown as f64 / MIB as f64);
    assert!(grown < LIMIT, "{what} took {grown} bytes");
}

/// A stream of that many bytes which holds one piece at a time.
fn made(size: u64) -> Body {
    const PIECE: u64 = 64 << 10;
    let piece = Bytes::from(vec![7; PIECE as usize]);
    let make = move || {
        let piece = piece.clone();
        let stream = unfold(size, move |left| {
            let piece = piece.slice(..left.min(PIECE) as usize);
            async move { (left > 0).then(|| (Ok(piece.clone()), left - piece.len() as u64)) }
        });
        Ok(Box::pin(stream) as reknock::client::BodyStream)
    };
    Body::factory(make, None)
}

async fn download(client: &Client, url: &str, size: u64) {
    let mut response = client.get(url).stream().await.unwrap();
    let mut read = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        read += piece.len() as u64;
    }
    assert_eq!(read, size);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_take_little_memory() {
    let size = std::env::var("REKNOCK_BODY_MIB").map_or(1024, |text| text.parse().unwrap()) * MIB;
    let client = client(&json!({"timeout": "10m", "max_body_buffer": "1MiB"}));
    // What both sides allocate once.
    let warm = peer(json!([{"do": "status", "status": 200, "body_size": MIB}])).await;
    download(&client, warm.url(), MIB).await;
    client.put(warm.url()).body(made(MIB)).send().await.unwrap();

    let down = peer(json!([{"do": "status", "status": 200, "body_size": size, "fill": "zeros"}])).await;
    growth("download", download(&client, down.url(), size)).await;
    let packed = peer(json!([{"do": "status", "status": 200, "body_size": size / 4, "fill": "zeros", "encoding": "gzip"}])).await;
    growth("download of a coded body", download(&client, packed.url(), size / 4)).await;

    let small = Client::on(options(None)).max_response_size(MIB).build().unwrap();
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let bomb = peer(json!([{"do": "status", "status": 200, "body_size": 64 * MIB, "fill": "zeros", "encoding": encoding}])).await;
        let refused = async {
            assert_eq!(small.get(bomb.url()).send().await.unwrap_err().kind(), reknock::ErrorKind::ResponseTooLarge);
        };
        growth(&format!("a {encoding} bomb, its making included"), refused).await;
    }
    let endless = peer(json!([{"do": "status", "status": 200, "interim_endless": true}])).await;
    // A million of them, all read where the machine is fast enough.
    let loud = async { drop(small.get(endless.url()).policy(swift(&json!({"timeout": "1s"}))).send().await) };
    growth("interim heads", loud).await;

    let up = peer(json!([{"do": "status", "status": 503}, {"do": "status", "status": 200}])).await;
    let upload = async {
        let response = client.put(up.url()).body(made(size / 2)).send().await.unwrap();
        assert_eq!((response.status(), response.attempts().len()), (200, 2));
    };
    growth("upload, made twice", upload).await;
    assert!(up.log().iter().all(|arrival| arrival.body_size == size / 2 && arrival.body_complete));

    // A one-shot stream is recorded up to max_body_buffer and not beyond.
    let up = peer(json!([{"do": "status", "status": 503}])).await;
    let stream = unfold(size, |left| async move { (left > 0).then(|| (Ok(Bytes::from(vec![7; MIB as usize])), left - MIB)) });
    let upload = async {
        let response = client.put(up.url()).body(Body::stream(stream, Some(size))).send().await.unwrap();
        assert_eq!(response.stop_reason(), reknock::StopReason::BodyNotReplayable);
    };
    growth("upload of a stream", upload).await;
    assert_eq!(up.log()[0].body_size, size);
}
