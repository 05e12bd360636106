//! One attempt: sending it, and reading its body.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};

use super::early::{EARLY, is_made_while_read};
use super::question::Host;
use super::state::{AttemptResult, Delivery, Running};
use super::timers::{HeadTimer, Limit, within};
use crate::client::message::cookies::Cookies;
use crate::client::system::clock::Clock;
use crate::client::transport::{Failure, Incoming, Outgoing, Received, Transport};
use crate::error::ErrorKind;
use crate::policy::{Compat, PerTryUntil};
use crate::record::{AttemptRecord, Evidence};
use crate::retry::{self, Outcome};
use crate::time::{DurationText, Tick};

/// How often an attempt is sent again because the connection that was kept for it turned out dead. It happens once in a great while, and to as many
/// connections as a server closes at once.
const MOST_RESENDS: u32 = 8;

impl<T: Transport, C: Clock, H: Host> Running<'_, T, C, H> {
    /// Sends one attempt and waits for its head.
    pub(super) async fn attempt(&mut self) -> AttemptResult<T::Body> {
        // The first one begins with the call, unless that was told or asked something meanwhile.
        let at_once = self.records.is_empty() && self.heard.is_none() && !self.wants.before_attempt;
        let began = if at_once { self.began } else { self.config.clock.now() };
        let attempt = self.retry.attempt(began);
        // The first attempt's was made with the call.
        if !self.records.is_empty() {
            self.progress = Arc::default();
        }
        if let Some(exchanges) = self.exchanges {
            exchanges.begin(&self.progress);
        }
        let mut record = AttemptRecord::begun(attempt.number, self.retry.hops(), began.since(self.began));
        record.outer_retry = retry::outer_retry(&*self.sent().headers);
        self.records.push(record);
        self.open = true;
        self.tell_start();
        let transport = Arc::clone(&self.transport);
        let is_first = attempt.number == 1 && self.retry.hops() == 0 && self.sent().body.length() != Some(0);
        let counts_from_upload = self.policy.compat() == Some(Compat::Envoy) && is_first;
        let ended = loop {
            let outgoing = match self.outgoing(&attempt, began) {
                Ok(outgoing) => outgoing,
                Err(failure) => return AttemptResult::Failed(failure, None),
            };
            let mut timer = HeadTimer::new(&self.policy, &self.progress, began, attempt.deadline);
            timer.from_upload = self.policy.timeout().filter(|_| counts_from_upload);
            // Put where it stays: it is large, and each layer of futures would copy it.
            let mut ended = Err(Limit::Deadline);
            // The exchange is gone before anybody asks what it proves: until then it could still go out.
            let in_time = {
                let exchange = pin!(async { ended = Ok(transport.send(outgoing).await) });
                let exchange = timer.run(&self.config.clock, exchange);
                // Boxed like all that is no part of a call that nobody watches.
                if self.spans { Box::pin(self.trace.within(exchange)).await } else { exchange.await }
            };
            if let Err(limit) = in_time {
                ended = Err(limit);
            }
            // Nothing of it was sent: it is the same attempt still.
            let again = matches!(&ended, Ok(Err(failure)) if failure.stale) && self.sent().body.is_replayable();
            if !again || self.progress.resends() >= MOST_RESENDS {
                break ended;
            }
            self.progress.resent();
        };
        if let Some(at) = self.progress.uploaded_at().or(self.progress.moved_at()).filter(|_| counts_from_upload) {
            self.retry.uploaded(at);
        }
        if self.progress.interim() > 0 {
            self.retry.interim();
        }
        match ended {
            Ok(Ok(received)) => {
                if let Some(cookies) = self.jar() {
                    cookies.keep(&self.sent().url, &received.headers);
                }
                self.progress.note_connection(|connection| connection.version = Some(received.version.into()));
                AttemptResult::Response(received, None)
            }
            Ok(Err(failure)) => {
                let status = failure.refusal.as_ref().map(|refusal| refusal.status.as_u16());
                AttemptResult::Failed(failure, status)
            }
            Err(limit) => {
                let failure = self.timed_out(limit);
                AttemptResult::Failed(Failure { evidence: self.progress.proof(&self.config.clock).await, ..failure }, None)
            }
        }
    }

    /// The jar of cookies, if the call has to do with one.
    fn jar(&self) -> Option<&Cookies> {
        self.config.cookies.as_ref().filter(|_| !self.mode.omit_cookies)
    }

    fn outgoing(&mut self, attempt: &retry::Attempt, began: Tick) -> Result<Outgoing, Failure> {
        let request = self.sent();
        let mut headers = HeaderMap::clone(&request.headers);
        if let Some(cookies) = self.jar().filter(|_| !headers.contains_key(COOKIE) && !request.without.contains(&COOKIE)) {
            let named = self.named.as_ref() == Some(&request.url.origin());
            headers.extend(cookies.value(&request.url, named).map(|line| (COOKIE, line)));
        }
        for (name, value) in self.policy.attempt_fields(attempt.number, began.since(self.began)) {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
                headers.insert(name, value);
            }
        }
        for (name, value) in self.fields.iter().flat_map(|fields| fields.iter()) {
            headers.insert(name, value.clone());
        }
        if !request.body.rewind() {
            let message = "the request body is a stream that was consumed before, and too large to have been kept (max_body_buffer)";
            return Err(Failure::new(ErrorKind::InvalidRequest, Evidence::NotSent, message));
        }
        let body = request.body.produce(self.policy.max_body_buffer()).map_err(|error| {
            let message = format!("the function that makes the request body failed: {error}");
            Failure { source: Some(error), ..Failure::new(ErrorKind::Callback, Evidence::NotSent, message) }
        })?;
        let body = match &self.mode.meter {
            Some(meter) => meter.begin(attempt.number, body),
            None => body,
        };
        Ok(Outgoing {
            method: request.method.clone(),
            url: request.url.clone(),
            headers,
            body,
            connect_timeout: self.policy.connect_timeout(),
            progress: Arc::clone(&self.progress),
        })
    }

    fn timed_out(&self, limit: Limit) -> Failure {
        match limit {
            Limit::Body => {
                let limit = DurationText(self.policy.per_try_timeout().unwrap_or_default());
                let message = format!("the response did not end within per_try_timeout ({limit})");
                Failure::new(ErrorKind::PerTryTimeout, Evidence::Unknown, message)
            }
            Limit::PerTry => Failure::new(ErrorKind::PerTryTimeout, Evidence::Unknown, self.policy.no_head_text()),
            Limit::Deadline => self.past_deadline(),
            Limit::Idle => idle_failure(self.policy.idle_timeout()),
        }
    }

    pub(super) fn past_deadline(&self) -> Failure {
        Failure::new(ErrorKind::Deadline, Evidence::Unknown, self.policy.past_deadline_text())
    }

    /// Whether callbacks want to see the body of a response before its verdict.
    pub(super) fn is_asked_for(&self, ended: &AttemptResult<T::Body>) -> bool {
        let shown = self.wants.body && (self.wants.retry_if || self.wants.delay);
        let AttemptResult::Response(received, None) = ended else { return false };
        shown
            && match self.mode.delivery {
                Delivery::Buffered => true,
                Delivery::Streamed => false,
                Delivery::Auto => !is_made_while_read(&received.headers),
            }
    }

    /// Reads it.
    pub(super) async fn read_first(&mut self, ended: AttemptResult<T::Body>) -> AttemptResult<T::Body> {
        let AttemptResult::Response(mut received, None) = ended else { return ended };
        self.progress.answered(self.config.clock.now());
        // A body that breaks is judged by what its head said.
        let outcome = Outcome::Response { status: received.status.as_u16(), headers: &received.headers };
        let _ = self.retry.classify(outcome, self.config.clock.wall());
        match self.read(&mut received, None).await {
            Ok((bytes, _)) => AttemptResult::Response(received, Some(bytes)),
            Err(failure) => AttemptResult::Failed(failure, Some(received.status.as_u16())),
        }
    }

    /// Until when a buffered body may be read: the call's deadline, or where `per_try_timeout` holds for the body, its end.
    fn attempt_end(&self) -> Option<Tick> {
        let deadline = self.retry.deadline();
        let Some(limit) = self.policy.per_try_timeout().filter(|_| self.policy.per_try_until() == PerTryUntil::Body) else {
            return deadline;
        };
        let begun = self.records.last().map_or(self.began, |record| self.began.after(record.start));
        let connecting = self.progress.connecting_time(self.config.clock.now());
        let clock_began = self.progress.uploaded_at().unwrap_or_else(|| begun.after(connecting));
        Some(deadline.unwrap_or(Tick::MAX).min(clock_began.after(limit)))
    }

    /// Reads a body, up to its end (true); or, where `soon` is given, until then or until there is enough of it, if that comes first.
    pub(super) async fn read(&self, received: &mut Received<T::Body>, soon: Option<Tick>) -> Result<(Bytes, bool), Failure> {
        let most = self.config.max_response_size;
        let end = self.attempt_end();
        let until = soon.map_or(end, |soon| Some(end.unwrap_or(Tick::MAX).min(soon)));
        let enough = soon.map_or(u64::MAX, |_| EARLY.0);
        let mut first = Bytes::new();
        let mut more = Vec::new();
        let mut size = 0_u64;
        let whole = loop {
            if let Some(meter) = &self.mode.meter {
                meter.received(self.retry.attempts(), size, received.length);
            }
            if size >= enough {
                break false;
            }
            let frame = within(&self.config.clock, self.policy.idle_timeout(), &self.progress, until, received.body.frame()).await;
            let piece = match frame {
                Err(Limit::Deadline) if soon.is_some() && until != end => break false,
                // The attempt's own end came before the call's.
                Err(Limit::Deadline) if end != self.retry.deadline() => return Err(self.timed_out(Limit::Body)),
                Err(limit) => return Err(self.timed_out(limit)),
                Ok(frame) => match frame? {
                    None => break true,
                    Some(piece) => piece,
                },
            };
            size += piece.len() as u64;
            if let Some(most) = most
                && size > most
            {
                return Err(too_large(most));
            }
            // Small bodies come in one piece, which is handed on as it is.
            if more.is_empty() && first.is_empty() {
                first = piece;
            } else {
                if more.is_empty() {
                    extend(&mut more, &first)?;
                }
                extend(&mut more, &piece)?;
            }
        };
        if whole {
            check_length(received.length, size)?;
        }
        Ok((if more.is_empty() { first } else { more.into() }, whole))
    }
}

