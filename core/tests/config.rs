//! Documents and the policies or errors they give: `tests/vectors/config.json`, and the lists of invalid parameters of the other vectors.
#![cfg(feature = "documents")]

use reknock::policy::{Keys, Value};
use reknock::{Error, ErrorKind, Policy};

/// Fails if cases disappear, or come without being counted.
const CASES: usize = 522;
const INVALID_BACKOFFS: usize = 10;
const INVALID_BUDGETS: usize = 6;

fn vectors(name: &str) -> Value {
    let path = format!("{}/../tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    Value::from_json(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    match value.get(key) {
        Some(Value::List(items)) => items,
        other => panic!("{key}: {other:?}"),
    }
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    match value.get(key) {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}

/// JSON has no NaN and no infinity: `{"$float": "nan"}`.
fn floats(value: &Value) -> Value {
    if let Some(number) = text(value, "$float") {
        return Value::Float(number.parse().expect("a float"));
    }
    match value {
        Value::List(items) => Value::List(items.iter().map(floats).collect()),
        Value::Map(entries) => Value::Map(entries.iter().map(|(key, value)| (key.clone(), floats(value))).collect()),
        value => value.clone(),
    }
}

fn run(case: &Value) -> Result<Policy, Error> {
    let keys = if text(case, "keys") == Some("either") { Keys::Either } else { Keys::Snake };
    let base = case.get("base").map_or_else(|| Ok(Policy::default()), Policy::from_value).expect("a valid base");
    let document = match (text(case, "yaml"), text(case, "json"), text(case, "toml")) {
        (Some(yaml), _, _) => Value::from_yaml(yaml)?,
        (_, Some(json), _) => Value::from_json(json)?,
        (_, _, Some(toml)) => Value::from_toml(toml)?,
        _ => floats(case.get("document").expect("a document")),
    };
    base.merge_with(&document, keys)
}

/// What differs from the expectation: the listed keys have these values, all others their defaults.
fn differences(policy: &Policy, expected: &Value) -> Vec<String> {
    let (actual, default) = (policy.to_value(), Policy::default().to_value());
    let Value::Map(entries) = &actual else { panic!("{actual}") };
    let wanted = |key: &str| expected.get(key).or_else(|| default.get(key));
    let wrong = entries.iter().filter(|(key, value)| wanted(key) != Some(value));
    wrong.map(|(key, value)| format!("{key}: {value}")).collect()
}

/// Every way of writing a policy down leads back to it.
fn round_trips(policy: &Policy) -> Result<(), Error> {
    assert_eq!(&Policy::from_value(&policy.to_value())?, policy);
    assert_eq!(&Policy::from_value(&policy.to_short_value())?, policy);
    assert_eq!(&Policy::from_yaml(&policy.to_string())?, policy);
    assert_eq!(&Policy::from_yaml(&policy.to_yaml())?, policy);
    assert_eq!(&Policy::from_json(&policy.to_json())?, policy);
    assert_eq!(&policy.to_builder().build()?, policy);
    assert_eq!(Policy::default().merge(&policy.to_value())?, *policy);
    Ok(())
}

#[test]
fn every_case() {
    let vectors = vectors("config");
    let cases = list(&vectors, "cases");
    let mut wrong = Vec::new();
    for case in cases {
        let name = text(case, "name").expect("a name");
        match (run(case), text(case, "error"), case.get("policy")) {
            (Ok(policy), None, Some(expected)) => {
                wrong.extend(differences(&policy, expected).into_iter().map(|text| format!("{name}: {text}")));
                round_trips(&policy).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            (Err(error), Some(expected), None) if error.kind() == ErrorKind::Config && error.to_string() == expected => {}
            (Ok(policy), ..) => wrong.push(format!("{name}: gave {policy}")),
            (Err(error), ..) => wrong.push(format!("{name}: gave {:?} {error}", error.kind())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cases.len(), CASES);
}

#[test]
fn names_are_unique() {
    let vectors = vectors("config");
    let mut names: Vec<_> = list(&vectors, "cases").iter().map(|case| text(case, "name").expect("a name")).collect();
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn invalid_backoffs_are_rejected() {
    let vectors = vectors("backoff");
    let invalid = list(&vectors, "invalid");
    for backoff in invalid {
        let error = Policy::from_value(&Value::from([("backoff", backoff.clone())])).expect_err(&backoff.to_string());
        assert!(error.to_string().starts_with("backoff."), "{error}");
    }
    assert_eq!(invalid.len(), INVALID_BACKOFFS);
    for case in list(&vectors, "cases") {
        let backoff = case.get("backoff").expect("a back-off").clone();
        Policy::from_value(&Value::from([("backoff", backoff)])).expect("valid");
    }
}

/// Budget parameters as the vectors have them, as a document.
fn budget(parameters: &Value) -> Value {
    let entries = ["ratio", "min_per_second", "ttl_s"].into_iter().filter_map(|key| parameters.get(key).map(|value| (key, value)));
    let entries = entries.map(|(key, value)| match (key, value) {
        ("ttl_s", seconds) => ("ttl", Value::Str(format!("{seconds}s"))),
        (key, Value::Str(number)) => (key, Value::Float(number.parse().expect("a float"))),
        (key, value) => (key, value.clone()),
    });
    Value::from([("budget", Value::map(entries))])
}

#[test]
fn invalid_budgets_are_rejected() {
    let vectors = vectors("budget");
    let invalid = list(&vectors, "invalid");
    for parameters in invalid {
        let error = Policy::from_value(&budget(parameters)).expect_err(&parameters.to_string());
        assert!(error.to_string().starts_with("budget."), "{error}");
    }
    assert_eq!(invalid.len(), INVALID_BUDGETS);
    for case in list(&vectors, "cases") {
        Policy::from_value(&budget(case)).expect("valid");
    }
}
