//! The command lines that need no network.

use reknock::command::{Finished, run};
use reknock::policy::Value;

fn ran(arguments: &[&str]) -> Finished {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    run("reknock", &arguments).expect("a command of ours")
}

/// A file with this text that is gone with the test.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("reknock-command-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a temporary file");
        File(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("a path of ASCII")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn other_commands_are_not_ours() {
    assert_eq!(run("reknock", &["get".to_owned(), "http://127.0.0.1/".to_owned()]), None);
    assert_eq!(run("reknock", &[]), None);
}

#[test]
fn lint_prints_bounds_and_findings_and_fails_where_told() {
    let file = File::new("lint.yaml", "timeout: 10s\n");
    let finished = ran(&["lint", file.name()]);
    assert_eq!((finished.status, finished.err.as_str()), (0, ""));
    assert!(finished.out.contains("[limit-never-fires]"), "{}", finished.out);
    assert_eq!(ran(&["lint", file.name(), "--fail-on", "warning"]).status, 1);
    assert!(Value::from_json(&ran(&["lint", file.name(), "--format", "json"]).out).is_ok());
    assert!(Value::from_json(&ran(&["lint", file.name(), "--format", "sarif"]).out).is_ok());
    let floor = ran(&["lint", file.name(), "--processes=64", "--capacity", "10"]).out;
    assert!(floor.contains("[floor-above-capacity]"), "{floor}");
    assert!(!ran(&["lint", file.name(), "--processes=64", "--capacity", "700", "--one-purse"]).out.contains("[floor-above-capacity]"));
}

#[test]
fn findings_know_their_place_in_the_file_of_any_system() {
    // Name and text of a file; what is printed about each finding's place.
    let ours = "# ours\npolicies:\n  slow:\n    timeout: 10s\n    budget:\n      ratio: 0.2\n  shop:\n    budget:\n      min_per_second: 0\nrules: []\n";
    let mesh = "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\n\
                spec:\n  hosts: [shop]\n  http:\n  - route: [{destination: {host: shop}}]\n    timeout: 2s\n    retries:\n      attempts: 5\n      perTryTimeout: 1s\n      retryOn: 5xx\n";
    let cases = [
        ("ours.yaml", ours, &[":3:3: warning: per_try_timeout: is 20s", ":9:7: note: budget.min_per_second"][..]),
        ("mesh.yaml", mesh, &[":16:7: warning: retry_on: includes tls", ":11:5: warning: methods: "]),
        ("plain.toml", "max_retries = 2\n[budget]\nratio = 0\nmin_per_second = 0\n", &[":2:2: error: budget: earns nothing"]),
        ("plain.json", "{\n\t\"budget\": null}", &[":2:2: warning: budget: is none"]),
        (
            "ballerina.bal",
            "http:Client c = check new (\"http://a\", {\n    retryConfig: {count: 3, interval: 1}\n});\n",
            &[":2:5: warning: budget: is none"],
        ),
    ];
    for (name, text, wanted) in cases {
        let file = File::new(name, text);
        let printed = ran(&["lint", file.name()]).out;
        for place in wanted {
            assert!(printed.contains(&format!("\n{}{place}", file.name())), "{place}\nin\n{printed}");
        }
        let (line, column) = wanted[0].trim_start_matches(':').split_once(':').expect("a line");
        let column = column.split_once(':').expect("a column").0;
        let sarif = ran(&["lint", file.name(), "--format", "sarif"]).out;
        assert!(sarif.contains(&format!("\"region\": {{\"startLine\": {line}, \"startColumn\": {column}}}")), "{sarif}");
        let json = ran(&["lint", file.name(), "--format", "json"]).out;
        assert!(json.contains(&format!("\"line\": {line}, \"column\": {column}}}")), "{json}");
    }
    let file = File::new("two.yaml", ours);
    let one = ran(&["lint", file.name(), "--policy", "shop"]).out;
    assert!(one.contains("two.yaml shop") && !one.contains("two.yaml slow"), "{one}");
    assert!(ran(&["lint", file.name(), "--policy", "shops"]).err.contains("did you mean \"shop\"?"));
}

#[test]
fn simulate_is_a_gate() {
    let policy = File::new("storm.yaml", "{budget: none}");
    let scenario = File::new("scenario.yaml", "{preset: outage, seeds: 1, duration: 70s, expect: {amplification: 1.5, over: 5s}}");
    let finished = ran(&["simulate", policy.name(), "none", "--scenario", scenario.name()]);
    assert_eq!(finished.status, 1, "{}", finished.err);
    assert!(finished.out.contains("expect amplification over 5s: wanted 1.5, got 3.0"), "{}", finished.out);
    assert!(finished.out.contains("expect amplification over 5s: wanted 1.5, got 1: holds"), "{}", finished.out);
    let json = ran(&["simulate", "default", "--scenario", "batch", "--seeds", "1", "--json"]);
    assert_eq!(json.status, 0, "{}", json.err);
    assert!(Value::from_json(json.out.trim()).is_ok());
    assert_eq!(json, ran(&["simulate", "default", "--scenario", "batch", "--seeds", "1", "--json"]));
}

#[test]
fn convert_writes_our_words() {
    let file = File::new("ballerina.toml", "[retryConfig]\ninterval = 3\ncount = 5\nbackOffFactor = 2.0\nmaxWaitInterval = 20\n");
    let finished = ran(&["policy", "convert", file.name()]);
    assert_eq!(finished.status, 0, "{}", finished.err);
    let back = reknock::Policy::from_yaml(&finished.out).expect("what it wrote");
    assert_eq!(back.max_retries(), 5);
    assert!(Value::from_json(ran(&["policy", "convert", file.name(), "--format=json"]).out.trim()).is_ok());
}

#[test]
fn a_preset_is_a_policy_wherever_a_file_is() {
    assert!(ran(&["lint", "default"]).out.starts_with("# default\n"));
    assert!(ran(&["lint", "llm", "--format", "sarif"]).out.contains("llm"));
    assert_eq!(ran(&["explain", "default"]).out, reknock::Policy::default().explain());
    assert!(ran(&["explain", "envoy", "--for", "GET http://a/"]).out.contains("max_retries"));
    let converted = ran(&["policy", "convert", "ktor"]);
    assert_eq!(reknock::Policy::from_yaml(&converted.out).expect("a policy"), reknock::Policy::preset("ktor").expect("a preset"));
    assert!(ran(&["lint", "ktro"]).err.starts_with("config: ktro: "));
}

#[test]
fn mistakes_are_told_with_their_fix() {
    let cases: &[(&[&str], &str)] = &[
        (&["lint"], "lint takes one file"),
        (&["lint", "a.yaml", "--colour"], "unknown option --colour"),
        (&["lint", "a.yaml", "--processes", "0"], "config: --processes: must be a whole number from 1 to 1000000, got 0"),
        (&["lint", "missing.yaml"], "config: missing.yaml: "),
        (&["lint", "a.yaml", "--fail-on", "warnings"], "did you mean \"warning\"?"),
        (&["simulate"], "simulate takes at least one file"),
        (&["simulate", "default", "--scenario", "spikes"], "did you mean \"spike\"?"),
        (&["policy"], "policy has one command: convert"),
    ];
    for (arguments, text) in cases {
        let finished = ran(arguments);
        assert_eq!((finished.status, finished.out.as_str()), (2, ""), "{arguments:?}");
        assert!(finished.err.contains(text), "{arguments:?}: {}", finished.err);
    }
}

#[test]
fn each_command_has_the_help() {
    for arguments in [&["lint", "--help"][..], &["simulate", "-h"], &["policy", "convert", "--help"]] {
        let finished = ran(arguments);
        assert_eq!((finished.status, finished.err.as_str()), (0, ""), "{arguments:?}");
        assert!(finished.out.starts_with("usage: "), "{arguments:?}");
    }
}
