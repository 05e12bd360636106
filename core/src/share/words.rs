//! A ratio budget as words that any number of processes step at once: the second implementation of the rule in `retry::budget`, which is its model.
//!
//! Nobody waits: every operation is decided by one compare-and-swap on the word of the newest slot, and whoever finds the window on its way to a newer
//! slot takes it there. A process may be stopped or die between any two instructions; the step that it was about to make is then not made, and
//! nothing else is lost.
//!
//! - `head`: the newest slot, and whether the window is on its way there: `[moving:1][slot:63]`.
//! - ten slots, each in its place (number modulo ten): `[sealed:1][tag:19][net:44]`. The tag is the low part of the slot's number, net what the slot
//!   earned less what it spent, in millionths of a retry; it stops at 8.7 million retries either way.
//!
//! What makes it exact: all but the newest slot are sealed, and a sealed one only grows, by refunds. A withdrawal reads the newest word first and the
//! others after it. So if the sum is too low, it was too low at the first look; and if the swap succeeds, nothing but growth has happened since.
//! An older word is therefore never debited, nor paid into.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// A word that processes share.
pub(super) trait Word {
    /// What it holds.
    fn get(&self) -> u64;
    /// Makes it `new` if it holds `old`; whether it did.
    fn replace(&self, old: u64, new: u64) -> bool;
}

impl Word for AtomicU64 {
    #[inline]
    fn get(&self) -> u64 {
        self.load(Acquire)
    }

    #[inline]
    fn replace(&self, old: u64, new: u64) -> bool {
        self.compare_exchange(old, new, AcqRel, Acquire).is_ok()
    }
}

/// One retry, in the unit of the purse.
pub(super) const RETRY: i64 = 1_000_000;
pub(super) const SLOTS: u64 = 10;
/// The head of a purse that was given up: no slot is ever as late.
pub(super) const RETIRED: u64 = 1 << 62;
/// Of a head.
pub(super) const MOVING: u64 = 1 << 63;
/// Of a slot's word.
pub(super) const SEALED: u64 = 1 << 63;
const NET_BITS: u32 = 44;
const NET: u64 = (1 << NET_BITS) - 1;
const TAG: u64 = (1 << 19) - 1;
const MOST: i64 = (1 << (NET_BITS - 1)) - 1;

/// The purse was given up, or is another's by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// The words of one purse.
pub(super) struct Window<'a, W> {
    pub head: &'a W,
    pub slots: &'a [W; SLOTS as usize],
}

/// The word of a slot.
pub(super) const fn word(slot: u64, net: i64, sealed: bool) -> u64 {
    (if sealed { SEALED } else { 0 }) | ((slot & TAG) << NET_BITS) | (net as u64 & NET)
}

/// A word that is of no slot which is looked for, and takes nothing.
pub(super) const DEAD: u64 = SEALED | (TAG << NET_BITS);

pub(super) const fn net(word: u64) -> i64 {
    ((word << (64 - NET_BITS)) as i64) >> (64 - NET_BITS)
}

const fn is_of(word: u64, slot: u64) -> bool {
    (word >> NET_BITS) & TAG == slot & TAG
}

/// The oldest slot of a window. Before slot 0 there is none.
const fn first(newest: u64) -> u64 {
    newest.saturating_sub(SLOTS - 1)
}

fn plus(word: u64, amount: i64) -> u64 {
    (word & !NET) | (net(word).saturating_add(amount).clamp(-MOST, MOST) as u64 & NET)
}

