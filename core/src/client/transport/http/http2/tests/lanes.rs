//! On a lane: a call that has a connection to itself drives it, and nobody waits in vain when it stops.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::Poll;

use tokio::time::sleep;

use super::*;
use crate::client::system::runtime::of_lane;
use crate::error::ErrorKind;
use crate::record::Evidence;

/// Runs a test as a lane does, whose time leaps.
fn on_lane<F: Future>(test: F) -> F::Output {
    let runtime = of_lane().start_paused(true).build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(600), test).await.expect("it waits for ever") })
}

/// Lets a call do what it can now.
async fn once<F: Future>(call: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await
}

type Resets = Arc<Mutex<Vec<u32>>>;

/// Answers every request but the second, and keeps the numbers of streams that were reset.
async fn all_but_one(stream: DuplexStream, resets: Resets) {
    let mut frames = Frames::accept(stream).await;
    let mut requests = 0;
    while let Some((kind, _, stream, _)) = frames.next().await {
        if kind == RESET {
            resets.lock().unwrap().push(stream);
        }
        requests += usize::from(kind == HEADERS);
        if kind == HEADERS && requests != 2 {
            frames.head(stream, 8, 0).await;
            frames.send(DATA, END_STREAM, stream, b"ok").await;
        }
    }
}

#[test]
fn calls_one_after_the_other() {
    on_lane(async {
        let network =
            Network::new(|stream, _| answer(stream, h2::server::Builder::new(), Bytes::from(vec![1; 300_000]), Duration::from_secs(1)));
        for _ in 0..3 {
            assert_eq!(network.get("/").await.unwrap().len(), 300_000);
            assert_eq!(whole(network.put("/", 1_000_000).await.unwrap()).await.unwrap().len(), 300_000);
        }
        assert_eq!(network.connections(), 1);
    });
}

/// The first one drove, and is asked no more.
#[test]
fn a_call_that_is_not_polled_holds_up_no_other() {
    on_lane(async {
        let resets = Resets::default();
        let log = resets.clone();
        let network = Network::new(move |stream, _| all_but_one(stream, log.clone()));
        network.get("/1").await.unwrap();
        let mut silent = Box::pin(network.get("/2"));
        assert!(once(&mut silent).await.is_pending());
        sleep(Duration::from_millis(1)).await;
        assert!(once(&mut silent).await.is_pending(), "it drives");
        for n in 3..6 {
            assert_eq!(network.get(&format!("/{n}")).await.unwrap(), b"ok");
        }
        assert_eq!(network.connections(), 1);
        drop(silent);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(*resets.lock().unwrap(), [3]);
    });
}

#[test]
fn many_at_once_are_served_whoever_ends_first() {
    on_lane(async {
        let network =
            Network::new(|stream, _| answer(stream, h2::server::Builder::new(), Bytes::from_static(b"ok"), Duration::from_millis(20)));
        network.get("/").await.unwrap();
        for round in 0..20 {
            let calls = (0..10).map(|n| {
                let network = &network;
                async move {
                    sleep(Duration::from_millis(n * round)).await;
                    if (n + round) % 3 == 0 {
                        // Given up on the way.
                        let _ = tokio::time::timeout(Duration::from_millis(10), network.get("/")).await;
                    } else {
                        assert_eq!(network.get("/").await.unwrap(), b"ok");
                    }
                }
            });
            futures_util::future::join_all(calls).await;
        }
    });
}

#[test]
fn a_call_that_is_dropped_resets_its_stream() {
    on_lane(async {
        let resets = Resets::default();
        let log = resets.clone();
        let network = Network::new(move |stream, _| all_but_one(stream, log.clone()));
        network.get("/1").await.unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), network.get("/2")).await.is_err());
        sleep(Duration::from_millis(1)).await;
        assert_eq!(*resets.lock().unwrap(), [3]);
    });
}

#[test]
fn a_peer_that_falls_silent_is_found_out_while_a_call_drives() {
    on_lane(async {
        let network = Network::with_pings(|stream, _| async move {
            let mut frames = Frames::accept(stream).await;
            let first = frames.request().await.unwrap();
            frames.head(first, 8, END_STREAM).await;
            frames.drain().await;
        });
        network.get("/1").await.unwrap();
        // Its watch has come to rest.
        sleep(Duration::from_secs(60)).await;
        let began = tokio::time::Instant::now();
        let failure = network.get("/2").await.unwrap_err();
        assert_eq!((failure.kind, failure.evidence), (ErrorKind::Reset, Evidence::Unknown));
        assert!(failure.message.contains("does not answer to pings"), "{}", failure.message);
        assert_eq!(began.elapsed().as_secs(), 10);
    });
}

#[test]
fn a_slow_peer_that_answers_pings_is_waited_for() {
    on_lane(async {
        let network =
            Network::with_pings(|stream, _| answer(stream, h2::server::Builder::new(), Bytes::from_static(b"ok"), Duration::from_secs(60)));
        for _ in 0..2 {
            assert_eq!(network.get("/").await.unwrap(), b"ok");
        }
        assert_eq!(network.connections(), 1);
    });
}

#[test]
fn a_connection_that_ends_while_a_call_drives_ends_the_call() {
    on_lane(async {
        let network = Network::new(|stream, _| async move {
            let mut frames = Frames::accept(stream).await;
            let first = frames.request().await.unwrap();
            frames.head(first, 8, END_STREAM).await;
            frames.request().await.unwrap();
            sleep(Duration::from_secs(1)).await;
        });
        network.get("/1").await.unwrap();
        let failure = network.get("/2").await.unwrap_err();
        assert_eq!((failure.kind, failure.evidence), (ErrorKind::Reset, Evidence::Unknown));
        network.get("/3").await.unwrap();
        assert_eq!(network.connections(), 2);
    });
}
