//! Purses in a table: found, made, given up, and made up for who died while he did that.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use reknock::retry::{BudgetKind, DepositOn};

use crate::model::Random;
use crate::table::{HEADER_WORDS, Key, Place, Table};
use crate::words::{RETIRED, RETRY, SLOTS, net};

const ENTRY_WORDS: usize = 48;
const SECOND: u64 = 1_000_000_000;

fn words(entries: usize) -> Vec<AtomicU64> {
    (0..HEADER_WORDS + entries * ENTRY_WORDS).map(|_| AtomicU64::new(0)).collect()
}

/// With slots of a second.
fn key(name: u64) -> Key {
    let kind = BudgetKind::Ratio { ratio_millionths: 1000, min_per_second: 0, ttl: Duration::from_secs(10), deposit_on: DepositOn::Call };
    Key::new(&format!("name {name}"), &kind).unwrap()
}

/// A full table has room again once one of its purses was not used for longer than it remembers.
pub fn reclaim() {
    let words = words(8);
    let table = Table(&words);
    let places: Vec<Place> = (0..8).map(|name| table.find_or_make(&key(name), 100 * SECOND).unwrap()).collect();
    assert!((0..8).all(|name| table.find(&key(name)) == Some(places[name as usize])), "each is found");
    assert_eq!(table.find_or_make(&key(8), 111 * SECOND), None);
    // One of them is in use.
    table.window(places[3]).deposit(RETRY, 111, || true).unwrap();
    let made: Vec<Place> = (8..15).map(|name| table.find_or_make(&key(name), 112 * SECOND).unwrap()).collect();
    assert_eq!(table.find_or_make(&key(15), 112 * SECOND), None);
    assert!(table.find(&key(3)) == Some(places[3]) && table.is_live(places[3]));
    assert!((0..8).filter(|name| *name != 3).all(|name| table.find(&key(name)).is_none() && !table.is_live(places[name as usize])));
    assert!(made.iter().all(|place| table.is_live(*place) && table.window(*place).sum(0, || true) == Ok(0)));
}

/// Between any two steps of making a purse.
pub fn who_died_is_made_up_for() {
    const BUSY: u64 = 2;
    let words = words(1);
    let table = Table(&words);
    let state = &words[HEADER_WORDS];
    let old = table.find_or_make(&key(1), 100 * SECOND).unwrap();
    table.window(old).deposit(RETRY, 105, || true).unwrap();
    // Before it was given up: it is still there, with what is in it.
    state.store(state.load(SeqCst) & !3 | BUSY, SeqCst);
    assert_eq!(table.find_or_make(&key(2), 110 * SECOND), None);
    assert!(table.find(&key(1)) == Some(old) && table.window(old).sum(0, || true) == Ok(RETRY));
    // After that, before another was there: nothing is left of it.
    let live = state.load(SeqCst);
    state.store(live & !3 | BUSY, SeqCst);
    assert!(table.window(old).retire(105));
    let new = table.find_or_make(&key(2), 110 * SECOND).unwrap();
    assert!(!table.is_live(old) && table.find(&key(1)).is_none() && table.window(new).sum(0, || true) == Ok(0));
    // Before the one that is ready was shown.
    state.store(state.load(SeqCst) & !3 | BUSY, SeqCst);
    assert!(table.find(&key(2)).is_none() && table.find_or_make(&key(2), 110 * SECOND) == Some(new));
    // Scribbled on.
    words[HEADER_WORDS + 8].store(RETIRED, SeqCst);
    assert!(table.find_or_make(&key(2), 110 * SECOND).is_some_and(|place| place != new));
}

/// Threads in a table that is too small: what is in each purse in the end is what was put into this one.
pub fn race(threads: u64, steps: u64) {
    let (words, lock, slot) = (words(6), Mutex::new(()), AtomicU64::new(1000));
    let table = Table(&words);
    let all: Vec<(u64, u64, i64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let (lock, slot) = (&lock, &slot);
                scope.spawn(move || work(table, lock, slot, Random(thread << 32), steps))
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut told: HashMap<(u64, u64), i64> = HashMap::new();
    all.iter().for_each(|(place, slot, amount)| *told.entry((*place, *slot)).or_default() += amount);
    let (mut looked, mut generations) = (0, 0);
    for place in (0..KEYS).filter_map(|name| table.find(&key(name))) {
        let window = table.window(place);
        let newest = window.deposit(0, 0, || true).unwrap();
        for slot in newest + 1 - SLOTS..=newest {
            let held = net(window.slots[(slot % SLOTS) as usize].load(SeqCst));
            assert_eq!(held, told.get(&(place.0, slot)).copied().unwrap_or_default(), "{place:?}, slot {slot}");
            looked += 1;
        }
        generations = generations.max(place.0 >> 12);
    }
    assert!(looked > 0 && generations > steps / 4000, "{looked} words, generation {generations}");
}

const KEYS: u64 = 12;

/// What it did: which purse, which slot, how much.
fn work(table: Table<'_>, lock: &Mutex<()>, slot: &AtomicU64, mut random: Random, steps: u64) -> Vec<(u64, u64, i64)> {
    let (mut known, mut done) = (HashMap::new(), Vec::new());
    for _ in 0..steps {
        if random.below(60) == 0 {
            slot.fetch_add(random.below(3), SeqCst);
        }
        let now = slot.load(SeqCst);
        // Others every few slots, so that some are left alone.
        let name = (random.below(3) + now / 15 * 3) % KEYS;
        let place = *known.entry(name).or_insert_with(|| {
            let _guard = lock.lock().unwrap();
            table.find_or_make(&key(name), slot.load(SeqCst) * SECOND)
        });
        let Some(place) = place else {
            known.remove(&name);
            continue;
        };
        let (window, live) = (table.window(place), || table.is_live(place));
        let happened = match random.below(3) {
            0 => window.withdraw(3 * RETRY, now, live).map(|granted| granted.map(|slot| (slot, -RETRY))),
            _ => window.deposit(1000, now, live).map(|slot| Some((slot, 1000))),
        };
        match happened {
            Ok(happened) => done.extend(happened.map(|(slot, amount)| (place.0, slot, amount))),
            // It was given up.
            Err(_) => drop(known.remove(&name)),
        }
    }
    done
}
