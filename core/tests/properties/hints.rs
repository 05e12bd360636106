//! Hint headers: any bytes are read without a panic, and no wait is shorter than the hint.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use reknock::retry::{Answer, Call, Decision, Headers, Outcome, Retry, Verdict};
use reknock::{Policy, StopReason, Tick, UnixTime};

use crate::strategies::{cases, duration};

const NOW: UnixTime = UnixTime(1_795_348_800_000);
const NAMES: [&str; 8] = ["retry-after", "retry-after-ms", "x-ms-retry-after-ms", "date", "x-seconds", "x-unix", "x-date", "x-auto"];
const HEADERS: &str = "[{name: x-seconds}, {name: x-unix, format: unix}, {name: x-date, format: http-date}, {name: x-auto, format: auto}]";

#[derive(Debug)]
struct Lines(Vec<(&'static str, Vec<u8>)>);

impl Headers for Lines {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        self.0.iter().filter(|(key, _)| *key == name).nth(index).map(|(_, value)| value.as_slice())
    }
}

fn decide(policy: &Policy, lines: &Lines, seed: u64) -> (Verdict, Decision) {
    let call = Call { method: "GET", has_idempotency_key: false, asked: false };
    let mut retry = Retry::begin(policy, call, None, seed, 0, Tick(0));
    retry.attempt(Tick(0));
    let verdict = retry.classify(Outcome::Response { status: 503, headers: lines }, NOW);
    (verdict, retry.decide(verdict, Answer::default(), true, Tick(0)))
}

fn policy(rule: &str) -> Policy {
    Policy::from_yaml(&format!("{{timeout: none, budget: none, retry_after: {{{rule}, headers: {HEADERS}}}}}")).unwrap()
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        r"[0-9]{1,25}".prop_map(String::into_bytes),
        r"[0-9]{0,12}\.[0-9]{0,25}".prop_map(String::into_bytes),
        r"[ \t]?[+-]?[0-9]{1,11}[ \t]?".prop_map(String::into_bytes),
        (0..253_402_300_799_u64).prop_map(|at| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at)).into_bytes()),
        (0..100_000_u64).prop_map(|near| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(1_795_300_000 + near)).into_bytes()),
    ]
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn no_header_panics_and_no_wait_undercuts(
        lines in prop::collection::vec((prop::sample::select(&NAMES[..]), value()), 0..5).prop_map(Lines),
        rule in prop::sample::select(&["max: none", "max: 60s", "max: 60s, when_over: cap", "max: 60s, when_over: ignore", "max: none, combine: replace", "max: none, spread: 1"][..]),
        seed in any::<u64>(),
    ) {
        let policy = policy(rule);
        let limit = policy.retry_after().unwrap().max;
        let (verdict, decision) = decide(&policy, &lines, seed);
        let over = verdict.hint.zip(limit).is_some_and(|(hint, max)| hint > max);
        match decision {
            Decision::Stop(reason) => prop_assert_eq!((reason, over), (StopReason::RetryAfterTooLong, true)),
            Decision::Retry { wait } if over && rule.contains("cap") => prop_assert!(wait >= limit.unwrap()),
            Decision::Retry { wait } => prop_assert!(over || verdict.hint.is_none_or(|hint| wait >= hint), "{:?} for {:?}", wait, verdict),
        }
    }

    /// Digits with a fraction are read to the nanosecond below; more than any duration holds is a wait over any limit.
    #[test]
    fn seconds_are_exact(whole in any::<u64>(), fraction in r"[0-9]{1,9}") {
        let text = format!("{whole}.{fraction}");
        let nanos = u128::from(whole) * 1_000_000_000 + format!("{fraction:0<9}").parse::<u128>().unwrap();
        let (verdict, _) = decide(&policy("max: none"), &Lines(vec![("retry-after", text.into_bytes())]), 0);
        let wanted = Duration::new(u64::try_from(nanos / 1_000_000_000).unwrap(), (nanos % 1_000_000_000) as u32);
        prop_assert_eq!(verdict.hint, Some(wanted));
    }

    /// A date counts from the server's own clock, whatever ours says.
    #[test]
    fn dates_count_from_the_servers_clock(server in 0..4_000_000_000_u64, ahead in 0..100_000_u64) {
        let text = |at: u64| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at)).into_bytes();
        let lines = Lines(vec![("date", text(server)), ("retry-after", text(server + ahead))]);
        prop_assert_eq!(decide(&policy("max: none"), &lines, 0).0.hint, Some(Duration::from_secs(ahead)));
    }

    /// The spread lengthens, by at most its share.
    #[test]
    fn the_spread_only_lengthens(hint in duration(), seed in any::<u64>()) {
        let ms = u64::try_from(hint.as_millis()).unwrap_or(u64::MAX);
        let policy = policy("max: none, spread: 0.5");
        let (verdict, decision) = decide(&policy, &Lines(vec![("retry-after-ms", ms.to_string().into_bytes())]), seed);
        let hint = verdict.hint.unwrap();
        let Decision::Retry { wait } = decision else { return Err(TestCaseError::fail(format!("{decision:?}"))) };
        let most = hint.saturating_add(hint / 2).saturating_add(Duration::from_micros(100)).max(verdict.backoff);
        prop_assert!(hint <= wait && wait <= most, "{:?} for {:?}", wait, hint);
    }
}
