//! What Python's help says about policies: the class's documentation, and the same in the stub that editors read.

use std::fmt::Write;
use std::path::Path;

use reknock::policy::option_blocks;

/// The documentation of the class.
pub(crate) fn policy() -> String {
    let mut out = String::from(
        "What one call is allowed to do. Immutable, hashable, picklable.\n\n\
         Keywords, all optional. Durations are text such as \"250ms\", at the top also seconds or a timedelta; None is none. A mistake\n\
         raises `ConfigError`: path, rule, value and fix.\n\n",
    );
    let block = option_blocks()[0];
    for row in block.rows {
        let default = match row.default_text(block) {
            text if text.is_empty() => text,
            text => format!(" Default {}.", text.replace("see below", "in docs/options.md")),
        };
        let _ = writeln!(out, "{}: {}.{default}\n    {}", row.key, plain(row.takes), plain(row.meaning));
    }
    out
}

fn plain(text: &str) -> String {
    text.replace("`\"", "\"").replace("\"`", "\"").replace('`', "'")
}

/// The stub with that documentation.
pub(crate) fn stub() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/reknock/_native.pyi");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let Some((before, rest)) = text.split_once("class Policy:\n    \"\"\"") else { return text };
    let Some((_, after)) = rest.split_once("\"\"\"\n") else { return text.clone() };
    let lines: Vec<_> = policy().lines().map(|line| if line.is_empty() { String::new() } else { format!("    {line}") }).collect();
    format!("{before}class Policy:\n    \"\"\"{}\n    \"\"\"\n{after}", lines.join("\n").trim_start())
}
