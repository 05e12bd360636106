//! tests/vectors/simulate.json: the same bytes on every surface. `UPDATE=1` writes the results anew.

use reknock::Policy;
use reknock::policy::Value;
use reknock::simulate::{Scenario, simulate};

#[test]
fn results_are_those_of_the_vector() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/simulate.json");
    let mut document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the vector")).expect("JSON");
    let update = std::env::var_os("UPDATE").is_some();
    for case in document["cases"].as_array_mut().expect("cases") {
        let read = |value: &serde_json::Value| Value::from_json(&value.to_string()).expect("JSON");
        let policy = Policy::from_value(&read(&case["policy"])).expect("a policy");
        let scenario = Scenario::from_value(&read(&case["scenario"])).expect("a scenario");
        let report = simulate(&policy, &scenario);
        if update {
            case["result"] = report.to_json().into();
            case["passed"] = report.passed().into();
        }
        assert_eq!(case["result"], report.to_json(), "{}", case["name"]);
        assert_eq!(case["passed"], report.passed(), "{}", case["name"]);
    }
    if update {
        std::fs::write(path, serde_json::to_string_pretty(&document).expect("JSON") + "\n").expect("the vector is written");
    }
}
