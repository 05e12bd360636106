//! Policies that depend on the request: Envoy's header fields, and matchers of requests.

use std::time::Duration;

use reknock::Policy;
use reknock::policy::{RequestHead, Value, envoy};

use super::{differences, entries, list, text, vectors};

/// The `x-envoy-*` headers of requests, and what they make of a route's policy.
#[test]
fn request_headers() {
    let vectors = vectors("request_headers");
    let lines = |value: &Value| -> Vec<String> {
        match value {
            Value::Str(line) => vec![line.clone()],
            Value::List(lines) => lines.iter().map(|line| line.to_string().trim_matches('"').to_owned()).collect(),
            other => panic!("{other:?}"),
        }
    };
    let pairs = |case: &Value, key: &str| -> Vec<(String, String)> {
        let all = entries(case.get(key).expect("headers")).iter();
        all.flat_map(|(name, value)| lines(value).into_iter().map(|line| (name.clone(), line))).collect()
    };
    for case in list(&vectors, "cases") {
        let name = text(case, "name").expect("a name");
        let base = route(case);
        let owned = pairs(case, "headers");
        let headers: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let policy = envoy::with_request_headers(&base, &headers.as_slice());
        let wrong = differences(&policy, &base, case.get("policy").expect("a policy"));
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        for copy in copies(&base) {
            assert_eq!(envoy::with_request_headers(&copy, &headers.as_slice()), policy, "{name}");
        }
        let kept = headers.iter().filter(|(name, _)| !envoy::REQUEST_HEADERS.iter().any(|removed| removed.eq_ignore_ascii_case(name)));
        assert!(kept.into_iter().all(|(name, _)| !name.starts_with("x-envoy-")), "{name}");
        Policy::from_value(&policy.to_value()).expect("a valid policy");
    }
    assert_eq!(list(&vectors, "cases").len(), 55);

    for case in list(&vectors, "expected_rq_timeout_ms") {
        let ms = |key: &str| match case.get(key) {
            Some(Value::Int(ms)) => *ms as u64,
            other => panic!("{other:?}"),
        };
        let route = route(case);
        for policy in [route.clone()].into_iter().chain(copies(&route)) {
            let header = envoy::expected_rq_timeout_ms(&policy, Duration::from_millis(ms("elapsed_ms")));
            assert_eq!(header.unwrap_or(0), ms("header"), "{case}");
        }
    }
    assert_eq!(list(&vectors, "expected_rq_timeout_ms").len(), 17);
}

/// What a policy is after it has been written down, and after changes that change nothing.
fn copies(policy: &Policy) -> [Policy; 4] {
    [
        Policy::from_value(&policy.to_value()).expect("its own document"),
        Policy::from_value(&policy.to_short_value()).expect("its own short document"),
        policy.merge(&Value::EMPTY).expect("valid"),
        policy.to_builder().build().expect("valid"),
    ]
}

/// The policy of the route of a case. One without a `retry_policy` is one with an empty one.
fn route(case: &Value) -> Policy {
    let given = case.get("route").expect("a route");
    let policy = envoy::route(given).expect("a route");
    if given.get("retry_policy").is_none() {
        let mut keys = entries(given).to_vec();
        keys.push(("retry_policy".to_owned(), Value::Map(Vec::new())));
        assert_eq!(envoy::route(&Value::Map(keys)).expect("a route"), policy, "{case}");
    }
    policy
}

/// `request_headers` turns retries off for requests that it does not match.
#[test]
fn only_matching_requests_are_retried() {
    let route = r#"{"retry_policy": {"retry_on": "5xx", "num_retries": 3, "retriable_request_headers": [
        {"name": ":method", "string_match": {"exact": "GET"}}, {"name": ":path", "string_match": {"prefix": "/safe/"}}, {"name": "x-safe"}]}}"#;
    let policy = envoy::route(&Value::from_json(route).expect("JSON")).expect("a route");
    let retries = |method: &str, path: &str, headers: &[(&str, &str)]| {
        policy.for_request(&RequestHead { method, scheme: "http", authority: "a.test", path, headers: &headers }).max_retries()
    };
    assert_eq!(retries("GET", "/", &[]), 3);
    assert_eq!(retries("POST", "/", &[]), 0);
    assert_eq!(retries("POST", "/safe/x", &[]), 3);
    assert_eq!(retries("POST", "/", &[("X-Safe", "")]), 3);
    let all = Policy::default();
    assert_eq!(
        all.for_request(&RequestHead { method: "POST", scheme: "", authority: "", path: "", headers: &[].as_slice() }).max_retries(),
        2
    );
}
