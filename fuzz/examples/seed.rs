//! Writes each case of the dialects' vectors as an input of the fuzz target `dialects`, into the folder that is the argument.

use std::path::Path;

use reknock::policy::{Dialect, Value};

fn main() {
    let into = std::env::args().nth(1).expect("a folder");
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/dialects");
    let mut written = 0;
    for file in ["envoy", "kgateway", "linkerd", "ballerina", "ktor", "load", "istio", "envoy-gateway", "linkerd2", "request_headers"] {
        let path = vectors.join(file).with_extension("json");
        let text = std::fs::read_to_string(&path).expect("vectors");
        let all = Value::from_json(&text).expect("JSON");
        let Some(Value::List(cases)) = all.get("cases") else { panic!("{file}: no cases") };
        for case in cases {
            let text = match (case.get("text"), case.get("document").or_else(|| case.get("route"))) {
                (Some(Value::Str(text)), _) => text.clone(),
                (_, Some(document)) => document.to_string(),
                _ => continue,
            };
            let dialect = match case.get("dialect") {
                Some(Value::Str(name)) => Dialect::ALL.iter().position(|dialect| dialect.name() == name),
                _ => None,
            };
            let mut input = vec![dialect.unwrap_or(Dialect::ALL.len()) as u8];
            input.extend_from_slice(text.as_bytes());
            std::fs::write(Path::new(&into).join(format!("vector-{file}-{written}")), input).expect("a seed");
            written += 1;
        }
    }
    println!("{written} seeds");
}
