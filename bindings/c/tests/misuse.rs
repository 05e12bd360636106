//! NULL everywhere: a program made of the header, so that no function is forgotten, calls each with NULL for everything, and then for
//! each pointer alone.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;

use serde_json::json;
use support::header::{Function, Parameter, functions, words};
use support::{C99, compile, policy, printed, scripts};

/// What may be NULL, besides `error`, `user_data` and `free_user_data`: the function's name, or * for all, and the parameter's.
const NULLABLE: &[(&str, &str)] = &[
    ("*", "options"),
    ("reknock_cancel_wait", "cancel"),
    ("reknock_policy_lint", "surroundings"),
    ("reknock_client_submit", "out"),
    ("reknock_client_submit_stream", "out"),
    ("reknock_response_submit_read", "out"),
    ("reknock_client_set_retry_if", "function"),
    ("reknock_client_set_delay", "function"),
    ("reknock_client_set_before_retry", "function"),
    ("reknock_client_set_on_event", "function"),
    ("reknock_request_set_header", "value"),
    ("reknock_request_set_name", "name"),
    ("reknock_request_set_form", "pairs"),
    ("reknock_request_set_basic_auth", "password"),
    ("reknock_multipart_add", "file_name"),
    ("reknock_multipart_add", "content_type"),
    ("reknock_multipart_add_file", "file_name"),
    ("reknock_multipart_add_file", "content_type"),
    ("reknock_policy_with", "policy"),
    ("reknock_request_set_body_stream", "rewind"),
    ("reknock_policies_load", "dialect"),
    ("reknock_policies_read", "dialect"),
    ("reknock_policies_read_n", "dialect"),
    ("reknock_policy_set_load", "dialect"),
    ("reknock_policy_set_watch", "dialect"),
    ("reknock_policy_set_read", "dialect"),
    ("reknock_policy_set_read_n", "dialect"),
    ("reknock_budgets_new_in", "budget_dir"),
    ("reknock_budgets_reading", "policy"),
    ("reknock_retry_attempt", "number"),
    ("reknock_retry_classify_response", "out"),
    ("reknock_retry_classify_failure", "out"),
    ("reknock_retry_classify_returned", "out"),
    ("reknock_retry_decide", "answer"),
];
/// NULL options are all defaults; these functions need a method at least.
const NOT_NULLABLE: &[(&str, &str)] = &[("reknock_retry_new", "options"), ("reknock_retry_redirect", "options")];

/// Those that end something: NULL alone is tried.
const LAST: &[&str] = &["_free", "_close", "_finish", "_trigger", "_shutdown", "_cancel"];

fn nullable(function: &str, parameter: &Parameter) -> bool {
    let pair = |list: &[(&str, &str)]| list.iter().any(|(f, p)| (*f == "*" || *f == function) && *p == parameter.name);
    matches!(parameter.name.as_str(), "error" | "user_data" | "free_user_data") || pair(NULLABLE) && !pair(NOT_NULLABLE)
}

/// Something that the function takes. A new kind of parameter has to be said here.
fn valid(function: &str, parameter: &Parameter) -> String {
    let expression = match (parameter.kind.as_str(), parameter.name.as_str()) {
        (_, "path" | "budget_dir") => "path",
        (_, "json" | "json_base") => "\"{}\"",
        (_, "yaml" | "text") => "\"{}\"",
        (_, "value") if function == "reknock_policy_with" => "\"3\"",
        (_, "toml" | "value" | "user_data") => "\"\"",
        (_, "name") if function == "reknock_policy_preset" => "\"none\"",
        (_, "name" | "file_name" | "content_type" | "username" | "password" | "token") => "\"ab\"",
        (_, "key") => "\"max_retries\"",
        (_, "dialect") => "\"reknock\"",
        (_, "method") => "\"GET\"",
        ("const char*", "request") => "\"GET http://a/\"",
        (_, "url" | "origin") => "url",
        ("const reknock_client_options*", _) => "&client_options",
        ("const reknock_call_options*", _) => "&call_options",
        ("const reknock_retry_options*", _) => "&retry_options",
        ("const reknock_retry_answer*", _) => "&retry_answer",
        ("const reknock_multipart*" | "reknock_multipart*", _) => "form",
        ("const reknock_header*", _) => "&header",
        ("const reknock_policy*", _) => "policy",
        ("const reknock_policies*", _) => "policies",
        ("const reknock_policy_set*" | "reknock_policy_set*", _) => "set",
        ("const reknock_choice*" | "reknock_choice*", _) => "choice",
        ("const reknock_client*", _) => "client",
        ("const reknock_request*" | "reknock_request*", _) => "request",
        ("const reknock_response*", _) if function == "reknock_response_submit_read" => "streamed",
        ("const reknock_response*" | "reknock_response*", _) => "response",
        ("const reknock_error*", _) => "failure",
        ("const reknock_queue*", _) => "queue",
        ("const reknock_budgets*", _) => "budgets",
        ("const reknock_cancel*", _) => "cancel",
        ("const reknock_cookies*", _) => "cookies",
        ("const reknock_report*" | "reknock_report*", _) => "report",
        ("const reknock_lint*" | "reknock_lint*", _) => "lint",
        (_, "message") => "\"why\"",
        (_, "surroundings") => "\"{}\"",
        (_, "scenario") => "\"spike\"",
        (_, "line") => "\"a=1\"",
        ("char*", "buffer") => "(char *)bytes",
        ("reknock_retry*", _) if function == "reknock_retry_attempt" => "begun",
        ("reknock_retry*" | "const reknock_retry*", _) => "retry",
        ("uint8_t*" | "const uint8_t*", _) => "bytes",
        (kind, "out" | "error" | "number" | "read" | "length" | "count" | "index") if kind.ends_with('*') => "&place",
        ("reknock_retry_if_fn" | "reknock_delay_fn", _) => "asked",
        ("reknock_before_retry_fn", _) => "edits",
        ("reknock_on_event_fn", _) => "told",
        ("reknock_free_fn", _) => "frees",
        ("reknock_read_fn", _) => "reads",
        ("reknock_rewind_fn", _) => "rewinds",
        ("reknock_status", _) => "REKNOCK_ERROR_RESET",
        ("reknock_evidence", _) => "REKNOCK_EVIDENCE_UNKNOWN",
        ("reknock_stop_reason", _) => "REKNOCK_STOP_COMPLETED",
        ("reknock_call", _) => "4711",
        (_, "http_status") => "503",
        ("size_t", "length" | "size" | "name_length" | "value_length") => "2",
        ("size_t", "header_count") => "1",
        ("int64_t", "length") => "REKNOCK_LENGTH_UNKNOWN",
        ("size_t" | "int32_t" | "int64_t" | "uint64_t", _) => "0",
        (kind, name) => panic!("{function}: what is a valid {kind} {name}?"),
    };
    match parameter.kind.as_str() {
        // Outputs share one place, which is large enough for all.
        kind if expression == "&place" => format!("({})(void *)&place", c_type(kind)),
        "void*" => format!("(void *){expression}"),
        _ => expression.to_owned(),
    }
}

