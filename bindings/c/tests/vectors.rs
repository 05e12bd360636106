//! The shared vectors through C: the same policies, the same messages, the same names.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use serde_json::value::RawValue;
use support::{C99, compile, libraries, root};

/// Fails if cases disappear: all of config.json but those below.
const CASES: usize = 453;

fn vectors(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join(format!("tests/vectors/{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The cases in their own text: the order of keys counts.
fn texts(name: &str) -> Vec<HashMap<String, Box<RawValue>>> {
    let text = std::fs::read_to_string(root().join(format!("tests/vectors/{name}.json"))).unwrap();
    let whole: HashMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
    serde_json::from_str(whole["cases"].get()).unwrap()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r")
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.push(match (character, characters.as_str().chars().next()) {
            ('\\', Some(next)) => {
                characters.next();
                match next {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                }
            }
            _ => character,
        });
    }
    out
}

/// What the C program answers, line by line.
fn answers(name: &str, questions: &[String]) -> Vec<String> {
    let program = compile("tests/c/vectors.c", C99, name);
    let mut command = Command::new("timeout");
    command.arg("60").arg(program).env("LD_LIBRARY_PATH", libraries());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let all = questions.join("\n") + "\n";
    let writer = std::thread::spawn(move || stdin.write_all(all.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), questions.len());
    lines
}

/// Why a case cannot be asked through C.
fn unspeakable(case: &Value) -> Option<&'static str> {
    let document = case.to_string();
    if document.contains("$float") {
        return Some("JSON text has no NaN and no infinity");
    }
    if document.contains("\\u0000") {
        return Some("NUL ends a text of C");
    }
    case.get("keys").map(|_| "camelCase is for Node alone")
}

#[test]
fn documents_give_the_same_policies_and_messages() {
    let vectors = vectors("config");
    let cases = vectors["cases"].as_array().unwrap().iter().zip(texts("config"));
    let cases: Vec<(&Value, _)> = cases.filter(|(case, _)| unspeakable(case).is_none()).collect();
    let question = |(case, texts): &(&Value, HashMap<String, Box<RawValue>>)| {
        let format = ["yaml", "toml", "json"].into_iter().find(|format| case.get(format).is_some());
        let text = format.map_or_else(|| texts["document"].get().to_owned(), |format| case[format].as_str().unwrap().to_owned());
        let base = case.get("base").map_or(String::new(), Value::to_string);
        format!("policy\t{}\t{}\t{}", escaped(&base), format.unwrap_or("json"), escaped(&text))
    };
    let mut questions: Vec<String> = cases.iter().map(question).collect();
    questions.push("policy\t\tjson\t{}".to_owned());
    let mut answers = answers("vectors_config", &questions);
    let policy = |answer: &str| Some(serde_json::from_str::<Value>(&unescaped(answer.strip_prefix("ok\t")?)).unwrap());
    let default = policy(&answers.pop().unwrap()).unwrap();
    let mut wrong = Vec::new();
    for ((case, _), answer) in cases.iter().zip(&answers) {
        let right = match (case.get("error").and_then(Value::as_str), policy(answer)) {
            (Some(message), None) => unescaped(answer) == format!("config\t{message}"),
            (None, Some(policy)) => {
                policy.as_object().unwrap().iter().all(|(key, value)| case["policy"].get(key).unwrap_or(&default[key]) == value)
            }
            _ => false,
        };
        if !right {
            wrong.push(format!("{}: {answer}", case["name"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() >= CASES, "{} cases, there were {CASES}", cases.len());
}

#[test]
fn numbers_have_the_same_names() {
    let vectors = vectors("errors");
    let mut wanted = Vec::new();
    let mut questions = Vec::new();
    for (list, word) in [("kinds", "kind"), ("stop_reasons", "stop")] {
        for row in vectors[list].as_array().unwrap() {
            questions.push(format!("{word}\t{}", row["number"]));
            wanted.push(row["code"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(answers("vectors_errors", &questions), wanted);
    assert!(wanted.len() >= 29);
}
