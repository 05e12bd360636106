//! Processes on one purse: what is in its words is what they put there, and nobody is granted more or less than there is.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use crate::child::{Child, Place, child, key};
use crate::model::Random;
use crate::words::{RETRY, SLOTS, net};

/// Slots that are kept apart in the tally.
const TALLIES: u64 = 1 << 16;

/// So many processes, rounds and steps in each: deposits, withdrawals, refunds, and slots that pass.
pub fn exact(processes: u64, rounds: u64, steps: u64) {
    let place = Place::new("exact");
    let memory = place.memory(1 + TALLIES as usize);
    let (slot, tally) = memory.words().split_first().unwrap();
    slot.store(1000, SeqCst);
    let file = place.open();
    let purse = file.find_or_make(&key("exact")).unwrap().unwrap();
    for round in 0..rounds {
        let children: Vec<Child> =
            (0..processes).map(|process| child(|| work(&place, slot, tally, Random((round * processes + process) << 32), steps))).collect();
        assert!(children.into_iter().all(Child::ended));
        let window = file.table().window(purse);
        let newest = window.deposit(0, 0, || true).unwrap();
        for of in newest + 1 - SLOTS..=newest {
            let held = net(window.slots[(of % SLOTS) as usize].load(SeqCst));
            assert_eq!(held, tally[(of % TALLIES) as usize].load(SeqCst) as i64, "round {round}, slot {of}");
        }
    }
}

fn work(place: &Place, slot: &AtomicU64, tally: &[AtomicU64], mut random: Random, steps: u64) {
    let file = place.open();
    let purse = file.find_or_make(&key("exact")).unwrap().unwrap();
    let window = file.table().window(purse);
    let mut grants = Vec::new();
    let tell = |of: u64, amount: i64| tally[(of % TALLIES) as usize].fetch_add(amount as u64, SeqCst);
    for _ in 0..steps {
        if random.below(2000) == 0 {
            slot.fetch_add(random.below(3), SeqCst);
        }
        // One in some is late.
        let now = slot.load(SeqCst) - u64::from(random.below(20) == 0);
        match random.below(4) {
            0 | 1 => drop(tell(window.deposit(200_000, now, || true).unwrap(), 200_000)),
            2 => {
                if let Some(of) = window.withdraw(10 * RETRY, now, || true).unwrap() {
                    tell(of, -RETRY);
                    grants.push(of);
                }
            }
            _ => {
                if let Some(of) = grants.pop() {
                    // Whether it still counted shows when nothing else moves; so only such as surely do are given back.
                    let newest = window.deposit(0, 0, || true).unwrap();
                    if of == newest {
                        refund(&window, of, &tell);
                    }
                }
            }
        }
    }
}

fn refund(window: &crate::words::Window<'_, AtomicU64>, of: u64, tell: &impl Fn(u64, i64) -> u64) {
    window.refund(of, of, || true).unwrap();
    tell(of, RETRY);
}

/// Purses of 50 retries: 50 are granted to all together, whoever asks how often.
pub fn fifty(processes: u64, purses: u64) {
    let place = Place::new("fifty");
    let memory = place.memory(purses as usize);
    let children: Vec<Child> = (0..processes)
        .map(|_| {
            child(|| {
                let file = place.open();
                for (name, granted) in memory.words().iter().enumerate() {
                    let purse = file.find_or_make(&key(&format!("fifty {name}"))).unwrap().unwrap();
                    let window = file.table().window(purse);
                    let got = (0..100).filter(|_| window.withdraw(50 * RETRY, 1000, || true).unwrap().is_some()).count();
                    granted.fetch_add(got as u64, SeqCst);
                }
            })
        })
        .collect();
    assert!(children.into_iter().all(Child::ended));
    assert!(memory.words().iter().all(|granted| granted.load(SeqCst) == 50));
}

/// Nanoseconds of a step, alone and with a second process at it.
pub fn costs(steps: u64) {
    let place = Place::new("costs");
    let measured = |what: &str| {
        let file = place.open();
        let purse = file.find_or_make(&key("costs")).unwrap().unwrap();
        let (table, began) = (file.table(), Instant::now());
        for _ in 0..steps {
            let (window, live) = (table.window(purse), || table.is_live(purse));
            match what {
                "deposit" => drop(window.deposit(200_000, 1000, live)),
                "grant" => drop(window.withdraw(i64::MAX / 2, 1000, live)),
                _ => drop(window.withdraw(i64::MIN / 2, 1000, live)),
            }
        }
        began.elapsed().as_nanos() as f64 / steps as f64
    };
    for what in ["deposit", "grant", "refuse"] {
        let alone = measured(what);
        let other = child(|| {
            measured(what);
        });
        let together = measured(what);
        assert!(other.ended());
        println!("   {what}: {alone:.1} ns alone, {together:.1} ns beside another process");
    }
}
