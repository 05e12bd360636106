//! What Ktor's own tests assert of `HttpRequestRetry`.

use super::*;

fn functions(text: &str) -> Policy {
    read(&format!("{{\"HttpRequestRetry\": {text}}}"))
}

#[tokio::test(start_paused = true)]
async fn a_bare_install_waits_exponentially_with_up_to_a_second_more() {
    let (times, result) = call(functions("true"), "GET", statuses([500, 500, 500, 200])).await;
    assert_eq!(result.unwrap().status(), 200);
    for (gap, least) in gaps(&times).into_iter().zip([1000, 2000, 4000]) {
        assert!(gap >= ms(least) && gap < ms(least + 1000), "{gap:?}");
    }
    assert_eq!(times.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn delays() {
    for (functions_text, expected) in [
        (r#"{"exponentialDelay": {"randomizationMs": 0}}"#, [1000, 2000, 4000]),
        (r#"{"exponentialDelay": {"baseDelayMs": 200, "randomizationMs": 0}}"#, [200, 400, 800]),
        (r#"{"exponentialDelay": {"base": 1.1, "randomizationMs": 0}}"#, [1000, 1100, 1210]),
        (r#"{"constantDelay": {"millis": 123, "randomizationMs": 0}}"#, [123, 123, 123]),
    ] {
        let (times, result) = call(functions(functions_text), "GET", statuses([500, 500, 500, 200])).await;
        assert_eq!(result.unwrap().status(), 200);
        // Ktor's waits are whole milliseconds, as are those of the clock here.
        assert_eq!(gaps(&times).iter().map(|gap| gap.as_millis() as u64).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_only_raises_the_delay() {
    let steps =
        || [Step::status(500).header("retry-after", 2), Step::status(500), Step::status(500).header("retry-after", 1), Step::status(200)];
    let constant = r#"{"constantDelay": {"millis": 1234, "randomizationMs": 0}}"#;
    let (times, _) = call(functions(constant), "GET", steps()).await;
    assert_eq!(gaps(&times), [ms(2000), ms(1234), ms(1234)]);
    let ignoring = r#"{"constantDelay": {"millis": 123, "randomizationMs": 0, "respectRetryAfterHeader": false}}"#;
    let (times, _) = call(functions(ignoring), "GET", steps()).await;
    assert_eq!(gaps(&times), [ms(123); 3]);
    // Without a limit: a day is a day.
    let day = [Step::status(503).header("retry-after", 86_400), Step::status(200)];
    let (times, _) = call(functions(constant), "GET", day).await;
    assert_eq!(gaps(&times), [Duration::from_secs(86_400)]);
}

#[tokio::test(start_paused = true)]
async fn one_limit_counts_responses_and_exceptions() {
    let (times, result) = call(functions(r#"{"maxRetries": 2}"#), "GET", statuses([500, 500, 500, 200])).await;
    let response = result.unwrap();
    assert_eq!((times.len(), response.status(), response.stop_reason()), (3, 500, StopReason::RetriesExhausted));
    let (times, result) = call(functions("true"), "GET", [io(), io(), io(), Step::status(200)]).await;
    assert_eq!((times.len(), result.unwrap().status()), (4, 200));
    let (times, result) = call(functions("true"), "POST", [io(), Step::status(500), io(), Step::status(200)]).await;
    assert_eq!((times.len(), result.unwrap().status()), (4, 200));
    let (times, result) = call(functions(r#"{"maxRetries": 2}"#), "GET", statuses([500, 500, 200])).await;
    assert_eq!((times.len(), result.unwrap().status()), (3, 200));
}

#[tokio::test(start_paused = true)]
async fn a_call_may_be_retried_though_its_client_is_not() {
    let script = Scripted::new([io(), Step::status(500), io(), Step::status(500), Step::status(200)]);
    let client = Client::on(script.clone()).policy(functions(r#"{"noRetry": true}"#)).build().unwrap();
    let own = functions(r#"{"maxRetries": 4, "constantDelay": {"millis": 123, "randomizationMs": 0}}"#);
    let response = client.get(URL).policy(own).send().await.unwrap();
    let waits: Vec<_> = response.attempts().iter().filter_map(|attempt| attempt.wait).collect();
    assert_eq!((response.status(), waits), (200, vec![ms(123); 4]));
    let script = Scripted::new([Step::status(500)]);
    let client = Client::on(script.clone()).policy(functions(r#"{"noRetry": true}"#)).build().unwrap();
    client.get(URL).send().await.unwrap();
    assert_eq!(script.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn timeouts_are_retried_only_if_told() {
    let with = |functions: &str| read(&format!(r#"{{"HttpRequestRetry": {functions}, "HttpTimeout": {{"requestTimeoutMillis": 1000}}}}"#));
    let slow = || [Step::status(200).head(ms(5000)), Step::status(200)];
    let (times, result) = call(with("true"), "GET", slow()).await;
    assert_eq!((times.len(), result.unwrap_err().kind()), (1, ErrorKind::PerTryTimeout));
    let (times, result) = call(with(r#"{"retryOnException": {"retryOnTimeout": true}}"#), "GET", slow()).await;
    assert_eq!((times.len(), result.unwrap().status()), (2, 200));
    let connect = Step::refuse(ErrorKind::ConnectTimeout);
    let (_, result) = call(functions("true"), "GET", [connect.clone(), Step::status(200)]).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectTimeout);
    let all = functions(r#"{"retryOnException": {"retryOnTimeout": true}}"#);
    assert_eq!(call(all, "GET", [connect, Step::status(200)]).await.1.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_server_error_is_not_retried() {
    for status in [401, 408, 425, 429, 600] {
        let (times, result) = call(functions("true"), "GET", statuses([status, 200])).await;
        assert_eq!((times.len(), result.unwrap().status()), (1, status));
    }
    for status in [501, 505, 599] {
        assert_eq!(call(functions("true"), "PATCH", statuses([status, 200])).await.0.len(), 2);
    }
    let most = functions(r#"{"maxRetries": 2147483647}"#);
    assert_eq!(call(most, "GET", statuses([200])).await.0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_short_is_an_exception() {
    let cut = Step { length: Some(20), ..Step::status(200).body([(ms(0), Some(10))]) };
    let whole = Step { length: Some(20), ..Step::status(200).body([(ms(0), Some(20))]) };
    let (times, result) = call(functions("true"), "GET", [cut.clone(), cut, whole]).await;
    assert_eq!((times.len(), result.unwrap().bytes().len()), (3, 20));
}
