//! Forking while calls are running: the child's calls work on the inherited client, the parent's are undisturbed.
#![cfg(unix)]
#![allow(unsafe_code, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reknock::Policy;
use reknock::client::{Client, runtime};
use reknock_test_server::Server;
use serde_json::json;

const FORKS: usize = 40;

#[test]
fn a_forked_child_makes_its_own() {
    // The server has a runtime of its own: it stands for another process.
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    let (server, script) = elsewhere.block_on(async {
        let server = Server::start().await.unwrap();
        let outcomes = json!([{"do": "status", "status": 200, "body": "ok"}]);
        let script = server.script(outcomes).await.unwrap();
        (server, script)
    });
    let url = script.url().to_owned();
    let policy = Policy::from_yaml("budget: {name: forked}").unwrap();
    let client = Client::builder().policy(policy).build().unwrap();
    let call = |client: &Client| runtime().unwrap().block_on(client.get(&url).send()).is_ok_and(|response| response.text() == "ok");
    assert!(call(&client), "the parent, before");

    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    assert!(call(&client), "the parent, meanwhile");
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..FORKS {
            // SAFETY: the child calls only what works without the other threads, which is what this test is about, and leaves by _exit.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: ends the child whatever hangs.
                unsafe { libc::alarm(20) };
                let code = i32::from(!(call(&client) && call(&client)));
                // SAFETY: leaves without running what belongs to the parent.
                unsafe { libc::_exit(code) };
            }
            let mut status = 0;
            // SAFETY: waits for the child just made.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "a child ended with {status:#x} (a signal: it hung)");
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert!(calls.load(Ordering::SeqCst) > 0);
    assert!(call(&client), "the parent, afterwards");
    elsewhere.shutdown_timeout(Duration::from_secs(1));
    drop(server);
}
