//! What Python's help says of policies and clients: the documentation of the classes, and the same where editors read it.

use std::fmt::Write;
use std::path::Path;

use reknock::client::CLIENT_OPTIONS;
use reknock::policy::{OptionBlock, OptionRow, option_blocks};

use crate::types::default_of;

/// The documentation of the class of policies: the keys, and those of the blocks below them.
pub(crate) fn policy() -> String {
    let mut out = String::from(
        "What one call is allowed to do. Immutable, hashable, picklable.\n\n\
         \x20   policy = reknock.Policy(max_retries=3, timeout=10, backoff={\"base\": \"100ms\", \"max\": \"2s\"})\n\n\
         Keywords, all optional. Durations are text such as \"250ms\", at the top also seconds or a timedelta; None is none. A mistake\n\
         raises `ConfigError`: path, rule, value and fix.\n\n",
    );
    let [document, blocks @ ..] = option_blocks();
    out.push_str(&rows(document));
    for block in blocks {
        let name = block.name.trim_end_matches("[]");
        let _ = write!(out, "\nKeys of '{name}', in a dict:\n\n{}", rows(block));
    }
    out
}

/// A paragraph for each key: what it takes, its default, what it does.
fn rows(block: &OptionBlock) -> String {
    let mut out = String::new();
    for row in block.rows {
        let kinds = if row.kinds.is_empty() { String::new() } else { format!(" For {}.", row.kinds.join(", ")) };
        let default = match default_of(block, row).as_str() {
            "" => String::new(),
            "see below" => " Default: that of its keys, below.".to_owned(),
            "required" => " Required.".to_owned(),
            text => format!(" Default: {text}."),
        };
        let _ = writeln!(out, "{}: {}.{default}{kinds}\n    {}", row.key, plain(row.takes), plain(row.meaning));
    }
    out
}

fn plain(text: &str) -> String {
    text.replace("`\"", "\"").replace("\"`", "\"").replace('`', "'")
}

fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/reknock").join(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The stub with the documentation of the class of policies.
pub(crate) fn stub() -> String {
    let text = source("_native.pyi");
    let Some((before, rest)) = text.split_once("class Policy:\n    \"\"\"") else { return text };
    let Some((_, after)) = rest.split_once("\"\"\"\n") else { return text.clone() };
    let lines: Vec<_> = policy().lines().map(|line| if line.is_empty() { String::new() } else { format!("    {line}") }).collect();
    format!("{before}class Policy:\n    \"\"\"{}\n    \"\"\"\n{after}", lines.join("\n").trim_start())
}

/// The default of a client option in Python, in its words; its clients keep cookies.
fn default_here(row: &OptionRow) -> String {
    match (row.key, default_of(&CLIENT_OPTIONS, row).as_str()) {
        ("cookies", _) | (_, "true") => "True".to_owned(),
        (_, "false") => "False".to_owned(),
        (_, "none") => "None".to_owned(),
        (_, "auto") => "\"auto\"".to_owned(),
        // Numbers of seconds, as its types say.
        (_, duration) if row.takes.starts_with("duration") => duration.trim_end_matches('s').to_owned(),
        (_, other) => other.to_owned(),
    }
}

/// The clients, whose documentation ends with the options of the table: from `base_url` on.
pub(crate) fn clients() -> String {
    let mut options = String::new();
    for row in CLIENT_OPTIONS.rows {
        let takes = match row.key {
            "auth" => "user name and password, or a function of the request such as `BearerAuth(token)`",
            _ => row.takes,
        };
        let takes = plain(takes).replace("duration", "seconds or a timedelta").replace("'none'", "None").replace("none", "None");
        let _ = write!(options, "    {}: {takes}. Default: {}.\n        {}\n", row.key, default_here(row), plain(row.meaning));
    }
    let text = source("_client.py");
    let mut pieces = text.split("    base_url: ");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((_, after)) = piece.split_once("    \"\"\"\n") else { return text.clone() };
        let _ = write!(out, "{options}    \"\"\"\n{after}");
    }
    out
}

/// The types of options, whose documentation ends with the default.
pub(crate) fn options() -> String {
    let text = source("_options.py");
    let Some((before, body)) = text.split_once("class ClientOptions(") else { return text };
    let mut out = format!("{before}class ClientOptions(");
    let mut option: Option<&OptionRow> = None;
    for line in body.lines() {
        let key = line.strip_prefix("    ").and_then(|line| line.split_once(": ")).map(|(key, _)| key);
        option = CLIENT_OPTIONS.rows.iter().find(|row| Some(row.key) == key).or(option);
        if let (Some(row), Some(text)) = (option, line.strip_suffix("\"\"\"")) {
            let said = text.split_once(" Default: ").map_or(text, |(said, _)| said);
            let _ = writeln!(out, "{said} Default: {}.\"\"\"", default_here(row));
            option = None;
        } else {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}
