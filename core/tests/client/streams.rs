//! Bodies as streams, in both directions.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::live::*;
use crate::support::{Scripted, Step, policy};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{iter, pending};
use http::{HeaderMap, StatusCode, Version};
use reknock::client::transport::{Failure, Incoming, Outgoing, OutgoingBody, Received, Transport};
use reknock::client::{Body, BodyStream, Callbacks, Client, EventKind, Http2};
use reknock::{BoxError, ErrorKind, Evidence, StopReason};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const URL: &str = "http://server.test/path";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test]
async fn every_replayable_body_arrives_whole_on_the_last_attempt() {
    let bytes = pattern(700_000);
    let made = Arc::new(AtomicU32::new(0));
    let factory = {
        let (made, bytes) = (made.clone(), bytes.clone());
        move || {
            made.fetch_add(1, Ordering::Relaxed);
            Ok(pieces(&bytes, 9_999))
        }
    };
    for (what, body, declared) in [
        ("bytes", Body::from(bytes.clone()), true),
        ("file", Body::file(file(b"skipped", &bytes)).unwrap(), true),
        ("factory", Body::factory(factory.clone(), None), false),
        ("factory with length", Body::factory(factory, Some(700_000)), true),
        ("stream", once(&bytes, None), false),
        ("stream with length", once(&bytes, Some(700_000)), true),
    ] {
        // The second attempt dies half-way.
        let script = json!([{"do": "status", "status": 503}, {"do": "reset-mid-upload", "after": 300_000}, {"do": "echo"}]);
        let peer = peer(script).await;
        let response = patient(client(&json!({"max_body_buffer": "1MiB"})).put(peer.url()).body(body).send()).await.unwrap();
        assert_eq!((response.status(), response.attempts().len()), (200, 3), "{what}");
        let log = peer.log();
        assert_eq!((log.len(), log[0].body_size, log[2].body_size), (3, 700_000, 700_000), "{what}");
        assert_eq!(log[0].body_sha256, log[2].body_sha256, "{what}");
        let lengths: Vec<_> = log.iter().map(|arrival| arrival.header("content-length")).collect();
        assert_eq!(lengths, [declared.then_some("700000"); 3], "{what}");
        assert_eq!(log[0].header("transfer-encoding"), (!declared).then_some("chunked"), "{what}");
    }
    assert_eq!(made.load(Ordering::Relaxed), 6, "once per attempt");
}

#[tokio::test]
async fn a_stream_is_sent_whatever_the_method_and_version() {
    for (http2, version) in [(false, "1.1"), (true, "2")] {
        for method in ["GET", "DELETE", "POST", "QUERY"] {
            let peer = peer(json!({"script": [{"do": "echo"}], "http2": http2})).await;
            let mut options = options(None);
            options.http2 = if http2 { Http2::Only } else { Http2::Auto };
            let client = Client::on(options).build().unwrap();
            let echo = patient(client.request(method, peer.url()).body(once(b"streamed", None)).send()).await.unwrap();
            assert_eq!(echo.json::<serde_json::Value>().unwrap()["body"], "streamed", "{method} {version}");
            assert_eq!(peer.log()[0].version, version);
            let framed = peer.log()[0].header("transfer-encoding").is_some();
            assert_eq!(framed, !http2, "{method} {version}");
        }
    }
}

#[tokio::test]
async fn a_stream_above_the_buffer_is_sent_once() {
    let bytes = pattern(700_000);
    for length in [None, Some(700_000)] {
        for fault in [json!({"do": "status", "status": 503}), json!({"do": "reset-mid-upload", "after": 600_000})] {
            let peer = peer(json!([fault])).await;
            let result = patient(client(&json!({"max_body_buffer": "100KiB"})).put(peer.url()).body(once(&bytes, length)).send()).await;
            let (sends, reason) = match &result {
                Ok(response) => (response.attempts().len(), Some(response.stop_reason())),
                Err(error) => (error.attempts().len(), error.stop_reason()),
            };
            assert_eq!((sends, reason, peer.log().len()), (1, Some(StopReason::BodyNotReplayable), 1), "{fault}");
        }
    }
}

