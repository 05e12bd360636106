//! Connections are counted whatever is spoken on them, and waiting for one is not connecting.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use reknock::ErrorKind;
use reknock::client::{Client, Http2, HttpTransport};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::peers::*;

async fn serve(stream: TcpStream, pause: Duration) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            sleep(pause).await;
            if let Ok(mut out) = respond.send_response(Response::new(()), false) {
                let _ = out.send_data(Bytes::from_static(b"ok"), true);
            }
        });
    }
}

async fn peer(pause: Duration) -> Peer {
    Peer::start(move |stream, _| serve(stream, pause)).await
}

/// A client of HTTP/2 that may have one connection, which no time closes.
fn client(rules: &str) -> Client<HttpTransport> {
    let mut options = options(Http2::Only);
    (options.max_connections, options.pool_idle_timeout) = (1, None);
    Client::on(Ours(options)).policy(policy(rules)).build().unwrap()
}

#[tokio::test]
async fn an_unused_connection_makes_room_for_another_origin() {
    let peers = [peer(Duration::from_millis(50)).await, peer(Duration::from_millis(50)).await];
    let client = client("{max_retries: 0}");
    for turn in 0..3 {
        let calls = [0, 1, 0, 1].map(|n| {
            let (client, url) = (client.clone(), peers[n].url("/"));
            tokio::spawn(async move { patient(client.get(&url).send()).await.map(|response| response.status()) })
        });
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), 200, "turn {turn}");
        }
    }
}

/// Nobody runs what a lane has while no thread blocks on it.
#[test]
fn an_unused_connection_of_another_lane_makes_room() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let peer = runtime.block_on(peer(Duration::from_millis(20)));
    for limits in [(1, 256), (512, 1)] {
        let mut options = options(Http2::Only);
        (options.max_connections, options.max_connections_per_origin, options.pool_idle_timeout) = (limits.0, limits.1, None);
        let client = Client::on(Ours(options)).policy(policy("{max_retries: 0, timeout: 30s}")).build().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (client, url) = (client.clone(), peer.url("/"));
                scope.spawn(move || {
                    for turn in 0..5 {
                        let response = client.get(&url).send_blocking();
                        assert_eq!(response.unwrap().status(), 200, "{limits:?}: thread {thread}, turn {turn}");
                    }
                });
            }
        });
    }
}

/// The wait of a call for a connection is in none of its attempt's limits, nor that of the others which wait for what it opens.
#[tokio::test]
async fn waiting_for_a_connection_is_not_connecting() {
    let (slow, other) = (peer(Duration::from_millis(500)).await, peer(Duration::ZERO).await);
    let client = client("{max_retries: 0, connect_timeout: 100ms, per_try_timeout: 1s}");
    let first = {
        let (client, url) = (client.clone(), slow.url("/"));
        tokio::spawn(async move { patient(client.get(&url).send()).await.map(|response| response.status()) })
    };
    sleep(Duration::from_millis(100)).await;
    let waiting = (0..3).map(|_| client.get(&other.url("/")).send());
    for response in futures_util::future::join_all(waiting.map(patient)).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_eq!(first.await.unwrap().unwrap(), 200);
}

/// Nor does it last beyond the call's own limit.
#[tokio::test]
async fn the_calls_limit_ends_its_wait() {
    let slow = peer(Duration::from_secs(20)).await;
    let client = client("{max_retries: 0}");
    let first = client.get(&slow.url("/")).send();
    let (hurried, other) = (client.clone(), peer(Duration::ZERO).await);
    let second = async move {
        sleep(Duration::from_millis(50)).await;
        hurried.get(&other.url("/")).policy(policy("{timeout: 100ms}")).send().await
    };
    tokio::select! {
        _ = first => panic!("it is slow"),
        second = patient(second) => assert_eq!(second.unwrap_err().kind(), ErrorKind::Deadline),
    }
}
