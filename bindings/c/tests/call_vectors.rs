//! Whole calls as data, through C: `tests/vectors/calls.json`. tests/server/README.md says what the keys mean.
#![allow(clippy::unwrap_used)]

mod support;

use reknock_test_server::{Arrival, Script};
use serde_json::{Value, json};
use support::lines::{answers, line, vectors};
use support::{Scripts, scripts};

/// The fields of a call before its attempts, and those of an attempt.
const HEAD: usize = 6;
const ATTEMPT: usize = 12;

#[test]
fn calls() {
    let vectors = vectors("calls");
    let cases = vectors["cases"].as_array().unwrap();
    let server = scripts();
    let made: Vec<Script> = cases.iter().map(|case| server.script(case["server"].clone())).collect();
    let questions: Vec<String> = cases.iter().zip(&made).map(|(case, script)| question(case, script)).collect();
    let answers = answers("tests/c/calls.c", "call_vectors", &questions);
    let mut wrong = Vec::new();
    for ((case, script), answer) in cases.iter().zip(&made).zip(&answers) {
        let problem = compare(case, answer).and_then(|()| arrived(case, &server, script)).err();
        wrong.extend(problem.map(|problem| format!("{}: {problem}", case["name"].as_str().unwrap())));
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(cases.len(), 154);
}

/// One for each call.
fn expected(case: &Value) -> &[Value] {
    let expect = &case["expect"];
    expect.as_array().map_or(std::slice::from_ref(expect), Vec::as_slice)
}

fn question(case: &Value, script: &Script) -> String {
    let mut policy = json!({"backoff": "none"});
    match &case["policy"] {
        Value::Object(keys) => policy.as_object_mut().unwrap().extend(keys.clone()),
        Value::Bool(_) => policy["max_retries"] = 0.into(),
        _ => {}
    }
    let (asked, client) = (&case["request"], &case["client"]);
    let number = |value: &Value| value.as_u64().map_or("-1".to_owned(), |number| number.to_string());
    let opinion = match &case["retry_if"] {
        Value::Null => "-1",
        Value::Bool(_) => "1",
        stop if stop == "stop" => "2",
        _ => "0",
    };
    let url = format!("{}{}", script.url(), asked["path"].as_str().unwrap_or("/"));
    let mut fields = vec![
        url,
        asked["method"].as_str().unwrap_or("GET").to_owned(),
        (case["server"]["http2"] == true).to_string(),
        policy.to_string(),
        expected(case).len().to_string(),
        script.ca().unwrap_or_default().to_owned(),
        (client["follow_redirects"] != false).to_string(),
        number(&client["max_redirects"]),
        number(&client["max_response_size"]),
        opinion.to_owned(),
        number(&asked["body"]["size"]),
        (asked["body"]["stream"] == "once").to_string(),
    ];
    let headers = asked["headers"].as_array().into_iter().flatten().flat_map(|field| [&field[0], &field[1]]);
    fields.extend(headers.map(|text| text.as_str().unwrap().to_owned()));
    line(&fields.iter().map(String::as_str).collect::<Vec<_>>())
}

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
        if head[..5] != wanted || count != wants.len() {
            return Err(format!("{answer:?} instead of {expected}"));
        }
        for (wanted, attempt) in wants.iter().zip(attempts.chunks(ATTEMPT)) {
            if !is(wanted, attempt) {
                return Err(format!("{attempt:?} instead of {wanted}"));
            }
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{answer:?} is of more calls")) }
}

/// Whether an attempt is as expected. Its fields are in tests/c/calls.c.
fn is(wanted: &Value, attempt: &[String]) -> bool {
    let number = |at: usize| attempt[at].parse::<i64>().unwrap();
    let evidence = match wanted["evidence"].as_str() {
        Some("not_sent") => 1,
        Some("refused") => 2,
        _ => 3,
    };
    let status = wanted["status"].as_i64().unwrap_or(0);
    let reused = wanted.get("reused").is_none_or(|reused| i64::from(*reused == true) == number(6));
    let version = wanted.get("version").is_none_or(|version| if version == "HTTP/2" { number(7) == 20 } else { number(7) == 11 });
    let interim = wanted["interim"].as_i64().is_none_or(|interim| interim == number(11));
    let wait = match &wanted["wait_ms"] {
        Value::Null => true,
        Value::Array(range) => (range[0].as_i64().unwrap() * 1000..=range[1].as_i64().unwrap() * 1000).contains(&number(5)),
        exact => exact.as_i64().unwrap() * 1000 == number(5),
    };
    let peer = (status == 0) || attempt[10].starts_with("127.0.0.1:");
    number(0) == status
        && attempt[1] == wanted["error"].as_str().unwrap_or("ok")
        && number(2) == evidence
        && number(3) == wanted["hop"].as_i64().unwrap_or(0)
        && number(4) == wanted["hint_ms"].as_i64().map_or(-1, |ms| ms * 1000)
        && (number(8) == -1) == (status == 0)
        && number(8) <= number(9)
        && wait
        && reused
        && version
        && interim
        && peer
}

fn arrived(case: &Value, server: &Scripts, script: &Script) -> Result<(), String> {
    let sends = case["sends"].as_u64().unwrap() as usize;
    server.until(script, || script.log().len() >= sends);
    if script.log().len() != sends {
        return Err(format!("{} requests arrived instead of {sends}", script.log().len()));
    }
    for (at, wanted) in case["arrivals"].as_array().into_iter().flatten().enumerate() {
        if wanted["body_size"].is_u64() {
            server.until(script, || script.log()[at].body_complete);
        }
        let arrival = &script.log()[at];
        if !wanted.as_object().unwrap().iter().all(|(key, value)| arrived_so(key, value, arrival)) {
            return Err(format!("{arrival:?} instead of {wanted}"));
        }
    }
    Ok(())
}

fn arrived_so(key: &str, value: &Value, arrival: &Arrival) -> bool {
    match key {
        "method" => *value == arrival.method,
        "target" => *value == arrival.target,
        "body_size" => *value == arrival.body_size,
        "headers" => value.as_object().unwrap().iter().all(|(name, value)| json!(arrival.header(name)) == *value),
        other => panic!("arrivals: {other}"),
    }
}
