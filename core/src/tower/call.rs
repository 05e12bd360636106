//! The loop of one call: it asks the machine, and lets the inner service send.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response, Version};
use http_body::Body;
use tower_service::Service;

use super::body::sealed::Sealed;
use super::layer::Config;
use super::trace::Trace;
use super::{Attempt, Attempted, CallName, Failure, Records, RetryError};
use crate::error::{BoxError, Error, ErrorKind};
use crate::policy::{Policy, RequestHead};
use crate::record::Evidence;
use crate::retry::driver::{Driver, Misuse, Options, Target};
use crate::retry::{Answer, Decision, Outcome, Verdict};
use crate::system::clock::{Clock, TokioClock, has_timers, until};
use crate::system::entropy;
use crate::time::Tick;

/// The most of a dropped response that is read so that its connection can be used again, and the longest that may take.
const DRAIN: (usize, Duration) = (64 * 1024, Duration::from_millis(50));

/// How an attempt ended.
enum Ended<R> {
    Response(Response<R>),
    Failed(BoxError, Failure),
}

impl<R> Ended<R> {
    fn version(&self) -> Option<Version> {
        match self {
            Ended::Response(response) => Some(response.version()),
            Ended::Failed(..) => None,
        }
    }
}

/// A call under way. Dropping it gives back what it holds of its budget.
pub(super) struct Call<S, B, M: Sealed<B>> {
    service: S,
    config: Arc<Config>,
    policy: Policy,
    driver: Driver,
    parts: Parts,
    mode: M,
    body: M::Kept,
    began: Tick,
    trace: Trace,
}

impl<S, B, M: Sealed<B>> Call<S, B, M> {
    /// Chooses the policy and begins: from now on the call's `timeout` runs.
    pub(super) fn begin(service: S, config: Arc<Config>, mode: M, request: Request<B>) -> Result<Self, RetryError> {
        let (parts, body) = request.into_parts();
        let url = url_of(&parts, &config.origin);
        let method = parts.method.as_str();
        let policy = config.policies.for_request(&head_of(&parts)).policy.clone();
        let target = Target { headers: &parts.headers, ..Target::new(method, &url) };
        let options = Options {
            budgets: Some(Arc::clone(&config.budgets)),
            asked: config.retry_if.is_some(),
            nested: !config.allows_nesting && parts.extensions.get::<Attempt>().is_some(),
            minted_key: entropy::minted_key(&policy, method, target.carries_key()),
            entropy: config.next_seed(),
        };
        let began = TokioClock.now();
        let driver = Driver::begin(&policy, target, options, began).map_err(|misuse| RetryError::before(refused(misuse)))?;
        let body = mode.keep(body, policy.max_body_buffer());
        let name = || parts.extensions.get::<CallName>().map(|name| Arc::clone(&name.0)).or_else(|| config.name.clone());
        let trace = Trace::begin(method, &url, name);
        Ok(Call { service, config, policy, driver, parts, mode, body, began, trace })
    }

    /// Sends until the machine says stop.
    pub(super) async fn run<R>(mut self) -> Result<Response<R>, RetryError>
    where
        S: Service<Request<M::Sent>, Response = Response<R>> + Clone,
        S::Error: Into<BoxError>,
        R: Body,
    {
        if !has_timers() {
            let message = "a call must be made inside a tokio runtime with timers; build it with enable_time()";
            return Err(RetryError::before(Error::new(ErrorKind::Config, message)));
        }
        loop {
            let ended = self.attempt().await?;
            let state = M::state(&self.body);
            let verdict = self.classify(&ended)?;
            self.trace.ended(&self.driver, ended.version());
            let answer = self.opinion(&ended, verdict, state.replayable);
            let now = TokioClock.now();
            let decision = self.driver.decide(answer, state.replayable, now).map_err(|misuse| self.broken(misuse))?;
            self.trace.decided(&mut self.driver, now);
            match decision {
                Decision::Retry { wait } => {
                    if let Ended::Response(response) = ended {
                        let deadline = self.driver.retry().and_then(|retry| retry.deadline());
                        drain(response.into_body(), deadline.unwrap_or(Tick::MAX)).await;
                    }
                    TokioClock.pause_until(now.after(wait)).await;
                }
                Decision::Stop(_) => {
                    self.driver.finish(now);
                    let records = Records::of(&self.driver);
                    return match ended {
                        Ended::Response(mut response) => {
                            M::release(&mut self.body);
                            response.extensions_mut().insert(records);
                            Ok(response)
                        }
                        Ended::Failed(error, failure) => Err(RetryError::new(error, failure.kind, records)),
                    };
                }
            }
        }
    }

