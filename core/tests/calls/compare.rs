//! What came of the calls, beside what was expected.

use reknock::client::Response;
use reknock::{AttemptRecord, Error, ErrorKind, Evidence, StopReason};
use reknock_test_server::{Arrival, Script};
use serde_json::{Value as Json, json};

use crate::live::eventually;

/// What came of a call.
#[derive(Debug)]
pub struct Seen {
    pub status: Option<u16>,
    pub error: Option<ErrorKind>,
    pub stop_reason: Option<StopReason>,
    /// Of a response.
    pub body: Option<String>,
    pub attempts: Vec<AttemptRecord>,
    /// Of an error.
    pub text: String,
}

impl From<Result<Response, Error>> for Seen {
    fn from(outcome: Result<Response, Error>) -> Self {
        match outcome {
            Ok(response) => Seen {
                status: Some(response.status()),
                error: None,
                stop_reason: Some(response.stop_reason()),
                body: Some(response.text().into_owned()),
                attempts: response.attempts().to_vec(),
                text: String::new(),
            },
            Err(error) => Seen {
                status: error.status(),
                error: Some(error.kind()),
                stop_reason: error.stop_reason(),
                body: None,
                attempts: error.attempts().to_vec(),
                text: error.to_string(),
            },
        }
    }
}

/// One for each call on the client. What a transport shows in another way stands under its own name.
pub fn expected<'a>(case: &'a Json, transport: &str) -> Vec<&'a Json> {
    match either(case, transport, "expect") {
        Json::Array(calls) => calls.iter().collect(),
        call => vec![call],
    }
}

fn either<'a>(case: &'a Json, transport: &str, key: &str) -> &'a Json {
    case[transport].get(key).unwrap_or(&case[key])
}

/// Everything that differs.
pub async fn problems(case: &Json, transport: &str, outcomes: &[Seen], script: &Script) -> Vec<String> {
    let mut problems = Vec::new();
    for (expected, outcome) in expected(case, transport).into_iter().zip(outcomes) {
        ended(expected, outcome, &mut problems);
        recorded(expected["attempts"].as_array().unwrap(), outcome, &mut problems);
    }
    let sends = either(case, transport, "sends").as_u64().unwrap() as usize;
    if problems.is_empty() {
        eventually(script, &format!("{sends} requests arrive: {outcomes:?}"), || script.log().len() >= sends).await;
    }
    let log = script.log();
    if log.len() != sends {
        problems.push(format!("{} requests arrived instead of {sends}", log.len()));
    }
    for (at, expected) in case["arrivals"].as_array().into_iter().flatten().enumerate() {
        if expected["body_size"].is_u64() {
            eventually(script, &format!("the body of request {at}"), || script.log().get(at).is_some_and(|arrival| arrival.body_complete))
                .await;
        }
        match script.log().get(at) {
            Some(arrival) => arrived(at, expected, arrival, &mut problems),
            None => problems.push(format!("request {at} did not arrive")),
        }
    }
    problems
}

fn ended(expected: &Json, outcome: &Seen, problems: &mut Vec<String>) {
    let seen = (json!(outcome.status), json!(outcome.error.map(ErrorKind::code)), json!(outcome.stop_reason.map(|reason| reason.code())));
    let wanted = (expected["status"].clone(), expected["error"].clone(), expected["stop_reason"].clone());
    if seen != wanted {
        problems.push(format!("ended with {seen:?} instead of {wanted:?}: {}", outcome.text));
    }
    if let (Some(body), Some(seen)) = (expected["body"].as_str(), &outcome.body)
        && body != seen
    {
        problems.push(format!("the body is {seen:?} instead of {body:?}"));
    }
}

fn recorded(expected: &[Json], outcome: &Seen, problems: &mut Vec<String>) {
    let records = &outcome.attempts;
    let seen: Vec<String> = records.iter().map(brief).collect();
    let wanted: Vec<String> = expected.iter().map(brief_of).collect();
    if seen != wanted {
        return problems.push(format!("attempts {seen:?} instead of {wanted:?}"));
    }
    for (expected, record) in expected.iter().zip(records) {
        let connection = &record.connection;
        let kept = expected.get("reused").is_none_or(|reused| *reused == json!(connection.reused));
        let version = expected.get("version").is_none_or(|version| *version == json!(connection.version.map(|version| version.code())));
        let interim = expected.get("interim").is_none_or(|interim| *interim == json!(record.interim));
        let hint = expected["hint_ms"] == json!(record.hint.map(|hint| hint.as_millis() as u64));
        let wait = match (&expected["wait_ms"], record.wait.map(|wait| wait.as_secs_f64() * 1e3)) {
            (Json::Null, _) => true,
            (Json::Array(range), Some(wait)) => range[0].as_f64().unwrap() <= wait && wait <= range[1].as_f64().unwrap(),
            (exact, wait) => exact.as_f64() == wait,
        };
        if !(kept && version && interim && hint && wait) {
            problems.push(format!("{record:?} is not {expected}"));
        }
    }
}

/// What identifies an attempt: status, kind, evidence, hop.
fn brief(record: &AttemptRecord) -> String {
    let (status, error) = (record.status.map_or("-".to_owned(), |status| status.to_string()), record.error.map_or("-", |kind| kind.code()));
    format!("{status} {error} {} {}", record.evidence.code(), record.hop)
}

fn brief_of(expected: &Json) -> String {
    let status = expected["status"].as_u64().map_or("-".to_owned(), |status| status.to_string());
    let evidence = expected["evidence"].as_str().unwrap_or(Evidence::Unknown.code());
    format!("{status} {} {evidence} {}", expected["error"].as_str().unwrap_or("-"), expected["hop"].as_u64().unwrap_or(0))
}

fn arrived(at: usize, expected: &Json, arrival: &Arrival, problems: &mut Vec<String>) {
    for (key, value) in expected.as_object().unwrap() {
        let right = match key.as_str() {
            "method" => *value == arrival.method,
            "target" => *value == arrival.target,
            "body_size" => *value == arrival.body_size,
            "headers" => value.as_object().unwrap().iter().all(|(name, value)| json!(arrival.header(name)) == *value),
            other => panic!("arrivals: {other}"),
        };
        if !right {
            problems.push(format!("request {at} arrived with another {key} than {value}: {arrival:?}"));
        }
    }
}
