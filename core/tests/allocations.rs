//! The machine allocates nothing, on no path; a call allocates as often as is written here.

#[path = "support/instant.rs"]
mod instant;
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use reknock::client::{Client, Proxy, TransportOptions};
use reknock::retry::{Answer, Budgets, Call, Decision, Outcome, Retry};
use reknock::{ErrorKind, Evidence, Policy, Tick, UnixTime};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: forwards to the system allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> usize {
    let before = COUNT.with(Cell::get);
    run();
    COUNT.with(Cell::get) - before
}

/// Allocations of a call with one attempt, its request and its response included. One of them is the copy of a remembered origin, which spares parsing
/// it: some 5,000 instructions.
const CALL: usize = 8;
/// Allocations of each further attempt.
const ATTEMPT: usize = 6;

const GET: Call<'_> = Call { method: "GET", has_idempotency_key: false, asked: true };

fn call(policy: &Policy, budgets: &Budgets, outcomes: &[Outcome<'_>], serial: u64) {
    let mut now = Tick(serial * 1_000_000_000);
    let budget = policy.budget().map(|spec| budgets.find(spec, "http://a", now).expect("a budget"));
    let mut retry = Retry::begin(policy, GET, budget, 7, serial, now);
    for outcome in outcomes {
        retry.attempt(now);
        let verdict = retry.classify(*outcome, UnixTime(0));
        match retry.decide(verdict, Answer::default(), true, now) {
            Decision::Retry { wait } => now = now.after(wait),
            Decision::Stop(_) => break,
        }
    }
    retry.finish(now.after(Duration::from_millis(1)));
}

#[test]
fn the_machine_allocates_nothing() {
    let busy: &[(&str, &str)] =
        &[("date", "Sun, 22 Nov 2026 12:00:20 GMT"), ("retry-after", "Sun, 22 Nov 2026 12:00:21 GMT"), ("x-busy", "yes")];
    let ok = Outcome::Response { status: 200, headers: &busy };
    let failing = Outcome::Response { status: 503, headers: &busy };
    let reset = Outcome::Failure { kind: ErrorKind::Reset, evidence: Evidence::Unknown, local: false };
    let documents = [
        serde_json::json!({}),
        serde_json::json!({"max_retries": 5, "response_headers": [{"name": "x-busy", "regex": "y.*"}, {"name": "x-other", "range": "1-2"}], "retry_on": "5xx, unavailable"}),
        serde_json::json!({"max_retries": 5, "backoff": {"kind": "decorrelated", "min": "10ms"}, "budget": {"kind": "concurrency"}}),
    ];
    for document in documents {
        let policy = support::policy(&document);
        let budgets = Budgets::new();
        // Warm up: the first call to an origin makes its budget, the first match builds the cache of a regex.
        call(&policy, &budgets, &[failing, reset, ok], 0);
        let count = allocations(|| {
            for serial in 1..100 {
                call(&policy, &budgets, &[ok], serial);
                call(&policy, &budgets, &[failing, reset, ok], serial);
                call(&policy, &budgets, &[reset, reset, reset, reset, reset, reset, reset], serial);
            }
        });
        assert_eq!(count, 0, "{document}");
    }
    assert!(allocations(|| drop(std::hint::black_box(Box::new(1)))) > 0, "the counter counts");
}

/// One call of the executor over a transport that allocates next to nothing itself, and what one more attempt adds.
#[test]
fn a_call_allocates_little() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let counted = |attempts| {
        let client = Client::on(instant::Instant::new(attempts)).policy(instant::policy()).build().expect("a client");
        let call = || runtime.block_on(async { client.get("http://a/b?c=d").send().await }).expect("a response");
        // Makes the origin's budget.
        call();
        let count = allocations(|| assert_eq!(call().attempts().len(), attempts));
        assert_eq!(allocations(|| drop(call())), count, "the same each time");
        count
    };
    let (one, two) = (counted(1), counted(2));
    assert_eq!((one, two - one), (CALL, ATTEMPT), "fewer are welcome: write them down");
}

/// Allocations of a blocking call over a kept connection, at most: those of the executor, of hyper, and of the heads on both ways.
const OVER_A_SOCKET: usize = 14;

#[test]
fn a_blocking_call_over_a_socket_allocates_little() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/b?c=d", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut request = [0; 1024];
        while stream.read(&mut request).is_ok_and(|size| size > 0) {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 11\r\ndate: Sun, 22 Nov 2026 12:00:00 GMT\r\n\r\nhello world";
            stream.write_all(answer).expect("it is read");
        }
    });
    let mut options = TransportOptions::default();
    options.proxy = Proxy::None;
    let client = Client::on(options).build().expect("a client");
    let call = || assert_eq!(client.get(&url).send_blocking().expect("a response").bytes().len(), 11);
    (0..3).for_each(|_| call());
    let count = allocations(call);
    println!("{count} allocations");
    assert!(count <= OVER_A_SOCKET, "{count}");
}
