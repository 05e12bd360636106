//! A server that is the fuzzer, in virtual time: whatever it sends and whenever, busy or silent, each call ends by its deadline, within a turn of the server,
//! and never panics.
//!
//! Input: bytes that the policy, the callbacks and the server take what they do from, one after the other. Where there are no more, the server goes on for
//! ever with what it does last.
#![no_main]

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use libfuzzer_sys::fuzz_target;
use reknock::client::transport::fuzzing::uncoded;
use reknock::client::transport::{Failure, Incoming, Outgoing, Received, Transport};
use reknock::client::{Callbacks, Client, Clock, Opinion};
use reknock::policy::Value;
use reknock::{ErrorKind, Evidence, Policy, Tick, UnixTime};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, ReadBuf};
use tokio::task::coop;

/// What a turn takes that ends nothing, and what a look at the socket takes.
const TURN: Duration = Duration::from_millis(1);
const LOOK: Duration = Duration::from_micros(1);

/// Time that passes with turns and leaps to the next timer when nothing else is to be done.
#[derive(Clone, Default)]
struct Virtual(Arc<Moments>);

#[derive(Default)]
struct Moments {
    now: AtomicU64,
    /// The earliest timer that was looked at in this turn.
    next: AtomicU64,
    awake: AtomicBool,
}

impl Wake for Moments {
    fn wake(self: Arc<Self>) {
        self.awake.store(true, Ordering::Relaxed);
    }
}

impl Virtual {
    fn pass(&self, time: Duration) {
        self.0.now.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Runs a future to its end. Each turn has what the runtime lets a task do in one.
    async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|turn| {
            self.0.next.store(u64::MAX, Ordering::Relaxed);
            self.0.awake.store(false, Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&self.0));
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(output);
            }
            match self.0.awake.load(Ordering::Relaxed) {
                true => self.pass(TURN),
                false => {
                    let next = self.0.next.load(Ordering::Relaxed);
                    assert!(next < u64::MAX, "nothing will ever wake the call");
                    self.0.now.fetch_max(next, Ordering::Relaxed);
                }
            }
            turn.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}

impl Clock for Virtual {
    fn now(&self) -> Tick {
        Tick(self.0.now.load(Ordering::Relaxed))
    }

    fn wall(&self) -> UnixTime {
        UnixTime(1_795_348_800_000)
    }

    async fn sleep_until(&self, when: Tick) {
        poll_fn(|_| {
            if self.now() >= when {
                return Poll::Ready(());
            }
            self.0.next.fetch_min(when.nanos(), Ordering::Relaxed);
            Poll::Pending
        })
        .await;
    }
}

/// What the fuzzer says.
#[derive(Clone)]
struct Script(Arc<Mutex<VecDeque<u8>>>);

impl Script {
    fn next(&self) -> Option<u8> {
        self.0.lock().expect("no panic holds it").pop_front()
    }

    fn below(&self, limit: u8) -> u8 {
        self.next().map_or(0, |byte| byte % limit)
    }

    /// Up to four seconds.
    fn time(&self) -> Duration {
        Duration::from_millis(u64::from(self.next().unwrap_or(255)) * 16)
    }
}

#[derive(Clone)]
struct Server {
    script: Script,
    clock: Virtual,
}

async fn busy(turns: u32) {
    for _ in 0..turns.saturating_mul(128) {
        coop::consume_budget().await;
    }
}

const HINTS: [&str; 5] = ["1", "99999999999", "99999999999999999999", "Sun, 22 Nov 2026 12:00:60 UTC", "soon"];
const CODINGS: [&str; 6] = ["", "gzip", "zstd", "deflate", "br", "gzip, gzip"];
const LOCATIONS: [&str; 4] = ["/next", "http://other.test/", "", "http://u:p@other.test/"];

impl Transport for Server {
    type Body = Body;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<Body>, Failure> {
        let Server { script, clock } = self;
        let progress = &outgoing.progress;
        loop {
            match script.next().map(|byte| byte % 10) {
                Some(0) => clock.sleep_until(clock.now().after(script.time())).await,
                Some(1) => busy(u32::from(script.below(64))).await,
                Some(2) => progress.connect_began(clock.now()),
                Some(3) => progress.connect_ended(clock.now()),
                Some(4) => drop(progress.touch(clock.now())),
                Some(5) => progress.uploaded(clock.now()),
                Some(6) => {
                    let kind = ErrorKind::ALL[usize::from(script.below(ErrorKind::ALL.len() as u8))];
                    let evidence = Evidence::ALL[usize::from(script.below(3))];
                    return Err(Failure { local: script.below(2) == 1, ..Failure::new(kind, evidence, "the fuzzer says so") });
                }
                Some(_) => break,
                None => busy(u32::MAX).await,
            }
        }
        let status = [200, 503, 302, 307, 429, 404, 204, 413][usize::from(script.below(8))];
        let mut headers = HeaderMap::new();
        let mut add = |name, value: &'static str| drop(headers.append(name, HeaderValue::from_static(value)));
        add("retry-after", HINTS[usize::from(script.below(5))]);
        add("content-encoding", CODINGS[usize::from(script.below(6))]);
        add("location", LOCATIONS[usize::from(script.below(4))]);
        let length = (script.below(8) == 0).then(|| u64::from(script.below(255)));
        let wire =
            Wire { script: script.clone(), clock: clock.clone(), sleep: None, there: Bytes::new(), again: Bytes::new(), over: false };
        let body = Body(uncoded(&mut headers, Box::pin(wire)));
        Ok(Received { reason: None, status: StatusCode::from_u16(status).expect("a status"), version: Version::HTTP_11, headers, body, length })
    }
}

