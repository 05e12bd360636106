//! The examples of the four systems' documentation pages: docs/dialects/examples, as files and at work.

use reknock::client::Http2;
use reknock::policy::{Loaded, load_all};
use serde_json::json;

use super::*;
use crate::live::{patient, peer};
use crate::replay::Watched;

fn loaded(name: &str) -> Loaded {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dialects/examples").join(name);
    let mut all = load_all(&path, None).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test(start_paused = true)]
async fn ktor() {
    let policy = loaded("ktor.yaml").policy;
    let (times, result) = call(policy.clone(), "POST", statuses([500, 501, 599, 503, 500, 500, 200])).await;
    assert_eq!((times.len(), result.unwrap().status()), (6, 500));
    for (gap, least) in gaps(&times).into_iter().zip([1, 2, 4, 8, 16]) {
        assert!((secs(f64::from(least))..secs(f64::from(least + 1))).contains(&gap), "{gap:?}");
    }
    assert_eq!(call(policy, "POST", [io(), Step::status(200)]).await.0.len(), 2, "exceptions are retried unless told otherwise");
}

/// A service that stalls for five seconds three times of four.
#[tokio::test(start_paused = true)]
async fn ballerina() {
    let slow = || Step::status(200).head(secs(5.0));
    let loaded = loaded("client.bal");
    assert_eq!(loaded.name.as_deref(), Some("backend"));
    let (times, result) = call(loaded.policy, "GET", [slow(), slow(), slow(), Step::status(200)]).await;
    assert_eq!((times, result.unwrap().status()), (vec![secs(0.0), secs(5.0), secs(13.0), secs(27.0)], 200));
}

/// For real, ten times as fast: no attempt before its time. A busy machine may not answer within 0.2 s; then once more.
#[tokio::test]
async fn ballerina_on_a_socket() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dialects/examples/client.bal");
    let mut text = std::fs::read_to_string(path).unwrap();
    for (slow, fast) in [("interval: 3", "interval: 0.3"), ("maxWaitInterval: 20", "maxWaitInterval: 2"), ("timeout = 2", "timeout = 0.2")]
    {
        assert!(text.contains(slow));
        text = text.replace(slow, fast);
    }
    let stall = json!({"do": "status", "status": 200, "delay": "500ms"});
    let client = Client::on(crate::live::options(None)).policy(read(&text)).build().unwrap();
    for _ in 0..10 {
        let peer = peer(json!([stall, stall, stall, {"do": "status", "status": 200, "body": "Hello World!!!"}])).await;
        let Ok(response) = patient(client.post(peer.url()).body("name").send()).await else { continue };
        assert_eq!((response.status(), &*response.text()), (200, "Hello World!!!"));
        let starts: Vec<_> = response.attempts().iter().map(|attempt| attempt.start).collect();
        assert!(starts.len() == 4 && starts.iter().zip([0, 500, 1300, 2700]).all(|(start, planned)| *start >= ms(planned)), "{starts:?}");
        let log = peer.log();
        assert!(log.len() == 4 && log.iter().all(|arrival| arrival.body_size == 4 && arrival.body_complete));
        return;
    }
    panic!("never answered in time");
}

/// What connects in the end is answered, and the server is told how long it has.
#[tokio::test]
async fn kgateway() {
    let loaded = loaded("route-option.yaml");
    assert_eq!(loaded.name.as_deref(), Some("retry"));
    let script = json!([{"do": "refused"}, {"do": "refused"}, {"do": "refused"}, {"do": "echo"}]);
    let peer = peer(script.clone()).await;
    let peer = std::sync::Arc::new(peer.server.script(script.clone()).await.unwrap());
    let transport = Watched::new(&peer, &script, false).unwrap();
    let client = Client::on(transport).policy(loaded.policy.clone()).build().unwrap();
    let response = patient(client.post(peer.url()).body("x").send()).await.unwrap();
    assert_eq!((response.status(), response.attempts().len()), (200, 4));
    let log = peer.log();
    assert_eq!(log[0].header("x-envoy-expected-rq-timeout-ms"), Some("5000"));
    assert_eq!(log[0].header("x-envoy-attempt-count"), Some("4"));
    // An attempt that takes too long is no failure to connect.
    let peer = crate::live::peer(json!([{"do": "hang"}])).await;
    let quick = loaded.policy.merge(&Value::from([("per_try_timeout", "300ms")])).unwrap();
    let mut options = crate::live::options(None);
    options.http2 = Http2::None;
    let error = patient(Client::on(options).policy(quick).build().unwrap().get(peer.url()).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.stop_reason(), peer.log().len()), (ErrorKind::PerTryTimeout, Some(StopReason::NotRetryable), 1));
}

/// 75 retries in reserve and half a one per call; the first wait is 10 ms, each next one between that and three times the last.
#[tokio::test(start_paused = true)]
async fn linkerd() {
    let policy = loaded("linkerd.yaml").policy;
    let client = Client::on(Scripted::new([Step::refuse(ErrorKind::Connect)])).policy(policy.clone()).build().unwrap();
    let error = client.get(URL).send().await.unwrap_err();
    assert_eq!(error.stop_reason(), Some(StopReason::RetriesExhausted), "the reserve comes back while the call waits");
    let waits: Vec<_> = error.attempts().iter().filter_map(|attempt| attempt.wait).collect();
    assert_eq!((waits.len(), waits[0]), (100, ms(10)));
    assert!(waits.windows(2).all(|pair| pair[1] >= ms(10) && pair[1] <= (pair[0] * 3).min(secs(10.0))));
    // Within one moment there are 75 and half a one per call.
    let at_once = policy.merge(&Value::from([("backoff", "none")])).unwrap();
    let client = Client::on(Scripted::new([Step::refuse(ErrorKind::Connect)])).policy(at_once).build().unwrap();
    let error = client.get(URL).send().await.unwrap_err();
    assert_eq!((error.stop_reason(), error.attempts().len()), (Some(StopReason::BudgetExhausted), 76));
    assert_eq!(client.get(URL).send().await.unwrap_err().attempts().len(), 2, "two halves are one");
}
