//! SARIF 2.1.0 (OASIS): the form in which forges and editors take findings.

use super::{Finding, all_rules};
use crate::policy::Value;

pub(super) fn write(findings: &[Finding], file: &str) -> String {
    let text = |text: &str| Value::map([("text", text)]);
    let rules = all_rules().iter().map(|rule| {
        Value::map([
            ("id", Value::from(rule.id)),
            ("shortDescription", text(rule.summary)),
            ("help", text(rule.help)),
            ("defaultConfiguration", Value::map([("level", rule.severity.code())])),
        ])
    });
    let results = findings.iter().map(|finding| {
        let mut physical = vec![("artifactLocation", Value::map([("uri", file)]))];
        physical.extend(finding.place.map(|(line, column)| ("region", Value::map([("startLine", line), ("startColumn", column)]))));
        let location = Value::map([
            ("physicalLocation", Value::map(physical)),
            ("logicalLocations", Value::list([Value::map([("fullyQualifiedName", finding.path)])])),
        ]);
        Value::map([
            ("ruleId", Value::from(finding.rule.id)),
            ("level", finding.rule.severity.code().into()),
            ("message", text(&format!("{}: {}; {}", finding.path, finding.text, finding.fix))),
            ("locations", Value::list([location])),
        ])
    });
    let driver =
        Value::map([("name", Value::from("reknock")), ("version", env!("CARGO_PKG_VERSION").into()), ("rules", Value::list(rules))]);
    let run = Value::map([("tool", Value::map([("driver", driver)])), ("results", Value::list(results))]);
    Value::map([("version", Value::from("2.1.0")), ("runs", Value::list([run]))]).to_json()
}
