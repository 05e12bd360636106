//! `reknock_curl.h`: programs that keep libcurl, and whole calls as data through it, one at a time and on a multi handle.
#![allow(clippy::unwrap_used)]

mod support;

use reknock_test_server::Script;
use serde_json::{Value, json};
use support::call_lines::{ATTEMPT, HEAD, arrived, expected, is, question};
use support::lines::{answers_with, vectors};
use support::{C99, compile_with, needs, policy, printed, scripts};

#[test]
fn one_call_at_a_time() {
    let Some(flags) = needs("libcurl") else { return };
    let server = scripts();
    let hinted = json!({"do": "status", "status": 503, "headers": [["Retry-After", "0.05"]], "body": "busy"});
    let script = server.script(json!([hinted, {"do": "reset"}, {"do": "status", "status": 200, "body": "done"}]));
    let curl = compile_with("examples/c/curl_easy.c", C99, "curl_easy", &flags);
    let policy = policy("curl_easy.yaml", "{backoff: 10ms}");
    let text = printed(&curl, &[script.url(), policy.to_str().unwrap()]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with(": 200 done"), "{text}");
    assert!(lines[1].contains("#1 503") && lines[2].contains("#2 reset") && lines[3].contains("#3 200"), "{text}");
    assert!(lines[4].ends_with("= completed"), "{text}");
    assert_eq!(script.log().len(), 3);
}

#[test]
fn many_calls_on_a_multi_handle() {
    let Some(flags) = needs("libcurl") else { return };
    let server = scripts();
    let mut outcomes = vec![json!({"do": "status", "status": 503}); 5];
    outcomes.push(json!({"do": "status", "status": 200}));
    let script = server.script(json!(outcomes));
    let curl = compile_with("examples/c/curl_multi.c", C99, "curl_multi", &flags);
    assert_eq!(printed(&curl, &[script.url(), "50"]), "50 of 50 calls succeeded with 55 attempts\n");
    assert_eq!(script.log().len(), 55);
}

/// Why a scenario does not apply: what it needs, or its name.
const LEFT_OUT: &[(&str, &str)] = &[
    ("connection", "which connection is used is for libcurl to say"),
    ("max_response_size", "an option of our client"),
    ("redirects", "those that libcurl follows are part of their attempt"),
    ("expect", "it repeats a 417 by itself"),
    ("http2", "it does not say which stream was refused"),
    ("half a response head, then the end", "its parser takes it"),
    ("a head with two lengths", "its parser takes it"),
    ("streams", "what is read once is not kept by it"),
];

fn left_out(case: &Value) -> bool {
    let mut names = case["needs"].as_array().into_iter().flatten().chain([&case["name"]]);
    names.any(|name| LEFT_OUT.iter().any(|(reason, _)| name == reason))
}

fn calls(how: &str) {
    let Some(flags) = needs("libcurl") else { return };
    let vectors = vectors("calls");
    let (without, cases): (Vec<&Value>, Vec<&Value>) = vectors["cases"].as_array().unwrap().iter().partition(|case| left_out(case));
    let server = scripts();
    let made: Vec<Script> = cases.iter().map(|case| server.script(case["server"].clone())).collect();
    let questions: Vec<String> = cases.iter().zip(&made).map(|(case, script)| question(case, script)).collect();
    let answers = answers_with("tests/c/curl_calls.c", &format!("curl_calls_{how}"), &questions, &flags, &[how]);
    let mut wrong = Vec::new();
    for ((case, script), answer) in cases.iter().zip(&made).zip(&answers) {
        let problem = compare(case, answer).and_then(|()| arrived(case, &server, script)).err();
        wrong.extend(problem.map(|problem| format!("{}: {problem}", case["name"].as_str().unwrap())));
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!((without.len(), cases.len()), (41, 116));
}

#[test]
fn calls_one_at_a_time() {
    calls("easy");
}

#[test]
fn calls_on_a_multi_handle() {
    calls("multi");
}

/// What libcurl does not tell of its connections is not compared.
fn compare(case: &Value, answer: &[String]) -> Result<(), String> {
    let mut rest = answer;
    for expected in expected(case) {
        let (head, after) = rest.split_at(HEAD);
        let count: usize = head[5].parse().unwrap();
        let (attempts, after) = after.split_at(count * ATTEMPT);
        rest = after;
        let text = |key: &str, missing: &str| expected[key].as_str().unwrap_or(missing).to_owned();
        let status = expected["status"].as_u64().unwrap_or(0).to_string();
        let wanted = ["call".to_owned(), status, text("error", "ok"), text("stop_reason", ""), text("body", &head[4])];
        let wants = expected["attempts"].as_array().unwrap();
        if head[..5] != wanted
            || count != wants.len()
            || !wants.iter().zip(attempts.chunks(ATTEMPT)).all(|(wanted, attempt)| is(wanted, attempt))
        {
            return Err(format!("{answer:?} instead of {expected}"));
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{answer:?} is of more calls")) }
}
