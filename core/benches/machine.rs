//! `make machine-bench`: nanoseconds and allocations of the decision machine, without any I/O.
//!
//! The cases take turns in many short rounds, so that a slow moment of the machine hits all of them; the median and the best round
//! are shown. Instructions can be counted with `valgrind --tool=callgrind` on one case: `machine CASE ROUNDS`.
#![allow(clippy::disallowed_methods)] // a benchmark reads the clock

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reknock::retry::{Answer, Budget, Budgets, Call, Decision, Outcome, Retry};
use reknock::{ErrorKind, Evidence, Policy, Tick, UnixTime};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: forwards to the system allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: usize = 300;
const CALLS: u64 = 2_000;
const ORIGIN: &str = "https://api.example.com";
const GET: Call<'_> = Call { method: "GET", has_idempotency_key: false, asked: false };
const WALL: UnixTime = UnixTime(1_795_348_800_000);

/// What the cases share.
struct World {
    /// The default policy, but with a budget that never runs dry.
    policy: Policy,
    bare: Policy,
    budgets: Budgets,
    budget: Arc<Budget>,
    headers: http::HeaderMap,
}

impl World {
    fn new() -> Self {
        let policy = Policy::from_yaml("{max_retries: 1000, timeout: none, budget: {min_per_second: 4294967295}}").expect("a policy");
        let bare = policy.to_builder().budget(None).build().expect("a policy");
        let budgets = Budgets::new();
        let budget = budgets.find(policy.budget().expect("a budget"), ORIGIN, Tick(0)).expect("a budget");
        let mut headers = http::HeaderMap::new();
        for (name, value) in [
            ("date", "Sun, 22 Nov 2026 12:00:20 GMT"),
            ("content-type", "application/json"),
            ("content-length", "512"),
            ("server", "nginx"),
            ("vary", "accept-encoding"),
            ("cache-control", "no-store"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        World { policy, bare, budgets, budget, headers }
    }

    fn response(&self, status: u16) -> Outcome<'_> {
        Outcome::Response { status, headers: &self.headers }
    }

    fn begin(&self, serial: u64, now: Tick) -> Retry {
        Retry::begin(&self.policy, GET, Some(Arc::clone(&self.budget)), 7, serial, now)
    }
}

/// One attempt, decided.
fn attempt(retry: &mut Retry, outcome: Outcome<'_>, now: Tick) -> Decision {
    retry.attempt(now);
    let verdict = retry.classify(outcome, WALL);
    retry.decide(verdict, Answer::default(), true, now)
}

fn happy(world: &World, serial: u64) {
    let now = Tick(serial * 1000);
    let mut retry = world.begin(serial, now);
    let _ = black_box(attempt(&mut retry, black_box(world.response(200)), now));
    retry.finish(now);
}

fn happy_with_lookup(world: &World, serial: u64) {
    let now = Tick(serial * 1000);
    let spec = world.policy.budget();
    let budget = spec.map(|spec| world.budgets.find(spec, black_box(ORIGIN), now).expect("a budget"));
    let mut retry = Retry::begin(&world.policy, GET, budget, 7, serial, now);
    let _ = black_box(attempt(&mut retry, black_box(world.response(200)), now));
    retry.finish(now);
}

fn happy_without_budget(world: &World, serial: u64) {
    let now = Tick(serial * 1000);
    let mut retry = Retry::begin(&world.bare, GET, None, 7, serial, now);
    let _ = black_box(attempt(&mut retry, black_box(world.response(200)), now));
    retry.finish(now);
}

/// Ten retries of a 503 after one call's begin: a tenth of it is one retry, with a tenth of a begin and an end.
fn ten_retries(world: &World, serial: u64) {
    let now = Tick(serial * 1000);
    let mut retry = world.begin(serial, now);
    for _ in 0..10 {
        let decision = attempt(&mut retry, black_box(world.response(503)), now);
        assert!(matches!(decision, Decision::Retry { .. }), "{decision:?}");
    }
    retry.finish(now);
}

fn ten_resets(world: &World, serial: u64) {
    let now = Tick(serial * 1000);
    let mut retry = world.begin(serial, now);
    for _ in 0..10 {
        let outcome = Outcome::Failure { kind: ErrorKind::Reset, evidence: Evidence::Unknown, local: false };
        let decision = attempt(&mut retry, black_box(outcome), now);
        assert!(matches!(decision, Decision::Retry { .. }), "{decision:?}");
    }
    retry.finish(now);
}

/// A begin and an abandon, to tell the parts apart.
fn begin_alone(world: &World, serial: u64) {
    black_box(world.begin(serial, Tick(serial * 1000)));
}

fn lookup_alone(world: &World, serial: u64) {
    let spec = world.policy.budget().expect("a budget");
    black_box(world.budgets.find(spec, black_box(ORIGIN), Tick(serial * 1000)).expect("a budget"));
}

type Case = (&'static str, u32, fn(&World, u64));

const CASES: [Case; 7] = [
    ("happy call", 1, happy),
    ("happy call with budget lookup", 1, happy_with_lookup),
    ("happy call without budget", 1, happy_without_budget),
    ("retry of a 503", 10, ten_retries),
    ("retry of a reset", 10, ten_resets),
    ("  begin alone", 1, begin_alone),
    ("  budget lookup alone", 1, lookup_alone),
];

fn round(world: &World, run: fn(&World, u64), serial: &mut u64) -> (Duration, u64) {
    let allocated = ALLOCATIONS.load(Ordering::Relaxed);
    let began = Instant::now();
    for _ in 0..CALLS {
        *serial += 1;
        run(world, *serial);
    }
    (began.elapsed(), ALLOCATIONS.load(Ordering::Relaxed) - allocated)
}

fn main() {
    let world = World::new();
    let mut serial = 0;
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if let [case, rounds] = arguments[..] {
        (0..rounds).for_each(|_| _ = round(&world, CASES[case].2, &mut serial));
        return;
    }
    let mut results: Vec<(Vec<f64>, u64)> = vec![(Vec::new(), 0); CASES.len()];
    for _ in 0..ROUNDS {
        for ((_, parts, run), (times, allocated)) in CASES.iter().zip(&mut results) {
            let (time, allocations) = round(&world, *run, &mut serial);
            times.push(time.as_nanos() as f64 / CALLS as f64 / f64::from(*parts));
            *allocated += allocations;
        }
    }
    println!("{:32} {:>10} {:>10} {:>12}", "", "median ns", "best ns", "allocations");
    for ((name, ..), (times, allocated)) in CASES.iter().zip(&mut results) {
        times.sort_by(f64::total_cmp);
        println!("{name:32} {:>10.1} {:>10.1} {allocated:>12}", times[times.len() / 2], times[0]);
    }
}
