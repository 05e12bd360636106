//! linkerd's response classifiers: what failed, and what of it may be repeated.

use super::super::super::Value;
use super::super::super::problem::Problem;
use super::super::block::{Block, int, list};
use super::super::draft::Draft;

const READ: &[&str] = &["GET", "HEAD", "OPTIONS", "TRACE"];
const IDEMPOTENT: &[&str] = &["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];
const ALL: &[&str] = &["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "POST", "PATCH"];

/// The methods that a classifier lets be repeated.
pub(super) const DEFAULT: &[&str] = &[];

const KINDS: &[(&str, &[&str])] = &[
    ("nonRetryable5XX", DEFAULT),
    ("retryableRead5XX", READ),
    ("retryableIdempotent5XX", IDEMPOTENT),
    ("retryableAll5XX", ALL),
    ("allSuccessful", DEFAULT),
];

/// Sets conditions and methods. Whatever the classifier, what was not sent is sent again, and so is what answered with a 5xx
/// that says so.
pub(super) fn set(draft: &mut Draft, methods: &[&str]) {
    let not_sent = ["connect-failure", "refused-stream", "reset", "not per-try-timeout"];
    draft.set("retry_on", if methods.is_empty() { Value::list(not_sent) } else { Value::list(["5xx"]) });
    draft.set("methods", Value::list(methods.iter().copied()));
    let says_so = Value::from([("name", "l5d-retryable"), ("exact", "true")]);
    draft.set("response_headers", Value::list([says_so.clone()]));
    draft.set("refused_headers", Value::list([says_so]));
    // The header counts on a 5xx only.
    draft.set("statuses", Value::list(["not 100-499", "not 600-999"]));
}

const GRPC: &str = "io.l5d.h2.grpc.";

pub(super) fn read(draft: &mut Draft, mut block: Block<'_>) -> Result<(), Problem> {
    let kind = block.need("kind")?;
    let word = kind.text()?;
    if let Some(grpc) = word.strip_prefix(GRPC) {
        return self::grpc(draft, &mut block, grpc, &kind);
    }
    let name = word.strip_prefix("io.l5d.http.").or_else(|| word.strip_prefix("io.l5d.h2."));
    let Some((_, methods)) = name.and_then(|name| KINDS.iter().find(|(known, _)| *known == name)) else { return Err(unknown(&kind)) };
    set(draft, methods);
    Ok(())
}

fn unknown(kind: &super::Node<'_>) -> Problem {
    let names: Vec<_> = KINDS.iter().map(|(name, _)| format!("io.l5d.http.{name}")).collect();
    let near = kind.str().and_then(|text| super::super::super::problem::nearest(text, names.iter().map(String::as_str)));
    let problem = kind.must("be a response classifier");
    match near {
        Some(near) => problem.fix(format!("did you mean \"{near}\"?")),
        None => problem.fix(format!("they are {}, and those of {GRPC}*", names.join(", "))),
    }
}

/// The codes that can be told apart here, and their conditions.
const CODES: &[(i64, &str)] =
    &[(1, "cancelled"), (4, "deadline-exceeded"), (8, "resource-exhausted"), (13, "internal"), (14, "unavailable")];

fn grpc(draft: &mut Draft, block: &mut Block<'_>, word: &str, kind: &super::Node<'_>) -> Result<(), Problem> {
    let mut conditions: Vec<&str> = Vec::new();
    let mut statuses: &[i64] = &[];
    match word {
        "default" => conditions.push("unavailable"),
        "compliant" => {
            conditions.extend(["unavailable", "refused-stream"]);
            statuses = &[429, 502, 503, 504];
        }
        "alwaysRetryable" => {
            conditions.extend(CODES.iter().map(|(_, token)| *token).chain(["reset"]));
            draft.note(kind.path.as_str(), "of the gRPC codes only 1, 4, 8, 13 and 14 are retried");
        }
        // What was not sent is repeated whatever the classifier says.
        "neverRetryable" | "successStatusCodes" => {
            set(draft, DEFAULT);
            return Ok(());
        }
        "retryableStatusCodes" => {
            let codes = block.need("retryableStatusCodes")?;
            for item in list(&codes)? {
                let code = int(&item, i32::MIN.into(), i32::MAX.into())?;
                match CODES.iter().find(|(known, _)| *known == code) {
                    Some((_, token)) => conditions.push(token),
                    None => draft.note(item.path, format!("gRPC code {code} is not retried; 1, 4, 8, 13 and 14 can be")),
                }
            }
        }
        _ => return Err(unknown(kind)),
    }
    draft.note(kind.path.as_str(), "grpc-status is read in the headers of a response only, not in its trailers");
    set(draft, DEFAULT);
    conditions.extend(["connect-failure", "refused-stream"]);
    conditions.sort_unstable();
    conditions.dedup();
    draft.set_from("retry_on", Value::list(conditions), &kind.path);
    draft.set("methods", "any");
    draft.set("response_headers", Value::List(Vec::new()));
    draft.set_from("statuses", Value::list(statuses.iter().copied()), &kind.path);
    Ok(())
}
