//! The purses of a file: where they lie, how they are found, made and given up.
//!
//! Version 1, in words of 64 bits: a header of 512 ([`HEADER`]), then entries of 48, each in six lines of cache:
//!
//! | line | words |
//! | --- | --- |
//! | 0 | state `[generation:52][0 free, 1 live, 2 busy]`, hash of the key (2), ratio, ttl in nanoseconds, min_per_second, flags |
//! | 1, 2 | the window: head, ten slots (`super::words`) |
//! | 3 | counters: deposits, withdrawals, refunds, refusals, resets |
//! | 4, 5 | the key's text: its length, its first 120 bytes |
//!
//! Purses are found without a lock. They are made and given up under the lock of the file, which ends with the process that has it; each step leaves
//! what the next one who has the lock can tell from the words. Whoever uses a purse remembers its generation and looks at the state before each swap:
//! what was given up since then is found gone.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::words::{MOVING, RETIRED, SLOTS, Window};
use crate::retry::{BudgetKind, DepositOn};

pub(super) const HEADER_WORDS: usize = 512;
const ENTRY_WORDS: usize = 48;
const ENTRIES: usize = 4096;
/// Of a file.
pub(super) const BYTES: usize = (HEADER_WORDS + ENTRIES * ENTRY_WORDS) * 8;
/// What a file begins with: its name and version (the word's order of bytes shows too), bytes of the header, of an entry, of all; and entries.
pub(super) const HEADER: [u64; 5] = [0x726b_6e6f_636b_2031, HEADER_WORDS as u64 * 8, ENTRY_WORDS as u64 * 8, BYTES as u64, ENTRIES as u64];

/// How many entries from its place on a purse may lie.
const PROBES: usize = 64;
const LIVE: u64 = 1;
const BUSY: u64 = 2;

const HASH: usize = 1;
const TTL: usize = 4;
const WINDOW: usize = 8;
const COUNTERS: usize = 24;
const TEXT: usize = 32;
const MOST_TEXT: usize = 120;

/// Whose purse it is: who shares it by which parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    hash: [u64; 2],
    parameters: [u64; 4],
    text: String,
}

/// Where a purse was found, and which of those that lay there: `[generation:52][index:12]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub u64);

impl Place {
    fn new(index: usize, state: u64) -> Self {
        Place(state >> 2 << 12 | index as u64 & MOST_INDEX)
    }

    fn index(self) -> usize {
        (self.0 & MOST_INDEX) as usize
    }

    /// While it is the one that lies there.
    fn state(self) -> u64 {
        self.0 >> 12 << 2 | LIVE
    }
}

const MOST_INDEX: u64 = ENTRIES as u64 - 1;

/// What the processes did with a purse.
pub(super) struct Counters<'a> {
    pub deposits: &'a AtomicU64,
    pub withdrawals: &'a AtomicU64,
    pub refunds: &'a AtomicU64,
    pub refusals: &'a AtomicU64,
    pub resets: &'a AtomicU64,
}

/// The words of a file.
#[derive(Clone, Copy)]
pub(super) struct Table<'a>(pub &'a [AtomicU64]);

impl Key {
    /// `text`: who shares it. Concurrency budgets have none.
    pub fn new(text: &str, kind: &BudgetKind) -> Option<Self> {
        let BudgetKind::Ratio { ratio_millionths, min_per_second, ttl, deposit_on } = *kind else { return None };
        let ttl = u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX);
        let parameters = [ratio_millionths, ttl, min_per_second.into(), (deposit_on == DepositOn::Call).into()];
        let numbers = parameters.iter().flat_map(|number| number.to_le_bytes());
        let hash = fnv(text.bytes().chain(numbers));
        Some(Key { hash: [hash as u64, (hash >> 64) as u64], parameters, text: text.to_owned() })
    }

    /// Where it is looked for first, in a table of any size.
    pub fn first(&self) -> usize {
        self.hash[0] as usize
    }
}

/// FNV-1a of 128 bits: the same in every build, which std's hashes do not promise.
fn fnv(bytes: impl Iterator<Item = u8>) -> u128 {
    bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    })
}

impl<'a> Table<'a> {
    /// The entries that there are room for.
    fn entries(self) -> usize {
        self.0.len().saturating_sub(HEADER_WORDS) / ENTRY_WORDS
    }

