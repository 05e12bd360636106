//! Dropping a call ends it in every state: its connection is closed, nothing further is sent, its budget is given back.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use reknock::client::{Clock, TokioClock};
use reknock::{Tick, UnixTime};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

use super::harness::*;

/// A clock whose waits between attempts never end, and say that they began.
#[derive(Clone, Default)]
struct Waiting(Arc<Notify>);

impl Clock for Waiting {
    fn now(&self) -> Tick {
        TokioClock.now()
    }

    fn wall(&self) -> UnixTime {
        TokioClock.wall()
    }

    fn sleep_until(&self, when: Tick) -> impl Future<Output = ()> + Send {
        TokioClock.sleep_until(when)
    }

    async fn pause_until(&self, _: Tick) {
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn in_flight() {
    for (outcome, body) in [
        (json!({"do": "hang"}), ""),
        (json!({"do": "hang"}), "a body"),
        (json!({"do": "partial-head", "end": "stall"}), ""),
        (json!({"do": "status", "status": 200, "body_size": 4000, "body_mode": "stall"}), ""),
        (json!({"do": "status", "status": 200, "delay": "3600s"}), ""),
    ] {
        let peer = peer(json!([outcome])).await;
        let client = client(&peer, "{budget: {kind: concurrency, min: 0}}");
        let call = tokio::spawn({
            let (client, url) = (client.clone(), peer.url().to_owned());
            async move { client.put(&url).body(body).send().await }
        });
        eventually(&peer, "the request arrives", || peer.log().first().is_some_and(|arrival| arrival.body_complete)).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        eventually(&peer, "the server sees it go", || peer.log()[0].client_gone_ms.is_some() && peer.open_connections() == 0).await;
        assert_eq!((peer.log().len(), peer.connections()), (1, 1), "{outcome}");
        assert_eq!(client.budget(peer.url()).unwrap().balance, 0, "nothing in flight: {outcome}");
    }
}

#[tokio::test]
async fn while_uploading() {
    let peer = peer(json!([{"do": "stop-reading", "after": 1000}])).await;
    let client = client(&peer, "{}");
    let call = tokio::spawn({
        let (client, url) = (client.clone(), peer.url().to_owned());
        async move { client.put(&url).body(vec![7; 30_000_000]).send().await }
    });
    eventually(&peer, "the upload begins", || peer.log().first().is_some_and(|arrival| arrival.body_size > 0)).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(peer.log().len(), 1);
}

#[tokio::test]
async fn while_connecting() {
    for script in [json!([{"do": "connect-timeout"}]), json!({"tls": "trusted", "script": [{"do": "tls-stall"}]})] {
        let peer = peer(script).await;
        let client = client(&peer, "{}");
        {
            let mut call = pin!(client.get(peer.url()).send());
            tokio::select! {
                biased;
                outcome = &mut call => panic!("{outcome:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        eventually(&peer, "nothing stays open", || peer.open_connections() == 0).await;
        assert_eq!(peer.log().len(), 0);
    }
}

async fn waits(first: Json, sends: u64) {
    let peer = peer(json!([first, {"do": "echo"}])).await;
    let clock = Waiting::default();
    let client = builder(&peer, "{budget: {ratio: 1, min_per_second: 0, deposit_on: call}}").clock(clock.clone()).build().unwrap();
    {
        let mut call = pin!(client.get(peer.url()).send());
        tokio::select! {
            outcome = &mut call => panic!("{outcome:?}"),
            () = clock.0.notified() => {}
        }
        assert_eq!(client.budget(peer.url()).unwrap().balance, 0, "the retry is paid for");
    }
    let reading = client.budget(peer.url()).unwrap();
    assert_eq!((reading.balance, reading.withdrawals), (1, 0), "and given back");
    assert_eq!(peer.log().len() as u64, sends);
    // The next call is the next request that arrives.
    let outcome = patient(client.get(peer.url()).send()).await;
    assert_eq!((seen(&outcome), peer.log().len() as u64), (Ok(200), sends + 1));
}

#[tokio::test]
async fn while_waiting() {
    patient(waits(json!({"do": "status", "status": 503}), 1)).await;
    patient(waits(json!({"do": "status", "status": 429, "headers": [["retry-after", "30"]]}), 1)).await;
    patient(waits(json!({"do": "reset"}), 1)).await;
    patient(waits(json!({"do": "status", "status": 503, "body_size": 3_000_000}), 1)).await;
}

#[tokio::test]
async fn one_of_many_streams() {
    let peer = peer(json!({"http2": true, "script": [{"do": "h2-hang"}, {"do": "echo"}]})).await;
    let options = options(&peer, reknock::client::Http2::Only);
    let client = reknock::client::Client::on(options).policy(policy("{}")).build().unwrap();
    let call = tokio::spawn({
        let (client, url) = (client.clone(), peer.url().to_owned());
        async move { client.get(&url).send().await }
    });
    eventually(&peer, "the request arrives", || peer.log().len() == 1).await;
    call.abort();
    eventually(&peer, "its stream is reset", || peer.log()[0].client_gone_ms.is_some()).await;
    assert_eq!(seen(&patient(client.get(peer.url()).send()).await), Ok(200));
    assert!(peer.connections() <= 2, "it may have to show that it is alive before it serves others");
}
