//! include/reknock.h: the C binding's comments and signatures, with an introduction.

use std::path::Path;

use cbindgen::{Builder, Config, DocumentationLength, DocumentationStyle, Language, SortKey, Style};

/// The files of the binding, in the order of the header.
const SOURCES: &[&str] = &[
    "version",
    "error",
    "record",
    "policy",
    "policy_set",
    "policies",
    "simulate",
    "cancel",
    "request",
    "forms",
    "callback",
    "body",
    "transfer",
    "client",
    "call",
    "hooks",
    "response",
    "queue",
    "submit",
    "cookies",
    "budgets",
    "retry",
    "retry_readings",
    "envoy",
];

/// What stands above everything.
const INTRODUCTION: &str = include_str!("header.h");

pub fn page() -> String {
    let binding = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/c");
    let config = Config {
        language: Language::C,
        cpp_compat: true,
        no_includes: true,
        style: Style::Both,
        sort_by: SortKey::None,
        usize_is_size_t: true,
        documentation_style: DocumentationStyle::Doxy,
        documentation_length: DocumentationLength::Full,
        line_length: 120,
        header: Some(INTRODUCTION.trim_end().to_owned()),
        include_guard: Some("REKNOCK_H".to_owned()),
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        after_includes: Some(versions(&binding)),
        trailer: Some(TRAILER.trim_end().to_owned()),
        ..Config::default()
    };
    let builder =
        SOURCES.iter().fold(Builder::new().with_config(config), |builder, name| builder.with_src(binding.join(format!("src/{name}.rs"))));
    let mut page = Vec::new();
    builder.generate().expect("the binding is Rust that cbindgen reads").write(&mut page);
    String::from_utf8(page).expect("sources are UTF-8")
}

/// The initialisers of structs that callers fill in. C++17 has no designated initialisers.
const TRAILER: &str = "
/*
 * Options at their defaults, to begin with:
 *
 *     reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
 *     reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
 *     reknock_retry_options options = REKNOCK_RETRY_OPTIONS_INIT;
 *     reknock_retry_answer answer = REKNOCK_RETRY_ANSWER_INIT;
 */
#ifndef REKNOCK_OPTIONS_INIT
#define REKNOCK_OPTIONS_INIT
#ifdef __cplusplus
extern \"C++\" {
template <typename T> static inline T reknock_options_init() {
  T options = {};
  options.struct_size = sizeof(T);
  return options;
}
}
#define REKNOCK_CLIENT_OPTIONS_INIT reknock_options_init<reknock_client_options>()
#define REKNOCK_CALL_OPTIONS_INIT reknock_options_init<reknock_call_options>()
#define REKNOCK_RETRY_OPTIONS_INIT reknock_options_init<reknock_retry_options>()
#define REKNOCK_RETRY_ANSWER_INIT reknock_options_init<reknock_retry_answer>()
#else
#define REKNOCK_CLIENT_OPTIONS_INIT {.struct_size = sizeof(reknock_client_options)}
#define REKNOCK_CALL_OPTIONS_INIT {.struct_size = sizeof(reknock_call_options)}
#define REKNOCK_RETRY_OPTIONS_INIT {.struct_size = sizeof(reknock_retry_options)}
#define REKNOCK_RETRY_ANSWER_INIT {.struct_size = sizeof(reknock_retry_answer)}
#endif
#endif
";

/// The versions, as numbers.
fn versions(binding: &Path) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let numbers: Vec<u32> = version.split('.').map(|part| part.parse().expect("versions are numbers")).collect();
    let &[major, minor, patch] = numbers.as_slice() else { panic!("three numbers make a version") };
    let number = major * 1_000_000 + minor * 1000 + patch;
    let manifest = std::fs::read_to_string(binding.join("Cargo.toml")).expect("the binding has a manifest");
    let abi = manifest.lines().find_map(|line| line.strip_prefix("abi = ")).expect("the manifest has the ABI number");
    let abi: u32 = abi.split_whitespace().next().and_then(|abi| abi.parse().ok()).expect("the ABI is a number");
    format!(
        "
#if !defined(__cplusplus) && !defined(_MSC_VER) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 199901L)
#error \"reknock.h needs C99 or later: -std=c99\"
#endif

/** The version of this header. That of the library: reknock_version, reknock_version_number, reknock_abi_version. */
#define REKNOCK_VERSION \"{version}\"
#define REKNOCK_VERSION_MAJOR {major}
#define REKNOCK_VERSION_MINOR {minor}
#define REKNOCK_VERSION_PATCH {patch}
/** MAJOR * 1000000 + MINOR * 1000 + PATCH */
#define REKNOCK_VERSION_NUMBER {number}
/** Programs run with every library of the ABI they were compiled for. */
#define REKNOCK_ABI_VERSION {abi}"
    )
}