/// A type as C99 and C++ write it.
fn c_type(kind: &str) -> String {
    kind.replace('*', " *")
}

/// A call with these arguments, and what must come of it.
fn call(function: &Function, arguments: &[String], refused: bool) -> String {
    let call = format!("{}({})", function.name, arguments.join(", "));
    match function.returns.as_str() {
        "void" => format!("    {call};\n"),
        "reknock_status" if refused => format!("    CHECK({call} == REKNOCK_ERROR_INVALID_ARGUMENT);\n"),
        "reknock_status" => format!("    ALLOWED({call});\n"),
        kind if kind.ends_with('*') => format!("    NOTHING({call});\n"),
        _ if function.name == "reknock_queue_descriptor" => format!("    CHECK({call} == -1);\n"),
        _ => format!("    CHECK({call} == 0);\n"),
    }
}

fn is_status(function: &Function) -> bool {
    function.returns == "reknock_status" && !function.name.ends_with("_status")
}

/// NULL for everything.
fn all_null(function: &Function) -> Option<String> {
    if !function.parameters.iter().any(Parameter::is_pointer) {
        return None;
    }
    let nothing = |parameter: &Parameter| match parameter.is_pointer() {
        true => "NULL".to_owned(),
        false => valid(&function.name, parameter),
    };
    Some(call(function, &function.parameters.iter().map(nothing).collect::<Vec<_>>(), is_status(function)))
}

/// NULL for each pointer alone.
fn one_null(function: &Function) -> Vec<String> {
    if LAST.iter().any(|last| function.name.ends_with(last)) {
        return Vec::new();
    }
    let pointers = function.parameters.iter().enumerate().filter(|(_, parameter)| parameter.is_pointer());
    let of = |(index, missing): (usize, &Parameter)| {
        let argument = |(at, parameter)| if at == index { "NULL".to_owned() } else { valid(&function.name, parameter) };
        let arguments: Vec<String> = function.parameters.iter().enumerate().map(argument).collect();
        let refused = !nullable(&function.name, missing);
        // What reads a handle may have no result but its outputs, which may be NULL.
        let handle = index == 0 || missing.kind.ends_with("char*");
        (is_status(function) || refused && handle).then(|| format!("    ready();\n{}", call(function, &arguments, refused)))
    };
    pointers.filter_map(of).collect()
}

#[test]
fn null_is_answered_everywhere() {
    let all = functions();
    for (name, parameter) in NULLABLE {
        let said = |function: &&Function| *name == "*" || *name == function.name;
        let with_it =
            |function: &&Function| function.parameters.iter().any(|known| known.name == *parameter && nullable(&function.name, known));
        let mut about = all.iter().filter(said).filter(with_it).peekable();
        assert!(about.peek().is_some(), "{name}: {parameter} is not there");
        about.for_each(|function| assert!(words(function, &all).contains("NULL"), "{}: says nothing of NULL", function.name));
    }
    let mut calls = String::new();
    let mut count = 0;
    for function in all.iter().filter(|function| function.name != "reknock_shutdown") {
        // In a function of its own: the error that one makes must not be the next one's.
        let _ = writeln!(calls, "static void null_{}(void) {{", function.name);
        for made in all_null(function).into_iter().chain(one_null(function)) {
            calls.push_str(&made);
            count += 1;
        }
        calls.push_str("}\n\n");
    }
    let run: String = all
        .iter()
        .filter(|function| function.name != "reknock_shutdown")
        .map(|function| format!("    null_{}();\n", function.name))
        .collect();
    let source = include_str!("support/null.c").replace("/* CALLS */", &calls).replace("/* RUN */", &run);
    let source = policy("null.c", &source);
    let program = compile(source.to_str().unwrap(), C99, "null");
    let server = scripts();
    let script = server.script(json!([{"do": "status", "status": 200, "body": "whole"}]));
    let file = policy("null.yaml", "{}");
    printed(&program, &[script.url(), file.to_str().unwrap()]);
    assert!(count > 200, "{count}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_body_that_memory_has_no_room_for() {
    printed(&compile("tests/c/memory.c", C99, "memory"), &[]);
}
