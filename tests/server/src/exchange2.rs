//! The scripted side of HTTP/2: one request and its outcome.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use tokio::sync::mpsc;

use crate::body::{BodySource, Digest};
use crate::http2::{Last, Respond, frame};
use crate::log::{Arrival, Entry};
use crate::outcome::{Action, BadHead, BigHead, Content, Cut, End, Reply};
use crate::reply;
use crate::script::{Claim, State};
use crate::shared::Shared;

/// Headers that HTTP/2 does not have.
const CONNECTION_HEADERS: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
/// `http::HeaderMap` holds no more than this.
const MAX_LINES: u64 = 24_000;
const ENDLESS: usize = 100_000_000;

/// The client is gone, or reset the stream.
struct Gone;

pub(crate) struct Exchange {
    pub(crate) state: Arc<State>,
    pub(crate) claim: Claim,
    pub(crate) entry: Entry,
    pub(crate) arrival: Arrival,
    pub(crate) digest: Digest,
    pub(crate) shared: Shared,
    pub(crate) last: mpsc::Sender<Last>,
}

impl Exchange {
    pub(crate) async fn run(mut self, request: Request<RecvStream>, mut respond: Respond) {
        if self.claim.realign {
            self.state.realign().await;
        }
        let mut body = request.into_body();
        if self.act(&mut body, &mut respond).await.is_err() {
            self.state.log.client_gone(self.entry);
        }
    }

