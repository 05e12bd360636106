//! One call: the loop around the decision machine. It decides nothing itself.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue};

use super::clock::Clock;
use super::request::Request;
use super::response::Response;
use super::timers::{HeadTimer, Limit, within};
use super::transport::{Failure, Incoming, Outgoing, OutgoingBody, Progress, Received, Transport};
use super::{Shared, drain};
use crate::error::{Error, ErrorKind};
use crate::policy::{IdempotencyKey, Policy};
use crate::record::{AttemptRecord, Evidence, StopReason};
use crate::retry::{Answer, Attempt, Call, Decision, Outcome, Retry, Verdict};
use crate::time::{DurationText, Tick};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The state of one call.
pub(super) struct Running<'a, T, C> {
    shared: &'a Shared<T, C>,
    policy: &'a Policy,
    request: Request,
    retry: Retry,
    began: Tick,
    records: Vec<AttemptRecord>,
}

/// How an attempt ended, with what is needed to hand it to the caller.
enum Ended<B> {
    Head(Received<B>),
    Failed(Failure, Option<u16>),
}

impl<'a, T: Transport, C: Clock> Running<'a, T, C> {
    /// Sends `request` under `policy` until the machine says stop.
    pub(super) async fn send(shared: &'a Shared<T, C>, policy: &'a Policy, request: Request) -> Result<Response, Error> {
        Self::begin(shared, policy, request)?.run().await
    }

    fn begin(shared: &'a Shared<T, C>, policy: &'a Policy, mut request: Request) -> Result<Self, Error> {
        request.check_length()?;
        shared.complete(&mut request);
        let may_mint = policy.idempotency_key() == IdempotencyKey::Auto && !policy.methods().contains(request.method());
        if may_mint
            && !request.headers.contains_key(IDEMPOTENCY_KEY)
            && let Some(key) = super::entropy::uuid()
        {
            request.headers.insert(IDEMPOTENCY_KEY, key);
        }
        let began = shared.clock.now();
        let budget = match policy.budget() {
            Some(spec) => Some(shared.budgets.find(spec, request.origin(), began)?),
            None => None,
        };
        let call =
            Call { method: request.method.as_str(), has_idempotency_key: request.headers.contains_key(IDEMPOTENCY_KEY), asked: false };
        let retry = Retry::begin(policy, call, budget, shared.entropy, shared.next_serial(), began);
        Ok(Running { shared, policy, request, retry, began, records: Vec::with_capacity(1) })
    }

    async fn run(mut self) -> Result<Response, Error> {
        loop {
            let attempt = self.retry.attempt(self.shared.clock.now());
            let mut ended = self.attempt(&attempt).await;
            loop {
                let verdict = self.classify(&ended);
                let (decided, reason) = self.decide(&ended, verdict);
                let Some(reason) = reason else {
                    self.pause(ended, decided).await;
                    break;
                };
                let received = match ended {
                    Ended::Failed(failure, status) => return Err(self.fail(failure, status, reason)),
                    Ended::Head(received) => received,
                };
                match self.read(received).await {
                    Ok((head, body)) => return Ok(self.succeed(head, body, reason)),
                    // A body that breaks is an outcome of its own, unless its response was already given up on.
                    Err((failure, status)) if verdict.retry => return Err(self.fail(failure, Some(status), reason)),
                    Err((failure, status)) => ended = Ended::Failed(failure, Some(status)),
                }
            }
        }
    }

    /// Sends one attempt and waits for its head.
    async fn attempt(&mut self, attempt: &Attempt) -> Ended<T::Body> {
        let clock = &self.shared.clock;
        let began = clock.now();
        self.records.push(AttemptRecord::begun(attempt.number, self.retry.hops(), began.since(self.began)));
        let progress = Arc::new(Progress::default());
        let exchange = self.shared.transport.send(self.outgoing(attempt, &progress));
        let timer = HeadTimer::new(self.policy, &progress, began, attempt.deadline);
        match timer.run(clock, exchange).await {
            Ok(Ok(received)) => Ended::Head(received),
            Ok(Err(failure)) => Ended::Failed(failure, None),
            Err(limit) => {
                let failure = self.timed_out(limit);
                Ended::Failed(Failure { evidence: progress.proof(clock).await, ..failure }, None)
            }
        }
    }

    fn outgoing(&self, attempt: &Attempt, progress: &Arc<Progress>) -> Outgoing {
        let mut headers = self.request.headers.clone();
        if attempt.number > 1
            && let Some(name) = self.policy.attempt_header()
            && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
        {
            headers.insert(name, HeaderValue::from(attempt.number));
        }
        Outgoing {
            method: self.request.method.clone(),
            url: self.request.url.clone(),
            headers,
            body: OutgoingBody::Bytes(self.request.body.produce()),
            connect_timeout: self.policy.connect_timeout(),
            progress: Arc::clone(progress),
        }
    }

    /// The verdict on an outcome, noted on its record.
    fn classify(&mut self, ended: &Ended<T::Body>) -> Verdict {
        let clock = &self.shared.clock;
        let (outcome, status, error) = match ended {
            Ended::Head(received) => {
                let status = received.status.as_u16();
                (Outcome::Response { status, headers: &received.headers }, Some(status), None)
            }
            Ended::Failed(failure, status) => {
                (Outcome::Failure { kind: failure.kind, evidence: failure.evidence }, *status, Some(failure.kind))
            }
        };
        let verdict = self.retry.classify(outcome, clock.wall());
        self.end_record();
        if let Some(record) = self.records.last_mut() {
            record.status = status;
            record.error = error;
            record.evidence = verdict.evidence;
            record.hint = verdict.hint;
        }
        verdict
    }

