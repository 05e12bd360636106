//! One attempt: sending it, reading its body, asking about it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::header::{COOKIE, HeaderName, HeaderValue};

use super::question::{Attempt, Host, Opinion, Question, Reply};
use super::run::Running;
use super::timers::{HeadTimer, Limit, within};
use crate::client::message::request::Request;
use crate::client::system::clock::Clock;
use crate::client::transport::{Failure, Incoming, Outgoing, Received, Transport};
use crate::error::ErrorKind;
use crate::policy::{Compat, envoy};
use crate::record::{AttemptRecord, Evidence};
use crate::retry::{self, Answer, Verdict};
use crate::time::DurationText;

const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

/// How the caller wants the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Delivery {
    /// Whole, in memory.
    Buffered,
    /// As it comes.
    Streamed,
}

/// How an attempt ended.
pub(in crate::client) enum Ended<B> {
    /// With a head, and its whole body if that was read already.
    Head(Received<B>, Option<Bytes>),
    /// With a failure, of the body if a status came before it.
    Failed(Failure, Option<u16>),
}

/// A body as it is handed out.
pub(in crate::client) enum Whole<B> {
    Bytes(Bytes),
    Live(B),
}

impl<B> Ended<B> {
    pub(in crate::client) fn status(&self) -> Option<u16> {
        match self {
            Ended::Head(received, _) => Some(received.status.as_u16()),
            Ended::Failed(_, status) => *status,
        }
    }
}

