//! The completion queue as a host uses it: with a descriptor and with a callback as its waker; runtimes; a forked child.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::support::{Scripted, Step, policy};
use reknock::client::queue::{Delivery, Item, Queue};
use reknock::client::{CallOptions, Client, Event, EventKind, Opinion, Question, Reply, Request, Response, Wants, runtime};
use reknock::{Error, ErrorKind, StopReason};
use reknock_test_server::Server;
use serde_json::json;

type Outcome = Result<Response, Error>;

const URL: &str = "http://server.test/";

fn client(script: &Scripted) -> Client<Scripted> {
    Client::on(script.clone()).policy(policy(&json!({"backoff": "1ms"}))).build().unwrap()
}

fn submit(queue: &Queue<Outcome>, client: &Client<Scripted>, wants: Wants) -> u64 {
    let client = client.clone();
    queue.submit(runtime().unwrap(), wants, |host| async move {
        client.send_with(Request::new("GET", URL)?, &CallOptions::default(), host).await
    })
}

/// A queue whose waker is a channel: `recv` is the host's event loop.
fn queue() -> (Queue<Outcome>, mpsc::Receiver<()>) {
    let (waker, woken) = mpsc::channel();
    (
        Queue::new(move || {
            let _ = waker.send(());
        }),
        woken,
    )
}

fn next(queue: &Queue<Outcome>, woken: &mpsc::Receiver<()>) -> Vec<Delivery<Outcome>> {
    woken.recv_timeout(Duration::from_secs(20)).expect("the waker fires");
    queue.take()
}

fn only(mut deliveries: Vec<Delivery<Outcome>>) -> Delivery<Outcome> {
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    deliveries.remove(0)
}

#[test]
fn a_descriptor_wakes_once_for_a_batch() {
    let (mut read, write) = UnixStream::pair().unwrap();
    let wakes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&wakes);
    let queue: Queue<usize> = Queue::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        (&write).write_all(&[1]).unwrap();
    });
    let gate = Arc::new(tokio::sync::Barrier::new(101));
    for n in 0..100 {
        let gate = Arc::clone(&gate);
        queue.submit(runtime().unwrap(), Wants::default(), |_| async move {
            gate.wait().await;
            n
        });
    }
    runtime().unwrap().block_on(gate.wait());
    let mut seen = 0;
    while seen < 100 {
        // First the descriptor, then the batch: the other order loses wake-ups.
        read.read_exact(&mut [0]).unwrap();
        seen += queue.take().len();
    }
    assert!(wakes.load(Ordering::SeqCst) <= 100);
    assert_eq!(queue.running(), 0);
}

#[test]
fn questions_come_out_where_the_response_would() {
    let script = Scripted::new([Step::status(200), Step::status(200), Step::status(200)]);
    let (queue, woken) = queue();
    let client = client(&script);
    let wants = Wants { retry_if: true, delay: true, before_retry: true, events: true, ..Wants::default() };
    let id = submit(&queue, &client, wants);

    let delivery = only(next(&queue, &woken));
    let Item::Question(question) = delivery.item else { panic!("{delivery:?}") };
    let Question::RetryIf(attempt) = *question else { panic!("{question:?}") };
    assert_eq!((delivery.id, attempt.number, attempt.status, attempt.verdict), (id, 1, Some(200), false));
    queue.answer(id, Ok(Reply::Opinion(Opinion::Retry)));

    let Item::Question(question) = only(next(&queue, &woken)).item else { panic!() };
    assert!(matches!(*question, Question::Delay(_)));
    queue.answer(id, Ok(Reply::Delay(Some(Duration::from_millis(3)))));

    let delivery = only(next(&queue, &woken));
    let kinds: Vec<_> = delivery.events.iter().map(|event| event.kind.code()).collect();
    assert_eq!(kinds, ["attempt_end", "retry"]);
    assert_eq!(delivery.events[1].kind.attempt().unwrap().wait, Some(Duration::from_millis(3)));
    let Item::Question(question) = delivery.item else { panic!() };
    let Question::BeforeRetry(_, mut request) = *question else { panic!("{question:?}") };
    request.set_header("x-edited", "yes").unwrap();
    queue.answer(id, Ok(Reply::Request(request)));

    let Item::Question(question) = only(next(&queue, &woken)).item else { panic!() };
    assert!(matches!(*question, Question::RetryIf(_)));
    queue.answer(id, Ok(Reply::Opinion(Opinion::Stop)));

    let delivery = only(next(&queue, &woken));
    assert!(matches!(delivery.events.last().unwrap().kind, EventKind::End { stop_reason: StopReason::Completed, failed: false, .. }));
    let Item::Done(Ok(response)) = delivery.item else { panic!("{delivery:?}") };
    assert_eq!(response.attempts().len(), 2);
    assert_eq!(script.sent()[1].headers["x-edited"], "yes");
    assert_eq!(queue.running(), 0);
}

#[test]
fn answers_that_are_none_end_the_call() {
    let (queue, woken) = queue();
    let client = client(&Scripted::new([Step::status(503)]));
    let wants = Wants { retry_if: true, ..Wants::default() };

    let id = submit(&queue, &client, wants);
    assert!(matches!(only(next(&queue, &woken)).item, Item::Question(_)));
    queue.answer(id, Err("the host's exception".into()));
    let Item::Done(Err(error)) = only(next(&queue, &woken)).item else { panic!() };
    assert_eq!((error.kind(), error.stop_reason(), error.attempts().len()), (ErrorKind::Callback, Some(StopReason::Callback), 1));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the host's exception");

    let id = submit(&queue, &client, wants);
    assert!(matches!(only(next(&queue, &woken)).item, Item::Question(_)));
    queue.answer(id, Ok(Reply::Delay(None)));
    let Item::Done(Err(error)) = only(next(&queue, &woken)).item else { panic!() };
    assert!(error.to_string().contains(": retry_if answered another question after 1 attempt in "), "{error}");
    // To nobody, twice, too late: nothing happens.
    queue.answer(id, Ok(Reply::Opinion(Opinion::Retry)));
    queue.answer(999, Ok(Reply::Opinion(Opinion::Retry)));
}

