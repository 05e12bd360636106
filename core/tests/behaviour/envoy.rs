//! What Envoy's own tests assert of routes and clusters.

use super::*;

fn route(policy: &str) -> Policy {
    read(&format!("{{\"retry_policy\": {policy}}}"))
}

async fn decided(policy: &str, method: &str, steps: impl IntoIterator<Item = Step>) -> (usize, Option<u16>, StopReason) {
    let (times, result) = call(route(policy), method, steps).await;
    match result {
        Ok(response) => (times.len(), Some(response.status()), response.stop_reason()),
        Err(error) => (times.len(), None, error.stop_reason().unwrap()),
    }
}

#[tokio::test(start_paused = true)]
async fn decisions() {
    use StopReason::{Completed, NotRetryable, RetriesExhausted};
    let five = r#"{"retry_on": "5xx", "num_retries": 1}"#;
    assert_eq!(decided(five, "POST", statuses([503, 200])).await, (2, Some(200), Completed));
    assert_eq!(decided(five, "GET", statuses([503, 503, 200])).await, (2, Some(503), RetriesExhausted));
    let limited = |status| Step::status(status).header("x-envoy-ratelimited", "true");
    assert_eq!(decided(five, "GET", [limited(503), Step::status(200)]).await, (1, Some(503), NotRetryable));
    let token = r#"{"retry_on": "envoy-ratelimited"}"#;
    assert_eq!(decided(token, "GET", [limited(429), Step::status(200)]).await, (2, Some(200), Completed));
    let gateway = r#"{"retry_on": "gateway-error"}"#;
    assert_eq!(decided(gateway, "GET", statuses([500, 200])).await, (1, Some(500), NotRetryable));
    assert_eq!(decided(gateway, "GET", statuses([502, 200])).await, (2, Some(200), Completed));
    let none = r#"{"retry_on": "connect-failure", "num_retries": 0}"#;
    assert_eq!(decided(none, "GET", [Step::refuse(ErrorKind::Connect)]).await, (0, None, RetriesExhausted));
    let listed = r#"{"retry_on": "retriable-status-codes", "retriable_status_codes": [503]}"#;
    assert_eq!(decided(listed, "GET", [io()]).await, (1, None, NotRetryable));
    let before = r#"{"retry_on": "reset-before-request"}"#;
    assert_eq!(decided(before, "GET", [Step::refuse(ErrorKind::Connect), Step::status(200)]).await, (1, Some(200), Completed));
    assert_eq!(decided(before, "GET", [io(), Step::status(200)]).await, (1, None, NotRetryable));
    let connect = r#"{"retry_on": "connect-failure", "num_retries": 3, "per_try_timeout": "5s"}"#;
    let slow = Step::status(200).head(Duration::from_secs(6));
    assert_eq!(decided(connect, "GET", [slow.clone(), Step::status(200)]).await, (1, None, NotRetryable));
    let reset = r#"{"retry_on": "reset", "per_try_timeout": "5s"}"#;
    assert_eq!(decided(reset, "GET", [slow, Step::status(200)]).await, (2, Some(200), Completed));
}

