//! Callbacks in virtual time: when they are asked, what their answers do, and what becomes of those that misbehave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Scripted, Step, policy};
use reknock::client::{Body, Callbacks, Client, Clock, Opinion, TokioClock};
use reknock::{Error, ErrorKind, Evidence, StopReason};
use serde_json::{Value as Json, json};

pub(super) const URL: &str = "http://server.test/path";

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn client(script: &Scripted, document: &Json) -> Client<Scripted> {
    Client::on(script.clone()).policy(policy(document)).build().unwrap()
}

/// What a callback was shown, one entry per question.
pub(super) type Seen<T> = Arc<Mutex<Vec<T>>>;

fn starts(script: &Scripted, began: reknock::Tick) -> Vec<u64> {
    script.sent().iter().map(|sent| sent.at.since(began).as_millis() as u64).collect()
}

#[tokio::test(start_paused = true)]
async fn retry_if_has_four_answers() {
    let opinions = [
        (Opinion::None, 503, 2, StopReason::Completed, 100),
        (Opinion::None, 404, 1, StopReason::NotRetryable, 0),
        (Opinion::Retry, 404, 2, StopReason::Completed, 100),
        (Opinion::Retry, 204, 2, StopReason::Completed, 100),
        (Opinion::Stop, 503, 1, StopReason::PredicateStop, 0),
        (Opinion::Stop, 404, 1, StopReason::PredicateStop, 0),
        (Opinion::Stop, 204, 1, StopReason::Completed, 0),
        (Opinion::from(false), 503, 2, StopReason::Completed, 100),
        (Opinion::from(false), 404, 1, StopReason::NotRetryable, 0),
        (Opinion::from(true), 404, 2, StopReason::Completed, 100),
        (Opinion::After(ms(7)), 404, 2, StopReason::Completed, 7),
        (Opinion::After(ms(0)), 503, 2, StopReason::Completed, 0),
    ];
    for (opinion, status, sends, reason, wait) in opinions {
        let script = Scripted::new([Step::status(status).header("retry-after", "0"), Step::status(200)]);
        let client = client(&script, &json!({"backoff": "100ms"}));
        let began = TokioClock.now();
        let answer = move |attempt: &reknock::client::Attempt| if attempt.number == 1 { opinion } else { Opinion::None };
        let response = client.get(URL).retry_if(answer).send().await.unwrap();
        let told = (script.sent().len(), response.stop_reason(), TokioClock.now().since(began));
        assert_eq!(told, (sends, reason, ms(wait)), "{opinion:?} on {status}");
    }
}

/// The habit of every other client: one more case, and the policy's own stay.
#[tokio::test(start_paused = true)]
async fn a_plain_predicate_adds() {
    let script = Scripted::new([Step::status(503), Step::fail(ErrorKind::Reset), Step::status(404), Step::status(200)]);
    let found = |attempt: &reknock::client::Attempt| attempt.status == Some(404);
    let response = client(&script, &json!({"max_retries": 3})).get(URL).retry_if(found).send().await.unwrap();
    assert_eq!((response.status(), script.sent().len()), (200, 4));
}

