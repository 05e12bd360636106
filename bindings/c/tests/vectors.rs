//! The shared vectors of documents, names and Envoy's request headers through C: the same policies, the same messages, the same notes.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;

use core_::policy::envoy::REQUEST_HEADERS;
use core_::{ErrorKind, Evidence, StopReason};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use support::lines::{answers, line, texts, vectors};

/// How many cases run: all of config.json but those in camelCase, which Node alone takes; all of the dialects.
const CASES: usize = 505;
const CAMEL_CASE: usize = 17;
const DIALECTS: &[(&str, usize)] = &[
    ("envoy", 145),
    ("kgateway", 59),
    ("linkerd", 74),
    ("ballerina", 66),
    ("ktor", 65),
    ("load", 79),
    ("istio", 51),
    ("envoy-gateway", 37),
    ("linkerd2", 39),
];

const PROGRAM: &str = "tests/c/vectors.c";

/// A case, and its keys in their own text.
type Case<'v> = (&'v Value, HashMap<String, Box<RawValue>>);

fn cases<'v>(vectors: &'v Value, name: &str) -> Vec<Case<'v>> {
    vectors["cases"].as_array().unwrap().iter().zip(texts(name)).collect()
}

/// The document of a case as text, and its format. What JSON cannot say is said in YAML.
fn document(case: &Value, texts: &HashMap<String, Box<RawValue>>) -> (&'static str, String) {
    let json = texts["document"].get();
    if json.contains("$float") { ("yaml", block(&case["document"], "\n")) } else { ("json", json.to_owned()) }
}

/// A value as YAML in blocks: what begins with a brace is taken for JSON or Ballerina. `line` begins a line of it.
fn block(value: &Value, line: &str) -> String {
    let Some(map) = value.as_object() else { return value.to_string() };
    if let Some(number) = value["$float"].as_str() {
        return format!(".{number}");
    }
    map.iter().map(|(key, value)| format!("{line}{key}: {}", block(value, &format!("{line}  ")))).collect()
}

/// Whether the keys listed have these values, and all others those of the base.
fn is(policy: &str, expected: &Value, base: &Value) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap();
    policy.as_object().unwrap().iter().all(|(key, value)| expected.get(key).unwrap_or(&base[key]) == value)
}

fn default_policy() -> String {
    line(&["policy", "", "json", "{}"])
}

