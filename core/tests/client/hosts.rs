//! Hosts that panic, never answer, answer too late or not at all; and one that answers over a channel, as the bindings' do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Scripted, Step, policy};
use reknock::client::{CallOptions, Callbacks, Cancel, Client, Clock, Event, Host, Opinion, Question, Reply, Request, TokioClock, Wants};
use reknock::{BoxError, Error, ErrorKind, Evidence, StopReason};
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, oneshot};

const URL: &str = "http://server.test/path";
const ALL: [&str; 3] = ["retry_if", "delay", "before_retry"];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn client(script: &Scripted, document: &Json) -> Client<Scripted> {
    Client::on(script.clone()).policy(policy(document)).build().unwrap()
}

fn budgets() -> [Json; 2] {
    [json!({"ratio": 1, "min_per_second": 0, "deposit_on": "call"}), json!({"kind": "concurrency", "min": 1})]
}

/// Nothing held, nothing spent, nothing refused.
#[track_caller]
fn untouched(client: &Client<Scripted>) {
    let reading = client.budget("http://server.test").unwrap();
    assert_eq!((reading.balance, reading.withdrawals, reading.refusals), (1, 0, 0), "{reading:?}");
}

/// The 503 stays on the record; nothing but the callback ended the call.
#[track_caller]
fn after_a_503(error: &Error, kind: ErrorKind, reason: StopReason) {
    assert_eq!((error.kind(), error.stop_reason(), error.status()), (kind, Some(reason), Some(503)), "{error}");
    let told: Vec<_> = error.attempts().iter().map(|a| (a.number, a.status, a.error, a.duration)).collect();
    assert_eq!(told, [(1, Some(503), None, ms(20))], "{error}");
}

fn panicking(which: &str) -> Callbacks {
    let all = Callbacks::new();
    match which {
        "retry_if" => all.retry_if(|_| -> bool { panic!("on purpose") }),
        "delay" => all.delay(|_: &_| -> Duration { panic!("on purpose") }),
        _ => all.before_retry(|_, _| panic!("on purpose")),
    }
}

