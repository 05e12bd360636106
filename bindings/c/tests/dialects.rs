//! Whole calls by Envoy's rules through C, as in core/tests/behaviour/envoy_calls.rs: `tests/vectors/dialects/envoy_calls.json`.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use reknock_test_server::{Arrival, Script};
use serde_json::{Value, json};
use support::lines::vectors;
use support::{C99, Scripts, compile, eventually, libraries, scripts};

#[test]
fn calls_by_the_rules_of_envoy() {
    let vectors = vectors("dialects/envoy_calls");
    let cases = vectors["cases"].as_array().unwrap();
    let server = scripts();
    let program = compile("tests/c/envoy_call.c", C99, "envoy_call");
    let differs = |case| call(&server, &program, case).err().map(|problem| format!("{}: {problem}", case["name"]));
    let wrong: Vec<String> = cases.iter().filter_map(differs).collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(cases.len(), 174);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn call(server: &Scripts, program: &Path, case: &Value) -> Result<(), String> {
    let outcomes = list(&case["script"]);
    let http2 = case["http2"] == true || outcomes.iter().any(|outcome| text(&outcome["do"]).starts_with("h2-"));
    let script = server.script(json!({"script": outcomes, "http2": http2}));
    let (wait, end) = conversation(server, &script, program, &arguments(case, &script, http2), outcomes);
    let ended = case["status"].as_u64().map_or_else(|| text(&case["error"]).to_owned(), |status| status.to_string());
    let expected = format!("{ended} {} {}", text(&case["stop"]), case["sends"]);
    if end != expected {
        return Err(format!("{end} instead of {expected}"));
    }
    if let Some((least, most)) = first_wait(case) {
        let wait = wait.ok_or("no wait")?;
        if !(least..=most).contains(&wait) {
            return Err(format!("waits {wait} ms"));
        }
    }
    arrived(case, &script)
}

fn first_wait(case: &Value) -> Option<(f64, f64)> {
    let wait = &case["first_wait_ms"];
    let exact = wait.as_f64().map(|exact| (exact, exact));
    exact.or_else(|| wait.as_array().map(|range| (range[0].as_f64().unwrap(), range[1].as_f64().unwrap())))
}

fn arguments(case: &Value, script: &Script, http2: bool) -> Vec<String> {
    let request = &case["request"];
    let mut route = case["route"].clone();
    // A document that holds a route: without a policy it has an empty one.
    route.as_object_mut().unwrap().entry("retry_policy").or_insert_with(|| json!({}));
    let stream = request["stream"] == true;
    let leap = first_wait(case).is_some_and(|(_, most)| most > 100.0);
    let size = request["body_size"].as_i64().unwrap_or(-1);
    let mut arguments = vec![script.url().to_owned(), text(&request["method"]).to_owned(), http2.to_string(), route.to_string()];
    arguments.extend([size.to_string(), stream.to_string(), leap.to_string()]);
    arguments.extend(list(&request["headers"]).iter().flat_map(list).map(|part| text(part).to_owned()));
    arguments
}

/// Runs the program; what it says of its first wait in milliseconds, and of the end. Attempts that the server cannot see are told to it.
fn conversation(server: &Scripts, script: &Script, program: &Path, arguments: &[String], outcomes: &[Value]) -> (Option<f64>, String) {
    let mut command = Command::new("timeout");
    command.arg("60").arg(program).args(arguments).env("LD_LIBRARY_PATH", libraries());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut outcomes = outcomes.iter();
    let (mut first_wait, mut end) = (None, String::new());
    for line in stdout.lines().map(Result::unwrap) {
        let (word, rest) = line.split_once(' ').unwrap();
        if matches!(word, "planned" | "retry") {
            first_wait.get_or_insert(rest.parse::<f64>().unwrap() / 1000.0);
        }
        match word {
            "planned" => {}
            "retry" => {
                if outcomes.next().is_some_and(|outcome| outcome["do"] == "refused") {
                    server.advance(script);
                }
                stdin.write_all(b"\n").unwrap();
            }
            _ => end = line,
        }
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {arguments:?}");
    (first_wait, end)
}

/// What the server got.
fn arrived(case: &Value, script: &Script) -> Result<(), String> {
    if let Some(size) = case["last_body"].as_u64() {
        let whole = |arrival: &Arrival| arrival.body_complete && arrival.body_size == size;
        if !eventually(|| script.log().last().is_some_and(whole)) {
            return Err("the last body did not arrive".to_owned());
        }
    }
    let log = script.log();
    for (arrival, size) in log.iter().zip(list(&case["bodies"])) {
        if !arrival.body_complete || Some(arrival.body_size) != size.as_u64() || arrival.body_sha256 != log[0].body_sha256 {
            return Err(format!("attempt {}: {} bytes of the body arrived", arrival.n, arrival.body_size));
        }
    }
    for (name, values) in case["seen"].as_object().into_iter().flatten() {
        let seen: Vec<_> = log.iter().map(|arrival| arrival.header(name)).collect();
        let wanted: Vec<_> = list(values).iter().map(Value::as_str).collect();
        if seen != wanted {
            return Err(format!("{name}: {seen:?}"));
        }
    }
    let arrived = list(&case["unseen"]).iter().map(text).find(|name| log.iter().any(|arrival| arrival.header(name).is_some()));
    arrived.map_or(Ok(()), |name| Err(format!("{name} arrived")))
}
