//! Rust closures as a host.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::client::call::events::Event;
use crate::client::call::question::{Attempt, Host, Question, Reply, Wants};
use crate::client::message::request::Request;
use crate::error::{BoxError, Error};
use crate::retry::Opinion;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type RetryIf = dyn Fn(Attempt) -> Answer<Opinion> + Send + Sync;
type Delay = dyn Fn(Attempt) -> Answer<Option<Duration>> + Send + Sync;
type BeforeRetry = dyn Fn(Attempt, Request) -> Answer<Request> + Send + Sync;
type BeforeAttempt = dyn Fn(&Event, &mut HeaderMap) + Send + Sync;
type OnEvent = dyn Fn(&Event) + Send + Sync;

/// Rust closures as a host. Cheap to clone.
///
/// A closure that panics ends the call with kind `callback`; so does one that returns an error.
#[derive(Clone, Default)]
pub struct Callbacks {
    retry_if: Option<Arc<RetryIf>>,
    body: bool,
    delay: Option<Arc<Delay>>,
    before_retry: Option<Arc<BeforeRetry>>,
    before_attempt: Option<Arc<BeforeAttempt>>,
    on_event: Option<Arc<OnEvent>>,
}

impl Callbacks {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asked after every completed attempt, 2xx included, while a retry is possible. It adds: `true` retries, a `Duration` retries after that long, and
    /// `false` or `None` leaves it to the policy. [`Opinion::Stop`] stops. Not asked about what `stop_headers` match.
    #[must_use]
    pub fn retry_if<O: Into<Opinion>>(mut self, f: impl Fn(&Attempt) -> O + Send + Sync + 'static) -> Self {
        self.retry_if = Some(Arc::new(move |attempt| done(f(&attempt).into())));
        self
    }

    /// Likewise, asynchronous.
    #[must_use]
    pub fn retry_if_async<F>(mut self, f: impl Fn(Attempt) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Opinion, BoxError>> + Send + 'static,
    {
        self.retry_if = Some(Arc::new(move |attempt| Box::pin(f(attempt))));
        self
    }

    /// Lets the callbacks of buffered calls see the response's body: it is then read before they are asked.
    #[must_use]
    pub fn with_body(mut self) -> Self {
        self.body = true;
        self
    }

    /// Asked for the wait before a retry that was decided, in place of the policy's back-off. Give a `Duration`, or `None` for
    /// the policy's. Server hints still apply.
    #[must_use]
    pub fn delay<D: Into<Option<Duration>>>(mut self, f: impl Fn(&Attempt) -> D + Send + Sync + 'static) -> Self {
        self.delay = Some(Arc::new(move |attempt| done(f(&attempt).into())));
        self
    }

    /// Likewise, asynchronous.
    #[must_use]
    pub fn delay_async<F>(mut self, f: impl Fn(Attempt) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<Duration>, BoxError>> + Send + 'static,
    {
        self.delay = Some(Arc::new(move |attempt| Box::pin(f(attempt))));
        self
    }

    /// Edits the request of the next attempt alone, after the wait. Edits do not accumulate.
    #[must_use]
    pub fn before_retry(mut self, f: impl Fn(&Attempt, &mut Request) -> Result<(), Error> + Send + Sync + 'static) -> Self {
        self.before_retry = Some(Arc::new(move |attempt, mut request| {
            let edited = f(&attempt, &mut request).map(|()| request).map_err(BoxError::from);
            Box::pin(ready(edited))
        }));
        self
    }

    /// Likewise, asynchronous.
    #[must_use]
    pub fn before_retry_async<F>(mut self, f: impl Fn(Attempt, Request) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Request, BoxError>> + Send + 'static,
    {
        self.before_retry = Some(Arc::new(move |attempt, request| Box::pin(f(attempt, request))));
        self
    }

    /// Asked before each attempt, those of redirects' hops included, for header fields that this attempt shall have besides: a trace's, for example. It
    /// is given the event of the attempt's start and an empty map; a field takes the place of those of the same name. It must not block.
    #[must_use]
    pub fn before_attempt(mut self, f: impl Fn(&Event, &mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.before_attempt = Some(Arc::new(f));
        self
    }

    /// Told of everything that [`EventKind`](crate::client::EventKind) lists. It must not block; a panic in it is reported by the panic hook and fails no call.
    #[must_use]
    pub fn on_event(mut self, f: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(f));
        self
    }

    /// These callbacks, with those of `self` where there are none.
    #[must_use]
    pub fn over(mut self, base: &Callbacks) -> Self {
        self.retry_if = self.retry_if.or_else(|| base.retry_if.clone());
        self.delay = self.delay.or_else(|| base.delay.clone());
        self.before_retry = self.before_retry.or_else(|| base.before_retry.clone());
        self.before_attempt = self.before_attempt.or_else(|| base.before_attempt.clone());
        self.on_event = self.on_event.or_else(|| base.on_event.clone());
        self.body |= base.body;
        self
    }
}

fn done<T: Send + 'static>(answer: T) -> Answer<T> {
    Box::pin(ready(Ok(answer)))
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wants().fmt(f)
    }
}

impl Host for Callbacks {
    fn wants(&self) -> Wants {
        Wants {
            retry_if: self.retry_if.is_some(),
            body: self.body,
            delay: self.delay.is_some(),
            before_retry: self.before_retry.is_some(),
            before_attempt: self.before_attempt.is_some(),
            events: self.on_event.is_some(),
            notices: false,
        }
    }

    async fn ask(&mut self, question: Question) -> Result<Reply, BoxError> {
        match (question, &self.retry_if, &self.delay, &self.before_retry) {
            (Question::RetryIf(attempt), Some(f), ..) => f(*attempt).await.map(Reply::Opinion),
            (Question::Delay(attempt), _, Some(f), _) => f(*attempt).await.map(Reply::Delay),
            (Question::BeforeRetry(attempt, request), .., Some(f)) => {
                f(*attempt, *request).await.map(|request| Reply::Request(Box::new(request)))
            }
            // Not asked without a callback.
            (Question::RetryIf(_), ..) => Ok(Reply::Opinion(Opinion::None)),
            (Question::Delay(_), ..) => Ok(Reply::Delay(None)),
            (Question::BeforeRetry(_, request), ..) => Ok(Reply::Request(request)),
            (Question::BeforeAttempt(start), ..) => {
                let mut fields = HeaderMap::new();
                if let Some(f) = &self.before_attempt {
                    f(&start, &mut fields);
                }
                Ok(Reply::Fields(fields))
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if let Some(f) = &self.on_event {
            f(&event);
        }
    }
}
