//! What Ballerina's own tests assert of `retryConfig`, and what its code does beyond them.

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
