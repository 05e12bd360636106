//! Documents in the words of other systems, and the policies, notes and errors they give: `tests/vectors/dialects/`.
#![cfg(feature = "documents")]

mod docs;
mod files;
mod hostile;
mod meshes;
mod requests;
mod sets;

use reknock::policy::{Dialect, Loaded, Value, named, read_all, read_all_from_value};
use reknock::{Error, ErrorKind, Policy};

/// Fails if cases disappear, or come without being counted.
const CASES: &[(&str, usize)] = &[
    ("envoy", 145),
    ("kgateway", 59),
    ("linkerd", 74),
    ("ballerina", 66),
    ("ktor", 65),
    ("load", 79),
    ("istio", 51),
    ("envoy-gateway", 37),
    ("linkerd2", 39),
];

fn vectors(name: &str) -> Value {
    let path = format!("{}/../tests/vectors/dialects/{name}.json", env!("CARGO_MANIFEST_DIR"));
    Value::from_json(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    match value.get(key) {
        Some(Value::List(items)) => items,
        None => &[],
        other => panic!("{key}: {other:?}"),
    }
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    match value.get(key) {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}

fn entries(value: &Value) -> &[(String, Value)] {
    match value {
        Value::Map(entries) => entries,
        other => panic!("{other:?}"),
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

fn run(case: &Value) -> Result<Vec<Loaded>, Error> {
    let dialect = text(case, "dialect").map(Dialect::from_name).transpose()?;
    match text(case, "text") {
        Some(text) => read_all(text, dialect),
        None => read_all_from_value(&floats(case.get("document").expect("a document")), dialect),
    }
}

/// The order of keys in a map does not matter.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Map(x), Value::Map(y)) => {
            x.len() == y.len() && x.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::List(x), Value::List(y)) => x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b)),
        _ => a == b,
    }
}

fn preset(dialect: Dialect) -> Policy {
    let name = if dialect == Dialect::Reknock { "default" } else { dialect.name() };
    Policy::preset(name).expect("a preset")
}

/// What differs from the expectation: the listed keys have these values, all others those of the preset.
fn differences(policy: &Policy, base: &Policy, expected: &Value) -> Vec<String> {
    let (actual, base) = (policy.to_value(), base.to_value());
    let wanted = |key: &str| expected.get(key).or_else(|| base.get(key)).expect("a key of ours");
    let wrong = entries(&actual).iter().filter(|(key, value)| !same(wanted(key), value));
    wrong.map(|(key, value)| format!("{key}: {value}")).collect()
}

fn check(loaded: &Loaded, expected: &Value) -> Vec<String> {
    let mut wrong = differences(&loaded.policy, &preset(loaded.dialect), expected.get("policy").expect("a policy"));
    let notes: Vec<Value> = loaded.notes.iter().map(|note| note.to_string().into()).collect();
    if notes != list(expected, "notes") {
        wrong.push(format!("notes: {}", Value::List(notes)));
    }
    if (loaded.name.as_deref(), Some(loaded.dialect.name())) != (text(expected, "name"), text(expected, "dialect")) {
        wrong.push(format!("{:?} {}", loaded.name, loaded.dialect));
    }
    let again = Policy::from_value(&loaded.policy.to_value()).expect("its own document");
    if again != loaded.policy {
        wrong.push(format!("does not round-trip: {again}"));
    }
    let explained = loaded.explain();
    let bounded =
        explained.len() < 40_000 && explained.contains("budget: ") && loaded.notes.iter().all(|note| explained.contains(&note.text));
    if !bounded {
        wrong.push(format!("explained as {explained}"));
    }
    wrong
}

