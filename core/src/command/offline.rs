//! What needs no network: `lint`, `simulate`, `policy convert`, and which of them, or of their neighbours, a command line asks for.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;

use lexopt::Arg;

use super::{Finished, explain, help};
use crate::error::Error;
use crate::lint::{self, Severity, Surroundings};
use crate::policy::{Dialect, Loaded, Policy, PolicySet, Problem, Value, load_all, named, read_all_from_value};
use crate::simulate::{Comparison, Report, Scenario, simulate};

/// Why a command was not carried out.
pub(super) enum Refused {
    /// The command line is wrong.
    Usage(String),
    Error(Error),
}

impl From<lexopt::Error> for Refused {
    fn from(error: lexopt::Error) -> Self {
        Refused::Usage(error.to_string())
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Error(error)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Refused::Error(problem.into())
    }
}

pub(super) type Done = Result<Finished, Refused>;

/// Runs a command line, without the program's name: `None` if its command is not one of those that need no network.
///
/// Reads the files that it names. Progress of long simulations goes to stderr at once if that is a terminal.
pub fn run(program: &str, arguments: &[String]) -> Option<Finished> {
    let (command, rest): (fn(&[String]) -> Done, _) = match arguments {
        [first, rest @ ..] if first == "lint" => (lint_files, rest),
        [first, rest @ ..] if first == "explain" => (explain::run, rest),
        [first, rest @ ..] if first == "simulate" => (simulate_files, rest),
        [first, second, rest @ ..] if first == "policy" && second == "convert" => (convert, rest),
        [first, ..] if first == "policy" => (|_| Err(Refused::Usage("policy has one command: convert".to_owned())), arguments),
        _ => return None,
    };
    if rest.iter().any(|word| word == "--help" || word == "-h") {
        return Some(Finished { out: help(program), ..Finished::default() });
    }
    Some(command(rest).unwrap_or_else(|refused| match refused {
        Refused::Usage(text) => Finished { err: format!("{}{program}: {text}\n", help(program)), status: 2, ..Finished::default() },
        Refused::Error(error) => Finished { err: format!("{}: {error}\n", error.kind()), status: 2, ..Finished::default() },
    }))
}

/// What the commands have in common: files, and which policies of them.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) files: Vec<String>,
    pub(super) dialect: Option<Dialect>,
    pub(super) policy: Option<String>,
}

impl Chosen {
    /// Takes an option that every command has.
    pub(super) fn option(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), Refused> {
        match name {
            "--dialect" => self.dialect = Some(Dialect::from_name(&text(parser)?)?),
            "--policy" => self.policy = Some(text(parser)?),
            other => return Err(Refused::Usage(format!("unknown option {other}"))),
        }
        Ok(())
    }

    pub(super) fn one_file(&self, command: &str) -> Result<&str, Refused> {
        match self.files.as_slice() {
            [file] => Ok(file),
            _ => Err(Refused::Usage(format!("{command} takes one file"))),
        }
    }

    pub(super) fn load(&self, file: &str) -> Result<Vec<Loaded>, Error> {
        let all = match preset(file) {
            Some(name) => read_all_from_value(&name, None)?,
            None => load_all(file, self.dialect)?,
        };
        match &self.policy {
            Some(name) => Ok(named(&all, name)?.into_iter().cloned().collect()),
            None => Ok(all),
        }
    }

    /// The policies of a file, with the rules that choose one.
    pub(super) fn load_set(&self, file: &str) -> Result<PolicySet, Error> {
        match preset(file) {
            Some(name) => PolicySet::read_value(&name, None),
            None => PolicySet::load(file, self.dialect),
        }
    }
}

/// The document that a preset's name is, if no file is called so.
fn preset(file: &str) -> Option<Value> {
    (!Path::new(file).exists() && Policy::preset(file).is_ok()).then(|| file.into())
}

/// A file, or an option with its dashes.
pub(super) enum Word {
    File(String),
    Option(String),
}

pub(super) fn next(parser: &mut lexopt::Parser) -> Result<Option<Word>, Refused> {
    Ok(parser.next()?.map(|argument| match argument {
        Arg::Value(file) => Word::File(file.to_string_lossy().into_owned()),
        Arg::Long(name) => Word::Option(format!("--{name}")),
        Arg::Short(letter) => Word::Option(format!("-{letter}")),
    }))
}

pub(super) fn text(parser: &mut lexopt::Parser) -> Result<String, Refused> {
    Ok(parser.value()?.to_string_lossy().into_owned())
}

fn number(parser: &mut lexopt::Parser, name: &str, most: u32) -> Result<u32, Refused> {
    let text = text(parser)?;
    text.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
        let value = text.parse::<i64>().map_or_else(|_| Value::from(text.as_str()), Value::from);
        Problem::must(name, format!("be a whole number from 1 to {most}"), &value).into()
    })
}

