//! HTTP/2.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use reknock::client::{Callbacks, Client, Http2, HttpTransport};
use reknock::{ErrorKind, Evidence, HttpVersion, StopReason};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::peers::*;

/// Answers every request with its path's number of bytes, after `pause`; takes `most` streams at once.
async fn serve(stream: TcpStream, most: u32, pause: Duration) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(most);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            sleep(pause).await;
            let size = request.uri().path()[1..].parse().unwrap_or(2);
            if let Ok(mut out) = respond.send_response(Response::new(()), false) {
                let _ = out.send_data(Bytes::from(vec![7; size]), true);
            }
        });
    }
}

#[tokio::test]
async fn a_silent_connection_is_left() {
    let peer = Peer::start(|stream, number| async move {
        let Some(mut frames) = Frames::accept(stream).await else { return };
        let mut answers = if number == 0 { 1 } else { usize::MAX };
        while let Some(stream) = frames.next(HEADERS).await {
            if answers > 0 {
                answers -= 1;
                frames.ok(stream, END_STREAM).await;
            }
        }
    })
    .await;
    let client = client("per_try_timeout: 300ms");
    assert_eq!(patient(client.get(&peer.url("/")).send()).await.unwrap().attempts().len(), 1);
    let second = patient(client.get(&peer.url("/")).send()).await.unwrap();
    assert_eq!(second.attempts().len(), 2, "{}", second.explain());
    assert_eq!((second.attempts()[0].connection.reused, second.attempts()[1].connection.reused), (Some(true), Some(false)));
    for _ in 0..5 {
        assert_eq!(patient(client.get(&peer.url("/")).send()).await.unwrap().attempts().len(), 1);
    }
    assert_eq!(peer.connections(), 2);
}

/// Knows no limit that could end what hangs.
fn without_limits(most: usize) -> Client<HttpTransport> {
    let mut options = options(Http2::Only);
    (options.http2_ping, options.max_connections) = (None, most);
    let policy = policy("{timeout: none, connect_timeout: none, per_try_timeout: none, idle_timeout: none, max_retries: 0, budget: none}");
    Client::on(Ours(options)).policy(policy).build().unwrap()
}

/// The frame that answers a ping waits behind a body that the peer does not read, when the connection is reset.
#[tokio::test]
async fn a_connection_that_breaks_while_it_cannot_write_is_over() {
    let peer = Peer::start(|stream, _| async move {
        let Some(mut frames) = Frames::accept(stream).await else { return };
        frames.send(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]).await;
        frames.send(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes()).await;
        frames.next(DATA).await;
        sleep(Duration::from_millis(200)).await;
        frames.send(PING, 0, 0, b"are you?").await;
        sleep(Duration::from_millis(50)).await;
        frames.break_off();
    })
    .await;
    let error = patient(without_limits(1).post(&peer.url("/")).body(vec![0; 30_000_000]).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()[0].evidence), (ErrorKind::Reset, Evidence::Unknown), "{error}");
}

#[tokio::test]
async fn unread_responses_keep_no_other_from_coming() {
    let peer = Peer::start(|stream, _| serve(stream, 100, Duration::ZERO)).await;
    let client = client("per_try_timeout: 5s");
    let mut unread = Vec::new();
    for _ in 0..3 {
        unread.push(patient(client.get(&peer.url("/2000000")).stream()).await.unwrap());
    }
    let response = patient(client.get(&peer.url("/")).send()).await.unwrap();
    assert_eq!((response.attempts().len(), peer.connections()), (1, 1), "{}", response.explain());
}

#[tokio::test]
async fn a_hundred_calls_at_once_wait_for_their_turn() {
    for most in [1, 8, 32, 64] {
        let peer = Peer::start(move |stream, _| serve(stream, most, Duration::from_millis(4))).await;
        // The wait for a place is longer than an attempt may take.
        let client = client("per_try_timeout: 300ms");
        let calls = (0..100).map(|_| {
            let (client, url) = (client.clone(), peer.url("/"));
            tokio::spawn(async move { patient(client.post(&url).send()).await })
        });
        for call in futures_util::future::join_all(calls).await {
            let response = call.unwrap().unwrap();
            assert_eq!(response.attempts().len(), 1, "{most} places: {}", response.explain());
            assert_eq!(response.attempts()[0].connection.version, Some(HttpVersion::Http2));
        }
    }
}

