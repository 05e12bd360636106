//! Whole calls as data, as questions to a program: what is asked, and what must arrive at the server.

use reknock_test_server::{Arrival, Script};
use serde_json::{Value, json};

use super::Scripts;
use super::lines::line;

/// The fields of a call before its attempts, and those of an attempt.
pub const HEAD: usize = 6;
pub const ATTEMPT: usize = 12;

/// One for each call.
pub fn expected(case: &Value) -> &[Value] {
    let expect = &case["expect"];
    expect.as_array().map_or(std::slice::from_ref(expect), Vec::as_slice)
}

pub fn question(case: &Value, script: &Script) -> String {
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

/// Whether what every client tells of an attempt is as expected. Its fields are in tests/c/calls.c.
pub fn is(wanted: &Value, attempt: &[String]) -> bool {
    let number = |at: usize| attempt[at].parse::<i64>().unwrap();
    let evidence = match wanted["evidence"].as_str() {
        Some("not_sent") => 1,
        Some("refused") => 2,
        _ => 3,
    };
    let wait = match &wanted["wait_ms"] {
        Value::Null => true,
        Value::Array(range) => (range[0].as_i64().unwrap() * 1000..=range[1].as_i64().unwrap() * 1000).contains(&number(5)),
        exact => exact.as_i64().unwrap() * 1000 == number(5),
    };
    number(0) == wanted["status"].as_i64().unwrap_or(0)
        && attempt[1] == wanted["error"].as_str().unwrap_or("ok")
        && number(2) == evidence
        && number(4) == wanted["hint_ms"].as_i64().map_or(-1, |ms| ms * 1000)
        && wait
}

pub fn arrived(case: &Value, server: &Scripts, script: &Script) -> Result<(), String> {
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
