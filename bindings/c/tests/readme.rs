//! The README's C program, as it stands there.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::{C99, compile, printed, root, scripts};

#[test]
fn the_readme_compiles_and_retries() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let program = readme.split("```c\n").nth(1).unwrap().split("```").next().unwrap();
    let source = support::policy("readme.c", program);
    let server = scripts();
    let script = server.script(json!([{"do": "status", "status": 503}, {"do": "status", "status": 200}]));
    let text = printed(&compile(source.to_str().unwrap(), C99, "readme"), &[script.url()]);
    assert!(text.starts_with("200\n") && text.contains("#2 200"), "{text}");
}