/// What a policy is called: its file, and its name there.
fn title(file: &str, loaded: &Loaded) -> String {
    loaded.name.as_ref().map_or_else(|| file.to_owned(), |name| format!("{file} {name}"))
}

fn lint_files(arguments: &[String]) -> Done {
    let mut chosen = Chosen::default();
    let mut surroundings = Surroundings::default();
    let mut fail_on = Severity::Error;
    let mut format = "text".to_owned();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(word) = next(&mut parser)? {
        let name = match word {
            Word::Option(name) => name,
            Word::File(file) => {
                chosen.files.push(file);
                continue;
            }
        };
        match name.as_str() {
            "--processes" => surroundings.processes = number(&mut parser, "--processes", 1_000_000)?,
            "--one-purse" => surroundings.one_purse = true,
            "--capacity" => surroundings.capacity = Some(number(&mut parser, "--capacity", u32::MAX)?.into()),
            "--fail-on" => {
                let level = text(&mut parser)?;
                let all = [Severity::Note, Severity::Warning, Severity::Error];
                let known = all.into_iter().find(|known| known.code() == level);
                fail_on = known.ok_or_else(|| Problem::one_of("--fail-on", all.into_iter().map(Severity::code), &level.into()))?;
            }
            "--format" => format = text(&mut parser)?,
            other => chosen.option(other, &mut parser)?,
        }
    }
    let file = chosen.one_file("lint")?;
    let mut finished = Finished::default();
    let mut findings = Vec::new();
    let mut values = Vec::new();
    let mut all = match preset(file) {
        Some(_) => chosen.load(file)?.into_iter().map(|loaded| (loaded.clone(), lint::lint(&loaded.policy, surroundings))).collect(),
        None => lint::lint_file(file, chosen.dialect, surroundings)?,
    };
    if let Some(name) = &chosen.policy {
        named(all.iter().map(|(loaded, _)| loaded), name)?;
        all.retain(|(loaded, _)| loaded.name.as_ref() == Some(name));
    }
    for (loaded, lint) in all {
        if lint.worst().is_some_and(|worst| worst >= fail_on) {
            finished.status = 1;
        }
        let title = title(file, &loaded);
        let _ = write!(finished.out, "# {title}\n{}", lint.bounds);
        for finding in &lint.findings {
            // As compilers print it, so that editors find it.
            let place = finding.place.map_or_else(String::new, |(line, column)| format!("{file}:{line}:{column}: "));
            let _ = writeln!(finished.out, "{place}{finding}");
        }
        let Value::Map(mut entries) = lint.to_value() else { continue };
        entries.insert(0, ("policy".to_owned(), title.into()));
        values.push(Value::Map(entries));
        findings.extend(lint.findings);
    }
    match format.as_str() {
        "text" => {}
        "json" => finished.out = format!("{}\n", Value::List(values).to_json()),
        "sarif" => finished.out = format!("{}\n", lint::sarif(&findings, file)),
        other => return Err(Problem::one_of("--format", ["text", "json", "sarif"].into_iter(), &other.into()).into()),
    }
    Ok(finished)
}

fn simulate_files(arguments: &[String]) -> Done {
    let mut chosen = Chosen::default();
    let mut scenario = "spike".to_owned();
    let mut own = Vec::new();
    let mut json = false;
    let mut html = None;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(word) = next(&mut parser)? {
        let name = match word {
            Word::Option(name) => name,
            Word::File(file) => {
                chosen.files.push(file);
                continue;
            }
        };
        match name.as_str() {
            "--scenario" => scenario = text(&mut parser)?,
            "--seeds" => own.push(("seeds", Value::from(number(&mut parser, "--seeds", 1000)?))),
            "--processes" => own.push(("processes", Value::from(number(&mut parser, "--processes", 4096)?))),
            "--one-purse" => own.push(("share", "host".into())),
            "--json" => json = true,
            "--html" => html = Some(text(&mut parser)?),
            other => chosen.option(other, &mut parser)?,
        }
    }
    if chosen.files.is_empty() {
        return Err(Refused::Usage("simulate takes at least one file, or the name of a preset".to_owned()));
    }
    let scenario = read_scenario(&scenario, own)?;
    let mut finished = Finished::default();
    let mut results = Vec::new();
    for file in &chosen.files {
        for loaded in chosen.load(file)? {
            let title = title(file, &loaded);
            if std::io::stderr().is_terminal() {
                eprintln!("simulating {title}: {} runs of {}", scenario.seeds(), scenario.name());
            }
            let report = simulate(&loaded.policy, &scenario);
            finished.status = finished.status.max(u8::from(!report.passed()));
            match json {
                true => {
                    let entry = Value::map([("policy", Value::from(title.as_str())), ("report", report.to_value().clone())]);
                    let _ = writeln!(finished.out, "{}", entry.to_json());
                }
                false => summary(&title, &report, &mut finished.out),
            }
            results.push((title, report));
        }
    }
    if let Some(html) = html {
        let written = std::fs::write(&html, Comparison::of(&scenario, results).to_html());
        written.map_err(|error| Error::from(Problem::new(html.as_str(), error.to_string())).with_source(error))?;
    }
    Ok(finished)
}

