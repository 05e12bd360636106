//! A client on a builder of reqwest's own.
#![allow(clippy::unwrap_used)]

#[path = "support/live.rs"]
mod live;
mod support;

use live::{patient, peer, swift};
use reknock::ErrorKind;
use reknock::client::{Client, ReqwestBuilder};
use serde_json::json;

#[tokio::test]
async fn what_the_builder_says_holds_and_calls_are_ours() {
    let peer = peer(json!([{"do": "status", "status": 503}, {"do": "redirect", "status": 302, "location": "/next"}, {"do": "echo"}])).await;
    let builder = ReqwestBuilder(|| {
        reqwest::Client::builder()
            .no_proxy()
            .user_agent("theirs")
            .default_headers([(http::header::VIA, "x".parse().unwrap())].into_iter().collect())
    });
    let client = Client::on(builder).policy(swift(&json!({}))).build().unwrap();
    let response = patient(client.get(peer.url()).send()).await.unwrap();
    let seen: Vec<_> = response.attempts().iter().map(|record| (record.status, record.hop, record.connection.reused)).collect();
    assert_eq!(seen, [(Some(503), 0, Some(false)), (Some(302), 0, Some(true)), (Some(200), 1, Some(true))]);
    assert!(peer.log().iter().all(|arrival| arrival.header("via") == Some("x")), "{:?}", peer.log());
}

/// Each runtime, and each lane, has one of its own: none hangs on another's connections.
#[test]
fn every_runtime_asks_for_a_builder() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving = tokio::runtime::Runtime::new().unwrap();
    let peer = serving.block_on(peer(json!([{"do": "echo"}])));
    let client = Client::on(ReqwestBuilder(|| reqwest::Client::builder().no_proxy())).policy(swift(&json!({}))).build().unwrap();
    for _ in 0..3 {
        assert_eq!(runtime().block_on(patient_get(&client, peer.url())), 200);
        assert_eq!(client.get(peer.url()).send_blocking().unwrap().status(), 200);
    }
}

async fn patient_get<T: reknock::client::transport::Transport>(client: &Client<T>, url: &str) -> u16 {
    patient(client.get(url).send()).await.unwrap().status()
}

#[tokio::test]
async fn the_connect_limit_is_the_policys() {
    let peer = peer(json!([{"do": "connect-timeout"}])).await;
    let builder = ReqwestBuilder(|| reqwest::Client::builder().no_proxy());
    let client = Client::on(builder).policy(swift(&json!({"connect_timeout": "150ms", "max_retries": 0}))).build().unwrap();
    let error = patient(client.get(peer.url()).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::ConnectTimeout, 1));
}
