//! What observers are told, in virtual time, and whose call it is.

use crate::support::{Scripted, Step, policy};
use reknock::ErrorKind;
use reknock::client::{
    CallOptions, Callbacks, Client, Event, EventKind, Host, Notice, Opinion, Question, Redirects, Reply, Request, Wants,
};
use reknock::{BoxError, Evidence, StopReason};
use serde_json::json;

use super::callbacks::{Seen, URL, client, ms};

#[tokio::test(start_paused = true)]
async fn events_come_in_order() {
    // Ktor 9: error, 500, 200; with a redirect in between.
    let away = Step::status(302).header("location", "/on?token=secret");
    let script = Scripted::new([Step::fail(ErrorKind::Reset), Step::status(500), away, Step::status(200)]);
    let seen = Seen::default();
    let told = seen.clone();
    let observe = Callbacks::new().on_event(move |event| {
        let call = event.call.as_ref().unwrap();
        assert_eq!((call.method.as_str(), call.url.as_str(), call.name.as_deref()), ("GET", URL, Some("orders.get")));
        let code = event.kind.code();
        let text = match &event.kind {
            EventKind::AttemptStart { attempt, method, target } => format!("{code} {} {method} {target}", attempt.number),
            EventKind::AttemptEnd(record) => format!("{code} {} {}", record.number, record.outcome()),
            EventKind::Retry { attempt, reason } => format!("{code} {} {reason} {:?}", attempt.number, attempt.wait),
            EventKind::Redirect { attempt, target } => format!("{code} {} {target}", attempt.number),
            EventKind::End { attempts, stop_reason, failed, text, .. } => {
                assert_eq!(text, &event.to_string());
                assert!(text.starts_with("GET http://server.test/path: "), "{text}");
                format!("{code} {} {stop_reason} {failed}", attempts.len())
            }
            other => panic!("{other:?}"),
        };
        told.lock().unwrap().push(text);
    });
    client(&script, &json!({"backoff": "5ms"})).get(URL).name("orders.get").callbacks(observe.clone()).send().await.unwrap();
    let expected = [
        "attempt_start 1 GET http://server.test/path",
        "attempt_end 1 reset",
        "retry 1 reset Some(5ms)",
        "attempt_start 2 GET http://server.test/path",
        "attempt_end 2 500",
        "retry 2 500 Some(5ms)",
        "attempt_start 3 GET http://server.test/path",
        "attempt_end 3 302",
        "redirect 3 http://server.test/on?token=...",
        "attempt_start 4 GET http://server.test/on?token=...",
        "attempt_end 4 200",
        "end 4 completed false",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);

    seen.lock().unwrap().clear();
    let script = Scripted::new([Step::status(302).header("location", "/loop")]);
    let few = Redirects { max: 1, ..Redirects::default() };
    let error = client(&script, &json!({})).get(URL).name("orders.get").redirects(few).callbacks(observe).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRedirects);
    assert_eq!(seen.lock().unwrap().last().unwrap(), "end 2 not_retryable true");
}

#[tokio::test(start_paused = true)]
async fn a_panicking_observer_fails_no_call() {
    let script = Scripted::new([Step::status(503), Step::status(200)]);
    let broken = Callbacks::new().on_event(|_| panic!("an observer"));
    let response = client(&script, &json!({})).get(URL).callbacks(broken).send().await.unwrap();
    assert_eq!((response.status(), response.attempts().len()), (200, 2));
}

