//! The machine over random scripts of outcomes: the order of its reasons, and what it promises of waits and sends.

use std::time::Duration;

use proptest::prelude::*;
use reknock::retry::{Answer, Budgets, Call, Decision, Headers, Outcome, Retry, WhenOver};
use reknock::{ErrorKind, Evidence, Policy, StopReason, Tick, UnixTime};

use crate::strategies::cases;

const DOCUMENTS: &[&str] = &[
    "{}",
    "max_retries: 0",
    "max_retries: 5",
    "{max_retries: 4, budget: none, backoff: 2s}",
    "{max_retries: 9, budget: {ratio: 0, min_per_second: 1, ttl: 2s}}",
    "{max_retries: 9, budget: {kind: concurrency, percent: 100, min: 0}}",
    "{max_retries: 9, budget: none, timeout: none, retry_after: {max: 5s, when_over: cap}}",
    "{max_retries: 9, timeout: 3s, methods: any, retry_after: {max: 1s, when_over: ignore}}",
    "{max_retries: 6, retry_on: [5xx, not refused-stream], methods: [POST], idempotency_key: none, retry_after: none}",
    "{max_retries: 3, backoff: {kind: decorrelated, min: 50ms, max: 9s}, retry_after: {max: none, spread: 1}}",
    "{max_retries: 6, budget: none, statuses: [404, 500-599, not 503]}",
];

#[derive(Clone, Debug)]
struct Attempt {
    /// A status, or a failure with its evidence.
    status: Result<u16, (ErrorKind, Evidence)>,
    hint: Option<u32>,
    answer: Answer,
    replayable: bool,
    lasts: Duration,
}

struct Hint(Option<String>);

impl Headers for Hint {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        self.0.as_deref().filter(|_| name == "retry-after" && index == 0).map(str::as_bytes)
    }
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let failure = (prop::sample::select(ErrorKind::ALL), prop::sample::select(Evidence::ALL));
    let status = prop_oneof![
        3 => prop::sample::select(&[500_u16, 503, 429, 421, 425, 200, 404][..]).prop_map(Ok),
        1 => (100..=999_u16).prop_map(Ok),
        3 => failure.prop_map(Err),
    ];
    let wait = || prop::option::weighted(0.1, (0..4000_u64).prop_map(Duration::from_millis));
    let answer =
        (prop::option::weighted(0.2, any::<bool>()), wait(), wait()).prop_map(|(retry, wait, backoff)| Answer { retry, wait, backoff });
    (status, prop::option::weighted(0.3, 0..9_u32), answer, prop::bool::weighted(0.9), 0..2000_u64).prop_map(
        |(status, hint, answer, replayable, lasts)| Attempt { status, hint, answer, replayable, lasts: Duration::from_millis(lasts) },
    )
}

/// Section 8 of the behaviour, step 4, in its order: the first reason to stop, up to the ones that need the wait.
fn first_no(step: &Attempt, wants: bool, evidence: Evidence, idempotent: bool, left: u32) -> Option<StopReason> {
    let over = match step.status {
        Err((ErrorKind::Deadline, _)) => Some(StopReason::Deadline),
        Err((ErrorKind::Cancelled, _)) => Some(StopReason::Cancelled),
        Err((ErrorKind::Callback, _)) => Some(StopReason::Callback),
        Err((ErrorKind::Closed, _)) => Some(StopReason::Closed),
        _ => None,
    };
    let completed = matches!(step.status, Ok(..400));
    let agreed = step.answer.retry == Some(true) || step.answer.wait.is_some();
    let rules = [
        (step.answer.retry == Some(false), if completed { StopReason::Completed } else { StopReason::PredicateStop }),
        (!wants && !agreed && completed, StopReason::Completed),
        (!wants && !agreed, StopReason::NotRetryable),
        (evidence == Evidence::Unknown && !idempotent, StopReason::NotIdempotent),
        (!step.replayable, StopReason::BodyNotReplayable),
        (left == 0, StopReason::RetriesExhausted),
    ];
    over.or_else(|| rules.into_iter().find(|(no, _)| *no).map(|(_, reason)| reason))
}

