//! What several do at once is what they could have done one after another.
//!
//! Operations run as threads of which one moves at a time, from one access of a word to the next, in an order that chance draws. What they said is
//! then held against every order in which they could have happened. Words that forget their seals have to be caught: they are what makes it exact.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};

use crate::model::{Memory, Model, Random, Step};
use crate::words::{SEALED, Word};

const FIRST: u64 = 20;
pub const DEPOSIT: i64 = 600_000;
const RESERVE: i64 = 0;

/// Whose turn it is among those that are not at their end.
struct Turns {
    state: Mutex<State>,
    moved: Condvar,
    time: AtomicUsize,
}

struct State {
    turn: usize,
    random: Random,
    running: Vec<usize>,
}

thread_local! {
    static ME: RefCell<Option<(Arc<Turns>, usize)>> = const { RefCell::new(None) };
}

impl State {
    /// Seldom: what goes wrong does so while one stands still for long.
    fn pass(&mut self) {
        if self.running.contains(&self.turn) && self.random.below(8) != 0 {
            return;
        }
        if !self.running.is_empty() {
            self.turn = self.running[self.random.below(self.running.len() as u64) as usize];
        }
    }
}

impl Turns {
    fn wait(&self, me: usize) {
        let mut state = self.state.lock().unwrap();
        state.pass();
        self.moved.notify_all();
        drop(self.moved.wait_while(state, |state| state.turn != me).unwrap());
    }

    fn end(&self, me: usize) {
        let mut state = self.state.lock().unwrap();
        state.running.retain(|running| *running != me);
        state.pass();
        self.moved.notify_all();
    }
}

/// A word each of whose accesses is a move of its own, and which does not keep some bits.
struct Watched {
    word: AtomicU64,
    forgets: u64,
}

fn turn() {
    ME.with_borrow(|me| {
        if let Some((turns, me)) = me {
            turns.wait(*me);
        }
    });
}

impl Word for Watched {
    fn get(&self) -> u64 {
        turn();
        self.word.get()
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        turn();
        self.word.replace(old, new & !self.forgets)
    }
}

/// One operation: when it began and ended, and what it said.
#[derive(Clone, Debug)]
pub struct Done {
    pub thread: usize,
    pub step: Step,
    pub slot: u64,
    pub from: usize,
    pub to: usize,
    /// Of a refund: the slot that it gives back to.
    pub said: Option<u64>,
}

type Program = Vec<(Step, u64)>;

/// What each thread does, in order; then every operation with what came of it, and what the window holds in the end.
fn race(seed: u64, forgets: u64, programs: &[Program]) -> (Vec<Done>, i64) {
    let memory = Memory::new(FIRST, |head, word| Watched { word: AtomicU64::new(word), forgets: if head { 0 } else { forgets } });
    let state = State { turn: 0, random: Random(seed << 20), running: (0..programs.len()).collect() };
    let turns = Arc::new(Turns { state: Mutex::new(state), moved: Condvar::new(), time: AtomicUsize::new(0) });
    let done = std::thread::scope(|scope| {
        let threads = programs.iter().enumerate().map(|(me, program)| {
            let (memory, turns) = (&memory, Arc::clone(&turns));
            scope.spawn(move || {
                ME.set(Some((Arc::clone(&turns), me)));
                turns.wait(me);
                let done = perform(memory, &turns, program, me);
                turns.end(me);
                done
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    (done, memory.window().sum(0, || true).unwrap())
}

fn perform(memory: &Memory<Watched>, turns: &Turns, program: &Program, thread: usize) -> Vec<Done> {
    let window = memory.window();
    let time = || turns.time.fetch_add(1, SeqCst);
    let mut granted = Vec::new();
    let mut done = Vec::new();
    for (step, slot) in program {
        let (step, slot, from) = (*step, *slot, time());
        let said = match step {
            Step::Deposit => window.deposit(DEPOSIT, slot, || true).ok(),
            Step::Withdraw => {
                let said = window.withdraw(RESERVE, slot, || true).unwrap();
                granted.push(said);
                said
            }
            Step::Refund(of) => {
                // What was refused is not given back.
                let Some(grant) = granted[of] else { continue };
                window.refund(grant, slot, || true).unwrap();
                Some(grant)
            }
        };
        done.push(Done { thread, step, slot, from, to: time(), said });
    }
    done
}

/// Whether the operations could have happened one after another, each between its begin and its end and in the order of its thread, and leave `sum`.
/// One may move the window before it does what it is for: others see its slot then.
pub fn could_be(done: &[Done], sum: i64) -> bool {
    search(&Model::new(FIRST), &mut done.iter().collect(), sum)
}

fn search(model: &Model, left: &mut Vec<&Done>, sum: i64) -> bool {
    if left.is_empty() {
        return model.sum() == sum;
    }
    let first_end = left.iter().map(|done| done.to).min().unwrap_or_default();
    (0..left.len()).any(|index| {
        let done = left[index];
        let too_early = |other: &&Done| other.thread == done.thread && other.from < done.from;
        if done.from > first_end || left.iter().any(too_early) {
            return false;
        }
        if done.slot > model.newest {
            let mut moved = model.clone();
            moved.newest = done.slot;
            if search(&moved, left, sum) {
                return true;
            }
        }
        let mut after = model.clone();
        let said = match done.step {
            Step::Deposit => Some(after.deposit(DEPOSIT, done.slot)),
            Step::Withdraw => after.withdraw(RESERVE, done.slot),
            Step::Refund(_) => {
                after.refund(done.said.unwrap_or_default(), done.slot);
                done.said
            }
        };
        said == done.said && {
            left.swap_remove(index);
            let found = search(&after, left, sum);
            left.push(done);
            let last = left.len() - 1;
            left.swap(index, last);
            found
        }
    })
}

/// Two or three threads that deposit, withdraw and give back, around the moments when slots pass.
fn programs(random: &mut Random) -> Vec<Program> {
    let mut program = |length| {
        let (mut withdrawals, mut program) = (0, Vec::new());
        for _ in 0..length {
            let slot = FIRST + [0, 0, 0, 1, 1, 2, 9, 10, 11, 13][random.below(10) as usize];
            let step = match random.below(6) {
                0 if withdrawals > 0 => Step::Refund(random.below(withdrawals) as usize),
                0..3 => Step::Deposit,
                _ => {
                    withdrawals += 1;
                    Step::Withdraw
                }
            };
            // Given back once.
            if !program.iter().any(|(known, _)| *known == step && matches!(step, Step::Refund(_))) {
                program.push((step, slot));
            }
        }
        program
    };
    vec![program(4), program(4), program(3)]
}

pub fn all_could_be(histories: u64) {
    let mut random = Random(3);
    for seed in 0..histories {
        let programs = programs(&mut random);
        let (done, sum) = race(seed, 0, &programs);
        assert!(could_be(&done, sum), "history {seed} of {programs:?}: {done:#?} leaves {sum}");
    }
}

/// The first history that could not be, of words that forget their seals.
pub fn forgetful_words_are_caught(within: u64) {
    let mut random = Random(3);
    let caught = (0..within).find(|seed| {
        let (done, sum) = race(*seed, SEALED, &programs(&mut random));
        !could_be(&done, sum)
    });
    println!("caught in history {}", caught.expect("words without seals are not exact, and it shows"));
}