#[tokio::test]
async fn an_untouched_stream_may_be_sent_again_whatever_its_size() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unread = iter([()]).map(|()| -> Result<Bytes, BoxError> { panic!("read without a connection") });
    let client = client(&json!({"max_body_buffer": "0B"}));
    let error = patient(client.post(&format!("http://{closed}/")).body(Body::stream(unread, None)).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.stop_reason()), (ErrorKind::Connect, Some(StopReason::RetriesExhausted)));
    assert_eq!(error.attempts().len(), 3);
}

/// Answers 503 after the first piece of the upload, and goes on with the upload while its body is read.
#[derive(Clone, Default)]
struct Eager(Arc<std::sync::Mutex<Vec<Vec<u8>>>>);

struct Uploading(BodyStream);

impl Transport for Eager {
    type Body = Uploading;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<Uploading>, Failure> {
        let OutgoingBody::Stream { mut stream, .. } = outgoing.body else { panic!("no stream") };
        let mut got = Vec::new();
        let again = !self.0.lock().unwrap().is_empty();
        while let Some(piece) = stream.next().await {
            got.extend_from_slice(&piece.unwrap());
            if !again {
                break;
            }
        }
        self.0.lock().unwrap().push(got);
        let status = if again { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Ok(Received { reason: None, status, version: Version::HTTP_11, headers: HeaderMap::new(), body: Uploading(stream), length: None })
    }
}

impl Incoming for Uploading {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        let failed = |source| Failure { source: Some(source), ..Failure::new(ErrorKind::Body, Evidence::Unknown, "upload") };
        self.0.next().await.transpose().map_err(failed)
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_outlives_its_answer_takes_nothing_from_the_next() {
    let transport = Eager::default();
    let client = Client::on(transport.clone()).policy(policy(&json!({"max_body_buffer": "5B"}))).build().unwrap();
    let body = Body::stream(iter(["12345", "67890", "abcde"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())))), None);
    let response = client.put(URL).body(body).send().await.unwrap();
    assert_eq!((response.status(), response.attempts().len()), (200, 2));
    assert_eq!(*transport.0.lock().unwrap(), [b"12345".to_vec(), b"1234567890abcde".to_vec()]);
}

#[tokio::test]
async fn an_early_answer_on_sockets_loses_nothing_either() {
    let bytes = pattern(500_000);
    for fault in [
        json!({"do": "status", "status": 503, "read_body": false}),
        json!({"do": "redirect", "status": 307, "location": "/next", "read_body": false}),
    ] {
        let peer = peer(json!([fault, {"do": "echo"}])).await;
        // The source goes on only when the answer has been decided on, while its connection is drained.
        let gate = Arc::new(tokio::sync::Notify::new());
        let (opened, mut first) = (gate.clone(), true);
        let source = pieces(&bytes, 10_000).then(move |piece| {
            let wait = (!std::mem::take(&mut first)).then(|| opened.clone());
            async move {
                if let Some(gate) = wait {
                    gate.notified().await;
                    gate.notify_one();
                }
                piece
            }
        });
        let open = Callbacks::new().on_event(move |event| {
            if matches!(event.kind, EventKind::Retry { .. } | EventKind::Redirect { .. }) {
                gate.notify_one();
            }
        });
        let client = client(&json!({"max_body_buffer": "10000B"}));
        let request = client.put(peer.url()).body(Body::stream(source, None)).callbacks(open);
        let response = patient(request.send()).await.unwrap();
        assert_eq!((response.status(), response.attempts().len()), (200, 2), "{fault}");
        assert_eq!(peer.log()[1].body_size, 500_000, "{fault}");
    }
}

#[tokio::test]
async fn a_consumed_stream_is_sent_by_no_other_call() {
    for (most, sent) in [("5B", None), ("1MiB", Some("1234567890"))] {
        let peer = peer(json!([{"do": "echo"}])).await;
        let client = client(&json!({"max_body_buffer": most}));
        let request = client.post(peer.url()).body(Body::stream(pieces(b"1234567890", 3), None)).build().unwrap();
        patient(client.send(request.clone())).await.unwrap();
        // What was recorded can be sent again; what was not is neither sent empty nor in part.
        match (patient(client.send(request)).await, sent) {
            (Ok(echo), Some(sent)) => assert_eq!(echo.json::<serde_json::Value>().unwrap()["body"], sent),
            (Err(error), None) => {
                assert_eq!((error.kind(), error.attempts()[0].evidence), (ErrorKind::InvalidRequest, Evidence::NotSent), "{error}");
                assert!(error.to_string().contains("consumed"), "{error}");
                assert_eq!(peer.log().len(), 1);
            }
            (result, sent) => panic!("{result:?} for {sent:?}"),
        }
    }
}