impl<W: Word> Window<'_, W> {
    fn at(&self, slot: u64) -> &W {
        &self.slots[(slot % SLOTS) as usize]
    }

    /// The newest slot, which is at least `slot`: an older one counts as the newest. Moves the window on where it must, or helps who does. `live`: the
    /// purse is still the one that is meant.
    #[inline]
    fn settle(&self, slot: u64, live: impl Fn() -> bool) -> Result<u64, Gone> {
        let head = self.head.get();
        match head & MOVING == 0 && head >= slot {
            true if head == RETIRED => Err(Gone),
            true => Ok(head),
            false => self.slide(slot, live),
        }
    }

    #[cold]
    fn slide(&self, slot: u64, live: impl Fn() -> bool) -> Result<u64, Gone> {
        loop {
            let head = self.head.get();
            // Another purse counts in slots of another width.
            if head == RETIRED || !live() {
                return Err(Gone);
            }
            if head & MOVING == 0 {
                if head >= slot {
                    return Ok(head);
                }
                self.head.replace(head, slot | MOVING);
                continue;
            }
            let newest = head & !MOVING;
            // From the oldest on: the slot that was the newest is sealed before one that it was counted with goes.
            for slot in first(newest)..=newest {
                self.prepare(slot, slot != newest, head);
            }
            self.head.replace(head, newest);
        }
    }

    /// While the window moves to `head`: the word is the slot's, and sealed unless that is the newest.
    fn prepare(&self, slot: u64, sealed: bool, head: u64) {
        loop {
            let old = self.at(slot).get();
            if self.head.get() != head {
                return; // others have done it
            }
            let new = match is_of(old, slot) {
                true if sealed => old | SEALED,
                true => old & !SEALED,
                false => word(slot, 0, sealed),
            };
            if new == old || self.at(slot).replace(old, new) {
                return;
            }
        }
    }

    /// A word that is not its slot's. The window has moved on, or somebody scribbled on it: then it begins anew.
    #[cold]
    fn mend(&self, slot: u64, head: u64, old: u64) {
        if self.head.get() == head {
            self.at(slot).replace(old, word(slot, 0, slot != head));
        }
    }

    /// Pays in. The slot that has it.
    #[inline]
    pub fn deposit(&self, amount: i64, slot: u64, live: impl Fn() -> bool) -> Result<u64, Gone> {
        loop {
            let head = self.settle(slot, &live)?;
            let newest = self.at(head).get();
            if !live() {
                return Err(Gone);
            }
            if !is_of(newest, head) || newest & SEALED != 0 {
                self.mend(head, head, newest);
            } else if self.at(head).replace(newest, plus(newest, amount)) {
                return Ok(head);
            }
        }
    }

    /// Takes a retry, if there is one with the reserve. The slot that it is taken from.
    #[inline]
    pub fn withdraw(&self, reserve: i64, slot: u64, live: impl Fn() -> bool) -> Result<Option<u64>, Gone> {
        loop {
            let head = self.settle(slot, &live)?;
            let newest = self.at(head).get();
            if !live() {
                return Err(Gone);
            }
            if !is_of(newest, head) || newest & SEALED != 0 {
                self.mend(head, head, newest);
                continue;
            }
            let Some(older) = self.older(head) else { continue };
            if reserve.saturating_add(net(newest)).saturating_add(older) < RETRY {
                return Ok(None);
            }
            if self.at(head).replace(newest, plus(newest, -RETRY)) {
                return Ok(Some(head));
            }
        }
    }

    /// What the nine slots before the newest hold; nothing if one of them is another's.
    fn older(&self, head: u64) -> Option<i64> {
        let (mut sum, mut torn) = (0, false);
        for slot in first(head)..head {
            let old = self.at(slot).get();
            if is_of(old, slot) {
                sum += net(old);
            } else {
                torn = true;
                self.mend(slot, head, old);
            }
        }
        (!torn).then_some(sum)
    }

    /// Gives back a retry that was taken from slot `from`, unless that one counts no more.
    pub fn refund(&self, from: u64, slot: u64, live: impl Fn() -> bool) -> Result<(), Gone> {
        let head = self.settle(slot, &live)?;
        if from > head || head - from >= SLOTS {
            return Ok(());
        }
        loop {
            let old = self.at(from).get();
            if !live() {
                return Err(Gone);
            }
            if !is_of(old, from) || self.at(from).replace(old, plus(old, RETRY)) {
                return Ok(());
            }
        }
    }

    /// What the window holds at one moment: two looks that are the same. Where it never rests, the last of some.
    pub fn sum(&self, slot: u64, live: impl Fn() -> bool) -> Result<i64, Gone> {
        let mut seen = None;
        for _ in 0..16 {
            let head = self.settle(slot, &live)?;
            let words: [u64; SLOTS as usize] = std::array::from_fn(|place| self.slots[place].get());
            if seen.replace((head, words)) == Some((head, words)) {
                break;
            }
        }
        let Some((head, words)) = seen else { return Ok(0) };
        let slots = (first(head)..=head).map(|slot| (slot, words[(slot % SLOTS) as usize]));
        Ok(slots.filter(|(slot, held)| is_of(*held, *slot)).map(|(_, held)| net(held)).sum())
    }

    /// Gives the purse up if nobody has touched it since its newest slot was `head`: operations under way find it gone, and change nothing of what it
    /// becomes. Whether it was given up.
    pub fn retire(&self, head: u64) -> bool {
        if !self.head.replace(head, RETIRED) {
            return false;
        }
        self.slots.iter().for_each(|slot| set(slot, DEAD));
        true
    }

    /// Makes a purse that was given up a full one, whose newest slot is `slot`.
    pub fn renew(&self, slot: u64) {
        for of in first(slot)..=slot {
            set(self.at(of), word(of, 0, of != slot));
        }
        set(self.head, slot);
    }
}

/// Whatever others do to it meanwhile.
fn set(word: &impl Word, value: u64) {
    loop {
        let old = word.get();
        if old == value || word.replace(old, value) {
            return;
        }
    }
}
