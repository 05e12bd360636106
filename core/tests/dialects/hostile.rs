//! What no reader may do, whatever it is given: panic, hang, or point nowhere.

use reknock::ErrorKind;
use reknock::policy::{Dialect, Value, read_all, read_all_from_value};

use super::{CASES, floats, list, text, vectors};

/// Values that bindings make are not bounded by a text: they are read in bounded time nevertheless.
#[test]
fn deep_and_wide_values() {
    let mut deep = Value::from([("route", Value::from([("retry_policy", Value::EMPTY)]))]);
    for _ in 0..60 {
        deep = Value::from([("inner", deep)]);
    }
    assert_eq!(read_all_from_value(&deep, None).expect("found").len(), 1);
    let routes = Value::List(vec![Value::from([("route", Value::from([("retry_policy", Value::EMPTY)]))]); 2000]);
    let wide = Value::from([("virtual_hosts", Value::list([Value::from([("routes", routes)])]))]);
    assert_eq!(read_all_from_value(&wide, None).expect_err("too many").to_string(), "policy: must be at most 1000 in one text");
    let items = Value::List(vec![Value::from("x"); 100_000]);
    let many = Value::from([("retry_policy", Value::from([("retry_on", Value::from("5xx")), ("retriable_headers", items)]))]);
    read_all_from_value(&many, None).expect_err("no matchers");
}

/// Every value of every document above, replaced by what does not belong there: an error or a policy, no panic,
/// and no error without a place.
#[test]
fn nothing_that_is_misplaced_panics() {
    let hostile = || {
        let texts = ["", "none", "-1", "\u{0}\u{202e}", "5xx", "99999999999999999999s"].into_iter().map(Value::from);
        let numbers =
            [Value::Int(i64::MIN), Value::Int(i64::MAX), Value::Float(f64::NAN), Value::Float(1e308), Value::Big("9".repeat(400))];
        texts.chain(numbers).chain([Value::Null, Value::Bool(false), Value::List(Vec::new()), Value::EMPTY])
    };
    let mut ran = 0;
    for (file, _) in CASES {
        for case in list(&vectors(file), "cases") {
            let Some(document) = case.get("document").map(floats) else { continue };
            for place in 0..places(&document) {
                for value in hostile() {
                    let broken = replaced(&document, &mut place.clone(), &value);
                    // Recognised, and by name in turn.
                    for dialect in [None, Some(Dialect::ALL[ran / 2 % Dialect::ALL.len()])] {
                        ran += 1;
                        match read_all_from_value(&broken, dialect) {
                            Ok(all) => all.iter().for_each(|loaded| assert!(loaded.explain().len() < 40_000)),
                            Err(error) => assert!(error.to_string().len() < 1000 && error.to_string().contains(": "), "{error}"),
                        }
                    }
                }
            }
        }
    }
    assert!(ran > 50_000, "{ran}");
}

/// The number of values in a value, itself included.
fn places(value: &Value) -> usize {
    1 + match value {
        Value::List(items) => items.iter().take(5).map(places).sum(),
        Value::Map(entries) => entries.iter().map(|(_, value)| places(value)).sum(),
        _ => 0,
    }
}

/// The value with the one at a place, counted as in `places`, replaced.
fn replaced(value: &Value, place: &mut usize, by: &Value) -> Value {
    if *place == 0 {
        *place = usize::MAX;
        return by.clone();
    }
    *place = place.saturating_sub(1);
    match value {
        Value::List(items) => Value::List(items.iter().take(5).map(|item| next(item, place, by)).collect()),
        Value::Map(entries) => Value::Map(entries.iter().map(|(key, value)| (key.clone(), next(value, place, by))).collect()),
        value => value.clone(),
    }
}

fn next(value: &Value, place: &mut usize, by: &Value) -> Value {
    if *place > usize::MAX / 2 { value.clone() } else { replaced(value, place, by) }
}