    /// Waits until the service takes a request, sends one, and waits for its head.
    async fn attempt<R>(&mut self) -> Result<Ended<R>, RetryError>
    where
        S: Service<Request<M::Sent>, Response = Response<R>> + Clone,
        S::Error: Into<BoxError>,
    {
        let now = TokioClock.now();
        let attempt = self.driver.attempt(now).map_err(|misuse| self.broken(misuse))?;
        self.trace.attempt(&self.driver);
        let deadline = attempt.deadline.unwrap_or(Tick::MAX);
        let attempt = Attempt { number: attempt.number, retries_left: attempt.retries_left };
        let ready = poll_fn(|context| self.service.poll_ready(context));
        match until(&TokioClock, deadline, pin!(ready)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                let error = error.into();
                let failure = Failure { evidence: Evidence::NotSent, ..self.failure(&*error) };
                // A service that failed so takes nothing more.
                self.service = self.service.clone();
                return Ok(Ended::Failed(error, failure));
            }
            None => return Ok(self.past_deadline(Evidence::NotSent)),
        }
        let request = self.request(attempt);
        let sent = TokioClock.now();
        let mut sending = pin!(self.trace.send(|| self.service.call(request)));
        let per_try = self.policy.per_try_timeout();
        loop {
            // Begun anew by each piece of the request's body, as far as that is seen.
            let moved = M::state(&self.body).moved.unwrap_or(sent).max(sent);
            let end = per_try.map_or(deadline, |limit| moved.after(limit).min(deadline));
            let ended = until(&TokioClock, end, sending.as_mut()).await;
            match ended {
                Some(Ok(response)) => return Ok(Ended::Response(response)),
                Some(Err(error)) => {
                    let error = error.into();
                    let failure = self.failure(&*error);
                    return Ok(Ended::Failed(error, failure));
                }
                None if end >= deadline => return Ok(self.past_deadline(Evidence::Unknown)),
                None if M::state(&self.body).moved.is_some_and(|at| at > moved) => {}
                None => return Ok(timed_out(ErrorKind::PerTryTimeout, Evidence::Unknown, self.policy.no_head_text())),
            }
        }
    }

    /// The request of an attempt: with what the policy puts on it, and a mark for loops further in.
    fn request(&mut self, attempt: Attempt) -> Request<M::Sent> {
        let mut request = Request::from_parts(self.parts.clone(), self.mode.next(&mut self.body));
        request.extensions_mut().insert(attempt);
        for (name, value) in self.driver.headers() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
                request.headers_mut().insert(name, value);
            }
        }
        request
    }

    fn failure(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        match M::state(&self.body).failed {
            Some(kind) => Failure::new(kind, Evidence::Unknown),
            None => self.config.failure(error),
        }
    }

    fn past_deadline<R>(&self, evidence: Evidence) -> Ended<R> {
        timed_out(ErrorKind::Deadline, evidence, self.policy.past_deadline_text())
    }

    fn classify<R>(&mut self, ended: &Ended<R>) -> Result<Verdict, RetryError> {
        let outcome = match ended {
            Ended::Response(response) => Outcome::Response { status: response.status().as_u16(), headers: response.headers() },
            Ended::Failed(_, Failure { kind: Some(kind), evidence, local }) => {
                Outcome::Failure { kind: *kind, evidence: *evidence, local: *local }
            }
            Ended::Failed(_, Failure { kind: None, evidence, .. }) => Outcome::Foreign { evidence: *evidence },
        };
        let class = matches!(outcome, Outcome::Foreign { .. }).then_some("error of the service");
        let classified = self.driver.classify(outcome, class, TokioClock.wall(), TokioClock.now());
        #[cfg_attr(not(feature = "tower-reqwest"), expect(unused_mut))] // no other service says so
        let (mut verdict, _) = classified.map_err(|misuse| self.broken(misuse))?;
        #[cfg(feature = "tower-reqwest")]
        if let Ended::Response(response) = ended
            && response.extensions().get::<super::reqwest::Redirected>().is_some()
        {
            self.driver.followed().map_err(|misuse| self.broken(misuse))?;
            verdict.evidence = Evidence::Unknown;
        }
        Ok(verdict)
    }

    /// `retry_if`, where it may be asked.
    fn opinion<R>(&self, ended: &Ended<R>, verdict: Verdict, replayable: bool) -> Answer {
        let now = TokioClock.now();
        let Some(retry_if) = self.config.retry_if.as_ref().filter(|_| self.driver.is_worth_asking(replayable, now)) else {
            return Answer::default();
        };
        let (response, error) = match ended {
            Ended::Response(response) => (Some(response), None),
            Ended::Failed(error, _) => (None, Some(&**error as &(dyn std::error::Error + 'static))),
        };
        let retry = self.driver.retry();
        retry_if(&Attempted {
            number: self.driver.records().len() as u32,
            retries_left: retry.map_or(0, |retry| retry.retries_left()),
            method: &self.parts.method,
            uri: &self.parts.uri,
            elapsed: now.since(self.began),
            status: response.map(Response::status),
            headers: response.map(Response::headers),
            error,
            kind: self.driver.records().last().and_then(|record| record.error),
            evidence: verdict.evidence,
            hint: verdict.hint,
            verdict: verdict.retry,
            planned_wait: retry.and_then(|retry| retry.planned_wait(verdict)),
        })
        .into()
    }

    /// A step out of order, which this loop does not make.
    fn broken(&self, misuse: Misuse) -> RetryError {
        RetryError::new(refused(misuse).into(), Some(ErrorKind::Internal), Records::of(&self.driver))
    }
}

impl<S, B, M: Sealed<B>> Drop for Call<S, B, M> {
    fn drop(&mut self) {
        self.trace.given_up(&self.driver);
    }
}

/// Reads a response that nobody wants, if that is cheap: its connection can then be used again.
async fn drain(body: impl Body, deadline: Tick) {
    let end = TokioClock.now().after(DRAIN.1).min(deadline);
    let mut body = pin!(body);
    let read = async {
        let mut left = DRAIN.0;
        while let Some(Ok(frame)) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            // A frame of nothing counts, too: there may be no end of them.
            match left.checked_sub(frame.data_ref().map_or(1, Buf::remaining).max(1)) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    until(&TokioClock, end, pin!(read)).await;
}

fn timed_out<R>(kind: ErrorKind, evidence: Evidence, text: String) -> Ended<R> {
    Ended::Failed(Error::new(kind, text).into(), Failure::new(kind, evidence))
}

fn refused(misuse: Misuse) -> Error {
    match misuse {
        Misuse::Value(error) | Misuse::Budget(error) => error,
        Misuse::Order(text) => Error::new(ErrorKind::Internal, text),
    }
}

fn head_of(parts: &Parts) -> RequestHead<'_> {
    let uri = &parts.uri;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or_default();
    RequestHead { method: parts.method.as_str(), scheme: uri.scheme_str().unwrap_or("http"), authority, path, headers: &parts.headers }
}

/// By what the call's budget is found: the URL; where the request says none, as to a service that knows where it sends, its `Host` or this name.
fn url_of(parts: &Parts, name: &str) -> String {
    let head = head_of(parts);
    match head.authority {
        "" => name.to_owned(),
        authority => format!("{}://{authority}{}", head.scheme, head.path),
    }
}
