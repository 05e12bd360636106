//! Many calls through one client leave nothing behind: no socket, no memory, nothing held of a budget.
//!
//! One test in a process of its own, because it counts the process's descriptors and pages (Linux; elsewhere it only makes the calls).

use std::time::Duration;

use reknock::Policy;
use reknock::client::{Client, Proxy, TransportOptions};
use reknock_test_server::{Script, Server};
use serde_json::{Value as Json, json};

const SEQUENTIAL: usize = 10_000;
const CONCURRENT: usize = 1_000;
const WARM_UP: usize = 5_000;
/// Less than a kilobyte for each call, far above what an allocator's moods cost.
const MOST_GROWTH: u64 = 8 << 20;

/// Nine answers, then a 503.
fn outcomes(calls: usize) -> Json {
    let list: Vec<Json> = (0..calls)
        .flat_map(|call| {
            let done = json!({"do": "status", "status": 200, "body_size": 500});
            let busy = json!({"do": "status", "status": 503, "body": "busy"});
            if call % 10 == 9 { vec![busy, done] } else { vec![done] }
        })
        .collect();
    json!(list)
}

/// Open descriptors of this process; `None` where nobody says.
fn descriptors() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Resident memory in bytes, without what the allocator keeps although nobody has it.
fn resident() -> Option<u64> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: takes a number, and gives free memory back to the system.
    unsafe {
        libc::malloc_trim(0);
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

async fn call(client: &Client, url: &str) -> usize {
    let response = client.get(url).send().await.expect("a response");
    assert_eq!((response.status(), response.bytes().len()), (200, 500));
    response.attempts().len()
}

/// The number of attempts.
async fn sequential(client: &Client, url: &str, calls: usize) -> usize {
    let mut attempts = 0;
    for _ in 0..calls {
        attempts += call(client, url).await;
    }
    attempts
}

async fn concurrent(client: &Client, url: &str, calls: usize) -> usize {
    let tasks: Vec<_> = (0..calls)
        .map(|_| {
            let (client, url) = (client.clone(), url.to_owned());
            tokio::spawn(async move { call(&client, &url).await })
        })
        .collect();
    let mut attempts = 0;
    for task in tasks {
        attempts += task.await.expect("no panic");
    }
    attempts
}

async fn patient(what: &str, future: impl Future<Output = ()>) {
    assert!(tokio::time::timeout(Duration::from_secs(30), future).await.is_ok(), "{what}");
}

/// Asks again: nobody tells when a process has closed its sockets.
async fn until_descriptors_are_at_most(most: Option<usize>) {
    while descriptors() > most {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn script(server: &Server, calls: usize) -> Script {
    server.script(outcomes(calls)).await.expect("a script")
}

#[tokio::test]
async fn many_calls_leave_nothing_behind() {
    let server = Server::start().await.expect("a server");
    let policy =
        Policy::from_yaml("{max_retries: 50, backoff: none, budget: {kind: concurrency, percent: 100, min: 1000}}").expect("a policy");
    let mut options = TransportOptions::default();
    options.proxy = Proxy::None;
    let client = Client::on(options).policy(policy).build().expect("a client");
    // Everything once: pools, the allocator's arenas, the server's own log of every request.
    let warm = script(&server, CONCURRENT).await;
    concurrent(&client, warm.url(), CONCURRENT).await;
    warm.close().await;
    let warm = script(&server, WARM_UP).await;
    sequential(&client, warm.url(), WARM_UP).await;
    warm.close().await;
    let before = descriptors();
    let memory = resident();

    // A script has at most 10,000 outcomes.
    let half = SEQUENTIAL / 2;
    let mut attempts = 0;
    for _ in 0..2 {
        let peer = script(&server, half).await;
        attempts += sequential(&client, peer.url(), half).await;
        assert_eq!((peer.connections(), peer.open_connections()), (1, 1), "one after the other, over one connection");
        assert_eq!(client.budget(peer.url()).map(|reading| reading.balance), Some(1000), "nothing in flight, nothing held");
        peer.close().await;
    }
    assert_eq!(attempts, SEQUENTIAL / 10 * 11);

    let peer = script(&server, CONCURRENT).await;
    assert!(concurrent(&client, peer.url(), CONCURRENT).await >= CONCURRENT / 10 * 11);
    assert_eq!(client.budget(peer.url()).map(|reading| reading.balance), Some(1000), "nothing in flight, nothing held");
    // 100 idle connections are kept per origin; the others go as their calls end.
    patient("only the pool stays open", peer.until(|| peer.open_connections() <= 100)).await;
    peer.close().await;

    patient("no socket is left", until_descriptors_are_at_most(before)).await;
    let grown = resident().zip(memory).map(|(now, then)| now.saturating_sub(then));
    println!("descriptors {before:?} -> {:?}, resident +{} KiB", descriptors(), grown.unwrap_or(0) / 1024);
    assert!(grown.is_none_or(|grown| grown < MOST_GROWTH), "{grown:?} bytes more after {} calls", SEQUENTIAL + CONCURRENT);
}