proptest! {
    #![proptest_config(cases(6000))]

    #[test]
    fn the_first_rule_that_says_no_gives_the_reason(
        document in prop::sample::select(DOCUMENTS),
        method in prop::sample::select(&["GET", "POST", "PUT", "get"][..]),
        has_idempotency_key in any::<bool>(),
        seed in any::<u64>(),
        began in prop_oneof![Just(0_u64), any::<u32>().prop_map(u64::from), Just(u64::MAX - 1_000_000_000)],
        script in prop::collection::vec(attempt(), 12),
    ) {
        let policy = Policy::from_yaml(document).unwrap();
        let budgets = Budgets::new();
        let mut now = Tick(began);
        let find = |now| policy.budget().map(|spec| budgets.find(spec, "http://a", now).unwrap());
        let call = Call { method, has_idempotency_key, asked: true };
        let mut retry = Retry::begin(&policy, call, find(now), seed, 0, now);
        let keyed = has_idempotency_key && document.find("idempotency_key: none").is_none();
        prop_assert_eq!(retry.is_idempotent(), policy.methods().contains(method) || keyed);
        let deadline = retry.deadline();
        let mut sends = 0;
        for step in &script {
            let attempt = retry.attempt(now);
            sends += 1;
            prop_assert_eq!((attempt.number, attempt.retries_left), (sends, policy.max_retries() + 1 - sends));
            now = now.after(step.lasts);
            let headers = Hint(step.hint.map(|seconds| seconds.to_string()));
            let outcome = match step.status {
                Ok(status) => Outcome::Response { status, headers: &headers },
                Err((kind, evidence)) => Outcome::Failure { kind, evidence, local: false },
            };
            let verdict = retry.classify(outcome, UnixTime(0));
            let evidence = match step.status {
                Ok(401 | 407 | 413 | 417 | 421 | 425 | 429 | 431) => Evidence::Refused,
                Ok(_) => Evidence::Unknown,
                Err((_, evidence)) => evidence,
            };
            prop_assert_eq!(verdict.evidence, evidence);
            let before = find(now).map(|budget| budget.reading(now));
            let decision = retry.decide(verdict, step.answer, step.replayable, now);
            let after = find(now).map(|budget| budget.reading(now));
            if let Some(reason) = first_no(step, verdict.retry, evidence, retry.is_idempotent(), policy.max_retries() + 1 - sends) {
                prop_assert_eq!(decision, Decision::Stop(reason));
                // A retry refused by another rule costs nothing.
                prop_assert_eq!(before.map(|b| (b.withdrawals, b.refusals)), after.map(|a| (a.withdrawals, a.refusals)));
                break;
            }
            let rule = policy.retry_after().filter(|_| step.answer.wait.is_none());
            let hint = rule.and(verdict.hint);
            let over = rule.and_then(|rule| Some(hint? > rule.max?)).unwrap_or(false);
            let granted = after.as_ref().map(|a| a.withdrawals) > before.as_ref().map(|b| b.withdrawals);
            match decision {
                Decision::Stop(StopReason::RetryAfterTooLong) => prop_assert!(over && rule.unwrap().when_over == WhenOver::Stop),
                Decision::Stop(StopReason::Deadline) => {
                    let least = step.answer.wait.or(step.answer.backoff).unwrap_or(verdict.backoff).max(if over { Duration::ZERO } else { hint.unwrap_or_default() });
                    // The spread may add the hint once more.
                    prop_assert!(now.after(least + least) >= deadline.unwrap());
                    prop_assert!(!granted);
                }
                Decision::Stop(reason) => {
                    prop_assert_eq!(reason, StopReason::BudgetExhausted);
                    prop_assert_eq!(after.as_ref().unwrap().refusals, before.as_ref().unwrap().refusals + 1);
                    prop_assert!(before.unwrap().balance < 1);
                }
                Decision::Retry { wait } => {
                    prop_assert!(!over || rule.unwrap().when_over != WhenOver::Stop);
                    if let Some(wanted) = step.answer.wait {
                        prop_assert_eq!(wait, wanted);
                    } else if over && rule.unwrap().when_over == WhenOver::Cap {
                        prop_assert_eq!(wait, rule.unwrap().max.unwrap().max(step.answer.backoff.unwrap_or(verdict.backoff)));
                    } else if !over {
                        prop_assert!(wait >= hint.unwrap_or_default());
                        prop_assert!(wait >= step.answer.backoff.unwrap_or(verdict.backoff));
                    }
                    prop_assert!(deadline.is_none_or(|deadline| now.after(wait) < deadline));
                    prop_assert_eq!(granted, policy.budget().is_some());
                    now = now.after(wait);
                }
            }
            if matches!(decision, Decision::Stop(_)) {
                break;
            }
        }
        prop_assert!(sends <= policy.max_retries() + 1);
        drop(retry);
        if let Some(spec) = policy.budget().filter(|spec| matches!(spec.kind, reknock::retry::BudgetKind::Concurrency { .. })) {
            prop_assert_eq!(budgets.reading(spec, "http://a", now).unwrap().balance, 0);
        }
    }
}
