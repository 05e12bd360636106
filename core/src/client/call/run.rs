//! One call: the loop around the decision machine. It decides nothing itself.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::HeaderName;

use super::attempt::{Delivery, Ended, Whole};
use super::cancel::{Cancel, any_of, called_off};
use super::drain::drain;
use super::question::{Event, Host};
use crate::client::message::cookies::Cookies;
use crate::client::message::redirect::{Hop, Redirects, hop};
use crate::client::message::request::Request;
use crate::client::message::response::ResponseHead;
use crate::client::system::clock::Clock;
use crate::client::transport::{Exchanges, Failure, Progress, Received, Transport};
use crate::error::{Error, ErrorKind};
use crate::policy::{IdempotencyKey, Policy};
use crate::record::{AttemptRecord, Evidence, StopReason};
use crate::retry::{Budgets, Call, Decision, Outcome, Retry, Verdict};
use crate::time::Tick;

pub(in crate::client) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the caller wants, besides the request.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct Mode {
    pub(in crate::client) delivery: Delivery,
    pub(in crate::client) redirects: Redirects,
}

/// What a client was told of all its calls.
pub(in crate::client) struct CallConfig<C> {
    pub(in crate::client) clock: C,
    pub(in crate::client) max_response_size: Option<u64>,
    pub(in crate::client) cookies: Option<Cookies>,
}

/// What the calls of one client in one process share, wherever they run.
pub(in crate::client) struct CallShared {
    pub(in crate::client) budgets: Budgets,
    pub(in crate::client) closed: Cancel,
    pub(in crate::client) entropy: u64,
    pub(in crate::client) serial: AtomicU64,
}

impl CallShared {
    fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

/// Where one call runs.
pub(in crate::client) struct On<'a, T> {
    pub(in crate::client) shared: &'a CallShared,
    /// The present runtime's, or a lane's.
    pub(in crate::client) transport: Arc<T>,
    /// Where a lane is told of what the call begins.
    pub(in crate::client) exchanges: Option<&'a Exchanges>,
}

/// The state of one call.
pub(in crate::client) struct Running<'a, T: Transport, C, H> {
    pub(in crate::client) config: &'a CallConfig<C>,
    pub(in crate::client) shared: &'a CallShared,
    pub(in crate::client) transport: Arc<T>,
    pub(in crate::client) exchanges: Option<&'a Exchanges>,
    pub(in crate::client) policy: Cow<'a, Policy>,
    pub(in crate::client) host: H,
    pub(in crate::client) mode: Mode,
    /// The request of the present hop.
    pub(in crate::client) request: Request,
    /// The origin that the caller named, if there are cookies for it.
    pub(in crate::client) named: Option<url::Origin>,
    /// The request of the present attempt alone, if a callback edited it.
    pub(in crate::client) edited: Option<Request>,
    pub(in crate::client) retry: Retry,
    pub(in crate::client) began: Tick,
    pub(in crate::client) records: Vec<AttemptRecord>,
    /// The attempt of the last record is going on.
    pub(in crate::client) open: bool,
    /// How far the attempt in flight is.
    pub(in crate::client) progress: Arc<Progress>,
}

/// A call that ended with a response.
pub(in crate::client) struct Finished<B> {
    pub(in crate::client) head: Received<()>,
    pub(in crate::client) body: Whole<B>,
    pub(in crate::client) stop_reason: StopReason,
}

/// Where the loop goes after an outcome.
enum Next {
    /// The next attempt, at this moment.
    Retry(Tick),
    /// The next hop, at once.
    Redirect(Box<Request>),
    Stop(StopReason),
}

impl<'a, T: Transport, C: Clock, H: Host> Running<'a, T, C, H> {
    pub(in crate::client) fn begin(
        config: &'a CallConfig<C>,
        on: On<'a, T>,
        policy: Cow<'a, Policy>,
        host: H,
        mode: Mode,
        mut request: Request,
    ) -> Result<Self, Error> {
        request.settle_length()?;
        let On { shared, transport, exchanges } = on;
        let may_mint = policy.idempotency_key() == IdempotencyKey::Auto && !policy.methods().contains(request.method());
        if may_mint
            && !request.headers.contains_key(IDEMPOTENCY_KEY)
            && let Some(key) = crate::client::system::entropy::uuid()
        {
            request.headers.insert(IDEMPOTENCY_KEY, key);
        }
        let began = config.clock.now();
        let budget = match policy.budget() {
            Some(spec) => Some(shared.budgets.find(spec, request.origin(), began)?),
            None => None,
        };
        let asked = host.wants().retry_if;
        let retry = Retry::begin(&policy, facts(&request, asked), budget, shared.entropy, shared.next_serial(), began);
        let (records, progress) = (Vec::with_capacity(1), Arc::default());
        let named = config.cookies.is_some().then(|| request.url.origin());
        Ok(Running {
            config,
            shared,
            transport,
            exchanges,
            policy,
            host,
            mode,
            request,
            named,
            edited: None,
            retry,
            began,
            records,
            open: false,
            progress,
        })
    }

