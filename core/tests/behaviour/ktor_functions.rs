//! Ktor's functions in our words: one test for each row of the table in docs/dialects/ktor.md, which shows what stands here.

use std::sync::{Arc, Mutex};

use reknock::client::{Attempt, Callbacks, EventKind, Opinion};
use reknock::retry::{Backoff, Condition, Conditions, Jitter, StatusSet};

use super::*;
use crate::replay::Leaping;

/// Ktor's policy without waits, changed.
fn ktor(change: impl FnOnce(reknock::policy::PolicyBuilder) -> reknock::policy::PolicyBuilder) -> Policy {
    let no_wait = Backoff::Constant { delay: Duration::ZERO, jitter: Jitter::None };
    change(Policy::preset("ktor").unwrap().to_builder().backoff(no_wait)).build().unwrap()
}

/// How many attempts a call made of these answers, and how it ended.
async fn sends(policy: &Policy, callbacks: Callbacks, steps: impl IntoIterator<Item = Step>) -> (usize, Result<u16, ErrorKind>) {
    let script = Scripted::new(steps);
    let client = Client::on(script.clone()).policy(policy.clone()).callbacks(callbacks).build().unwrap();
    let result = client.post(URL).send().await;
    let refused = result.as_ref().map_or_else(Error::attempts, |response| response.attempts()).len();
    (refused, result.map(|response| response.status()).map_err(|error| error.kind()))
}

fn asked() -> Callbacks {
    Callbacks::new()
}

#[tokio::test(start_paused = true)]
async fn install() {
    let script = Scripted::new([Step::status(500)]);
    let client = Client::on(script.clone()).policy(Policy::preset("ktor").unwrap()).build().unwrap();
    let response = client.post(URL).send().await.unwrap();
    assert_eq!((script.sent().len(), response.status(), response.stop_reason()), (4, 500, StopReason::RetriesExhausted));
}

#[tokio::test(start_paused = true)]
async fn max_retries() {
    let policy = ktor(|policy| policy.max_retries(5));
    assert_eq!(sends(&policy, asked(), [Step::status(500)]).await, (6, Ok(500)));
}

#[tokio::test(start_paused = true)]
async fn retry_on_server_errors() {
    let policy = ktor(|policy| policy.retry_on(Conditions::NONE).statuses((500..=599).fold(StatusSet::NONE, StatusSet::with)));
    assert_eq!(sends(&policy, asked(), statuses([500, 599, 429])).await, (3, Ok(429)));
    assert_eq!(sends(&policy, asked(), [io()]).await, (1, Err(ErrorKind::Reset)));
}

#[tokio::test(start_paused = true)]
async fn retry_on_exception() {
    let failures = Conditions::NONE.with(Condition::Reset).with(Condition::Tls).with(Condition::TruncatedBody);
    let policy = ktor(|policy| {
        let no_timeouts = failures.without(Condition::PerTryTimeout).without(Condition::ConnectTimeout);
        policy.statuses(StatusSet::NONE).retry_on(no_timeouts)
    });
    let refused = |kind| Step::refuse(kind);
    assert_eq!(
        sends(&policy, asked(), [io(), refused(ErrorKind::Connect), refused(ErrorKind::Tls), Step::status(500)]).await,
        (4, Ok(500))
    );
    assert_eq!(sends(&policy, asked(), [refused(ErrorKind::ConnectTimeout)]).await, (1, Err(ErrorKind::ConnectTimeout)));
}

#[tokio::test(start_paused = true)]
async fn retry_on_timeout() {
    let failures = Conditions::NONE.with(Condition::Reset).with(Condition::Tls).with(Condition::TruncatedBody);
    let policy = ktor(|policy| policy.retry_on(failures).per_try_timeout(secs(1.0)));
    let slow = Step::status(200).head(secs(5.0));
    assert_eq!(sends(&policy, asked(), [Step::refuse(ErrorKind::ConnectTimeout), slow, Step::status(200)]).await, (3, Ok(200)));
}