#[tokio::test]
async fn a_goaway_below_the_stream_lets_a_post_go_again() {
    let peer = Peer::start(|stream, number| async move {
        let Some(mut frames) = Frames::accept(stream).await else { return };
        while let Some(stream) = frames.next(HEADERS).await {
            if number == 0 {
                frames.goaway(0, 0).await;
            } else {
                frames.ok(stream, END_STREAM).await;
            }
        }
    })
    .await;
    let response = patient(client("{}").post(&peer.url("/")).send()).await.unwrap();
    assert_eq!(response.attempts().len(), 2, "{}", response.explain());
    assert_eq!(response.attempts()[0].evidence, Evidence::Refused);
}

#[tokio::test]
async fn a_connection_that_ended_meanwhile_costs_no_retry() {
    let peer = Peer::start(|stream, _| async move {
        let Some(mut frames) = Frames::accept(stream).await else { return };
        let Some(stream) = frames.next(HEADERS).await else { return };
        frames.ok(stream, END_STREAM).await;
        frames.goaway(stream, 0).await;
    })
    .await;
    let one = client("max_retries: 0");
    // Blocking calls drive their connection only while they run.
    let url = peer.url("/");
    let blocking = one.clone();
    let calls = tokio::task::spawn_blocking(move || {
        for _ in 0..5 {
            let request = blocking.get(&url).build().unwrap();
            let response = blocking.send_blocking(request, &Default::default(), Callbacks::default()).unwrap();
            assert_eq!(response.attempts().len(), 1, "{}", response.explain());
            // So that the peer's GOAWAY is most often there; right whenever it comes.
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    calls.await.unwrap();
    for _ in 0..5 {
        assert_eq!(patient(one.get(&peer.url("/")).send()).await.unwrap().attempts().len(), 1);
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn heads_are_as_http2_wants_them() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let peer = Peer::start(move |stream, _| {
        let tell = tell.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                tell.send(request.into_parts().0).unwrap();
                let _ = respond.send_response(Response::new(()), true);
            }
        }
    })
    .await;
    let client = client("{}");
    let request = client.post(&peer.url("/a?b=c"));
    let request = request.header("host", "elsewhere.test").header("x-a", " spaced\t").header("connection", "x-hop").header("x-hop", "1");
    patient(request.body("12345").send()).await.unwrap();
    let head = told.recv().await.unwrap();
    assert_eq!(head.uri.to_string(), "http://elsewhere.test/a?b=c");
    assert_eq!(head.headers.get("x-a").unwrap(), "spaced");
    assert_eq!(head.headers.get("content-length").unwrap(), "5");
    for name in ["host", "connection", "x-hop", "transfer-encoding"] {
        assert!(!head.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_body_that_is_reset_is_cut() {
    let peer = Peer::start(|stream, _| async move {
        let Some(mut frames) = Frames::accept(stream).await else { return };
        let mut first = true;
        while let Some(stream) = frames.next(HEADERS).await {
            frames.ok(stream, 0).await;
            let whole = !std::mem::take(&mut first);
            frames.send(DATA, u8::from(whole), stream, b"ok").await;
            frames.send(RESET, 0, stream, &0_u32.to_be_bytes()).await;
        }
    })
    .await;
    let response = patient(client("{}").get(&peer.url("/")).send()).await.unwrap();
    assert_eq!((response.attempts().len(), response.text().as_ref()), (2, "ok"), "{}", response.explain());
}

#[tokio::test]
async fn a_cancelled_call_resets_its_stream_at_once() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let peer = Peer::start(move |stream, _| {
        let tell = tell.clone();
        async move {
            let Some(mut frames) = Frames::accept(stream).await else { return };
            let Some(stream) = frames.next(HEADERS).await else { return };
            tell.send(("request", stream)).unwrap();
            if let Some(stream) = frames.next(RESET).await {
                tell.send(("reset", stream)).unwrap();
            }
        }
    })
    .await;
    // A client that went with its call would close the connection, which tells the server as well.
    let client = client("{}");
    let call = tokio::spawn(client.get(&peer.url("/")).send());
    assert_eq!(patient(told.recv()).await, Some(("request", 1)));
    call.abort();
    assert_eq!(patient(told.recv()).await, Some(("reset", 1)));
}

#[tokio::test]
async fn an_early_answer_wins_over_the_upload() {
    let peer = Peer::start(|stream, _| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let response = Response::builder().status(413).body(()).unwrap();
            let mut out = respond.send_response(response, false).unwrap();
            let _ = out.send_data(Bytes::from_static(b"no"), true);
        }
    })
    .await;
    let client = client("{}");
    for size in [300_000, 2_000_000, 20_000_000] {
        let body = Bytes::from(vec![7; size]);
        for _ in 0..5 {
            let response = patient(client.put(&peer.url("/")).body(body.clone()).send()).await.unwrap();
            assert_eq!((response.status(), response.attempts().len()), (413, 1), "{size}: {}", response.explain());
            assert_eq!(response.stop_reason(), StopReason::NotRetryable);
        }
    }
    assert_eq!(peer.connections(), 1);
}

/// A body that waits for `100 Continue` does not go out where the answer is there before, and does where it comes.
#[tokio::test]
async fn bodies_wait_where_they_are_to() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let peer = Peer::start(move |stream, _| {
        let tell = tell.clone();
        async move {
            let Some(mut frames) = Frames::accept(stream).await else { return };
            while let Some(stream) = frames.next(HEADERS).await {
                let refused = stream % 4 == 1;
                if refused {
                    frames.ok(stream, END_STREAM).await;
                } else {
                    // `:status: 100`, in letters.
                    frames.send(HEADERS, 4, stream, b"\x08\x03100").await;
                }
                let came = loop {
                    match frames.any().await {
                        Some((DATA, _)) => break true,
                        Some((RESET, _)) | None => break false,
                        _ => {}
                    }
                };
                tell.send((refused, came)).unwrap();
                if !refused {
                    frames.ok(stream, END_STREAM).await;
                }
            }
        }
    })
    .await;
    let client = client("{}");
    let mut kept_back = 0;
    for turn in 0..6 {
        let request = client.put(&peer.url("/")).header("expect", "100-continue").body("body");
        assert_eq!(patient(request.send()).await.unwrap().attempts().len(), 1);
        let (refused, came) = told.recv().await.unwrap();
        assert_eq!(refused, turn % 2 == 0);
        assert!(refused || came);
        kept_back += usize::from(refused && !came);
    }
    // Each of them, unless this machine stood still for a second.
    assert!(kept_back > 0);
}

/// Where HTTP/2 is found out in the handshake, calls that come at once share what they open.
#[tokio::test]
async fn https_finds_out() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let peer = Peer::start(move |stream, _| {
        let (acceptor, count) = (acceptor.clone(), count.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = respond.send_response(Response::<()>::new(()), true);
            }
        }
    })
    .await;
    let mut options = options(Http2::Auto);
    options.tls.system_roots = false;
    options.tls.ca_bundle = Some(certified.cert.pem().into());
    let client = reknock::client::Client::on(Ours(options)).build().unwrap();
    let versions = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        let calls = (0..20).map(|_| {
            let (client, url, versions) = (client.clone(), format!("https://localhost:{}/", peer.address.port()), versions.clone());
            tokio::spawn(async move {
                let response = patient(client.get(&url).send()).await.unwrap();
                versions.lock().unwrap().push((response.version(), response.attempts().len()));
            })
        });
        futures_util::future::join_all(calls).await;
    }
    assert_eq!(served.load(Ordering::SeqCst), 60);
    assert!(versions.lock().unwrap().iter().all(|seen| *seen == (http::Version::HTTP_2, 1)));
    assert!(peer.connections() <= 20, "{}", peer.connections());
}