    fn entry(self, index: usize) -> &'a [AtomicU64] {
        &self.0[HEADER_WORDS + index * ENTRY_WORDS..][..ENTRY_WORDS]
    }

    fn state(self, index: usize) -> &'a AtomicU64 {
        &self.entry(index)[0]
    }

    fn probes(self, key: &Key) -> impl Iterator<Item = usize> + use<> {
        let (entries, first) = (self.entries(), key.first());
        (0..PROBES.min(entries)).map(move |probe| first.wrapping_add(probe) % entries)
    }

    /// Whether the purse that was found there is the one that lies there.
    #[inline]
    pub fn is_live(self, place: Place) -> bool {
        self.state(place.index()).load(Acquire) == place.state()
    }

    pub fn window(self, place: Place) -> Window<'a, AtomicU64> {
        let words = &self.entry(place.index())[WINDOW..];
        let slots = words[1..].first_chunk::<{ SLOTS as usize }>();
        Window { head: &words[0], slots: slots.expect("an entry has more words") }
    }

    pub fn counters(self, place: Place) -> Counters<'a> {
        let words = &self.entry(place.index())[COUNTERS..];
        Counters { deposits: &words[0], withdrawals: &words[1], refunds: &words[2], refusals: &words[3], resets: &words[4] }
    }

    /// The purse of this key.
    pub fn find(self, key: &Key) -> Option<Place> {
        self.probes(key).find_map(|index| {
            let (entry, state) = (self.entry(index), self.state(index).load(Acquire));
            let numbers = key.hash.iter().chain(&key.parameters);
            let same = state & 3 == LIVE && entry[HASH..].iter().zip(numbers).all(|(word, number)| word.load(Acquire) == *number);
            let place = Place::new(index, state);
            (same && self.is_live(place)).then_some(place)
        })
    }

    /// The purse of this key, made if there is none; nothing if there is no room for it. Only for who has the lock of the file. `now`: nanoseconds.
    pub fn find_or_make(self, key: &Key, now: u64) -> Option<Place> {
        self.probes(key).for_each(|index| self.recover(index)); // before any is taken
        self.find(key).or_else(|| self.probes(key).find_map(|index| self.make(index, key, now)))
    }

    /// Somebody died while he made a purse here: if the window is there, so is the purse, which had not been given up yet, or was ready. Or somebody
    /// scribbled: a purse that is given up is not live.
    fn recover(self, index: usize) {
        let state = self.state(index).load(Acquire);
        let retired = self.window(Place::new(index, state)).head.load(Acquire) == RETIRED;
        match state & 3 {
            BUSY if !retired => self.state(index).store(state & !3 | LIVE, Release),
            LIVE if retired => self.state(index).store(state & !3 | BUSY, Release),
            _ => {}
        }
    }

    /// A full purse in place of one that nobody used for longer than it remembers.
    fn make(self, index: usize, key: &Key, now: u64) -> Option<Place> {
        let (entry, state) = (self.entry(index), self.state(index).load(Acquire));
        let window = self.window(Place::new(index, state));
        let generation = state >> 2 & u64::MAX >> 12;
        if state & 3 != BUSY {
            let head = window.head.load(Acquire);
            let newest = now / slot_width(entry[TTL].load(Acquire));
            if state & 3 == LIVE && (head & MOVING != 0 || head.saturating_add(SLOTS + 1) >= newest) {
                return None;
            }
            // From here on operations find it gone; one that is under way may still win.
            self.state(index).store(generation << 2 | BUSY, Release);
            if !window.retire(head) {
                self.recover(index);
                return None;
            }
        }
        let generation = (generation + 1) & (u64::MAX >> 12);
        self.state(index).store(generation << 2 | BUSY, Release);
        let numbers = key.hash.iter().chain(&key.parameters);
        entry[HASH..].iter().zip(numbers).for_each(|(word, number)| word.store(*number, Release));
        entry[COUNTERS..TEXT].iter().for_each(|counter| counter.store(0, Relaxed));
        let shown = &key.text.as_bytes()[..key.text.len().min(MOST_TEXT)];
        entry[TEXT].store(key.text.len() as u64, Relaxed);
        for (word, bytes) in entry[TEXT + 1..].iter().zip(shown.chunks(8)) {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(eight), Relaxed);
        }
        window.renew(now / slot_width(key.parameters[1]));
        let place = Place::new(index, generation << 2 | LIVE);
        self.state(index).swap(place.state(), AcqRel);
        Some(place)
    }
}

/// What one of ten slots lasts, in nanoseconds.
pub(super) fn slot_width(ttl: u64) -> u64 {
    (ttl / SLOTS).max(1)
}
