//! Blocking calls: what their lanes must do, each on real sockets.
#![allow(clippy::unwrap_used)]

mod protocols;
mod uploads;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reknock::client::{CallOptions, Callbacks, Cancel, Client, ClientBuilder, Lane, Opinion, Proxy, TransportOptions};
use reknock::policy::Value;
use reknock::{ErrorKind, Policy, StopReason};
use reknock_test_server::{Script, Server};
use serde_json::{Value as Json, json};
use tokio::runtime::{Handle, Id, Runtime};

/// A script on a server that runs elsewhere, so that the threads of a test may block.
struct Peer {
    script: Script,
    _server: Server,
    elsewhere: Runtime,
}

impl std::ops::Deref for Peer {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.script
    }
}

impl Peer {
    fn new(document: Json) -> Self {
        let elsewhere = Runtime::new().unwrap();
        let (server, script) = elsewhere.block_on(async {
            let server = Server::start().await.unwrap();
            let script = server.script(document).await.unwrap();
            (server, script)
        });
        Peer { script, _server: server, elsewhere }
    }

    /// Waits until the server tells that it is so.
    fn eventually(&self, what: &str, holds: impl FnMut() -> bool) {
        let patience = self.elsewhere.block_on(async { tokio::time::timeout(Duration::from_secs(20), self.script.until(holds)).await });
        assert!(patience.is_ok(), "{what}");
    }
}

fn options() -> TransportOptions {
    let mut options = TransportOptions::default();
    options.proxy = Proxy::None;
    options
}

fn policy(document: &str) -> Policy {
    let swift = Policy::default().merge(&Value::from([("backoff", "none")])).unwrap();
    swift.merge(&Value::from_yaml(document).unwrap()).unwrap()
}

fn builder(document: &str) -> ClientBuilder {
    Client::on(options()).policy(policy(document))
}

fn client(document: &str) -> Client {
    builder(document).build().unwrap()
}

fn done() -> Json {
    json!({"do": "status", "status": 200, "body": "done"})
}

/// A server that answers one request per connection, says nothing of closing, and closes. The channel tells when it has.
fn closes_silently() -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (closed, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                head.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            drop(stream);
            if closed.send(()).is_err() {
                break;
            }
        }
    });
    (url, told)
}

#[test]
fn connections_that_the_server_closed_meanwhile_are_not_used() {
    let (url, closed) = closes_silently();
    let client = client("{max_retries: 0}");
    for round in 0..30 {
        let method = if round % 2 == 0 { "GET" } else { "POST" };
        let response = client.request(method, &url).send_blocking().unwrap_or_else(|error| panic!("{method} {round}: {error}"));
        assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 1));
        closed.recv().unwrap();
    }
}

#[test]
fn calls_one_after_the_other_share_a_connection() {
    let peer = Peer::new(json!([{"do": "status", "status": 503}, done()]));
    let client = client("{}");
    for _ in 0..20 {
        assert_eq!(client.get(peer.url()).send_blocking().unwrap().text(), "done");
    }
    assert_eq!((peer.connections(), peer.log().len()), (1, 21));
    drop(client);
    peer.eventually("a client takes its connections with it", || peer.open_connections() == 0);
}

#[test]
fn a_call_that_is_cancelled_closes_its_connection_at_once() {
    let peer = Peer::new(json!([{"do": "hang"}]));
    let client = client("{}");
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.get(peer.url()).cancel(&cancel).send_blocking());
        peer.eventually("the request arrives", || peer.log().len() == 1);
        cancel.cancel();
        assert_eq!(call.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    });
    peer.eventually("it is closed", || peer.open_connections() == 0);

    let error = client.get(peer.url()).policy(policy("{timeout: 30ms}")).send_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    peer.eventually("so is that of a call out of time", || peer.open_connections() == 0);
}

/// As a binding does whose interpreter was interrupted.
#[test]
fn a_call_that_is_given_up_closes_its_connection_at_once() {
    let peer = Peer::new(json!([{"do": "hang"}]));
    let client = client("{}");
    let options = CallOptions::default();
    let lane = client.lane().unwrap();
    let mut call = Box::pin(lane.send_with(client.get(peer.url()).build().unwrap(), &options, Callbacks::new()));
    while peer.log().is_empty() {
        assert!(lane.block_for(Duration::from_millis(1), call.as_mut()).unwrap().is_none());
    }
    drop(call);
    drop(lane);
    peer.eventually("it is closed", || peer.open_connections() == 0);
}

/// The alarm of a lane outlives its calls: set to a moment that is past, to a nearer and to a later one.
#[test]
fn a_call_in_slices_goes_on_where_it_was() {
    let peer = Peer::new(json!([{"do": "status", "status": 503}, done()]));
    let client = client("{max_retries: 1, backoff: 30ms}");
    let options = CallOptions::default();
    let lane = client.lane().unwrap();
    for slice in [5, 1, 10] {
        let mut call = Box::pin(lane.send_with(client.get(peer.url()).build().unwrap(), &options, Callbacks::new()));
        let (mut slices, slice) = (0, Duration::from_millis(slice));
        let response = loop {
            match lane.block_for(slice, call.as_mut()).unwrap() {
                Some(result) => break result.unwrap(),
                None => slices += 1,
            }
        };
        assert_eq!(response.text(), "done");
        assert!(slices > 0 || response.attempts().len() == 1, "the wait of the first call is longer than a slice");
    }
}

