//! C programs against the scripted server.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::{C99, CPP17, compile, has, policy, printed, run, scripts};

#[test]
fn a_get_is_retried_and_explained() {
    let server = scripts();
    let script = server.script(json!([
        {"do": "status", "status": 503}, {"do": "reset"}, {"do": "status", "status": 200, "body": "done"},
    ]));
    let policy = policy("get.yaml", "{backoff: {base: 10ms}}");
    let get = compile("examples/c/get.c", C99, "get");
    let text = printed(&get, &[script.url(), policy.to_str().unwrap()]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "200 done");
    assert!(lines[1].contains("#1 503") && lines[2].contains("#2 reset") && lines[3].contains("#3 200"), "{text}");
    assert!(lines[4].ends_with("= completed"), "{text}");
    assert_eq!(script.log().len(), 3);
}

#[test]
fn a_failure_says_what_and_why() {
    let server = scripts();
    let script = server.script(json!([{"do": "refused"}]));
    let policy = policy("failure.yaml", "{max_retries: 1, backoff: {base: 10ms}}");
    let get = compile("examples/c/get.c", C99, "get_failure");
    let output = run(&get, &[script.url(), policy.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.starts_with("connect: ") && text.contains("retries_exhausted"), "{text}");
}

#[test]
fn a_hundred_calls_in_one_event_loop() {
    let server = scripts();
    let mut outcomes = vec![json!({"do": "status", "status": 503}); 10];
    outcomes.push(json!({"do": "status", "status": 200}));
    let script = server.script(json!(outcomes));
    let epoll = compile("examples/c/epoll.c", C99, "epoll");
    assert_eq!(printed(&epoll, &[script.url(), "100"]), "100 of 100 calls succeeded with 110 attempts\n");
    assert_eq!(script.log().len(), 110);
}

#[test]
fn callbacks_decide() {
    let server = scripts();
    let script = server.script(json!([
        {"do": "status", "status": 404, "body": "not ready"}, {"do": "status", "status": 503}, {"do": "status", "status": 200},
    ]));
    let predicates = compile("examples/c/predicates.c", C99, "predicates");
    let text = printed(&predicates, &[script.url()]);
    let expected = "attempt 1: 404, next in 5 ms\nattempt 2: 503, next in 10 ms\nover: completed\n200 after 2 questions\n";
    assert_eq!(text, expected);
    let log = script.log();
    let said: Vec<_> = log.iter().map(|arrival| arrival.header("x-retry")).collect();
    assert_eq!(said, [None, Some("1"), Some("2")]);
}

#[test]
fn the_machine_decides_alone() {
    let machine = compile("examples/c/machine.c", C99, "machine");
    assert_eq!(printed(&machine, &[]), "attempt 1: retry\nattempt 2: retry\nattempt 3: completed\n");
}

#[test]
fn misuse_is_answered_and_breaks_nothing() {
    let server = scripts();
    let script = server.script(json!([{"do": "status", "status": 503}]));
    let slow = server.script(json!([{"do": "hang"}]));
    printed(&compile("tests/c/misuse.c", C99, "misuse"), &[script.url(), slow.url()]);
}

#[test]
fn calls_complete_on_a_queue() {
    let server = scripts();
    let flaky = server.script(json!([{"do": "status", "status": 503}, {"do": "status", "status": 200}]));
    let slow = server.script(json!([{"do": "hang"}]));
    printed(&compile("tests/c/async.c", C99, "async"), &[flaky.url(), slow.url()]);
    assert!(server.closed(&slow), "what is cancelled closes its connection");
}

#[test]
fn a_hundred_threads_share_a_client() {
    let server = scripts();
    let script = server.script(json!([{"do": "status", "status": 200}]));
    let slow = server.script(json!([{"do": "hang"}]));
    printed(&compile("tests/c/threads.c", C99, "threads"), &[script.url(), slow.url()]);
    assert_eq!(script.log().len(), 500);
}

#[test]
fn bodies_are_streamed_both_ways() {
    let server = scripts();
    let unavailable = json!({"do": "status", "status": 503});
    let big = server.script(json!([unavailable, {"do": "status", "status": 200, "body_size": 3_000_000}]));
    let cut = server.script(json!([{"do": "status", "status": 200, "body_size": 100, "body_mode": "truncate-fin", "after": 10}]));
    let echo = server.script(json!([unavailable, {"do": "echo"}]));
    let file = policy("body.txt", &"a file ".repeat(20_000));
    let stream = compile("tests/c/stream.c", C99, "stream");
    printed(&stream, &[big.url(), cut.url(), echo.url(), file.to_str().unwrap()]);
    assert!(echo.log().iter().all(|arrival| arrival.to_json()["body_size"] == 140_000));
    assert!(server.closed(&big), "what is given up closes its connection");
}

#[test]
fn a_forked_child_uses_what_it_inherited() {
    let server = scripts();
    let script = server.script(json!([{"do": "status", "status": 503}, {"do": "status", "status": 200}]));
    printed(&compile("tests/c/fork.c", C99, "fork"), &[script.url()]);
}

#[test]
fn all_programs_are_cpp_too() {
    if has("g++") {
        for (source, name) in PROGRAMS {
            compile(source, CPP17, &format!("{name}_cpp"));
        }
    }
}

/// Every program there is.
const PROGRAMS: &[(&str, &str)] = &[
    ("examples/c/get.c", "get"),
    ("examples/c/epoll.c", "epoll"),
    ("examples/c/predicates.c", "predicates"),
    ("examples/c/machine.c", "machine"),
    ("examples/c/demo.c", "demo"),
    ("tests/c/misuse.c", "misuse"),
    ("tests/c/async.c", "async"),
    ("tests/c/threads.c", "threads"),
    ("tests/c/stream.c", "stream"),
    ("tests/c/fork.c", "fork"),
    ("tests/c/vectors.c", "vectors"),
];
