//! Documents of meshes and gateways, and what their control planes make of them: the same policies. Whole manifests, as clusters hold them.

use reknock::Policy;
use reknock::policy::{Dialect, Loaded, Value, load_all, read_all, read_all_from_value};

use super::{entries, list, same, text, vectors};

/// The documents of a case as one text, and as one value.
fn every_way(case: &Value, dialect: Option<Dialect>) -> [Result<Vec<Loaded>, reknock::Error>; 2] {
    let documents = list(case, "documents");
    let text: String = documents.iter().map(|document| format!("---\n{document}\n")).collect();
    [read_all(&text, dialect), read_all_from_value(&Value::List(documents.to_vec()), dialect)]
}

/// A policy of which only these keys are on.
fn off_but(keys: &Value) -> Policy {
    let off = [
        "timeout",
        "connect_timeout",
        "per_try_timeout",
        "idle_timeout",
        "retry_on",
        "statuses",
        "backoff",
        "retry_after",
        "budget",
        "idempotency_key",
    ];
    let mut document: Vec<(String, Value)> = off.map(|key| (key.to_owned(), "none".into())).into();
    document.extend([("max_body_buffer".to_owned(), 0.into()), ("methods".to_owned(), "any".into()), ("max_retries".to_owned(), 0.into())]);
    document.retain(|(key, _)| keys.get(key).is_none());
    document.extend(entries(keys).iter().cloned());
    Policy::from_value(&Value::Map(document)).expect("a policy")
}

fn check(case: &Value) -> Result<(), String> {
    let dialect = Dialect::from_name(text(case, "dialect").expect("a dialect")).expect("known");
    for read in every_way(case, Some(dialect)).into_iter().chain(every_way(case, None)) {
        if let Some(key) = text(case, "error_names") {
            let error = read.err().ok_or("gave policies")?.to_string();
            return if error.contains(key) { Ok(()) } else { Err(error) };
        }
        let all = read.map_err(|error| error.to_string())?;
        let expected: Vec<(Option<String>, Policy)> = match case.get("envoy") {
            Some(envoy) => {
                let all = read_all_from_value(envoy, Some(Dialect::Envoy)).map_err(|error| error.to_string())?;
                all.into_iter().map(|loaded| (None, loaded.policy)).collect()
            }
            None => {
                let policy = |expected: &Value| (text(expected, "name").map(str::to_owned), off_but(expected.get("policy").expect("keys")));
                list(case, "policies").iter().map(policy).collect()
            }
        };
        if all.len() != expected.len() {
            return Err(format!("{} policies instead of {}", all.len(), expected.len()));
        }
        for (loaded, (name, policy)) in all.iter().zip(expected) {
            if loaded.policy != policy || loaded.dialect != dialect || name.is_some_and(|name| loaded.name != Some(name)) {
                return Err(format!("{:?} {} instead of {policy}", loaded.name, loaded.policy));
            }
        }
    }
    Ok(())
}

#[test]
fn become_what_their_control_planes_make_of_them() {
    let vectors = vectors("meshes");
    let cases = list(&vectors, "cases");
    let wrong = cases.iter().filter_map(|case| check(case).err().map(|problem| format!("{}: {problem}", text(case, "id").expect("an id"))));
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cases.len(), 54);
}

/// Of a block only the keys that are named count.
fn covers(actual: &Value, written: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Map(keys) => {
            keys.iter().all(|(key, _)| actual.get(key).zip(written.get(key)).is_some_and(|(actual, written)| same(actual, written)))
        }
        _ => same(actual, written),
    }
}

#[test]
fn manifests_of_clusters() {
    let vectors = vectors("manifests/expected");
    let folder = format!("{}/../tests/vectors/dialects/manifests", env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    for (file, expected) in entries(&vectors).iter().filter(|(file, _)| file != "about") {
        let Value::List(expected) = expected else { panic!("{file}") };
        let all = load_all(format!("{folder}/{file}"), None).unwrap_or_else(|error| panic!("{error}"));
        let found: Vec<_> = all.iter().map(|loaded| (Some(loaded.dialect.name()), loaded.name.as_deref())).collect();
        assert_eq!(found, expected.iter().map(|one| (text(one, "dialect"), text(one, "name"))).collect::<Vec<_>>(), "{file}");
        for (loaded, expected) in all.iter().zip(expected) {
            let (actual, keys) = (loaded.policy.to_value(), expected.get("policy").expect("keys"));
            for (key, wanted) in entries(keys) {
                // Written as the writer does.
                let one = Policy::from_value(&Value::from([(key.as_str(), wanted.clone())])).expect("a value of ours").to_value();
                let (actual, written) = (actual.get(key).expect("a key"), one.get(key).expect("a key"));
                assert!(covers(actual, written, wanted), "{file}: {key}: {actual} instead of {wanted}");
            }
        }
        files += 1;
    }
    assert_eq!(files, 12);
}
