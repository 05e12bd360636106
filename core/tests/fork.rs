//! Forking while calls are running: the child's calls work on the inherited client, the parent's are undisturbed.
#![cfg(unix)]
#![allow(unsafe_code, clippy::unwrap_used)] // fork

#[path = "support/child.rs"]
mod child;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use child::child;
use reknock::client::{Client, runtime, shutdown};
use reknock::{ErrorKind, Policy};
use reknock_test_server::{Script, Server};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

const FORKS: usize = 40;

/// A server with a runtime of its own: it stands for another process.
fn elsewhere(outcomes: Json) -> (Runtime, Server, Script) {
    let elsewhere = Runtime::new().unwrap();
    let (server, script) = elsewhere.block_on(async {
        let server = Server::start().await.unwrap();
        let script = server.script(outcomes).await.unwrap();
        (server, script)
    });
    (elsewhere, server, script)
}

/// Ends the parent's threads, whatever happens.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_forked_child_makes_its_own() {
    let (elsewhere, server, script) = elsewhere(json!([{"do": "status", "status": 200, "body": "ok"}]));
    let url = script.url().to_owned();
    let policy = Policy::from_yaml("budget: {name: forked}").unwrap();
    let client = Client::builder().policy(policy).build().unwrap();
    let call = |client: &Client| runtime().unwrap().block_on(client.get(&url).send()).is_ok_and(|response| response.text() == "ok");
    assert!(call(&client), "the parent, before");

    let stop = AtomicBool::new(false);
    let calls = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    assert!(call(&client), "the parent, meanwhile");
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..FORKS {
            child(|| i32::from(!(call(&client) && call(&client)))).join();
        }
    });
    assert!(calls.load(Ordering::SeqCst) > 0);
    assert!(call(&client), "the parent, afterwards");
    elsewhere.shutdown_timeout(Duration::from_secs(1));
    drop(server);
}

#[test]
fn a_forked_child_makes_lanes_of_its_own() {
    let large = json!({"do": "status", "status": 200, "body_size": 3_000_000});
    let (elsewhere, server, script) = elsewhere(json!([large, {"do": "status", "status": 200, "body": "ok"}]));
    let client = Client::builder().policy(Policy::from_yaml("{budget: none}").unwrap()).build().unwrap();
    let call = |client: &Client| client.get(script.url()).send_blocking().is_ok_and(|response| response.text() == "ok");
    let mut stream = Some(client.get(script.url()).stream_blocking().unwrap());
    assert!(call(&client), "the parent, before");

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    assert!(call(&client), "the parent, meanwhile");
                }
            });
        }
        for _ in 0..FORKS {
            let own = child(|| {
                let mut inherited = stream.take().unwrap();
                let closed = inherited.chunk().is_err_and(|error| error.kind() == ErrorKind::Closed);
                drop(inherited);
                let calls = call(&client) && call(&client);
                // Only the thread that forked lives on, and blocking calls start none but the one that closes what is idle, or a next one while
                // that one ends. The alarm ends this where others stay.
                while std::fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count()) > 2 {
                    std::thread::yield_now();
                }
                shutdown();
                let over = client.get(script.url()).send_blocking().is_err_and(|error| error.kind() == ErrorKind::Closed);
                i32::from(!closed) + 2 * i32::from(!calls) + 4 * i32::from(!over)
            });
            own.join();
        }
    });
    let (mut stream, mut read) = (stream.unwrap(), 0);
    while let Some(piece) = stream.chunk().unwrap() {
        read += piece.len();
    }
    assert_eq!(read, 3_000_000, "the parent's stream, afterwards");
    assert!(call(&client), "the parent, afterwards");
    elsewhere.shutdown_timeout(Duration::from_secs(1));
    drop(server);
}
