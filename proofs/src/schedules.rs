//! Every order of a few steps, with all that the memory model allows (loom).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::{AcqRel, Acquire};
use loom::thread;

use crate::histories::{DEPOSIT, Done, could_be};
use crate::model::{Memory, Step};
use crate::words::Word;

impl Word for AtomicU64 {
    fn get(&self) -> u64 {
        self.load(Acquire)
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        self.compare_exchange(old, new, AcqRel, Acquire).is_ok()
    }
}

/// What two threads do, from slot 20 on, where a deposit of 1.2 retries is.
const PROGRAMS: [[&[(Step, u64)]; 2]; 4] = [
    // For the last retry, while the slot passes.
    [&[(Step::Withdraw, 20)], &[(Step::Withdraw, 21)]],
    // A deposit for the slot that passes, and one who counts what is there.
    [&[(Step::Deposit, 20)], &[(Step::Withdraw, 21), (Step::Withdraw, 21)]],
    // What is given back to an older slot.
    [&[(Step::Withdraw, 20), (Step::Refund(0), 20)], &[(Step::Withdraw, 22)]],
    // The whole window passes.
    [&[(Step::Withdraw, 20), (Step::Deposit, 29)], &[(Step::Deposit, 31)]],
];

/// The schedules with so many preemptions at most, in an order that does not depend on chance; of each program the first `most`.
pub fn all(preemptions: usize, most: usize) {
    for programs in PROGRAMS {
        let mut builder = loom::model::Builder::new();
        (builder.preemption_bound, builder.max_permutations, builder.checkpoint_interval) = (Some(preemptions), Some(most), most);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        builder.check(move || {
            counted.fetch_add(1, SeqCst);
            one(programs);
        });
        let count = count.load(SeqCst);
        println!("   {count} schedules of {programs:?}, {}", if count + 1 < most { "which is all" } else { "and there are more" });
    }
}

fn one(programs: [&'static [(Step, u64)]; 2]) {
    let memory = Arc::new(Memory::new(20, |_, word| AtomicU64::new(word)));
    let first = [(Step::Deposit, 20), (Step::Deposit, 20)];
    let mut done = perform(&memory, &first, 0);
    let threads: Vec<_> = programs
        .into_iter()
        .enumerate()
        .map(|(thread, program)| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || perform(&memory, program, thread + 1))
        })
        .collect();
    for thread in threads {
        done.extend(thread.join().unwrap());
    }
    let sum = memory.window().sum(0, || true).unwrap();
    assert!(could_be(&done, sum), "{done:?} leaves {sum}");
}

/// In the order of their thread; those of two threads are at the same time for all that is known. The first thread is before the others.
fn perform(memory: &Memory<AtomicU64>, program: &[(Step, u64)], thread: usize) -> Vec<Done> {
    let window = memory.window();
    let mut granted = None;
    let mut done = Vec::new();
    for (number, (step, slot)) in program.iter().enumerate() {
        let said = match step {
            Step::Deposit => window.deposit(DEPOSIT, *slot, || true).ok(),
            Step::Withdraw => {
                granted = window.withdraw(0, *slot, || true).unwrap();
                granted
            }
            Step::Refund(_) => {
                let Some(grant) = granted else { continue };
                window.refund(grant, *slot, || true).unwrap();
                Some(grant)
            }
        };
        let (from, to) = if thread == 0 { (number, number) } else { (10 + number, usize::MAX) };
        done.push(Done { thread, step: *step, slot: *slot, from, to, said });
    }
    done
}
