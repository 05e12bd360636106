//! Processes that are killed, stopped, or scribble on the file, and those that open it at the same time.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::child::{Child, NOW, Place, SECOND, child, key};
use crate::model::Random;
use crate::words::{RETRY, SLOTS};

/// A moment that is not the same each time, without a clock: others run meanwhile.
fn pause(random: &mut Random) {
    for _ in 0..random.below(20) {
        std::thread::yield_now();
    }
}

/// Keeps `number` processes at work until one of them was killed `kills` times. The work ends when it is told to.
fn killing(number: u64, kills: u64, stop: &AtomicU64, work: &dyn Fn(u64)) {
    let mut random = Random(kills);
    let spawn = |seed: u64| child(|| work(seed));
    let mut children: Vec<Child> = (0..number).map(spawn).collect();
    for kill in 0..kills {
        pause(&mut random);
        let victim = random.below(number) as usize;
        children[victim].signal(libc::SIGKILL);
        let killed = std::mem::replace(&mut children[victim], spawn(number + kill));
        assert!(!killed.ended());
    }
    stop.store(1, SeqCst);
    assert!(children.into_iter().all(Child::ended));
}

/// What the words say was granted is what was told, but for the step of each who was killed; and never more than there is.
pub fn kills(number: u64, kills: u64) {
    const RESERVE: u64 = 1_000_000;
    let place = Place::new("kills");
    let memory = place.memory(3);
    let [stop, granted, deposits] = memory.words() else { unreachable!() };
    killing(number, kills, stop, &|seed| {
        let (file, mut random) = (place.open(), Random(seed << 32));
        let purse = file.find_or_make(&key("kills")).unwrap().unwrap();
        let window = file.table().window(purse);
        while stop.load(SeqCst) == 0 {
            if random.below(2) == 0 {
                if window.withdraw(RESERVE as i64 * RETRY, 1000, || true).unwrap().is_some() {
                    granted.fetch_add(1, SeqCst);
                }
            } else {
                window.deposit(1, 1000, || true).unwrap();
                deposits.fetch_add(1, SeqCst);
            }
        }
    });
    let file = place.open();
    let purse = file.find_or_make(&key("kills")).unwrap().unwrap();
    // Deposits are millionths: a retry's worth of them would take as many steps, and is counted, too.
    let held = file.table().window(purse).sum(1000, || true).unwrap();
    let told = deposits.load(SeqCst) as i64 - granted.load(SeqCst) as i64 * RETRY;
    let most = kills as i64;
    assert!((told - most * RETRY..=told + most).contains(&held), "{held} millionths in the words, {told} were told, {kills} kills");
    assert!(granted.load(SeqCst) <= RESERVE + deposits.load(SeqCst) / RETRY as u64);
}

/// Purses that compete for few places, by those who are killed while they make them: everyone finds one in the end.
pub fn kills_at_reclaim(number: u64, kills: u64) {
    let place = Place::new("reclaim");
    let memory = place.memory(2);
    let [stop, clock] = memory.words() else { unreachable!() };
    clock.store(1000, SeqCst);
    // More than fit, all in the same places.
    let names: Vec<String> = (0..).map(|name| format!("name {name}")).filter(|name| key(name).first() % 4096 < 4).take(100).collect();
    let now = |clock: &AtomicU64| {
        NOW.store(clock.load(SeqCst) * SECOND, SeqCst);
        clock.load(SeqCst)
    };
    killing(number, kills, stop, &|seed| {
        let (file, mut random) = (place.open(), Random(seed << 32));
        while stop.load(SeqCst) == 0 {
            clock.fetch_add(u64::from(random.below(4) == 0), SeqCst);
            let slot = now(clock);
            // Half of them are in use for a while, then the other half.
            let name = &names[(random.below(50) + slot / 40 % 2 * 50) as usize];
            let Some(purse) = file.find_or_make(&key(name)).unwrap() else { continue };
            let (table, window) = (file.table(), file.table().window(purse));
            let _ = window.deposit(1000, slot, || table.is_live(purse));
            let _ = window.withdraw(RETRY, slot, || table.is_live(purse));
        }
    });
    let file = place.open();
    for half in names.chunks(50) {
        clock.fetch_add(60, SeqCst);
        now(clock);
        for name in half {
            let purse = file.find_or_make(&key(name)).unwrap().expect("all others are idle");
            assert!(file.table().is_live(purse) && file.table().find(&key(name)) == Some(purse));
            assert_eq!(file.table().window(purse).withdraw(RETRY, clock.load(SeqCst), || true).map(|grant| grant.is_some()), Ok(true));
        }
    }
}