#[tokio::test]
async fn a_source_that_fails_ends_the_call_with_its_error() {
    fn failing() -> BodyStream {
        Box::pin(iter([Ok(Bytes::from_static(b"some")), Err("the disk is on fire".into())]))
    }
    fn panicking() -> BodyStream {
        Box::pin(iter([0, 1]).map(|n| if n == 0 { Ok(Bytes::from_static(b"some")) } else { panic!("the disk is gone") }))
    }
    let fire = "the disk is on fire";
    for (what, body, sends, says) in [
        ("stream", Body::stream(failing(), None), 1, fire),
        ("stream with length", Body::stream(failing(), Some(1000)), 1, fire),
        ("factory of failing streams", Body::factory(|| Ok(failing()), None), 1, fire),
        ("factory that fails", Body::factory(|| Err("the disk is on fire".into()), None), 0, fire),
        ("stream that panics", Body::stream(panicking(), None), 1, "the disk is gone"),
        ("factory of panicking streams", Body::factory(|| Ok(panicking()), None), 1, "the disk is gone"),
        ("factory that panics", Body::factory(|| panic!("the disk is gone"), None), 0, "the disk is gone"),
    ] {
        let peer = peer(json!([{"do": "echo"}])).await;
        let error = patient(client(&json!({})).put(peer.url()).body(body).send()).await.unwrap_err();
        assert_eq!((error.kind(), error.stop_reason()), (ErrorKind::Callback, Some(StopReason::Callback)), "{what}: {error}");
        assert_eq!(error.attempts().len(), 1, "{what}");
        assert!(peer.log().len() <= sends && peer.log().iter().all(|arrival| !arrival.body_complete), "{what}");
        let mut texts = vec![error.to_string()];
        let mut source = error.source();
        while let Some(error) = source {
            texts.push(error.to_string());
            source = error.source();
        }
        assert!(texts[0].contains(says) && texts.last().unwrap().contains(says), "{what}: {texts:?}");
    }
}

#[tokio::test]
async fn a_stream_of_another_length_than_declared_is_an_invalid_request() {
    for (declared, header) in [(9, false), (11, false), (9, true), (11, true), (0, false)] {
        let peer = peer(json!([{"do": "echo"}])).await;
        let client = client(&json!({}));
        let mut request = client.put(peer.url()).body(Body::stream(pieces(&[b'x'; 10], 4), (!header).then_some(declared)));
        if header {
            request = request.header("content-length", &declared.to_string());
        }
        let result = patient(request.send()).await;
        if declared == 0 {
            // Nothing is to come: the stream is not asked.
            assert_eq!(result.unwrap().status(), 200);
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::InvalidRequest, 1), "{declared} {error}");
        assert!(peer.log().iter().all(|arrival| !arrival.body_complete), "{declared}");
    }
    // A content-length of the caller's is the stream's.
    let peer = peer(json!([{"do": "echo"}])).await;
    let body = Body::stream(pieces(&[b'x'; 10], 4), None);
    let response = patient(client(&json!({})).put(peer.url()).header("content-length", "10").body(body).send()).await.unwrap();
    let log = peer.log();
    assert_eq!((response.status(), log[0].header("content-length"), log[0].header("transfer-encoding")), (200, Some("10"), None));
}

#[tokio::test]
async fn a_body_of_bytes_with_its_length_said_twice_says_it_once() {
    let peer = peer(json!([{"do": "echo"}])).await;
    let client = client(&json!({}));
    let request = client.put(peer.url()).header("content-length", "4").header("content-length", "4").body("four");
    patient(request.send()).await.unwrap();
    let log = peer.log();
    let lines = log[0].headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).count();
    assert_eq!(lines, 1, "{:?}", log[0].headers);
}

