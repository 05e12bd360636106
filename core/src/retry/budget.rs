//! Retry budgets: a shared purse that bounds the extra load of retries.
//!
//! The state is plain data in a fixed layout, stepped by one pure function; `Budget` puts a lock around it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::Tick;

/// Parameters of a budget and who shares it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BudgetSpec {
    /// The rule.
    pub kind: BudgetKind,
    /// Whose calls it counts.
    pub scope: Scope,
    /// Whether it is one process's or the host's. `Host` is for ratio budgets of scope origin or name.
    pub share: Share,
}

/// Who shares a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Calls of one client to one origin (scheme, host, effective port).
    #[default]
    Origin,
    /// All calls of one client.
    Client,
    /// All calls of all clients of the process that use this name.
    Name(String),
}

/// Which processes share a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Share {
    /// Each process has its own.
    #[default]
    Process,
    /// All processes of this user on this host have one, exactly.
    Host,
}

impl Share {
    /// The word for it in documents and readings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Share::Process => "process",
            Share::Host => "host",
        }
    }
}

/// The rule of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BudgetKind {
    /// A windowed ratio of retries to calls, plus a reserve (linkerd, Finagle).
    Ratio {
        /// Retries per deposit, in millionths: 200,000 is 0.2. 0..=1,000,000,000.
        ratio_millionths: u64,
        /// Retries per second of `ttl` that need no deposits; available at once. Any whole number.
        min_per_second: u32,
        /// How long a deposit or a withdrawal counts, to within a tenth. 1s..=60s.
        ttl: Duration,
        /// What earns.
        deposit_on: DepositOn,
    },
    /// A share of the sends in flight (Envoy).
    Concurrency {
        /// Retries at a time per send in flight, in millionths of a percent: 20,000,000 is 20 %. 0..=100,000,000.
        percent_millionths: u64,
        /// Retries at a time that need no sends in flight. Any whole number.
        min: u32,
    },
}

/// What earns a deposit in a ratio budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DepositOn {
    /// Each call, when it begins (Finagle).
    Call,
    /// Each attempt that ends with a response which the policy does not retry (linkerd2, tower, AWS): in an outage nothing comes in but the reserve.
    #[default]
    Success,
}

/// One retry, in the unit of the purse.
const RETRY: i64 = 1_000_000;
const SLOTS: usize = 10;

/// What a budget has and what it did, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetReading {
    /// Retries that would be granted now. Truncated toward zero; a ratio budget may be below zero when deposits ran out
    /// before the withdrawals they paid for.
    pub balance: i64,
    /// Deposits made (ratio), or sends begun (concurrency), by all who share it. Other processes' deposits are told once in a tenth of `ttl`.
    pub deposits: u64,
    /// Retries granted, without those given back.
    pub withdrawals: u64,
    /// Retries refused.
    pub refusals: u64,
    /// Who shares it: `Process` also where the policy says `Host` and it could not be had (`why`).
    pub share: Share,
    /// The file of the host's purse.
    pub path: Option<String>,
    /// Why the budget of a policy that says `share: host` is the process's alone.
    pub why: Option<String>,
    /// Of the deposits, those of this process.
    pub own_deposits: u64,
    /// Of the withdrawals, those of this process.
    pub own_withdrawals: u64,
    /// Of the refusals, those of this process.
    pub own_refusals: u64,
    /// How often a host's purse began anew because somebody had scribbled on its file.
    pub resets: u64,
}

/// A purse that is kept elsewhere, where other processes have it, too. Each method is atomic.
pub(crate) trait SharedPurse: Send + Sync {
    fn deposit(&self, now: Tick);
    fn withdraw(&self, now: Tick) -> Option<Grant>;
    fn refund(&self, grant: Grant, now: Tick);
    fn reading(&self, now: Tick) -> BudgetReading;
    /// Whether this process has not used it for its ttl.
    fn is_idle(&self, now: Tick) -> bool;
    /// Whether it is no more where others look for it.
    fn is_lost(&self) -> bool;
}

/// Where shared purses come from.
pub(crate) trait SharedPurses: fmt::Debug + Send + Sync {
    /// The purse that everybody has who asks for this text and these parameters, or why there is none.
    fn purse(&self, text: &str, kind: &BudgetKind) -> Result<Box<dyn SharedPurse>, String>;
    /// Whether to do without one is an error.
    fn required(&self) -> bool;
    /// Why there can be none.
    fn check(&self) -> Result<(), String>;
}

/// A budget: parameters, and a state behind a lock. Shared by reference; all methods may be called from any thread.
///
/// Each method is atomic, so racing threads never overdraw. `now` comes from the caller's clock; one clock per budget.
pub struct Budget {
    kind: BudgetKind,
    /// Who was to share it.
    share: Share,
    /// Why they do not.
    why: Option<String>,
    purse: Purse,
    /// How many clients keep it under its name. Whoever else has a share of it is a call.
    pub(super) keepers: AtomicUsize,
    /// Another one has its name now.
    pub(super) replaced: AtomicBool,
}

