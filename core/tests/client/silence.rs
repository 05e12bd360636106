//! When a response counts as silent whose upload is still going on: in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::policy;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use reknock::ErrorKind;
use reknock::client::transport::{Failure, Incoming, Outgoing, Received, Transport};
use reknock::client::{Client, Clock, TokioClock};
use serde_json::json;
use tokio::time::sleep;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Answers with a head at once, while the upload goes on: so many more pieces, one every 400 ms. The body comes 400 ms after the last, if all moved.
#[derive(Clone)]
struct Early {
    pieces: u64,
    stuck: bool,
}

struct Late(Option<Duration>);

impl Transport for Early {
    type Body = Late;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<Late>, Failure> {
        let (Early { pieces, stuck }, progress) = (self.clone(), outgoing.progress);
        progress.touch(TokioClock.now());
        tokio::spawn(async move {
            for _ in 0..pieces {
                sleep(ms(400)).await;
                progress.touch(TokioClock.now());
            }
            if !stuck {
                progress.uploaded(TokioClock.now());
            }
        });
        let body = Late(Some(if stuck { ms(60_000) } else { ms(400) * (pieces as u32 + 1) }));
        Ok(Received { reason: None, status: StatusCode::OK, version: Version::HTTP_11, headers: HeaderMap::new(), body, length: None })
    }
}

impl Incoming for Late {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(wait) = self.0 else { return Ok(None) };
        sleep(wait).await;
        self.0 = None;
        Ok(Some("late".into()))
    }
}

async fn call(transport: Early, streamed: bool) -> (Result<Bytes, ErrorKind>, Duration) {
    call_by(&json!({"idle_timeout": "500ms", "max_retries": 0}), transport, streamed).await
}

async fn call_by(document: &serde_json::Value, transport: Early, streamed: bool) -> (Result<Bytes, ErrorKind>, Duration) {
    let client = Client::on(transport).policy(policy(document)).build().unwrap();
    let began = TokioClock.now();
    let request = client.post("http://server.test/").body("x");
    let ended = if streamed {
        request.stream().await.unwrap().bytes(100).await
    } else {
        request.send().await.map(|response| response.bytes().clone())
    };
    (ended.map_err(|error| error.kind()), TokioClock.now().since(began))
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_moves_is_no_silence() {
    for streamed in [false, true] {
        assert_eq!(call(Early { pieces: 5, stuck: false }, streamed).await, (Ok("late".into()), ms(2400)), "{streamed}");
        assert_eq!(
            call(Early { pieces: 5, stuck: true }, streamed).await,
            (Err(ErrorKind::Body), ms(2500)),
            "{streamed}: after the last byte"
        );
        assert_eq!(call(Early { pieces: 0, stuck: true }, streamed).await, (Err(ErrorKind::Body), ms(500)), "{streamed}");
    }
}

/// `per_try_until: body`: an attempt's clock goes on to the end of a body that is buffered, and begins with the end of the upload.
#[tokio::test(start_paused = true)]
async fn the_limit_of_an_attempt_may_hold_for_the_body() {
    let limits = |until: &str, retries: u32| json!({"per_try_timeout": "300ms", "per_try_until": until, "backoff": "none", "max_retries": retries, "methods": "any"});
    let at_once = || Early { pieces: 0, stuck: false };
    let timed_out = Err(ErrorKind::PerTryTimeout);
    assert_eq!(call_by(&limits("body", 0), at_once(), false).await, (timed_out.clone(), ms(300)));
    assert_eq!(call_by(&limits("head", 0), at_once(), false).await, (Ok("late".into()), ms(400)));
    assert_eq!(call_by(&limits("body", 0), at_once(), true).await, (Ok("late".into()), ms(400)), "streamed");
    // Its end is retried like any of that kind: by a condition that covers it.
    let retried = json!({"per_try_timeout": "300ms", "per_try_until": "body", "backoff": "none", "max_retries": 2, "methods": "any", "retry_on": ["reset"]});
    assert_eq!(call_by(&retried, at_once(), false).await, (timed_out.clone(), ms(900)));
    assert_eq!(
        call_by(&json!({"timeout": "200ms", "per_try_timeout": "300ms", "per_try_until": "body"}), at_once(), false).await.0,
        Err(ErrorKind::Deadline)
    );
}

/// Takes the body piece by piece, one every 50 ms, and answers so long after the last one.
#[derive(Clone)]
struct Slow {
    pieces: u32,
    answers_after: Duration,
}

impl Transport for Slow {
    type Body = Late;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<Late>, Failure> {
        for _ in 0..self.pieces {
            outgoing.progress.touch(TokioClock.now());
            sleep(ms(50)).await;
        }
        outgoing.progress.uploaded(TokioClock.now());
        sleep(self.answers_after).await;
        Ok(Received {
            reason: None,
            status: StatusCode::OK,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            body: Late(None),
            length: None,
        })
    }
}

/// As Envoy does it: a route's timeout starts when the request is fully sent, however long that took.
#[tokio::test(start_paused = true)]
async fn the_timeout_of_a_route_starts_with_the_end_of_the_upload() {
    let call = async |compat: &str, answers_after: u64| {
        let document = json!({"compat": compat, "timeout": "80ms", "per_try_timeout": "none", "idle_timeout": "none", "connect_timeout": "none", "max_retries": 0});
        let client = Client::on(Slow { pieces: 5, answers_after: ms(answers_after) }).policy(policy(&document)).build().unwrap();
        let began = TokioClock.now();
        let ended = client.post("http://server.test/").body("x").send().await.map(|response| response.status());
        (ended.map_err(|error| error.kind()), TokioClock.now().since(began))
    };
    assert_eq!(call("envoy", 0).await, (Ok(200), ms(250)));
    assert_eq!(call("envoy", 79).await, (Ok(200), ms(329)));
    assert_eq!(call("envoy", 500).await, (Err(ErrorKind::Deadline), ms(330)));
    assert_eq!(call("none", 0).await, (Err(ErrorKind::Deadline), ms(80)));
}

/// Answers 503, after an interim answer or not.
#[derive(Clone)]
struct Interim(bool, Arc<AtomicU32>);

impl Transport for Interim {
    type Body = Late;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<Late>, Failure> {
        self.1.fetch_add(1, Ordering::SeqCst);
        if self.0 {
            outgoing.progress.note_interim(103);
        }
        let (status, version, headers) = (StatusCode::SERVICE_UNAVAILABLE, Version::HTTP_11, HeaderMap::new());
        Ok(Received { reason: None, status, version, headers, body: Late(None), length: None })
    }
}

/// As Envoy does it: nothing is retried after an interim answer.
#[tokio::test(start_paused = true)]
async fn an_interim_answer_ends_the_retries_of_a_route() {
    for (compat, interim, sends) in [("envoy", true, 1), ("envoy", false, 3), ("none", true, 3)] {
        let count = Arc::new(AtomicU32::new(0));
        let document = json!({"compat": compat, "statuses": [503], "max_retries": 2, "budget": "none"});
        let client = Client::on(Interim(interim, Arc::clone(&count))).policy(policy(&document)).build().unwrap();
        let response = client.get("http://server.test/").send().await.unwrap();
        assert_eq!((response.status(), count.load(Ordering::SeqCst)), (503, sends), "{compat} {interim}");
    }
}