#[tokio::test]
async fn a_stalled_upload_ends_by_idle_timeout() {
    let stuck = |first: usize| -> Body { Body::stream(pieces(&vec![0; first], 10_000).chain(pending()), None) };
    for (script, body) in [
        (json!([{"do": "stop-reading"}]), Body::from(vec![0; 30_000_000])),
        (json!([{"do": "echo"}]), stuck(100_000)),
        (json!([{"do": "echo"}]), stuck(0)),
    ] {
        let peer = peer(script).await;
        let error = patient(client(&json!({"idle_timeout": "100ms"})).post(peer.url()).body(body).send()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::Body, 1), "{error} {}", error.explain());
        // A blocked write ends by the kernel's limit, of which a peer that does not read hears nothing.
        if !peer.log()[0].did.starts_with("stop-reading") {
            eventually(&peer, "the connection is closed", || peer.open_connections() == 0).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_an_upload_fire_on_time_whichever_is_shorter() {
    let ends = async |step: Step, document| {
        let client = Client::on(Scripted::new([step])).policy(policy(&document)).build().unwrap();
        let error = client.post(URL).body("large").send().await.unwrap_err();
        (error.kind(), error.attempts()[0].duration)
    };
    let stuck = Step { connect: ms(50), upload_piece: ms(60_000), ..Step::status(200) };
    for per_try in ["10ms", "100ms", "1s", "30s", "none"] {
        let limits = json!({"idle_timeout": "100ms", "per_try_timeout": per_try});
        assert_eq!(ends(stuck.clone(), limits).await, (ErrorKind::Body, ms(150)), "per_try_timeout {per_try}");
    }
    let moving = Step { upload_piece: ms(19_000), ..Step::status(200) };
    let minutes = policy(&json!({"per_try_timeout": "1s", "idle_timeout": "20s", "timeout": "10m"}));
    let client = Client::on(Scripted::new([moving])).policy(minutes).build().unwrap();
    assert_eq!(client.post(URL).body("large").send().await.unwrap().elapsed(), ms(190_000), "slow, but moving");

    let slow = Step { upload_piece: ms(100), head: ms(50_000), ..Step::status(200) };
    for idle in ["101ms", "1s", "30s", "none"] {
        let limits = json!({"idle_timeout": idle, "per_try_timeout": "300ms"});
        assert_eq!(ends(slow.clone(), limits).await, (ErrorKind::PerTryTimeout, ms(1300)), "idle_timeout {idle}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_download_of_minutes_ends_by_no_timeout_but_silence() {
    let limits = json!({"per_try_timeout": "1s", "idle_timeout": "5s", "timeout": "30s"});
    let slow = || Step::status(200).body((0..60).map(|_| (ms(4900), Some(1000))));
    let client = Client::on(Scripted::new([slow()])).policy(policy(&limits)).build().unwrap();
    // Streamed: neither per_try_timeout nor the deadline concern what comes after the head.
    let mut response = client.get(URL).stream().await.unwrap();
    assert_eq!(response.bytes(100_000).await.unwrap().len(), 60_000);
    assert!(response.chunk().await.unwrap().is_none());
    // Buffered: the deadline does.
    assert_eq!(client.get(URL).send().await.unwrap_err().kind(), ErrorKind::Deadline);
    let patient = policy(&json!({"per_try_timeout": "1s", "idle_timeout": "5s", "timeout": "10m"}));
    assert_eq!(client.get(URL).policy(patient).send().await.unwrap().bytes().len(), 60_000);

    let silent = Step::status(200).body([(ms(0), Some(10)), (ms(5001), Some(10))]);
    let client = Client::on(Scripted::new([silent])).policy(policy(&limits)).build().unwrap();
    let mut response = client.get(URL).stream().await.unwrap();
    // Only waiting counts: who does not ask is not silent.
    tokio::time::sleep(ms(60_000)).await;
    assert_eq!(response.chunk().await.unwrap().unwrap().len(), 10);
    tokio::time::sleep(ms(60_000)).await;
    let error = response.chunk().await.unwrap_err();
    assert_eq!((error.kind(), error.status(), error.attempts().len()), (ErrorKind::Body, Some(200), 1));
    assert!(error.to_string().contains("idle_timeout (5s)"), "{error}");
    assert!(response.chunk().await.unwrap().is_none(), "it ended");
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_is_as_long_as_announced_and_no_larger_than_wanted() {
    let stream = async |length, most| {
        let step = Step { length, ..Step::status(200).body([(ms(0), Some(10)), (ms(0), Some(10))]) };
        let client = Client::on(Scripted::new([step])).policy(policy(&json!({}))).build().unwrap();
        client.get(URL).stream().await.unwrap().bytes(most).await.map(|bytes| bytes.len()).map_err(|error| error.kind())
    };
    assert_eq!(stream(Some(20), 20).await, Ok(20));
    assert_eq!(stream(Some(21), 20).await, Err(ErrorKind::Body));
    assert_eq!(stream(Some(19), 20).await, Err(ErrorKind::Body));
    assert_eq!(stream(None, 19).await, Err(ErrorKind::ResponseTooLarge));
}

#[tokio::test]
async fn who_reads_slowly_slows_the_server_down() {
    const ALL: usize = 256 << 20;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (blocked, mut wait) = tokio::sync::mpsc::channel(1);
    let writer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await.unwrap();
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {ALL}\r\n\r\n").as_bytes()).await.unwrap();
        let (piece, mut sent) = (vec![0; 64 << 10], 0);
        while sent < ALL {
            // Slow machines block too: nothing is asserted about the time.
            match tokio::time::timeout(ms(300), stream.write(&piece)).await {
                Ok(Ok(size)) => sent += size,
                Ok(Err(_)) => break,
                Err(_) => blocked.send(sent).await.unwrap(),
            }
        }
        sent
    });
    let mut response = patient(client(&json!({})).get(&url).stream()).await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    let sent = patient(wait.recv()).await.expect("all was sent to nobody");
    assert!(sent < 32 << 20, "{sent} bytes wait for a reader");
    drop(response);
    assert!(patient(writer).await.unwrap() < ALL, "dropping it closes the connection");
}

#[tokio::test]
async fn dropping_a_streamed_response_early_closes_its_connection_and_reading_it_all_keeps_it() {
    let peer =
        peer(json!([{"do": "status", "status": 200, "body_size": 20_000_000}, {"do": "status", "status": 200, "body_size": 50_000}])).await;
    let client = client(&json!({}));
    let mut response = patient(client.get(peer.url()).stream()).await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    eventually(&peer, "the server sees it go", || peer.open_connections() == 0 && peer.log()[0].client_gone_ms.is_some()).await;
    for _ in 0..2 {
        let mut response = patient(client.get(peer.url()).stream()).await.unwrap();
        assert_eq!(response.bytes(50_000).await.unwrap().len(), 50_000);
    }
    assert_eq!((peer.connections(), peer.log().len()), (2, 3));
}

/// The head was fine; what came of its body is told by the error's records, and by those of the response from then on.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_says_so_in_its_records() {
    let cut = Step::status(200).body([(ms(1), Some(10)), (ms(1), None)]);
    let silent = Step::status(200).body([(ms(1), Some(10)), (ms(60_000), Some(10))]);
    for step in [cut, silent] {
        let client = Client::on(Scripted::new([step])).policy(policy(&json!({"idle_timeout": "1s"}))).build().unwrap();
        let mut response = client.get(URL).stream().await.unwrap();
        assert_eq!(response.stop_reason(), StopReason::Completed);
        response.chunk().await.unwrap();
        let error = response.chunk().await.unwrap_err();
        for (records, reason, text) in [
            (error.attempts(), error.stop_reason().unwrap(), error.explain()),
            (response.attempts(), response.stop_reason(), response.explain()),
        ] {
            assert_eq!((records[0].status, records[0].error, reason), (Some(200), Some(ErrorKind::Body), StopReason::NotRetryable));
            assert!(text.contains(" 200, body after ") && text.contains("never repeated") && !text.contains("completed"), "{text}");
        }
        assert!(response.chunk().await.unwrap().is_none(), "nothing comes after it");
    }
}