/// Texts cut off anywhere, with a character too many anywhere.
#[test]
fn no_cut_text_panics() {
    for (file, _) in CASES {
        for case in list(&vectors(file), "cases") {
            let Some(whole) = text(case, "text") else { continue };
            for (at, _) in whole.char_indices().step_by(1 + whole.len() / 100) {
                for broken in
                    [whole[..at].to_owned(), format!("{}{{{}", &whole[..at], &whole[at..]), format!("{}\"{}", &whole[..at], &whole[at..])]
                {
                    for dialect in [None, Some(Dialect::Ballerina)] {
                        if let Err(error) = read_all(&broken, dialect) {
                            assert_eq!(error.kind(), ErrorKind::Config);
                        }
                    }
                }
            }
        }
    }
}

/// Documents of as many values as are allowed that repeat what makes work: routes under one virtual host's many matchers, prefixes that cover each
/// other, documents that look for clusters in all others.
#[test]
fn what_repeats_is_bounded() {
    // Well over half of the values that a text may have.
    let most = 200_000;
    let filled = |head: &str, part: &dyn Fn(usize) -> String, tail: &str| {
        let mut text = head.to_owned();
        for i in 0.. {
            let next = part(i);
            if text.len() + next.len() + tail.len() > most {
                break;
            }
            text += &next;
        }
        text + tail
    };
    let regex = |i: usize| format!("{{name: x, string_match: {{safe_regex: {{regex: '[a-z{i}]{{1,40}}(b|c){{1,40}}'}}}}}},");
    let matchers: String = (0..100).map(regex).collect();
    let host = format!("virtual_hosts: [{{retry_policy: {{retry_on: retriable-headers, retriable_headers: [{matchers}]}}, routes: [");
    let clusters = filled("clusters: [", &|i| format!("{{name: a{i}, circuit_breakers: {{}}}},"), "]\n");
    let routes = filled("virtual_hosts: [{routes: [", &|i| format!("{{match: {{}}, route: {{cluster: b{i}}}}},"), "]}]\n");
    let configs = "{prefix: /a},".repeat(900);
    let few = "policy: must be at most 1000 in one text";
    for (text, dialect, expected) in [
        (
            filled(&host, &|_| "{match: {}, route: {}},".to_owned(), "]}]"),
            Dialect::Envoy,
            "policy: all of them must have at most 10000 header matchers in one text",
        ),
        (clusters + &routes, Dialect::Envoy, few),
        (
            filled("", &|_| "---\na: 1\n".to_owned(), "---\n{clusters: [{circuit_breakers: {}}]}\n"),
            Dialect::Envoy,
            "envoy: no policy found; it is told by routes, virtual hosts or a retry_policy",
        ),
        (
            filled("retry_policy: {", &|i| format!("k{i}: 1,"), "num_retries: -1}"),
            Dialect::Envoy,
            "retry_policy.num_retries: must be a whole number from 0 to 4294967295, got -1",
        ),
        (
            filled("a: [", &|_| "{b: 1},".to_owned(), "]\nretry_policy: {retry_on: 5}\n"),
            Dialect::Envoy,
            "YAML line 2, column 16: retry_policy.retry_on: must be text, got 5; write \"5\"",
        ),
        (filled("", &|_| "---\n{spec: {retry: {codes: []}}}\n".to_owned(), ""), Dialect::Kgateway, few),
        (filled("routers: [{service: {configs: [", &|i| format!("{{prefix: /a/{}}},", i % 7), "]}}]"), Dialect::Linkerd, few),
        (filled("routers: [", &|_| format!("{{service: {{configs: [{configs}]}}}},"), "]"), Dialect::Linkerd, few),
        (filled("", &|i| format!("[a{i}.retryConfig]\n"), ""), Dialect::Ballerina, few),
        (filled("- {}\n", &|_| "- {HttpRequestRetry: {}}\n".to_owned(), ""), Dialect::Ktor, few),
    ] {
        let error = read_all(&text, Some(dialect)).expect_err(expected).to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}
