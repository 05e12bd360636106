//! Documents: no tree of values panics the reader, and an accepted policy survives every way of writing it down.

use proptest::prelude::*;
use reknock::policy::{Keys, Value, option_blocks};
use reknock::{ErrorKind, Policy};

use crate::strategies::cases;

/// Values that some key takes, and values that look like them.
fn plausible() -> impl Strategy<Value = Value> {
    let words = [
        "none",
        "off",
        "false",
        "0s",
        "1s",
        "250ms",
        "1m30s",
        "584h",
        "1",
        "5xx",
        "reset",
        "not reset",
        "gateway-error, reset",
        "retriable-headers",
        "retriable-status-codes",
        "500-599",
        "not 501",
        "503",
        "any",
        "idempotent",
        "GET",
        "get",
        "full",
        "equal",
        "exponential",
        "constant",
        "linear",
        "decorrelated",
        "sequence",
        "aws",
        "increasing",
        "stop",
        "cap",
        "ignore",
        "max",
        "replace",
        "seconds",
        "unix",
        "http-date",
        "auto",
        "ratio",
        "concurrency",
        "call",
        "success",
        "origin",
        "client",
        "payments",
        "honour",
        "64KiB",
        "1MB",
        "x-state",
        ":status",
        "1-9",
        "-5-3",
        "a.*b",
        "(",
        "envoy",
        "",
        "\u{1F980}",
        "a\nb",
    ];
    prop_oneof![
        6 => prop::sample::select(words.to_vec()).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => prop_oneof![0..1200_i64, any::<i64>()].prop_map(Value::Int),
        1 => r"[0-9]{19,40}".prop_map(Value::Big),
        2 => prop_oneof![0.0..2.0, any::<f64>()].prop_map(Value::Float),
        1 => r"\PC{0,12}".prop_map(Value::Str),
    ]
}

fn key() -> impl Strategy<Value = String> {
    let known: Vec<String> = option_blocks().iter().flat_map(|block| block.rows).map(|row| row.key.to_owned()).collect();
    prop_oneof![9 => prop::sample::select(known), 1 => r"[a-zA-Z_]{0,12}"]
}

fn tree() -> impl Strategy<Value = Value> {
    plausible().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::vec((key(), inner), 0..6).prop_map(Value::Map),
        ]
    })
}

