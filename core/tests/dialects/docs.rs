//! The tables in docs/dialects name every case of the vectors, and nothing that is none; their examples are the files beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reknock::policy::{self, Value, load_all};

use super::{list, text, vectors};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dialects")
}

fn page(name: &str) -> String {
    std::fs::read_to_string(docs().join(name)).expect("a page")
}

const PAGES: &[&str] = &["envoy.md", "linkerd.md", "ballerina.md", "ktor.md", "istio.md", "envoy-gateway.md", "linkerd2.md"];

/// What stands in backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The cells of the rows under each table header that says `of FILE.json`, by file.
fn named(page: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut column: Option<(usize, String)> = None;
    for line in page.lines() {
        // A bar within backquotes would be a cell of its own: none of the names has one.
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            column = None;
        } else if let Some((at, file)) = &column {
            let names: Vec<&str> = quoted(cells[*at]).collect();
            assert!(!names.is_empty() || cells[*at].starts_with("---"), "a row without a case: {line}");
            found.entry(file.clone()).or_default().extend(names.into_iter().map(str::to_owned));
        } else {
            let of_file = |cell: &&str| Some(cell.split_once(" of ")?.1.strip_suffix(".json")?.to_owned());
            column = cells.iter().enumerate().find_map(|(at, cell)| Some((at, of_file(cell)?)));
        }
    }
    found
}

fn fits(pattern: &str, case: &Value) -> bool {
    let name = text(case, "name").expect("a name");
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern || text(case, "rule") == Some(pattern),
    }
}

#[test]
fn every_row_has_its_cases_and_every_case_its_row() {
    let mut files = BTreeMap::new();
    for name in PAGES {
        files.extend(named(&page(name)));
    }
    let expected =
        ["ballerina", "envoy", "envoy-gateway", "envoy_calls", "istio", "kgateway", "ktor", "linkerd", "linkerd2", "request_headers"];
    assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    let mut wrong = Vec::new();
    for (file, patterns) in files {
        let vectors = vectors(&file);
        let cases = list(&vectors, "cases");
        let idle = patterns.iter().filter(|pattern| !cases.iter().any(|case| fits(pattern, case)));
        wrong.extend(idle.map(|pattern| format!("{file}.json has no case `{pattern}`")));
        let forgotten = cases.iter().filter(|case| !patterns.iter().any(|pattern| fits(pattern, case)));
        wrong.extend(forgotten.map(|case| format!("no row names {file}.json: {}", text(case, "name").expect("a name"))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn examples_are_what_the_pages_show() {
    let pages: String = PAGES.iter().map(|name| page(name)).collect();
    let files: Vec<_> = std::fs::read_dir(docs().join("examples")).expect("examples").map(|entry| entry.expect("a file").path()).collect();
    assert_eq!(files.len(), 7);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("text");
        assert!(pages.contains(&format!("\n{text}```\n")), "{} is on no page as it is", file.display());
    }
}

/// The functions of Ktor: what the table shows in each language stands in the test of that row.
#[test]
fn functions_of_ktor_are_tested_as_they_are_shown() {
    let root = docs().join("../..");
    let source = |path: &str| std::fs::read_to_string(root.join(path)).expect(path);
    // In C, text within text.
    let c = source("tests/c/ktor.c").replace("\\\"", "\"");
    let languages = [
        ("async fn NAME()", source("core/tests/behaviour/ktor_functions.rs")),
        ("def test_NAME(", source("python/tests/test_ktor_functions.py")),
        ("{\"NAME\",", c),
        ("test('NAME', ", source("node/test/ktor.test.js")),
    ];
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    let page = page("ktor.md").replace("\\|", "\u{1}");
    let (_, table) = page.split_once("| Ktor | Rust | Python | C | Node |").expect("the table");
    let mut rows = 0;
    for line in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let name = quoted(cells[cells.len() - 1]).next().expect("a test");
        for (cell, (test, source)) in cells[1..].iter().zip(&languages) {
            assert!(source.contains(&test.replace("NAME", name)), "there is no {}", test.replace("NAME", name));
            // Single words are explanations.
            let shown = quoted(cell).map(|code| code.replace('\u{1}', "|")).filter(|code| code.contains(|c: char| !c.is_alphanumeric()));
            for code in shown {
                assert!(bare(source).contains(&bare(&code)), "{name}: `{code}` is in no test");
            }
        }
        rows += 1;
    }
    assert_eq!(rows, 18);
}

/// The page for those who come with a file: every example file is named there and explains itself, and its Rust is that of this test.
#[test]
fn files_become_clients_in_five_lines() {
    let page = page("README.md");
    let examples = docs().join("examples");
    for file in std::fs::read_dir(&examples).expect("examples").map(|entry| entry.expect("a file")) {
        assert!(page.contains(file.file_name().to_str().expect("a name")), "{:?} is not on the page", file.path());
        for loaded in load_all(file.path(), None).expect("policies") {
            assert!(loaded.explain().starts_with(&format!("# {}", loaded.dialect)));
        }
    }
    let all = load_all(examples.join("istio.yaml"), None).expect("policies");
    let ratings = policy::named(&all, "ratings/v1").expect("one")[0];
    assert!(ratings.explain().contains("max_retries: 3\n") && page.contains("named(&all, \"ratings/v1\")?[0]"));
    let orders = load_all(examples.join("envoy-gateway.yaml"), None).expect("policies");
    assert!(policy::named(&orders, "retry-orders").is_ok() && page.contains("'retry-orders'"));
}
