//! Any text in any dialect: an error of one line, or policies that are valid, bounded, explained, and survive being written down; the set
//! that they are, and what header fields of a request make of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reknock::policy::{Dialect, PolicySet, RequestHead, envoy, read_all};
use reknock::{ErrorKind, Policy};

/// The header fields that change a policy; a line of the input is the value of the one that its first byte names.
const HEADERS: &[&str] = &[
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-max-retries",
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-hedge-on-per-try-timeout",
    "early-data",
    "host",
];

fuzz_target!(|data: &[u8]| {
    let Some((dialect, rest)) = data.split_first() else { return };
    let Ok(rest) = std::str::from_utf8(rest) else { return };
    // What comes after a zero are header fields.
    let (text, fields) = rest.split_once('\0').unwrap_or((rest, ""));
    let dialect = Dialect::ALL.get(usize::from(*dialect) % (Dialect::ALL.len() + 1)).copied();
    if let Ok(set) = PolicySet::read(text, dialect) {
        chooses(&set, fields);
    }
    match read_all(text, dialect) {
        Ok(all) => {
            assert!(!all.is_empty() && all.len() <= 1000);
            for loaded in all.iter().take(20) {
                assert!(loaded.notes.len() <= 200, "{} notes", loaded.notes.len());
                assert!(loaded.explain().len() < 100_000);
                holds(&loaded.policy);
                with_fields(&loaded.policy, fields);
            }
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() < 5000 && !message.contains('\n'), "{message:?}");
        }
    }
});

/// A set survives being written down, and chooses for a request that the input makes.
fn chooses(set: &PolicySet, fields: &str) {
    let value = set.to_value();
    assert_eq!(PolicySet::from_value(&value).expect("its own value").to_value(), value);
    // What is long has no place in a text of ours.
    if let Ok(again) = PolicySet::read(&set.to_yaml(), Some(Dialect::Reknock)) {
        assert_eq!(again.to_value(), value);
    }
    let mut lines = fields.lines();
    let mut next = || lines.next().unwrap_or_default();
    let none: &[(&str, &str)] = &[];
    let head = RequestHead { method: "GET", scheme: "http", authority: next(), path: next(), headers: &none };
    let chosen = set.for_request(&head);
    assert!(chosen.rule.is_none_or(|rule| set.policies()[set.rules()[rule - 1].policy].policy == *chosen.policy));
    let _ = set.explain_for(next());
}

fn holds(policy: &Policy) {
    assert_eq!(&Policy::from_value(&policy.to_value()).expect("its own value"), policy);
    assert_eq!(&Policy::from_yaml(&policy.to_yaml()).expect("its own YAML"), policy);
}

fn with_fields(policy: &Policy, fields: &str) {
    let lines = fields.lines().filter_map(|line| {
        let index = usize::from(*line.as_bytes().first()?);
        Some((HEADERS[index % HEADERS.len()], line.get(1..).unwrap_or_default()))
    });
    let lines: Vec<(&str, &str)> = lines.collect();
    let changed = envoy::with_request_headers(policy, &lines.as_slice());
    holds(&changed);
    let head = RequestHead { method: "POST", scheme: "http", authority: "a.test", path: "/", headers: &lines.as_slice() };
    assert!(changed.for_request(&head).max_retries() <= changed.max_retries());
}
