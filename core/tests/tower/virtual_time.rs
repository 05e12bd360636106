//! Limits, waits, budgets, nesting and drops, in tokio's virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Request, Response};
use reknock::retry::Budgets;
use reknock::tower::{Attempt, Records, RetryError, RetryLayer};
use reknock::{BoxError, ErrorKind, Evidence, Policy, StopReason};
use tokio::time::{Instant, sleep};
use tower_layer::Layer;
use tower_service::Service;

use crate::services::{Answers, status};

fn policy(document: &str) -> Policy {
    Policy::from_yaml(document).unwrap()
}

fn get() -> Request<()> {
    Request::get("http://host/").body(()).unwrap()
}

fn stop_reason(response: &Response<String>) -> Option<StopReason> {
    response.extensions().get::<Records>().unwrap().stop_reason()
}

/// Answers 503, after this long each time.
fn busy(after: Duration) -> Answers<()> {
    Answers::new(move |_| async move {
        sleep(after).await;
        Ok(status(503))
    })
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_an_attempt() {
    let mut service = RetryLayer::new(policy("{timeout: 5s, per_try_timeout: none}")).layer(busy(Duration::from_secs(60)));
    let began = Instant::now();
    let error = service.call(get()).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert_eq!((error.kind(), error.stop_reason()), (Some(ErrorKind::Deadline), Some(StopReason::Deadline)));
    assert_eq!(error.attempts()[0].evidence, Evidence::Unknown);
    assert_eq!(error.to_string(), "the call did not end within timeout (5s); raise timeout to allow more");
    assert_eq!(error.downcast_ref::<reknock::Error>().unwrap().kind(), ErrorKind::Deadline);
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_begun_that_the_deadline_would_cut() {
    let inner =
        Answers::new(|_: Request<()>| async { Ok(Response::builder().status(503).header("retry-after", "30").body(String::new())?) });
    let mut service = RetryLayer::new(policy("{timeout: 10s}")).layer(inner);
    let began = Instant::now();
    let response = service.call(get()).await.unwrap();
    assert_eq!((response.status().as_u16(), stop_reason(&response)), (503, Some(StopReason::Deadline)));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn hints_are_obeyed_and_each_try_has_its_limit() {
    let sent = AtomicU32::new(0);
    let inner = Answers::new(move |_: Request<()>| {
        let attempt = sent.fetch_add(1, Ordering::Relaxed);
        async move {
            match attempt {
                0 => Ok(Response::builder().status(429).header("retry-after", "7").body(String::new())?),
                1 => std::future::pending().await,
                _ => Ok(status(200)),
            }
        }
    });
    let layer = RetryLayer::new(policy("{retry_after: {spread: 0}, per_try_timeout: 3s, backoff: {kind: constant, delay: 1s}}"));
    let began = Instant::now();
    let response = layer.layer(inner).call(get()).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(7 + 3 + 1));
    let records = response.extensions().get::<Records>().unwrap();
    assert_eq!(records.attempts()[1].error, Some(ErrorKind::PerTryTimeout));
    assert_eq!(records.attempts()[0].hint, Some(Duration::from_secs(7)));
    assert!(records.explain().contains("#2 per_try_timeout after 3s"), "{}", records.explain());
}

#[tokio::test(start_paused = true)]
async fn a_purse_may_be_shared_and_its_places_are_given_back() {
    let budgets = Arc::new(Budgets::new());
    let policy = policy("{max_retries: 5, backoff: {kind: constant, delay: 1s}, budget: {kind: concurrency, percent: 0, min: 1}}");
    let layer = || RetryLayer::new(policy.clone()).budgets(Arc::clone(&budgets)).layer(busy(Duration::ZERO));
    let (mut one, mut other) = (layer(), layer());
    // The first call waits before its retry, and holds the only place.
    let mut waiting = one.call(get());
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut waiting).await.is_err());
    let refused = other.call(get()).await.unwrap();
    assert_eq!(stop_reason(&refused), Some(StopReason::BudgetExhausted));
    drop(waiting);
    let alone = other.call(get()).await.unwrap();
    assert_eq!(stop_reason(&alone), Some(StopReason::RetriesExhausted));
}

#[tokio::test(start_paused = true)]
async fn a_loop_within_an_attempt_makes_one() {
    let sent = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&sent);
    let innermost = Answers::new(move |request: Request<()>| {
        assert!(request.extensions().get::<Attempt>().is_some());
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok(status(503)) }
    });
    let layer = RetryLayer::new(policy("{max_retries: 2, budget: none}"));
    layer.layer(layer.layer(innermost.clone())).call(get()).await.unwrap();
    assert_eq!(sent.swap(0, Ordering::Relaxed), 3);
    let both = layer.clone().allow_nesting();
    both.layer(both.layer(innermost)).call(get()).await.unwrap();
    assert_eq!(sent.load(Ordering::Relaxed), 9);
}

/// Time spent on waiting until the service takes a request is the call's, and nothing was sent in it.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_ready_is_left_at_the_deadline() {
    #[derive(Clone)]
    struct Never;
    impl Service<Request<()>> for Never {
        type Response = Response<String>;
        type Error = BoxError;
        type Future = std::future::Ready<Result<Response<String>, BoxError>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
            std::task::Poll::Pending
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            unreachable!("it is not ready")
        }
    }
    let error: RetryError = RetryLayer::new(policy("{timeout: 2s}")).layer(Never).call(get()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()[0].evidence), (Some(ErrorKind::Deadline), Evidence::NotSent));
}

#[test]
fn a_runtime_without_timers_is_an_error() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(RetryLayer::new(policy("{}")).layer(busy(Duration::ZERO)).call(get())).unwrap_err();
    let message = "a call must be made inside a tokio runtime with timers; build it with enable_time()";
    assert_eq!((error.kind(), error.to_string()), (Some(ErrorKind::Config), message.to_owned()));
}
