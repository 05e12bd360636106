//! Ktor's functions in C: each row of the table in docs/dialects/ktor.md, by tests/c/ktor.c.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{C99, compile, printed, root, scripts};

#[test]
fn each_function_of_ktor() {
    let server = scripts();
    let program = compile("tests/c/ktor.c", C99, "ktor");
    let file = root().join("docs/dialects/examples/ktor.yaml");
    let status = |status: u16| json!({"do": "status", "status": status});
    let (bad, ok, reset, slow) = (status(500), status(200), json!({"do": "reset"}), json!({"do": "hang"}));
    let refused = json!({"do": "refused"});
    let asks = json!({"do": "status", "status": 503, "headers": [["retry-after", "1"]]});
    let cases: &[(&str, Value, &str)] = &[
        ("install", json!([bad]), "500, 6 sent, waits 0 0 0 0 0"),
        ("max_retries", json!([bad]), "500, 2 sent, waits 0"),
        ("retry_on_server_errors", json!([bad, status(599), status(429)]), "429, 3 sent, waits 0 0"),
        ("retry_on_server_errors", json!([reset, ok]), "reset, 1 sent, waits"),
        ("retry_on_exception", json!([reset, bad]), "500, 2 sent, waits 0"),
        ("retry_on_timeout", json!([slow, reset, ok]), "200, 3 sent, waits 0 0"),
        ("retry_on_exception_or_server_errors", json!([reset, status(503), ok]), "200, 3 sent, waits 0 0"),
        ("no_retry", json!([bad]), "500, 1 sent, waits"),
        ("retry_if", json!([status(404), bad]), "500, 2 sent, waits 0"),
        ("retry_if", json!([reset, ok]), "200, 2 sent, waits 0"),
        ("retry_on_exception_if", json!([refused]), "connect, 6 sent, waits 0 0 0 0 0"),
        ("retry_on_exception_if", json!([bad, reset]), "reset, 2 sent, waits 0"),
        ("delay_millis", json!([bad]), "500, 4 sent, waits 2 4 6"),
        ("constant_delay", json!([bad]), "500, 6 sent, waits 12 12 12 12 12"),
        ("exponential_delay", json!([bad]), "500, 6 sent, waits 10 20 30 30 30"),
        ("respect_retry_after_header", json!([asks, ok]), "200, 2 sent, waits 0"),
        ("modify_request", json!([bad, bad, ok]), "200, 3 sent, waits 0 0"),
        ("delay", json!([bad]), "500, 6 sent, waits 0 0 0 0 0"),
        ("retry", json!([reset, bad]), "500, 3 sent, waits 12 12"),
        ("event", json!([reset, bad, ok]), "retry 1 after 0 reset\nretry 2 after 500 no error\n200, 3 sent, waits 0 0"),
        ("http_timeout", json!([slow]), "per_try_timeout, 1 sent, waits"),
        ("http_timeout_outside", json!([slow]), "deadline, 1 sent, waits"),
    ];
    for (row, outcomes, expected) in cases {
        let script = server.script(outcomes.clone());
        let text = printed(&program, &[row, script.url(), file.to_str().unwrap()]);
        assert_eq!(text.trim_end(), *expected, "{row} {outcomes}");
        if *row == "modify_request" {
            let log = script.log();
            let said: Vec<Vec<&str>> = log
                .iter()
                .map(|arrival| arrival.headers.iter().filter(|(name, _)| name == "x-retry").map(|(_, value)| value.as_str()).collect())
                .collect();
            assert_eq!(said, [vec![], vec!["1"], vec!["2"]], "edits do not accumulate");
        }
    }
}
