//! Instructions and allocations of one call, compared with the committed baseline: a regression is seen without a clock.
//!
//! The program runs itself under callgrind, twice for each workload, and counts what the calls cost that the second run has more: nothing of
//! what happens once, and all of what threads beside the call's do. (Its functions have no names there that could be counted alone: tests are
//! linked without.) The server is in the process that is not counted. `UPDATE=1` writes the baseline anew; `SHOW=1` only
//! prints, `SHOW=blocking` what begins so; `TIME=1` takes the time of what needs no server, which is no test.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may; what it does comes from the environment

#[path = "../support/instant.rs"]
mod instant;
mod recorder;
mod server;
mod workloads;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use serde_json::{Value, json};
use workloads::{SHOWN, WORKLOADS};

/// Calls counted for each workload.
const CALLS: u64 = 200;

/// Calls before them: the first ones connect and fill caches.
const WARM_UP: u64 = 20;

/// How far a count may be from the baseline.
const TOLERANCE: f64 = 0.05;

/// Likewise, where there are sockets: the kernel decides how often they are looked at.
const TOLERANCE_OF_SOCKETS: f64 = 0.1;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, name, url, calls] = &arguments[..]
        && flag == "--workload"
    {
        workloads::run(name, url, calls.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("TIME").is_some() {
        return timed();
    }
    let compiler = compiler();
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: instructions: there is no valgrind");
        return ExitCode::SUCCESS;
    }
    let servers = server::Servers::start();
    let show = std::env::var("SHOW").ok();
    let wanted = |name: &&&str| show.as_ref().is_none_or(|show| show == "1" || name.starts_with(show.as_str()));
    let names = WORKLOADS.iter().chain(if show.is_some() { SHOWN } else { &[] }).filter(wanted);
    let counted: BTreeMap<String, u64> = names.map(|name| ((*name).to_owned(), counted(name, &servers.url(name)))).collect();
    if show.is_some() {
        counted.iter().for_each(|(name, count)| println!("{name:<24} {count:>9}"));
        return ExitCode::SUCCESS;
    }
    compare(&compiler, &counted)
}

/// Prints what one call takes, for those that need no server: what telemetry costs stands beside what is without it, in one run.
fn timed() -> ExitCode {
    const ROUNDS: usize = 21;
    let names = || WORKLOADS.iter().filter(|name| name.starts_with("scripted"));
    let mut taken: BTreeMap<&str, Vec<u128>> = BTreeMap::new();
    // In turns, so that what else the machine does falls to all of them.
    for name in (0..ROUNDS).flat_map(|_| names()) {
        let begun = Instant::now();
        workloads::run(name, "http://server.test/a/path?and=query", 5000);
        taken.entry(name).or_default().push(begun.elapsed().as_nanos() / 5000);
    }
    for (name, rounds) in &mut taken {
        rounds.sort_unstable();
        println!("{name:<24} {:>9} ns a call (least {}, median of {ROUNDS})", rounds[ROUNDS / 2], rounds[0]);
    }
    ExitCode::SUCCESS
}

/// Who compiled what is counted: another one counts otherwise.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    format!("{version}, {}", std::env::consts::ARCH)
}

/// Instructions of one call.
fn counted(name: &str, url: &str) -> u64 {
    let (more, fewer) = (instructions(name, url, WARM_UP + CALLS), instructions(name, url, WARM_UP));
    (more - fewer) / CALLS
}

/// Instructions of a process that makes as many calls.
fn instructions(name: &str, url: &str, calls: u64) -> u64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    if let Ok(file) = std::env::var("PROFILE") {
        // Names have commas, blanks and slashes.
        let name = name.replace(|letter: char| !letter.is_alphanumeric(), "-");
        command.arg(format!("--callgrind-out-file={file}.{name}.{calls}")).arg("--dump-instr=yes");
    }
    let output = command.arg(std::env::current_exe().unwrap()).args(["--workload", name, url, &calls.to_string()]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let total = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok());
    assert!(output.status.success(), "{name}: {said}");
    total.unwrap_or_else(|| panic!("{name}: no count in {said}"))
}

fn compare(compiler: &str, counted: &BTreeMap<String, u64>) -> ExitCode {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions/baseline.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, serde_json::to_string_pretty(&json!({"compiler": compiler, "calls": counted})).unwrap() + "\n").unwrap();
        return ExitCode::SUCCESS;
    }
    let baseline: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    if baseline["compiler"] != compiler {
        eprintln!("skipped: instructions: the baseline is of {} and not of {compiler}", baseline["compiler"]);
        return ExitCode::SUCCESS;
    }
    let baseline: BTreeMap<String, u64> = serde_json::from_value(baseline["calls"].clone()).unwrap();
    assert!(baseline.keys().eq(counted.keys()), "baseline.json has other workloads: UPDATE=1");
    let mut code = ExitCode::SUCCESS;
    for (name, count) in counted {
        let before = baseline[name];
        let change = *count as f64 / before as f64 - 1.0;
        let sockets = !name.starts_with("machine") && !name.starts_with("scripted");
        if change.abs() > if sockets { TOLERANCE_OF_SOCKETS } else { TOLERANCE } {
            println!("instructions: {name} takes {count} instead of {before} ({:+.1} %); if that is meant, UPDATE=1", change * 100.0);
            code = ExitCode::FAILURE;
        }
    }
    code
}