struct Body(Pin<Box<dyn AsyncBufRead + Send + Sync>>);

impl Incoming for Body {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        let mut piece = BytesMut::with_capacity(16 * 1024);
        let read = self.0.read_buf(&mut piece).await;
        read.map_err(|error| Failure::new(ErrorKind::Body, Evidence::Unknown, error.to_string()))?;
        Ok((!piece.is_empty()).then(|| piece.freeze()))
    }
}

/// The bytes of a body as they come.
struct Wire {
    script: Script,
    clock: Virtual,
    sleep: Option<Tick>,
    there: Bytes,
    /// What comes for ever once there is nothing more to be said.
    again: Bytes,
    over: bool,
}

/// What gives nothing: an empty gzip member, the head of one with blocks that are stored and empty, a zstd frame to be skipped; and bytes that are none.
const CANNED: [&[u8]; 5] = [
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"\0\0\0\xff\xff",
    b"\x50\x2a\x4d\x18\x08\0\0\0\0\0\0\0\0\0\0\0",
    b"plain",
];

impl AsyncBufRead for Wire {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.there.is_empty() && !this.over {
            // As a socket does.
            ready!(coop::poll_proceed(context)).made_progress();
            this.clock.pass(LOOK);
            if let Some(when) = this.sleep {
                ready!(pin!(this.clock.sleep_until(when)).poll(context));
                this.sleep = None;
            }
            match this.script.next().map(|byte| byte % 8) {
                Some(0) => this.sleep = Some(this.clock.now().after(this.script.time())),
                Some(1) => this.over = true,
                Some(2) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, "the fuzzer says so"))),
                Some(3..6) => this.there = Bytes::from_static(CANNED[usize::from(this.script.below(5))]),
                Some(6) => this.again = Bytes::from_static(CANNED[usize::from(this.script.below(5))]).repeat(8).into(),
                Some(_) => {
                    let size = this.script.below(64);
                    this.there = (0..size).filter_map(|_| this.script.next()).collect();
                }
                None if this.again.is_empty() => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => this.there = this.again.clone(),
            }
        }
        Poll::Ready(Ok(&this.there))
    }

    fn consume(mut self: Pin<&mut Self>, size: usize) {
        drop(self.there.split_to(size));
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let there = ready!(self.as_mut().poll_fill_buf(context))?;
        let size = there.len().min(out.remaining());
        out.put_slice(&there[..size]);
        self.consume(size);
        Poll::Ready(Ok(()))
    }
}

fn policy(script: &Script) -> (Policy, Duration) {
    let timeout = Duration::from_millis(1 + u64::from(script.below(250)) * 8);
    let limit = |script: &Script| match script.below(4) {
        0 => Value::from("none"),
        _ => Value::from(format!("{}ms", 1 + script.time().as_millis())),
    };
    let document = Value::map([
        ("timeout", Value::from(format!("{}ms", timeout.as_millis()))),
        ("per_try_timeout", limit(script)),
        ("idle_timeout", limit(script)),
        ("max_retries", Value::from(u32::from(script.below(6)))),
        ("backoff", Value::from(format!("{}ms", script.below(100)))),
        ("retry_after", Value::from([("max", "none")])),
        ("methods", Value::from(if script.below(2) == 0 { "any" } else { "idempotent" })),
        ("budget", Value::from("none")),
    ]);
    (Policy::from_value(&document).expect("a policy"), timeout)
}

fn callbacks(script: &Script) -> Callbacks {
    let answers = script.clone();
    let ask = Callbacks::new().retry_if_async(move |_| {
        let answer = answers.below(6);
        async move {
            Ok(match answer {
                0 => Opinion::None,
                1 => Opinion::Retry,
                2 => Opinion::After(Duration::from_millis(50)),
                3 => Opinion::Stop,
                4 => return Err("the fuzzer says so".into()),
                _ => {
                    busy(u32::MAX).await;
                    Opinion::None
                }
            })
        }
    });
    match script.below(4) {
        0 => ask,
        1 => ask.with_body(),
        _ => Callbacks::new(),
    }
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|data: &[u8]| {
    let script = Script(Arc::new(Mutex::new(data.iter().copied().collect())));
    let clock = Virtual::default();
    let (policy, timeout) = policy(&script);
    let (callbacks, streamed) = (callbacks(&script), script.below(4) == 0);
    let server = Server { script, clock: clock.clone() };
    let client =
        Client::on(server).clock(clock.clone()).policy(policy).callbacks(callbacks).max_response_size(1 << 20).build().expect("a client");
    let call = client.request("PUT", "http://u:p@server.test/").body("body");
    let records = RUNTIME.block_on(clock.run(async {
        match streamed {
            true => call.stream().await.map(|response| response.attempts().to_vec()),
            false => call.send().await.map(|response| response.attempts().to_vec()),
        }
    }));
    let took = clock.now().since(Tick(0));
    // The turn that the server has when the time is over, and what a look or two take.
    assert!(took <= timeout + 2 * TURN + 256 * LOOK, "{took:?} for a timeout of {timeout:?}");
    let records = records.unwrap_or_else(|error| error.attempts().to_vec());
    assert!(records.iter().all(|record| record.start + record.duration <= took));
});
