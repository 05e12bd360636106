//! The shared vectors of the decision machine, through C.
#![allow(clippy::unwrap_used)]

mod support;

use core_::{ErrorKind, Evidence};
use serde_json::{Value, json};
use support::lines::vectors;
use support::machine::{Script, WALL_MS, decide, ns};

#[test]
fn decisions() {
    let file = vectors("decide");
    let cases = file["cases"].as_array().unwrap();
    let mut script = Script::default();
    for case in cases {
        script.policy(&case["policy"]);
        let mut begun: Vec<(&str, &str, &str)> = Vec::new();
        for step in case["steps"].as_array().unwrap() {
            let now = ns(step["at"].as_f64().unwrap());
            let key = step["call"].as_str().unwrap_or("a");
            let call = (key.as_bytes()[0] - b'a').to_string();
            if !begun.iter().any(|(known, ..)| *known == key) {
                let origin = step["origin"].as_str().unwrap_or("http://a");
                let flag = |name: &str| if step[name] == true { "1" } else { "0" };
                let from = ns(step["begin"].as_f64().unwrap_or(step["at"].as_f64().unwrap()));
                script.say(&["begin", &call, step["method"].as_str().unwrap_or("GET"), origin, flag("key"), flag("asked"), &from]);
                begun.push((key, origin, if step["replayable"] == false { "0" } else { "1" }));
            }
            let running = begun.iter_mut().find(|(known, ..)| *known == key).unwrap();
            if let Some(hop) = step.get("redirect") {
                running.1 = hop["origin"].as_str().unwrap_or("http://a");
                let key = if hop["key"] == true { "1" } else { "0" };
                script.say(&["redirect", &call, hop["method"].as_str().unwrap_or("GET"), running.1, key, &now]);
            }
            let (_, origin, replayable) = *running;
            if step.get("redirect").is_some() {
            } else if let Some(how) = step["end"].as_str() {
                if step["sent"] == true {
                    script.say(&["attempt", &call, &now]);
                }
                match how {
                    "finish" => script.say(&["finish", &call, &now]),
                    _ => script.say(&["free", &call]),
                }
                begun.retain(|(known, ..)| *known != key);
            } else {
                step_of(&mut script, &format!("{}: {step}", case["name"]), step, &call, replayable, &now);
            }
            if let Some(balance) = step.get("balance") {
                // A budget that was found but not used is as good as none.
                let unused = case["policy"]["max_retries"] == 0;
                let wanted = balance.as_i64().map_or("none".to_owned(), |balance| balance.to_string());
                if !unused {
                    script.expect(&["balance", origin, &now], wanted, format!("{}: balance after {step}", case["name"]));
                }
            }
        }
    }
    assert_eq!(cases.len(), 106);
    script.run("machine_decide");
}

/// One attempt, and what is decided about it.
fn step_of(script: &mut Script, about: &str, step: &Value, call: &str, replayable: &str, now: &str) {
    let outcome = &step["outcome"];
    script.say(&["attempt", call, now]);
    match outcome["status"].as_u64() {
        Some(status) => {
            let status = status.to_string();
            let mut fields = vec!["response", call, &status, WALL_MS, now];
            let none = Vec::new();
            let lines = outcome["headers"].as_array().unwrap_or(&none).iter();
            fields.extend(lines.flat_map(|line| [line[0].as_str().unwrap(), line[1].as_str().unwrap()]));
            script.say(&fields);
        }
        None => {
            let kind = ErrorKind::from_code(outcome["failure"].as_str().unwrap()).unwrap().number().to_string();
            let evidence = Evidence::ALL.iter().position(|evidence| outcome["evidence"] == evidence.code()).unwrap() + 1;
            let evidence = evidence | if outcome["local"] == true { 128 } else { 0 };
            script.say(&["failure", call, &kind, &evidence.to_string(), now]);
        }
    }
    let answer = &step["answer"];
    let number = match (answer["retry"].as_bool(), answer["wait"].as_u64()) {
        (None, None) => "0",
        (Some(true), None) => "1",
        (Some(false), None) => "2",
        (Some(true), Some(_)) => "3",
        other => panic!("{about}: no answer of C: {other:?}"),
    };
    let wait = answer["wait"].as_u64().unwrap_or(0).to_string();
    let backoff = answer["backoff"].as_i64().unwrap_or(-1).to_string();
    let wanted = step["then"].as_f64().map_or_else(|| step["then"].as_str().unwrap().to_owned(), |ms| format!("retry\t{}", ns(ms)));
    script.expect(&["decide", call, number, &wait, &backoff, replayable, now], wanted, about.to_owned());
}

