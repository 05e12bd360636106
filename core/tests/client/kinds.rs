//! Every kind of failure, produced on real sockets. A kind that is added without a case here fails the test.

use std::error::Error as StdError;

use crate::live::*;
use futures_util::stream::iter;
use reknock::client::{Body, Client, Http2};
use reknock::{Error, ErrorKind};
use serde_json::{Value as Json, json};

/// Kinds that no server can cause.
const EXCUSED: [(ErrorKind, &str); 2] = [
    (ErrorKind::Config, "raised when something is built, before there is a socket (tests/config.rs)"),
    (ErrorKind::Internal, "a bug by definition"),
];

/// One attempt at such a server under such a policy.
async fn get(script: Json, limits: Json) -> Error {
    let http2 = script.get("http2").is_some();
    let peer = peer(script).await;
    let mut options = options(None);
    options.http2 = if http2 { Http2::Only } else { Http2::Auto };
    let policy = swift(&json!({"max_retries": 0})).merge(&crate::support::value(&limits)).unwrap();
    let client = Client::on(options).policy(policy).max_response_size(1000).build().unwrap();
    patient(client.get(peer.url()).send()).await.unwrap_err()
}

async fn produce(kind: ErrorKind) -> Option<Error> {
    let status = |rest: Json| {
        let mut outcome = json!({"do": "status", "status": 200});
        outcome.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!([outcome])
    };
    Some(match kind {
        ErrorKind::InvalidRequest => {
            let peer = peer(json!([{"do": "echo"}])).await;
            let longer = Body::stream(iter([Ok("12345".into())]), Some(4));
            patient(client(&json!({})).put(peer.url()).body(longer).send()).await.unwrap_err()
        }
        ErrorKind::Connect => get(json!([{"do": "refused"}]), json!({})).await,
        ErrorKind::ConnectTimeout => get(json!([{"do": "connect-timeout"}]), json!({"connect_timeout": "100ms"})).await,
        ErrorKind::Tls => get(json!({"tls": "self-signed", "script": [{"do": "echo"}]}), json!({})).await,
        ErrorKind::Reset => get(json!([{"do": "reset"}]), json!({})).await,
        ErrorKind::RefusedStream => get(json!({"http2": true, "script": [{"do": "h2-rst", "code": 7}]}), json!({})).await,
        ErrorKind::Protocol => get(json!([{"do": "garbage"}]), json!({})).await,
        ErrorKind::PerTryTimeout => get(json!([{"do": "hang"}]), json!({"per_try_timeout": "50ms"})).await,
        ErrorKind::Body => get(status(json!({"body_size": 100, "body_mode": "truncate-fin"})), json!({})).await,
        ErrorKind::Deadline => get(json!([{"do": "hang"}]), json!({"timeout": "50ms"})).await,
        ErrorKind::TooManyRedirects => get(json!([{"do": "redirect", "status": 302, "location": "/"}]), json!({})).await,
        ErrorKind::ResponseTooLarge => get(status(json!({"body_size": 1001})), json!({})).await,
        ErrorKind::Cancelled | ErrorKind::Closed => {
            let peer = peer(json!([{"do": "hang"}])).await;
            let (client, cancel) = (client(&json!({})), reknock::client::Cancel::new());
            let off = async {
                eventually(&peer, "it arrives", || !peer.log().is_empty()).await;
                if kind == ErrorKind::Closed { client.close() } else { cancel.cancel() }
            };
            patient(async { tokio::join!(client.get(peer.url()).cancel(&cancel).send(), off).0 }).await.unwrap_err()
        }
        ErrorKind::Callback => {
            let peer = peer(json!([{"do": "echo"}])).await;
            let failing = Body::stream(iter([Err("no more".into())]), None);
            patient(client(&json!({})).put(peer.url()).body(failing).send()).await.unwrap_err()
        }
        _ => return None,
    })
}

#[tokio::test]
async fn every_kind_is_produced_by_a_server() {
    let mut produced = 0;
    for kind in ErrorKind::ALL {
        if EXCUSED.iter().any(|(excused, _)| excused == kind) {
            continue;
        }
        let error = produce(*kind).await.unwrap_or_else(|| panic!("{kind} has no case: write one, or a reason"));
        assert_eq!((error.kind(), error.attempts().len().min(1)), (*kind, 1), "{error}");
        let last = error.attempts().last().unwrap();
        assert_eq!(last.error, Some(*kind), "the record says it too");
        assert!(error.stop_reason().is_some() && error.explain().contains(kind.code()), "{}", error.explain());
        // The original error is kept where there is one below.
        let below = matches!(
            kind,
            ErrorKind::InvalidRequest
                | ErrorKind::Connect
                | ErrorKind::ConnectTimeout
                | ErrorKind::Tls
                | ErrorKind::Reset
                | ErrorKind::RefusedStream
                | ErrorKind::Protocol
                | ErrorKind::Body
                | ErrorKind::Callback
        );
        assert_eq!(error.source().is_some(), below, "{kind}: {:?}", error.source());
        produced += 1;
    }
    crate::support::counted(produced, ErrorKind::ALL.len() - EXCUSED.len());
}
