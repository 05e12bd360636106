//! The scripted side of HTTP/1.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use crate::body::{BodySource, Digest};
use crate::log::{Arrival, Entry};
use crate::outcome::{Action, BadHead, BigHead, Cut, End, Framing, Outcome, Reply};
use crate::reply;
use crate::script::State;
use crate::stream::Stream;
use crate::wire::{Body, Head, NoHead, Wire};

const INTERIM: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n";
const ENDLESS: usize = 100_000_000;

/// What becomes of the connection after an exchange.
enum After {
    KeepAlive,
    Close {
        close_notify: bool,
    },
    /// Closed without a look at what the client still sends: an RST if it does.
    Drop,
    Reset,
    Stall,
}

pub(crate) async fn serve(state: Arc<State>, stream: Stream, serial: u64, mut renewals: watch::Receiver<()>) {
    let mut wire = Wire::new(stream);
    loop {
        let head = match wire.head(&mut renewals).await {
            Ok(head) => head,
            Err(NoHead::Gone) => return,
            Err(NoHead::Renew) => return wire.stream.close(true).await,
            Err(NoHead::Bad(status, message)) => {
                let _ = answer_plainly(&mut wire, status, message).await;
                return wire.stream.close(true).await;
            }
        };
        let at_ms = state.log.now_ms();
        let claim = state.claim_request();
        let n = claim.map_or_else(|n| n, |claim| claim.n);
        let arrival = Arrival {
            n,
            connection: serial,
            at_ms,
            version: head.version,
            method: head.method.clone(),
            target: head.target.clone(),
            headers: head.headers.clone(),
            body_size: 0,
            body_sha256: Digest::new(false).sha256(),
            body_complete: false,
            did: state.outcomes[n].label(),
            ended_early: false,
            client_gone_ms: None,
        };
        let entry = state.log.add(arrival.clone());
        let Ok(claim) = claim else {
            return wire.stream.reset();
        };
        if claim.realign {
            state.realign().await;
        }
        let keep_alive = state.keep_alive && head.keep_alive && !renewals.has_changed().unwrap_or(true);
        let outcome = &state.outcomes[n];
        let mut exchange = Exchange {
            state: &state,
            wire: &mut wire,
            keep_alive,
            entry,
            digest: Digest::new(matches!(outcome.action, Action::Echo)),
            body: head.body,
            arrival,
        };
        match exchange.run(&head, outcome).await {
            Ok(After::KeepAlive) => {}
            Ok(After::Close { close_notify }) => return wire.stream.close(close_notify).await,
            Ok(After::Drop) => return,
            Ok(After::Reset) => return wire.stream.reset(),
            Ok(After::Stall) => {
                wire.stream.until_gone().await;
                return state.log.client_gone(entry);
            }
            Err(_) => return state.log.client_gone(entry),
        }
    }
}

async fn answer_plainly(wire: &mut Wire, status: u16, message: &str) -> io::Result<()> {
    let headers = [("connection".to_owned(), "close".to_owned()), ("content-length".to_owned(), message.len().to_string())];
    wire.write(&reply::head(status, None, &headers)).await?;
    wire.write(message.as_bytes()).await?;
    wire.flush().await
}

struct Exchange<'a> {
    state: &'a State,
    wire: &'a mut Wire,
    keep_alive: bool,
    entry: Entry,
    digest: Digest,
    body: Body,
    arrival: Arrival,
}