/// C frees a call when it ends, and has a function each for a status and an error.
#[test]
fn misuse() {
    let file = vectors("misuse");
    let cases = file["cases"].as_array().unwrap();
    let mut script = Script::default();
    let (mut ran, mut refused) = (0, 0);
    for case in cases {
        script.policy(&json!({"backoff": "1ms"}));
        script.begin("0", "0");
        for step in case["steps"].as_array().unwrap() {
            let Some(fields) = misuse_of(step) else { continue };
            // Of the same budgets as the call before it.
            if step["do"] == "begin" {
                script.expect(&["use", &step["policy"].to_string()], "ok".to_owned(), step.to_string());
            }
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            let about = format!("{}: {step}", case["name"]);
            match (&step["wrong"], &step["then"]) {
                (Value::String(kind), _) => {
                    let status = if kind == "budget" { "config" } else { "invalid_argument" };
                    let got = if step["evidence"] == "none" { "0" } else { "99" };
                    let message = step["message"].as_str().unwrap().replace("{got}", got);
                    script.expect(&fields, format!("wrong\t{status}\t{message}"), about);
                    refused += 1;
                }
                (_, Value::Number(ms)) => script.expect(&fields, format!("retry\t{}", ns(ms.as_f64().unwrap())), about),
                (_, Value::String(reason)) => script.expect(&fields, reason.clone(), about),
                _ => script.say(&fields),
            }
            ran += 1;
        }
    }
    assert_eq!((cases.len(), ran, refused), (16, 86, 25));
    script.run("machine_misuse");
}

/// The question that a step is; none for what cannot be asked in C.
fn misuse_of(step: &Value) -> Option<Vec<String>> {
    if step["message"].as_str().is_some_and(|message| message.contains("was finished or abandoned")) {
        return None;
    }
    let origin = step["origin"].as_str().unwrap_or_default();
    let fields: Vec<&str> = match (step["do"].as_str().unwrap(), step["status"].as_i64(), step["error"].as_str()) {
        ("begin", ..) => vec!["begin", "0", "GET", origin, "0", "0", "0"],
        ("attempt", ..) => vec!["attempt", "0", "0"],
        ("classify", Some(_), Some(_)) | ("classify", None, None) => return None,
        ("classify", Some(status), None) => return Some(["response", "0", &status.to_string(), WALL_MS, "0"].map(str::to_owned).to_vec()),
        ("classify", None, Some(error)) => {
            let kind = ErrorKind::from_code(error).map_or(99, ErrorKind::number).to_string();
            let known = Evidence::ALL.iter().position(|evidence| step["evidence"] == evidence.code());
            return Some(["failure", "0", &kind, &known.map_or(0, |place| place + 1).to_string(), "0"].map(str::to_owned).to_vec());
        }
        ("decide", ..) => decide("0", "0"),
        ("redirect", ..) => vec!["redirect", "0", "GET", origin, "0", "0"],
        ("finish" | "abandon", ..) => return None,
        (other, ..) => panic!("no step: {other}"),
    };
    Some(fields.into_iter().map(str::to_owned).collect())
}

