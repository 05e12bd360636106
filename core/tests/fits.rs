//! What is expected of a client in Rust: tasks, streams, readers, bodies, messages of `http`, serde, and runtimes that lack something.
#![allow(clippy::unwrap_used)]

#[path = "support/live.rs"]
mod live;
#[path = "support/mod.rs"]
mod support;

use bytes::Bytes;
use futures_util::{FutureExt, TryStreamExt};
use http_body::Body as _;
use http_body_util::BodyExt;
use live::{client, patient, pattern, peer};
use reknock::client::testing::{Script, Step};
use reknock::client::{CallOptions, Callbacks, Client, ResponseHead};
use reknock::{Error, ErrorKind, Policy, PolicySet, StopReason};
use serde_json::json;
use support::value;
use tokio::io::AsyncReadExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_to_another_task() {
    let peer = peer(json!([{"do": "status", "status": 503}, {"do": "status", "status": 200}])).await;
    let client = client(&json!({}));
    let call = tokio::spawn(client.get(peer.url()).send());
    drop(client);
    assert_eq!(patient(call).await.unwrap().unwrap().attempts().len(), 2);
}

#[tokio::test]
async fn a_response_is_a_stream_a_reader_and_a_body() {
    let peer = peer(json!([{"do": "status", "status": 200, "body_size": 100_000}])).await;
    let client = client(&json!({}));
    let whole = pattern(100_000);

    let mut response = client.get(peer.url()).stream().await.unwrap();
    assert_eq!(response.size_hint().exact(), Some(100_000));
    let mut head = [0; 1000];
    response.read_exact(&mut head).await.unwrap();
    assert_eq!(response.size_hint().exact(), Some(99_000));
    // Whichever way it is read, nothing is read twice or lost.
    let piece = response.chunk().await.unwrap().unwrap();
    let rest: Vec<Bytes> = (&mut response).try_collect().await.unwrap();
    assert_eq!([&head[..], &piece, &rest.concat()].concat(), whole);
    assert!(response.is_end_stream());

    let mut text = Vec::new();
    client.get(peer.url()).stream().await.unwrap().read_to_end(&mut text).await.unwrap();
    assert_eq!(text, whole);
    let body = client.get(peer.url()).stream().await.unwrap().collect().await.unwrap();
    assert_eq!(body.to_bytes(), whole);
}

#[tokio::test]
async fn a_reader_tells_what_broke_the_body() {
    let peer = peer(json!([{"do": "status", "status": 200, "body_size": 1000, "body_mode": "truncate-fin", "after": 400}])).await;
    let mut response = client(&json!({})).get(peer.url()).stream().await.unwrap();
    let mut read = Vec::new();
    let error = response.read_to_end(&mut read).await.unwrap_err();
    let error = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!((error.kind(), read.len(), response.is_broken()), (ErrorKind::Body, 400, true));
    assert_eq!(response.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn responses_become_those_of_http() {
    let peer = peer(json!([{"do": "status", "status": 201, "headers": [["x-one", "1"]], "body": "text"}])).await;
    let client = client(&json!({}));
    let response: http::Response<Bytes> = client.get(peer.url()).send().await.unwrap().into();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-one"], &response.body()[..]),
        (201, &"1".parse().unwrap(), &b"text"[..])
    );
    let head = response.extensions().get::<ResponseHead>().unwrap();
    assert_eq!((head.attempts().len(), head.stop_reason()), (1, StopReason::Completed));
    let streamed: http::Response<_> = client.get(peer.url()).stream().await.unwrap().into();
    assert_eq!((streamed.status().as_u16(), streamed.into_body().collect().await.unwrap().to_bytes()), (201, Bytes::from("text")));
}

/// Everything that is awaited: sent, streamed, delivered, by a client whose policy's file is watched, too.
#[test]
fn a_runtime_that_lacks_something_is_an_error() {
    let call = async { Client::builder().build().unwrap().get("http://127.0.0.1:1/").send().await.unwrap_err() };
    let message = "this tokio runtime lacks timers or I/O, without which no call can be made; build it with enable_all()";
    let file = std::env::temp_dir().join(format!("reknock-fits-{}.yaml", std::process::id()));
    std::fs::write(&file, "max_retries: 1").unwrap();
    for builder in [
        &mut tokio::runtime::Builder::new_current_thread(),
        tokio::runtime::Builder::new_current_thread().enable_io(),
        tokio::runtime::Builder::new_current_thread().enable_time(),
    ] {
        let runtime = builder.build().unwrap();
        let is_refused = |error: Error| assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, message.to_owned()));
        for policies in [PolicySet::from(Policy::default()), PolicySet::watch(&file, None).unwrap()] {
            let client = Client::builder().policy(policies).build().unwrap();
            let get = || client.get("http://127.0.0.1:1/");
            is_refused(runtime.block_on(get().send()).unwrap_err());
            is_refused(runtime.block_on(get().stream()).unwrap_err());
            let options = CallOptions::default();
            is_refused(runtime.block_on(client.deliver_with(get().build().unwrap(), &options, Callbacks::new())).unwrap_err());
            // What waits for nothing needs no runtime at all.
            assert!(client.budget("http://127.0.0.1:1/").is_none() && client.policy_error().is_none());
            client.set_policy(Policy::default()).unwrap();
        }
    }
    std::fs::remove_file(&file).unwrap();
    let script = Script::new([Step::status(200).unwrap()]);
    let answered = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(async { Client::on(script).build().unwrap().get("http://service.test/").send().await });
    assert_eq!(answered.unwrap().status(), 200, "what opens no socket needs no I/O");
    let error = call.now_or_never().unwrap();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Config, "a call must be made inside a tokio runtime with time and I/O enabled".to_owned())
    );
}

/// A body may be read elsewhere than its call was made.
#[test]
fn reading_where_there_are_no_timers_is_an_error() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let peer = runtime.block_on(peer(json!([{"do": "status", "status": 200, "body_size": 300, "body_mode": "stall", "after": 200}])));
    let stream = || runtime.block_on(client(&json!({})).get(peer.url()).stream()).unwrap();
    let mut response = stream();
    let error = response.chunk().now_or_never().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.attempts().len(), response.is_broken()), (ErrorKind::Config, 1, true));
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(bare.block_on(stream().bytes(1000)).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn policies_stand_in_documents_of_others() {
    let document = json!({"max_retries": 3, "backoff": {"base": "100ms"}, "statuses": [503, "500-502"]});
    let policy: Policy = serde_json::from_value(document).unwrap();
    assert_eq!(policy, Policy::from_yaml("{max_retries: 3, backoff: {base: 100ms}, statuses: [503, 500-502]}").unwrap());
    let written = serde_json::to_string(&policy).unwrap();
    let documents: [serde_json::Value; 2] = [&written, &policy.to_json()].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(documents[0], documents[1]);
    assert_eq!(serde_json::from_str::<Policy>(&written).unwrap(), policy);
    let error = serde_json::from_value::<Policy>(json!({"max_retry": 3})).unwrap_err();
    assert_eq!(error.to_string(), Policy::from_json(r#"{"max_retry": 3}"#).unwrap_err().to_string());

    let set = PolicySet::from_value(&value(
        &json!({"policies": {"slow": {"timeout": "5m"}}, "rules": [{"match": {"host": "a.test"}, "policy": "slow"}]}),
    ))
    .unwrap();
    assert_eq!(serde_json::from_str::<PolicySet>(&serde_json::to_string(&set).unwrap()).unwrap(), set);
    assert_eq!(serde_json::from_str::<PolicySet>(&written).unwrap(), PolicySet::from(policy));
}
