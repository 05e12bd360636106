//! Which connections are used again.

use reknock::client::{CallOptions, Callbacks, Request};
use reknock::{ErrorKind, HttpVersion};
use serde_json::json;

use super::harness::*;

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

/// Those that nobody uses go at once, that of a body that is still read at its end. Nothing waits for `pool_idle_timeout`.
#[tokio::test]
async fn connections_go_with_their_client() {
    let large = 3_000_000;
    let script = json!([{"do": "echo"}, {"do": "status", "status": 200, "body_size": large}, {"do": "echo"}]);
    for http2 in [false, true] {
        for closed in [false, true] {
            let peer = peer(json!({"script": script, "tls": "trusted", "http2": http2})).await;
            let client = client(&peer, "{}");
            assert_eq!(seen(&patient(client.get(peer.url()).send()).await), Ok(200));
            let mut stream = patient(client.get(peer.url()).stream()).await.unwrap();
            assert_eq!(seen(&patient(client.get(peer.url()).send()).await), Ok(200));
            assert_eq!(peer.open_connections(), if http2 { 1 } else { 2 });
            if closed {
                client.close();
                assert_eq!(patient(stream.bytes(usize::MAX)).await.unwrap_err().kind(), ErrorKind::Closed);
                drop(stream);
            } else {
                drop(client);
                eventually(&peer, "what nobody uses is closed", || peer.open_connections() == 1).await;
                assert_eq!(patient(stream.bytes(usize::MAX)).await.unwrap().len(), large);
            }
            eventually(&peer, "so is the other one", || peer.open_connections() == 0).await;
        }
    }
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

/// What the records say of connections is what the server saw.
#[tokio::test]
async fn records_know_their_connection() {
    for (document, version) in [
        (json!({"script": [{"do": "status", "status": 503}, {"do": "echo"}]}), HttpVersion::Http11),
        (json!({"script": [{"do": "status", "status": 503}, {"do": "echo"}], "tls": "trusted", "http2": true}), HttpVersion::Http2),
    ] {
        let peer = peer(document).await;
        let client = client(&peer, "{}");
        let outcomes = [patient(client.get(peer.url()).send()).await, patient(client.get(peer.url()).send()).await];
        let mut records = outcomes.iter().flat_map(|outcome| told(outcome).0);
        let first = records.next().unwrap();
        assert_eq!((first.connection.reused, first.connection.resolve, first.resends), (Some(false), None, 0), "{first:?}");
        assert!(first.connection.connect.is_some_and(|connect| connect <= first.duration), "{first:?}");
        let kept: Vec<_> = records.collect();
        assert_eq!(kept.len(), 2);
        for record in kept {
            assert_eq!(
                (record.connection.reused, record.connection.connect, record.connection.tls),
                (Some(true), None, None),
                "{record:?}"
            );
        }
        for record in outcomes.iter().flat_map(|outcome| told(outcome).0) {
            assert_eq!(record.connection.peer, Some(([127, 0, 0, 1], peer.port()).into()), "{record:?}");
            assert_eq!(record.connection.version, Some(version), "{record:?}");
            assert!(record.first_byte.is_some_and(|first_byte| first_byte <= record.duration), "{record:?}");
        }
        assert_eq!(peer.connections(), 1);
    }
}

#[tokio::test]
async fn records_of_failures_know_how_far_they_came() {
    let peer = peer(json!([{"do": "echo"}, {"do": "reset"}, {"do": "refused"}])).await;
    let client = client(&peer, "max_retries: 1");
    assert_eq!(seen(&patient(client.get(peer.url()).send()).await), Ok(200));
    let outcome = patient(client.get(peer.url()).send()).await;
    let [reset, refused] = told(&outcome).0 else { panic!("{outcome:?}") };
    assert_eq!((reset.error, reset.connection.reused, reset.first_byte), (Some(ErrorKind::Reset), Some(true), None));
    assert_eq!((refused.error, refused.connection.reused, refused.first_byte), (Some(ErrorKind::Connect), None, None));
    assert!(refused.connection.connect.is_some(), "{refused:?}");
}

#[tokio::test]
async fn records_know_how_long_a_name_took() {
    let peer = peer(json!([{"do": "echo"}])).await;
    let client = client(&peer, "{}");
    let url = format!("http://localhost:{}", peer.port());
    for looked_up in [true, false] {
        let outcome = patient(client.get(&url).send()).await;
        let [record] = told(&outcome).0 else { panic!("{outcome:?}") };
        assert_eq!((record.connection.resolve.is_some(), record.connection.connect.is_some()), (looked_up, looked_up), "{record:?}");
    }
}

/// A 421 says that the connection leads to the wrong server: its repetition takes a new one, though the old one has given its answer and is free.
#[tokio::test]
async fn a_misdirected_request_is_repeated_on_another_connection() {
    for (script, document) in [
        (json!([{"do": "echo"}, {"do": "status", "status": 421, "body": "elsewhere"}, {"do": "echo"}]), "{}"),
        (json!([{"do": "echo"}, {"do": "status", "status": 421, "body": "elsewhere"}, {"do": "echo"}]), "{statuses: [421]}"),
        (
            json!({"tls": "trusted", "http2": true, "script": [{"do": "echo"}, {"do": "status", "status": 421, "body": "elsewhere"}, {"do": "echo"}]}),
            "{}",
        ),
    ] {
        let peer = peer(script).await;
        let client = client(&peer, document);
        let options = CallOptions { as_fetch: true, ..CallOptions::default() };
        let send = async || patient(client.send_with(Request::new("POST", peer.url()).unwrap(), &options, Callbacks::default())).await;
        assert_eq!((seen(&send().await), peer.connections()), (Ok(200), 1));
        let outcome = send().await;
        let (records, _) = told(&outcome);
        assert_eq!((seen(&outcome), records.len()), (Ok(200), 2));
        assert_eq!(records.iter().map(|record| record.connection.reused).collect::<Vec<_>>(), [Some(true), Some(false)]);
        assert_eq!(peer.connections(), 2, "{document}");
        eventually(&peer, "the first one is closed", || peer.open_connections() == 1).await;
    }
}