enum Purse {
    Own(Mutex<State>),
    Shared(Box<dyn SharedPurse>),
}

/// The whole state: plain data, fixed layout, no pointers. The words that the processes of a host share (`share::words`) are a second
/// implementation, and this one is its model.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Ratio: the newest slot seen, as the number of slot widths since the epoch of the clock.
    head: u64,
    /// Ratio: what each of the ten slots up to `head` earned less what it spent, in millionths of a retry.
    slots: [i64; SLOTS],
    /// Ratio: the sum of the slots.
    sum: i64,
    /// Concurrency: sends in flight.
    active: u64,
    /// Concurrency: retries held.
    held: u64,
    last_used: u64,
    deposits: u64,
    withdrawals: u64,
    refusals: u64,
}

#[derive(Clone, Copy)]
enum Step {
    Read,
    Deposit,
    Withdraw,
    Refund(Grant),
    Enter,
    Leave,
    Release,
}

/// A granted retry: what it takes to give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) slot: u64,
}

impl State {
    /// The one transition function. `None` only for a refused withdrawal.
    fn step(&mut self, kind: &BudgetKind, step: Step, now: Tick) -> Option<Grant> {
        self.last_used = self.last_used.max(now.nanos());
        match kind {
            BudgetKind::Ratio { ratio_millionths, ttl, .. } => {
                self.advance(now.nanos() / slot_width(*ttl));
                match step {
                    Step::Deposit => {
                        self.deposits += 1;
                        self.add(self.head, i64::try_from(*ratio_millionths).unwrap_or(i64::MAX));
                    }
                    Step::Withdraw => {
                        if self.purse(kind) < RETRY {
                            self.refusals += 1;
                            return None;
                        }
                        self.withdrawals += 1;
                        self.add(self.head, -RETRY);
                    }
                    Step::Refund(grant) => {
                        self.withdrawals -= 1;
                        // Into the slot it came from; if that one is over, the withdrawal no longer counts anyway.
                        if self.head - grant.slot < SLOTS as u64 {
                            self.add(grant.slot, RETRY);
                        }
                    }
                    Step::Read | Step::Enter | Step::Leave | Step::Release => {}
                }
            }
            BudgetKind::Concurrency { .. } => match step {
                Step::Enter => {
                    self.deposits += 1;
                    self.active += 1;
                }
                Step::Leave => self.active -= 1,
                Step::Withdraw => {
                    if self.held >= self.limit(kind) {
                        self.refusals += 1;
                        return None;
                    }
                    self.withdrawals += 1;
                    self.held += 1;
                }
                Step::Refund(_) => {
                    self.withdrawals -= 1;
                    self.held -= 1;
                }
                Step::Release => self.held -= 1,
                Step::Read | Step::Deposit => {}
            },
        }
        Some(Grant { slot: self.head })
    }

    /// Moves the window on to `slot`. An older one counts as the newest.
    fn advance(&mut self, slot: u64) {
        for passed in (self.head + 1..=slot).take(SLOTS) {
            let expired = std::mem::take(&mut self.slots[(passed % SLOTS as u64) as usize]);
            self.sum = self.sum.saturating_sub(expired);
        }
        self.head = self.head.max(slot);
    }

    fn add(&mut self, slot: u64, amount: i64) {
        let slot = &mut self.slots[(slot % SLOTS as u64) as usize];
        *slot = slot.saturating_add(amount);
        self.sum = self.sum.saturating_add(amount);
    }

    /// Ratio: the reserve plus what the window holds, in millionths of a retry.
    fn purse(&self, kind: &BudgetKind) -> i64 {
        let BudgetKind::Ratio { min_per_second, ttl, .. } = kind else { return 0 };
        let reserve = u128::from(*min_per_second) * ttl.as_micros();
        i64::try_from(reserve).unwrap_or(i64::MAX).saturating_add(self.sum)
    }

    /// Concurrency: how many retries may be held.
    fn limit(&self, kind: &BudgetKind) -> u64 {
        let BudgetKind::Concurrency { percent_millionths, min } = kind else { return 0 };
        let share = u128::from(*percent_millionths) * u128::from(self.active) / 100_000_000;
        u64::try_from(share).unwrap_or(u64::MAX).max(u64::from(*min))
    }