/// A budget that refuses is told once a second and origin, in the text of the error, and in the timeline.
#[tokio::test(start_paused = true)]
async fn refusals_of_a_budget_are_loud() {
    let document = json!({"backoff": "none", "budget": {"ratio": 0, "min_per_second": 0}});
    let notices = Seen::default();
    let told = notices.clone();
    let observe = Callbacks::new().on_event(move |event| {
        if let EventKind::Notice { about: Notice::BudgetRefused, .. } = event.kind {
            told.lock().unwrap().push(event.to_string());
        }
    });
    let script = Scripted::new([Step::fail(ErrorKind::Reset)]);
    let client = Client::on(script.clone()).policy(policy(&document)).callbacks(observe).build().unwrap();
    for wait in [0, 1, 500, 499, 1] {
        tokio::time::sleep(ms(wait)).await;
        let error = client.get("http://server.test/path?token=secret").send().await.unwrap_err();
        assert!(error.to_string().ends_with(" (budget_exhausted)"), "{error}");
        assert!(error.explain().contains("budget_exhausted: too many calls are failing at once"), "{}", error.explain());
        client.get("http://other.test/").send().await.unwrap_err();
    }
    let lines = notices.lock().unwrap();
    let first = "GET http://server.test/path?token=...: the retry budget of http://server.test refused a retry after reset; ";
    assert!(lines[0].starts_with(first), "{}", lines[0]);
    let origins: Vec<_> = lines.iter().map(|line| line.contains("server.test")).collect();
    assert_eq!(origins, [true, false, true, false], "{lines:?}");
}

/// Asked before each attempt and hop, outside of the attempts' clocks, for fields of that attempt alone.
#[tokio::test(start_paused = true)]
async fn fields_of_an_attempt() {
    let away = Step::status(302).header("location", "http://other.test/on");
    let script = Scripted::new([Step::status(503), away, Step::status(200)]);
    let starts = Seen::default();
    let seen = starts.clone();
    let trace = Callbacks::new().before_attempt(move |start, fields| {
        let EventKind::AttemptStart { attempt, method, target } = &start.kind else { panic!("{start:?}") };
        seen.lock().unwrap().push(format!("{} hop {} {method} {target}", attempt.number, attempt.hop));
        fields.insert("traceparent", format!("00-{}", attempt.number).parse().unwrap());
        if attempt.number == 1 {
            fields.insert("x-first", "1".parse().unwrap());
        }
    });
    let client = client(&script, &json!({"backoff": "5ms"}));
    let response = client.get(URL).header("traceparent", "the caller's").callbacks(trace).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let expected = ["1 hop 0 GET http://server.test/path", "2 hop 0 GET http://server.test/path", "3 hop 1 GET http://other.test/on"];
    assert_eq!(*starts.lock().unwrap(), expected);
    let sent = script.sent();
    let parents: Vec<_> = sent.iter().map(|sent| sent.headers["traceparent"].to_str().unwrap().to_owned()).collect();
    assert_eq!(parents, ["00-1", "00-2", "00-3"]);
    assert_eq!(sent.iter().map(|sent| sent.headers.contains_key("x-first")).collect::<Vec<_>>(), [true, false, false]);
}

/// Whose call it is stands on errors, on responses, at the head of timelines and on what callbacks see.
#[tokio::test(start_paused = true)]
async fn calls_have_an_identity() {
    let script = Scripted::new([Step::status(200), Step::fail(ErrorKind::Reset)]);
    let client = client(&script, &json!({"backoff": "none", "max_retries": 1}));
    let url = "http://user:secret@server.test/orders?token=secret";
    let response = client.get(url).name("orders.get").send().await.unwrap();
    let error = client.get(url).send().await.unwrap_err();
    let (first, second) = (response.call().unwrap(), error.call().unwrap());
    assert!(second.call_id > first.call_id);
    assert_eq!((first.name.as_deref(), second.name.as_deref()), (Some("orders.get"), None));
    assert_eq!((first.url.as_str(), first.origin.as_str()), ("http://server.test/orders?token=...", "http://server.test"));
    let head = format!("GET http://server.test/orders?token=... (orders.get, call {})\n", first.call_id);
    assert!(response.explain().starts_with(&head), "{}", response.explain());
    assert!(error.explain().starts_with(&format!("GET http://server.test/orders?token=... (call {})\n", second.call_id)));
    let text = "GET http://server.test/orders?token=...: scripted reset after 2 attempts in 0s (retries_exhausted)";
    assert_eq!(error.to_string(), text);
}

