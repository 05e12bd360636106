//! The driver over random steps in any order: what it lets through keeps the promises of a call, what it refuses changes nothing.

use std::sync::Arc;

use proptest::prelude::*;
use reknock::retry::driver::{Driver, Misuse, Options, Target};
use reknock::retry::{Answer, Budgets, Decision, Outcome};
use reknock::{ErrorKind, Evidence, Tick, UnixTime};

use crate::strategies::cases;
use crate::support;

fn target() -> Target<'static> {
    Target::new("GET", "http://a")
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Attempt,
    Classify(u16),
    Fail,
    Decide,
    Redirect,
    Finish,
    Abandon,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Attempt),
        4 => prop::sample::select(&[200_u16, 302, 404, 503][..]).prop_map(Step::Classify),
        2 => Just(Step::Fail),
        6 => Just(Step::Decide),
        1 => Just(Step::Redirect),
        1 => prop::sample::select(&[Step::Finish, Step::Abandon][..]),
    ]
}

/// Whether something was decided, and what.
fn take(driver: &mut Driver, step: Step) -> Result<Option<Decision>, Misuse> {
    let headers: &[(&str, &str)] = &[];
    match step {
        Step::Attempt => driver.attempt(Tick(0)).map(|_| None),
        Step::Classify(status) => {
            driver.classify(Outcome::Response { status, headers: &headers }, None, UnixTime(0), Tick(0)).map(|_| None)
        }
        Step::Fail => {
            let outcome = Outcome::Failure { kind: ErrorKind::Reset, evidence: Evidence::Unknown, local: false };
            driver.classify(outcome, None, UnixTime(0), Tick(0)).map(|_| None)
        }
        Step::Decide => driver.decide(Answer::default(), true, Tick(0)).map(Some),
        Step::Redirect => driver.redirect(target(), Tick(0)).map(|()| None),
        Step::Finish => {
            driver.finish(Tick(0));
            Ok(None)
        }
        Step::Abandon => {
            driver.abandon();
            Ok(None)
        }
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    /// I4: sends <= max_retries + 1 + redirects followed, and each send but those was decided; I7: at the end nothing is held.
    #[test]
    fn any_order_of_steps(steps in prop::collection::vec(step(), 0..60), most in 0..4_u32) {
        let policy = support::policy(&serde_json::json!({"max_retries": most, "budget": {"kind": "concurrency", "percent": 0, "min": 1}}));
        let budgets = Arc::new(Budgets::new());
        let mut driver = Driver::begin(&policy, target(), Options { budgets: Some(Arc::clone(&budgets)), entropy: 7, ..Options::default() }, Tick(0)).unwrap();
        let (mut retries, mut over) = (0, false);
        for step in steps {
            let before = format!("{driver:?}");
            match take(&mut driver, step) {
                Ok(Some(Decision::Retry { .. })) => retries += 1,
                Ok(_) => {}
                Err(Misuse::Order(_)) => prop_assert_eq!(before, format!("{driver:?}"), "{:?} was refused", step),
                Err(other) => prop_assert!(false, "{:?}: {}", step, other),
            }
            over |= matches!(step, Step::Finish | Step::Abandon);
            prop_assert_eq!(driver.retry().is_none(), over);
            if let Some(retry) = driver.retry() {
                prop_assert!(retry.attempts() <= 1 + retries + retry.hops() && retries <= most, "{:?}", retry);
            }
        }
        driver.abandon();
        let reading = policy.budget().and_then(|spec| budgets.reading(spec, "http://a", Tick(0)));
        prop_assert_eq!(reading.as_ref().map_or(1, |reading| reading.balance), 1, "{:?}", reading);
    }
}