#[tokio::test(start_paused = true)]
async fn retry_on_exception_or_server_errors() {
    let policy = ktor(|policy| policy.max_retries(2));
    assert_eq!(sends(&policy, asked(), [io(), Step::status(503), Step::status(200)]).await, (3, Ok(200)));
}

#[tokio::test(start_paused = true)]
async fn no_retry() {
    let policy = ktor(|policy| policy.max_retries(0));
    assert_eq!(sends(&policy, asked(), [Step::status(500)]).await, (1, Ok(500)));
}

#[tokio::test(start_paused = true)]
async fn retry_if() {
    let found =
        asked().retry_if(|attempt: &Attempt| attempt.status.map(|status| if status == 404 { Opinion::Retry } else { Opinion::Stop }));
    let policy = ktor(|policy| policy);
    assert_eq!(sends(&policy, found.clone(), statuses([404, 500, 200])).await, (2, Ok(500)));
    assert_eq!(sends(&policy, found, [io(), Step::status(200)]).await, (2, Ok(200)), "failures are as the policy has them");
}

#[tokio::test(start_paused = true)]
async fn retry_on_exception_if() {
    let refused = asked()
        .retry_if(|attempt: &Attempt| attempt.error.map(|kind| if kind == ErrorKind::Connect { Opinion::Retry } else { Opinion::Stop }));
    let policy = ktor(|policy| policy);
    assert_eq!(sends(&policy, refused.clone(), [Step::refuse(ErrorKind::Connect), io()]).await, (2, Err(ErrorKind::Reset)));
    assert_eq!(sends(&policy, refused, statuses([500, 200])).await, (2, Ok(200)), "responses are as the policy has them");
}

#[tokio::test(start_paused = true)]
async fn delay_millis() {
    let script = Scripted::new([Step::status(500)]);
    let growing = asked().delay(|attempt: &Attempt| Duration::from_millis(100 * u64::from(attempt.number)));
    let client = Client::on(script.clone()).policy(ktor(|policy| policy)).callbacks(growing).build().unwrap();
    let response = client.get(URL).send().await.unwrap();
    let waits: Vec<_> = response.attempts().iter().filter_map(|attempt| attempt.wait).collect();
    assert_eq!(waits, [ms(100), ms(200), ms(300)]);
}

/// The waits of a call that always fails.
async fn waits(policy: Policy, step: Step) -> Vec<Duration> {
    let response = Client::on(Scripted::new([step])).policy(policy).build().unwrap().get(URL).send().await.unwrap();
    response.attempts().iter().filter_map(|attempt| attempt.wait).collect()
}