/// A lane polls its call again every second, so that limits which come later set no timer; who polls with a waker of its own does not.
#[test]
fn limits_that_are_far_away_end_calls() {
    let peer = Peer::new(json!([{"do": "hang"}]));
    let client = client("{timeout: 1200ms}");
    let options = CallOptions::default();
    let lane = client.lane().unwrap();
    let call = || lane.send_with(client.get(peer.url()).build().unwrap(), &options, Callbacks::new());
    let alone = lane.block_on(call()).unwrap();
    let among_others = lane.block_on(FuturesUnordered::from_iter([call()]).next()).unwrap().unwrap();
    for ended in [alone, among_others] {
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Deadline);
    }
}

#[test]
fn a_streamed_body_is_read_on_its_lane_by_any_thread() {
    let size = 3_000_000;
    let peer = Peer::new(json!([{"do": "status", "status": 200, "body_size": size}, done()]));
    let client = client("{}");
    let mut stream = client.get(peer.url()).stream_blocking().unwrap();
    assert_eq!(stream.status(), 200);
    assert_eq!(client.get(peer.url()).send_blocking().unwrap().text(), "done", "meanwhile");
    let read = std::thread::spawn(move || {
        let mut read = 0;
        while let Some(piece) = stream.chunk().unwrap() {
            read += piece.len();
        }
        assert_eq!(stream.chunk().unwrap(), None, "the end stays the end");
        read
    });
    assert_eq!(read.join().unwrap(), size);
    for _ in 0..3 {
        client.get(peer.url()).send_blocking().unwrap();
    }
    assert_eq!(peer.connections(), 2, "both connections are used again");
}

/// Which lane it is.
fn id(lane: &Lane) -> Id {
    lane.block_on(async { Handle::current().id() }).unwrap()
}

/// Given back early, it would come back from the top of the stack for each read, and serve as long as nobody else takes it.
#[test]
fn a_streamed_body_keeps_its_lane_to_its_end() {
    let peer = Peer::new(json!([{"do": "status", "status": 200, "body_size": 200_000}]));
    let client = client("{}");
    for end in ["read", "dropped"] {
        let its = id(&client.lane().unwrap());
        let mut stream = client.get(peer.url()).stream_blocking().unwrap();
        let mut others = Vec::new();
        loop {
            others.push(client.lane().unwrap());
            assert_ne!(id(&others[others.len() - 1]), its, "before piece {} of a body to be {end}", others.len());
            if (end == "dropped" && others.len() == 3) || stream.chunk().unwrap().is_none() {
                break;
            }
        }
        drop(stream);
        assert_eq!(id(&client.lane().unwrap()), its, "given back once it was {end}");
    }
}

#[test]
fn a_stream_that_is_dropped_early_closes_its_connection() {
    let peer =
        Peer::new(json!([{"do": "status", "status": 200, "body_size": 3_000_000}, {"do": "status", "status": 200, "body_mode": "stall"}]));
    let client = client("{idle_timeout: 30ms}");
    let mut stream = client.get(peer.url()).stream_blocking().unwrap();
    assert!(stream.chunk().unwrap().is_some());
    drop(stream);
    peer.eventually("it is closed", || peer.open_connections() == 0);

    let mut stream = client.get(peer.url()).stream_blocking().unwrap();
    while let Ok(Some(_)) = stream.chunk() {}
    peer.eventually("so is one that broke", || peer.open_connections() == 0);
    assert!(matches!(stream.chunk(), Ok(None)));
}

#[test]
fn a_hundred_threads() {
    let peer = Peer::new(json!([{"do": "status", "status": 200, "body": "done", "delay": "5ms"}]));
    let client = client("{}");
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(client.get(peer.url()).send_blocking().unwrap().text(), "done");
                }
            });
        }
    });
    assert_eq!(peer.log().len(), 500);
    peer.eventually("few stay open", || peer.open_connections() <= 32);
    drop(client);
    peer.eventually("none stays open", || peer.open_connections() == 0);
}

#[test]
fn lanes_that_nobody_needs_go() {
    let peer = Peer::new(json!([done()]));
    let mut options = options();
    options.pool_idle_timeout = Some(Duration::from_nanos(1));
    let client = Client::on(options).policy(policy("{}")).build().unwrap();
    let open: Vec<_> = (0..5).map(|_| client.get(peer.url()).stream_blocking().unwrap()).collect();
    assert_eq!(peer.open_connections(), 5);
    for mut stream in open {
        while stream.chunk().unwrap().is_some() {}
    }
    client.get(peer.url()).send_blocking().unwrap();
    peer.eventually("the next call makes room", || peer.open_connections() <= 1);
}