/// While one of three is stopped wherever it is, the others go on.
pub fn stops(stops: u64) {
    let place = Place::new("stops");
    let memory = place.memory(4);
    let (stop, done) = memory.words().split_first().unwrap();
    let mut random = Random(4);
    let children: Vec<Child> = (0..3)
        .map(|me: usize| {
            child(|| {
                let file = place.open();
                let purse = file.find_or_make(&key("stops")).unwrap().unwrap();
                let window = file.table().window(purse);
                while stop.load(SeqCst) == 0 {
                    let slot = 1000 + done[me].fetch_add(1, SeqCst) / 100;
                    let _ = window.withdraw(RETRY, slot, || true);
                    window.deposit(RETRY, slot, || true).unwrap();
                }
            })
        })
        .collect();
    for _ in 0..stops {
        pause(&mut random);
        let stopped = random.below(3) as usize;
        children[stopped].signal(libc::SIGSTOP);
        for other in (0..3).filter(|other| *other != stopped) {
            let before = done[other].load(SeqCst);
            // Without an end if it stands still: the child's alarm ends it then, and this.
            while done[other].load(SeqCst) < before + 1000 {
                std::thread::yield_now();
            }
        }
        children[stopped].signal(libc::SIGCONT);
    }
    stop.store(1, SeqCst);
    assert!(children.into_iter().all(Child::ended));
}

/// One writes anything anywhere behind the header, the others go on: every step of theirs ends.
pub fn garbage(number: u64, steps: u64) {
    let place = Place::new("garbage");
    let memory = place.memory(1);
    let stop = &memory.words()[0];
    let scribbler = child(|| {
        let (file, mut random) = (place.open(), Random(5));
        let words = &file.table().0[crate::table::HEADER_WORDS..];
        while stop.load(SeqCst) == 0 {
            let value = [0, random.next(), random.below(2000), random.next() & !3 | 1][random.below(4) as usize];
            words[random.below(words.len() as u64 / 16) as usize].store(value, SeqCst);
        }
    });
    let children: Vec<Child> = (0..number)
        .map(|me| {
            child(|| {
                let (file, mut random) = (place.open(), Random(me << 32));
                // In the part that is scribbled on.
                let names: Vec<String> =
                    (0..).map(|name| format!("name {name}")).filter(|name| key(name).first() % 4096 < 200).take(20).collect();
                for step in 0..steps {
                    let Some(purse) = file.find_or_make(&key(&names[random.below(20) as usize])).unwrap() else { continue };
                    let (table, window, slot) = (file.table(), file.table().window(purse), 1000 + step / 1000);
                    let _ = window.deposit(1000, slot, || table.is_live(purse));
                    let _ = window.withdraw(RETRY, slot, || table.is_live(purse));
                    let _ = window.refund(slot, slot, || table.is_live(purse));
                    let _ = window.sum(slot, || table.is_live(purse)).map(|sum| assert!(sum.abs() <= SLOTS as i64 * (1 << 43)));
                }
            })
        })
        .collect();
    assert!(children.into_iter().all(Child::ended));
    stop.store(1, SeqCst);
    assert!(scribbler.ended());
}

/// Many open a file that is not there, some are killed: they have the same one, and it is whole.
pub fn openings(races: u64, number: usize) {
    let mut random = Random(6);
    for race in 0..races {
        let place = Place::new("openings");
        let memory = place.memory(number);
        let children: Vec<Child> = memory
            .words()
            .iter()
            .map(|seen| {
                child(|| {
                    place.open();
                    let file = std::fs::read_dir(place.0.join("budgets")).unwrap().next().unwrap().unwrap();
                    seen.store(file.metadata().unwrap().ino(), SeqCst);
                })
            })
            .collect();
        if race % 2 == 0 {
            pause(&mut random);
            children[random.below(number as u64) as usize].signal(libc::SIGKILL);
        }
        for child in children {
            child.ended();
        }
        let files: HashSet<u64> = memory.words().iter().map(|seen| seen.load(SeqCst)).filter(|file| *file != 0).collect();
        assert!(files.len() <= 1, "{files:?}");
        place.open();
        assert_eq!(std::fs::read_dir(place.0.join("budgets")).unwrap().count(), 1, "no other file is left");
    }
}
