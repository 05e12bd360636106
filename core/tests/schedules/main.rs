//! Random schedules: whatever happens, the promises of a call hold. In virtual time, and a smaller number on sockets.
//!
//! `REKNOCK_SCHEDULES` sets the number of calls, `REKNOCK_SEED` where they begin.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // the size of a run comes from the environment

mod chaos;
#[path = "../support/live.rs"]
mod live;
mod model;
mod sockets;
#[path = "../support/mod.rs"]
mod support;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn virtual_time() {
    let (calls, seed) = (from_environment("REKNOCK_SCHEDULES", 200_000), from_environment("REKNOCK_SEED", 1));
    let clients = calls.div_ceil(model::CALLS as u64);
    let halves = [0, 1].map(|half| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let mut seen = model::Seen::default();
            for n in (half..clients).step_by(2) {
                runtime.block_on(model::schedule(seed.wrapping_mul(1_000_003).wrapping_add(n), &mut seen));
            }
            seen
        })
    });
    let mut seen = model::Seen::default();
    for half in halves {
        seen.add(half.join().expect("its seed is in the message"));
    }
    println!("{seen:#?}");
    assert!(seen.calls >= calls);
    if calls >= 10_000 {
        seen.everything();
    }
}
