//! Services that are ready late, fail before they are, differ from their clones, panic; and what calls that end anyhow leave of a budget.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use reknock::client::{Clock, TokioClock};
use reknock::retry::{BudgetReading, Budgets};
use reknock::tower::{Attempt, Records, RetryLayer};
use reknock::{BoxError, ErrorKind, Evidence, Policy, StopReason};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

use crate::services::status;

/// What an instance does before it is ready.
#[derive(Clone, Copy)]
enum Ready {
    Now,
    After(Duration),
    Fails,
}

/// As strict as tower allows a service to be: each instance takes one request for each time that it was ready, and is not to be touched once it failed. A
/// clone is another instance, as good as new.
struct Strict {
    says: Arc<dyn Fn() -> Ready + Send + Sync>,
    calls: Arc<AtomicU32>,
    state: State,
}

enum State {
    New,
    Waits(Pin<Box<Sleep>>),
    Ready,
    Dead,
}

impl Strict {
    /// Says these, one after the other, and is ready at once from then on.
    fn new(says: impl IntoIterator<Item = Ready>) -> Self {
        let says = Mutex::new(says.into_iter().collect::<Vec<_>>().into_iter());
        let says = Arc::new(move || says.lock().unwrap().next().unwrap_or(Ready::Now));
        Strict { says, calls: Arc::default(), state: State::New }
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Strict { says: Arc::clone(&self.says), calls: Arc::clone(&self.calls), state: State::New }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<String>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<String>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        loop {
            match &mut self.state {
                State::New => match (self.says)() {
                    Ready::Now => self.state = State::Ready,
                    Ready::After(time) => self.state = State::Waits(Box::pin(sleep(time))),
                    Ready::Fails => {
                        self.state = State::Dead;
                        return Poll::Ready(Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()));
                    }
                },
                State::Waits(time) => match time.as_mut().poll(context) {
                    Poll::Ready(()) => self.state = State::Ready,
                    Poll::Pending => return Poll::Pending,
                },
                State::Ready => return Poll::Ready(Ok(())),
                State::Dead => panic!("it failed, and is asked again"),
            }
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(matches!(std::mem::replace(&mut self.state, State::New), State::Ready), "it was not ready");
        self.calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(status(503)))
    }
}

fn layer(document: &str) -> RetryLayer {
    RetryLayer::new(Policy::from_yaml(document).unwrap())
}

fn post() -> Request<()> {
    Request::post("http://host/").body(()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_attempt_waits_until_its_service_is_ready() {
    let late = Ready::After(Duration::from_secs(30));
    let service = Strict::new([late, late, late]);
    let began = Instant::now();
    let layer = layer("{methods: any, backoff: none, timeout: 2m, per_try_timeout: 1s}");
    let response = layer.layer(service.clone()).call(post()).await.unwrap();
    assert_eq!((response.extensions().get::<Records>().unwrap().attempts().len(), service.calls.load(Ordering::Relaxed)), (3, 3));
    assert_eq!(began.elapsed(), Duration::from_secs(90), "which is no attempt's time");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_before_it_is_ready_is_let_go() {
    let service = Strict::new([Ready::Fails, Ready::Fails]);
    let layer = layer("{backoff: none}");
    let response = layer.layer(service.clone()).call(post()).await.unwrap();
    let records = response.extensions().get::<Records>().unwrap();
    assert_eq!((records.attempts()[1].error, records.attempts()[1].evidence), (Some(ErrorKind::Reset), Evidence::NotSent));
    assert_eq!(
        (records.attempts().len(), records.stop_reason(), service.calls.load(Ordering::Relaxed)),
        (3, Some(StopReason::NotIdempotent), 1)
    );

    // Whoever waits for it before the call is told in the same words, and lets go of all of it.
    let mut service = layer.layer(Strict::new([Ready::Fails]));
    let error = std::future::poll_fn(|context| service.poll_ready(context)).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (Some(ErrorKind::Reset), 0));
}

/// What happens to an attempt, by chance.
#[derive(Clone)]
struct Chance {
    drawn: Arc<AtomicU32>,
    retries: Arc<AtomicU32>,
}

impl Chance {
    /// The next number below this one: the same in each run.
    fn below(&self, most: u32) -> u32 {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        (reknock::retry::mix(7, number.into()) % u64::from(most)) as u32
    }
}

impl Service<Request<()>> for Chance {
    type Response = Response<String>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let number = request.extensions().get::<Attempt>().unwrap().number;
        self.retries.fetch_add(u32::from(number > 1), Ordering::Relaxed);
        let (time, what) = (Duration::from_millis(self.below(50).into()), self.below(20));
        // Panics as they unwind, without their messages.
        if what == 0 {
            std::panic::resume_unwind(Box::new(()));
        }
        Box::pin(async move {
            sleep(time).await;
            match what {
                1 => std::panic::resume_unwind(Box::new(())),
                2 => std::future::pending().await,
                3..6 => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
                6..12 => Ok(status(503)),
                _ => Ok(status(200)),
            }
        })
    }
}

/// Ten thousand calls, fifty at a time, of which some are dropped in whatever state they are. What the budget has then, and the retries that were sent.
async fn chances(document: &str) -> (BudgetReading, u64) {
    let policy = Policy::from_yaml(document).unwrap();
    let (budgets, chance) = (Arc::new(Budgets::new()), Chance { drawn: Arc::default(), retries: Arc::default() });
    let service = RetryLayer::new(policy.clone()).budgets(Arc::clone(&budgets)).layer(chance.clone());
    let mut calls = JoinSet::new();
    for _ in 0..10_000 {
        let (mut service, time) = (service.clone(), Duration::from_millis(chance.below(200).into()));
        calls.spawn(async move { tokio::time::timeout(time, service.call(Request::get("http://host/").body(()).unwrap())).await.is_ok() });
        if calls.len() == 50 {
            let _ = calls.join_next().await;
        }
    }
    while calls.join_next().await.is_some() {}
    let reading = budgets.reading(policy.budget().unwrap(), "http://host", TokioClock.now()).unwrap();
    (reading, chance.retries.load(Ordering::Relaxed).into())
}

#[tokio::test(start_paused = true)]
async fn budgets_are_exact_whatever_becomes_of_calls() {
    let (reading, retries) = chances("{max_retries: 3, backoff: 20ms, budget: {kind: concurrency, percent: 20, min: 3}}").await;
    assert_eq!((reading.balance, reading.withdrawals), (3, retries), "no place is held");
    assert!(retries > 500 && reading.refusals > 500, "{retries} {reading:?}");

    let (reading, retries) =
        chances("{max_retries: 3, backoff: 20ms, budget: {ratio: 0.1, min_per_second: 1, ttl: 60s, deposit_on: call}}").await;
    assert_eq!((reading.deposits, reading.withdrawals), (10_000, retries));
    assert!(retries > 500 && reading.refusals > 500, "{retries} {reading:?}");
}
