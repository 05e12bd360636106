//! Calling off on real sockets, in every state: by drop, by cancel, by closing the client.

use std::sync::Arc;

use crate::live::*;
use reknock::client::{Callbacks, Cancel, Client, Opinion};
use reknock::{ErrorKind, Evidence, StopReason};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Off {
    Drop,
    Cancel,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Connecting,
    Handshake,
    Sending,
    AwaitingHead,
    HalfAHead,
    ReadingBody,
    Waiting,
    InCallback,
}

impl State {
    const ALL: [State; 8] = [
        State::Connecting,
        State::Handshake,
        State::Sending,
        State::AwaitingHead,
        State::HalfAHead,
        State::ReadingBody,
        State::Waiting,
        State::InCallback,
    ];

    fn script(self) -> Json {
        match self {
            State::Connecting => json!([{"do": "connect-timeout"}]),
            State::Handshake => json!({"tls": "trusted", "script": [{"do": "tls-stall"}]}),
            State::Sending => json!([{"do": "stop-reading"}]),
            State::AwaitingHead => json!([{"do": "hang"}]),
            State::HalfAHead => json!([{"do": "partial-head", "end": "stall"}]),
            State::ReadingBody => json!([{"do": "status", "status": 200, "body_size": 4000, "body_mode": "stall"}]),
            State::Waiting | State::InCallback => json!([{"do": "status", "status": 503, "close": true}]),
        }
    }

    /// Whether the server can see it.
    fn reached(self, peer: &Peer) -> bool {
        match self {
            State::Connecting => true,
            State::Handshake => peer.open_connections() == 1,
            State::Sending => peer.log().len() == 1,
            State::Waiting | State::InCallback => peer.log().len() == 1 && peer.open_connections() == 0,
            _ => peer.log().first().is_some_and(|arrival| arrival.body_complete),
        }
    }
}

#[tokio::test]
async fn in_every_state_in_every_way() {
    for state in State::ALL {
        for off in [Off::Drop, Off::Cancel, Off::Close] {
            in_state(state, off).await;
        }
    }
}

async fn in_state(state: State, off: Off) {
    let what = format!("{off:?} while {state:?}");
    let peer = peer(state.script()).await;
    let document = json!({"budget": {"kind": "concurrency", "percent": 100, "min": 1}, "backoff": "20s", "connect_timeout": "25s"});
    let client = Client::on(options(peer.ca())).policy(swift(&document)).build().unwrap();
    let (cancel, asked) = (Cancel::new(), Arc::new(Notify::new()));
    let mut callbacks = Callbacks::new();
    if state == State::InCallback {
        let asked = asked.clone();
        callbacks = callbacks.retry_if_async(move |_| {
            asked.notify_one();
            std::future::pending::<Result<Opinion, reknock::BoxError>>()
        });
    }
    let call = tokio::spawn({
        let (client, cancel, url) = (client.clone(), cancel.clone(), peer.url().to_owned());
        let size = if state == State::Sending { 30_000_000 } else { 10 };
        async move { client.put(&url).body(vec![b'x'; size]).callbacks(callbacks).cancel(&cancel).send().await }
    });
    if state == State::InCallback {
        patient(asked.notified()).await;
    }
    eventually(&peer, &what, || state.reached(&peer)).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished(), "{what}");
    match off {
        Off::Drop => call.abort(),
        Off::Cancel => cancel.cancel(),
        Off::Close => client.close(),
    }
    match patient(call).await {
        Err(join) => assert!(off == Off::Drop && join.is_cancelled(), "{what}"),
        Ok(result) => {
            let error = result.unwrap_err();
            let (kind, reason) = match off {
                Off::Cancel => (ErrorKind::Cancelled, StopReason::Cancelled),
                _ => (ErrorKind::Closed, StopReason::Closed),
            };
            assert_eq!((error.kind(), error.stop_reason(), error.attempts().len()), (kind, Some(reason), 1), "{what}");
            let record = &error.attempts()[0];
            let (status, failed) = match state {
                State::Waiting | State::InCallback => (Some(503), None),
                State::ReadingBody => (Some(200), Some(kind)),
                _ => (None, Some(kind)),
            };
            assert_eq!((record.status, record.error, record.wait.is_some()), (status, failed, state == State::Waiting), "{what}");
            let unsent = matches!(state, State::Connecting | State::Handshake);
            assert_eq!(record.evidence, if unsent { Evidence::NotSent } else { Evidence::Unknown }, "{what}");
        }
    }
    let reading = client.budget(peer.url().trim_end_matches('/')).unwrap();
    assert_eq!((reading.balance, reading.withdrawals), (1, 0), "{what}: {reading:?}");
    // A peer that does not read hears nothing of a write that is given up.
    if state != State::Sending {
        eventually(&peer, &format!("{what}: the connection is closed"), || peer.open_connections() == 0).await;
    }
    let sends = usize::from(!matches!(state, State::Connecting | State::Handshake));
    assert_eq!(peer.log().len(), sends, "{what}: nothing more is sent");
}

#[tokio::test]
async fn a_call_off_that_came_first_sends_nothing() {
    let peer = peer(json!([{"do": "echo"}])).await;
    let client = client(&json!({}));
    patient(client.get(peer.url()).send()).await.unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    cancel.cancel();
    let error = patient(client.get(peer.url()).cancel(&cancel).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.stop_reason(), error.attempts().len()), (ErrorKind::Cancelled, Some(StopReason::Cancelled), 0));
    client.close();
    let error = patient(client.clone().get(peer.url()).send()).await.unwrap_err();
    assert_eq!((error.kind(), error.stop_reason(), error.attempts().len()), (ErrorKind::Closed, Some(StopReason::Closed), 0));
    assert_eq!((peer.log().len(), peer.connections()), (1, 1));
}

#[tokio::test]
async fn a_streamed_body_is_called_off() {
    for off in [Off::Drop, Off::Cancel, Off::Close] {
        let peer = peer(json!([{"do": "status", "status": 200, "body_size": 4000, "body_mode": "stall"}])).await;
        let (client, cancel) = (client(&json!({})), Cancel::new());
        let mut response = patient(client.get(peer.url()).cancel(&cancel).stream()).await.unwrap();
        let reading = async {
            loop {
                match response.chunk().await {
                    Ok(Some(_)) => {}
                    end => return end,
                }
            }
        };
        let calling_off = async {
            tokio::task::yield_now().await;
            match off {
                Off::Drop => {}
                Off::Cancel => cancel.cancel(),
                Off::Close => client.close(),
            }
        };
        if off == Off::Drop {
            drop(reading);
            drop(response);
        } else {
            let (end, ()) = patient(async { tokio::join!(reading, calling_off) }).await;
            let error = end.unwrap_err();
            let kind = if off == Off::Cancel { ErrorKind::Cancelled } else { ErrorKind::Closed };
            assert_eq!((error.kind(), error.status(), error.attempts().len()), (kind, Some(200), 1));
            // It need not be dropped for the connection to close.
            eventually(&peer, "closed", || peer.open_connections() == 0).await;
            assert!(response.chunk().await.unwrap().is_none());
        }
        eventually(&peer, "the server sees it go", || peer.log()[0].client_gone_ms.is_some() && peer.open_connections() == 0).await;
    }
}
