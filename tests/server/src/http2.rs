//! The scripted side of HTTP/2: one connection and its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::body::Digest;
use crate::connection::finish;
use crate::exchange2::Exchange;
use crate::log::Arrival;
use crate::outcome::{Action, End};
use crate::script::State;
use crate::shared::Shared;
use crate::stream::Stream;

const WINDOW: u32 = 1 << 20;
const MAX_HEAD: u32 = 1 << 20;

/// The end that an outcome makes of the whole connection.
#[derive(Debug)]
pub(crate) struct Last {
    /// Written as it is, between two frames.
    pub(crate) bytes: Bytes,
    pub(crate) end: End,
}

impl Last {
    pub(crate) fn quiet(end: End) -> Self {
        Self { bytes: Bytes::new(), end }
    }

    pub(crate) fn goaway(code: u32, last_stream: u32) -> Self {
        let mut payload = last_stream.to_be_bytes().to_vec();
        payload.extend_from_slice(&code.to_be_bytes());
        Self { bytes: frame(7, 0, 0, &payload), end: End::Fin }
    }
}

/// An HTTP/2 frame; the payload is shorter than 16 KiB.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let len = (payload.len() as u32).to_be_bytes();
    let mut bytes = vec![len[1], len[2], len[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.into()
}

pub(crate) async fn serve(state: Arc<State>, stream: Stream, serial: u64, mut renewals: watch::Receiver<()>) {
    let shared = Shared::new(stream);
    let handshake = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .max_header_list_size(MAX_HEAD)
        .handshake::<_, Bytes>(shared.clone());
    let Ok(mut connection) = handshake.await else {
        return;
    };
    let (last, mut lasts) = mpsc::channel::<Last>(1);
    let mut exchanges = JoinSet::new();
    let mut leaving = false;
    let last = loop {
        tokio::select! {
            biased;
            last = lasts.recv() => break last,
            Some(_) = exchanges.join_next() => {}
            _ = renewals.changed(), if !leaving => {
                leaving = true;
                connection.graceful_shutdown();
            }
            request = connection.accept() => {
                let Some(Ok((request, respond))) = request else { break None };
                let Some(exchange) = begin(&state, serial, &request, &shared, &last) else {
                    break Some(Last::quiet(End::Reset));
                };
                // The client has to hear of it before it gets its answer.
                if !leaving && (!state.keep_alive || renewals.has_changed().unwrap_or(true)) {
                    leaving = true;
                    renewals.mark_unchanged();
                    connection.graceful_shutdown();
                }
                exchanges.spawn(exchange.run(request, respond));
            }
        }
    };
    let Some(last) = last else {
        // The client is gone: let the exchanges notice, so that the log tells.
        let _ = tokio::time::timeout(Duration::from_secs(1), async { while exchanges.join_next().await.is_some() {} }).await;
        return;
    };
    drop(exchanges);
    let taken = shared.take();
    drop(connection);
    if let Some(mut stream) = taken {
        if !last.bytes.is_empty() {
            let _ = stream.write_all(&last.bytes).await;
            let _ = stream.flush().await;
        }
        finish(stream, last.end).await;
    }
}

/// Logs a request and takes its outcome; `None` if it should not have come this way.
fn begin(state: &Arc<State>, serial: u64, request: &Request<RecvStream>, shared: &Shared, last: &mpsc::Sender<Last>) -> Option<Exchange> {
    let at_ms = state.log.now_ms();
    let claim = state.claim_request();
    let n = claim.map_or_else(|n| n, |claim| claim.n);
    let uri = request.uri();
    let mut headers = Vec::new();
    if let Some(authority) = uri.authority() {
        headers.push((":authority".to_owned(), authority.to_string()));
    }
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.push((name.as_str().to_owned(), value));
    }
    let arrival = Arrival {
        n,
        connection: serial,
        at_ms,
        version: "2",
        method: request.method().as_str().to_owned(),
        target: uri.path_and_query().map_or("*", |target| target.as_str()).to_owned(),
        headers,
        body_size: 0,
        body_sha256: Digest::new(false).sha256(),
        body_complete: false,
        did: state.outcomes[n].label(),
        ended_early: false,
        client_gone_ms: None,
    };
    let entry = state.log.add(arrival.clone());
    let claim = claim.ok()?;
    Some(Exchange {
        digest: Digest::new(matches!(state.outcomes[n].action, Action::Echo)),
        state: Arc::clone(state),
        claim,
        entry,
        arrival,
        shared: shared.clone(),
        last: last.clone(),
    })
}

/// The response half of a stream, as both sides of its life need it.
pub(crate) type Respond = SendResponse<Bytes>;