#[tokio::test(start_paused = true)]
async fn constant_delay() {
    let policy = ktor(|policy| policy.backoff(Backoff::Constant { delay: ms(123), jitter: Jitter::Extra(ms(50)) }));
    let waits = waits(policy, Step::status(500)).await;
    assert!(waits.len() == 3 && waits.iter().all(|wait| (ms(123)..ms(173)).contains(wait)), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn exponential_delay() {
    let growing = Backoff::Exponential { base: secs(1.0), factor: 2.0, max: secs(3.0), first_uncapped: false, jitter: Jitter::None };
    assert_eq!(waits(ktor(|policy| policy.backoff(growing)), Step::status(500)).await, [secs(1.0), secs(2.0), secs(3.0)]);
}

#[tokio::test(start_paused = true)]
async fn respect_retry_after_header() {
    let asks = Step::status(503).header("retry-after", 7);
    assert_eq!(waits(ktor(|policy| policy), asks.clone()).await, [secs(7.0); 3]);
    assert_eq!(waits(ktor(|policy| policy.retry_after(None)), asks).await, [Duration::ZERO; 3]);
}

#[tokio::test(start_paused = true)]
async fn modify_request() {
    let script = Scripted::new(statuses([500, 500, 503, 200]));
    let counting = asked().before_retry(|attempt, request| request.append_header("x-retry", &attempt.number.to_string()));
    let client = Client::on(script.clone()).policy(ktor(|policy| policy)).callbacks(counting).build().unwrap();
    assert_eq!(client.get(URL).send().await.unwrap().status(), 200);
    let sent: Vec<Vec<String>> = script
        .sent()
        .iter()
        .map(|sent| sent.headers.get_all("x-retry").iter().map(|value| value.to_str().unwrap().to_owned()).collect())
        .collect();
    assert_eq!(sent, [vec![], vec!["1".to_owned()], vec!["2".to_owned()], vec!["3".to_owned()]], "edits do not accumulate");
}

/// Ktor's sleeper is a clock here: this one leaps over the waits between attempts.
#[tokio::test]
async fn delay() {
    let minutes = ktor(|policy| policy.backoff(Backoff::Constant { delay: secs(600.0), jitter: Jitter::None }));
    let client = Client::on(Scripted::new(statuses([500, 200]))).clock(Leaping::default()).policy(minutes).build().unwrap();
    let response = client.get(URL).send().await.unwrap();
    assert_eq!((response.status(), response.attempts()[0].wait), (200, Some(secs(600.0))));
}

#[tokio::test(start_paused = true)]
async fn retry() {
    let script = Scripted::new([io(), Step::status(500), io(), Step::status(500), Step::status(200)]);
    let client = Client::on(script.clone()).policy(ktor(|policy| policy.max_retries(0))).build().unwrap();
    let own = ktor(|policy| policy.max_retries(4).backoff(Backoff::Constant { delay: ms(123), jitter: Jitter::None }));
    let response = client.get(URL).policy(own).send().await.unwrap();
    assert_eq!((response.status(), response.attempts().len()), (200, 5));
    assert_eq!(response.elapsed(), ms(4 * 123));
}

/// Told before the wait; none for the first send, nor for the last.
#[tokio::test(start_paused = true)]
async fn event() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let observer = asked().on_event(move |event| {
        if let EventKind::Retry { attempt, .. } = &event.kind {
            seen.lock().unwrap().push((attempt.number, attempt.status, attempt.error));
        }
    });
    assert_eq!(sends(&ktor(|policy| policy), observer, [io(), Step::status(500), Step::status(200)]).await, (3, Ok(200)));
    assert_eq!(*told.lock().unwrap(), [(1, None, Some(ErrorKind::Reset)), (2, Some(500), None)]);
}

#[tokio::test(start_paused = true)]
async fn http_timeout() {
    let slow = || Step::status(200).head(secs(5.0));
    let inside = ktor(|policy| policy.per_try_timeout(secs(1.0)));
    assert_eq!(sends(&inside, asked(), [slow()]).await, (1, Err(ErrorKind::PerTryTimeout)));
    let outside = ktor(|policy| policy.timeout(secs(1.0)));
    assert_eq!(sends(&outside, asked(), [slow()]).await, (1, Err(ErrorKind::Deadline)));
    let silent = ktor(|policy| policy.idle_timeout(secs(1.0)).max_retries(0));
    let stalls = Step::status(200).body([(secs(5.0), Some(1))]);
    assert_eq!(sends(&silent, asked(), [stalls]).await, (1, Err(ErrorKind::Body)));
}

/// Ktor's predicates answer yes or no; ours add to the policy, name the wait, or stop.
#[tokio::test(start_paused = true)]
async fn answers() {
    for (opinion, expected) in [(Opinion::Retry, 4), (Opinion::Stop, 1), (Opinion::None, 1), (Opinion::After(ms(5)), 4)] {
        let always = asked().retry_if(move |_: &Attempt| opinion);
        assert_eq!(sends(&ktor(|policy| policy), always, [Step::status(404)]).await, (expected, Ok(404)));
    }
}