/// A budget that was to be the host's and is not: told once a client, with the reason.
#[tokio::test(start_paused = true)]
async fn a_budget_that_is_not_the_hosts_is_told() {
    let notices = Seen::default();
    let told = notices.clone();
    let observe = Callbacks::new().on_event(move |event| {
        if let EventKind::Notice { about: Notice::BudgetUnshared, text } = &event.kind {
            told.lock().unwrap().push(text.clone());
        }
    });
    let script = Scripted::new([Step::status(200)]);
    let shared = policy(&json!({"budget": {"share": "host"}}));
    let client = Client::on(script).policy(shared).budget_dir("/proc/not/there").build().unwrap();
    // Nobody listens to the first: it is kept for who does.
    client.get(URL).send().await.unwrap();
    for _ in 0..2 {
        client.get(URL).callbacks(observe.clone()).send().await.unwrap();
    }
    let notices = notices.lock().unwrap();
    let why = client.budget(URL).unwrap().why.unwrap();
    let text =
        format!("the retry budget of http://server.test is this process's alone (share: host): {why}; share_required makes that an error");
    assert_eq!(*notices, [text]);
}

/// Whatever a call waits for when its future is dropped: what began has an end, once.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_ends() {
    let connecting = Step { connect: ms(20_000), ..Step::status(200) };
    let (head, late) = (Step::status(200).head(ms(20_000)), (ms(20_000), Some(10)));
    let body = Step::status(200).body([(ms(1), Some(10)), late]);
    let drained = [Step::status(503).body([late]), Step::status(200)];
    let cancelled = [Some("cancelled")];
    let plain = Callbacks::new;
    let asked = Callbacks::new().retry_if_async(|_| std::future::pending::<Result<Opinion, BoxError>>());
    let edited = Callbacks::new().before_retry_async(|_, _| std::future::pending::<Result<Request, BoxError>>());
    let cases = [
        ("connect", vec![connecting], plain(), cancelled.to_vec()),
        ("head", vec![head.clone()], plain(), cancelled.to_vec()),
        ("body", vec![body], plain(), cancelled.to_vec()),
        ("drain", drained.to_vec(), plain(), vec![None]),
        ("wait", vec![Step::status(503)], plain(), vec![None]),
        ("second", vec![Step::fail(ErrorKind::Reset), head], plain(), vec![Some("reset"), Some("cancelled")]),
        ("retry_if", vec![Step::status(503)], asked, vec![None]),
        ("before_retry", vec![Step::status(503)], edited, vec![None]),
    ];
    for (state, script, callbacks, errors) in cases {
        let (seen, script) = (Seen::default(), Scripted::new(script));
        let told = seen.clone();
        let observe = callbacks.on_event(move |event| told.lock().unwrap().push(event.kind.clone()));
        let backoff = if matches!(state, "wait" | "drain") { "30s" } else { "1ms" };
        let about = json!({"backoff": backoff, "budget": "none", "connect_timeout": "none", "per_try_timeout": "none"});
        let client = client(&script, &about);
        let call = client.get(URL).callbacks(observe).send();
        tokio::time::timeout(ms(40), call).await.expect_err(state);
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let count = |code| seen.iter().filter(|kind| kind.code() == code).count();
        let counts = [count("attempt_start"), count("attempt_end"), count("end")];
        assert_eq!(counts, [errors.len(), errors.len(), 1], "{state}: {seen:?}");
        let Some(EventKind::End { attempts, stop_reason, failed, text, .. }) = seen.last() else { panic!("{state}: {seen:?}") };
        assert_eq!((*stop_reason, *failed), (StopReason::Cancelled, false), "{state}");
        assert!(text.contains("the call was cancelled"), "{state}: {text}");
        let found: Vec<_> = attempts.iter().map(|record| record.error.map(ErrorKind::code)).collect();
        assert_eq!(found, errors, "{state}");
        let ends = seen.iter().filter(|kind| kind.code() == "attempt_end").filter_map(EventKind::attempt);
        assert_eq!(ends.map(|record| record.error.map(ErrorKind::code)).collect::<Vec<_>>(), errors, "{state}");
        let evidence = if state == "connect" { Evidence::NotSent } else { Evidence::Unknown };
        assert_eq!(attempts.last().unwrap().evidence, evidence, "{state}");
    }
}

