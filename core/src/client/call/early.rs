//! Responses that are handed out as soon as it is known what they are: whole if that is soon, else as they come.

use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// How much of a body is read, and for how long after its head, before its response is handed out without the rest.
pub(super) const EARLY: (u64, Duration) = (1024 * 1024, Duration::from_millis(20));

/// Media types of bodies that are made while they are read: nothing is gained by waiting, and their end may never come.
const MADE_WHILE_READ: [&str; 14] = [
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-seq",
    "application/stream+json",
    "application/vnd.amazon.eventstream",
    "application/grpc",
    "application/connect+json",
    "application/connect+proto",
    "multipart/x-mixed-replace",
    "audio/*",
    "video/*",
];

/// Whether a response says that its body is such a one.
pub(super) fn is_made_while_read(headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = given.split(';').next().unwrap_or_default().trim();
    MADE_WHILE_READ.iter().any(|name| match name.strip_suffix('*') {
        Some(kind) => essence.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind)),
        None => essence.eq_ignore_ascii_case(name),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn streams_are_known_by_their_media_type() {
        for (given, known) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8", true),
            ("application/x-ndjson", true),
            ("audio/mpeg", true),
            ("text/event-streams", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(given))]);
            assert_eq!(is_made_while_read(&headers), known, "{given}");
        }
        assert!(!is_made_while_read(&HeaderMap::new()));
    }
}
