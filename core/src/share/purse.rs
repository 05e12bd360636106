//! One budget's share in a purse of the host.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::file::Shared;
use super::table::{Key, Place, slot_width};
use super::words::{Gone, MOVING, RETIRED, RETRY, SLOTS, Window, Word};
use crate::retry::{BudgetKind, BudgetReading, Grant, Share, SharedPurse};
use crate::time::Tick;

/// Where the table has no room for a purse, those of the same parameters share one.
const BEYOND: &str = "beyond";

pub(super) struct Purse {
    file: Arc<Shared>,
    key: Key,
    width: u64,
    ratio: i64,
    reserve: i64,
    /// Where it lies: another purse may take its place while nobody uses it, and then it is found or made anew.
    place: AtomicU64,
    own: Own,
}

/// What this process did.
#[derive(Default)]
struct Own {
    deposits: AtomicU64,
    /// Deposits that are counted in the file. They are added once a slot: its counter would be what all processes fight over.
    told: AtomicU64,
    withdrawals: AtomicU64,
    refunds: AtomicU64,
    refusals: AtomicU64,
    /// The newest slot that was seen.
    slot: AtomicU64,
}

impl Purse {
    /// The purse of these parameters that `text` shares, made if there is none.
    pub fn new(file: Arc<Shared>, text: &str, kind: &BudgetKind) -> Result<Self, String> {
        let (BudgetKind::Ratio { ratio_millionths, min_per_second, ttl, .. }, Some(key), Some(beyond)) =
            (*kind, Key::new(text, kind), Key::new(BEYOND, kind))
        else {
            return Err("only ratio budgets are shared by a host".to_owned());
        };
        let (key, place) = match file.find_or_make(&key)? {
            Some(place) => (key, place),
            None => {
                let place = file.find_or_make(&beyond)?.ok_or_else(|| format!("{}: its table is full", file.path()))?;
                (beyond, place)
            }
        };
        let reserve = u128::from(min_per_second) * ttl.as_micros();
        Ok(Purse {
            file,
            key,
            width: slot_width(u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX)),
            ratio: i64::try_from(ratio_millionths).unwrap_or(i64::MAX),
            reserve: i64::try_from(reserve).unwrap_or(i64::MAX),
            place: AtomicU64::new(place.0),
            own: Own::default(),
        })
    }

    /// One operation. Nothing if the purse is gone and cannot be had anew.
    #[inline]
    fn step<T>(&self, now: Tick, step: impl Fn(&Window<'_, AtomicU64>, u64, &dyn Fn() -> bool) -> Result<T, Gone>) -> Option<(T, Place)> {
        // Whoever finds it gone twice has a file that somebody scribbles on.
        for _ in 0..3 {
            let place = Place(self.place.load(Acquire));
            let table = self.file.table();
            let (window, live) = (table.window(place), || table.is_live(place));
            let slot = self.slot(&window, now, &live);
            match step(&window, slot, &live) {
                Ok(done) => return Some((done, place)),
                Err(Gone) => self.place.store(self.file.find_or_make(&self.key).ok()??.0, Release),
            }
        }
        None
    }

    /// The slot of `now`. Where that is not the newest one, or next to it, the host's clock says: whatever a caller's clock is, it does not move the
    /// window beyond the present.
    #[inline]
    fn slot(&self, window: &Window<'_, AtomicU64>, now: Tick, live: &dyn Fn() -> bool) -> u64 {
        let slot = now.nanos() / self.width;
        let head = window.head.get();
        if head == slot || head == slot + 1 { slot } else { self.slot_by_clock(window, live) }
    }

    #[cold]
    fn slot_by_clock(&self, window: &Window<'_, AtomicU64>, live: &dyn Fn() -> bool) -> u64 {
        // The head first: others may move it while the clock is read.
        let head = window.head.get();
        let slot = self.file.now().nanos() / self.width;
        if head & !MOVING > slot + 1 && head != RETIRED && live() && window.head.replace(head, slot) {
            // No process could have moved it there.
            self.file.table().counters(Place(self.place.load(Relaxed))).resets.fetch_add(1, Relaxed);
        }
        slot
    }

    /// Once a slot, if there is anything to do: what was deposited is counted, and the file looked at.
    #[inline]
    fn passed(&self, slot: u64, place: Place) {
        if self.own.slot.load(Relaxed) != slot {
            self.own.slot.store(slot, Relaxed);
            self.tell(place);
            self.file.look();
        }
    }

    fn tell(&self, place: Place) {
        let made = self.own.deposits.load(Relaxed);
        // Two that do this at a time may take back what the other told too much.
        let untold = made.wrapping_sub(self.own.told.swap(made, Relaxed));
        self.file.table().counters(place).deposits.fetch_add(untold, Relaxed);
    }
}

impl SharedPurse for Purse {
    fn deposit(&self, now: Tick) {
        if let Some((slot, place)) = self.step(now, |window, slot, live| window.deposit(self.ratio, slot, live)) {
            self.own.deposits.fetch_add(1, Relaxed);
            self.passed(slot, place);
        }
    }

    fn withdraw(&self, now: Tick) -> Option<Grant> {
        let done = self.step(now, |window, slot, live| window.withdraw(self.reserve, slot, live));
        let place = done.map_or(Place(self.place.load(Relaxed)), |(_, place)| place);
        let counters = self.file.table().counters(place);
        // A purse that cannot be had grants nothing.
        let Some((Some(slot), _)) = done else {
            self.own.refusals.fetch_add(1, Relaxed);
            counters.refusals.fetch_add(1, Relaxed);
            return None;
        };
        self.own.withdrawals.fetch_add(1, Relaxed);
        counters.withdrawals.fetch_add(1, Relaxed);
        self.passed(slot, place);
        Some(Grant { slot })
    }

    fn refund(&self, grant: Grant, now: Tick) {
        if let Some(((), place)) = self.step(now, |window, slot, live| window.refund(grant.slot, slot, live)) {
            self.own.refunds.fetch_add(1, Relaxed);
            self.file.table().counters(place).refunds.fetch_add(1, Relaxed);
        }
    }

    fn reading(&self, now: Tick) -> BudgetReading {
        let own = &self.own;
        let mut reading = BudgetReading {
            share: Share::Host,
            path: Some(self.file.path().to_owned()),
            own_deposits: own.deposits.load(Relaxed),
            own_withdrawals: own.withdrawals.load(Relaxed).saturating_sub(own.refunds.load(Relaxed)),
            own_refusals: own.refusals.load(Relaxed),
            ..BudgetReading::default()
        };
        if let Some((sum, place)) = self.step(now, |window, slot, live| window.sum(slot, live)) {
            self.tell(place);
            let host = self.file.table().counters(place);
            reading.balance = self.reserve.saturating_add(sum) / RETRY;
            reading.deposits = host.deposits.load(Relaxed);
            reading.withdrawals = host.withdrawals.load(Relaxed).saturating_sub(host.refunds.load(Relaxed));
            reading.refusals = host.refusals.load(Relaxed);
            reading.resets = host.resets.load(Relaxed);
        }
        reading
    }

    /// What this process did is all that is lost with it.
    fn is_idle(&self, now: Tick) -> bool {
        now.nanos() / self.width > self.own.slot.load(Relaxed).saturating_add(SLOTS)
    }

    fn is_lost(&self) -> bool {
        self.file.is_lost()
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        let place = Place(self.place.load(Relaxed));
        if self.file.table().is_live(place) {
            self.tell(place);
        }
    }
}