/// Answers after `after`, or never.
fn slow(which: &str, after: Option<Duration>) -> Callbacks {
    async fn pass(after: Option<Duration>) {
        match after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    }
    let all = Callbacks::new();
    match which {
        "retry_if" => all.retry_if_async(move |_| async move {
            pass(after).await;
            Ok(Opinion::Stop)
        }),
        "delay" => all.delay_async(move |_| async move {
            pass(after).await;
            Ok(None)
        }),
        _ => all.before_retry_async(move |_, request| async move {
            pass(after).await;
            Ok(request)
        }),
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_call_and_leaks_nothing() {
    for which in ALL {
        for budget in budgets() {
            let script = Scripted::new([Step::status(503).head(ms(20))]);
            let client = client(&script, &json!({"budget": budget, "backoff": "1ms"}));
            let error = client.get(URL).callbacks(panicking(which)).send().await.unwrap_err();
            after_a_503(&error, ErrorKind::Callback, StopReason::Callback);
            assert!(error.to_string().contains(which) && error.to_string().contains("on purpose"), "{error}");
            untouched(&client);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_or_a_late_one_ends_by_the_deadline() {
    for which in ALL {
        for after in [None, Some(ms(3001))] {
            for budget in budgets() {
                let script = Scripted::new([Step::status(503).head(ms(20))]);
                let client = client(&script, &json!({"budget": budget, "backoff": "100ms", "timeout": "3s"}));
                let began = TokioClock.now();
                let error = client.get(URL).callbacks(slow(which, after)).send().await.unwrap_err();
                assert_eq!(TokioClock.now().since(began), ms(3000), "{which} {after:?}");
                after_a_503(&error, ErrorKind::Deadline, StopReason::Deadline);
                untouched(&client);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_answer_after_the_deadline_sends_nothing_more() {
    // A synchronous callback cannot be interrupted: the deadline takes effect when it returns.
    let script = Scripted::new([Step::status(503)]);
    let client = client(&script, &json!({"timeout": "3s", "backoff": "1ms"}));
    struct Blocking;
    impl Host for Blocking {
        fn wants(&self) -> Wants {
            Wants { retry_if: true, ..Wants::default() }
        }
        async fn ask(&mut self, _: Question) -> Result<Reply, BoxError> {
            tokio::time::advance(ms(5000)).await;
            Ok(Reply::Opinion(Opinion::Retry))
        }
        fn tell(&mut self, _: Event) {}
    }
    let result = client.send_with(Request::new("GET", URL).unwrap(), &CallOptions::default(), Blocking).await;
    let reason = match &result {
        Ok(response) => response.stop_reason(),
        Err(error) => error.stop_reason().unwrap(),
    };
    assert_eq!((reason, script.sent().len()), (StopReason::Deadline, 1), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_cancelled_in_its_callback() {
    for which in ALL {
        for budget in budgets() {
            let script = Scripted::new([Step::status(503).head(ms(20))]);
            let client = client(&script, &json!({"budget": budget, "backoff": "100ms"}));
            let cancel = Cancel::new();
            let call = client.get(URL).callbacks(slow(which, None)).cancel(&cancel).send();
            let began = TokioClock.now();
            let (result, ()) = tokio::join!(call, async {
                tokio::time::sleep(ms(500)).await;
                cancel.cancel();
            });
            assert_eq!(TokioClock.now().since(began), ms(500));
            after_a_503(&result.unwrap_err(), ErrorKind::Cancelled, StopReason::Cancelled);
            untouched(&client);
        }
    }
}

/// Panics where a well-behaved host returns a future, and when told something.
struct Rude;

impl Host for Rude {
    fn wants(&self) -> Wants {
        Wants { retry_if: true, events: true, ..Wants::default() }
    }

    #[allow(clippy::manual_async_fn)] // it panics before there is a future
    fn ask(&mut self, question: Question) -> impl Future<Output = Result<Reply, BoxError>> + Send {
        assert!(matches!(question, Question::Delay(_)), "not even a future");
        async { Ok(Reply::Delay(None)) }
    }

    fn tell(&mut self, _: Event) {
        panic!("told");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rude_host_harms_its_call_alone() {
    let script = Scripted::new([Step::status(503).head(ms(20))]);
    let client = client(&script, &json!({"budget": {"ratio": 1, "min_per_second": 0, "deposit_on": "call"}}));
    let request = Request::new("GET", URL).unwrap();
    let error = client.send_with(request, &CallOptions::default(), Rude).await.unwrap_err();
    after_a_503(&error, ErrorKind::Callback, StopReason::Callback);
    untouched(&client);
}

/// What the bindings will have: questions go out with a handle for the answer.
struct Channel {
    questions: mpsc::UnboundedSender<(Question, oneshot::Sender<Result<Reply, BoxError>>)>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Host for Channel {
    fn wants(&self) -> Wants {
        Wants { retry_if: true, delay: true, before_retry: true, events: true, ..Wants::default() }
    }

    async fn ask(&mut self, question: Question) -> Result<Reply, BoxError> {
        let (handle, answer) = oneshot::channel();
        self.questions.send((question, handle)).map_err(|_| "nobody listens")?;
        answer.await.map_err(|_| "the answer's handle was dropped")?
    }

    fn tell(&mut self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_answers_over_a_channel() {
    let script = Scripted::new([Step::status(404), Step::status(200)]);
    let client = client(&script, &json!({}));
    let (questions, mut inbox) = mpsc::unbounded_channel();
    let host = Channel { questions, events: Arc::default() };
    let events = host.events.clone();
    let call = tokio::spawn(async move { client.send_with(Request::new("GET", URL)?, &CallOptions::default(), host).await });
    let mut asked = Vec::new();
    while let Some((question, handle)) = inbox.recv().await {
        let reply = match question {
            Question::RetryIf(attempt) => {
                asked.push(format!("retry_if {:?}", attempt.status));
                Reply::Opinion((attempt.status == Some(404)).then_some(true).into())
            }
            Question::Delay(attempt) => {
                asked.push(format!("delay {}", attempt.number));
                Reply::Delay(Some(ms(1)))
            }
            Question::BeforeRetry(attempt, mut request) => {
                asked.push(format!("before_retry {}", attempt.number));
                request.set_header("x-edited", "1").unwrap();
                Reply::Request(request)
            }
            other => panic!("{other:?}"),
        };
        handle.send(Ok(reply)).unwrap();
    }
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(asked, ["retry_if Some(404)", "delay 1", "before_retry 1", "retry_if Some(200)"]);
    assert!(script.sent()[1].headers.contains_key("x-edited"));
    let kinds: Vec<_> = events.lock().unwrap().iter().map(|event| event.kind.code()).collect();
    assert_eq!(kinds, ["attempt_start", "attempt_end", "retry", "attempt_start", "attempt_end", "end"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_answer_handle_ends_the_call() {
    for dropped in 0..3 {
        let script = Scripted::new([Step::status(503).head(ms(20))]);
        let client = client(&script, &json!({"budget": {"ratio": 1, "min_per_second": 0, "deposit_on": "call"}}));
        let (questions, mut inbox) = mpsc::unbounded_channel();
        let host = Channel { questions, events: Arc::default() };
        let calling = client.clone();
        let call = tokio::spawn(async move { calling.send_with(Request::new("GET", URL)?, &CallOptions::default(), host).await });
        for n in 0.. {
            let Some((question, handle)) = inbox.recv().await else { break };
            if n == dropped {
                drop(handle);
                continue;
            }
            let reply = match question {
                Question::RetryIf(_) => Reply::Opinion(Opinion::Retry),
                Question::Delay(_) => Reply::Delay(Some(ms(0))),
                Question::BeforeRetry(_, request) => Reply::Request(request),
                other => panic!("{other:?}"),
            };
            handle.send(Ok(reply)).unwrap();
        }
        let error = call.await.unwrap().unwrap_err();
        after_a_503(&error, ErrorKind::Callback, StopReason::Callback);
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the answer's handle was dropped");
        untouched(&client);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_question_is_none() {
    struct Confused;
    impl Host for Confused {
        fn wants(&self) -> Wants {
            Wants { delay: true, ..Wants::default() }
        }
        async fn ask(&mut self, _: Question) -> Result<Reply, BoxError> {
            Ok(Reply::Opinion(Opinion::Stop))
        }
        fn tell(&mut self, _: Event) {}
    }
    let script = Scripted::new([Step::status(503).head(ms(20))]);
    let client = client(&script, &json!({}));
    let error = client.send_with(Request::new("GET", URL).unwrap(), &CallOptions::default(), Confused).await.unwrap_err();
    after_a_503(&error, ErrorKind::Callback, StopReason::Callback);
    assert_eq!(error.attempts()[0].evidence, Evidence::Unknown);
}
