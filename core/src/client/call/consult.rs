//! Asking the host about an outcome.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use http::HeaderMap;

use super::question::{Attempt, Host, Question, Reply};
use super::state::{AttemptResult, Running};
use super::timers::within;
use crate::client::message::request::Request;
use crate::client::system::clock::Clock;
use crate::client::transport::{Failure, Transport};
use crate::error::{ErrorKind, panic_text};
use crate::record::Evidence;
use crate::retry::{Answer, Verdict};

impl<T: Transport, C: Clock, H: Host> Running<'_, T, C, H> {
    /// What the callbacks are told about an outcome.
    pub(super) fn attempt_view(&mut self, ended: &AttemptResult<T::Body>, verdict: Verdict) -> Attempt {
        let (headers, body, failure) = match ended {
            AttemptResult::Response(received, whole) => (received.headers.clone(), whole.clone(), None),
            AttemptResult::Failed(failure, _) => (Default::default(), None, Some(failure)),
        };
        let call = self.identity();
        let request = self.sent();
        Attempt {
            call,
            number: self.retry.attempts(),
            retries_left: self.retry.retries_left(),
            method: request.method.clone(),
            url: request.url.clone(),
            request_headers: HeaderMap::clone(&request.headers),
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
    pub(super) async fn opinion(&mut self, ended: &AttemptResult<T::Body>, verdict: Verdict, replayable: bool) -> Result<Answer, Failure> {
        if !self.wants.retry_if || verdict.is_final() || !self.retry.worth_asking(replayable, self.config.clock.now()) {
            return Ok(Answer::default());
        }
        let question = Question::RetryIf(Box::new(self.attempt_view(ended, verdict)));
        match Box::pin(self.ask("retry_if", question)).await? {
            Reply::Opinion(opinion) => Ok(opinion.into()),
            _ => Err(no_answer("retry_if")),
        }
    }

    /// `delay`, for a retry that is decided but for its wait.
    pub(super) async fn delay(
        &mut self,
        ended: &AttemptResult<T::Body>,
        verdict: Verdict,
        answer: Answer,
    ) -> Result<Option<Duration>, Failure> {
        if !self.wants.delay || answer.wait.is_some() {
            return Ok(None);
        }
        let question = Question::Delay(Box::new(self.attempt_view(ended, verdict)));
        match Box::pin(self.ask("delay", question)).await? {
            Reply::Delay(delay) => Ok(delay),
            _ => Err(no_answer("delay")),
        }
    }

    /// `before_retry`: the request of the next attempt.
    pub(super) async fn before_retry(&mut self, attempt: Attempt) -> Result<Request, Failure> {
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

    /// `before_attempt`: the fields of the next attempt alone.
    pub(super) async fn before_attempt(&mut self) -> Result<(), Failure> {
        let question = Question::BeforeAttempt(Box::new(self.attempt_start()));
        match self.ask("before_attempt", question).await? {
            Reply::Fields(fields) => {
                self.fields = Some(Box::new(fields));
                Ok(())
            }
            _ => Err(no_answer("before_attempt")),
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

fn no_answer(name: &str) -> Failure {
    Failure::new(ErrorKind::Callback, Evidence::Unknown, format!("{name} answered another question"))
}
