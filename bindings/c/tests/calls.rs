//! C programs against the scripted server.
#![allow(clippy::unwrap_used)]

mod support;

use reknock_test_server::Script;
use serde_json::json;
use support::programs::{PROGRAMS, ROUTES};
use support::{C99, CPP17, Scripts, compile, compile_with, has, needs, policy, printed, root, run, scripts};

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
    assert!(lines[1].starts_with(&format!("GET {}", script.url())), "{text}");
    assert!(lines[2].contains("#1 503") && lines[3].contains("#2 reset") && lines[4].contains("#3 200"), "{text}");
    assert!(lines[5].ends_with("= completed"), "{text}");
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

/// Runs a program with the arguments that it is listed with; gives its scripts, in the order of its arguments.
fn listed(server: &Scripts, name: &str) -> Vec<Script> {
    let program = PROGRAMS.iter().find(|program| program.name() == name).unwrap();
    let (arguments, scripts) = program.arguments(server);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(flags) = program.library.map_or(Some(Vec::new()), needs) else { return scripts };
    printed(&compile_with(program.source, C99, name, &flags), &arguments);
    scripts
}

#[test]
fn misuse_is_answered_and_breaks_nothing() {
    listed(&scripts(), "misuse");
}

#[test]
fn functions_may_give_up_what_their_call_is_made_of() {
    listed(&scripts(), "within");
}

#[test]
fn calls_have_functions_of_their_own() {
    listed(&scripts(), "call_functions");
}

#[test]
fn transfers_are_told_and_end_calls() {
    listed(&scripts(), "transfers");
}

#[test]
fn forms_credentials_and_keys_arrive() {
    listed(&scripts(), "forms");
}

#[test]
fn errors_say_what_they_came_of() {
    listed(&scripts(), "errors");
}

#[test]
fn a_client_follows_a_policy_file() {
    listed(&scripts(), "watch");
}

#[test]
fn libcurl_is_asked_and_answered() {
    listed(&scripts(), "curl");
}

#[test]
fn calls_complete_on_a_queue() {
    let server = scripts();
    let scripts = listed(&server, "async");
    assert!(server.closed(&scripts[1]), "what is cancelled closes its connection");
}

#[test]
fn a_hundred_threads_share_a_client() {
    let server = scripts();
    let scripts = listed(&server, "threads");
    assert_eq!(scripts[0].log().len(), 500);
}

#[test]
fn bodies_are_streamed_both_ways() {
    let server = scripts();
    let scripts = listed(&server, "stream");
    let [big, _, echo, _, fine] = scripts.as_slice() else { panic!("{}", scripts.len()) };
    assert!(echo.log().iter().all(|arrival| arrival.to_json()["body_size"] == 140_000));
    assert!(server.closed(big), "what is given up closes its connection");
    assert_eq!(fine.connections(), 1, "what was read to its end is given back");
}

#[test]
fn functions_produce_bodies() {
    let server = scripts();
    let scripts = listed(&server, "upload");
    assert!(scripts[1].log().iter().all(|arrival| arrival.to_json()["body_size"] == 300_000));
}

#[test]
fn slow_functions_hold_up_no_completion() {
    listed(&scripts(), "slow_bodies");
}

#[test]
fn responses_are_streamed_through_queues() {
    let server = scripts();
    let scripts = listed(&server, "queue_stream");
    assert!(server.closed(&scripts[2]), "what is given up closes its connection");
}

#[test]
fn clients_and_calls_do_as_they_are_told() {
    let server = scripts();
    let scripts = listed(&server, "options");
    let kept = &scripts[scripts.len() - 3];
    assert_eq!(kept.connections(), 3, "a client that keeps no connection opens one per call");
}

#[test]
fn connections_are_as_many_and_where_they_are_told_to_be() {
    let server = scripts();
    assert_eq!(listed(&server, "connections")[0].connections(), 2, "twenty calls at once");
}

#[test]
fn a_cancelled_thread_ends_after_its_call() {
    listed(&scripts(), "cancelled");
}

#[test]
fn a_server_that_goes_away_raises_no_signal() {
    listed(&scripts(), "sigpipe");
}

#[test]
fn nothing_runs_after_a_shutdown() {
    let server = scripts();
    let scripts = listed(&server, "shutdown");
    assert!(server.closed(&scripts[1]), "what was in flight closes its connection");
}

#[test]
fn a_forked_child_uses_what_it_inherited() {
    listed(&scripts(), "fork");
}

#[test]
fn a_file_is_explained() {
    let file = policy("explained.yaml", ROUTES);
    let explain = compile("examples/c/explain.c", C99, "explain");
    let all = core_::policy::load_all(&file, None).unwrap();
    let texts: Vec<String> = all.iter().map(|loaded| loaded.explain()).collect();
    let file = file.to_str().unwrap();
    assert_eq!(printed(&explain, &[file]), texts.join("\n"));
    assert_eq!(all.len(), 2);
    assert_eq!(printed(&explain, &[file, all[1].name.as_deref().unwrap()]), texts[1]);
    let output = run(&explain, &[file, "nothing"]);
    let missing = core_::policy::named(&all, "nothing").unwrap_err();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(1), format!("{missing}\n")));
    let wrong = policy("wrong.yaml", "max_retrys: 3");
    let output = run(&explain, &[wrong.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.ends_with("max_retrys: unknown key; did you mean max_retries?\n"), "{said}");
}

#[test]
fn all_programs_are_cpp_too() {
    if !has("g++") {
        return;
    }
    for program in PROGRAMS {
        let flags = program.library.map_or(Some(Vec::new()), needs);
        if let Some(flags) = flags {
            compile_with(program.source, CPP17, &format!("{}_cpp", program.name()), &flags);
        }
    }
}

#[test]
fn a_wrapper_in_cpp() {
    if !has("g++") {
        return;
    }
    let server = scripts();
    let script = server.script(json!([
        {"do": "status", "status": 404, "body": "not ready"}, {"do": "status", "status": 503}, {"do": "status", "status": 200, "body": "done"},
    ]));
    let client = compile("examples/c/client.cpp", CPP17, "client_cpp");
    let text = printed(&client, &[script.url()]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0] == "200 done" && text.contains("#1 404") && text.contains("#3 200"), "{text}");
    let output = run(&client, &["no URL"]);
    assert_eq!((output.status.code(), output.stderr.starts_with(b"invalid_request: ")), (Some(1), true));
    let code = std::fs::read_to_string(root().join("examples/c/client.cpp")).unwrap();
    assert!(code.lines().count() <= 80);
}

/// A program that is in no list would be neither compiled as C++ nor run under the checkers.
#[test]
fn all_programs_are_listed() {
    let mut found = Vec::new();
    for folder in ["examples/c", "tests/c"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            // `memory.c` limits its own memory, which no checker lives with: misuse.rs runs it.
            if name.ends_with(".c") && name != "memory.c" {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    let mut listed: Vec<&str> = PROGRAMS.iter().map(|program| program.source).collect();
    found.sort_unstable();
    listed.sort_unstable();
    assert_eq!(found, listed);
}