    /// Sends until the machine says stop, or somebody calls it off.
    pub(in crate::client) async fn finish(&mut self, cancel: Option<&Cancel>) -> Result<Finished<T::Body>, Error> {
        let closed = &self.shared.closed;
        let ended = tokio::select! {
            // In this order: a call that is called off sends nothing more, nor anything at all.
            biased;
            kind = any_of(cancel, closed) => Err(kind),
            ended = self.run() => Ok(ended),
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(kind) => Err(self.call_off(kind).await),
        };
        match ended {
            Ok(finished) => {
                self.over(finished.stop_reason);
                Ok(finished)
            }
            Err((failure, status, reason)) => Err(self.fail(failure, status, reason)),
        }
    }

    async fn run(&mut self) -> Result<Finished<T::Body>, (Failure, Option<u16>, StopReason)> {
        loop {
            let mut ended = self.attempt().await;
            loop {
                if self.is_asked_for(&ended) {
                    ended = Box::pin(self.read_first(ended)).await;
                }
                let verdict = self.classify(&ended);
                let next = match self.next(&ended, verdict).await {
                    Ok(next) => next,
                    // It takes the place of the outcome, which stays on the record.
                    Err(failure) => return Err(instead(failure, ended.status())),
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
                            Ended::Failed(failure, status) => return Err((failure, status, reason)),
                            Ended::Head(received, bytes) => (received, bytes),
                        };
                        let body = match (bytes, self.mode.delivery) {
                            (Some(bytes), _) => Ok(Some(bytes)),
                            (None, Delivery::Streamed) => Ok(None),
                            (None, Delivery::Buffered) => {
                                self.open = true;
                                self.read(&mut received).await.map(Some)
                            }
                        };
                        let status = Some(received.status.as_u16());
                        match body {
                            Ok(bytes) => {
                                let (head, live) = received.split();
                                return Ok(Finished { head, body: bytes.map_or(Whole::Live(live), Whole::Bytes), stop_reason: reason });
                            }
                            // A body that breaks is an outcome of its own, unless its response had been given up on.
                            Err(failure) if judged_on_its_own(reason) => ended = Ended::Failed(failure, status),
                            Err(failure) => return Err((failure, status, reason)),
                        }
                    }
                }
            }
        }
    }

    /// The verdict on an outcome, noted on its record.
    fn classify(&mut self, ended: &Ended<T::Body>) -> Verdict {
        let (outcome, error) = match ended {
            Ended::Head(Received { status, headers, .. }, _) => (Outcome::Response { status: status.as_u16(), headers }, None),
            Ended::Failed(failure, _) => (Outcome::Failure { kind: failure.kind, evidence: failure.evidence }, Some(failure.kind)),
        };
        let verdict = self.retry.classify(outcome, self.config.clock.wall());
        self.close_record();
        if let Some(record) = self.records.last_mut() {
            record.status = ended.status();
            record.error = error;
            record.evidence = verdict.evidence;
            record.hint = verdict.hint;
        }
        verdict
    }

    /// Asks the callbacks and the machine. A failure is that of a callback, or of too many redirects.
    async fn next(&mut self, ended: &Ended<T::Body>, verdict: Verdict) -> Result<Next, Failure> {
        if matches!(ended, Ended::Failed(failure, _) if failure.permanent) {
            return Ok(Next::Stop(StopReason::NotRetryable));
        }
        let replayable = self.request.body.is_replayable() && self.policy.keeps(self.request.body.length());
        let mut answer = self.opinion(ended, verdict, replayable).await?;
        let decision = match self.retry.permit(verdict, answer, replayable, self.config.clock.now()) {
            Err(reason) => Decision::Stop(reason),
            Ok(()) => {
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
                Ok(Next::Retry(self.config.clock.now().after(wait)))
            }
            Decision::Stop(reason) if judged_on_its_own(reason) => self.redirect(ended, reason),
            Decision::Stop(reason) => Ok(Next::Stop(reason)),
        }
    }

    /// A response that is not retried may lead elsewhere.
    fn redirect(&self, ended: &Ended<T::Body>, reason: StopReason) -> Result<Next, Failure> {
        let Ended::Head(received, _) = ended else { return Ok(Next::Stop(reason)) };
        let rules = self.mode.redirects;
        match hop(self.sent(), received.status.as_u16(), &received.headers, rules) {
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
    async fn pause(&mut self, ended: Ended<T::Body>, verdict: Verdict, until: Tick) -> Result<(), (Failure, Option<u16>, StopReason)> {
        self.tell(|records| records.last().cloned().map(Event::Retry));
        let asked = self.host.wants().before_retry.then(|| self.told(&ended, verdict));
        let status = ended.status();
        self.drain(ended).await;
        self.config.clock.pause_until(until).await;
        self.edited = None;
        let Some(attempt) = asked else { return Ok(()) };
        self.edited = Some(self.before_retry(attempt).await.map_err(|failure| instead(failure, status))?);
        Ok(())
    }

    async fn drain(&self, ended: Ended<T::Body>) {
        if let Ended::Head(Received { body, .. }, None) = ended {
            drain(&self.config.clock, body, self.retry.deadline()).await;
        }
    }

    async fn follow(&mut self, ended: Ended<T::Body>, request: Request) -> Result<(), (Failure, Option<u16>, StopReason)> {
        self.tell(|records| Some(Event::Redirect(records.last()?.clone(), crate::client::message::redact::redacted(&request.url))));
        self.drain(ended).await;
        let now = self.config.clock.now();
        // A name that is in use with other parameters was refused when the first hop looked it up.
        let budget = self.policy.budget().and_then(|spec| self.shared.budgets.find(spec, request.origin(), now).ok());
        self.retry.redirect(facts(&request, self.host.wants().retry_if), budget, now);
        self.request = request;
        self.edited = None;
        Ok(())
    }

    /// What the present attempt sends, or the last one sent.
    pub(in crate::client) fn sent(&self) -> &Request {
        self.edited.as_ref().unwrap_or(&self.request)
    }

    /// An attempt lasts until the last byte of its body, when that is read; not while somebody thinks about it.
    fn close_record(&mut self) {
        if std::mem::take(&mut self.open)
            && let Some(record) = self.records.last_mut()
        {
            record.duration = self.config.clock.now().since(self.began).saturating_sub(record.start);
            record.first_byte = self.progress.answered_at().map(|at| at.since(self.began).saturating_sub(record.start));
            record.resends = self.progress.resends();
            record.connection = self.progress.connection();
        }
    }

    /// The head of the response that the call ended with.
    pub(in crate::client) fn head(self, head: Received<()>, stop_reason: StopReason) -> ResponseHead {
        let now = self.config.clock.now();
        self.retry.finish(now);
        ResponseHead {
            status: head.status,
            version: head.version,
            headers: head.headers,
            url: self.edited.unwrap_or(self.request).url,
            elapsed: now.since(self.began),
            attempts: self.records,
            stop_reason,
        }
    }

    fn over(&mut self, stop_reason: StopReason) {
        self.close_record();
        self.tell(|records| Some(Event::End { attempts: records.to_vec(), stop_reason }));
    }

    /// Whatever an observer does, the call goes on.
    fn tell(&mut self, event: impl FnOnce(&[AttemptRecord]) -> Option<Event>) {
        if self.host.wants().events
            && let Some(event) = event(&self.records)
        {
            // The panic hook has reported it.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| self.host.tell(event)));
        }
    }

    fn fail(&mut self, failure: Failure, status: Option<u16>, stop_reason: StopReason) -> Error {
        // An attempt that had ended keeps its outcome, whatever ended the call afterwards.
        if let Some(record) = self.records.last_mut()
            && (self.open || failure.kind == ErrorKind::TooManyRedirects)
        {
            record.error = Some(failure.kind);
        }
        self.over(stop_reason);
        // The machine is not told to finish: a response whose body did not arrive earns the budget nothing.
        let records = std::mem::take(&mut self.records);
        let error = Error::new(failure.kind, failure.message).with_status(status).with_records(records, stop_reason);
        match failure.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    /// The failure of a call that somebody called off, in whatever state it was.
    async fn call_off(&mut self, kind: ErrorKind) -> (Failure, Option<u16>, StopReason) {
        let reason = StopReason::of_kind(kind).unwrap_or(StopReason::Cancelled);
        let evidence = self.progress.proof(&self.config.clock).await;
        let status = self.records.last_mut().and_then(|record| {
            if self.open && record.status.is_none() {
                record.evidence = evidence;
            }
            record.status
        });
        (Failure::new(kind, evidence, called_off(kind)), status, reason)
    }
}

/// A failure that ends the call in place of the outcome at hand.
fn instead(failure: Failure, status: Option<u16>) -> (Failure, Option<u16>, StopReason) {
    let reason = StopReason::of_kind(failure.kind).unwrap_or(StopReason::NotRetryable);
    (failure, status, reason)
}

/// Whether the outcome was simply not one to retry, so that a redirect is followed and a body that breaks is judged anew.
fn judged_on_its_own(reason: StopReason) -> bool {
    matches!(reason, StopReason::Completed | StopReason::NotRetryable | StopReason::PredicateStop)
}

fn facts(request: &Request, asked: bool) -> Call<'_> {
    Call { method: request.method.as_str(), has_idempotency_key: request.headers.contains_key(IDEMPOTENCY_KEY), asked }
}

impl<B> Whole<B> {
    /// The bytes of a buffered call.
    pub(in crate::client) fn into_bytes(self) -> Bytes {
        match self {
            Whole::Bytes(bytes) => bytes,
            Whole::Live(_) => Bytes::new(),
        }
    }
}
