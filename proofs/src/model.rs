//! The rule as one would write it down: what was earned and spent, and in which slot.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::words::{DEAD, Gone, RETIRED, RETRY, SEALED, SLOTS, Window, Word};

/// Numbers that look like chance, the same ones each time.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 += 1;
        reknock::retry::mix(self.0, 7)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// What is done to a purse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Deposit,
    Withdraw,
    /// Of the withdrawal with this number among the steps of its thread.
    Refund(usize),
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub newest: u64,
    /// Slot and amount, in millionths.
    events: Vec<(u64, i64)>,
}

impl Model {
    pub fn new(newest: u64) -> Self {
        Model { newest, events: Vec::new() }
    }

    pub fn sum(&self) -> i64 {
        self.events.iter().filter(|(slot, _)| slot + SLOTS > self.newest).map(|(_, amount)| amount).sum()
    }

    /// The slot that has it.
    pub fn deposit(&mut self, amount: i64, slot: u64) -> u64 {
        self.newest = self.newest.max(slot);
        self.events.push((self.newest, amount));
        self.newest
    }

    /// The slot that it comes from.
    pub fn withdraw(&mut self, reserve: i64, slot: u64) -> Option<u64> {
        self.newest = self.newest.max(slot);
        let granted = reserve + self.sum() >= RETRY;
        granted.then(|| self.deposit(-RETRY, slot))
    }

    pub fn refund(&mut self, from: u64, slot: u64) {
        self.newest = self.newest.max(slot);
        self.events.push((from, RETRY));
    }
}

/// The words of a purse in memory, of any kind.
pub struct Memory<W> {
    pub head: W,
    pub slots: [W; SLOTS as usize],
}

impl<W: Word> Memory<W> {
    /// A full purse whose newest slot is `slot`. `make`: a head (true), or a slot's word.
    pub fn new(slot: u64, make: impl Fn(bool, u64) -> W) -> Self {
        let memory = Memory { head: make(true, RETIRED), slots: std::array::from_fn(|_| make(false, DEAD)) };
        memory.window().renew(slot);
        memory
    }

    pub fn window(&self) -> Window<'_, W> {
        Window { head: &self.head, slots: &self.slots }
    }
}

/// Every operation of the words says what the model says, after any history, to the millionth.
pub fn steps(rounds: usize) {
    let mut random = Random(1);
    for round in 0..rounds {
        let (amount, reserve) = ([200_000, 0, 1_000_000, 333_333][round % 4], (round % 3) as i64 * 10 * RETRY);
        let mut now = [20, 1000, (1 << 19) - 5, (1 << 40) + 3][round % 4];
        let memory = Memory::new(now, |_, word| AtomicU64::new(word));
        let (window, mut model) = (memory.window(), Model::new(now));
        let mut grants = Vec::new();
        for _ in 0..400 {
            now = match random.below(12) {
                0 => now + random.below(25),
                1..5 => now + 1,
                5 => now.saturating_sub(random.below(4)),
                _ => now,
            };
            match random.below(5) {
                0 | 1 => assert_eq!(window.deposit(amount, now, || true), Ok(model.deposit(amount, now))),
                2 | 3 => {
                    let granted = model.withdraw(reserve, now);
                    assert_eq!(window.withdraw(reserve, now, || true), Ok(granted));
                    grants.extend(granted);
                }
                _ => {
                    if let Some(slot) = grants.pop() {
                        model.refund(slot, now);
                        assert_eq!(window.refund(slot, now, || true), Ok(()));
                    }
                }
            }
            assert_eq!(window.sum(0, || true), Ok(model.sum()));
        }
    }
    given_up();
}

/// Whatever is in the words, every operation ends.
pub fn garbage(rounds: usize) {
    let mut random = Random(2);
    for _ in 0..rounds {
        let memory = Memory::new(5, |_, word| AtomicU64::new(word));
        for word in memory.slots.iter().chain([&memory.head]) {
            match random.below(4) {
                0 => word.store(random.next(), Relaxed),
                1 => word.store(random.below(40) | (random.below(2) * SEALED), Relaxed),
                _ => {}
            }
        }
        let (window, slot) = (memory.window(), random.below(60));
        let _ = window.sum(slot, || true);
        let _ = window.deposit(200_000, slot, || true);
        let _ = window.withdraw(RETRY, slot, || true);
        let _ = window.refund(random.below(60), slot, || true);
    }
}

fn given_up() {
    let memory = Memory::new(7, |_, word| AtomicU64::new(word));
    let window = memory.window();
    assert!(!window.retire(6), "somebody used it since");
    assert!(window.retire(7));
    assert_eq!(window.withdraw(RETRY, 8, || true), Err(Gone));
    assert_eq!((window.deposit(1, 8, || true), window.refund(7, 8, || true)), (Err(Gone), Err(Gone)));
    window.renew(30);
    assert_eq!(window.withdraw(RETRY, 30, || true), Ok(Some(30)));
    // One that looks before it swaps finds that it is another's.
    assert_eq!((window.withdraw(RETRY, 30, || false), window.deposit(1, 31, || false)), (Err(Gone), Err(Gone)));
}
