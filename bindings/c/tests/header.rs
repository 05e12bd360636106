//! The header as its readers need it: what each item is for, whose it is, what NULL means, which threads may, how it fails.
#![allow(clippy::unwrap_used)]

mod support;

use core_::client::{CALL_FIELDS, CLIENT_OPTIONS, EVENTS, EVERY_EVENT, EventField, RECORD_FIELDS, Redirects, TransportOptions};
use core_::policy::Dialect;
use core_::{ErrorKind, Evidence, Policy, StopReason};
use std::process::Command;

use support::header::{Function, about_type, functions, items, text, words};
use support::{has, policy, root};

/// The numbers of the header are those of the core, all of them and no others.
#[test]
fn the_constants_are_the_cores() {
    let header = text();
    let defined = |prefix: &str| -> Vec<(String, u8)> {
        let constants = header.lines().filter_map(|line| line.strip_prefix("#define ")?.strip_prefix(prefix));
        let of = |text: &str| text.split_once(' ').map(|(name, number)| (name.to_lowercase(), number.parse().unwrap()));
        constants.filter_map(of).collect()
    };
    let mut kinds: Vec<_> = ErrorKind::ALL.iter().map(|kind| (kind.code().to_owned(), kind.number())).collect();
    kinds.push(("invalid_argument".to_owned(), 100));
    assert_eq!(defined("REKNOCK_ERROR_"), kinds);
    let stops: Vec<_> = StopReason::ALL.iter().map(|reason| (reason.code().to_owned(), reason.number())).collect();
    assert_eq!(defined("REKNOCK_STOP_"), stops);
    let evidence = Evidence::ALL.iter().zip(1..).map(|(evidence, number)| (evidence.code().to_owned(), number));
    let evidence: Vec<_> = evidence.chain([("local".to_owned(), 128)]).collect();
    assert_eq!(defined("REKNOCK_EVIDENCE_"), evidence);
    // And so are their explanations.
    for meaning in ErrorKind::ALL.iter().map(|kind| kind.meaning()).chain(StopReason::ALL.iter().map(|reason| reason.meaning())) {
        assert!(header.contains(meaning), "{meaning}");
    }
}

/// A dialect of C that is too old is told so; C++ may include it within `extern "C"`, and twice.
#[test]
fn the_header_fits_where_it_is_included() {
    let include = root().join("include");
    let compile = |command: &[&str], code: &str| {
        let source = policy("included.c", code);
        let mut cc = Command::new(command[0]);
        cc.args(&command[1..]).args(["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"]).arg(&include).arg(source);
        cc.output().unwrap()
    };
    let old = compile(&["cc", "-std=c89"], "#include <reknock.h>\n");
    assert!(!old.status.success() && String::from_utf8_lossy(&old.stderr).contains("needs C99 or later: -std=c99"));
    assert!(compile(&["cc", "-std=gnu99"], "#include <reknock.h>\n#include <reknock.h>\n").status.success());
    if has("g++") {
        let twice =
            "extern \"C\" {\n#include <reknock.h>\n}\n#include <reknock.h>\nreknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;\n";
        let output = compile(&["g++", "-x", "c++", "-std=c++17"], twice);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Constants, types, fields and functions.
#[test]
fn everything_says_what_it_is_for() {
    let header = text();
    let lines: Vec<&str> = header.lines().collect();
    let body = lines.iter().position(|line| line.starts_with("#define REKNOCK_OK")).unwrap() - 3;
    let end = lines.iter().position(|line| line.contains("Options at their defaults")).unwrap();
    let mut inside = 0;
    for pair in lines[body..end].windows(2) {
        let line = pair[1].trim();
        let comment = line.starts_with(['*', '/']) || line.is_empty();
        let ends = line.starts_with(['}', '#', ')']) && !line.starts_with("#define") || line.starts_with("extern");
        // A line that goes on with a declaration, indented to its bracket.
        let continued = !comment && pair[0].trim().ends_with(',');
        if !comment && !ends && !continued {
            assert!(pair[0].trim_end().ends_with("*/"), "no comment: {line}");
            inside += 1;
        }
    }
    assert!(inside > 250, "{inside}");
    for (comment, declared) in items() {
        assert!(comment.ends_with(['.', ')']) || comment.contains(". "), "no sentence: {declared}: {comment}");
    }
}

/// Each option of a client, and its field.
const OPTIONS: &[(&str, &str)] = &[
    ("base_url", "base_url"),
    ("headers", "headers"),
    ("auth", "username"),
    ("follow_redirects", "max_redirects"),
    ("max_redirects", "max_redirects"),
    ("max_response_size", "max_response_size"),
    ("http2", "http2"),
    ("http2_ping", "http2_ping_ms"),
    ("proxy", "proxy"),
    ("verify", "no_verify"),
    ("ca_bundle", "ca_pem"),
    ("cert", "cert_pem"),
    ("compression", "no_compression"),
    ("unix_socket", "unix_socket"),
    ("local_address", "local_address"),
    ("interface", "interface_name"),
    ("pool_idle_timeout", "pool_idle_timeout_ms"),
    ("pool_max_idle_per_host", "pool_max_idle_per_host"),
    ("max_connections", "max_connections"),
    ("max_connections_per_origin", "max_connections_per_origin"),
    ("cookies", "cookies"),
    ("budget_dir", "budget_dir"),
    ("share_required", "share_required"),
    ("envoy_headers", "envoy_headers"),
];

/// What stands between the braces of a struct.
fn body<'a>(header: &'a str, name: &str) -> &'a str {
    header.split(&format!("typedef struct {name} {{")).nth(1).unwrap().split(&format!("}} {name};")).next().unwrap()
}

