//! Short of descriptors: errors that say so, of calls that were not sent.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, unsafe_code)] // a limit of this process alone

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Barrier;
use std::time::Duration;

use reknock::client::Client;
use reknock::{Error, ErrorKind, Evidence, Policy};

const THREADS: usize = 40;
const CALLS: usize = 10;

/// More threads than there are descriptors for. What fails was not sent, and says why; what comes later goes on.
#[test]
fn without_descriptors_calls_fail_before_they_are_sent() {
    in_a_child("without_descriptors_calls_fail_before_they_are_sent", short_of_descriptors);
}

/// 1,000 origins one after another: what is idle makes room, and none fails. A while later all is closed, though nobody calls any more.
#[test]
fn many_origins_need_few_descriptors() {
    in_a_child("many_origins_need_few_descriptors", thousand_origins);
}

/// Runs it in a process of its own, with the port of a server that answers whatever comes.
fn in_a_child(name: &str, run: fn(u16)) {
    const CHILD: &str = "REKNOCK_TEST_SHORT_OF_DESCRIPTORS";
    if let Some(port) = std::env::var_os(CHILD) {
        return run(port.to_str().unwrap().parse().unwrap());
    }
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|size| size > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                }
            });
        }
    });
    let ours = std::env::current_exe().unwrap();
    let ended = Command::new(ours).args(["--exact", name]).env(CHILD, port).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

fn limit_descriptors(most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: a whole struct, read by the call alone.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn thousand_origins(port: u16) {
    limit_descriptors(256);
    let before = descriptors();
    let policy = Policy::from_yaml("{max_retries: 0}").unwrap();
    let client = Client::builder().policy(policy).build().unwrap();
    let mut most = 0;
    for n in 0..1000 {
        let url = format!("http://127.0.{}.{}:{port}/", n / 250, n % 250 + 1);
        let response = client.get(&url).send_blocking().unwrap_or_else(|error| panic!("{n}: {error}"));
        assert_eq!(response.status(), 200);
        most = most.max(descriptors());
    }
    // A quarter of the limit, and those of a lane.
    assert!(most <= before + 64 + 8, "{most} descriptors");
    let closed = (0..600).any(|_| {
        std::thread::park_timeout(Duration::from_millis(50));
        descriptors() <= before + 8
    });
    assert!(closed, "{} descriptors stay", descriptors());
}

fn short_of_descriptors(port: u16) {
    limit_descriptors(40);
    let url = &format!("http://127.0.0.1:{port}/");
    let policy = Policy::from_yaml("{timeout: 30s, connect_timeout: none, backoff: none}").unwrap();
    let client = Client::builder().policy(policy).build().unwrap();
    let gate = Barrier::new(THREADS);
    let failed: Vec<Error> = std::thread::scope(|scope| {
        let work = || {
            // All of them have a lane at the same time, or find none to be had.
            let lane = client.lane();
            gate.wait();
            drop(lane);
            (0..CALLS).filter_map(|_| client.get(url).send_blocking().err()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failed.len() < THREADS * CALLS, "some are answered");
    for error in &failed {
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.attempts().iter().all(|record| record.evidence == Evidence::NotSent), "{error:?}");
        assert_eq!(errno(error), Some(libc::EMFILE), "{error:?}");
    }
    assert_eq!(client.get(url).send_blocking().unwrap().text(), "ok", "afterwards");
}

/// The system's number for what is at the bottom of an error.
fn errno(error: &Error) -> Option<i32> {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(number) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
            return Some(number);
        }
        at = error.source();
    }
    None
}
