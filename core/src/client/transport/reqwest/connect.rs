//! The connector layer: this attempt's connect limit and connect times.
//!
//! reqwest's own `connect_timeout` is one for the whole client; here every attempt has its own. The layer finds the attempt in a
//! task-local that `send` sets around the request: hyper-util calls the connector in the task of the request that needs it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use tower_layer::Layer;
use tower_service::Service;

use crate::client::system::clock::{Clock, TokioClock};
use crate::client::transport::Progress;
use crate::error::BoxError;
use crate::time::{DurationText, Tick};

tokio::task_local! {
    /// The attempt that this task is sending.
    pub(super) static ATTEMPT: Arc<Attempt>;
}

/// What the connector needs to know of an attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    limit: Option<Duration>,
    progress: Arc<Progress>,
    /// The number of connects begun; only the latest one speaks for the attempt.
    connects: AtomicU32,
}

impl Attempt {
    pub(super) fn new(limit: Option<Duration>, progress: Arc<Progress>) -> Arc<Self> {
        Arc::new(Attempt { limit, progress, connects: AtomicU32::new(0) })
    }

    /// How long it took to look up the name.
    pub(super) fn resolved(&self, took: Duration) {
        self.progress.note_connection(|connection| connection.resolve = Some(took));
    }
}

/// The connector did not finish within the attempt's limit.
#[derive(Debug)]
pub(super) struct ConnectTimeout(pub(in crate::client) Duration);

impl fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {}", DurationText(self.0))
    }
}

impl std::error::Error for ConnectTimeout {}

#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectLayer;

impl<S> Layer<S> for ConnectLayer {
    type Service = ConnectService<S>;

    fn layer(&self, inner: S) -> ConnectService<S> {
        ConnectService(Arc::new(Mutex::new(inner)))
    }
}

/// Shares what it wraps: the pool clones its connector several times for each request, and a clone of reqwest's allocates.
#[derive(Debug)]
pub(super) struct ConnectService<S>(Arc<Mutex<S>>);

impl<S> ConnectService<S> {
    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for ConnectService<S> {
    fn clone(&self) -> Self {
        ConnectService(Arc::clone(&self.0))
    }
}

impl<S, T> Service<T> for ConnectService<S>
where
    S: Service<T, Error = BoxError>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Connecting<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.lock().poll_ready(cx)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let attempt = ATTEMPT.try_with(Arc::clone).ok();
        let limit = attempt.as_ref().and_then(|attempt| attempt.limit);
        Connecting {
            inner: self.lock().call(target),
            watch: attempt.map(Watch::begin),
            limit: limit.map(|limit| (limit, Box::pin(tokio::time::sleep(limit)))),
        }
    }
}

/// A connect at work.
pub(super) struct Connecting<F> {
    inner: F,
    watch: Option<Watch>,
    limit: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl<F, C> Future for Connecting<F>
where
    F: Future<Output = Result<C, BoxError>> + Unpin,
{
    type Output = Result<C, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // When a pooled connection came free first, hyper-util lets this connect finish in a task of its own, for the pool.
        // The attempt is not connecting any more; the limit goes on, so that no connect hangs for ever.
        if self.watch.as_ref().is_some_and(Watch::is_elsewhere) {
            self.watch = None;
        }
        let mut result = Pin::new(&mut self.inner).poll(cx);
        if result.is_pending()
            && let Some((limit, sleep)) = &mut self.limit
            && sleep.as_mut().poll(cx).is_ready()
        {
            result = Poll::Ready(Err(Box::new(ConnectTimeout(*limit))));
        }
        if let Poll::Ready(result) = &result
            && let Some(watch) = self.watch.take()
        {
            watch.note(result.is_ok());
        }
        result
    }
}

/// Notes the begin of a connect, and its end when dropped.
struct Watch {
    attempt: Arc<Attempt>,
    serial: u32,
    began: Tick,
}

impl Watch {
    fn begin(attempt: Arc<Attempt>) -> Self {
        let serial = attempt.connects.fetch_add(1, Ordering::AcqRel) + 1;
        let began = TokioClock.now();
        attempt.progress.connect_began(began);
        Watch { attempt, serial, began }
    }

    /// How long it took, for the record. The handshake of TLS is a part of it: the connector does not tell them apart.
    fn note(&self, connected: bool) {
        let took = TokioClock.now().since(self.began);
        self.attempt.progress.note_connection(|connection| {
            connection.connect = Some(took.saturating_sub(connection.resolve.unwrap_or_default()));
            connection.reused = connected.then_some(false);
        });
    }

    /// Whether the task polling now is not the one that sends the attempt.
    fn is_elsewhere(&self) -> bool {
        !ATTEMPT.try_with(|attempt| Arc::ptr_eq(attempt, &self.attempt)).unwrap_or(false)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.attempt.connects.load(Ordering::Acquire) == self.serial {
            self.attempt.progress.connect_ended(TokioClock.now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;

    /// A connector that never gets anywhere.
    #[derive(Clone)]
    struct Stuck;

    impl Service<()> for Stuck {
        type Response = ();
        type Error = BoxError;
        type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            Box::pin(pending())
        }
    }

    fn attempt(limit: Option<Duration>) -> (Arc<Attempt>, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        (Attempt::new(limit, progress.clone()), progress)
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_of_the_attempt_ends_the_connect() {
        let (attempt, progress) = attempt(Some(Duration::from_secs(3)));
        let began = TokioClock.now();
        let error = ATTEMPT.scope(attempt, async { ConnectLayer.layer(Stuck).call(()).await }).await.unwrap_err();
        assert_eq!(error.downcast_ref::<ConnectTimeout>().unwrap().to_string(), "no connection within 3s");
        assert!(!progress.is_connecting());
        let took = TokioClock.now().since(began);
        assert!(took >= Duration::from_secs(3) && progress.connecting_time(TokioClock.now()) == took);
    }

    #[tokio::test]
    async fn dropping_the_connect_ends_it() {
        let (attempt, progress) = attempt(None);
        let connecting = ATTEMPT.sync_scope(attempt, || ConnectLayer.layer(Stuck).call(()));
        assert!(progress.is_connecting());
        drop(connecting);
        assert!(!progress.is_connecting());
    }

    #[tokio::test]
    async fn a_connect_that_moves_to_another_task_is_no_longer_the_attempts() {
        let (attempt, progress) = attempt(None);
        let mut connecting = ATTEMPT.sync_scope(attempt.clone(), || ConnectLayer.layer(Stuck).call(()));
        let here = ATTEMPT.scope(attempt, poll_fn(|cx| Poll::Ready(Pin::new(&mut connecting).poll(cx).is_pending()))).await;
        assert!(here && progress.is_connecting());
        let mut moved = Box::pin(connecting);
        assert!(poll_fn(|cx| Poll::Ready(moved.as_mut().poll(cx).is_pending())).await);
        assert!(!progress.is_connecting());
    }

    #[tokio::test]
    async fn an_older_connect_does_not_end_a_newer_one() {
        let (attempt, progress) = attempt(None);
        let begin = || ATTEMPT.sync_scope(attempt.clone(), || ConnectLayer.layer(Stuck).call(()));
        let (older, newer) = (begin(), begin());
        drop(older);
        assert!(progress.is_connecting());
        drop(newer);
        assert!(!progress.is_connecting());
    }
}
