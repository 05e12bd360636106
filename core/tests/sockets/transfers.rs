//! What is told of transfers while they move.

use std::sync::{Arc, Mutex};

use reknock::client::{Body, Cancel, Transfer};
use reknock::{ErrorKind, StopReason};
use serde_json::{Value as Json, json};

use super::harness::*;

fn fine(body_size: usize) -> Json {
    json!({"do": "status", "status": 200, "body_size": body_size})
}

type Told = Arc<Mutex<Vec<Transfer>>>;

fn listener(told: &Told) -> impl Fn(&Transfer) + Send + Sync + 'static + use<> {
    let told = Arc::clone(told);
    move |transfer| told.lock().unwrap().push(*transfer)
}

/// The attempt, what was sent of what, what was received of what.
type Seen = (u32, u64, Option<u64>, u64, Option<u64>);

/// Of each attempt: the first and the last thing told.
fn ends(told: &[Transfer]) -> Vec<[Seen; 2]> {
    let seen = |now: &Transfer| (now.attempt, now.sent, now.to_send, now.received, now.to_receive);
    told.chunk_by(|a, b| a.attempt == b.attempt).map(|attempt| [seen(&attempt[0]), seen(&attempt[attempt.len() - 1])]).collect()
}

#[tokio::test]
async fn both_ways_and_for_each_attempt() {
    let size = 100_000;
    let body = vec![b'x'; size as usize];
    let stream = futures_util::stream::iter([Ok(body.clone().into()), Ok(body.clone().into())]);
    for (body, size, length) in
        [(Body::from(body.clone()), size, Some(size)), (Body::stream(stream, None), 2 * size, None), (Body::default(), 0, Some(0))]
    {
        let told = Told::default();
        let peer = peer(json!([{"do": "status", "status": 503}, fine(300_000)])).await;
        let response = client(&peer, "{}").put(peer.url()).body(body).on_transfer(listener(&told)).send().await.unwrap();
        assert_eq!((response.status(), response.bytes().len()), (200, 300_000));
        let told = told.lock().unwrap();
        let second = [(2, 0, length, 0, None), (2, size, length, 300_000, Some(300_000))];
        assert_eq!(ends(&told), [[(1, 0, length, 0, None), (1, size, length, 0, None)], second]);
        assert!(told.windows(2).all(|pair| pair[0].attempt < pair[1].attempt
            || pair[0].sent <= pair[1].sent && pair[1].sent - pair[0].sent <= 16_384 && pair[0].received <= pair[1].received));
    }
}

#[tokio::test]
async fn what_is_told_may_cancel_the_call_and_must_not_end_it_by_a_panic() {
    let peer = peer(json!([fine(3_000_000)])).await;
    let client = client(&peer, "{}");
    let cancel = Cancel::new();
    let cancels = cancel.clone();
    let cut = client.get(peer.url()).cancel(&cancel).on_transfer(move |now| {
        if now.received > 100_000 {
            cancels.cancel();
        }
    });
    let error = cut.send().await.unwrap_err();
    assert_eq!((error.kind(), error.stop_reason()), (ErrorKind::Cancelled, Some(StopReason::Cancelled)));
    let response = client.get(peer.url()).on_transfer(|_| panic!("told")).send().await.unwrap();
    assert_eq!(response.bytes().len(), 3_000_000);
}

/// Once a call is over nothing is told, whatever is still read of it or goes out.
#[tokio::test]
async fn of_a_streamed_response_what_comes_before_its_body() {
    let peer = peer(json!([fine(300_000)])).await;
    let client = client(&peer, "{}");
    let told = Told::default();
    let mut response = client.put(peer.url()).body(vec![b'x'; 20_000]).on_transfer(listener(&told)).stream().await.unwrap();
    assert_eq!(response.bytes(1 << 20).await.unwrap().len(), 300_000);
    let told = told.lock().unwrap();
    assert_eq!(ends(&told), [[(1, 0, Some(20_000), 0, None), (1, 20_000, Some(20_000), 0, None)]]);
}