#[test]
fn a_cancelled_call_delivers_nothing() {
    let (queue, woken) = queue();
    let client = client(&Scripted::new([Step::status(200).head(Duration::from_secs(3600))]));
    let id = submit(&queue, &client, Wants::default());
    queue.cancel(id);
    queue.cancel(id);
    assert_eq!(queue.running(), 0);
    let quick = self::client(&Scripted::new([Step::status(200)]));
    let other = submit(&queue, &quick, Wants::default());
    assert_eq!(only(next(&queue, &woken)).id, other);
}

/// Wherever it is: what had not come out comes from the cancel, up to the end of the call.
#[test]
fn a_cancelled_call_tells_its_end() {
    let (queue, woken) = queue();
    let codes = |events: Vec<Event>| events.iter().map(|event| event.kind.code()).collect::<Vec<_>>();
    let whole = ["attempt_start", "attempt_end", "end"];
    let wants = Wants { events: true, ..Wants::default() };

    let script = Scripted::new([Step::status(200).head(Duration::from_secs(3600))]);
    let id = submit(&queue, &client(&script), wants);
    while script.sent().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(codes(queue.cancel(id)), whole);
    assert_eq!((codes(queue.cancel(id)).len(), queue.running()), (0, 0));

    // It had ended, or asked, and nobody has looked yet.
    let id = submit(&queue, &client(&Scripted::new([Step::status(200)])), wants);
    woken.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(codes(queue.cancel(id)), whole);
    let id = submit(&queue, &client(&Scripted::new([Step::status(503)])), Wants { retry_if: true, ..wants });
    woken.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(codes(queue.cancel(id)), whole);
    let id = submit(&queue, &client(&Scripted::new([Step::status(503)])), Wants { retry_if: true, ..wants });
    let asked = only(next(&queue, &woken));
    assert_eq!(codes(asked.events), ["attempt_start"]);
    assert_eq!(codes(queue.cancel(id)), whole[1..]);
    assert!(queue.take().is_empty());
}

#[test]
fn a_panic_is_delivered_and_dropping_the_queue_aborts() {
    let (waker, woken) = mpsc::channel();
    let queue: Queue<()> = Queue::new(move || {
        let _ = waker.send(());
    });
    queue.submit(runtime().unwrap(), Wants::default(), |_| async { panic!("on purpose") });
    woken.recv_timeout(Duration::from_secs(20)).unwrap();
    let delivery = queue.take().remove(0);
    assert!(matches!(delivery.item, Item::Failed(error) if error.kind() == ErrorKind::Internal));

    let (alive, gone) = mpsc::channel::<()>();
    queue.submit(runtime().unwrap(), Wants::default(), |_| async move {
        let _alive = alive;
        std::future::pending().await
    });
    drop(queue);
    assert_eq!(gone.recv_timeout(Duration::from_secs(20)), Err(mpsc::RecvTimeoutError::Disconnected), "the task is dropped");
}

/// One client in several runtimes: connections of one that stands still must not hang the calls of another.
#[test]
fn each_runtime_has_connections_of_its_own() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (server, script) = reknock::client::runtime().unwrap().block_on(async {
        let server = Server::start().await.unwrap();
        let script = server.script(json!([{"do": "status", "status": 200}])).await.unwrap();
        (server, script)
    });
    let client = Client::builder().build().unwrap();
    let (first, second) = (runtime(), runtime());
    for _ in 0..3 {
        for runtime in [&first, &second] {
            assert_eq!(runtime.block_on(client.get(script.url()).send()).unwrap().status(), 200);
        }
    }
    // Runtimes that are gone leave nothing behind that hangs.
    drop(first);
    for _ in 0..40 {
        assert_eq!(runtime().block_on(client.get(script.url()).send()).unwrap().status(), 200);
    }
    assert_eq!(second.block_on(client.get(script.url()).send()).unwrap().status(), 200);
    drop(server);
}

#[test]
fn a_call_outside_of_any_runtime_is_an_error() {
    let client = client(&Scripted::default());
    let mut call = Box::pin(client.get(URL).send());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = call.as_mut().poll(&mut context) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// What a runtime drops on its way is delivered all the same: as closed, once.
#[test]
fn a_runtime_that_ends_leaves_nothing_open() {
    let (queue, woken) = {
        let (waker, woken) = mpsc::channel();
        let queue: Queue<()> = Queue::new(move || {
            let _ = waker.send(());
        });
        (queue, woken)
    };
    let closed = |id: u64| {
        woken.recv_timeout(Duration::from_secs(20)).expect("the waker fires");
        match queue.take().as_slice() {
            [Delivery { id: found, item: Item::Failed(error), .. }] => assert_eq!((*found, error.kind()), (id, ErrorKind::Closed)),
            other => panic!("{other:?}"),
        }
        assert_eq!(queue.running(), 0);
    };
    let ending = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let handle = ending.handle().clone();
    let id = queue.submit(&handle, Wants::default(), |_| std::future::pending());
    ending.shutdown_timeout(Duration::from_secs(20));
    closed(id);
    // And what comes after its end.
    let id = queue.submit(&handle, Wants::default(), |_| std::future::pending());
    closed(id);
}