#[tokio::test(start_paused = true)]
async fn breakers() {
    let with = |threshold: &str| {
        read(&format!(r#"{{"retry_policy": {{"retry_on": "5xx"}}, "circuit_breakers": {{"thresholds": [{threshold}]}}}}"#))
    };
    let (times, result) = call(with(r#"{"max_retries": 0}"#), "GET", statuses([503, 200])).await;
    let response = result.unwrap();
    assert_eq!((times.len(), response.status(), response.stop_reason()), (1, 503, StopReason::BudgetExhausted));
    // The budget replaces it.
    let (times, _) = call(with(r#"{"max_retries": 0, "retry_budget": {}}"#), "GET", statuses([503, 200])).await;
    assert_eq!(times.len(), 2);
    let (times, _) = call(with(r#"{"retry_budget": {"min_retry_concurrency": 0}}"#), "GET", statuses([503, 200])).await;
    assert_eq!(times.len(), 1, "20 % of one send is none");
}

#[tokio::test(start_paused = true)]
async fn waits_have_full_jitter_below_a_doubling_ceiling() {
    let policy = route(r#"{"retry_on": "5xx", "num_retries": 6, "retry_back_off": {"base_interval": "0.1s", "max_interval": "0.3s"}}"#);
    let mut longest = [Duration::ZERO; 6];
    for seed in 0..200 {
        let policy = policy.to_builder().seed(seed).build().unwrap();
        let (_, result) = call(policy, "GET", statuses([503])).await;
        for (i, attempt) in result.unwrap().attempts().iter().take(6).enumerate() {
            longest[i] = longest[i].max(attempt.wait.unwrap());
        }
    }
    for (longest, ceiling) in longest.into_iter().zip([100, 200, 300, 300, 300, 300]) {
        assert!(longest < ms(ceiling) && longest > ms(ceiling) * 9 / 10, "{longest:?} of {ceiling} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn rate_limited_waits() {
    let policy = route(
        r#"{"retry_on": "5xx", "num_retries": 9, "rate_limited_retry_back_off": {"reset_headers": [{"name": "x-reset"}, {"name": "retry-after"}], "max_interval": "300s"}}"#,
    );
    let policy = policy.merge(&Value::from([("timeout", "none")])).unwrap();
    let with = |name, value: &str| Step::status(503).header(name, value);
    let steps = [
        with("retry-after", "2"),
        with("retry-after", "300"),
        with("retry-after", "301"),
        with("retry-after", "2.5").header("x-reset", "4"),
        Step::status(200),
    ];
    let (times, result) = call(policy, "GET", steps).await;
    assert_eq!(result.unwrap().status(), 200);
    for (gap, (least, most)) in gaps(&times).into_iter().zip([(2000, 3000), (300_000, 450_000), (0, 25), (4000, 6000)]) {
        assert!(gap >= ms(least) && gap <= ms(most), "{gap:?} of {least}..{most} ms");
    }
}

/// kgateway's manifest: what connects in the end is answered.
#[tokio::test(start_paused = true)]
async fn the_documented_manifest() {
    let manifest = "apiVersion: gateway.solo.io/v1\nkind: RouteOption\nmetadata: {name: retry}\nspec: {options: {retries: {retryOn: connect-failure, numRetries: 3, perTryTimeout: 5s}}}\n";
    let refused = || Step::refuse(ErrorKind::Connect);
    let (_, result) = call(read(manifest), "POST", [refused(), refused(), refused(), Step::status(200)]).await;
    let response = result.unwrap();
    assert_eq!((response.status(), response.attempts().len()), (200, 4));
    let header = reknock::policy::envoy::expected_rq_timeout_ms(&read(manifest), Duration::ZERO);
    assert_eq!(header, Some(5000));
}

/// Calls that all begin now and whose first attempts all fail at once: how many of them were retried.
async fn retried_of(calls: usize, threshold: &str) -> usize {
    let text =
        format!(r#"{{"timeout": "0s", "retry_policy": {{"retry_on": "5xx", "retry_back_off": {{"base_interval": "10s"}}}}{threshold}}}"#);
    let failing = (0..calls).map(|_| Step::status(503).head(ms(10)));
    let script = Scripted::new(failing.chain([Step::status(200)]));
    let client = Client::on(script.clone()).policy(read(&text).to_builder().seed(1).build().unwrap()).build().unwrap();
    let running = futures_util::future::join_all((0..calls).map(|_| client.get(URL).send().into_future()));
    let mut retried = 0;
    for response in running.await {
        let response = response.unwrap();
        let expected = if response.attempts().len() == 2 { StopReason::Completed } else { StopReason::BudgetExhausted };
        assert_eq!(response.stop_reason(), expected);
        retried += response.attempts().len() - 1;
    }
    retried
}

/// The failing attempt counts among those in flight; one that waits does not, but holds its place.
#[tokio::test(start_paused = true)]
async fn retries_at_a_time() {
    let breakers = |threshold: &str| format!(r#", "circuit_breakers": {{"thresholds": [{{{threshold}}}]}}"#);
    assert_eq!(retried_of(10, "").await, 3, "Envoy's default");
    assert_eq!(retried_of(10, &breakers(r#""max_retries": 5"#)).await, 5);
    assert_eq!(retried_of(10, &breakers(r#""max_retries": 1, "retry_budget": {}"#)).await, 3, "at least min_retry_concurrency");
    // 10 in flight allow 5, then 9 allow 4, 8 allow 4, and 7 allow the 3 that there are.
    let half = r#""retry_budget": {"budget_percent": {"value": 50}, "min_retry_concurrency": 0}"#;
    assert_eq!(retried_of(10, &breakers(half)).await, 3);
    let share = r#""retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 0}"#;
    assert_eq!((retried_of(4, &breakers(share)).await, retried_of(5, &breakers(share)).await), (0, 1));
    // One after another: what Envoy's simulation of 100 at once gives.
    assert_eq!(retried_of(100, &breakers(share)).await, 16);
}

/// What the server is told of the time it has: `x-envoy-expected-rq-timeout-ms`, attempt by attempt.
#[tokio::test(start_paused = true)]
async fn expected_times() {
    for (limits, per_try) in [
        (r#""per_try_timeout": "4s""#, Some(4000)),
        (r#""per_try_idle_timeout": "4s""#, None),
        (r#""per_try_timeout": "5s", "per_try_idle_timeout": "4s""#, Some(5000)),
    ] {
        let text = format!(r#"{{"timeout": "10s", "retry_policy": {{"retry_on": "reset", "num_retries": 5, {limits}}}}}"#);
        let script = Scripted::new([Step::status(200).head(secs(60.0))]);
        let client = Client::on(script.clone()).policy(read(&text)).build().unwrap();
        let began = TokioClock.now();
        assert_eq!(client.get(URL).send().await.unwrap_err().kind(), ErrorKind::Deadline);
        let sent = script.sent();
        assert_eq!(sent.len(), 3);
        for (attempt, number) in sent.iter().zip(1..) {
            let left = 10_000 - attempt.at.since(began).as_millis() as u64;
            let told = |name: &str| attempt.headers[name].to_str().unwrap().parse::<u64>().unwrap();
            assert_eq!(told("x-envoy-expected-rq-timeout-ms"), left.min(per_try.unwrap_or(u64::MAX)), "{limits}");
            assert_eq!(told("x-envoy-attempt-count"), number);
        }
    }
}
