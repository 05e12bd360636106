//! Which connections are used again.

use serde_json::json;

use crate::harness::*;

#[tokio::test]
async fn retried_responses_with_small_bodies_keep_their_connection() {
    for body_size in [0, 1, 1000, 60_000] {
        for chunked in [false, true] {
            let busy = json!({"do": "status", "status": 503, "body_size": body_size, "chunked": chunked});
            let peer = peer(json!([busy, busy, {"do": "echo"}])).await;
            let outcome = patient(client(&peer, "{}").get(peer.url()).send()).await;
            assert_eq!((seen(&outcome), told(&outcome).0.len()), (Ok(200), 3));
            honest(&peer, &outcome).await;
            assert_eq!(peer.connections(), 1, "{body_size} bytes, chunked: {chunked}");
        }
    }
}

#[tokio::test]
async fn retried_responses_with_large_or_slow_bodies_are_closed() {
    let large = json!({"do": "status", "status": 503, "body_size": 3_000_000});
    let slow = json!({"do": "status", "status": 503, "body_size": 1000, "body_mode": "stall"});
    for busy in [large, slow] {
        let peer = peer(json!([busy, {"do": "echo"}])).await;
        let client = client(&peer, "{}");
        let outcome = patient(client.get(peer.url()).send()).await;
        assert_eq!((seen(&outcome), told(&outcome).0.len()), (Ok(200), 2));
        honest(&peer, &outcome).await;
        assert_eq!(peer.connections(), 2);
        eventually(&peer, "the first one is closed", || peer.open_connections() == 1).await;
    }
}

#[tokio::test]
async fn calls_share_a_connection() {
    let peer = peer(json!([{"do": "echo"}])).await;
    let client = client(&peer, "{}");
    for _ in 0..20 {
        assert_eq!(seen(&patient(client.clone().get(peer.url()).send()).await), Ok(200));
    }
    assert_eq!((peer.connections(), peer.log().len()), (1, 20));
    drop(client);
    eventually(&peer, "a client takes its connections with it", || peer.open_connections() == 0).await;
}

/// The server closes after each answer: every call finds that out before it writes, or its retry does.
#[tokio::test]
async fn servers_that_close_after_each_answer() {
    let peer = peer(json!({"keep_alive": false, "script": [{"do": "status", "status": 503, "body": "x"}, {"do": "echo"}]})).await;
    let client = client(&peer, "{}");
    for _ in 0..5 {
        let outcome = patient(client.get(peer.url()).send()).await;
        assert_eq!(seen(&outcome), Ok(200));
    }
    assert_eq!(peer.log().len() as u64, 6);
    assert_eq!(peer.connections(), 6);
}
