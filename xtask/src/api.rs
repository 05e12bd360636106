//! The list of the public API: what rustdoc shows of the crate, without its prose. Whatever is hidden there is none.

use std::path::Path;
use std::process::Command;

use crate::settle;

/// Where the list stands, from the root of the repository.
const LIST: &str = "core/api.txt";

/// Compares the list with the documentation that `cargo doc` has just built, or writes it.
///
/// # Errors
/// What is wrong, and how to mend it.
pub fn run(root: &Path, check: bool) -> Result<(), String> {
    let target = std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root.join("target"), Into::into);
    let docs = target.join("doc/reknock");
    let rustdoc = Command::new("rustdoc").arg("--version").output().map_err(|error| format!("rustdoc: {error}"))?;
    // "rustdoc 1.88.0 (...)": each version may say the same in another way.
    let version = String::from_utf8_lossy(&rustdoc.stdout).split_whitespace().nth(1).unwrap_or_default().to_owned();
    let known = std::fs::read_to_string(root.join(LIST)).unwrap_or_default();
    let about = format!("# The public API as rustdoc {version} shows it, all features; make api writes it.");
    if check && !known.lines().next().unwrap_or_default().starts_with(&about) {
        println!("skipped: {LIST} is of another rustdoc than {version}");
        return Ok(());
    }
    let all = read(&docs.join("all.html"))?;
    let mut pages: Vec<&str> =
        between(&all, "<a href=\"", "\"").filter(|page| page.ends_with(".html") && !page.starts_with("../")).collect();
    pages.sort_unstable();
    pages.dedup();
    let mut list = about + "\n";
    for page in pages
        .into_iter()
        .filter(|page| page.rsplit('/').next().is_some_and(|name| name.contains('.') && name != "all.html" && name != "index.html"))
    {
        list += &item(page, &read(&docs.join(page))?);
    }
    match settle(&root.join(LIST), &list, check) {
        true => Ok(()),
        false => Err(format!(
            "the public API differs from {LIST}:\n{}run make api, and say in CHANGELOG.md what changes for users",
            changes(&known, &list)
        )),
    }
}

/// One item: its path, its declaration, and below it what can be called on it and what it implements.
fn item(page: &str, html: &str) -> String {
    // What every type has by itself says nothing of this crate.
    let own = ["id=\"synthetic-implementations\"", "id=\"blanket-implementations\"", "id=\"foreign-impls\"", "id=\"implementors\""];
    let end = own.iter().filter_map(|mark| html.find(mark)).min().unwrap_or(html.len());
    let (own, implemented) = html[..end].split_once("id=\"trait-implementations\"").unwrap_or((&html[..end], ""));
    let (kind, name) = page.rsplit('/').next().and_then(|file| file.strip_suffix(".html")?.split_once('.')).unwrap_or_default();
    let module = page.rsplit_once('/').map_or(String::new(), |(module, _)| module.replace('/', "::") + "::");
    let declared = between(own, "item-decl\"><code>", "</code></pre>").next().map(plain).unwrap_or_default();
    let mut lines = format!("\n{kind} reknock::{module}{name}\n    {declared}\n");
    let mut below: Vec<String> = between(own, "<h4 class=\"code-header\">", "</h4>").map(plain).collect();
    below.extend(between(own, "id=\"variant.", "\"").filter(|id| !id.ends_with(".fields")).map(|id| format!("variant {id}")));
    let mut impls: Vec<String> = between(implemented, "<h3 class=\"code-header\">", "</h3>").map(plain).collect();
    below.sort();
    impls.sort();
    for line in below.into_iter().chain(impls) {
        lines += &format!("    {line}\n");
    }
    lines
}

/// What stands between each `open` and the `close` after it.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inside, _)| inside))
}

/// The text of a piece of HTML, on one line.
fn plain(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        let shown = piece.split_once('>').map_or(piece, |(_, shown)| shown);
        text += shown;
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}; run cargo doc first", path.display()))
}

/// The lines that went and came, twenty of each at most.
fn changes(old: &str, new: &str) -> String {
    let only = |one: &str, other: &str, mark: &str| {
        let known: std::collections::HashSet<&str> = other.lines().collect();
        one.lines().filter(|line| !known.contains(line)).take(20).map(|line| format!("{mark} {}\n", line.trim())).collect::<String>()
    };
    only(old, new, "-") + &only(new, old, "+")
}