#[test]
fn documents_give_the_same_policies_and_messages() {
    let vectors = vectors("config");
    let (cases, camel): (Vec<_>, Vec<_>) = cases(&vectors, "config").into_iter().partition(|(case, _)| case.get("keys").is_none());
    let question = |(case, texts): &Case<'_>| {
        let format = ["yaml", "toml", "json"].into_iter().find(|format| case.get(format).is_some());
        let (format, text) = format.map_or_else(|| document(case, texts), |format| (format, case[format].as_str().unwrap().to_owned()));
        let base = case.get("base").map_or(String::new(), Value::to_string);
        assert!(base.is_empty() || format == "json", "{}: there is no merging of {format}", case["name"]);
        line(&["policy", &base, format, &text])
    };
    let mut questions: Vec<String> = cases.iter().map(question).collect();
    questions.push(default_policy());
    let mut answers = answers(PROGRAM, "vectors_config", &questions);
    let default: Value = serde_json::from_str(&answers.pop().unwrap()[1]).unwrap();
    let mut wrong = Vec::new();
    for ((case, _), answer) in cases.iter().zip(&answers) {
        let right = match (case.get("error").and_then(Value::as_str), answer[0].as_str()) {
            (Some(message), "config") => without_place(case, &answer[1]) == message,
            (None, "ok") => is(&answer[1], &case["policy"], &default),
            _ => false,
        };
        if !right {
            wrong.push(format!("{}: {answer:?}", case["name"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!((cases.len(), camel.len()), (CASES, CAMEL_CASE));
}

/// Those that have one key: it is set in the default policy, or in the base.
#[test]
fn keys_set_as_text_give_the_same_policies_and_messages() {
    let vectors = vectors("config");
    let one = |case: &&Value| case.get("keys").is_none() && case["document"].as_object().is_some_and(|document| document.len() == 1);
    let cases: Vec<&Value> = vectors["cases"].as_array().unwrap().iter().filter(one).collect();
    let question = |case: &&Value| {
        let (key, value) = case["document"].as_object().unwrap().iter().next().unwrap();
        let json = value.to_string();
        let text = if json.contains("$float") { block(value, "\n  ") } else { json };
        line(&["with", &case.get("base").map_or(String::new(), Value::to_string), key, &text])
    };
    let mut questions: Vec<String> = cases.iter().map(question).collect();
    questions.push(default_policy());
    let mut answers = answers(PROGRAM, "vectors_with", &questions);
    let default: Value = serde_json::from_str(&answers.pop().unwrap()[1]).unwrap();
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(&answers) {
        let right = match (case.get("error").and_then(Value::as_str), answer[0].as_str()) {
            (Some(message), "config") => answer[1] == message,
            (None, "ok") => is(&answer[1], &case["policy"], &default),
            _ => false,
        };
        if !right {
            wrong.push(format!("{}: {answer:?}", case["name"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() > 300, "{}", cases.len());
}

#[test]
fn invalid_backoffs_and_budgets_are_rejected() {
    let (backoffs, budgets) = (vectors("backoff"), vectors("budget"));
    let (backoffs, budgets) = (backoffs["invalid"].as_array().unwrap(), budgets["invalid"].as_array().unwrap());
    // In YAML, which has a word for what is no number.
    let backoff = |backoff: &Value| format!("backoff: {backoff}");
    let budget = |parameters: &Value| {
        let values = parameters.as_object().unwrap().iter().map(|(key, value)| match key.as_str() {
            "ttl_s" => format!("ttl: {value}s"),
            key => format!("{key}: {}", if value == "NaN" { ".nan".to_owned() } else { value.to_string() }),
        });
        format!("budget: {{{}}}", values.collect::<Vec<_>>().join(", "))
    };
    let documents: Vec<String> = backoffs.iter().map(backoff).chain(budgets.iter().map(budget)).collect();
    let questions: Vec<String> = documents.iter().map(|document| line(&["policy", "", "yaml", document])).collect();
    for (document, answer) in documents.iter().zip(answers(PROGRAM, "vectors_invalid", &questions)) {
        let key = document.split_once(':').unwrap().0;
        assert!(answer[0] == "config" && answer[1].contains(&format!("{key}.")), "{document}: {answer:?}");
    }
    assert_eq!((backoffs.len(), budgets.len()), (10, 6));
}

#[test]
fn simulations_give_the_same_bytes() {
    let vectors = vectors("simulate");
    let cases = vectors["cases"].as_array().unwrap();
    let mut questions: Vec<String> =
        cases.iter().map(|case| line(&["simulate", &case["policy"].to_string(), &case["scenario"].to_string()])).collect();
    questions.push(line(&["simulate", "{}", "spikes"]));
    let expect = r#"{"preset": "batch", "seeds": 1, "expect": {"goodput": 0.99}}"#;
    questions.push(line(&["compare", r#"{"policies": {"ours & theirs": {}, "none": {"max_retries": 0}}, "rules": []}"#, expect]));
    questions.push(line(&["compare", "{}", "spikes"]));
    questions.push(line(&["lint", r#"{"timeout": "10s"}"#, r#"{"processes": 64, "capacity": 100}"#]));
    questions.push(line(&["lint", "{}", ""]));
    questions.push(line(&["lint", "{}", r#"{"process": 1}"#]));
    let mut answers = answers(PROGRAM, "vectors_simulate", &questions);
    let others = answers.split_off(cases.len());
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(answer, &["ok", case["result"].as_str().unwrap(), &case["passed"].to_string()], "{}", case["name"]);
    }
    assert!(others[0][0] == "config" && others[0][1].contains("did you mean \"spike\"?"), "{:?}", others[0]);
    let compared: serde_json::Value = serde_json::from_str(&others[1][1]).expect(&others[1][1]);
    assert_eq!((compared["none"]["attempts"].as_u64(), others[1][2].as_str()), (Some(500), "false"));
    assert!(compared["ours & theirs"].is_object() && others[1][3].contains("ours &amp; theirs"), "{compared}");
    assert!(others[2][1].contains("did you mean \"spike\"?"), "{:?}", others[2]);
    assert!(others[3][2].contains("[limit-never-fires]") && others[3][3] == "warning", "{:?}", others[3]);
    assert_eq!((others[4][0].as_str(), others[4][3].as_str()), ("ok", "none"));
    assert!(others[5][1].contains("did you mean processes?"), "{:?}", others[5]);
}

#[test]
fn numbers_have_the_same_names() {
    let vectors = vectors("errors");
    let mut wanted = Vec::new();
    let mut questions = Vec::new();
    for (list, word) in [("kinds", "kind"), ("stop_reasons", "stop")] {
        for row in vectors[list].as_array().unwrap() {
            questions.push(line(&[word, &row["number"].to_string()]));
            wanted.push(vec![row["code"].as_str().unwrap().to_owned()]);
        }
    }
    for (code, number) in vectors["evidence"].as_array().unwrap().iter().zip(1..) {
        questions.push(line(&["evidence", &i32::to_string(&number)]));
        wanted.push(vec![code.as_str().unwrap().to_owned()]);
    }
    assert_eq!(answers(PROGRAM, "vectors_errors", &questions), wanted);
    assert_eq!(wanted.len(), ErrorKind::ALL.len() + StopReason::ALL.len() + Evidence::ALL.len());
}

/// The presets by name, in full.
fn presets() -> HashMap<String, Value> {
    let vectors = vectors("dialects/presets");
    let cases = vectors["cases"].as_array().unwrap().iter();
    let full = cases.filter(|case| case.get("policy").is_some());
    full.map(|case| (case["name"].as_str().unwrap().to_owned(), case["policy"].clone())).collect()
}

#[test]
fn presets_are_the_same() {
    let vectors = vectors("dialects/presets");
    let cases = vectors["cases"].as_array().unwrap();
    let questions: Vec<String> = cases.iter().map(|case| line(&["preset", case["name"].as_str().unwrap()])).collect();
    for (case, answer) in cases.iter().zip(answers(PROGRAM, "vectors_presets", &questions)) {
        match case.get("error") {
            Some(message) => assert_eq!((answer[0].as_str(), &answer[1].clone().into()), ("config", message)),
            None => assert!(is(&answer[1], &case["policy"], &Value::Null), "{}: {answer:?}", case["name"]),
        }
    }
    assert_eq!(cases.len(), 13);
}

/// What is wrong with one policy of a document; its fields begin `answer`.
fn differs(expected: &Value, answer: &[String], presets: &HashMap<String, Value>) -> Option<String> {
    let [dialect, name, policy, explained, _, notes @ ..] = answer else { return Some("fields are missing".to_owned()) };
    let base = &presets[if dialect == "reknock" { "default" } else { dialect }];
    let none = Vec::new();
    let wanted: Vec<&str> = expected["notes"].as_array().unwrap_or(&none).iter().map(|note| note.as_str().unwrap()).collect();
    let said = expected.get("name").map_or("-".to_owned(), |name| format!("+{}", name.as_str().unwrap()));
    if !is(policy, &expected["policy"], base) {
        return Some(format!("is {policy}"));
    }
    let whole = explained.contains("budget: ") && notes.iter().all(|note| explained.contains(note.as_str()));
    (notes != wanted || (dialect.as_str(), name) != (expected["dialect"].as_str().unwrap(), &said) || !whole)
        .then(|| format!("is {dialect} {name} {notes:?}\n{explained}"))
}

/// A document that is read as text has places, which its case does not know.
fn without_place<'m>(case: &Value, message: &'m str) -> &'m str {
    let place = ["JSON line ", "YAML line "].into_iter().find_map(|before| message.strip_prefix(before));
    let place = place.and_then(|rest| rest.split_once(", column ")?.1.split_once(": "));
    place.filter(|_| case.get("document").is_some()).map_or(message, |(_, message)| message)
}

#[test]
fn dialects_give_the_same_policies_notes_and_messages() {
    let presets = presets();
    for (name, count) in DIALECTS {
        let vectors = vectors(&format!("dialects/{name}"));
        let cases = cases(&vectors, &format!("dialects/{name}"));
        let question = |(case, texts): &Case<'_>| {
            let text = case["text"].as_str().map_or_else(|| document(case, texts).1, str::to_owned);
            line(&["load", case["dialect"].as_str().unwrap_or_default(), &text])
        };
        let questions: Vec<String> = cases.iter().map(question).collect();
        let mut wrong = Vec::new();
        for ((case, _), answer) in cases.iter().zip(answers(PROGRAM, &format!("vectors_{name}"), &questions)) {
            let problem = match (case.get("error").and_then(Value::as_str), answer[0].as_str()) {
                (Some(message), "config") if without_place(case, &answer[1]) == message => None,
                (None, "ok") => {
                    let mut rest = &answer[1..];
                    let mut problem = None;
                    for expected in case["policies"].as_array().unwrap() {
                        let (one, next) = rest.split_at(5 + rest.get(4).map_or(0, |count| count.parse().unwrap()));
                        problem = problem.or(differs(expected, one, &presets));
                        rest = next;
                    }
                    problem.or((!rest.is_empty()).then(|| "gave more policies".to_owned()))
                }
                _ => Some(answer.join(" ")),
            };
            wrong.extend(problem.map(|problem| format!("{}: {problem}", case["name"])));
        }
        assert!(wrong.is_empty(), "{name}: {} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
        assert_eq!(cases.len(), *count, "{name}");
    }
}

/// The policies that C reads of a text, by name and as JSON; or its message.
fn loaded(answer: &[String]) -> Result<Vec<(String, String)>, String> {
    if answer[0] != "ok" {
        return Err(answer[1].clone());
    }
    let (mut rest, mut all) = (&answer[1..], Vec::new());
    while let [_, name, policy, _, notes, ..] = rest {
        all.push((name.clone(), policy.clone()));
        rest = &rest[5 + notes.parse::<usize>().unwrap()..];
    }
    Ok(all)
}

/// Likewise in Rust.
fn read(text: &str, dialect: &str) -> Result<Vec<(String, String)>, String> {
    let all = core_::policy::read_all(text, core_::policy::Dialect::from_name(dialect).ok()).map_err(|error| error.to_string())?;
    let name = |loaded: &core_::policy::Loaded| loaded.name.as_ref().map_or("-".to_owned(), |name| format!("+{name}"));
    Ok(all.iter().map(|loaded| (name(loaded), loaded.policy.to_json())).collect())
}

/// What core/tests/dialects/meshes.rs and core/tests/behaviour/ktor_recorded.rs read and try, read by C.
#[test]
fn meshes_manifests_and_ktor_are_read_as_in_rust() {
    let (meshes, manifests, ktor) = (vectors("dialects/meshes"), vectors("dialects/manifests/expected"), vectors("dialects/ktor_recorded"));
    let mut texts: Vec<(String, String)> = Vec::new();
    for case in meshes["cases"].as_array().unwrap() {
        let text: String = case["documents"].as_array().unwrap().iter().map(|document| format!("---\n{document}\n")).collect();
        let dialect = case["dialect"].as_str().unwrap().to_owned();
        texts.extend([(String::new(), text.clone()), (dialect, text)]);
    }
    let folder = support::root().join("tests/vectors/dialects/manifests");
    let files = manifests.as_object().unwrap().keys().filter(|file| *file != "about");
    texts.extend(files.map(|file| (String::new(), std::fs::read_to_string(folder.join(file)).unwrap())));
    for case in ktor["cases"].as_array().unwrap() {
        let call = |call: &Value| (call[0].as_str().unwrap().to_owned(), call[1].get("value").unwrap_or(&call[1]).clone());
        let plugin: serde_json::Map<String, Value> = case["calls"].as_array().unwrap().iter().map(call).collect();
        texts.push(("ktor".to_owned(), json!({"HttpRequestRetry": plugin}).to_string()));
    }
    let questions: Vec<String> = texts.iter().map(|(dialect, text)| line(&["load", dialect, text])).collect();
    for ((dialect, text), answer) in texts.iter().zip(answers(PROGRAM, "vectors_meshes", &questions)) {
        assert_eq!(loaded(&answer), read(text, dialect), "{text}");
    }
    assert_eq!(texts.len(), 2 * 54 + 12 + 395);
}

#[test]
fn sets_choose_the_same_policies() {
    let vectors = vectors("sets");
    let cases = vectors["cases"].as_array().unwrap();
    let requests = |case: &Value| case["requests"].as_object().cloned().unwrap_or_default();
    let question = |case: &Value| {
        let requests = requests(case);
        let mut fields = vec!["set", case["dialect"].as_str().unwrap_or_default(), case["text"].as_str().unwrap()];
        fields.extend(requests.keys().map(String::as_str));
        line(&fields)
    };
    let questions: Vec<String> = cases.iter().map(question).collect();
    for (case, answer) in cases.iter().zip(answers(PROGRAM, "vectors_sets", &questions)) {
        if let Some(message) = case["error"].as_str() {
            assert_eq!(answer, ["config", message], "{}", case["name"]);
            continue;
        }
        let (set, notes) = (serde_json::from_str::<Value>(&answer[1]).unwrap(), answer[2].parse::<usize>().unwrap());
        let (told, chosen) = answer[3..].split_at(notes);
        assert_eq!(json!(told), case["notes"], "{}", case["name"]);
        assert_eq!(set.get("rules").unwrap_or(&json!([])), &case["rules"], "{}", case["name"]);
        let wanted = requests(case).into_values().flat_map(|met| {
            let name = met[1].as_str().map_or_else(|| "-".to_owned(), |name| format!("+{name}"));
            [met[0].as_u64().unwrap_or(0).to_string(), name]
        });
        assert_eq!(chosen, wanted.collect::<Vec<_>>(), "{}", case["name"]);
    }
    assert_eq!(cases.len(), 41);
}

/// The route of a case as a document that holds one: without a `retry_policy` it has an empty one.
fn route(case: &Value) -> String {
    let mut route = case["route"].clone();
    route.as_object_mut().unwrap().entry("retry_policy").or_insert_with(|| json!({}));
    route.to_string()
}

/// A field may be on several lines.
fn lines(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// The header fields of a case, each value after its name.
fn fields(headers: &Value) -> Vec<&str> {
    let all = headers.as_object().unwrap().iter().flat_map(|(name, value)| lines(value).iter().map(move |line| (name, line)));
    all.flat_map(|(name, line)| [name.as_str(), line.as_str().unwrap()]).collect()
}

#[test]
fn request_headers_of_envoy_give_the_same_policies_and_times() {
    let vectors = vectors("dialects/request_headers");
    let (cases, times) = (vectors["cases"].as_array().unwrap(), vectors["expected_rq_timeout_ms"].as_array().unwrap());
    let mut questions: Vec<String> =
        cases.iter().map(|case| line(&[&["envoy", &route(case)], &*fields(&case["headers"])].concat())).collect();
    questions.extend(times.iter().map(|case| line(&["expected", &route(case), &case["elapsed_ms"].to_string()])));
    questions.extend((0..=REQUEST_HEADERS.len()).map(|index| line(&["header", &index.to_string()])));
    let answers = answers(PROGRAM, "vectors_request_headers", &questions);
    let names: Vec<&str> = answers[cases.len() + times.len()..].iter().map(|answer| answer[0].as_str()).collect();
    assert_eq!(names, [REQUEST_HEADERS, &["none"]].concat());
    for (case, answer) in cases.iter().zip(&answers) {
        let base = serde_json::from_str(&answer[0]).unwrap();
        assert!(is(&answer[1], &case["policy"], &base), "{}: {answer:?}", case["name"]);
        assert_eq!(answer[2], answer[1], "{}", case["name"]);
    }
    for (case, answer) in times.iter().zip(&answers[cases.len()..]) {
        assert_eq!(answer[..], [case["header"].to_string(), case["header"].to_string()], "{case}");
    }
    assert_eq!((cases.len(), times.len()), (55, 17));
}
