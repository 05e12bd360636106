//! Every program under AddressSanitizer and under valgrind: no errors, nothing lost. Those with threads and queues under ThreadSanitizer.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::programs::{PROGRAMS, Program};
use support::{C99, Scripts, compile_with, has, libraries, needs, policy, root, scripts, skipped};

/// Runs every program under something, compiled like this.
fn all(server: &Scripts, tool: &str, compiler: &[&str], under: &dyn Fn(&Program, PathBuf) -> Command) {
    for program in PROGRAMS {
        if let Some(flags) = program.library.map_or(Some(Vec::new()), needs) {
            let built = compile_with(program.source, compiler, &format!("{}_{tool}", program.name()), &flags);
            run(server, tool, program, &mut under(program, built));
        }
    }
}

fn run(server: &Scripts, tool: &str, program: &Program, command: &mut Command) {
    let (arguments, _scripts) = program.arguments(server);
    let stdin = std::fs::File::open(policy(&format!("{}_{tool}.in", program.name()), &program.input(&arguments))).unwrap();
    command.args(arguments).env("LD_LIBRARY_PATH", libraries()).stdin(Stdio::from(stdin));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} under {tool}: {}\n{said}", program.source, output.status);
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
    all(&scripts(), "asan", &compiler, &|_, built| {
        let mut command = Command::new("timeout");
        command.arg("120").arg(built);
        command
    });
}

/// With the list of what it is to pass over, which is installed.
#[test]
fn thread_sanitizer_finds_nothing() {
    let compiler: Vec<&str> = C99.iter().copied().chain(["-fsanitize=thread"]).collect();
    let probe = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tsan_probe.c");
    std::fs::write(&probe, "int main(void) { return 0; }\n").unwrap();
    let linked = Command::new("cc").arg("-fsanitize=thread").arg(&probe).arg("-o").arg(probe.with_extension("out")).output();
    // It wants the addresses that it was compiled for.
    let fixed = |program: &Path| {
        let mut command = Command::new("timeout");
        command.args(["120", "setarch", "-R"]).arg(program);
        command
    };
    let works = linked.is_ok_and(|output| output.status.success())
        && fixed(&probe.with_extension("out")).output().is_ok_and(|output| output.status.success());
    if !works {
        return skipped("cc has no ThreadSanitizer that works here");
    }
    let server = scripts();
    let list = root().join("bindings/c/tsan.supp");
    for name in ["threads", "async", "call_functions", "transfers", "queue_stream", "within"] {
        let program = PROGRAMS.iter().find(|program| program.name() == name).unwrap();
        let built = compile_with(program.source, &compiler, &format!("{name}_tsan"), &[]);
        run(&server, "tsan", program, fixed(&built).env("TSAN_OPTIONS", format!("suppressions={}", list.display())));
    }
}

#[test]
fn valgrind_finds_nothing() {
    if !has("valgrind") {
        return;
    }
    all(&scripts(), "valgrind", C99, &|program, built| {
        let mut command = Command::new("timeout");
        command.args(["300", "valgrind", "-q", "--error-exitcode=99"]);
        if !program.leaks {
            command.args(["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]);
        }
        command.arg(built);
        command
    });
}
