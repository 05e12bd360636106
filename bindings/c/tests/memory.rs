//! The programs under AddressSanitizer and under valgrind: no errors, nothing lost.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::json;
use support::{C99, Scripts, compile, has, libraries, scripts, skipped};

/// Each program with the URLs it wants, by the name of their script.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("examples/c/machine.c", &[]),
    ("examples/c/predicates.c", &["flaky"]),
    ("examples/c/epoll.c", &["flaky", "=50"]),
    ("tests/c/misuse.c", &["failing", "slow"]),
    ("tests/c/async.c", &["flaky", "slow"]),
    ("tests/c/threads.c", &["fine", "slow"]),
];

/// Runs every program under something, and gives what went wrong.
fn all(server: &Scripts, tool: &str, under: &dyn Fn(&str, &[String]) -> Command) {
    let (unavailable, fine) = (json!({"do": "status", "status": 503}), json!({"do": "status", "status": 200}));
    for (source, wants) in PROGRAMS {
        let mut kept = Vec::new();
        let mut url = |want: &&str| {
            let script = match *want {
                "flaky" => json!([unavailable, fine]),
                "failing" => json!([unavailable]),
                "slow" => json!([{"do": "hang"}]),
                "fine" => json!([fine]),
                literal => return literal.trim_start_matches('=').to_owned(),
            };
            kept.push(server.script(script));
            kept.last().unwrap().url().to_owned()
        };
        let arguments: Vec<String> = wants.iter().map(&mut url).collect();
        let output = under(source, &arguments).env("LD_LIBRARY_PATH", libraries()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{source} under {tool}: {}\n{said}", output.status);
    }
}

fn name(source: &str, suffix: &str) -> String {
    format!("{}_{suffix}", Path::new(source).file_stem().unwrap().to_str().unwrap())
}

#[test]
fn address_sanitizer_finds_nothing() {
    let probe = Path::new(env!("CARGO_TARGET_TMPDIR")).join("asan_probe.c");
    std::fs::write(&probe, "int main(void) { return 0; }\n").unwrap();
    let linked = Command::new("cc").arg("-fsanitize=address").arg(&probe).arg("-o").arg(probe.with_extension("out")).output();
    if !linked.is_ok_and(|output| output.status.success()) {
        return skipped("cc has no AddressSanitizer");
    }
    let compiler: Vec<&str> = C99.iter().copied().chain(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]).collect();
    all(&scripts(), "AddressSanitizer", &|source, arguments| {
        let mut command = Command::new("timeout");
        command.arg("120").arg(compile(source, &compiler, &name(source, "asan"))).args(arguments);
        command
    });
}

#[test]
fn valgrind_finds_nothing() {
    if !has("valgrind") {
        return;
    }
    all(&scripts(), "valgrind", &|source, arguments| {
        let mut command = Command::new("timeout");
        command.args(["300", "valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite"]);
        command.arg("--errors-for-leak-kinds=definite").arg(compile(source, C99, &name(source, "valgrind"))).args(arguments);
        command
    });
}