/// A preset, or the document in a file, with keys of the command line in place of its own.
fn read_scenario(name: &str, own: Vec<(&str, Value)>) -> Result<Scenario, Error> {
    let mut document = match Scenario::presets().any(|preset| preset == name) {
        true => Value::map([("preset", name)]),
        false if !Path::new(name).exists() => return Scenario::preset(name),
        false => Value::load(name)?,
    };
    if let Value::Map(entries) = &mut document {
        for (key, value) in own {
            entries.retain(|(known, _)| known != key);
            entries.push((key.to_owned(), value));
        }
    }
    Scenario::from_value(&document)
}

/// The numbers that decide, a line each.
fn summary(title: &str, report: &Report, out: &mut String) {
    let value = report.to_value();
    let at =
        |path: &str| path.split('/').try_fold(value, |value, key| value.get(key)).map_or_else(|| "none".to_owned(), ToString::to_string);
    let _ = writeln!(out, "# {title}: {} ({} runs)", at("scenario"), at("runs"));
    let _ = writeln!(out, "calls: {}, attempts: {}", at("calls"), at("attempts"));
    let _ = writeln!(
        out,
        "amplification: {} over the whole, {} in the worst 5 s, {} in the worst 20 s (medians of the runs)",
        at("amplification/whole/median"),
        at("amplification/worst_window/5s/median"),
        at("amplification/worst_window/20s/median")
    );
    let _ = writeln!(
        out,
        "goodput: {} of the calls, {} per second at the end",
        at("goodput/share/median"),
        at("goodput/at_the_end_per_second/median")
    );
    if value.get("recovery").is_some_and(|recovery| *recovery != Value::Null) {
        let _ = writeln!(out, "recovery: {} of the runs, after {} s (median)", at("recovery/recovered"), at("recovery/median_seconds"));
    }
    let _ = writeln!(out, "refused by budgets: {}, while healthy: {}", at("refusals"), at("refused_while_healthy"));
    let _ =
        writeln!(out, "calls last: p50 {} s, p99 {} s, at most {} s", at("durations/p50"), at("durations/p99"), at("durations/longest"));
    let Some(Value::List(rules)) = value.get("expect") else { return };
    for rule in rules {
        let field = |key: &str| rule.get(key).map_or_else(String::new, ToString::to_string);
        let verdict = if rule.get("ok") == Some(&Value::Bool(true)) { "holds" } else { "BROKEN" };
        let _ = writeln!(out, "expect {}: wanted {}, got {}: {verdict}", field("rule"), field("wanted"), field("got"));
    }
}

fn convert(arguments: &[String]) -> Done {
    let mut chosen = Chosen::default();
    let (mut format, mut as_set) = ("yaml".to_owned(), false);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(word) = next(&mut parser)? {
        let name = match word {
            Word::Option(name) => name,
            Word::File(file) => {
                chosen.files.push(file);
                continue;
            }
        };
        match name.as_str() {
            "--format" => format = text(&mut parser)?,
            "--set" => as_set = true,
            other => chosen.option(other, &mut parser)?,
        }
    }
    let file = chosen.one_file("policy convert")?;
    let mut finished = Finished::default();
    let set = chosen.load_set(file)?;
    if chosen.policy.is_none() && (as_set || set.is_of_ours()) {
        finished.out = match format.as_str() {
            "yaml" => set.to_yaml(),
            "json" => format!("{}\n", set.to_json()),
            other => return Err(Problem::one_of("--format", ["yaml", "json"].into_iter(), &other.into()).into()),
        };
        let of_policies = set.policies().iter().flat_map(|loaded| &loaded.notes);
        finished.err = set.notes().iter().chain(of_policies).map(|note| format!("note: {note}\n")).collect();
        return Ok(finished);
    }
    for (index, loaded) in chosen.load(file)?.iter().enumerate() {
        match format.as_str() {
            "yaml" => {
                let start = if index > 0 { "---\n" } else { "" };
                let _ = write!(finished.out, "{start}# {} ({})\n{}", title(file, loaded), loaded.dialect, loaded.policy.to_yaml());
            }
            "json" => {
                let _ = writeln!(finished.out, "{}", loaded.policy.to_json());
            }
            other => return Err(Problem::one_of("--format", ["yaml", "json"].into_iter(), &other.into()).into()),
        }
        for note in &loaded.notes {
            let _ = writeln!(finished.err, "note: {note}");
        }
    }
    Ok(finished)
}
