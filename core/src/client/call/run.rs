//! The loop of one call around the decision machine. It decides nothing itself.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use tokio::task::yield_now;

use super::cancel::{Cancel, cancel_message, cancelled_kind, cancelled_now};
use super::drain::drain;
use super::early::{EARLY, is_made_while_read};
use super::question::Host;
use super::state::{AttemptResult, CallBody, CallFailure, Delivery, Finished, Running, facts};
use super::trace::{self, Trace};
use crate::client::message::redirect::{Hop, hop};
use crate::client::message::request::Request;
use crate::client::message::response::ResponseHead;
use crate::client::system::clock::Clock;
use crate::client::transport::{Failure, Received, Transport};
use crate::error::{Error, ErrorKind};
use crate::record::{Evidence, StopReason};
use crate::retry::{Answer, Decision, Outcome, Verdict};
use crate::time::Tick;

/// Where the loop goes after an outcome.
enum Next {
    /// The next attempt, at this moment.
    Retry(Tick),
    /// The next hop, at once.
    Redirect(Box<Request>),
    Stop(StopReason),
}

impl<T: Transport, C: Clock, H: Host> Running<'_, T, C, H> {
    /// Sends until the machine says stop, or somebody cancels it.
    pub(in crate::client) async fn finish(&mut self, cancel: Option<&Cancel>) -> Result<Finished<T::Body>, Error> {
        let closed = &self.shared.closed;
        let given_up = GivenUp(self);
        let running = &mut *given_up.0;
        // Put where it stays: it is large, and each layer of futures would copy it.
        let mut ended = None;
        let cancelled = {
            let mut run = pin!(async { ended = Some(running.run().await) });
            let mut cancelled = pin!(cancelled_kind(cancel, closed));
            poll_fn(|context| {
                // In this order: a call that is cancelled sends nothing more, nor anything at all. One that never waits needs nobody to wake it.
                if let Some(kind) = cancelled_now(cancel, closed) {
                    return Poll::Ready(Some(kind));
                }
                match run.as_mut().poll(context) {
                    Poll::Ready(()) => Poll::Ready(None),
                    Poll::Pending => cancelled.as_mut().poll(context).map(Some),
                }
            })
            .await
        };
        let failure = match ended {
            Some(Ok(finished)) => {
                std::mem::forget(given_up);
                self.tell_end(finished.stop_reason, None);
                return Ok(finished);
            }
            // Whoever cancels may also end what the call waits for, while it goes on.
            Some(Err(failure)) if cancelled_now(cancel, closed).is_none() => failure,
            _ => {
                let kind = cancelled.or_else(|| cancelled_now(cancel, closed)).unwrap_or(ErrorKind::Cancelled);
                let evidence = running.progress.proof(&running.config.clock).await;
                running.cancelled(kind, evidence)
            }
        };
        // Nothing is awaited from here on.
        std::mem::forget(given_up);
        Err(self.fail(failure))
    }

    async fn run(&mut self) -> Result<Finished<T::Body>, CallFailure> {
        loop {
            if self.spans || self.wants.before_attempt {
                self.prepare().await.map_err(|failure| CallFailure::replacing(None, failure))?;
            }
            let mut ended = self.attempt().await;
            loop {
                if self.is_asked_for(&ended) {
                    ended = Box::pin(self.read_first(ended)).await;
                }
                let (verdict, at) = self.classify(&ended);
                let next = match self.next(&ended, verdict, at).await {
                    Ok(next) => next,
                    // It takes the place of the outcome, which stays on the record.
                    Err(failure) => return Err(CallFailure::replacing(ended.status(), failure)),
                };
                match next {
                    // Boxed like all that is no part of a call that just succeeds: it keeps the future of that small.
                    Next::Retry(until) => {
                        Box::pin(self.pause(ended, verdict, until)).await?;
                        break;
                    }
                    Next::Redirect(request) => {
                        Box::pin(self.follow(ended, *request)).await?;
                        break;
                    }
                    Next::Stop(reason) => {
                        let (mut received, bytes) = match ended {
                            AttemptResult::Failed(failure, status) => return Err(CallFailure { failure, status, stop_reason: reason }),
                            AttemptResult::Response(received, bytes) => (received, bytes),
                        };
                        let body = match (bytes, self.mode.delivery) {
                            (Some(bytes), _) => Ok((bytes, true)),
                            (None, Delivery::Streamed) => Ok((Bytes::new(), false)),
                            (None, Delivery::Auto) if is_made_while_read(&received.headers) => Ok((Bytes::new(), false)),
                            (None, delivery) => {
                                self.open = true;
                                let soon = (delivery == Delivery::Auto).then(|| self.config.clock.now().after(EARLY.1));
                                self.read(&mut received, soon).await
                            }
                        };
                        let status = Some(received.status.as_u16());
                        match body {
                            Ok((bytes, whole)) => {
                                let (head, live) = received.split();
                                let body = if whole { CallBody::Buffered(bytes) } else { CallBody::Streamed(bytes, live) };
                                let ended = self.config.clock.now();
                                self.close_record(ended);
                                return Ok(Finished { head, body, stop_reason: reason, ended });
                            }
                            // A body that breaks is an outcome of its own, unless its response had been given up on.
                            Err(failure) if judged_on_its_own(reason) => ended = AttemptResult::Failed(failure, status),
                            Err(failure) => return Err(CallFailure { failure, status, stop_reason: reason }),
                        }
                    }
                }
            }
        }
    }

    /// Begins the span of the next attempt, and asks within it for the attempt's fields.
    async fn prepare(&mut self) -> Result<(), Failure> {
        let mut trace = Trace::default();
        if self.spans {
            let start = self.attempt_start();
            trace = trace::begin(&start, Some(&self.sent().url));
        }
        if self.wants.before_attempt {
            trace.within(Box::pin(self.before_attempt())).await?;
        }
        // Not before: should the call end meanwhile, the attempt before is the last one.
        self.trace = trace;
        Ok(())
    }

    /// The verdict on an outcome, noted on its record, and when it was given.
    fn classify(&mut self, ended: &AttemptResult<T::Body>) -> (Verdict, Tick) {
        let (outcome, error) = match ended {
            AttemptResult::Response(Received { status, headers, .. }, _) => (Outcome::Response { status: status.as_u16(), headers }, None),
            AttemptResult::Failed(failure, _) => (outcome_of(failure), Some(failure.kind)),
        };
        let clock = &self.config.clock;
        let mut verdict = self.retry.classify_with(outcome, || clock.wall());
        if let AttemptResult::Failed(Failure { refusal: Some(refusal), .. }, _) = ended {
            verdict = self.retry.hinted(verdict, &refusal.headers, clock.wall());
        }
        let at = self.config.clock.now();
        if let AttemptResult::Response(..) = ended {
            self.progress.answered(at);
        }
        self.close_record(at);
        if let Some(record) = self.records.last_mut() {
            record.status = ended.status();
            record.error = error;
            record.evidence = verdict.evidence;
            record.hint = verdict.hint;
        }
        (verdict, at)
    }

    /// Asks the callbacks and the machine. A failure is that of a callback, or of too many redirects.
    async fn next(&mut self, ended: &AttemptResult<T::Body>, verdict: Verdict, at: Tick) -> Result<Next, Failure> {
        if matches!(ended, AttemptResult::Failed(failure, _) if failure.permanent) {
            return Ok(Next::Stop(StopReason::NotRetryable));
        }
        let replayable = self.request.body.is_replayable() && self.policy.keeps(self.request.body.length());
        let mut answer = self.opinion(ended, verdict, replayable).await?;
        let too_much = ended.is_too_much_expected(self.sent());
        let misdirected = ended.is_misdirected() && std::mem::take(&mut self.mode.repeat_misdirected);
        if (misdirected || too_much) && answer == Answer::default() {
            answer = Answer { retry: Some(true), wait: Some(Duration::ZERO), backoff: None };
        }
        // Whoever was asked took time.
        let now = if self.wants.retry_if { self.config.clock.now() } else { at };
        let decision = match self.retry.permit(verdict, answer, replayable, now) {
            // To repeat a 421 is a part of fetch, not of the policy: it is done with no retries left, too.
            Err(reason) if !(misdirected && reason == StopReason::RetriesExhausted) => Decision::Stop(reason),
            _ => {
                answer.backoff = self.delay(ended, verdict, answer).await?;
                self.retry.schedule(verdict, answer, self.config.clock.now())
            }
        };
        match decision {
            // An upload that went on after its answer has lost what was to be sent again. (The budget gets its token back.)
            Decision::Retry { .. } if !self.request.body.rewind() => Ok(Next::Stop(StopReason::BodyNotReplayable)),
            Decision::Retry { wait } => {
                if let Some(record) = self.records.last_mut() {
                    record.wait = Some(wait);
                }
                if too_much {
                    self.request.remove_header(EXPECT.as_str());
                }
                Ok(Next::Retry(self.config.clock.now().after(wait)))
            }
            Decision::Stop(reason) if judged_on_its_own(reason) => self.redirect(ended, reason),
            Decision::Stop(reason) => Ok(Next::Stop(reason)),
        }
    }

    /// A response that is not retried may lead elsewhere.
    fn redirect(&self, ended: &AttemptResult<T::Body>, reason: StopReason) -> Result<Next, Failure> {
        let AttemptResult::Response(received, _) = ended else { return Ok(Next::Stop(reason)) };
        let rules = self.mode.redirects;
        // What a callback edited was for that attempt alone.
        match hop(&self.request, &self.sent().url, received.status.as_u16(), &received.headers, rules) {
            // With credentials in its location.
            Hop::To(request) if self.mode.as_fetch && request.lent => Ok(Next::Stop(reason)),
            Hop::None => Ok(Next::Stop(reason)),
            Hop::BodyGone => Ok(Next::Stop(StopReason::BodyNotReplayable)),
            Hop::To(_) if self.retry.hops() >= rules.max => {
                Err(Failure::new(ErrorKind::TooManyRedirects, Evidence::Unknown, format!("more than {} redirects", rules.max)))
            }
            Hop::To(request) if !request.body.rewind() => Ok(Next::Stop(StopReason::BodyNotReplayable)),
            Hop::To(request) => Ok(Next::Redirect(request)),
        }
    }

    /// Frees the connection of a response that is not handed out, waits, and lets a callback edit what is sent next.
    async fn pause(&mut self, ended: AttemptResult<T::Body>, verdict: Verdict, until: Tick) -> Result<(), CallFailure> {
        self.tell_retry();
        let asked = self.wants.before_retry.then(|| self.attempt_view(&ended, verdict));
        let status = ended.status();
        self.drain(ended).await;
        // Who runs the call and hears of it hears of the retry before it is made, however short the wait.
        if self.wants.events {
            yield_now().await;
        }
        self.config.clock.pause_until(until).await;
        self.edited = None;
        let Some(attempt) = asked else { return Ok(()) };
        self.edited = Some(self.before_retry(attempt).await.map_err(|failure| CallFailure::replacing(status, failure))?);
        Ok(())
    }

    async fn drain(&self, ended: AttemptResult<T::Body>) {
        // Not to be had again on the connection that it came on: what is unread of it ends with that, what was read has given it back.
        if ended.is_misdirected() {
            self.transport.forget(&self.sent().url);
            return;
        }
        if let AttemptResult::Response(Received { body, .. }, None) = ended {
            drain(&self.config.clock, body, self.retry.deadline()).await;
        }
    }

    async fn follow(&mut self, ended: AttemptResult<T::Body>, request: Request) -> Result<(), CallFailure> {
        self.identity();
        self.tell_redirect(&request.url);
        self.drain(ended).await;
        let now = self.config.clock.now();
        // A name that is in use with other parameters was refused when the first hop looked it up.
        let budget = self.policy.budget().and_then(|spec| self.shared.budgets.find(spec, request.origin(), now).ok());
        let purse = if self.heard.is_some() { budget.clone() } else { None };
        self.retry.redirect(facts(&request, self.wants.retry_if), budget, now);
        self.request = request;
        self.tell_unshared(purse.as_ref());
        self.edited = None;
        Ok(())
    }

    /// An attempt lasts until the last byte of its body, when that is read; not while somebody thinks about it.
    pub(super) fn close_record(&mut self, now: Tick) {
        if std::mem::take(&mut self.open)
            && let Some(record) = self.records.last_mut()
        {
            record.duration = now.since(self.began).saturating_sub(record.start);
            record.first_byte = self.progress.answered_at().map(|at| at.since(self.began).saturating_sub(record.start));
            record.resends = self.progress.resends();
            record.interim = self.progress.interim();
            record.connection = self.progress.connection();
        }
    }

    /// The head of the response that the call ended with.
    pub(in crate::client) fn head(self, head: Received<()>, stop_reason: StopReason, ended: Tick) -> ResponseHead {
        self.retry.finish(ended);
        let Request { method, url, .. } = self.edited.unwrap_or(self.request);
        ResponseHead {
            status: head.status,
            reason: head.reason,
            version: head.version,
            headers: head.headers,
            method,
            url,
            whose: Some(self.whose),
            elapsed: ended.since(self.began),
            attempts: self.records,
            stop_reason,
        }
    }

    fn fail(&mut self, ended: CallFailure) -> Error {
        let CallFailure { failure, status, stop_reason } = ended;
        // An attempt that had ended keeps its outcome, whatever ended the call afterwards.
        if let Some(record) = self.records.last_mut()
            && (self.open || failure.kind == ErrorKind::TooManyRedirects)
        {
            record.error = Some(failure.kind);
        }
        let now = self.config.clock.now();
        self.close_record(now);
        let elapsed = now.since(self.began);
        let text = self.identity().ended(&failure.message, self.records.len(), elapsed, stop_reason);
        self.tell_end(stop_reason, Some(&text));
        // The machine is not told to finish: a response whose body did not arrive earns the budget nothing.
        let records = std::mem::take(&mut self.records);
        let error = Error::new(failure.kind, text).with_status(status).with_records(records, stop_reason).of_call(self.identity());
        match failure.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    /// The failure of a call that was cancelled, or whose client was closed, in whatever state it was.
    fn cancelled(&mut self, kind: ErrorKind, evidence: Evidence) -> CallFailure {
        let status = self.records.last_mut().and_then(|record| {
            if self.open && record.status.is_none() {
                record.evidence = evidence;
            }
            record.status
        });
        let stop_reason = StopReason::of_kind(kind).unwrap_or(StopReason::Cancelled);
        CallFailure { failure: Failure::new(kind, evidence, cancel_message(kind)), status, stop_reason }
    }
}

/// A call that has begun and not ended. Dropped, it was given up without a cancel: it ends all the same for those who are told.
struct GivenUp<'r, 'a, T: Transport, C: Clock, H: Host>(&'r mut Running<'a, T, C, H>);

impl<T: Transport, C: Clock, H: Host> Drop for GivenUp<'_, '_, T, C, H> {
    fn drop(&mut self) {
        if self.0.heard.is_some() {
            let evidence = self.0.progress.seal();
            let failure = self.0.cancelled(ErrorKind::Cancelled, evidence);
            drop(self.0.fail(failure));
        }
    }
}

/// What the machine is told of a failure.
fn outcome_of(failure: &Failure) -> Outcome<'static> {
    Outcome::Failure { kind: failure.kind, evidence: failure.evidence, local: failure.local }
}

/// Whether the outcome was simply not one to retry, so that a redirect is followed and a body that breaks is judged anew.
fn judged_on_its_own(reason: StopReason) -> bool {
    matches!(reason, StopReason::Completed | StopReason::NotRetryable | StopReason::PredicateStop)
}