fn every_case(name: &str) {
    let vectors = vectors(name);
    let cases = list(&vectors, "cases");
    let mut wrong = Vec::new();
    for case in cases {
        let title = text(case, "name").expect("a name");
        match (run(case), text(case, "error"), case.get("policies")) {
            (Ok(all), None, Some(Value::List(expected))) if all.len() == expected.len() => {
                for (loaded, expected) in all.iter().zip(expected) {
                    wrong.extend(check(loaded, expected).into_iter().map(|text| format!("{title}: {text}")));
                }
            }
            (Err(error), Some(expected), None) if error.kind() == ErrorKind::Config && error.to_string() == expected => {}
            (Ok(all), ..) => wrong.push(format!("{title}: gave {} policies", all.len())),
            (Err(error), ..) => wrong.push(format!("{title}: gave {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut names: Vec<_> = cases.iter().map(|case| text(case, "name").expect("a name")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "names are unique");
    assert_eq!(Some(&(name, cases.len())), CASES.iter().find(|(known, _)| *known == name));
}

#[test]
fn envoy_documents() {
    every_case("envoy");
}

#[test]
fn kgateway_documents() {
    every_case("kgateway");
}

#[test]
fn linkerd_documents() {
    every_case("linkerd");
}

#[test]
fn ballerina_documents() {
    every_case("ballerina");
}

#[test]
fn ktor_documents() {
    every_case("ktor");
}

#[test]
fn istio_documents() {
    every_case("istio");
}

#[test]
fn envoy_gateway_documents() {
    every_case("envoy-gateway");
}

#[test]
fn linkerd2_documents() {
    every_case("linkerd2");
}

#[test]
fn texts_are_recognised_and_hostile_ones_refused() {
    every_case("load");
}

/// Every key of a preset is written down: a change of our defaults changes none of them.
#[test]
fn presets() {
    let vectors = vectors("presets");
    for case in list(&vectors, "cases") {
        let name = text(case, "name").expect("a name");
        match (Policy::preset(name), text(case, "error")) {
            (Ok(policy), None) => {
                let expected = case.get("policy").expect("a policy");
                assert!(same(&policy.to_value(), expected), "{name}: {}", policy.to_json());
            }
            (Err(error), Some(expected)) => assert_eq!(error.to_string(), expected),
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(list(&vectors, "cases").len(), 13);
}

#[test]
fn looked_up_by_name() {
    let routers = |labels: &[&str]| {
        let router = |label: &&str| format!("- {{protocol: http, label: {label}, service: {{totalTimeoutMs: 600}}}}\n");
        let text = format!("routers:\n{}", labels.iter().map(router).collect::<String>());
        read_all(&text, Some(Dialect::Linkerd)).expect("policies")
    };
    let all = routers(&["out", "in", "out"]);
    assert_eq!(named(&all, "out").expect("two"), [&all[0], &all[2]]);
    let missing = |all: &[Loaded], name: &str| named(all, name).expect_err("none").to_string();
    assert_eq!(missing(&all[..2], "by"), "policy: must be one of out, in, got \"by\"");
    assert_eq!(missing(&all[..2], "oud"), "policy: must be one of out, in, got \"oud\"; did you mean \"out\"?");
    let many: Vec<&str> = vec!["many"; 21];
    assert!(missing(&routers(&many), "x").ends_with(&format!("{}, ..., got \"x\"", ["many"; 20].join(", "))));
    let ours = read_all("max_retries: 1", None).expect("a policy");
    assert_eq!(missing(&ours, "x"), "policy: must be asked for without a name, got \"x\"; none here has one");
}

#[test]
fn explained() {
    let document = r#"{"retryOn": "5xx", "numRetries": 2, "perTryTimeout": "1s"}"#;
    let loaded = read_all(document, Some(Dialect::Kgateway)).expect("a policy").remove(0);
    let text = loaded.explain();
    let (_, tail) = text.split_once("\n\n").expect("two parts");
    assert!(text.starts_with("# kgateway\nmax_retries: 2\ntimeout: 15s\n"), "{text}");
    assert_eq!(
        tail,
        "waits:\n  before retry 1: 0s to 25ms\n  before retry 2: 0s to 50ms\nworst case: 3 attempts, 75ms of waits\n  \
         until the last response head: no limit by connect_timeout, per_try_timeout and waits; timeout ends the call after 15s\n\
         budget: at a time 3 retries or 0 % of the sends in flight, whichever is more, so it refuses only when 3 others are under way\n"
    );
    let text = Policy::default().explain();
    assert!(text.contains("worst case: 3 attempts, 600ms of waits, up to 2m12s if the server asks for it each time\n"), "{text}");
    assert!(
        text.contains(
            "  until the last response head: 3m27s by connect_timeout, per_try_timeout and waits; timeout ends the call after 1m\n"
        )
    );
    assert!(text.contains("0.2 retries per success and a reserve of 100 within 10s; a call that comes alone gets 100, so it refuses only when several calls fail\n"));
    let text = Policy::none().explain();
    assert!(text.contains("worst case: 1 attempt, no retries\n  until the last response head: 25s by connect_timeout, per_try_timeout and waits, within the timeout of 1m\n"), "{text}");
    let text = read_all("retryConfig: {count: 1}, timeout: -1", None).expect("a policy")[0].explain();
    assert!(text.contains("and no timeout ends the call\nbudget: none, every retry that max_retries permits is made\nnotes:\n  - retryConfig: the last error"), "{text}");
    let linkerd = Policy::preset("linkerd")
        .expect("a preset")
        .merge(&Value::from([("budget", Value::from([("min_per_second", 5)]))]))
        .expect("valid");
    assert!(linkerd.explain().contains("gets 50, so it can refuse what max_retries (100) permits to a single call\n"));
    let long = Policy::from_value(&Value::from([(
        "response_headers",
        Value::list([Value::from([("name", Value::from("x")), ("exact", "y".repeat(500_000).into())])]),
    )]));
    assert!(long.expect("valid").explain().len() < 5000);
}