    fn reading(&self, kind: &BudgetKind) -> BudgetReading {
        let balance = match kind {
            BudgetKind::Ratio { .. } => self.purse(kind) / RETRY,
            BudgetKind::Concurrency { .. } => {
                i64::try_from(self.limit(kind)).unwrap_or(i64::MAX).saturating_sub(i64::try_from(self.held).unwrap_or(i64::MAX))
            }
        };
        let (deposits, withdrawals, refusals) = (self.deposits, self.withdrawals, self.refusals);
        let (own_deposits, own_withdrawals, own_refusals) = (deposits, withdrawals, refusals);
        BudgetReading { balance, deposits, withdrawals, refusals, own_deposits, own_withdrawals, own_refusals, ..BudgetReading::default() }
    }
}

fn slot_width(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos() / SLOTS as u128).unwrap_or(u64::MAX).max(1)
}

impl Budget {
    /// A full budget, of this process.
    pub fn new(kind: BudgetKind) -> Self {
        Budget {
            kind,
            share: Share::Process,
            why: None,
            purse: Purse::Own(Mutex::default()),
            keepers: AtomicUsize::new(0),
            replaced: AtomicBool::new(false),
        }
    }

    /// That of a host, or if it cannot be had one of this process, which knows why.
    pub(super) fn of_host(kind: BudgetKind, purse: Result<Box<dyn SharedPurse>, String>) -> Self {
        let own = Budget { share: Share::Host, ..Budget::new(kind) };
        match purse {
            Ok(purse) => Budget { purse: Purse::Shared(purse), ..own },
            Err(why) => Budget { why: Some(why), ..own },
        }
    }

    /// The rule.
    pub fn kind(&self) -> BudgetKind {
        self.kind
    }

    /// Counts what pays (ratio budgets earn by it).
    pub fn deposit(&self, now: Tick) {
        self.step(Step::Deposit, now);
    }

    /// Takes one retry if there is one. Check and debit are one step.
    #[must_use]
    pub fn try_withdraw(&self, now: Tick) -> bool {
        self.withdraw(now).is_some()
    }

    /// The balance and the counters.
    pub fn reading(&self, now: Tick) -> BudgetReading {
        let reading = match &self.purse {
            Purse::Own(state) => {
                let mut state = lock(state);
                state.step(&self.kind, Step::Read, now);
                state.reading(&self.kind)
            }
            Purse::Shared(purse) => purse.reading(now),
        };
        BudgetReading { why: self.why.clone(), ..reading }
    }

    /// Who was to share it. That it is `Host` does not mean that it is: see [`BudgetReading::share`].
    pub fn share(&self) -> Share {
        self.share
    }

    /// Why it is this process's alone, if it was to be the host's.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    pub(super) fn withdraw(&self, now: Tick) -> Option<Grant> {
        self.step(Step::Withdraw, now)
    }

    /// Gives back a retry that was granted and not sent.
    pub(super) fn refund(&self, grant: Grant, now: Tick) {
        self.step(Step::Refund(grant), now);
    }

    /// A send begins.
    pub(super) fn enter(&self, now: Tick) {
        self.step(Step::Enter, now);
    }

    /// A send is over and decided.
    pub(super) fn leave(&self, now: Tick) {
        self.step(Step::Leave, now);
    }

    /// A retry that was sent is decided: its place is free again (ratio budgets do not get it back).
    pub(super) fn release(&self, now: Tick) {
        self.step(Step::Release, now);
    }

    /// Whether dropping this budget loses nothing: untouched for its ttl, and nobody is using it.
    pub(super) fn idle(&self, now: Tick) -> bool {
        let state = match &self.purse {
            Purse::Own(state) => lock(state),
            Purse::Shared(purse) => return purse.is_idle(now),
        };
        let keep = match self.kind {
            BudgetKind::Ratio { ttl, .. } => ttl + Duration::from_nanos(slot_width(ttl)),
            BudgetKind::Concurrency { .. } => Duration::ZERO,
        };
        state.active == 0 && state.held == 0 && now.since(Tick(state.last_used)) >= keep
    }

    /// Whether others who look for it find another one.
    pub(super) fn is_lost(&self) -> bool {
        matches!(&self.purse, Purse::Shared(purse) if purse.is_lost())
    }

    #[inline]
    fn step(&self, step: Step, now: Tick) -> Option<Grant> {
        match &self.purse {
            Purse::Own(state) => lock(state).step(&self.kind, step, now),
            Purse::Shared(purse) => {
                match step {
                    Step::Deposit => purse.deposit(now),
                    Step::Withdraw => return purse.withdraw(now),
                    Step::Refund(grant) => purse.refund(grant, now),
                    // A ratio budget does not ask what is in flight.
                    Step::Read | Step::Enter | Step::Leave | Step::Release => {}
                }
                None
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    // No step panics half-way, so a poisoned lock still guards a whole state.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Budget");
        shown.field("kind", &self.kind).field("share", &self.share);
        if let Purse::Own(state) = &self.purse {
            shown.field("reading", &lock(state).reading(&self.kind));
        }
        shown.finish_non_exhaustive()
    }
}