/// The reference of events and records names the fields of the structs, all of them.
#[test]
fn events_and_records_have_what_the_reference_lists() {
    let header = text();
    let events = EVENTS.iter().flat_map(|row| row.fields).chain(EVERY_EVENT).chain(CALL_FIELDS);
    let structs: [(&str, Vec<&EventField>); 2] =
        [("reknock_event", events.collect()), ("reknock_attempt_record", RECORD_FIELDS.iter().collect())];
    for (name, listed) in structs {
        let mut listed: Vec<_> = listed.iter().map(|field| field.c).filter(|name| !name.is_empty()).collect();
        let fields = body(&header, name).lines().map(str::trim).filter(|line| line.ends_with(';'));
        let mut had: Vec<_> =
            fields.map(|line| line.trim_end_matches(';').split('[').next().unwrap().rsplit([' ', '*']).next().unwrap()).collect();
        had.retain(|name| *name != "attempt_count");
        listed.sort_unstable();
        listed.dedup();
        had.sort_unstable();
        assert_eq!(listed, had, "{name}");
    }
}

#[test]
fn every_option_of_a_client_has_a_field() {
    let core: Vec<&str> = CLIENT_OPTIONS.rows.iter().map(|row| row.key).collect();
    assert_eq!(core, OPTIONS.iter().map(|(option, _)| *option).collect::<Vec<_>>());
    let header = text();
    let fields = body(&header, "reknock_client_options");
    for (option, field) in OPTIONS {
        assert!(fields.contains(&format!(" {field};")) || fields.contains(&format!("*{field};")), "{option}");
    }
}

/// Those that are numbers; to the others there is no more than their words.
#[test]
fn the_defaults_are_the_cores() {
    let (policy, redirects, transport) = (Policy::default(), Redirects::default(), TransportOptions::default());
    let retries = format!("{} retries of idempotent requests.", policy.max_retries());
    let expected = [
        ("policy;".to_owned(), retries.clone()),
        ("max_redirects;".to_owned(), format!("{}.", redirects.max)),
        ("pool_idle_timeout_ms;".to_owned(), format!("{} s.", transport.pool_idle_timeout.unwrap().as_secs_f64())),
        ("pool_max_idle_per_host;".to_owned(), format!("{}.", transport.pool_max_idle_per_host)),
        ("http2_ping_ms;".to_owned(), format!("{} s.", transport.http2_ping.unwrap().as_secs_f64())),
        ("max_connections;".to_owned(), format!("{}.", transport.max_connections)),
        ("max_connections_per_origin;".to_owned(), format!("{}.", transport.max_connections_per_origin)),
        ("policy;".to_owned(), retries),
    ];
    let header = text();
    let said = header.split(" Default: ").skip(1).map(|rest| {
        let (default, after) = rest.split_once('\n').unwrap();
        let field = after.split_once("*/").unwrap().1.trim_start().lines().next().unwrap();
        (field.rsplit([' ', '*']).next().unwrap().to_owned(), default.to_owned())
    });
    let numbers = said.filter(|(_, default)| default.starts_with(|letter: char| letter.is_ascii_digit()));
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
}