    async fn act(&mut self, body: &mut RecvStream, respond: &mut Respond) -> Result<(), Gone> {
        let state = Arc::clone(&self.state);
        let outcome = &state.outcomes[self.claim.n];
        let stream = respond.stream_id().as_u32();
        match outcome.action {
            Action::ResetMidUpload(after) | Action::StopReading(after) => {
                self.read_body(body, after, true).await?;
            }
            _ if outcome.read_body => self.read_body(body, u64::MAX, false).await?,
            _ if body.is_end_stream() => self.note_body(true),
            _ => {}
        }
        if !outcome.delay.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(outcome.delay) => {}
                gone = hold(respond) => return gone,
            }
        }
        match &outcome.action {
            Action::Status(reply) => self.answer(respond, reply, None).await,
            Action::Echo => {
                let reply = reply::echo(&self.arrival, &self.digest);
                self.answer(respond, &reply, None).await
            }
            Action::H2BodyRst { code, after } => {
                let reply = Reply {
                    cut: Some(Cut { end: End::Reset, after: Some(*after) }),
                    ..Reply::new(200, Content::Generated { size: after * 2, zeros: false })
                };
                self.answer(respond, &reply, Some(Reason::from(*code))).await
            }
            Action::H2Rst(code) => {
                respond.send_reset(Reason::from(*code));
                Ok(())
            }
            Action::H2Goaway { code, last } => self.end(Last::goaway(*code, *last)).await,
            Action::Hang | Action::H2Hang | Action::StopReading(_) => hold(respond).await,
            Action::Reset
            | Action::ResetMidUpload(_)
            | Action::AcceptReset
            | Action::TlsReset
            | Action::Refused
            | Action::ConnectTimeout => self.end(Last::quiet(End::Reset)).await,
            Action::Close { .. } | Action::H2Close | Action::AcceptClose | Action::TlsClose | Action::TlsAlert | Action::TlsStall => {
                self.end(Last::quiet(End::Fin)).await
            }
            Action::PartialHead(end) => {
                // HEADERS with `:status: 200` and without END_HEADERS.
                let bytes = frame(1, 0, stream, &[0x88]);
                self.end(Last { bytes, end: *end }).await
            }
            Action::Garbage(text) => self.end(Last { bytes: text.clone(), end: End::Fin }).await,
            Action::Banner { text, end } => self.end(Last { bytes: text.clone(), end: *end }).await,
            Action::BadHead(BadHead::TwoLengths) => {
                let length = |value: &str| ("content-length".to_owned(), value.to_owned());
                let headers = vec![length("3"), length("5")];
                self.head_only(respond, headers);
                Ok(())
            }
            Action::BadHead(_) => {
                // HEADERS without `:status`, END_STREAM and END_HEADERS set.
                let bytes = frame(1, 0x5, stream, &[]);
                self.end(Last { bytes, end: End::Fin }).await
            }
            Action::BigHead(BigHead::Size(size)) => {
                let value = "a".repeat(usize::try_from(*size).unwrap_or(usize::MAX));
                self.head_only(respond, vec![("x-big".to_owned(), value)]);
                Ok(())
            }
            Action::BigHead(BigHead::Lines(lines)) => {
                let lines = 0..(*lines).min(MAX_LINES);
                let line = |line| (format!("x-line-{line}"), "v".to_owned());
                self.head_only(respond, lines.map(line).collect());
                Ok(())
            }
        }
    }

    /// Reads the request body, at least `limit` bytes of it; `stop` leaves the flow control window used up.
    async fn read_body(&mut self, body: &mut RecvStream, limit: u64, stop: bool) -> Result<(), Gone> {
        while self.digest.size() < limit || !stop {
            match body.data().await {
                None => {
                    self.note_body(true);
                    return Ok(());
                }
                Some(Err(_)) => {
                    self.note_body(false);
                    return Err(Gone);
                }
                Some(Ok(piece)) => {
                    let _ = body.flow_control().release_capacity(piece.len());
                    self.digest.add(&piece);
                    let size = self.digest.size();
                    self.state.log.update(self.entry, |arrival| arrival.body_size = size);
                }
            }
        }
        self.note_body(body.is_end_stream());
        Ok(())
    }

    fn note_body(&self, complete: bool) {
        self.state.log.update(self.entry, |arrival| {
            arrival.body_size = self.digest.size();
            arrival.body_sha256 = self.digest.sha256();
            arrival.body_complete = complete;
        });
    }

    /// Ends the connection for all its streams.
    async fn end(&self, last: Last) -> Result<(), Gone> {
        let _ = self.last.send(last).await;
        // Keeps the stream open until the connection is gone.
        std::future::pending().await
    }

    fn head_only(&self, respond: &mut Respond, headers: Vec<(String, String)>) {
        let sent = response(200, headers).map(|head| respond.send_response(head, true));
        if !matches!(sent, Some(Ok(_))) {
            respond.send_reset(Reason::INTERNAL_ERROR);
        }
    }

    async fn answer(&self, respond: &mut Respond, reply: &Reply, reset: Option<Reason>) -> Result<(), Gone> {
        let endless = if reply.interim_endless { ENDLESS } else { 0 };
        let interim = reply.interim.iter().copied().chain(std::iter::repeat_n(103, endless));
        for (index, status) in interim.enumerate() {
            let head = response(status, Vec::new()).ok_or(Gone)?;
            respond.send_informational(head).map_err(|_| Gone)?;
            if index % 100 == 99 {
                self.flushed().await;
            }
        }
        let mut source = BodySource::new(reply).map_err(|_| Gone)?;
        let bodiless = reply::is_bodiless(&self.arrival.method, reply.status);
        let headers = reply::headers(reply, source.len(), &self.state);
        let Some(head) = response(reply.status, headers) else {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        };
        let empty = (bodiless || source.len() == Some(0)) && reply.cut.is_none();
        let before = self.shared.written();
        let Ok(mut stream) = respond.send_response(head, empty) else {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        };
        if empty {
            return Ok(());
        }
        if reply.cut.is_some() {
            self.written(before + 1).await;
        }
        let before = self.shared.written();
        let mut left = if bodiless { 0 } else { source.cut_at(reply.cut) };
        let drip = reply.drip;
        let step = drip.map_or(usize::MAX, |drip| drip.bytes);
        let mut sent = 0;
        while left > 0 {
            let Some(mut piece) = source.next().map_err(|_| Gone)? else {
                break;
            };
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            while !piece.is_empty() {
                if let Some(drip) = drip.filter(|_| sent > 0) {
                    tokio::select! {
                        () = tokio::time::sleep(drip.every) => {}
                        _ = poll_fn(|cx| stream.poll_reset(cx)) => return Err(Gone),
                    }
                }
                let part = piece.split_to(piece.len().min(step));
                sent += part.len() as u64;
                send(&mut stream, part).await?;
            }
        }
        let Some(cut) = reply.cut else {
            if let Some(trailers) = response(200, reply.trailers.clone()).filter(|_| !reply.trailers.is_empty()) {
                return stream.send_trailers(trailers.into_parts().0.headers).map_err(|_| Gone);
            }
            return stream.send_data(Bytes::new(), true).map_err(|_| Gone);
        };
        // A reset would overtake what is still queued: the data, and the head of at least one frame.
        let queued = if sent > 0 { sent + 9 } else { 0 };
        self.written(before + queued).await;
        if let Some(reason) = reset {
            stream.send_reset(reason);
            return Ok(());
        }
        if cut.end == End::Stall {
            let _ = poll_fn(|cx| stream.poll_reset(cx)).await;
            return Err(Gone);
        }
        self.end(Last::quiet(cut.end)).await
    }

    /// Waits until so many bytes have gone out on the connection, for a second at most.
    async fn written(&self, count: u64) {
        for _ in 0..500 {
            if self.shared.written() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.flushed().await;
    }

    /// Gives the connection the time to write what is queued.
    async fn flushed(&self) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Never answers; an error when the client leaves or resets the stream.
async fn hold(respond: &mut Respond) -> Result<(), Gone> {
    let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
    Err(Gone)
}

async fn send(stream: &mut SendStream<Bytes>, mut part: Bytes) -> Result<(), Gone> {
    while !part.is_empty() {
        stream.reserve_capacity(part.len());
        let capacity = match poll_fn(|cx| stream.poll_capacity(cx)).await {
            Some(Ok(capacity)) => capacity,
            _ => return Err(Gone),
        };
        let piece = part.split_to(part.len().min(capacity));
        stream.send_data(piece, false).map_err(|_| Gone)?;
    }
    Ok(())
}

fn response(status: u16, headers: Vec<(String, String)>) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let map: &mut HeaderMap = response.headers_mut();
    for (name, value) in headers {
        if CONNECTION_HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header)) {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        map.try_append(name, value).ok()?;
    }
    Some(response)
}