    /// When to send again, or why not.
    fn decide(&mut self, ended: &Ended<T::Body>, verdict: Verdict) -> (Tick, Option<StopReason>) {
        let now = self.shared.clock.now();
        if matches!(ended, Ended::Failed(failure, _) if failure.permanent) {
            return (now, Some(StopReason::NotRetryable));
        }
        match self.retry.decide(verdict, Answer::default(), self.request.body.is_replayable(), now) {
            Decision::Retry { wait } => {
                if let Some(record) = self.records.last_mut() {
                    record.wait = Some(wait);
                }
                (now.after(wait), None)
            }
            Decision::Stop(reason) => (now, Some(reason)),
        }
    }

    /// Frees the connection of a response that is not handed out, and waits.
    async fn pause(&self, ended: Ended<T::Body>, until: Tick) {
        let clock = &self.shared.clock;
        if let Ended::Head(received) = ended {
            drain(clock, received.body, self.retry.deadline()).await;
        }
        clock.pause_until(until).await;
    }

    /// Reads a whole body. The failure carries the response's status.
    async fn read(&self, mut received: Received<T::Body>) -> Result<(Received<()>, Bytes), (Failure, u16)> {
        let status = received.status.as_u16();
        let body = self.read_body(&mut received).await.map_err(|failure| (failure, status))?;
        let Received { status, version, headers, length, .. } = received;
        Ok((Received { status, version, headers, length, body: () }, body))
    }

    async fn read_body(&self, received: &mut Received<T::Body>) -> Result<Bytes, Failure> {
        let clock = &self.shared.clock;
        let limit = self.shared.max_response_size;
        let mut first = Bytes::new();
        let mut more = BytesMut::new();
        let mut size = 0_u64;
        loop {
            let frame = within(clock, self.policy.idle_timeout(), self.retry.deadline(), received.body.frame()).await;
            let piece = match frame {
                Err(limit) => return Err(self.body_limit(limit)),
                Ok(Err(failure)) => return Err(failure),
                Ok(Ok(None)) => break,
                Ok(Ok(Some(piece))) => piece,
            };
            size += piece.len() as u64;
            if limit.is_some_and(|limit| size > limit) {
                let message = format!("the response body is larger than max_response_size ({} bytes)", limit.unwrap_or_default());
                return Err(Failure::new(ErrorKind::ResponseTooLarge, Evidence::Unknown, message));
            }
            // Small bodies come in one piece, which is handed on as it is.
            if more.is_empty() && first.is_empty() {
                first = piece;
            } else {
                if more.is_empty() {
                    more.extend_from_slice(&first);
                }
                more.extend_from_slice(&piece);
            }
        }
        match received.length {
            Some(length) if length != size => Err(Failure::new(
                ErrorKind::Body,
                Evidence::Unknown,
                format!("the body ended after {size} of the {length} bytes that content-length announced"),
            )),
            _ if more.is_empty() => Ok(first),
            _ => Ok(more.freeze()),
        }
    }

    fn timed_out(&self, limit: Limit) -> Failure {
        match limit {
            Limit::PerTry => {
                let limit = DurationText(self.policy.per_try_timeout().unwrap_or_default());
                let message = format!("no response head within per_try_timeout ({limit})");
                Failure::new(ErrorKind::PerTryTimeout, Evidence::Unknown, message)
            }
            limit => self.body_limit(limit),
        }
    }

    fn body_limit(&self, limit: Limit) -> Failure {
        match limit {
            Limit::Deadline => {
                let limit = DurationText(self.policy.timeout().unwrap_or_default());
                Failure::new(
                    ErrorKind::Deadline,
                    Evidence::Unknown,
                    format!("the call did not end within timeout ({limit}); raise timeout to allow more"),
                )
            }
            _ => {
                let limit = DurationText(self.policy.idle_timeout().unwrap_or_default());
                Failure::new(ErrorKind::Body, Evidence::Unknown, format!("no byte of the body moved within idle_timeout ({limit})"))
            }
        }
    }

    /// An attempt lasts until the last byte of its body, when that is read.
    fn end_record(&mut self) -> Tick {
        let now = self.shared.clock.now();
        if let Some(record) = self.records.last_mut() {
            record.duration = now.since(self.began).saturating_sub(record.start);
        }
        now
    }

    fn succeed(mut self, head: Received<()>, body: Bytes, stop_reason: StopReason) -> Response {
        let now = self.end_record();
        self.retry.finish(now);
        Response {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body,
            url: self.request.url,
            elapsed: now.since(self.began),
            attempts: self.records,
            stop_reason,
        }
    }

    fn fail(mut self, failure: Failure, status: Option<u16>, stop_reason: StopReason) -> Error {
        let now = self.end_record();
        if let Some(record) = self.records.last_mut() {
            record.error = Some(failure.kind);
        }
        self.retry.finish(now);
        let error = Error::new(failure.kind, failure.message).with_status(status).with_records(self.records, stop_reason);
        match failure.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}
