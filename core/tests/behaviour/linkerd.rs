//! What linkerd's and Finagle's own tests assert of classifiers, budgets and back-off.

use super::*;

fn service(text: &str) -> Policy {
    read(&format!("{{\"service\": {{{text}}}}}"))
}

const READS: &str = r#""responseClassifier": {"kind": "io.l5d.http.retryableRead5XX"}"#;

#[tokio::test(start_paused = true)]
async fn classifiers() {
    let retried = |step: &Step| [step.clone(), Step::status(200)];
    let error = Step::status(500);
    let says_so = Step::status(500).header("l5d-retryable", "true");
    let none = || read(r#"{"retries": {"budget": {}}}"#);
    for (policy, method, step, sends) in [
        (service(READS), "POST", &error, 1),
        (service(READS), "GET", &error, 2),
        (service(READS), "POST", &says_so, 2),
        (none(), "GET", &error, 1),
        (none(), "GET", &says_so, 2),
        (none(), "POST", &says_so, 2),
        (none(), "POST", &Step::status(500).header("l5d-retryable", "false"), 1),
        (none(), "POST", &Step::status(404).header("l5d-retryable", "true"), 1),
        (none(), "GET", &io(), 1),
        (service(READS), "GET", &io(), 2),
        (service(READS), "POST", &io(), 1),
        (service(r#""responseClassifier": {"kind": "io.l5d.http.retryableIdempotent5XX"}"#), "PUT", &error, 2),
        (service(r#""responseClassifier": {"kind": "io.l5d.http.retryableAll5XX"}"#), "PATCH", &error, 2),
        (service(r#""responseClassifier": {"kind": "io.l5d.http.allSuccessful"}"#), "GET", &error, 1),
    ] {
        let (times, _) = call(policy, method, retried(step)).await;
        assert_eq!(times.len(), sends, "{method} {step:?}");
    }
    // What was not sent is sent again whatever the method.
    let (_, result) = call(none(), "POST", [Step::refuse(ErrorKind::Connect), Step::status(200)]).await;
    assert_eq!(result.unwrap().status(), 200);
}

fn budgeted(min: u32, share: f64) -> Policy {
    service(&format!(r#"{READS}, "retries": {{"budget": {{"ttlSecs": 10, "minRetriesPerSec": {min}, "percentCanRetry": {share}}}}}"#))
}

#[tokio::test(start_paused = true)]
async fn one_failing_call_uses_the_budget_up() {
    let (times, result) = call(budgeted(0, 2.0), "GET", [Step::status(500)]).await;
    assert_eq!((times.len(), result.unwrap().stop_reason()), (3, StopReason::BudgetExhausted));
    let (times, result) = call(budgeted(10, 0.2), "GET", [Step::status(500)]).await;
    let response = result.unwrap();
    assert_eq!((times.len(), response.status()), (101, 500));
}

#[tokio::test(start_paused = true)]
async fn half_a_retry_per_call() {
    for (answers, expected) in [
        (vec![500, 200, 500, 200, 500, 200, 500], vec![(500, true), (200, false), (200, false), (200, false), (500, true)]),
        (vec![200, 500, 200, 500], vec![(200, false), (200, false), (500, true)]),
    ] {
        let script = Scripted::new(answers.iter().copied().map(Step::status));
        let client = Client::on(script.clone()).policy(budgeted(0, 0.5)).build().unwrap();
        let mut ended = Vec::new();
        for _ in 0..expected.len() {
            let response = client.get(URL).send().await.unwrap();
            ended.push((response.status(), response.stop_reason() == StopReason::BudgetExhausted));
        }
        assert_eq!((ended, script.sent().len()), (expected, answers.len()));
    }
}

#[tokio::test(start_paused = true)]
async fn one_retry_per_call_is_never_refused() {
    let script = Scripted::new((0..10).flat_map(|_| [Step::status(500), Step::status(200)]));
    let client = Client::on(script.clone()).policy(budgeted(0, 1.0)).build().unwrap();
    for _ in 0..10 {
        assert_eq!(client.get(URL).send().await.unwrap().status(), 200);
    }
    assert_eq!(script.sent().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn waits_and_timeouts() {
    let jittered = service(&format!(r#"{READS}, "retries": {{"backoff": {{"kind": "jittered", "minMs": 10, "maxMs": 100}}}}"#));
    for seed in 0..50 {
        let policy = jittered.to_builder().seed(seed).max_retries(5).build().unwrap();
        let (_, result) = call(policy, "GET", [Step::status(500)]).await;
        let waits: Vec<_> = result.unwrap().attempts().iter().filter_map(|attempt| attempt.wait).collect();
        assert_eq!(waits[0], ms(10), "the first wait is exactly minMs");
        assert!(waits.windows(2).all(|pair| pair[1] >= ms(10) && pair[1] <= (pair[0] * 3).min(ms(100))), "{waits:?}");
    }
    let text = format!(r#"{{"service": {{{READS}}}, "client": {{"requestAttemptTimeoutMs": 1000}}}}"#);
    let (times, result) = call(read(&text), "GET", [Step::status(200).head(ms(2000)), Step::status(200)]).await;
    assert_eq!((gaps(&times), result.unwrap().status()), (vec![ms(1000)], 200));
    let total = service(&format!(r#"{READS}, "totalTimeoutMs": 500"#));
    let (_, result) = call(total, "GET", [Step::status(200).head(ms(2000))]).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Deadline);
}

#[tokio::test(start_paused = true)]
async fn origins_have_budgets_of_their_own() {
    let script = Scripted::new([Step::status(200)]);
    let policy = budgeted(10, 0.2);
    let client = Client::on(script.clone()).policy(policy).build().unwrap();
    for _ in 0..10 {
        client.get("http://a.test/").send().await.unwrap();
    }
    client.get("http://b.test/").send().await.unwrap();
    let balance = |origin: &str| client.budget(origin).unwrap().balance;
    assert_eq!((balance("http://a.test"), balance("http://b.test")), (102, 100));
}
