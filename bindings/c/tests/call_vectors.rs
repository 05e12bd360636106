//! Whole calls as data, through C: `tests/vectors/calls.json`. tests/server/README.md says what the keys mean.
#![allow(clippy::unwrap_used)]

mod support;

use reknock_test_server::Script;
use serde_json::Value;
use support::call_lines::{ATTEMPT, arrived, expected, is, question};
use support::lines::{answers, vectors};
use support::scripts;

/// The fields of a call before its attempts.
const HEAD: usize = 8;

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
        let problem = compare(case, answer, script.url()).and_then(|()| arrived(case, &server, script)).err();
        wrong.extend(problem.map(|problem| format!("{}: {problem}", case["name"].as_str().unwrap())));
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(cases.len(), 157);
}

fn compare(case: &Value, answer: &[String], url: &str) -> Result<(), String> {
    let mut rest = answer;
    for expected in expected(case) {
        let (head, after) = rest.split_at(HEAD);
        let count: usize = head[7].parse().unwrap();
        let (attempts, after) = after.split_at(count * ATTEMPT);
        rest = after;
        let text = |key: &str, missing: &str| expected[key].as_str().unwrap_or(missing).to_owned();
        let status = expected["status"].as_u64().unwrap_or(0).to_string();
        let wanted = ["call".to_owned(), status, text("error", "ok"), text("stop_reason", ""), text("body", &head[4])];
        let wants = expected["attempts"].as_array().unwrap();
        if head[..5] != wanted || count != wants.len() {
            return Err(format!("{answer:?} instead of {expected}"));
        }
        if !told_so(expected, &head[5], &head[6], url) {
            return Err(format!("told {:?} and {:?} instead of {expected}", head[5], head[6]));
        }
        for (wanted, attempt) in wants.iter().zip(attempts.chunks(ATTEMPT)) {
            if !is_whole(wanted, attempt) {
                return Err(format!("{attempt:?} instead of {wanted}"));
            }
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("{answer:?} is of more calls")) }
}

/// Whether the events of a call, and the line of its end, are as expected, if anything is.
fn told_so(expected: &Value, events: &str, text: &str, url: &str) -> bool {
    let Some(wanted) = expected["events"].as_array() else { return true };
    let url = format!("{}/", url.trim_end_matches('/'));
    let wanted: String = wanted.iter().map(|event| event.as_str().unwrap().replace("{url}", &url) + ";").collect();
    let line = expected["text"].as_str().unwrap().replace("{url}", &url);
    let (before, after) = line.split_once("{...}").unwrap();
    wanted == events && text.starts_with(before) && text.ends_with(after)
}

/// Whether an attempt is as expected, with what is known of its connection.
fn is_whole(wanted: &Value, attempt: &[String]) -> bool {
    let number = |at: usize| attempt[at].parse::<i64>().unwrap();
    let status = wanted["status"].as_i64().unwrap_or(0);
    let reused = wanted.get("reused").is_none_or(|reused| i64::from(*reused == true) == number(6));
    let version = wanted.get("version").is_none_or(|version| if version == "HTTP/2" { number(7) == 20 } else { number(7) == 11 });
    let interim = wanted["interim"].as_i64().is_none_or(|interim| interim == number(11));
    let peer = (status == 0) || attempt[10].starts_with("127.0.0.1:");
    is(wanted, attempt)
        && number(3) == wanted["hop"].as_i64().unwrap_or(0)
        && (number(8) == -1) == (status == 0)
        && number(8) <= number(9)
        && reused
        && version
        && interim
        && peer
}
