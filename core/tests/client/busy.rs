//! Servers and callbacks that keep a call busy and never bring it on: whatever they use up of the time that a task may run in one turn, the clock decides (I5).

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::repeat_with;
use http::{HeaderMap, StatusCode, Version};
use reknock::client::transport::{Failure, Incoming, Outgoing, Received, Transport};
use reknock::client::{Body as RequestBody, Callbacks, Cancel, Client, ClientBuilder};
use reknock::{Error, ErrorKind, Policy};
use reknock_test_server::Server as TestServer;

const URL: &str = "http://server.test/";

/// Uses up every turn it gets, as one does who goes through much that gives nothing.
async fn busy() {
    loop {
        tokio::task::consume_budget().await;
    }
}

/// Where the server keeps the call busy.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    BeforeTheHead,
    InTheBody,
    Nowhere,
}

#[derive(Clone)]
struct Server(u16, Where);
struct Body(Where);

impl Transport for Server {
    type Body = Body;

    async fn send(&self, _outgoing: Outgoing) -> Result<Received<Body>, Failure> {
        if self.1 == Where::BeforeTheHead {
            busy().await;
        }
        let status = StatusCode::from_u16(self.0).unwrap();
        Ok(Received { reason: None, status, version: Version::HTTP_11, headers: HeaderMap::new(), body: Body(self.1), length: None })
    }
}

impl Incoming for Body {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.0 == Where::InTheBody {
            busy().await;
        }
        Ok(None)
    }
}

/// What comes of it, in a thread of its own: a call that never ends fails the test, and does not hang it.
fn ended<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(run()));
    receiver.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{what} never ends"))
}

fn builder(server: Server, policy: &str) -> ClientBuilder<Server> {
    Client::on(server).policy(Policy::from_yaml(policy).unwrap())
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn block_on<F: Future>(workers: bool, future: F) -> F::Output {
    let mut builder = if workers { tokio::runtime::Builder::new_multi_thread() } else { tokio::runtime::Builder::new_current_thread() };
    builder.worker_threads(1).enable_all().build().unwrap().block_on(future)
}

#[test]
fn limits_end_calls_that_are_busy() {
    for (what, server, policy, wanted) in [
        ("a head that is never whole", (200, Where::BeforeTheHead), "{timeout: 50ms}", ErrorKind::Deadline),
        (
            "one with a limit of its own",
            (200, Where::BeforeTheHead),
            "{timeout: none, per_try_timeout: 20ms, max_retries: 1}",
            ErrorKind::PerTryTimeout,
        ),
        ("a body", (200, Where::InTheBody), "{timeout: 50ms, idle_timeout: none}", ErrorKind::Deadline),
        ("a body by its silence", (200, Where::InTheBody), "{timeout: none, idle_timeout: 20ms, max_retries: 1}", ErrorKind::Body),
    ] {
        for workers in [false, true] {
            let ends = ended(what, move || {
                let client = builder(Server(server.0, server.1), policy).build().unwrap();
                block_on(workers, async move { kind(client.get(URL).send().await) })
            });
            assert_eq!(ends, Some(wanted), "{what}");
        }
        let ends = ended(what, move || kind(builder(Server(server.0, server.1), policy).build().unwrap().get(URL).send_blocking()));
        assert_eq!(ends, Some(wanted), "{what}, blocking");
    }
}

#[test]
fn a_dropped_response_that_is_busy_holds_up_no_retry() {
    let policy = "{timeout: none, idle_timeout: none, per_try_timeout: none, backoff: none, budget: none}";
    let attempts = ended("draining", move || {
        let client = builder(Server(503, Where::InTheBody), policy).build().unwrap();
        // The last one is handed out as it is.
        block_on(false, async move { client.get(URL).stream().await.unwrap().attempts().len() })
    });
    assert_eq!(attempts, 3);
}

#[test]
fn a_stream_that_is_busy_is_silent() {
    let ends = ended("reading", || {
        let client = builder(Server(200, Where::InTheBody), "{idle_timeout: 20ms}").build().unwrap();
        block_on(false, async move { kind(client.get(URL).stream().await.unwrap().chunk().await) })
    });
    assert_eq!(ends, Some(ErrorKind::Body));
}

#[test]
fn callbacks_that_are_busy_end_with_the_call() {
    let ends = ended("a callback", || {
        let ask = Callbacks::new().retry_if_async(|_| async {
            busy().await;
            Ok(reknock::client::Opinion::None)
        });
        let client = builder(Server(503, Where::Nowhere), "{timeout: 50ms}").callbacks(ask).build().unwrap();
        block_on(false, async move { kind(client.get(URL).send().await) })
    });
    assert_eq!(ends, Some(ErrorKind::Deadline));
}

#[test]
fn busy_calls_can_be_called_off() {
    let none = "{timeout: none, idle_timeout: none, per_try_timeout: none}";
    for place in [Where::BeforeTheHead, Where::InTheBody] {
        let ends = ended("a call that is cancelled", move || {
            let client = builder(Server(200, place), none).build().unwrap();
            let cancel = Cancel::new();
            let later = cancel.clone();
            std::thread::spawn(move || {
                // Most often amid the call; right whenever it comes.
                std::thread::park_timeout(Duration::from_millis(20));
                later.cancel();
            });
            block_on(false, async move { kind(client.get(URL).cancel(&cancel).send().await) })
        });
        assert_eq!(ends, Some(ErrorKind::Cancelled));
    }
}

/// A thread that looks for Ctrl-C between slices gets its turn.
#[test]
fn blocking_calls_that_are_busy_come_back_after_their_slice() {
    let came_back = ended("a slice", || {
        let client = builder(Server(200, Where::InTheBody), "{timeout: none, idle_timeout: none}").build().unwrap();
        let lane = client.lane().unwrap();
        let request = reknock::client::Request::new("GET", URL).unwrap();
        let options = reknock::client::CallOptions::default();
        let mut call = std::pin::pin!(lane.send_with(request, &options, Callbacks::new()));
        (0..3).all(|_| lane.block_for(Duration::from_millis(10), call.as_mut()).unwrap().is_none())
    });
    assert!(came_back);
}

/// A request's body of which there is always another piece, and nothing in any of them.
#[test]
fn a_body_of_nothing_without_end_is_left() {
    let left = ended("a body of nothing", || {
        block_on(true, async {
            let server = TestServer::start().await.unwrap();
            let script = server.script(serde_json::json!([{"do": "hang"}])).await.unwrap();
            let client = Client::builder().policy(Policy::from_yaml("{timeout: 200ms}").unwrap()).build().unwrap();
            let body = RequestBody::stream(repeat_with(|| Ok(Bytes::new())), None);
            kind(client.put(script.url()).body(body).send().await)
        })
    });
    assert_eq!(left, Some(ErrorKind::Deadline));
}
