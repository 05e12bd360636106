//! C programs against the scripted server.

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
    let get = compile("tests/c/get.c", C99, "get");
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
    let get = compile("tests/c/get.c", C99, "get_failure");
    let output = run(&get, &[script.url(), policy.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.starts_with("connect: ") && text.contains("retries_exhausted"), "{text}");
}

#[test]
fn the_header_is_cpp_too() {
    if has("g++") {
        compile("tests/c/get.c", CPP17, "get_cpp");
    }
}
