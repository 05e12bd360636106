//! `cargo run -p xtask -- gen` writes the generated files; `gen --check` fails if a committed one differs. `api` likewise the list of the public API, from what
//! `cargo doc` has built.

mod api;
mod commands;
mod events;
mod header;
mod options;
mod python;
mod simulate;
mod suffixes;
mod types;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Page = fn() -> String;

/// Each generated file, from the root of the repository, and what makes it.
const FILES: &[(&str, Page)] = &[
    ("core/src/client/message/suffixes.txt", suffixes::list),
    ("docs/options.md", options::page),
    ("docs/simulate.md", simulate::simulate_page),
    ("docs/lint.md", simulate::lint_page),
    ("include/reknock.h", header::page),
    ("node/options.d.ts", types::page),
    ("bindings/python/src/policy.txt", python::policy),
    ("python/reknock/_native.pyi", python::stub),
    ("python/reknock/_client.py", python::clients),
    ("python/reknock/_options.py", python::options),
    ("docs/reference/clients.md", options::clients),
    ("docs/reference/commands.md", commands::page),
    ("docs/reference/events.md", events::page),
    ("tests/vectors/told.json", events::list),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default();
    let check = match arguments.as_slice() {
        ["gen"] => false,
        ["gen", "--check"] => true,
        ["api"] => return said(api::run(&root, false)),
        ["api", "--check"] => return said(api::run(&root, true)),
        _ => {
            eprintln!("usage: cargo run -p xtask -- gen|api [--check]");
            return ExitCode::from(2);
        }
    };
    let stale: Vec<_> = FILES.iter().filter(|(name, make)| !settle(&root.join(name), &make(), check)).map(|(name, _)| *name).collect();
    if stale.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("out of date: {}; run cargo run -p xtask -- gen", stale.join(", "));
    ExitCode::FAILURE
}

fn said(outcome: Result<(), String>) -> ExitCode {
    let Err(wrong) = outcome else { return ExitCode::SUCCESS };
    eprintln!("{wrong}");
    ExitCode::FAILURE
}

/// Whether the file now holds `content`; writes it unless only checking.
fn settle(path: &PathBuf, content: &str, check: bool) -> bool {
    if std::fs::read_to_string(path).is_ok_and(|old| old == content) {
        return true;
    }
    if check {
        return false;
    }
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    match folder.and_then(|()| std::fs::write(path, content)) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            false
        }
    }
}