#[test]
fn close_ends_blocking_calls_and_their_connections() {
    let peer = Peer::new(json!([done(), {"do": "hang"}]));
    let client = client("{}");
    let mut idle = client.get(peer.url()).stream_blocking().unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.get(peer.url()).send_blocking());
        peer.eventually("the request arrives", || peer.log().len() == 2);
        while idle.chunk().unwrap().is_some() {}
        assert_eq!(peer.open_connections(), 2);
        client.close();
        assert_eq!(call.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    });
    peer.eventually("all is closed", || peer.open_connections() == 0);
    assert_eq!(client.get(peer.url()).send_blocking().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn callbacks_run_on_the_calling_thread_and_may_call() {
    const EVENTS: [&str; 8] = [
        "told attempt_start",
        "asked Some(503)",
        "told attempt_end",
        "told retry",
        "told attempt_start",
        "asked Some(200)",
        "told attempt_end",
        "told end",
    ];
    let peer = Peer::new(json!([{"do": "status", "status": 503}, done()]));
    let here = std::thread::current().id();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = {
        let seen = Arc::clone(&seen);
        move |what: String| {
            assert_eq!(std::thread::current().id(), here);
            seen.lock().unwrap().push(what);
        }
    };
    let (told, other, url) = (note.clone(), client("{}"), peer.url().to_owned());
    let callbacks = Callbacks::new()
        .retry_if(move |attempt| {
            note(format!("asked {:?}", attempt.status));
            let response = other.get(&url).send_blocking().unwrap();
            response.status() == 200 && attempt.status == Some(503)
        })
        .on_event(move |event| told(format!("told {}", event.kind.code())));
    let client = builder("{}").callbacks(callbacks).build().unwrap();
    let response = client.get(peer.url()).send_blocking().unwrap();
    assert_eq!((response.text().as_ref(), response.stop_reason()), ("done", StopReason::Completed));
    assert_eq!(*seen.lock().unwrap(), EVENTS);
}

/// An event that came after the next request would be no use to those who make the server ready for it, or count.
#[test]
fn retries_without_a_wait_are_told_before_they_are_made() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (answered, answers) = channel();
    let (looked_at, back) = channel();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for status in [503, 503, 200] {
            assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
            stream.write_all(format!("HTTP/1.1 {status} Status\r\ncontent-length: 0\r\n\r\n").as_bytes()).unwrap();
            if status == 503 {
                answered.send(stream).unwrap();
                stream = back.recv().unwrap();
            }
        }
    });
    let (seen, answers) = (Arc::new(Mutex::new(Vec::new())), Mutex::new(answers));
    let sees = Arc::clone(&seen);
    let callbacks = Callbacks::new().on_event(move |event| {
        if event.kind.code() == "retry" {
            let stream: TcpStream = answers.lock().unwrap().recv().unwrap();
            stream.set_nonblocking(true).unwrap();
            sees.lock().unwrap().push(stream.peek(&mut [0]).is_ok());
            stream.set_nonblocking(false).unwrap();
            looked_at.send(stream).unwrap();
        }
    });
    let client = builder("{backoff: none}").callbacks(callbacks).build().unwrap();
    let response = client.get(&url).send_blocking().unwrap();
    assert_eq!((response.status(), response.attempts().len()), (200.try_into().unwrap(), 3));
    assert_eq!(*seen.lock().unwrap(), [false, false], "whether the next request was there");
    server.join().unwrap();
}

#[test]
fn callbacks_may_be_asynchronous_fail_and_panic() {
    let peer = Peer::new(json!([{"do": "status", "status": 503}]));
    let waits = Callbacks::new().retry_if_async(|_| async {
        tokio::task::yield_now().await;
        Ok(Opinion::Stop)
    });
    let client = client("{}");
    let response = client.get(peer.url()).callbacks(waits).send_blocking().unwrap();
    assert_eq!((response.attempts().len(), response.stop_reason()), (1, StopReason::PredicateStop));

    let panics = Callbacks::new().retry_if(|_| -> bool { panic!("too bad") });
    let error = client.get(peer.url()).callbacks(panics).send_blocking().unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("retry_if panicked: too bad")), (ErrorKind::Callback, true), "{error}");

    let never = Callbacks::new().retry_if_async(|_| std::future::pending());
    let error = client.get(peer.url()).policy(policy("{timeout: 50ms}")).callbacks(never).send_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
}

#[test]
fn lanes_may_go_where_code_awaits() {
    let peer = Peer::new(json!([{"do": "status", "status": 200, "body_size": 3_000_000}, done()]));
    let client = client("{}");
    let stream = client.get(peer.url()).stream_blocking().unwrap();
    client.get(peer.url()).send_blocking().unwrap();
    Runtime::new().unwrap().block_on(async {
        drop(stream);
        drop(client);
    });
    peer.eventually("all is closed", || peer.open_connections() == 0);
}
