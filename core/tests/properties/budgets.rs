//! Ratio budgets against a list of events, and against racing threads.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use reknock::retry::{Answer, Budget, BudgetKind, BudgetSpec, Call, Decision, DepositOn, Outcome, Retry, Scope, Share};
use reknock::{Policy, StopReason, Tick, UnixTime};

use crate::strategies::cases;

const GET: Call<'_> = Call { method: "GET", has_idempotency_key: false, asked: false };
const NONE: &[(&str, &str)] = &[];

/// The budget as one would write it down: what was earned and spent, and when.
#[derive(Debug)]
struct Model {
    ratio: i64,
    reserve: i64,
    slot_width: u64,
    newest: u64,
    /// Slot and amount, in millionths.
    events: Vec<(u64, i64)>,
    deposits: u64,
    withdrawals: u64,
    refusals: u64,
}

impl Model {
    fn purse(&mut self, now: Tick) -> i64 {
        self.newest = self.newest.max(now.nanos() / self.slot_width);
        self.reserve + self.events.iter().filter(|(slot, _)| slot + 10 > self.newest).map(|(_, amount)| amount).sum::<i64>()
    }

    fn deposit(&mut self, now: Tick) {
        self.purse(now);
        self.deposits += 1;
        self.events.push((self.newest, self.ratio));
    }

    /// The event's index, to take it back.
    fn withdraw(&mut self, now: Tick) -> Option<usize> {
        if self.purse(now) < 1_000_000 {
            self.refusals += 1;
            return None;
        }
        self.withdrawals += 1;
        self.events.push((self.newest, -1_000_000));
        Some(self.events.len() - 1)
    }

    fn refund(&mut self, event: usize) {
        self.withdrawals -= 1;
        self.events[event].1 = 0;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Back(u64),
    Begin,
    /// An attempt of the nth running call: sent if it was waiting, and failed.
    Fail(usize),
    Succeed(usize),
    /// Abandoned, in whatever state.
    Drop(usize),
    /// Its failure is handed to the caller.
    GiveUp(usize),
    /// An attempt of it is answered with a redirect, which is followed.
    Follow(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..3_000_000_000_u64).prop_map(Step::Pass),
        1 => (0..70_000_000_000_u64).prop_map(Step::Pass),
        1 => (0..5_000_000_000_u64).prop_map(Step::Back),
        4 => Just(Step::Begin),
        5 => (0..8_usize).prop_map(Step::Fail),
        2 => (0..8_usize).prop_map(Step::Succeed),
        2 => (0..8_usize).prop_map(Step::Drop),
        2 => (0..8_usize).prop_map(Step::GiveUp),
        1 => (0..8_usize).prop_map(Step::Follow),
    ]
}

fn policy(kind: BudgetKind) -> Policy {
    let budget = BudgetSpec { kind, scope: Scope::Client, share: Share::Process };
    Policy::builder().max_retries(1000).timeout(None).budget(budget).build().unwrap()
}

/// One attempt that fails; whether it will be retried.
fn fail(retry: &mut Retry, now: Tick) -> Decision {
    retry.attempt(now);
    let verdict = retry.classify(Outcome::Response { status: 503, headers: &NONE }, UnixTime(0));
    retry.decide(verdict, Answer::default(), true, now)
}