/// Not even where its body breaks: that outcome is of a response that is never retried.
#[tokio::test(start_paused = true)]
async fn stop_headers_stop_everything() {
    let document = json!({"stop_headers": [{"name": "x-should-retry", "exact": "false"}]});
    let stop = |status| Step::status(status).header("x-should-retry", "false");
    for shown in [false, true] {
        for (step, ended) in [(stop(503), Ok(StopReason::NotRetryable)), (stop(200).body([(ms(1), None)]), Err(ErrorKind::Body))] {
            let script = Scripted::new([step, Step::status(200)]);
            let callbacks = Callbacks::new().retry_if(|_| true);
            let callbacks = if shown { callbacks.with_body() } else { callbacks };
            let client = Client::on(script.clone()).policy(policy(&document)).callbacks(callbacks).build().unwrap();
            let sent = client.get(URL).send().await;
            let told = sent.map(|response| response.stop_reason()).map_err(|error| error.kind());
            assert_eq!((told, script.sent().len()), (ended, 1), "the body is shown: {shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retry_if_sees_each_attempt() {
    let seen = Seen::default();
    let script = Scripted::new([Step::fail(ErrorKind::Reset), Step::status(503).header("retry-after", "9"), Step::status(200)]);
    let asked = seen.clone();
    let look = move |a: &reknock::client::Attempt| {
        let planned = a.planned_wait.map(|wait| wait.as_millis());
        asked.lock().unwrap().push((a.number, a.retries_left, a.status, a.error, a.evidence, a.hint, a.verdict, planned, a.body.is_some()));
        assert_eq!((a.method.as_str(), a.url.as_str()), ("GET", URL));
        assert_eq!(a.request_headers["x-mine"], "1");
        assert_eq!(a.headers.contains_key("retry-after"), a.status == Some(503));
        assert_eq!(a.message.is_some(), a.error.is_some());
        None::<bool>
    };
    let hints = json!({"backoff": "1s", "retry_after": {"spread": 0}, "max_retries": 5});
    client(&script, &hints).get(URL).header("x-mine", "1").retry_if(look).send().await.unwrap();
    let hint = Some(Duration::from_secs(9));
    let expected = [
        (1, 5, None, Some(ErrorKind::Reset), Evidence::Unknown, None, true, Some(1000), false),
        (2, 4, Some(503), None, Evidence::Unknown, hint, true, Some(9000), false),
        (3, 3, Some(200), None, Evidence::Unknown, None, false, Some(1000), false),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn retry_if_is_asked_only_where_a_retry_is_possible() {
    let lost = || {
        let pieces = futures_util::stream::iter([Ok("12345".into()), Ok("67890".into())]);
        Some(Body::stream(pieces, None))
    };
    for (what, document, head, body, asked) in [
        ("retries left", json!({"max_retries": 1}), 0, None, 1),
        ("no retries", json!({"max_retries": 0}), 0, None, 0),
        ("consumed stream", json!({"max_body_buffer": "5B"}), 0, lost(), 0),
        ("recorded stream", json!({"max_retries": 1}), 0, lost(), 1),
        ("deadline passed", json!({"timeout": "1s"}), 2000, None, 0),
    ] {
        let script = Scripted::new([Step::status(503).head(ms(head))]);
        let count = Seen::default();
        let counter = count.clone();
        let ask = move |attempt: &reknock::client::Attempt| {
            counter.lock().unwrap().push(attempt.number);
            true
        };
        let _ = client(&script, &document).put(URL).body(body.unwrap_or_default()).retry_if(ask).send().await;
        assert_eq!(count.lock().unwrap().len(), asked, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_yes_overrides_the_verdict_only() {
    for (what, method, status, document, reason) in [
        ("method", "POST", 500, json!({}), StopReason::NotIdempotent),
        ("limit", "GET", 503, json!({"max_retries": 2}), StopReason::RetriesExhausted),
        ("deadline", "GET", 404, json!({"backoff": "2s", "timeout": "1s"}), StopReason::Deadline),
        ("hint", "GET", 404, json!({"retry_after": {"max": "1s"}}), StopReason::RetryAfterTooLong),
        ("budget", "GET", 404, json!({"budget": {"ratio": 0, "min_per_second": 0}}), StopReason::BudgetExhausted),
    ] {
        let script = Scripted::new([Step::status(status).header("retry-after", if what == "hint" { "5" } else { "x" })]);
        let response = client(&script, &document).request(method, URL).retry_if(|_| true).send().await.unwrap();
        assert_eq!((response.status(), response.stop_reason()), (status, reason), "{what}");
    }
    // What the user may say: methods any.
    let script = Scripted::new([Step::status(404), Step::status(200)]);
    let response = client(&script, &json!({"methods": "any"})).post(URL).retry_if(|a| a.status == Some(404)).send().await.unwrap();
    assert_eq!((response.status(), script.sent().len()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn an_enormous_limit_and_a_no_do_not_overflow() {
    // Ktor 17: the largest number of retries, a predicate that says no.
    let script = Scripted::new([Step::status(200)]);
    let response = client(&script, &json!({"max_retries": 1000})).get(URL).retry_if(|_| Opinion::Stop).send().await.unwrap();
    assert_eq!((response.status(), response.stop_reason(), script.sent().len()), (200, StopReason::Completed, 1));
    // Waits that no clock can count.
    let script = Scripted::new([Step::status(503)]);
    let response = client(&script, &json!({})).get(URL).retry_if(|_| Duration::MAX).send().await.unwrap();
    assert_eq!((response.status(), response.stop_reason(), script.sent().len()), (503, StopReason::Deadline, 1));
}

#[tokio::test(start_paused = true)]
async fn delay_replaces_the_back_off_and_hints_still_apply() {
    let script = Scripted::new([
        Step::status(503),
        Step::status(503).header("retry-after", "3"),
        Step::status(503),
        Step::status(503).header("retry-after", "3"),
        Step::status(200),
    ]);
    let document = json!({"backoff": "100ms", "max_retries": 4, "retry_after": {"spread": 0}});
    let delays = [Some(ms(40)), Some(ms(50)), None, Some(ms(5000))];
    let delay = Callbacks::new().delay(move |attempt: &reknock::client::Attempt| delays[attempt.number as usize - 1]);
    let began = TokioClock.now();
    let response = client(&script, &document).get(URL).callbacks(delay).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(starts(&script, began), [0, 40, 3040, 3140, 8140]);

    // retry_if's own wait is exact: delay is not asked, and hints do not apply.
    let script = Scripted::new([Step::status(503).header("retry-after", "3"), Step::status(200)]);
    let both = Callbacks::new().retry_if(|_| Some(ms(1))).delay(|_: &_| -> Option<Duration> { panic!("asked") });
    let response = client(&script, &document).get(URL).callbacks(both.clone()).send().await.unwrap();
    assert_eq!((response.status(), response.attempts()[0].wait), (200, Some(ms(1))));
}

#[tokio::test(start_paused = true)]
async fn edits_are_for_the_next_attempt_alone() {
    // Ktor 7: a header that counts; 500, 500, 503, 200.
    let script = Scripted::new([Step::status(500), Step::status(500), Step::status(503), Step::status(200)]);
    let client = client(&script, &json!({"max_retries": 3, "backoff": "1ms"}));
    let edit = Callbacks::new().before_retry(|attempt, request| {
        request.append_header("x-retry", &attempt.number.to_string())?;
        if attempt.number == 2 {
            request.set_url("http://other.test/elsewhere")?;
            request.set_body("edited");
        }
        Ok(())
    });
    let response = client.put(URL).body("original").callbacks(edit).send().await.unwrap();
    assert_eq!(response.url().as_str(), URL);
    let sent: Vec<_> = script
        .sent()
        .iter()
        .map(|sent| {
            let headers: Vec<_> = sent.headers.get_all("x-retry").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
            (headers.join(","), sent.url.clone(), String::from_utf8(sent.body.to_vec()).unwrap())
        })
        .collect();
    let expected = [("", URL, "original"), ("1", URL, "original"), ("2", "http://other.test/elsewhere", "edited"), ("3", URL, "original")];
    assert_eq!(sent.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_was_edited_is_what_was_sent() {
    let edit = || {
        Callbacks::new().before_retry(|_, request| {
            request.set_url("http://other.test/a/b")?;
            request.set_header("authorization", "fresh")
        })
    };
    // The response tells the URL that was asked.
    let script = Scripted::new([Step::status(503), Step::status(200)]);
    let response = client(&script, &json!({})).get(URL).callbacks(edit()).send().await.unwrap();
    assert_eq!(response.url().as_str(), "http://other.test/a/b");

    // A redirect leads on from there. What was edited was for that attempt alone, and what is for the first origin does not go to the other.
    let script = Scripted::new([Step::status(503), Step::status(307).header("location", "c"), Step::status(200)]);
    let sender = client(&script, &json!({}));
    let response = sender.get(URL).header("authorization", "stale").callbacks(edit()).send().await.unwrap();
    assert_eq!(response.url().as_str(), "http://other.test/a/c");
    assert!(!script.sent()[2].headers.contains_key("authorization"));

    // Callbacks are told of it.
    let seen = Seen::default();
    let urls = seen.clone();
    let script = Scripted::new([Step::status(503)]);
    let look = edit().retry_if(move |attempt| {
        urls.lock().unwrap().push(attempt.url.to_string());
        None::<bool>
    });
    client(&script, &json!({})).get(URL).callbacks(look).send().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [URL, "http://other.test/a/b"]);
}

#[tokio::test(start_paused = true)]
async fn the_method_cannot_be_edited() {
    let script = Scripted::new([Step::status(503), Step::status(200)]);
    let other = Callbacks::new().before_retry_async(|_, request| async move {
        let mut changed = reknock::client::Request::new("DELETE", request.url().as_str())?;
        changed.set_header("x-new", "1")?;
        Ok(changed)
    });
    client(&script, &json!({})).get(URL).callbacks(other).send().await.unwrap();
    assert_eq!((script.sent()[1].method.as_str(), script.sent()[1].headers.contains_key("x-new")), ("GET", true));
}

#[tokio::test(start_paused = true)]
async fn bodies_are_shown_when_asked_for() {
    let script = Scripted::new([Step::status(200).body([(ms(3), Some(4))]), Step::status(200).body([(ms(3), Some(2))])]);
    let whole = |attempt: &reknock::client::Attempt| attempt.body.as_ref().map(|body| body.len() == 4);
    let shown = Callbacks::new().retry_if(whole).with_body();
    let response = client(&script, &json!({})).get(URL).callbacks(shown.clone()).send().await.unwrap();
    assert_eq!((response.text().as_ref(), response.attempts().len()), ("xx", 2));
    assert_eq!(response.attempts()[0].duration, ms(3), "the record lasts until the body is read");

    // Not in streamed calls: their bodies are the caller's.
    let script = Scripted::new([Step::status(200).body([(ms(3), Some(4))])]);
    let mut response = client(&script, &json!({})).get(URL).callbacks(shown).stream().await.unwrap();
    assert_eq!(response.bytes(10).await.unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn async_callbacks_are_awaited() {
    let script = Scripted::new([Step::status(404), Step::status(200)]);
    let slow = Callbacks::new()
        .retry_if_async(|attempt| async move {
            tokio::time::sleep(ms(10)).await;
            Ok((attempt.status == Some(404)).then_some(true).into())
        })
        .delay_async(|_| async {
            tokio::time::sleep(ms(20)).await;
            Ok(Some(ms(30)))
        })
        .before_retry_async(|attempt, mut request| async move {
            tokio::time::sleep(ms(40)).await;
            request.set_header("x-was", &attempt.status.unwrap().to_string())?;
            Ok(request)
        });
    let began = TokioClock.now();
    let response = client(&script, &json!({})).get(URL).callbacks(slow).send().await.unwrap();
    assert_eq!((response.status(), starts(&script, began)), (200, vec![0, 100]));
    assert_eq!(script.sent()[1].headers["x-was"], "404");
    assert_eq!(response.attempts()[0].duration, ms(0), "callbacks are no part of an attempt");
    assert_eq!(response.attempts()[0].wait, Some(ms(30)));
}

#[tokio::test(start_paused = true)]
async fn a_calls_callbacks_win_over_its_clients() {
    // Ktor 8: off in the client, on in the call: 4 retries, 123 ms each; error, 500, error, 500, 200.
    let fail = || Step::fail(ErrorKind::Reset);
    let script = Scripted::new([fail(), Step::status(500), fail(), Step::status(500), Step::status(200)]);
    let client = Client::on(script.clone()).policy(policy(&json!({"max_retries": 0}))).retry_if(|_| Opinion::Stop).build().unwrap();
    let began = TokioClock.now();
    let own = policy(&json!({"max_retries": 4, "backoff": "123ms", "statuses": ["500-599"]}));
    let response = client.get(URL).policy(own).retry_if(|_| None::<bool>).send().await.unwrap();
    assert_eq!((response.status(), starts(&script, began)), (200, vec![0, 123, 246, 369, 492]));
}

#[tokio::test(start_paused = true)]
async fn a_predicate_that_only_knows_failures_leaves_responses_alone() {
    // Ktor 12: failures are always retried, once; 401 with an empty body comes back as it is.
    let script = Scripted::new([Step::status(401)]);
    let failures = |attempt: &reknock::client::Attempt| attempt.error.map(|_| true);
    let response = client(&script, &json!({"max_retries": 1})).get(URL).retry_if(failures).send().await.unwrap();
    assert_eq!((response.status(), response.bytes().len(), script.sent().len()), (401, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_callback_ends_the_call_with_it() {
    let failing = |which: &str| {
        let all = Callbacks::new();
        match which {
            "retry_if" => all.retry_if_async(|_| async { Err("no idea".into()) }),
            "delay" => all.delay_async(|_| async { Err("no idea".into()) }),
            _ => all.before_retry(|_, _| Err(Error::new(ErrorKind::Callback, "no idea"))),
        }
    };
    for which in ["retry_if", "delay", "before_retry"] {
        for budget in [json!({"ratio": 1, "min_per_second": 0, "deposit_on": "call"}), json!({"kind": "concurrency", "min": 1})] {
            let script = Scripted::new([Step::status(503)]);
            let client = client(&script, &json!({"budget": budget}));
            let error = client.get(URL).callbacks(failing(which)).send().await.unwrap_err();
            assert_eq!((error.kind(), error.stop_reason(), error.status()), (ErrorKind::Callback, Some(StopReason::Callback), Some(503)));
            assert_eq!((error.attempts().len(), error.attempts()[0].status, error.attempts()[0].error), (1, Some(503), None));
            assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no idea");
            assert!(error.to_string().contains(&format!(": {which} failed after 1 attempt")), "{error}");
            let reading = client.budget("http://server.test").unwrap();
            assert_eq!((reading.balance, reading.withdrawals, reading.refusals), (1, 0, 0), "{which} {reading:?}");
        }
    }
}
