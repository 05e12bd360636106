//! Evidence under races: what is said to be not sent was never seen, and nothing is seen twice.

use std::future::poll_fn;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use reknock::Evidence;
use reknock::client::transport::{Failure, Incoming, Outgoing, OutgoingBody, Progress, Transport};
use reknock::client::{HttpTransport, TokioClock};
use tokio::runtime::Builder;

use crate::{Numbers, Seen, answer, eventually, options, pass, read, server, times};

fn outgoing(address: SocketAddr, number: u64, progress: Arc<Progress>) -> Outgoing {
    let post = number % 2 == 1;
    Outgoing {
        method: if post { Method::POST } else { Method::GET },
        url: format!("http://{address}/id/{number}").parse().unwrap(),
        headers: HeaderMap::new(),
        body: OutgoingBody::Bytes(if post { Bytes::from_static(b"hello") } else { Bytes::new() }),
        connect_timeout: Some(Duration::from_secs(5)),
        progress,
    }
}

async fn whole(transport: &HttpTransport, outgoing: Outgoing) -> Result<usize, Failure> {
    let mut received = transport.send(outgoing).await?;
    let mut size = 0;
    while let Some(piece) = received.body.frame().await? {
        size += piece.len();
    }
    Ok(size)
}

/// Answers up to three requests, then closes after up to 120 us: by FIN while it reads on, at once, or with RST.
fn closes(stream: &mut TcpStream, number: u64, seen: &Seen, how: &str) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ ((number + 1) * 7919));
    for _ in 0..=numbers.below(3) {
        if !read(stream, seen) || !answer(stream) {
            return;
        }
    }
    pass(numbers.below(120));
    match how {
        "fin" => {
            let _ = stream.shutdown(Shutdown::Write);
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            while read(stream, seen) {}
        }
        "rst" => socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).unwrap(),
        _ => {}
    }
}

/// 400 calls for each way to close.
#[test]
fn a_kept_connection_that_the_server_closes() {
    for how in ["fin", "close", "rst"] {
        let (address, seen) = server(move |stream, number, seen| closes(stream, number, seen, how));
        let transport = HttpTransport::new(&options()).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (mut numbers, mut answered, mut not_sent) = (Numbers(4711), 0, Vec::new());
        for number in 0..400 * times() {
            match runtime.block_on(whole(&transport, outgoing(address, number, Arc::default()))) {
                Ok(size) => answered += size / 2,
                Err(failure) if failure.evidence == Evidence::NotSent => not_sent.push(number),
                Err(_) => {}
            }
            pass(numbers.below(150));
        }
        judge(&seen, &not_sent, how);
        assert!(answered as u64 > 200 * times(), "{how}: {answered} answered");
    }
}

fn judge(seen: &Seen, not_sent: &[u64], what: &str) {
    std::thread::sleep(Duration::from_millis(100)); // for what is still on its way to the server
    let arrived = seen.requests.lock().unwrap().len();
    println!("{what}: {} not sent, {arrived} seen over {} connections", not_sent.len(), seen.connections());
    assert!(not_sent.iter().all(|number| seen.times(*number) == 0), "{what}: a request that was not sent was seen");
    assert!(seen.requests.lock().unwrap().values().all(|times| *times == 1), "{what}: a request was seen twice");
}

/// Gives a call up after a while that no timer could keep. `None` if it was given up.
async fn for_a_moment<T>(call: impl Future<Output = T>, microseconds: u64) -> Option<T> {
    let end = Instant::now() + Duration::from_micros(microseconds);
    let mut call = Box::pin(call);
    poll_fn(|context| {
        if Instant::now() >= end {
            return Poll::Ready(None);
        }
        context.waker().wake_by_ref();
        call.as_mut().poll(context).map(Some)
    })
    .await
}

/// 500 calls are given up at any moment of their lives.
#[test]
fn calls_that_are_given_up() {
    let (address, seen) = server(|stream, number, seen| {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ ((number + 1) * 7919));
        while read(stream, seen) {
            pass(numbers.below(200));
            if !answer(stream) {
                return;
            }
        }
    });
    let transport = HttpTransport::new(&options()).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (mut numbers, mut not_sent, mut given_up) = (Numbers(99), Vec::new(), 0);
    for number in 0..500 * times() {
        let progress = Arc::<Progress>::default();
        let moment = numbers.below(250);
        let evidence = runtime.block_on(async {
            let ended = for_a_moment(whole(&transport, outgoing(address, number, Arc::clone(&progress))), moment).await;
            match ended {
                None => {
                    given_up += 1;
                    Some(progress.proof(&TokioClock).await)
                }
                Some(result) => result.err().map(|failure| failure.evidence),
            }
        });
        if evidence == Some(Evidence::NotSent) {
            not_sent.push(number);
        }
    }
    judge(&seen, &not_sent, "given up");
    assert!(given_up > 100 * times() && !not_sent.is_empty(), "{given_up} given up, {} not sent", not_sent.len());
}

/// 3,000 calls of 48 tasks on two threads, a quarter given up, against servers that close all the time.
#[test]
fn a_storm() {
    for how in ["fin", "close", "rst"] {
        let (address, seen) = server(move |stream, number, seen| closes(stream, number, seen, how));
        let transport = HttpTransport::new(&options()).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let tasks: Vec<_> = (0..48_u64)
            .map(|task| {
                let transport = transport.clone();
                runtime.spawn(async move {
                    let (mut numbers, mut not_sent) = (Numbers(task * 77 + 1), Vec::new());
                    for number in task * 100_000..task * 100_000 + 21 * times() {
                        let progress = Arc::<Progress>::default();
                        let call = whole(&transport, outgoing(address, number, Arc::clone(&progress)));
                        let ended = match numbers.below(4) {
                            0 => for_a_moment(call, numbers.below(400)).await,
                            _ => Some(tokio::time::timeout(Duration::from_secs(60), call).await.expect("a call that hangs")),
                        };
                        let evidence = match ended {
                            None => Some(progress.proof(&TokioClock).await),
                            Some(result) => result.err().map(|failure| failure.evidence),
                        };
                        if evidence == Some(Evidence::NotSent) {
                            not_sent.push(number);
                        }
                    }
                    not_sent
                })
            })
            .collect();
        let not_sent: Vec<u64> = tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
        judge(&seen, &not_sent, how);
        drop(transport);
        eventually("what is open is closed with the transport", || seen.open() == 0);
    }
}