impl<T: Transport, C: Clock, H: Host> Running<'_, T, C, H> {
    /// Sends one attempt and waits for its head.
    pub(in crate::client) async fn attempt(&mut self) -> Ended<T::Body> {
        let began = self.config.clock.now();
        let attempt = self.retry.attempt(began);
        // The first attempt's was made with the call.
        if !self.records.is_empty() {
            self.progress = Arc::default();
        }
        if let Some(exchanges) = self.exchanges {
            exchanges.begin(&self.progress);
        }
        self.records.push(AttemptRecord::begun(attempt.number, self.retry.hops(), began.since(self.began)));
        self.open = true;
        let outgoing = match self.outgoing(&attempt) {
            Ok(outgoing) => outgoing,
            Err(failure) => return Ended::Failed(failure, None),
        };
        let transport = Arc::clone(&self.transport);
        let timer = HeadTimer::new(&self.policy, &self.progress, began, attempt.deadline);
        // The exchange is gone before anybody asks what it proves: until then it could still go out.
        let ended = {
            let exchange = pin!(transport.send(outgoing));
            timer.run(&self.config.clock, exchange).await
        };
        match ended {
            Ok(Ok(received)) => {
                if self.progress.answered_at().is_none() {
                    self.progress.answered(self.config.clock.now());
                }
                if let Some(cookies) = &self.config.cookies {
                    cookies.keep(&self.sent().url, &received.headers);
                }
                self.progress.note_connection(|connection| connection.version = Some(received.version.into()));
                Ended::Head(received, None)
            }
            Ok(Err(failure)) => Ended::Failed(failure, None),
            Err(limit) => {
                let failure = self.timed_out(limit);
                Ended::Failed(Failure { evidence: self.progress.proof(&self.config.clock).await, ..failure }, None)
            }
        }
    }

    fn outgoing(&mut self, attempt: &retry::Attempt) -> Result<Outgoing, Failure> {
        let request = self.sent();
        let mut headers = request.headers.clone();
        if attempt.number > 1
            && let Some(name) = self.policy.attempt_header()
            && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
        {
            headers.insert(name, HeaderValue::from(attempt.number));
        }
        if let Some(cookies) = self.config.cookies.as_ref().filter(|_| !headers.contains_key(COOKIE)) {
            let named = self.named.as_ref() == Some(&request.url.origin());
            headers.extend(cookies.value(&request.url, named).map(|line| (COOKIE, line)));
        }
        if self.policy.compat() == Some(Compat::Envoy) {
            headers.insert(ATTEMPT_COUNT, HeaderValue::from(attempt.number));
            let elapsed = self.config.clock.now().since(self.began);
            let expected = envoy::expected_rq_timeout_ms(&self.policy, elapsed);
            headers.extend(expected.map(|ms| (EXPECTED_TIMEOUT, HeaderValue::from(ms))));
        }
        if !request.body.rewind() {
            let message = "the request body is a stream that was consumed before, and too large to have been kept (max_body_buffer)";
            return Err(Failure::new(ErrorKind::InvalidRequest, Evidence::NotSent, message));
        }
        let body = request.body.produce(self.policy.max_body_buffer()).map_err(|error| {
            let message = format!("the function that makes the request body failed: {error}");
            Failure { source: Some(error), ..Failure::new(ErrorKind::Callback, Evidence::NotSent, message) }
        })?;
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
            Limit::PerTry => {
                let limit = DurationText(self.policy.per_try_timeout().unwrap_or_default());
                let message = format!("no response head within per_try_timeout ({limit})");
                Failure::new(ErrorKind::PerTryTimeout, Evidence::Unknown, message)
            }
            Limit::Deadline => self.past_deadline(),
            Limit::Idle => silent(self.policy.idle_timeout()),
        }
    }

    fn past_deadline(&self) -> Failure {
        let limit = DurationText(self.policy.timeout().unwrap_or_default());
        let message = format!("the call did not end within timeout ({limit}); raise timeout to allow more");
        Failure::new(ErrorKind::Deadline, Evidence::Unknown, message)
    }

    /// Whether callbacks want to see the body of a response before its verdict.
    pub(in crate::client) fn is_asked_for(&self, ended: &Ended<T::Body>) -> bool {
        let wants = self.host.wants();
        let shown = wants.body && (wants.retry_if || wants.delay);
        shown && matches!(ended, Ended::Head(_, None)) && self.mode.delivery == Delivery::Buffered
    }

    /// Reads it.
    pub(in crate::client) async fn read_first(&self, ended: Ended<T::Body>) -> Ended<T::Body> {
        let Ended::Head(mut received, None) = ended else { return ended };
        match self.read(&mut received).await {
            Ok(bytes) => Ended::Head(received, Some(bytes)),
            Err(failure) => Ended::Failed(failure, Some(received.status.as_u16())),
        }
    }

    /// Reads a whole body.
    pub(in crate::client) async fn read(&self, received: &mut Received<T::Body>) -> Result<Bytes, Failure> {
        let most = self.config.max_response_size;
        let mut first = Bytes::new();
        let mut more = BytesMut::new();
        let mut size = 0_u64;
        loop {
            let frame =
                within(&self.config.clock, self.policy.idle_timeout(), &self.progress, self.retry.deadline(), received.body.frame()).await;
            let piece = match frame {
                Err(limit) => return Err(self.timed_out(limit)),
                Ok(frame) => match frame? {
                    None => break,
                    Some(piece) => piece,
                },
            };
            size += piece.len() as u64;
            if let Some(most) = most
                && size > most
            {
                let message = format!("the response body is larger than max_response_size ({most} bytes)");
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
        whole(received.length, size)?;
        Ok(if more.is_empty() { first } else { more.freeze() })
    }

    /// What the callbacks are told about an outcome.
    pub(in crate::client) fn told(&self, ended: &Ended<T::Body>, verdict: Verdict) -> Attempt {
        let (headers, body, failure) = match ended {
            Ended::Head(received, whole) => (received.headers.clone(), whole.clone(), None),
            Ended::Failed(failure, _) => (Default::default(), None, Some(failure)),
        };
        let request = self.sent();
        Attempt {
            number: self.retry.attempts(),
            retries_left: self.retry.retries_left(),
            method: request.method.clone(),
            url: request.url.clone(),
            request_headers: request.headers.clone(),
            elapsed: self.config.clock.now().since(self.began),
            status: ended.status(),
            headers,
            body,
            error: failure.map(|failure| failure.kind),
            message: failure.map(|failure| failure.message.clone()),
            evidence: verdict.evidence,
            hint: verdict.hint,
            verdict: verdict.retry,
            planned_wait: self.retry.planned_wait(verdict),
        }
    }

    /// `retry_if`, where it may be asked.
    pub(in crate::client) async fn opinion(
        &mut self,
        ended: &Ended<T::Body>,
        verdict: Verdict,
        replayable: bool,
    ) -> Result<Answer, Failure> {
        if !self.host.wants().retry_if || verdict.is_final() || !self.retry.worth_asking(replayable, self.config.clock.now()) {
            return Ok(Answer::default());
        }
        let question = Question::RetryIf(Box::new(self.told(ended, verdict)));
        match Box::pin(self.ask("retry_if", question)).await? {
            Reply::Opinion(Opinion::None) => Ok(Answer::default()),
            Reply::Opinion(Opinion::Retry) => Ok(Answer { retry: Some(true), ..Answer::default() }),
            Reply::Opinion(Opinion::After(wait)) => Ok(Answer { retry: Some(true), wait: Some(wait), ..Answer::default() }),
            Reply::Opinion(Opinion::Stop) => Ok(Answer { retry: Some(false), ..Answer::default() }),
            _ => Err(no_answer("retry_if")),
        }
    }

    /// `delay`, for a retry that is decided but for its wait.
    pub(in crate::client) async fn delay(
        &mut self,
        ended: &Ended<T::Body>,
        verdict: Verdict,
        answer: Answer,
    ) -> Result<Option<std::time::Duration>, Failure> {
        if !self.host.wants().delay || answer.wait.is_some() {
            return Ok(None);
        }
        let question = Question::Delay(Box::new(self.told(ended, verdict)));
        match Box::pin(self.ask("delay", question)).await? {
            Reply::Delay(delay) => Ok(delay),
            _ => Err(no_answer("delay")),
        }
    }

    /// `before_retry`: the request of the next attempt.
    pub(in crate::client) async fn before_retry(&mut self, attempt: Attempt) -> Result<Request, Failure> {
        let method = self.request.method.clone();
        let question = Question::BeforeRetry(Box::new(attempt), Box::new(self.request.clone()));
        match Box::pin(self.ask("before_retry", question)).await? {
            Reply::Request(mut request) => {
                request
                    .settle_length()
                    .map_err(|error| Failure::new(ErrorKind::Callback, Evidence::NotSent, format!("before_retry: {error}")))?;
                request.method = method;
                Ok(*request)
            }
            _ => Err(no_answer("before_retry")),
        }
    }

    /// Asks the host, for as long as the deadline allows.
    async fn ask(&mut self, name: &str, question: Question) -> Result<Reply, Failure> {
        // Asked inside, so that a host that panics before it has a future is caught too.
        let answer = AssertUnwindSafe(async { self.host.ask(question).await }).catch_unwind();
        match within(&self.config.clock, None, &self.progress, self.retry.deadline(), answer).await {
            Err(_) => Err(self.past_deadline()),
            Ok(Err(panic)) => {
                Err(Failure::new(ErrorKind::Callback, Evidence::Unknown, format!("{name} panicked: {}", panic_text(&*panic))))
            }
            Ok(Ok(Err(error))) => {
                Err(Failure { source: Some(error), ..Failure::new(ErrorKind::Callback, Evidence::Unknown, format!("{name} failed")) })
            }
            Ok(Ok(Ok(reply))) => Ok(reply),
        }
    }
}

/// What a panic said.
pub(in crate::client) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

fn no_answer(name: &str) -> Failure {
    Failure::new(ErrorKind::Callback, Evidence::Unknown, format!("{name} answered another question"))
}

/// A body that was silent for longer than `limit`.
pub(in crate::client) fn silent(limit: Option<std::time::Duration>) -> Failure {
    let limit = DurationText(limit.unwrap_or_default());
    Failure::new(ErrorKind::Body, Evidence::Unknown, format!("no byte of the body moved within idle_timeout ({limit})"))
}

/// Whether a body is as long as it was announced. HTTP/2 lets some cuts pass as ends.
pub(in crate::client) fn whole(announced: Option<u64>, size: u64) -> Result<(), Failure> {
    match announced {
        Some(length) if length != size => {
            let message = format!("the body ended after {size} of the {length} bytes that content-length announced");
            Err(Failure::new(ErrorKind::Body, Evidence::Unknown, message))
        }
        _ => Ok(()),
    }
}
