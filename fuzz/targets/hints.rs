//! Any bytes as response headers: a hint or none, never a panic, and no wait shorter than the hint.
//!
//! Input: one byte for the policy, then header lines `index of the name, value` that end with a line feed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reknock::retry::{Answer, Call, Decision, Headers, Outcome, Retry};
use reknock::{Policy, StopReason, Tick, UnixTime};

const NAMES: &[&str] = &["retry-after", "retry-after-ms", "x-ms-retry-after-ms", "date", "x-seconds", "x-unix", "x-date", "x-auto"];

static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let headers =
        "headers: [{name: x-seconds}, {name: x-unix, format: unix}, {name: x-date, format: http-date}, {name: x-auto, format: auto}]";
    let rules = [
        "max: none",
        "max: 60s, when_over: stop",
        "max: 60s, when_over: cap",
        "max: 60s, when_over: ignore",
        "max: none, combine: replace",
        "max: none, spread: 1",
    ];
    let plain = rules.iter().map(|rule| format!("{{timeout: none, budget: none, retry_after: {{{rule}, {headers}}}}}"));
    let envoy = rules.iter().map(|rule| format!("{{timeout: none, budget: none, compat: envoy, retry_after: {{{rule}, {headers}}}}}"));
    plain.chain(envoy).map(|text| Policy::from_yaml(&text).expect(&text)).collect()
});

struct Lines<'a>(Vec<(&'static str, &'a [u8])>);

impl Headers for Lines<'_> {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        self.0.iter().filter(|(key, _)| *key == name).nth(index).map(|(_, value)| *value)
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let index = usize::from(*choice) % POLICIES.len();
    let policy = &POLICIES[index];
    let lines = rest.split(|byte| *byte == b'\n').filter_map(|line| line.split_first());
    let lines = Lines(lines.map(|(name, value)| (NAMES[usize::from(*name) % NAMES.len()], value)).collect());

    let call = Call { method: "GET", has_idempotency_key: false, asked: false };
    let mut retry = Retry::begin(policy, call, None, u64::from(*choice), 0, Tick(0));
    retry.attempt(Tick(0));
    let verdict = retry.classify(Outcome::Response { status: 503, headers: &lines }, UnixTime(1_795_348_800_000));
    let rule = policy.retry_after().expect("every policy has one");
    match retry.decide(verdict, Answer::default(), true, Tick(0)) {
        Decision::Stop(reason) => assert!(reason == StopReason::RetryAfterTooLong || reason == StopReason::Deadline),
        Decision::Retry { wait } => {
            let obeyed = verdict.hint.filter(|hint| rule.max.is_none_or(|max| *hint <= max));
            // Envoy takes a hint of 0 for no hint.
            assert!(obeyed.is_none_or(|hint| wait >= hint), "waits {wait:?}, asked for {obeyed:?}");
        }
    }
});