proptest! {
    #![proptest_config(cases(1500))]

    /// I7, on every path through calls: the balance and the counters are those of the naive model after every step.
    #[test]
    fn a_ratio_budget_is_its_model(
        ratio in prop_oneof![0..=2_000_000_u64, 0..=1_000_000_000_u64],
        min_per_second in 0..3_u32,
        ttl_ms in 1000..=60_000_u64,
        on_success in any::<bool>(),
        epoch in prop_oneof![Just(0_u64), any::<u32>().prop_map(u64::from), Just(1_u64 << 62)],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let ttl = Duration::from_millis(ttl_ms);
        let deposit_on = if on_success { DepositOn::Success } else { DepositOn::Call };
        let kind = BudgetKind::Ratio { ratio_millionths: ratio, min_per_second, ttl, deposit_on };
        let policy = policy(kind);
        let budget = Arc::new(Budget::new(kind));
        let mut model = Model {
            ratio: ratio as i64,
            reserve: i64::from(min_per_second) * ttl_ms as i64 * 1000,
            slot_width: ttl_ms * 100_000,
            newest: 0,
            events: Vec::new(),
            deposits: 0,
            withdrawals: 0,
            refusals: 0,
        };
        let mut now = Tick(epoch);
        let mut calls: Vec<(Retry, Option<usize>)> = Vec::new();
        for step in steps {
            match step {
                Step::Pass(nanos) => now = Tick(now.nanos() + nanos),
                Step::Back(nanos) => now = Tick(now.nanos().saturating_sub(nanos)),
                Step::Begin => {
                    calls.push((Retry::begin(&policy, GET, Some(Arc::clone(&budget)), 0, 0, now), None));
                    if !on_success {
                        model.deposit(now);
                    }
                }
                Step::Fail(index) if index < calls.len() => {
                    let (retry, event) = &mut calls[index];
                    *event = model.withdraw(now);
                    let wanted = if event.is_some() { None } else { Some(StopReason::BudgetExhausted) };
                    let stopped = match fail(retry, now) {
                        Decision::Stop(reason) => Some(reason),
                        Decision::Retry { .. } => None,
                    };
                    prop_assert_eq!(stopped, wanted);
                }
                Step::Succeed(index) if index < calls.len() => {
                    let (mut retry, _) = calls.swap_remove(index);
                    retry.attempt(now);
                    let verdict = retry.classify(Outcome::Response { status: 200, headers: &NONE }, UnixTime(0));
                    prop_assert_eq!(retry.decide(verdict, Answer::default(), true, now), Decision::Stop(StopReason::Completed));
                    retry.finish(now);
                    if on_success {
                        model.deposit(now);
                    }
                }
                Step::Follow(index) if index < calls.len() => {
                    let (retry, event) = &mut calls[index];
                    *event = None;
                    retry.attempt(now);
                    let verdict = retry.classify(Outcome::Response { status: 302, headers: &NONE }, UnixTime(0));
                    prop_assert_eq!(retry.decide(verdict, Answer::default(), true, now), Decision::Stop(StopReason::Completed));
                    retry.redirect(GET, Some(Arc::clone(&budget)), now);
                    // The hop that ended well pays, or the one that begins.
                    model.deposit(now);
                }
                Step::Drop(index) | Step::GiveUp(index) if index < calls.len() => {
                    let (retry, event) = calls.swap_remove(index);
                    match step {
                        Step::GiveUp(_) => retry.finish(now),
                        _ => drop(retry),
                    }
                    if let Some(event) = event {
                        model.refund(event);
                    }
                }
                _ => {}
            }
            let reading = budget.reading(now);
            let purse = model.purse(now);
            prop_assert_eq!(reading.balance, purse / 1_000_000);
            prop_assert_eq!((reading.deposits, reading.withdrawals, reading.refusals), (model.deposits, model.withdrawals, model.refusals));
        }
        // Given back in the end, what is there is what was earned: no refund makes a token.
        drop(calls);
        let earned = model.reserve + model.events.iter().filter(|(_, amount)| *amount > 0).map(|(_, amount)| amount).sum::<i64>();
        prop_assert!(budget.reading(now).balance <= earned / 1_000_000);
    }
}

/// Four threads on one budget, each with calls that fail, are abandoned while they wait, or send their retry.
#[test]
fn racing_threads_never_overdraw() {
    for (ratio, min_per_second, calls) in [(200_000, 0, 4000), (0, 7, 4000), (0, 0, 500), (1_000_000, 1, 2000)] {
        let kind = BudgetKind::Ratio { ratio_millionths: ratio, min_per_second, ttl: Duration::from_secs(10), deposit_on: DepositOn::Call };
        let (policy, budget) = (policy(kind), Arc::new(Budget::new(kind)));
        let sent: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let (policy, budget) = (&policy, &budget);
                    scope.spawn(move || (0..calls).map(|call| race(policy, budget, thread + call)).sum::<u64>())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let reading = budget.reading(Tick(0));
        let purse = u64::from(min_per_second) * 10 + 4 * calls * ratio / 1_000_000;
        assert!(sent <= purse, "{sent} retries out of {purse}");
        assert_eq!((reading.deposits, reading.withdrawals), (4 * calls, sent));
        assert_eq!(reading.balance, purse as i64 - sent as i64);
        // The balance is never below what one retry costs less than one, so all but the last few were granted.
        assert!(purse == 0 || sent > 0);
    }
}

/// One call; the number of retries it sent.
fn race(policy: &Policy, budget: &Arc<Budget>, number: u64) -> u64 {
    let mut retry = Retry::begin(policy, GET, Some(Arc::clone(budget)), 0, number, Tick(0));
    if fail(&mut retry, Tick(0)) == Decision::Stop(StopReason::BudgetExhausted) || number.is_multiple_of(3) {
        return 0;
    }
    retry.attempt(Tick(0));
    retry.finish(Tick(0));
    1
}

#[test]
fn racing_withdrawals_get_exactly_the_reserve() {
    let kind = BudgetKind::Ratio { ratio_millionths: 0, min_per_second: 100, ttl: Duration::from_secs(60), deposit_on: DepositOn::Call };
    let budget = Budget::new(kind);
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| (0..10_000).filter(|_| budget.try_withdraw(Tick(5))).count())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((granted, budget.reading(Tick(5)).refusals), (6000, 34_000));
}