impl Exchange<'_> {
    async fn run(&mut self, head: &Head, outcome: &Outcome) -> io::Result<After> {
        let partial = match outcome.action {
            Action::ResetMidUpload(after) | Action::StopReading(after) => Some(after),
            _ => None,
        };
        if outcome.read_body || partial.is_some() {
            if head.expects_continue && self.body != Body::Done {
                self.wire.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                self.wire.flush().await?;
            }
            self.read_body(partial.unwrap_or(u64::MAX)).await?;
        } else if self.body == Body::Done {
            self.note_body();
        }
        self.wire.pause(outcome.delay).await?;
        match &outcome.action {
            Action::Status(reply) => self.answer(head, reply).await,
            Action::Echo => {
                let reply = reply::echo(&self.arrival, &self.digest);
                self.answer(head, &reply).await
            }
            Action::Reset | Action::ResetMidUpload(_) => Ok(After::Reset),
            Action::Close { close_notify } => Ok(After::Close { close_notify: *close_notify }),
            Action::Hang => Ok(After::Stall),
            Action::StopReading(_) => {
                self.wire.stream.until_gone_unread().await;
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Action::PartialHead(end) => {
                self.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/pl").await?;
                Ok(ending(*end, true))
            }
            Action::Garbage(text) => {
                self.raw(text).await?;
                Ok(After::Close { close_notify: true })
            }
            Action::BadHead(kind) => {
                self.raw(bad_head(*kind)).await?;
                Ok(After::Close { close_notify: true })
            }
            Action::BigHead(big) => self.big_head(*big).await,
            Action::AcceptReset | Action::TlsReset => Ok(After::Reset),
            Action::Banner { text, end } => {
                self.raw(text).await?;
                Ok(ending(*end, true))
            }
            Action::AcceptClose | Action::TlsClose | Action::TlsAlert | Action::TlsStall => Ok(After::Close { close_notify: true }),
            // `claim_request` never hands these out.
            Action::Refused | Action::ConnectTimeout => Ok(After::Reset),
            Action::H2Rst(_) | Action::H2Goaway { .. } | Action::H2Close | Action::H2Hang | Action::H2BodyRst { .. } => {
                let message = "this outcome needs HTTP/2, the request came as HTTP/1";
                answer_plainly(self.wire, 505, message).await?;
                Ok(After::Close { close_notify: true })
            }
        }
    }

    /// Reads the request body, but no more than `limit` bytes of it, and keeps the log up to date.
    async fn read_body(&mut self, limit: u64) -> io::Result<()> {
        loop {
            if self.digest.size() >= limit && self.body != Body::Done {
                self.note_body();
                return Ok(());
            }
            match self.wire.piece(&mut self.body).await {
                Ok(Some(piece)) => {
                    self.digest.add(&piece);
                    let size = self.digest.size();
                    self.state.log.update(self.entry, |arrival| arrival.body_size = size);
                }
                end => {
                    self.note_body();
                    return end.map(drop);
                }
            }
        }
    }

    fn note_body(&mut self) {
        let complete = self.body == Body::Done;
        self.state.log.update(self.entry, |arrival| {
            arrival.body_size = self.digest.size();
            arrival.body_sha256 = self.digest.sha256();
            arrival.body_complete = complete;
        });
    }

    async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write(bytes).await?;
        self.wire.flush().await
    }

    async fn answer(&mut self, head: &Head, reply: &Reply) -> io::Result<After> {
        for status in &reply.interim {
            self.wire.write(&reply::head(*status, None, &[])).await?;
        }
        if reply.interim_endless {
            for _ in 0..ENDLESS {
                self.wire.write(INTERIM).await?;
            }
        }
        let mut source = BodySource::new(reply)?;
        let len = source.len();
        let bodiless = reply::is_bodiless(&head.method, reply.status);
        let headers = reply::headers(reply, len, self.state);
        let has = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let chunked =
            !bodiless && !has("content-length") && !has("transfer-encoding") && reply.framing != Framing::Close && head.version == "1.1";
        let to_the_end = !bodiless && !chunked && !has("content-length");
        let lie = !bodiless && headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("content-length") && value.parse().ok() != len);
        let keep_alive = self.keep_alive && !reply.close && !to_the_end && !lie && reply.cut.is_none();

        let mut headers = headers;
        if chunked {
            headers.push(("transfer-encoding".into(), "chunked".into()));
        }
        if !keep_alive && !headers.iter().any(|(key, _)| key.eq_ignore_ascii_case("connection")) {
            headers.push(("connection".into(), "close".into()));
        }
        let reason = reply.reason.as_deref();
        self.wire.write(&reply::head(reply.status, reason, &headers)).await?;
        if !bodiless {
            self.send_body(reply, &mut source, chunked).await?;
        }
        self.wire.flush().await?;

        if let Some(Cut { end, .. }) = reply.cut {
            return Ok(ending(end, reply.close_notify));
        }
        if self.body != Body::Done && reply.close {
            return Ok(After::Drop);
        }
        if self.body != Body::Done {
            self.read_body(u64::MAX).await?;
        }
        Ok(if keep_alive { After::KeepAlive } else { After::Close { close_notify: reply.close_notify } })
    }

    async fn send_body(&mut self, reply: &Reply, source: &mut BodySource, chunked: bool) -> io::Result<()> {
        let mut left = source.cut_at(reply.cut);
        let drip = reply.drip;
        let step = drip.map_or(usize::MAX, |drip| drip.bytes);
        let mut first = true;
        while let Some(mut piece) = source.next()? {
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            while !piece.is_empty() {
                if let Some(drip) = drip.filter(|_| !std::mem::take(&mut first)) {
                    self.wire.pause(drip.every).await?;
                }
                let part = piece.split_to(piece.len().min(step));
                if chunked {
                    self.wire.write(format!("{:x}\r\n", part.len()).as_bytes()).await?;
                }
                self.wire.write(&part).await?;
                if chunked {
                    self.wire.write(b"\r\n").await?;
                }
            }
            if left == 0 {
                break;
            }
        }
        if chunked && reply.cut.is_none() {
            self.wire.write(b"0\r\n\r\n").await?;
        }
        Ok(())
    }

    async fn big_head(&mut self, big: BigHead) -> io::Result<After> {
        self.wire.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n").await?;
        match big {
            BigHead::Size(size) => {
                self.wire.write(b"x-big: ").await?;
                let mut left = size as usize;
                while left > 0 {
                    let count = left.min(16 * 1024);
                    self.wire.write(&vec![b'a'; count]).await?;
                    left -= count;
                }
                self.wire.write(b"\r\n").await?;
            }
            BigHead::Lines(lines) => {
                for line in 0..lines {
                    self.wire.write(format!("x-line-{line}: v\r\n").as_bytes()).await?;
                }
            }
        }
        self.raw(b"\r\n").await?;
        let close_notify = true;
        Ok(if self.keep_alive { After::KeepAlive } else { After::Close { close_notify } })
    }
}

fn ending(end: End, close_notify: bool) -> After {
    match end {
        End::Fin => After::Close { close_notify },
        End::Reset => After::Reset,
        End::Stall => After::Stall,
    }
}

fn bad_head(kind: BadHead) -> &'static [u8] {
    match kind {
        BadHead::Version => b"HTTP/7.3 200 OK\r\ncontent-length: 0\r\n\r\n",
        BadHead::Header => b"HTTP/1.1 200 OK\r\nbad name\x01: x\r\ncontent-length: 0\r\n\r\n",
        BadHead::TwoLengths => b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde",
        BadHead::Status => b"HTTP/1.1 99 No\r\ncontent-length: 0\r\n\r\n",
    }
}
