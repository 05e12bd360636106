//! Concurrency budgets: what is in flight and what is held, after any interleaving.

use std::sync::Arc;

use proptest::prelude::*;
use reknock::retry::{Answer, Budget, BudgetKind, BudgetSpec, Call, Decision, Outcome, Retry, Scope, Share};
use reknock::{ErrorKind, Evidence, Policy, StopReason, Tick, UnixTime};

use crate::strategies::cases;

const GET: Call<'_> = Call { method: "GET", has_idempotency_key: false, asked: false };

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Attempt(usize),
    Decide(usize),
    Finish(usize),
    Drop(usize),
    Redirect(usize),
}

struct Running {
    retry: Retry,
    in_flight: bool,
    holds: bool,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Begin),
        6 => (0..8_usize).prop_map(Step::Attempt),
        6 => (0..8_usize).prop_map(Step::Decide),
        1 => (0..8_usize).prop_map(Step::Finish),
        1 => (0..8_usize).prop_map(Step::Drop),
        1 => (0..8_usize).prop_map(Step::Redirect),
    ]
}

fn limit(percent_millionths: u64, min: u32, active: usize) -> i64 {
    (percent_millionths as i64 * active as i64 / 100_000_000).max(i64::from(min))
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn active_and_held_return_to_zero(
        percent in prop_oneof![0..=100_000_000_u64, Just(100_000_000), Just(0)],
        min in 0..4_u32,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let kind = BudgetKind::Concurrency { percent_millionths: percent, min };
        let spec = BudgetSpec { kind, scope: Scope::Client, share: Share::Process };
        let policy = Policy::builder().max_retries(1000).timeout(None).budget(spec).build().unwrap();
        let budget = Arc::new(Budget::new(kind));
        let mut calls: Vec<Running> = Vec::new();
        for step in steps {
            match step {
                Step::Begin => {
                    let retry = Retry::begin(&policy, GET, Some(Arc::clone(&budget)), 0, 0, Tick(0));
                    calls.push(Running { retry, in_flight: false, holds: false });
                }
                Step::Attempt(index) if index < calls.len() => {
                    calls[index].retry.attempt(Tick(0));
                    calls[index].in_flight = true;
                }
                Step::Decide(index) if index < calls.len() && calls[index].in_flight => {
                    let active = calls.iter().filter(|call| call.in_flight).count();
                    calls[index].holds = false;
                    let held = calls.iter().filter(|call| call.holds).count() as i64;
                    let granted = held < limit(percent, min, active);
                    let call = &mut calls[index];
                    let outcome = Outcome::Failure { kind: ErrorKind::Reset, evidence: Evidence::Unknown, local: false };
                    let verdict = call.retry.classify(outcome, UnixTime(0));
                    let decision = call.retry.decide(verdict, Answer::default(), true, Tick(0));
                    prop_assert_eq!(decision == Decision::Stop(StopReason::BudgetExhausted), !granted, "{:?} of {} in flight", decision, active);
                    // A refused call stays in flight until its outcome has been handed over.
                    call.holds = granted;
                    call.in_flight = !granted;
                }
                Step::Finish(index) if index < calls.len() => calls.swap_remove(index).retry.finish(Tick(0)),
                Step::Drop(index) if index < calls.len() => drop(calls.swap_remove(index)),
                Step::Redirect(index) if index < calls.len() => {
                    let call = &mut calls[index];
                    call.retry.redirect(GET, Some(Arc::clone(&budget)), Tick(0));
                    (call.in_flight, call.holds) = (false, false);
                }
                _ => {}
            }
            let active = calls.iter().filter(|call| call.in_flight).count();
            let held = calls.iter().filter(|call| call.holds).count() as i64;
            prop_assert_eq!(budget.reading(Tick(0)).balance, limit(percent, min, active) - held, "{:?}", step);
        }
        drop(calls);
        let withdrawn = budget.reading(Tick(0));
        prop_assert_eq!(withdrawn.balance, i64::from(min), "nothing in flight, nothing held: {:?}", withdrawn);
    }
}