/// Adds a piece to a body, if the system has the memory: a server must not be able to end the program.
pub(super) fn extend(body: &mut Vec<u8>, piece: &[u8]) -> Result<(), Failure> {
    body.try_reserve(piece.len()).map_err(|error| {
        let message =
            format!("the response body does not fit into memory ({} bytes of it do); set max_response_size, or stream it", body.len());
        Failure { source: Some(error.into()), ..Failure::new(ErrorKind::ResponseTooLarge, Evidence::Unknown, message) }
    })?;
    body.extend_from_slice(piece);
    Ok(())
}

/// A body that passed `max_response_size`.
pub(super) fn too_large(most: u64) -> Failure {
    let message = format!("the response body is larger than max_response_size ({most} bytes)");
    Failure::new(ErrorKind::ResponseTooLarge, Evidence::Unknown, message)
}

/// A body that was silent for longer than `limit`.
pub(super) fn idle_failure(limit: Option<Duration>) -> Failure {
    let limit = DurationText(limit.unwrap_or_default());
    Failure::new(ErrorKind::Body, Evidence::Unknown, format!("no byte of the body moved within idle_timeout ({limit})"))
}

/// Whether a body is as long as it was announced. HTTP/2 lets some cuts pass as ends.
pub(super) fn check_length(announced: Option<u64>, size: u64) -> Result<(), Failure> {
    match announced {
        Some(length) if length != size => {
            let message = format!("the body ended after {size} of the {length} bytes that content-length announced");
            Err(Failure::new(ErrorKind::Body, Evidence::Unknown, message))
        }
        _ => Ok(()),
    }
}
