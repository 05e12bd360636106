//! What the four systems' own tests assert of waits, counts and answers, replayed in virtual time with policies read from their documents.
#![cfg(feature = "documents")]
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use reknock::client::{Client, Clock, Response, TokioClock};
use reknock::policy::{Dialect, Value, load_text};
use reknock::{Error, ErrorKind, Policy, StopReason};
use support::{Scripted, Step};

const URL: &str = "http://server.test/";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn secs(secs: f64) -> Duration {
    Duration::from_secs_f64(secs)
}

fn read(text: &str) -> Policy {
    load_text(text, None).unwrap_or_else(|error| panic!("{text}: {error}")).remove(0).policy
}

/// One call: when each attempt was sent, and how it ended.
async fn call(policy: Policy, method: &str, steps: impl IntoIterator<Item = Step>) -> (Vec<Duration>, Result<Response, Error>) {
    let script = Scripted::new(steps);
    let client = Client::on(script.clone()).policy(policy).build().unwrap();
    let began = TokioClock.now();
    let result = client.request(method, URL).body("x").send().await;
    (script.sent().iter().map(|sent| sent.at.since(began)).collect(), result)
}

fn gaps(times: &[Duration]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn statuses<const N: usize>(list: [u16; N]) -> [Step; N] {
    list.map(Step::status)
}

fn io() -> Step {
    Step::fail(ErrorKind::Reset)
}

mod ktor {
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
        let steps = || {
            [Step::status(500).header("retry-after", 2), Step::status(500), Step::status(500).header("retry-after", 1), Step::status(200)]
        };
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
        let with =
            |functions: &str| read(&format!(r#"{{"HttpRequestRetry": {functions}, "HttpTimeout": {{"requestTimeoutMillis": 1000}}}}"#));
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
}

mod ballerina {
    use super::*;

    const STALLED: &str = "{timeout: 2, retryConfig: {interval: 3, count: 3, backOffFactor: 0.5}}";
    const LISTED: &str = "{retryConfig: {statusCodes: [501, 502, 503], interval: 3, count: 3, backOffFactor: 2.0, maxWaitInterval: 20}}";

    fn stalled() -> [Step; 4] {
        let slow = || Step::status(200).head(Duration::from_secs(5));
        [slow(), slow(), slow(), Step::status(200).body([(ms(0), Some(6))])]
    }

    #[tokio::test(start_paused = true)]
    async fn three_stalled_answers_and_a_good_one() {
        for method in ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "GET"] {
            let (times, result) = call(read(STALLED), method, stalled()).await;
            assert_eq!(gaps(&times), [secs(5.0), secs(3.5), secs(2.75)], "{method}");
            assert_eq!(result.unwrap().status(), 200, "{method}");
        }
    }

    /// The client of the documentation against its mock service.
    #[tokio::test(start_paused = true)]
    async fn the_documented_client() {
        let text = "final http:Client backend = check new (\"localhost:8080\", retryConfig = {\n// seconds\ninterval: 3, count: 3, backOffFactor: 2.0, maxWaitInterval: 20 }, timeout = 2);";
        let (times, result) = call(read(text), "GET", stalled()).await;
        assert_eq!(times, [secs(0.0), secs(5.0), secs(13.0), secs(27.0)]);
        assert_eq!(result.unwrap().status(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn listed_statuses() {
        let (times, result) = call(read(LISTED), "POST", statuses([502, 502, 502, 200])).await;
        assert_eq!((gaps(&times), result.unwrap().status()), (vec![secs(3.0), secs(6.0), secs(12.0)], 200));
        // Always 502: that answer with its body, and no sleep after it.
        let bad = Step::status(502).body([(ms(0), Some(7))]);
        let (times, result) = call(read(LISTED), "POST", [bad]).await;
        let response = result.unwrap();
        assert_eq!((times.len(), response.status(), response.bytes().len(), response.elapsed()), (4, 502, 7, secs(21.0)));
        let (times, _) = call(read(LISTED), "POST", statuses([500, 200])).await;
        assert_eq!(times.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_error_comes_at_once() {
        let (times, result) = call(read(LISTED), "POST", [io()]).await;
        let error = result.unwrap_err();
        assert_eq!((times.len(), error.kind(), error.stop_reason()), (4, ErrorKind::Reset, Some(StopReason::RetriesExhausted)));
        assert_eq!(*times.last().unwrap(), secs(21.0), "Ballerina sleeps 20 s more before it gives it back");
    }

    #[tokio::test(start_paused = true)]
    async fn waits() {
        for (config, expected) in [
            ("interval: 100, count: 3, backOffFactor: 2.0, maxWaitInterval: 20", vec![100.0, 20.0, 20.0]),
            ("interval: 3, count: 3, backOffFactor: 2.0, maxWaitInterval: 2", vec![3.0, 2.0, 2.0]),
            ("interval: 3, count: 3", vec![3.0, 3.0, 3.0]),
            ("interval: 3, count: 3, backOffFactor: 0.5", vec![3.0, 1.5, 0.75]),
            ("interval: 1, count: 8, backOffFactor: 2.0", vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]),
            ("interval: 1, count: 3, maxWaitInterval: -1", vec![1.0, 0.0, 0.0]),
            ("count: 2", vec![0.0, 0.0]),
        ] {
            let (times, _) = call(read(&format!("{{retryConfig: {{{config}}}}}")), "GET", [io()]).await;
            assert_eq!(gaps(&times), expected.into_iter().map(secs).collect::<Vec<_>>(), "{config}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_failure_is_retried() {
        for step in [Step::refuse(ErrorKind::Connect), Step::refuse(ErrorKind::Tls), Step::fail(ErrorKind::Protocol), io()] {
            let (_, result) = call(read("{retryConfig: {count: 1}}"), "POST", [step, Step::status(200)]).await;
            assert_eq!(result.unwrap().status(), 200);
        }
        let silent = Step::status(200).body([(ms(0), Some(1)), (Duration::from_secs(31), Some(1))]);
        let (times, result) = call(read("{retryConfig: {count: 1}}"), "POST", [silent, Step::status(200)]).await;
        assert_eq!((gaps(&times), result.unwrap().status()), (vec![secs(30.0)], 200));
    }
}

mod envoy {
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
        let header =
            reknock::policy::envoy::expected_rq_timeout_ms(read(manifest).timeout(), read(manifest).per_try_timeout(), Duration::ZERO);
        assert_eq!(header, Some(5000));
    }
}

mod linkerd {
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
            (service(r#""responseClassifier": {"kind": "io.l5d.http.retryableAll5XX"}"#), "CONNECT", &error, 1),
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
}

/// A document of any dialect is a policy like any other: it merges, prints and comes back.
#[test]
fn a_read_policy_is_a_policy() {
    let policy = Policy::from_dialect(Dialect::Ktor, &Value::from([("maxRetries", 2)])).unwrap();
    let merged = policy.merge(&Value::from([("max_retries", 5)])).unwrap();
    assert_eq!(Policy::from_yaml(&merged.to_string()).unwrap(), merged);
}
