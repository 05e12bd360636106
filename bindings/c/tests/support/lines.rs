//! Questions to a C program, one a line: see tests/c/lines.h.

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use serde_json::value::RawValue;

use super::{C99, compile_with, libraries, root};

fn path(name: &str) -> std::path::PathBuf {
    root().join(format!("tests/vectors/{name}.json"))
}

/// A file of vectors.
pub fn vectors(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

/// Its cases in their own text: the order of keys counts.
pub fn texts(name: &str) -> Vec<HashMap<String, Box<RawValue>>> {
    let whole: HashMap<String, Box<RawValue>> = serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap();
    serde_json::from_str(whole["cases"].get()).unwrap()
}

/// A question of these fields.
pub fn line(fields: &[&str]) -> String {
    let escaped = |text: &&str| text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r");
    fields.iter().map(escaped).collect::<Vec<_>>().join("\t")
}

/// A field of an answer.
pub fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            _ => character,
        });
    }
    out
}

/// What the program answers to each question, by fields.
pub fn answers(source: &str, name: &str, questions: &[String]) -> Vec<Vec<String>> {
    answers_with(source, name, questions, &[], &[])
}

/// Likewise, with what else it needs to be compiled, and its arguments.
pub fn answers_with(source: &str, name: &str, questions: &[String], flags: &[String], arguments: &[&str]) -> Vec<Vec<String>> {
    let program = compile_with(source, C99, name, flags);
    let mut command = Command::new("timeout");
    command.arg("60").arg(program).args(arguments).env("LD_LIBRARY_PATH", libraries());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let all = questions.join("\n") + "\n";
    let writer = std::thread::spawn(move || stdin.write_all(all.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    // Lines of C end with a newline alone.
    let lines: Vec<Vec<String>> = text.trim_end_matches('\n').split('\n').map(|line| line.split('\t').map(unescaped).collect()).collect();
    assert_eq!(lines.len(), questions.len());
    lines
}
