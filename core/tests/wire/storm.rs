//! One client of HTTP/2 that many threads block on, against a server that refuses, says farewell, breaks off and hangs: every call ends, and what is
//! said of it is true.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use reknock::client::{Cancel, Client, HttpTransport};
use reknock::{ErrorKind, Evidence};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::time::sleep;

use crate::peers::*;

type Seen = Arc<Mutex<HashMap<String, u32>>>;

const THREADS: u64 = 50;

/// What follows from a number, which is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Calls of each thread: a tenth of twenty seconds, unless `REKNOCK_RACES` says how many times as many.
#[allow(clippy::disallowed_methods)] // the size of a run comes from the environment
fn calls() -> u64 {
    40 * std::env::var("REKNOCK_RACES").map_or(1, |text| text.parse().unwrap())
}

async fn stormy(stream: TcpStream, number: usize, seen: Seen) {
    let mut dice = Dice(0x9e37_79b9 ^ ((number as u64 + 1) * 7919));
    if number.is_multiple_of(3) {
        // However it ends, by a reset.
        stream.set_zero_linger().unwrap();
    }
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(4);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let never = request.uri().path().starts_with("/never");
        if dice.below(12) == 0 {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            continue;
        }
        *seen.lock().unwrap().entry(format!("{} {}", request.method(), request.uri().path())).or_default() += 1;
        match dice.below(40) {
            0 => return,
            1 => connection.abrupt_shutdown(h2::Reason::INTERNAL_ERROR),
            2..6 => connection.graceful_shutdown(),
            _ => {}
        }
        let (pause, size) = (dice.below(4), dice.below(30_000));
        tokio::spawn(async move {
            if never {
                return std::future::pending().await;
            }
            sleep(Duration::from_millis(pause)).await;
            if let Ok(mut out) = respond.send_response(Response::new(()), false) {
                let _ = out.send_data(Bytes::from(vec![7; size as usize]), true);
            }
        });
    }
}

/// One of the threads: how many calls were answered, and which were not looked at, as far as the client knows.
fn make_calls(client: &Client<HttpTransport>, peer: &Peer, elsewhere: &Handle, thread: u64) -> (u64, Vec<String>) {
    let mut dice = Dice(0x1234_5678 ^ ((thread + 1) * 104_729));
    let (mut answered, mut unseen) = (0, Vec::new());
    for call in 0..calls() {
        let never = dice.below(8) == 0;
        let path = format!("/{}{thread}/{call}", if never { "never/" } else { "" });
        let method = if dice.below(2) == 0 { "GET" } else { "POST" };
        let cancel = Cancel::new();
        if never || dice.below(4) == 0 {
            let (cancel, pause) = (cancel.clone(), Duration::from_millis(dice.below(4)));
            elsewhere.spawn(async move {
                sleep(pause).await;
                cancel.cancel();
            });
        }
        let mut request = client.request(method, &peer.url(&path)).cancel(&cancel);
        if method == "POST" {
            request = request.body(vec![1; dice.below(100_000) as usize]);
        }
        match request.send_blocking() {
            Ok(_) => answered += 1,
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Deadline, "{path} hung: {}", error.explain());
                if error.attempts().iter().all(|attempt| attempt.evidence != Evidence::Unknown) {
                    unseen.push(format!("{method} {path}"));
                }
            }
        }
    }
    (answered, unseen)
}

#[test]
fn every_call_of_a_storm_ends_and_is_seen_as_often_as_it_says() {
    let elsewhere = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let seen = Seen::default();
    let log = seen.clone();
    let peer = elsewhere.block_on(Peer::start(move |stream, number| stormy(stream, number, log.clone())));
    let client = client("{timeout: 60s, per_try_timeout: none, idle_timeout: none, budget: none}");
    let (mut answered, mut unseen) = (0, Vec::new());
    std::thread::scope(|scope| {
        let (client, peer, elsewhere) = (&client, &peer, elsewhere.handle());
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || make_calls(client, peer, elsewhere, thread))).collect();
        for thread in threads {
            let (its, more) = thread.join().unwrap();
            answered += its;
            unseen.extend(more);
        }
    });
    let seen = seen.lock().unwrap();
    let wrong: Vec<_> = unseen.iter().filter(|path| seen.contains_key(*path)).collect();
    println!("answered {answered}, unseen {}, requests seen {}, connections {}", unseen.len(), seen.len(), peer.connections());
    assert!(wrong.is_empty(), "seen all the same: {wrong:?}");
    let twice: Vec<_> = seen.iter().filter(|(request, times)| request.starts_with("POST") && **times > 1).collect();
    assert!(twice.is_empty(), "seen twice: {twice:?}");
    assert!(answered > THREADS * calls() / 3 && !unseen.is_empty());
}
