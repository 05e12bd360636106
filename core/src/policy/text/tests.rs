//! Texts that mean harm, and files.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::super::{Policy, Value};

fn yaml(text: &str) -> String {
    Value::from_yaml(text).expect_err("an error").to_string()
}

#[test]
fn an_alias_bomb_stops_early() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..=30 {
        let below = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
    }
    assert!(yaml(&bomb).ends_with("more than 100000 values"), "{}", yaml(&bomb));
}

#[test]
fn aliases_of_long_text_are_counted() {
    let bomb = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), vec!["*a"; 1000].join(", "));
    assert!(yaml(&bomb).ends_with("more than 4MiB of text with aliases expanded"));
}

#[test]
fn aliases_cannot_nest_without_end() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..=80 {
        text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(yaml(&text).ends_with("nested deeper than 64 levels"));
}

#[test]
fn the_deepest_allowed_nesting_is_read_by_all() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(Value::from_yaml(&nested(64)).is_ok() && Value::from_yaml(&nested(65)).is_err());
    assert!(Value::from_json(&nested(64)).is_ok() && Value::from_json(&nested(65)).is_err());
    let table = |depth: usize| format!("a = {}", nested(depth));
    assert!(Value::from_toml(&table(63)).is_ok() && Value::from_toml(&table(64)).is_err());
}

#[test]
fn long_texts_are_refused() {
    let long = "x".repeat(10 << 20);
    for (result, name) in [(Value::from_yaml(&long), "YAML"), (Value::from_json(&long), "JSON"), (Value::from_toml(&long), "TOML")] {
        let error = result.expect_err("too long").to_string();
        assert_eq!(error, format!("{name}: must be at most 1MiB of text, got 10485760 bytes"));
    }
}

#[test]
fn a_full_megabyte_of_anything_ends() {
    let patterns = [
        "[",
        "]",
        "{",
        "{a: ",
        "- ",
        "-\n",
        "? ",
        "a: ",
        "&a ",
        "*a\n",
        "!a ",
        "\"",
        "'",
        "|\n",
        "#",
        "%",
        "---\n",
        "[a,",
        "[{",
        "a:\n ",
        "\t",
        ",",
        "\\",
        "[[a]]\n",
        "a.",
        "\"\\u0000\",",
        "\u{2028}",
        "é",
    ];
    for pattern in patterns {
        let text = pattern.repeat((1 << 20) / pattern.len());
        let begun = now();
        let results = [Value::from_yaml(&text), Value::from_json(&text), Value::from_toml(&text)];
        let took = now().duration_since(begun).unwrap_or_default();
        assert!(took < Duration::from_secs(20), "{pattern:?} took {took:?}");
        drop(results);
    }
}

#[allow(clippy::disallowed_methods)] // measures the reader itself
fn now() -> SystemTime {
    SystemTime::now()
}

#[test]
fn whole_numbers_stay_exact() {
    let big = "99999999999999999999";
    assert_eq!(Value::from_yaml(&format!("a: {big}")).expect("valid").get("a"), Some(&Value::Big(big.to_owned())));
    assert_eq!(Value::from_toml("a = 9223372036854775807").expect("valid").get("a"), Some(&Value::Int(i64::MAX)));
    assert_eq!(Value::from_json("18446744073709551615").expect("valid"), Value::Big("18446744073709551615".to_owned()));
    assert!(Value::from_json("99999999999999999999").is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in r#"([a-c:{}\[\]&*!|>'"%@`#?,\\ \t\n0-9.~<-]|\PC|true|null|---|: |- ){0,60}"#) {
        for policy in [Policy::from_yaml(&text), Policy::from_json(&text), Policy::from_toml(&text)].into_iter().flatten() {
            prop_assert_eq!(Policy::from_yaml(&policy.to_string()).expect("its own text"), policy);
        }
    }

    #[test]
    fn what_is_written_is_read(text in r#"\PC{0,12}|[\x00-\x7f]{0,12}|[+-]?[0-9a-fxo._:eE]{1,6}|(yes|No|on|OFF|y|null|~|none|\.nan|<<|=)"#) {
        let value = Value::from([("a", Value::list([text.as_str(), "b"])), (text.as_str(), Value::from(1))]);
        prop_assume!(text != "a" && text != "<<");
        prop_assert_eq!(&Value::from_yaml(&value.to_string()).expect("valid"), &value);
        prop_assert_eq!(&Value::from_json(&super::super::emit::json(&value)).expect("valid"), &value);
    }
}

/// A directory of its own for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let unique = now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = std::env::temp_dir().join(format!("reknock-{name}-{}-{unique}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_are_read_by_their_ending() {
    let folder = Folder::new("endings");
    let expected = Policy::builder().max_retries(7).build().expect("valid");
    for (name, content) in
        [("p.yaml", "max_retries: 7"), ("p.yml", "max_retries: 7"), ("p.json", "{\"max_retries\": 7}"), ("p.toml", "max_retries = 7")]
    {
        assert_eq!(Policy::load(folder.file(name, content)).expect(name), expected);
    }
}

#[test]
fn errors_of_files_begin_with_the_path() {
    let folder = Folder::new("errors");
    let message = |path: &PathBuf| Policy::load(path).expect_err("an error").to_string();
    let begins = |path: &PathBuf, rest: &str| assert_eq!(message(path), format!("{}: {rest}", path.display()));
    begins(&folder.file("p.txt", ""), "must end in .yaml, .yml, .json, .toml or .bal");
    begins(&folder.file("p.yaml", "timeout: 30"), "YAML line 1, column 1: timeout: must be a duration with a unit, got 30; write \"30s\"");
    begins(&folder.file("p.yml", "a: 1\na: 2"), "YAML line 2, column 1: key \"a\" given twice");
    begins(&folder.file("big.json", vec![b' '; 65 << 20]), "must be at most 64MiB of text, got 68157440 bytes");
    begins(&folder.file("bytes.yaml", [0xff]), "is no text in UTF-8");
    begins(&folder.file("half.yaml", [0xff, 0xfe, 0x00, 0xd8]), "is no text in UTF-8");
    let link = |name: &str, to: &str| {
        let path = folder.0.join(name);
        std::os::unix::fs::symlink(to, &path).expect("a link");
        path
    };
    begins(&link("d.yaml", "/"), "must be a regular file, got a directory");
    begins(&link("zero.json", "/dev/zero"), "must be a regular file, got a device");
    let pipe = folder.0.join("pipe.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    begins(&pipe, "must be a regular file, got a pipe");
    let scenario = Value::load(&pipe).expect_err("a pipe").to_string();
    assert_eq!(scenario, format!("{}: must be a regular file, got a pipe", pipe.display()));
    let missing = folder.0.join("missing.yaml");
    assert!(message(&missing).starts_with(&format!("{}: ", missing.display())));
    assert!(std::error::Error::source(&Policy::load(&missing).expect_err("missing")).is_some());
}