/// A document whose keys belong where they are; most of its values do too.
fn document() -> impl Strategy<Value = Value> {
    let text = |words: &[&'static str]| prop::sample::select(words.to_vec()).prop_map(Value::from).boxed();
    let limit = || text(&["none", "1s", "250ms", "2h1ns", "17ns", "0.5s"]);
    let number =
        || prop_oneof![(0..=1000_i64).prop_map(Value::Int), (0..=1_000_000_i64).prop_map(|m| Value::Float(m as f64 / 1e6))].boxed();
    let list = |item: BoxedStrategy<Value>| prop::collection::vec(item, 0..4).prop_map(Value::List).boxed();
    let some = |entries: Vec<(&'static str, BoxedStrategy<Value>)>| {
        let entries: Vec<_> =
            entries.into_iter().map(|(key, value)| prop::option::weighted(0.3, value).prop_map(move |value| Some((key, value?)))).collect();
        entries.prop_map(|entries| Value::map(entries.into_iter().flatten())).boxed()
    };
    let with = |kind: &'static str, more: BoxedStrategy<Value>| {
        more.prop_map(move |more| match more {
            Value::Map(entries) => Value::Map([("kind".to_owned(), Value::from(kind))].into_iter().chain(entries).collect()),
            other => other,
        })
        .boxed()
    };
    let jitter = || {
        prop_oneof![
            text(&["full", "equal", "none"]),
            (0..=1000_i64).prop_map(|r| Value::from([("ratio", Value::Float(r as f64 / 1000.0))])),
            Just(Value::from([("extra", "3s")])),
        ]
        .boxed()
    };
    let backoff = prop_oneof![
        limit(),
        with(
            "exponential",
            some(vec![("base", text(&["1ns", "100ms", "7s"])), ("factor", number()), ("max", text(&["30s", "9h"])), ("jitter", jitter())])
        ),
        Just(Value::from([("kind", "linear"), ("base", "0s"), ("step", "1s"), ("max", "3s")])),
        Just(Value::from([("kind", "decorrelated"), ("min", "1s"), ("form", "increasing")])),
        list(limit()).prop_map(|delays| Value::from([("kind", Value::from("sequence")), ("delays", delays)])),
    ]
    .boxed();
    let hints = some(vec![
        ("max", limit()),
        ("when_over", text(&["stop", "cap", "ignore"])),
        ("combine", text(&["max", "replace"])),
        ("spread", (0..=1000_i64).prop_map(|share| Value::Float(share as f64 / 1000.0)).boxed()),
        ("headers", list(text(&["x-a", "X-B"]))),
    ]);
    let budget = prop_oneof![
        some(vec![
            ("ratio", number()),
            ("min_per_second", number()),
            ("ttl", text(&["1s", "60s", "12.5s"])),
            ("name", text(&["a", "\u{fc}"]))
        ]),
        with("concurrency", some(vec![("percent", number()), ("min", number()), ("scope", text(&["origin", "client"]))])),
    ]
    .boxed();
    let matcher =
        (text(&["x-a", ":status"]), text(&["exact", "prefix", "suffix", "contains", "regex"]), r"[a-z.*\[\]() ]{0,6}", any::<bool>());
    let matcher = matcher
        .prop_map(|(name, test, text, invert)| {
            let Value::Str(test) = test else { return Value::Null };
            Value::map([("name".to_owned(), name), (test, Value::Str(text)), ("invert".to_owned(), Value::Bool(invert))])
        })
        .boxed();
    let compat = with(
        "envoy",
        some(vec![
            ("retry_on", text(&["retriable-headers", "retriable-status-codes, retriable-headers"])),
            ("retriable_status_codes", list(prop_oneof![text(&["500-599", "not 501"]), (100..=999_i64).prop_map(Value::Int)].boxed())),
            ("retriable_headers", list(text(&["x-a", "X-B"]))),
            ("per_try_timeout", limit()),
        ]),
    );
    some(vec![
        ("max_retries", (0..=1000_i64).prop_map(Value::Int).boxed()),
        ("timeout", limit()),
        ("connect_timeout", limit()),
        ("per_try_timeout", limit()),
        ("idle_timeout", limit()),
        ("retry_on", list(text(&["5xx", "not reset", "truncated-body", "unavailable", "tls"]))),
        ("statuses", list(prop_oneof![text(&["500-599", "not 501"]), (100..=999_i64).prop_map(Value::Int)].boxed())),
        ("response_headers", list(matcher)),
        ("methods", prop_oneof![text(&["any", "idempotent"]), list(text(&["GET", "POST", "x-Y"]))].boxed()),
        ("backoff", backoff),
        ("retry_after", hints),
        ("budget", budget),
        ("idempotency_key", text(&["honour", "auto", "none"])),
        ("max_body_buffer", text(&["0B", "64KiB", "1MB", "1TiB"])),
        ("attempt_header", text(&["none", "X-Attempt"])),
        ("compat", prop_oneof![text(&["none", "envoy"]), compat].boxed()),
    ])
}

fn round_trips(policy: &Policy) -> Result<(), TestCaseError> {
    prop_assert_eq!(&Policy::from_value(&policy.to_value()).unwrap(), policy);
    prop_assert_eq!(&Policy::from_value(&policy.to_short_value()).unwrap(), policy);
    prop_assert_eq!(&policy.to_builder().build().unwrap(), policy);
    prop_assert_eq!(&Policy::from_yaml(&policy.to_yaml()).unwrap(), policy);
    prop_assert_eq!(&Policy::from_yaml(&policy.to_string()).unwrap(), policy);
    prop_assert_eq!(&Policy::from_json(&policy.to_json()).unwrap(), policy);
    Ok(())
}

fn mistake(error: &reknock::Error) -> Result<(), TestCaseError> {
    prop_assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    prop_assert!(!text.is_empty() && text.len() < 3000 && !text.contains('\n'), "{:?}", text);
    Ok(())
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn no_tree_panics_the_reader(tree in tree(), either in any::<bool>()) {
        let keys = if either { Keys::Either } else { Keys::Snake };
        match Policy::from_value_with(&tree, keys) {
            Ok(policy) => round_trips(&policy)?,
            Err(error) => mistake(&error)?,
        }
    }

    #[test]
    fn no_text_panics_a_reader(text in r"[-a-z_:\[\]{}&*!|>'#0-9 \n,=]{0,60}|\PC{0,40}") {
        for read in [Policy::from_yaml, Policy::from_json, Policy::from_toml] {
            match read(&text) {
                Ok(policy) => round_trips(&policy)?,
                Err(error) => mistake(&error)?,
            }
        }
    }
}

/// And it does accept: a reader that refused everything would pass the properties above.
#[test]
fn accepted_policies_round_trip() {
    use std::cell::Cell;
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(cases(2000));
    runner
        .run(&document(), |document| match Policy::from_value(&document) {
            Ok(policy) => {
                accepted.set(accepted.get() + 1);
                round_trips(&policy)
            }
            Err(error) => {
                refused.set(refused.get() + 1);
                mistake(&error)
            }
        })
        .unwrap();
    println!("{} accepted, {} refused", accepted.get(), refused.get());
    assert!(accepted.get() > refused.get() / 3);
}