#[test]
fn the_dialects_are_the_cores() {
    let quoted: Vec<String> = Dialect::ALL.iter().map(|dialect| format!("\"{dialect}\"")).collect();
    let listed = |names: &[String], last: &str| {
        let (end, others) = names.split_last().unwrap();
        format!("{} {last} {end}", others.join(", "))
    };
    let said = |text: &str| items().iter().any(|(comment, _)| comment.contains(text));
    assert!(said(&listed(&quoted, "or")), "reknock_policies_load");
    assert!(said(&format!("\"default\", \"none\", or what {} do", listed(&quoted[1..], "and"))), "reknock_policy_preset");
}

/// All that break a rule.
fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "{}:\n{}", broken.len(), broken.join("\n"));
}

/// The handle that a function is about: its first parameter, or what it makes.
fn subject(function: &Function) -> Option<String> {
    let handle = |kind: &str| {
        let name = kind.trim_start_matches("const ").trim_end_matches('*');
        (name.starts_with("reknock_") && kind.ends_with('*')).then(|| name.to_owned())
    };
    let given = function.parameters.iter().find(|parameter| !parameter.name.ends_with("options") && !parameter.kind.ends_with("**"));
    let first = given.and_then(|parameter| handle(&parameter.kind));
    first.or_else(|| function.parameters.iter().find(|parameter| parameter.name == "out").and_then(|parameter| handle(&parameter.kind)))
}

fn fails(function: &Function) -> bool {
    function.returns == "reknock_status" && !function.name.ends_with("_status")
}

#[test]
fn functions_say_how_they_fail() {
    let all = functions();
    let says = |function: &&Function| ["Errors: ", "Returns REKNOCK_OK"].iter().any(|how| words(function, &all).contains(how));
    none(all.iter().filter(|function| fails(function) && !says(function)).map(|function| function.name.clone()).collect());
    assert!(all.len() > 90, "{}", all.len());
}

/// Those that can fail refuse it, by the rule for all; tests/misuse.rs knows the exceptions.
#[test]
fn functions_say_what_null_means() {
    let all = functions();
    let asks = |function: &&Function| !fails(function) && function.parameters.iter().any(|parameter| parameter.is_pointer());
    let silent = all.iter().filter(asks).filter(|function| !words(function, &all).contains("NULL"));
    none(silent.map(|function| function.name.clone()).collect());
}

#[test]
fn functions_say_whose_it_is() {
    let all = functions();
    let mut broken = Vec::new();
    for function in &all {
        let words = words(function, &all);
        for made in function.parameters.iter().filter(|parameter| parameter.kind.ends_with("**") && parameter.name == "out") {
            let ends = format!(" with {}_f", made.kind.trim_end_matches('*'));
            if !words.contains(&ends) {
                broken.push(format!("{}: how it is freed", function.name));
            }
        }
        let of_type = subject(function).and_then(|name| about_type(&name)).unwrap_or_default();
        let said = |text: &str| ["belongs to", "belong to", "tatic"].iter().any(|how| text.contains(how));
        if function.returns.ends_with('*') && !said(&words) && !said(&of_type) {
            broken.push(format!("{}: whose it is", function.name));
        }
    }
    none(broken);
}

#[test]
fn functions_say_which_threads_may() {
    let all = functions();
    let of_type = |function: &Function| subject(function).and_then(|name| about_type(&name)).unwrap_or_default();
    let silent = all.iter().filter(|function| !of_type(function).contains("thread") && !words(function, &all).contains("thread"));
    none(silent.map(|function| function.name.clone()).collect());
}
