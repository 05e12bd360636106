//! Lanes over TLS and HTTP/2: a connection there has work of its own, which a lane does only while a thread runs it.

use bytes::Bytes;
use reknock::client::{Cancel, Client, Http2};
use reknock::{ErrorKind, StopReason};
use serde_json::{Value as Json, json};

use crate::{Peer, done, options, policy};

/// Each way to speak, with a server that follows the script and a client of its own.
fn each(script: &Json, rules: &str, test: impl Fn(&str, bool, &Peer, &Client)) {
    for (what, tls, http2) in [("TLS", true, false), ("HTTP/2", false, true), ("HTTP/2 over TLS", true, true)] {
        let mut document = json!({"script": script, "http2": http2});
        if tls {
            document["tls"] = "trusted".into();
        }
        let peer = Peer::new(document);
        let mut options = options();
        options.tls.system_roots = false;
        options.tls.ca_bundle = peer.ca().map(|pem| Bytes::copy_from_slice(pem.as_bytes()));
        options.http2 = if http2 && !tls { Http2::Only } else { Http2::Auto };
        let client = Client::on(options).policy(policy(rules)).build().unwrap();
        test(what, http2, &peer, &client);
        let version = if http2 { "2" } else { "1.1" };
        assert!(peer.log().iter().all(|arrival| arrival.version == version), "{what}");
        drop(client);
        peer.eventually("a client takes its connections with it", || peer.open_connections() == 0);
    }
}

#[test]
fn calls_one_after_the_other_share_a_connection() {
    each(&json!([{"do": "status", "status": 503}, done()]), "{}", |what, _, peer, client| {
        for _ in 0..20 {
            assert_eq!(client.get(peer.url()).send_blocking().unwrap().text(), "done", "{what}");
        }
        assert_eq!((peer.connections(), peer.log().len()), (1, 21), "{what}");
    });
}

#[test]
fn a_streamed_body_is_read_by_another_thread_while_the_client_calls() {
    let size = 3_000_000;
    each(&json!([{"do": "status", "status": 200, "body_size": size}, done()]), "{}", |what, _, peer, client| {
        let mut stream = client.get(peer.url()).stream_blocking().unwrap();
        assert_eq!(client.get(peer.url()).send_blocking().unwrap().text(), "done", "{what}: meanwhile");
        let read = std::thread::spawn(move || {
            let mut read = 0;
            while let Some(piece) = stream.chunk().unwrap() {
                read += piece.len();
            }
            read
        });
        assert_eq!(read.join().unwrap(), size, "{what}");
        for _ in 0..3 {
            client.get(peer.url()).send_blocking().unwrap();
        }
        assert_eq!(peer.connections(), 2, "{what}: both connections are used again");
    });
}

/// HTTP/1 has no other way to say so than to close; in HTTP/2 the stream alone is given up, before the lane rests.
#[test]
fn a_stream_that_is_dropped_early_tells_the_server() {
    each(&json!([{"do": "status", "status": 200, "body_size": 30_000_000}, done()]), "{}", |what, http2, peer, client| {
        let mut stream = client.get(peer.url()).stream_blocking().unwrap();
        assert!(stream.chunk().unwrap().is_some());
        drop(stream);
        peer.eventually(what, || peer.log()[0].client_gone_ms.is_some());
        assert_eq!(client.get(peer.url()).send_blocking().unwrap().text(), "done", "{what}");
        assert_eq!(peer.connections(), if http2 { 1 } else { 2 }, "{what}");
    });
}

#[test]
fn a_call_that_is_cancelled_tells_the_server_at_once() {
    each(&json!([{"do": "hang"}, done()]), "{}", |what, http2, peer, client| {
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            let call = scope.spawn(|| client.get(peer.url()).cancel(&cancel).send_blocking());
            peer.eventually("the request arrives", || peer.log().len() == 1);
            cancel.cancel();
            assert_eq!(call.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled, "{what}");
        });
        peer.eventually(what, || peer.log()[0].client_gone_ms.is_some());
        assert_eq!(client.get(peer.url()).send_blocking().unwrap().text(), "done", "{what}");
        // In HTTP/2 it may be the same one, if that has shown in time that it is alive.
        let most = peer.connections();
        assert!(most == 2 || http2 && most == 1, "{what}: {most} connections");
    });
}

#[test]
fn threads_at_once_and_failures_between() {
    each(&json!([{"do": "status", "status": 503}, {"do": "reset"}, done(), done()]), "{budget: none}", |what, _, peer, client| {
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let response = client.get(peer.url()).send_blocking().unwrap();
                        assert_eq!((response.text().as_ref(), response.stop_reason()), ("done", StopReason::Completed), "{what}");
                    }
                });
            }
        });
        assert_eq!(peer.log().len(), 52, "{what}: one answer was 503, one a reset");
    });
}
