//! Policy sets: `tests/vectors/sets.json`, and what only Rust can say of them.

use reknock::PolicySet;
use reknock::policy::{Dialect, RequestHead, Value};

use super::{entries, list, same, text};

fn vectors() -> Value {
    let path = format!("{}/../tests/vectors/sets.json", env!("CARGO_MANIFEST_DIR"));
    Value::from_json(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

fn differs(set: &PolicySet, case: &Value) -> Option<String> {
    let name = |at: usize| Value::from(set.policies()[at].name.as_deref());
    let rules = set.rules().iter().map(|rule| Value::from([("match", rule.match_value()), ("policy", name(rule.policy))]));
    let actual = [
        ("policies", Value::List((0..set.policies().len()).map(name).collect())),
        ("rules", Value::List(rules.collect())),
        ("default", set.default_name().into()),
        ("notes", Value::List(set.notes().iter().map(|note| note.to_string().into()).collect())),
    ];
    let wrong = actual.iter().find(|(key, value)| !same(value, case.get(key).expect("a key")));
    if let Some((key, value)) = wrong {
        return Some(format!("{key}: {value}"));
    }
    for (request, expected) in entries(case.get("requests").expect("requests")) {
        let met = set.rule_for(request).expect("a request");
        let [rule, policy] = ["rule", "policy"].map(|key| met.get(key).expect("a key").clone());
        if Value::List(vec![rule, policy]) != *expected {
            return Some(format!("{request}: {met}"));
        }
        let told = set.explain_for(request).expect("a request");
        if !told.contains("budget: ") || told.contains("secret") {
            return Some(told);
        }
    }
    let again = PolicySet::read(&set.to_yaml(), Some(Dialect::Reknock)).expect("its own document");
    let by_value = PolicySet::from_value(&set.to_value()).expect("its own value");
    (again.to_value() != set.to_value() || by_value != again).then(|| format!("does not round-trip: {again}"))
}

#[test]
fn sets_and_the_policies_that_requests_have() {
    let vectors = vectors();
    let cases = list(&vectors, "cases");
    let mut wrong = Vec::new();
    for case in cases {
        let title = text(case, "name").expect("a name");
        let dialect = text(case, "dialect").map(|name| Dialect::from_name(name).expect("known"));
        match (PolicySet::read(text(case, "text").expect("a text"), dialect), text(case, "error")) {
            (Ok(set), None) => wrong.extend(differs(&set, case).map(|problem| format!("{title}: {problem}"))),
            (Err(error), Some(expected)) if error.to_string() == expected => {}
            (other, _) => wrong.push(format!("{title}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cases.len(), 41);
}

#[test]
fn requests_that_are_none() {
    let set = PolicySet::default();
    for text in ["", "GET", "ftp://a.test/", "GET http://", "GET http:///x", "GET a.test", "GET http://a.test/ HTTP/1.1", "http://"] {
        let error = set.for_text(text).expect_err(text).to_string();
        assert!(error.starts_with("request: must be a method and an absolute http or https URL, got "), "{error}");
    }
    assert!(set.for_text("get http://a.test/").expect_err("small letters").to_string().contains("did you mean \"GET\"?"));
}

#[test]
fn header_fields_of_a_request() {
    let set = PolicySet::read(
        "policies: {gold: {max_retries: 5}}\nrules: [{match: {headers: [{name: x-tier, exact: gold}, {name: x-test, present: false}]}, policy: gold}]\n",
        None,
    )
    .expect("a set");
    let chosen = |headers: &[(&str, &str)]| {
        let head = RequestHead { method: "GET", scheme: "http", authority: "a.test", path: "/", headers: &headers };
        set.for_request(&head).rule
    };
    assert_eq!(chosen(&[("X-Tier", "gold")]), Some(1));
    assert_eq!(chosen(&[("x-tier", "silver")]), None);
    assert_eq!(chosen(&[("x-tier", "gold"), ("x-test", "")]), None);
    let more = set.with(|policy| policy.merge(&Value::from([("timeout", "7s")]))).expect("valid");
    assert!(more.policies()[0].policy.timeout() == more.default_policy().timeout() && more.default_policy() != set.default_policy());
}
