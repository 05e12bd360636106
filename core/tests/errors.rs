//! Kinds and stop reasons: `tests/vectors/errors.json` and the code name the same ones, with the same codes and numbers.

mod support;

use std::time::Duration;

use reknock::{AttemptRecord, ErrorKind, Evidence, StopReason};
use serde_json::Value as Json;
use support::{counted, vector};

/// Name, code and number.
type Row = (String, String, u64);

fn rows(list: &Json) -> Vec<Row> {
    let text = |row: &Json, key: &str| row[key].as_str().expect("text").to_owned();
    let list = list.as_array().expect("a list");
    list.iter().map(|row| (text(row, "name"), text(row, "code"), row["number"].as_u64().expect("a number"))).collect()
}

/// Codes are lower case words, and no code or number stands for two things.
fn well_formed(rows: &[Row]) {
    for (index, (name, code, number)) in rows.iter().enumerate() {
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        let same = |other: &&Row| other.0 == *name || other.1 == *code || other.2 == *number;
        assert_eq!(rows[index + 1..].iter().find(same), None, "{code}");
    }
}

#[test]
fn kinds() {
    let expected = rows(&vector("errors.json")["kinds"]);
    let actual: Vec<Row> = ErrorKind::ALL.iter().map(|kind| (format!("{kind:?}"), kind.code().to_owned(), kind.number().into())).collect();
    assert_eq!(actual, expected);
    well_formed(&expected);
    for kind in ErrorKind::ALL {
        assert_eq!(ErrorKind::from_code(kind.code()), Some(*kind));
        assert_eq!(kind.to_string(), kind.code());
        assert!(!kind.meaning().is_empty());
    }
    assert_eq!(ErrorKind::from_code("CONNECT"), None);
    counted(expected.len(), 17);
}

#[test]
fn stop_reasons() {
    let expected = rows(&vector("errors.json")["stop_reasons"]);
    let actual: Vec<Row> =
        StopReason::ALL.iter().map(|reason| (format!("{reason:?}"), reason.code().to_owned(), reason.number().into())).collect();
    assert_eq!(actual, expected);
    well_formed(&expected);
    for reason in StopReason::ALL {
        assert_eq!(StopReason::from_code(reason.code()), Some(*reason));
        assert_eq!(reason.to_string(), reason.code());
        assert!(!reason.meaning().is_empty());
    }
    counted(expected.len(), 13);
}

#[test]
fn evidence() {
    let file = vector("errors.json");
    let expected: Vec<&str> = file["evidence"].as_array().expect("a list").iter().map(|code| code.as_str().expect("text")).collect();
    let actual: Vec<&str> = Evidence::ALL.iter().map(|evidence| evidence.code()).collect();
    assert_eq!(actual, expected);
    counted(expected.len(), 3);
}

/// What telemetry calls a failure.
#[test]
fn types_of_errors() {
    let cases = [
        (None, None, None, None),
        (Some(200), None, None, None),
        (Some(399), None, None, None),
        (Some(404), None, None, Some("404")),
        (Some(503), None, None, Some("503")),
        (Some(200), Some(ErrorKind::Body), None, Some("body")),
        (None, Some(ErrorKind::Reset), Some("httpx.ReadError"), Some("reset")),
        (None, None, Some("KeyError"), Some("KeyError")),
        (Some(200), None, Some("KeyError"), None),
    ];
    for (status, error, class, expected) in cases {
        let mut record = AttemptRecord::begun(1, 0, Duration::ZERO);
        (record.status, record.error, record.error_class) = (status, error, class.map(Box::from));
        assert_eq!(record.error_type().as_deref(), expected, "{status:?} {error:?} {class:?}");
    }
}
