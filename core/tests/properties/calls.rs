//! Whole calls in virtual time: random peers, random limits. Every attempt ends how and when the limits say, no call outlives its
//! deadline, and the records tell the truth.

use std::time::Duration;

use proptest::prelude::*;
use reknock::client::{Client, Clock, TokioClock};
use reknock::retry::{Backoff, BudgetKind, BudgetSpec, DepositOn, Jitter, Scope, Share};
use reknock::{AttemptRecord, ErrorKind, Evidence, Policy, StopReason};

use crate::strategies::cases;
use crate::support::{Scripted, Step};

/// Tokio's timers have this grain.
const GRAIN: Duration = Duration::from_millis(1);
/// The longest time spent on draining a response that is retried.
const DRAIN: Duration = Duration::from_millis(50);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Peers act at tens of milliseconds, limits end at other digits, so that no two things happen at once.
fn tens(most: u64) -> impl Strategy<Value = Duration> {
    prop_oneof![3 => Just(ms(0)), 4 => (0..most).prop_map(|n| ms(n * 10))]
}

fn limit(most: u64, digit: u64) -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![1 => Just(None), 5 => (1..most).prop_map(move |n| Some(ms(n * 10 + digit)))]
}

fn step() -> impl Strategy<Value = Step> {
    let refuse = prop_oneof![9 => Just(None), 1 => prop::sample::select(&[ErrorKind::Connect, ErrorKind::Tls][..]).prop_map(Some)];
    let kinds = vec![ErrorKind::Reset, ErrorKind::Protocol, ErrorKind::RefusedStream, ErrorKind::Internal];
    let fail = prop_oneof![3 => Just(None), 1 => prop::sample::select(kinds).prop_map(Some)];
    let status = prop::sample::select(&[503_u16, 500, 429, 404, 200, 204][..]);
    let hint = prop::option::weighted(0.2, 0..90_u32);
    let piece = (tens(100), prop_oneof![12 => (1..40_000_usize).prop_map(Some), 1 => Just(None)]);
    let body = prop::collection::vec(piece, 0..5);
    let lie = prop::bool::weighted(0.1);
    (tens(300), refuse, tens(60), tens(400), status, fail, hint, body, lie).prop_map(
        |(connect, refuse, upload_piece, head, status, fail, hint, body, lie)| {
            let headers = hint.iter().map(|seconds| ("retry-after", seconds.to_string())).collect();
            let length = lie.then(|| body.iter().filter_map(|(_, size)| *size).sum::<usize>() as u64 + 1);
            Step { connect, refuse, upload_piece, head, status, fail, headers, body, length }
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let backoff = prop_oneof![
        Just(Backoff::Constant { delay: ms(0), jitter: Jitter::None }),
        (1..300_u64).prop_map(|delay| Backoff::Constant { delay: ms(delay * 10), jitter: Jitter::Full }),
        (1..300_u64).prop_map(|min| Backoff::Decorrelated { min: ms(min * 10), max: ms(9000), form: Default::default() }),
    ];
    let kind = prop_oneof![
        Just(BudgetKind::Ratio { ratio_millionths: 500_000, min_per_second: 0, ttl: ms(10_000), deposit_on: DepositOn::Call }),
        Just(BudgetKind::Concurrency { percent_millionths: 100_000_000, min: 0 }),
    ];
    let budget =
        prop_oneof![3 => Just(None), 1 => kind.prop_map(|kind| Some(BudgetSpec { kind, scope: Scope::Origin, share: Share::Process }))];
    let limits = (limit(2000, 7), limit(300, 1), limit(300, 3), limit(150, 5));
    (0..6_u32, limits, backoff, budget, any::<u64>()).prop_map(|(retries, (timeout, connect, per_try, idle), backoff, budget, seed)| {
        let policy = Policy::builder().max_retries(retries).timeout(timeout).connect_timeout(connect).per_try_timeout(per_try);
        policy.idle_timeout(idle).backoff(backoff).budget(budget).seed(seed).build().unwrap()
    })
}

/// How an attempt ends if the call has all the time it wants: status, failure, and how long it lasts.
fn ends(step: &Step, policy: &Policy, body_is_read: bool) -> (Option<u16>, Option<ErrorKind>, Duration) {
    if policy.connect_timeout().is_some_and(|limit| step.connect > limit) {
        return (None, Some(ErrorKind::ConnectTimeout), policy.connect_timeout().unwrap());
    }
    if step.refuse.is_some() {
        return (None, step.refuse, step.connect);
    }
    let idle = policy.idle_timeout().unwrap_or(Duration::MAX);
    if step.upload_piece > idle {
        return (None, Some(ErrorKind::Body), step.connect + idle);
    }
    let uploaded = step.connect + step.upload_piece * 10;
    if policy.per_try_timeout().is_some_and(|limit| step.head > limit) {
        return (None, Some(ErrorKind::PerTryTimeout), uploaded + policy.per_try_timeout().unwrap());
    }
    let mut at = uploaded + step.head;
    if step.fail.is_some() {
        return (None, step.fail, at);
    }
    if !body_is_read {
        return (Some(step.status), None, at);
    }
    let mut size = 0;
    for (after, piece) in &step.body {
        if *after > idle {
            return (Some(step.status), Some(ErrorKind::Body), at + idle);
        }
        at += *after;
        match piece {
            Some(bytes) => size += *bytes as u64,
            None => return (Some(step.status), Some(ErrorKind::Body), at),
        }
    }
    let short = step.length.is_some_and(|length| length != size);
    (Some(step.status), short.then_some(ErrorKind::Body), at)
}

fn near(got: Duration, wanted: Duration) -> bool {
    got.abs_diff(wanted) <= GRAIN
}

fn check_attempt(record: &AttemptRecord, step: &Step, policy: &Policy, last: bool) -> Result<(), TestCaseError> {
    let body_is_read = last || record.error.is_some();
    let (status, error, lasts) = ends(step, policy, body_is_read);
    let left = policy.timeout().map(|timeout| timeout.saturating_sub(record.start));
    let cut = record.error == Some(ErrorKind::Deadline);
    if left.is_some_and(|left| near(lasts, left)) && cut {
        return Ok(());
    }
    if left.is_some_and(|left| lasts > left + GRAIN) {
        prop_assert!(cut && last && near(record.duration, left.unwrap()), "{:?} should be cut: {:?}", record, step);
        return Ok(());
    }
    prop_assert_eq!((record.status, record.error), (status, error), "{:?}", step);
    prop_assert!(near(record.duration, lasts), "{:?} should last {:?}: {:?}", record, lasts, step);
    Ok(())
}

fn check_waits(records: &[AttemptRecord], policy: &Policy) -> Result<(), TestCaseError> {
    for pair in records.windows(2) {
        let [earlier, later] = pair else { continue };
        let Some(wait) = earlier.wait else { return Err(TestCaseError::fail(format!("no wait on {earlier:?}"))) };
        prop_assert!(wait >= earlier.hint.unwrap_or_default(), "{:?}", earlier);
        let due = earlier.start + earlier.duration + wait;
        prop_assert!(later.start + GRAIN >= due && later.start <= due.max(earlier.start + earlier.duration + DRAIN) + GRAIN, "{:?}", pair);
        prop_assert!(policy.timeout().is_none_or(|timeout| due < timeout + GRAIN), "a wait that does not fit: {:?}", pair);
    }
    let numbers: Vec<u32> = records.iter().map(|record| record.number).collect();
    prop_assert_eq!(numbers, (1..=records.len() as u32).collect::<Vec<_>>());
    prop_assert_eq!(records.last().and_then(|record| record.wait), None);
    Ok(())
}

proptest! {
    #![proptest_config(cases(2500))]

    #[test]
    fn a_call_is_what_its_limits_say(
        steps in prop::collection::vec(step(), 1..7),
        policy in policy(),
        method in prop::sample::select(&["PUT", "POST"][..]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let script = Scripted::new(steps.clone());
            let client = Client::on(script.clone()).policy(policy.clone()).build().unwrap();
            let began = TokioClock.now();
            let result = client.request(method, "http://server.test/").body("body").send().await;
            let took = TokioClock.now().since(began);
            let (records, reason) = match &result {
                Ok(response) => (response.attempts(), response.stop_reason()),
                Err(error) => (error.attempts(), error.stop_reason().unwrap()),
            };
            // I5, I4, I8.
            prop_assert!(policy.timeout().is_none_or(|timeout| took <= timeout + GRAIN), "took {:?}", took);
            prop_assert!(records.len() as u32 <= policy.max_retries() + 1);
            let sent = script.sent();
            prop_assert_eq!(sent.len(), records.iter().filter(|record| record.evidence != Evidence::NotSent).count());
            prop_assert!(sent.iter().all(|sent| sent.method == method && sent.body == "body"));

            for (index, record) in records.iter().enumerate() {
                let step = steps.get(index).unwrap_or(steps.last().unwrap());
                check_attempt(record, step, &policy, index + 1 == records.len())?;
            }
            check_waits(records, &policy)?;

            // I6: sent once more only if nobody can have executed it.
            if method == "POST" {
                let repeated = &records[..records.len() - 1];
                prop_assert!(repeated.iter().all(|record| record.evidence != Evidence::Unknown), "{:?}", records);
            }
            // I10: what the caller gets is the last attempt.
            let last = records.last().unwrap();
            match &result {
                Ok(response) => prop_assert_eq!((Some(response.status()), None), (last.status, last.error)),
                Err(error) => prop_assert_eq!((error.status(), Some(error.kind())), (last.status, last.error)),
            }
            prop_assert_eq!(reason == StopReason::Completed, matches!(&result, Ok(response) if response.status() < 400));
            if reason == StopReason::RetriesExhausted {
                prop_assert_eq!(records.len() as u32, policy.max_retries() + 1);
            }
            Ok(())
        })?;
    }
}
