//! Whole calls by Envoy's rules through C, as in core/tests/behaviour/envoy_calls.rs: `tests/vectors/dialects/envoy_calls.json`.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{C99, compile, printed, root, scripts};

/// What needs no clock that leaps over long waits, nobody who moves the script on, a route with a policy, and a body of bytes.
fn runnable(case: &Value) -> bool {
    let wait = &case["first_wait_ms"];
    let quick = wait.is_null() || wait == 0 || wait[1].as_u64().is_some_and(|most| most < 100);
    let alone = case["script"].as_array().unwrap().iter().all(|outcome| outcome["do"] != "refused");
    case["route"].get("retry_policy").is_some() && quick && alone && case["request"]["stream"].is_null()
}

#[test]
fn calls_by_the_rules_of_envoy() {
    let text = std::fs::read_to_string(root().join("tests/vectors/dialects/envoy_calls.json")).unwrap();
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let server = scripts();
    let program = compile("tests/c/envoy_call.c", C99, "envoy_call");
    let mut wrong = Vec::new();
    let mut ran = 0;
    for case in vectors["cases"].as_array().unwrap().iter().filter(|case| runnable(case)) {
        let outcomes = case["script"].as_array().unwrap();
        let http2 = case["http2"] == true || outcomes.iter().any(|outcome| outcome["do"].as_str().unwrap().starts_with("h2-"));
        let script = server.script(json!({"script": outcomes, "http2": http2}));
        let request = &case["request"];
        let mut arguments = vec![
            script.url().to_owned(),
            request["method"].as_str().unwrap().to_owned(),
            http2.to_string(),
            case["route"].to_string(),
            request["body_size"].as_i64().unwrap_or(-1).to_string(),
        ];
        arguments.extend(
            request["headers"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|header| header.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()),
        );
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = case["status"].as_u64().map_or_else(|| case["error"].as_str().unwrap().to_owned(), |status| status.to_string());
        let expected = format!("{ended} {} {}", case["stop"].as_str().unwrap(), case["sends"]);
        let seen = printed(&program, &arguments);
        if seen.trim_end() != expected {
            wrong.push(format!("{}: {} instead of {expected}", case["name"], seen.trim_end()));
        }
        ran += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran >= 140, "{ran}");
}