/// Likewise while telemetry is asked for the fields of an attempt, which then never begins.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_an_attempt_ends() {
    /// Never answers for this attempt.
    struct Slow(Seen<EventKind>, u32);

    impl Host for Slow {
        fn wants(&self) -> Wants {
            Wants { before_attempt: true, events: true, ..Wants::default() }
        }

        async fn ask(&mut self, question: Question) -> Result<Reply, BoxError> {
            match question {
                Question::BeforeAttempt(start) if start.kind.attempt().map(|attempt| attempt.number) == Some(self.1) => {
                    std::future::pending().await
                }
                Question::BeforeAttempt(_) => Ok(Reply::Fields(Default::default())),
                other => panic!("{other:?}"),
            }
        }

        fn tell(&mut self, event: Event) {
            self.0.lock().unwrap().push(event.kind);
        }
    }

    let attempt = ["attempt_start", "attempt_end", "retry", "end"];
    for (number, told) in [(1, &attempt[3..]), (2, &attempt[..])] {
        let (seen, script) = (Seen::<EventKind>::default(), Scripted::new([Step::status(503), Step::status(200)]));
        let about = json!({"backoff": "1ms", "timeout": "none", "budget": {"kind": "concurrency", "percent": 0, "min": 1}});
        let client = client(&script, &about);
        let (request, options) = (Request::new("GET", URL).unwrap(), CallOptions::default());
        tokio::time::timeout(ms(40), client.send_with(request, &options, Slow(seen.clone(), number))).await.expect_err("dropped");
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(seen.iter().map(EventKind::code).collect::<Vec<_>>(), told);
        let Some(EventKind::End { attempts, stop_reason, failed, text, .. }) = seen.last() else { panic!("{seen:?}") };
        let statuses: Vec<_> = attempts.iter().map(|record| (record.status, record.error)).collect();
        assert_eq!((*stop_reason, *failed, statuses), (StopReason::Cancelled, false, vec![(Some(503), None); number as usize - 1]));
        assert!(text.contains("the call was cancelled after "), "{text}");
        assert_eq!(client.budget(URL).unwrap().balance, 1);
    }
}

/// A response that is handed out has ended its call: dropping it tells nothing more. Nor does an observer that panics while a thread unwinds.
#[tokio::test(start_paused = true)]
async fn a_call_ends_once() {
    let script = Scripted::new([Step::status(200).body([(ms(1), Some(10)), (ms(20_000), Some(10))])]);
    let seen = Seen::default();
    let told = seen.clone();
    let observe = Callbacks::new().on_event(move |event| told.lock().unwrap().push(event.kind.code()));
    let mut response = client(&script, &json!({})).get(URL).callbacks(observe).stream().await.unwrap();
    response.chunk().await.unwrap();
    drop(response);
    assert_eq!(*seen.lock().unwrap(), ["attempt_start", "attempt_end", "end"]);

    let script = Scripted::new([Step::status(200).head(ms(20_000))]);
    let seen = Seen::default();
    let told = seen.clone();
    let broken = Callbacks::new().on_event(move |event| {
        told.lock().unwrap().push(event.kind.code());
        panic!("an observer");
    });
    let call = tokio::spawn(async move {
        let client = client(&script, &json!({}));
        let call = client.get(URL).callbacks(broken).send();
        let _ = tokio::join!(call, async {
            tokio::time::sleep(ms(5)).await;
            panic!("the program");
        });
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(*seen.lock().unwrap(), ["attempt_start", "attempt_end", "end"]);
}