/// All but what C does not have: failures that are no kind, and what a call tells that is finished.
#[test]
fn driver() {
    let file = vectors("driver");
    let mut script = Script::default();
    let mut ran = 0;
    for case in file["cases"].as_array().unwrap() {
        script.policy(&case["policy"]);
        let call = &case["call"];
        let lines = call["headers"].as_array().map_or(&[][..], Vec::as_slice);
        let nested = if call["nested"] == true { "1" } else { "0" };
        let mut fields = vec!["begin", "0", call["method"].as_str().unwrap_or("GET"), "http://a.test", "0", "0", "0", "0", nested];
        fields.extend(lines.iter().flat_map(|line| [line[0].as_str().unwrap(), line[1].as_str().unwrap()]));
        script.say(&fields);
        for step in case["steps"].as_array().unwrap() {
            if step.get("class").is_some() || step.get("returned").is_some() || step["do"] == "abandon" {
                break;
            }
            told_of(&mut script, step, &format!("{}: {step}", case["name"]));
            ran += 1;
        }
    }
    assert_eq!(ran, 104);
    script.run("machine_driver");
}

fn told_of(script: &mut Script, step: &Value, about: &str) {
    let now = ns(step["at"].as_f64().unwrap());
    let replayable = if step["replayable"] == false { "0" } else { "1" };
    let expect = |script: &mut Script, fields: &[&str], wanted: String| script.expect(fields, wanted, about.to_owned());
    match step["do"].as_str().unwrap() {
        "attempt" => script.say(&["attempt", "0", &now]),
        "classify" => match step["status"].as_u64() {
            Some(status) => {
                let (status, lines) = (status.to_string(), step["headers"].as_array().map_or(&[][..], Vec::as_slice));
                let mut fields = vec!["response", "0", &status, WALL_MS, &now];
                fields.extend(lines.iter().flat_map(|line| [line[0].as_str().unwrap(), line[1].as_str().unwrap()]));
                script.say(&fields);
            }
            None => {
                let kind = ErrorKind::from_code(step["error"].as_str().unwrap()).unwrap().number().to_string();
                let known = step["evidence"].as_str().unwrap_or("unknown");
                let evidence = Evidence::ALL.iter().position(|evidence| known == evidence.code()).unwrap() + 1;
                script.say(&["failure", "0", &kind, &evidence.to_string(), &now]);
            }
        },
        "asks" => expect(script, &["asks", "0", replayable, &now], i32::from(step["is"] == true).to_string()),
        "decide" => {
            let wait = step["opinion"].as_u64().unwrap_or(0).to_string();
            let answer = match &step["opinion"] {
                Value::Bool(true) => "1",
                Value::String(_) => "2",
                Value::Number(_) => "3",
                _ => "0",
            };
            let wanted = step["then"].as_f64().map_or_else(|| step["then"].as_str().unwrap().to_owned(), |ms| format!("retry\t{}", ns(ms)));
            expect(script, &["decide", "0", answer, &wait, "-1", replayable, &now], wanted);
        }
        "limits" => {
            let limits: Vec<_> = step["is"].as_array().unwrap().iter().map(|limit| limit.as_f64().map_or("-1".to_owned(), ns)).collect();
            let deadline = step["is"][3].as_f64().map_or("-1".to_owned(), |_| ns(10_000.0));
            expect(script, &["limits", "0", &now], format!("{}\t{deadline}", limits.join("\t")));
        }
        // A key that was minted is another one each time.
        "fields" if step["is"].to_string().contains('*') => script.say(&["fields", "0"]),
        "fields" => {
            let fields: Vec<_> =
                step["is"].as_array().unwrap().iter().flat_map(|line| [line[0].as_str().unwrap(), line[1].as_str().unwrap()]).collect();
            expect(script, &["fields", "0"], fields.join("\t"));
        }
        "left" | "kept" => script.say(&["told", "0"]),
        "told" => {
            let (reason, explained) = (step["stop_reason"].as_str().unwrap_or("none"), step["explain"].as_str().unwrap());
            script.told(&["told", "0"], reason, explained, about);
        }
        other => panic!("no step of C: {other}"),
    }
}
