//! "Not sent" is never said of a request that the server received: thousands of attempts against a peer that misbehaves in every way,
//! many of them given up at a random moment.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use reknock::Evidence;
use reknock::client::TokioClock;
use reknock::client::transport::Transport;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::*;

const WORKERS: u64 = 16;
const CALLS: u64 = 250;
/// More than there are calls.
const MOST_CONNECTIONS: u32 = 10_000;

/// A small generator, so that a failing run can be repeated as far as races can be.
fn next(state: &AtomicU64) -> u64 {
    let x = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_sent_is_never_wrong() {
    let received: Arc<Mutex<HashSet<String>>> = Arc::default();
    let dice = Arc::new(AtomicU64::new(1));
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS as usize));
    let (log, roll, places) = (received.clone(), dice.clone(), connections.clone());
    let address = peer(move |mut stream| {
        let (log, roll, place) = (log.clone(), roll.clone(), places.clone().try_acquire_owned());
        async move {
            let _place = place.unwrap();
            match next(&roll) % 6 {
                0 => return,
                1 => return reset(stream),
                2 => tokio::time::sleep(Duration::from_micros(next(&roll) % 300)).await,
                _ => {}
            }
            loop {
                let head = read_head(&mut stream).await;
                // A body before the next head is skipped with it.
                let Some(path) = head.split(' ').nth(1) else { return };
                log.lock().unwrap().insert(path.to_owned());
                match next(&roll) % 8 {
                    0 => return reset(stream),
                    1 => return,
                    2 => tokio::time::sleep(Duration::from_millis(2)).await,
                    _ => {}
                }
                if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                    return;
                }
                // Closes while the client may be about to use the connection again.
                if next(&roll).is_multiple_of(4) {
                    return;
                }
            }
        }
    })
    .await;

    let transport = transport();
    let workers = (0..WORKERS).map(|worker| {
        let (transport, dice) = (transport.clone(), dice.clone());
        tokio::spawn(async move {
            let mut not_sent = Vec::new();
            for call in 0..CALLS {
                let path = format!("/{worker}/{call}");
                let request = outgoing(Method::POST, &format!("http://{address}{path}"), if call % 2 == 0 { "" } else { "body" });
                let progress = request.progress.clone();
                let limit = if next(&dice).is_multiple_of(2) { Duration::from_micros(next(&dice) % 1000) } else { PATIENCE };
                match tokio::time::timeout(limit, transport.send(request)).await {
                    Ok(Ok(received)) => drop(read(received.body).await),
                    Ok(Err(failure)) if failure.evidence == Evidence::NotSent => not_sent.push((path, "failed")),
                    Err(_) if progress.proof(&TokioClock).await == Evidence::NotSent => not_sent.push((path, "given up")),
                    Ok(Err(_)) | Err(_) => {}
                }
            }
            not_sent
        })
    });
    let mut not_sent = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        not_sent.extend(worker.await.unwrap());
    }
    assert!(not_sent.len() > 20, "only {} claims: the test tests nothing", not_sent.len());
    // What is on its way arrives: the last connection is accepted after all others, and each is read to its end.
    drop(transport);
    if let Ok(mut last) = TcpStream::connect(address).await {
        let _ = last.shutdown().await;
        until_closed(&mut last).await;
    } // else it was accepted and reset
    let all = tokio::time::timeout(PATIENCE, connections.acquire_many(MOST_CONNECTIONS)).await;
    drop(all.expect("a connection stays open"));
    let received = received.lock().unwrap();
    let wrong: Vec<_> = not_sent.iter().filter(|(path, _)| received.contains(path)).collect();
    assert!(wrong.is_empty(), "{} of {} claims are wrong: {wrong:?}", wrong.len(), not_sent.len());
}
