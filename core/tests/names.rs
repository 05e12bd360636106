//! Budgets by name: what is kept, what is dropped, what a flood of names gets.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reknock::retry::{Budget, BudgetKind, BudgetNames, BudgetSpec, Budgets, DepositOn, Scope, Share};
use reknock::{Error, ErrorKind, Tick};

fn kind(ratio_millionths: u64) -> BudgetKind {
    BudgetKind::Ratio { ratio_millionths, min_per_second: 1, ttl: Duration::from_secs(10), deposit_on: DepositOn::Call }
}

fn find(budgets: &Budgets, name: &str, ratio: u64, now: Tick) -> Result<Arc<Budget>, Error> {
    budgets.find(&BudgetSpec { kind: kind(ratio), scope: Scope::Name(name.to_owned()), share: Share::Process }, "http://a", now)
}

fn seconds(seconds: u64) -> Tick {
    Tick(seconds * 1_000_000_000)
}

/// Names as per-call policies make them, one after the other: those that nobody used for their ttl go, as idle origins do.
#[test]
fn idle_names_are_dropped() {
    let budgets = Budgets::new();
    let mut seen = Vec::new();
    for number in 0..40_000_u64 {
        // A hundred a second.
        let now = Tick(number * 10_000_000);
        let budget = find(&budgets, &format!("name-{number}"), 1, now).expect("a budget");
        budget.deposit(now);
        seen.push(Arc::downgrade(&budget));
    }
    let live = seen.iter().filter(|budget| budget.strong_count() > 0).count();
    assert!((1_000..=4_100).contains(&live), "{live} of 40,000 are kept");
}

/// Not even while nothing is counted in it: its calls would come back to an empty record of what they spent.
#[test]
fn the_name_of_a_call_in_flight_stays() {
    let names = Arc::new(BudgetNames::default());
    let clients = [Budgets::sharing(Arc::clone(&names)), Budgets::sharing(names)];
    let [ours, theirs] = clients.each_ref().map(|client| find(client, "slow", 1, seconds(0)).expect("a budget"));
    assert!(Arc::ptr_eq(&ours, &theirs), "one for both");
    let kept = Arc::downgrade(&ours);
    drop(theirs);
    let flood = |from: u64| {
        for number in from..from + 1_000 {
            for client in &clients {
                find(client, &format!("name-{number}"), 1, seconds(number)).expect("a budget");
            }
        }
    };
    flood(1_000);
    assert!(clients.iter().all(|client| Arc::ptr_eq(&ours, &find(client, "slow", 1, seconds(2_000)).expect("a budget"))));
    drop(ours);
    flood(3_000);
    assert_eq!(kept.strong_count(), 0, "two clients that remember it are no use of it");
}

#[test]
fn a_name_in_use_stays() {
    let budgets = Budgets::new();
    let used = find(&budgets, "used", 1, seconds(0)).expect("a budget");
    for number in 0..1_000_u64 {
        let now = Tick(number * 100_000_000);
        assert!(Arc::ptr_eq(&used, &find(&budgets, "used", 1, now).expect("a budget")), "it is found again");
        used.deposit(now);
        find(&budgets, &format!("name-{number}"), 1, now).expect("a budget");
    }
}

/// The name of a client's own policy is taken for as long as the client lives, used or not.
#[test]
fn a_held_name_is_no_idle_one() {
    let names = Arc::new(BudgetNames::default());
    let holder = Budgets::sharing(Arc::clone(&names));
    holder.hold(&BudgetSpec { kind: kind(1), scope: Scope::Name("held".to_owned()), share: Share::Process }).expect("nobody has it");
    for number in 0..1_000_u64 {
        find(&holder, &format!("name-{number}"), 1, Tick(number * 1_000_000_000)).expect("a budget");
    }
    let other = Budgets::sharing(names);
    assert_eq!(find(&other, "held", 2, seconds(2_000)).expect_err("other parameters").kind(), ErrorKind::Config);
    assert!(find(&other, "name-3", 2, seconds(2_000)).is_ok(), "a name that was dropped may have other parameters");
}

/// All at once: a flood of names gets no retries out of fresh reserves.
#[test]
fn names_beyond_the_most_share_one_budget() {
    let budgets = Budgets::new();
    let different: HashSet<*const Budget> =
        (0..10_000).map(|number| Arc::as_ptr(&find(&budgets, &format!("name-{number}"), 1, seconds(0)).expect("a budget"))).collect();
    assert_eq!(different.len(), 4_096 + 1);
}
