//! Short of descriptors: errors that say so, of calls that were not sent.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, unsafe_code)] // a limit of this process alone

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Barrier;

use reknock::client::Client;
use reknock::{Error, ErrorKind, Evidence, Policy};

const THREADS: usize = 40;
const CALLS: usize = 10;

/// More threads than there are descriptors for. What fails was not sent, and says why; what comes later goes on.
#[test]
fn without_descriptors_calls_fail_before_they_are_sent() {
    const CHILD: &str = "REKNOCK_TEST_SHORT_OF_DESCRIPTORS";
    if let Some(url) = std::env::var_os(CHILD) {
        return short_of_descriptors(url.to_str().unwrap());
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
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
    let name = "without_descriptors_calls_fail_before_they_are_sent";
    let ended = Command::new(ours).args(["--exact", name]).env(CHILD, url).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

fn short_of_descriptors(url: &str) {
    let limit = libc::rlimit { rlim_cur: 40, rlim_max: 40 };
    // SAFETY: a whole struct, read by the call alone.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
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
