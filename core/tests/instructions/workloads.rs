//! What is counted.

use std::time::Duration;

use bytes::Bytes;
use reknock::client::{Callbacks, Client, Http2, Proxy, TransportOptions};
use reknock::retry::{Answer, Budgets, Call, Outcome, Retry};
use reknock::{Policy, Tick, UnixTime};
use tokio::runtime::{Builder, Runtime};

use super::instant::{Instant, policy};
use super::recorder::Recorder;

/// By name: what one call is.
pub const WORKLOADS: &[&str] = &[
    "machine",
    "scripted",
    "scripted, one retry",
    "scripted, told",
    "scripted, traced",
    "reqwest alone",
    "loopback",
    "blocking",
    "blocking, one retry",
    "blocking, TLS",
    "blocking, HTTP/2",
];

/// Likewise, to be shown alone: in how many pieces large bodies come and go is the kernel's choice.
pub const SHOWN: &[&str] = &["reqwest alone, 100 KiB", "loopback, 100 KiB", "reqwest alone, 100 KiB up", "loopback, 100 KiB up"];

const LARGE: usize = 100 * 1024;

pub fn run(name: &str, url: &str, calls: u64) {
    match name {
        "machine" => machine(calls),
        "scripted" => scripted(url, calls, 1, Callbacks::new()),
        "scripted, one retry" => scripted(url, calls, 2, Callbacks::new()),
        "scripted, told" => scripted(url, calls, 1, Callbacks::new().on_event(|event| _ = std::hint::black_box(event.kind.code()))),
        "scripted, traced" => {
            let _until = tracing::subscriber::set_default(Recorder::default());
            scripted(url, calls, 1, Callbacks::new());
        }
        "reqwest alone" => {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let call = || async { assert_eq!(client.get(url).send().await.unwrap().bytes().await.unwrap().len(), 11) };
            awaited(calls, call);
        }
        "loopback" => {
            let client = client(Http2::Auto, 1);
            let call = || async { assert_eq!(client.get(url).send().await.unwrap().bytes().len(), 11) };
            awaited(calls, call);
        }
        "reqwest alone, 100 KiB" | "reqwest alone, 100 KiB up" => {
            let (client, (up, size)) = (reqwest::Client::builder().no_proxy().build().unwrap(), large(name));
            awaited(calls, || async {
                let request = if let Some(body) = up.clone() { client.post(url).body(body) } else { client.get(url) };
                assert_eq!(request.send().await.unwrap().bytes().await.unwrap().len(), size);
            });
        }
        "loopback, 100 KiB" | "loopback, 100 KiB up" => {
            let (client, (up, size)) = (client(Http2::Auto, 1), large(name));
            awaited(calls, || async {
                let request = if let Some(body) = up.clone() { client.post(url).body(body) } else { client.get(url) };
                assert_eq!(request.send().await.unwrap().bytes().len(), size);
            });
        }
        "blocking" | "blocking, TLS" => blocking(Http2::Auto, url, calls, 1),
        "blocking, HTTP/2" => blocking(Http2::Only, url, calls, 1),
        "blocking, one retry" => blocking(Http2::Auto, url, calls, 2),
        other => panic!("no workload {other:?}"),
    }
}

/// What is sent, and the size of what comes.
fn large(name: &str) -> (Option<Bytes>, usize) {
    if name.ends_with("up") { (Some(vec![b'a'; LARGE].into()), 11) } else { (None, LARGE) }
}

fn client(http2: Http2, attempts: usize) -> Client {
    let mut options = TransportOptions::default();
    (options.proxy, options.http2) = (Proxy::None, http2);
    // What a handshake costs is not counted: it comes once.
    options.tls.verify = false;
    let builder = Client::on(options);
    if attempts > 1 { builder.policy(policy()).build().unwrap() } else { builder.build().unwrap() }
}

fn blocking(http2: Http2, url: &str, calls: u64, attempts: usize) {
    let client = client(http2, attempts);
    looped(calls, || {
        let response = client.get(url).send_blocking().unwrap();
        assert_eq!((response.bytes().len(), response.attempts().len()), (11, attempts));
    });
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn awaited<F: Future<Output = ()>>(calls: u64, call: impl Fn() -> F) {
    let runtime = runtime();
    looped(calls, || runtime.block_on(call()));
}

fn looped(calls: u64, mut call: impl FnMut()) {
    for _ in 0..calls {
        call();
    }
}

/// The machine alone, with its budget.
fn machine(calls: u64) {
    let (policy, budgets) = (Policy::default(), Budgets::new());
    let headers: &[(&str, &str)] = &[("content-type", "text/plain")];
    let mut serial = 0;
    looped(calls, || {
        serial += 1;
        let now = Tick(serial * 1_000_000);
        let budget = policy.budget().map(|spec| budgets.find(spec, "http://a", now).unwrap());
        let call = Call { method: "GET", has_idempotency_key: false, asked: false };
        let mut retry = Retry::begin(&policy, call, budget, 7, serial, now);
        retry.attempt(now);
        let verdict = retry.classify(Outcome::Response { status: 200, headers: &headers }, UnixTime(0));
        let _ = std::hint::black_box(retry.decide(verdict, Answer::default(), true, now));
        retry.finish(now.after(Duration::from_millis(1)));
    });
}

/// The executor without HTTP: every attempt but the last of a call meets a 503.
fn scripted(url: &str, calls: u64, attempts: usize, callbacks: Callbacks) {
    let client = Client::on(Instant::new(attempts)).policy(policy()).callbacks(callbacks).build().unwrap();
    awaited(calls, || async {
        let response = client.get(url).send().await.unwrap();
        assert_eq!((response.bytes().len(), response.attempts().len()), (11, attempts));
    });
}
