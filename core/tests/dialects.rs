//! Documents in the words of other systems, and the policies, notes and errors they give: `tests/vectors/dialects/`.
#![cfg(feature = "documents")]

use reknock::policy::{Dialect, Loaded, RequestHead, Value, envoy, load_all, load_text, read_all};
use reknock::{Error, ErrorKind, Policy};

/// Fails if cases disappear.
const CASES: &[(&str, usize)] = &[("envoy", 132), ("kgateway", 53), ("linkerd", 69), ("ballerina", 60), ("ktor", 61), ("load", 36)];

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
        Some(text) => load_text(text, dialect),
        None => read_all(&floats(case.get("document").expect("a document")), dialect),
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
    let least = CASES.iter().find(|(known, _)| *known == name).expect("a file").1;
    assert!(cases.len() >= least, "{} cases, there were {least}", cases.len());
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
    assert_eq!(list(&vectors, "cases").len(), 9);
}

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
        let base = envoy::route(case.get("route").expect("a route")).expect("a route");
        let owned = pairs(case, "headers");
        let headers: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (policy, removed) = envoy::with_request_headers(&base, &headers.as_slice());
        let wrong = differences(&policy, &base, case.get("policy").expect("a policy"));
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        assert!(removed.iter().all(|removed| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(removed))));
        let kept = headers.iter().filter(|(name, _)| !removed.iter().any(|removed| removed.eq_ignore_ascii_case(name)));
        assert!(kept.into_iter().all(|(name, _)| !name.starts_with("x-envoy-")), "{name}: {removed:?}");
        Policy::from_value(&policy.to_value()).expect("a valid policy");
    }
    assert!(list(&vectors, "cases").len() >= 30);

    for case in list(&vectors, "expected_rq_timeout_ms") {
        let ms = |key: &str| match case.get(key) {
            Some(Value::Int(0) | Value::Null) | None => None,
            Some(Value::Int(ms)) => Some(std::time::Duration::from_millis(*ms as u64)),
            other => panic!("{other:?}"),
        };
        let header = envoy::expected_rq_timeout_ms(ms("timeout"), ms("per_try_timeout"), ms("elapsed").unwrap_or_default());
        assert_eq!(header.map(std::time::Duration::from_millis), ms("header"), "{case}");
    }
    assert_eq!(list(&vectors, "expected_rq_timeout_ms").len(), 14);
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

#[test]
fn files() {
    let folder = std::env::temp_dir().join(format!("reknock-dialects-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let one = write("client.bal", "http:Client c = check new (\"x\", retryConfig = {count: 2});");
    assert_eq!(Policy::load(&one).expect("one policy").max_retries(), 2);
    let linkerd = write("linkerd.yaml", "routers:\n- protocol: http\n  label: out\n  service: {totalTimeoutMs: 500}\n");
    assert_eq!(load_all(&linkerd, None).expect("one policy")[0].name.as_deref(), Some("out"));
    let two = write("two.toml", "[a.retryConfig]\ncount = 1\n[b.retryConfig]\ncount = 2\n");
    let error = Policy::load(&two).expect_err("two policies").to_string();
    assert_eq!(error, format!("{}: policy: must be one, there are 2: a, b; load_all reads them all", two.display()));
    assert_eq!(load_all(&two, Some(Dialect::Ballerina)).expect("two policies").len(), 2);
    let error = load_all(&two, Some(Dialect::Ktor)).expect_err("another dialect").to_string();
    assert!(error.ends_with("ktor: no policy found; it is told by HttpRequestRetry or one of its functions"), "{error}");
    let broken = write("broken.yaml", "retry_policy:\n\tretry_on: 5xx\n");
    let error = Policy::load(&broken).expect_err("a tab").to_string();
    assert_eq!(error, format!("{}: YAML line 2, column 2: tabs cannot indent YAML; write spaces", broken.display()));
    let large = write("large.yaml", &"retry_policy: {retry_on: 5xx}\n# \n".repeat(300_000));
    let error = load_all(&large, None).expect_err("10 MB").to_string();
    assert!(error.contains("must be at most 1MiB of text, got"), "{error}");
    let other = write("policy.txt", "");
    let error = load_all(&other, None).expect_err("another ending").to_string();
    assert!(error.ends_with("must end in .yaml, .yml, .json, .toml or .bal"), "{error}");
    std::fs::remove_dir_all(&folder).expect("its folder");
    assert_eq!(
        Dialect::from_name("envoi").expect_err("no dialect").to_string(),
        "dialect: must be one of reknock, envoy, kgateway, linkerd, ballerina, ktor, got \"envoi\"; did you mean \"envoy\"?"
    );
}

/// Values that bindings make are not bounded by a text: they are read in bounded time nevertheless.
#[test]
fn deep_and_wide_values() {
    let mut deep = Value::from([("retry_policy", Value::EMPTY)]);
    for _ in 0..60 {
        deep = Value::from([("inner", deep)]);
    }
    assert_eq!(read_all(&deep, None).expect("found").len(), 1);
    let routes = Value::List(vec![Value::from([("route", Value::from([("retry_policy", Value::EMPTY)]))]); 2000]);
    let wide = Value::from([("virtual_hosts", Value::list([Value::from([("routes", routes)])]))]);
    assert_eq!(read_all(&wide, None).expect_err("too many").to_string(), "policy: must be at most 1000 in one text");
    let items = Value::List(vec![Value::from("x"); 100_000]);
    let many = Value::from([("retry_policy", Value::from([("retry_on", Value::from("5xx")), ("retriable_headers", items)]))]);
    read_all(&many, None).expect_err("no matchers");
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
                        match read_all(&broken, dialect) {
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
                        if let Err(error) = load_text(&broken, dialect) {
                            assert_eq!(error.kind(), ErrorKind::Config);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn explained() {
    let document = r#"{"retryOn": "5xx", "numRetries": 2, "perTryTimeout": "1s"}"#;
    let loaded = load_text(document, Some(Dialect::Kgateway)).expect("a policy").remove(0);
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
    assert!(text.contains("a reserve of 10 within 10s; a call that comes alone gets 10, so it refuses only when several calls fail\n"));
    let text = Policy::none().explain();
    assert!(text.contains("worst case: 1 attempt, no retries\n  until the last response head: 25s by connect_timeout, per_try_timeout and waits, within the timeout of 1m\n"), "{text}");
    let text = load_text("retryConfig: {count: 1}, timeout: -1", None).expect("a policy")[0].explain();
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
