//! The one table of what observers are told: each event, whose call it is about, and each attempt's record, field by field. `make gen` writes
//! docs/reference/events.md of it, and the list that every surface's tests hold against what the surface gives.

/// One kind of event.
#[derive(Debug)]
pub struct EventRow {
    /// The stable name.
    pub code: &'static str,
    /// How much it matters.
    pub level: &'static str,
    /// When it is told.
    pub when: &'static str,
    /// What it has besides [`EVERY_EVENT`].
    pub fields: &'static [EventField],
}

/// One field.
#[derive(Debug)]
pub struct EventField {
    /// As Rust and Python have it.
    pub name: &'static str,
    /// As C has it; empty where C has none.
    pub c: &'static str,
    /// What it holds: `text`, `number`, `true or false`, `duration`, `call`, `record` or `list of records`.
    pub holds: &'static str,
    /// What it is, and when there is none.
    pub meaning: &'static str,
}

const fn field(name: &'static str, holds: &'static str, c: &'static str, meaning: &'static str) -> EventField {
    EventField { name, c, holds, meaning }
}

const ATTEMPT: EventField = field("attempt", "record", "attempts", "The record of the attempt.");

/// What every event has.
pub const EVERY_EVENT: &[EventField] = &[
    field("kind", "text", "kind", "Which event it is."),
    field("level", "text", "level", "How much it matters: `debug`, `info` or `warning`."),
    field("call", "call", "call_id", "Whose call it is about; none for notices about no call."),
    field("text", "text", "text", "All of it in one line, for logs. In Python `str(event)`, in Rust its `Display`."),
];

/// All kinds, in the order in which a call tells them.
pub const EVENTS: &[EventRow] = &[
    EventRow {
        code: "attempt_start",
        level: "debug",
        when: "Before each attempt, those of redirects' hops included.",
        fields: &[
            field("attempt", "record", "attempts", "Its number, hop and start; nothing else is known yet."),
            field("method", "text", "attempt_method", "The method that it sends."),
            field("target", "text", "target", "Where it goes, without the values of the query."),
        ],
    },
    EventRow {
        code: "interim",
        level: "debug",
        when: "For each interim answer (1xx), once the attempt that it came to has ended.",
        fields: &[
            field("number", "number", "number", "The number of the attempt."),
            field("status", "number", "interim_status", "The status of the interim answer."),
        ],
    },
    EventRow {
        code: "attempt_end",
        level: "debug",
        when: "After each attempt, and after the body of its response where that is read into memory. Also if the call is given up meanwhile: its error is \
               then `cancelled`, unless it had an outcome.",
        fields: &[ATTEMPT],
    },
    EventRow {
        code: "retry",
        level: "info",
        when: "Once a retry is decided, before its wait.",
        fields: &[
            field("attempt", "record", "attempts", "The record of the attempt that is retried, with the wait."),
            field("reason", "text", "reason", "Why: the status (`503`) or the kind of failure (`connect`)."),
        ],
    },
    EventRow {
        code: "redirect",
        level: "debug",
        when: "Before a redirect is followed.",
        fields: &[
            field("attempt", "record", "attempts", "The record of the attempt that it answered."),
            field("target", "text", "target", "Where it leads, without the values of the query."),
        ],
    },
    EventRow {
        code: "end",
        level: "debug, or warning if the call failed",
        when: "Once per call, when its result is there. A body that is streamed may still break after it. A call that is given up has one too, with the stop \
               reason `cancelled`: by a signal or a cancel, by dropping its future (Rust), by cancelling its task or by Ctrl-C (Python); so do those of adapters and functions. Not if the \
               queue that it was submitted to is freed (C), or its event loop ends with it.",
        fields: &[
            field("attempts", "list of records", "attempts", "The records of all attempts."),
            field("stop_reason", "text", "stop_reason", "Why nothing further was sent."),
            field("elapsed", "duration", "elapsed_us", "From the start of the call."),
            field(
                "failed",
                "true or false",
                "failed",
                "Whether it failed: with an error, or with a response that would have been retried if it could have been. Not if its caller gave it up.",
            ),
        ],
    },
    EventRow {
        code: "notice",
        level: "warning",
        when: "When something concerns whoever runs the program.",
        fields: &[field(
            "reason",
            "text",
            "notice",
            "`budget_refused`: a budget refused a retry (told once a second and origin at most); `field_dropped`: a header field of a response had \
             characters that none can have (HTTP/1); `policy_refused`: the policy's file has changed and cannot be used; `budget_unshared`: a budget \
             that was to be the host's (`share: host`) is the process's alone (told once a client).",
        )],
    },
];

/// Whose call something is about: events, failures, responses, what callbacks see. C has these fields in its structs themselves.
pub const CALL_FIELDS: &[EventField] = &[
    field("call_id", "number", "call_id", "Unique in the process, from 1."),
    field("method", "text", "method", "The method that the call was made with."),
    field(
        "url",
        "text",
        "url",
        "The URL that the call was made to, without userinfo and the values of its query. Redirects do not change it.",
    ),
    field("origin", "text", "origin", "The scheme, host and port of that URL."),
    field("name", "text", "name", "What the caller names the call; none unless it does."),
];

/// What is known of one attempt, in its order.
pub const RECORD_FIELDS: &[EventField] = &[
    field("number", "number", "number", "From 1, over all redirect hops."),
    field("hop", "number", "hop", "Redirects followed before this attempt, from 0."),
    field("start", "duration", "start_us", "From the start of the call to the start of this attempt."),
    field("duration", "duration", "duration_us", "From the start of this attempt to its outcome."),
    field("status", "number", "http_status", "The status of the response; none if no head arrived."),
    field("error", "text", "error", "The kind of failure; none if it did not fail. A body that broke has a status as well."),
    field("evidence", "text", "evidence", "Whether the server may have acted on it: `not_sent`, `refused` or `unknown`."),
    field("hint", "duration", "hint_us", "The wait that the server asked for; none if it did not."),
    field("wait", "duration", "wait_us", "The wait before the next attempt; none if there was none."),
    field("error_class", "text", "", "The class of the failure, where another client or a function failed (`httpx.ConnectError`)."),
    field(
        "error_type",
        "text",
        "",
        "What telemetry calls the failure: its kind, else a status from 400 on, else its class; none if nothing failed. In Rust a method.",
    ),
    field(
        "outer_retry",
        "number",
        "outer_retry",
        "The number of the retry that a loop above says it is, as SDKs do in header fields of their own; none if none does.",
    ),
    field(
        "first_byte",
        "duration",
        "first_byte_us",
        "From the start of this attempt to the first byte of its response; none if none came.",
    ),
    field(
        "resends",
        "number",
        "resends",
        "How often it was sent again by itself, because a kept connection was dead before a byte was taken. The server saw none of those.",
    ),
    field("interim", "number", "interim", "Interim answers (1xx) before the head of its response."),
    field(
        "reused",
        "true or false",
        "reused",
        "Whether its connection was kept from an earlier exchange; none if there was none, or it is not known.",
    ),
    field(
        "peer",
        "text",
        "peer",
        "The other end, the server or its proxy (`192.0.2.1:443`); none if there was no connection, or it is a Unix socket.",
    ),
    field("http_version", "text", "http_version", "The version of HTTP; none if it is not known."),
    field("resolve", "duration", "resolve_us", "What looking up the name took; none if it was not looked up."),
    field("connect", "duration", "connect_us", "What opening the connection took: TCP, and what a proxy demands; none if none was opened."),
    field("tls", "duration", "tls_us", "What the TLS handshake took; none if there was none."),
    field(
        "waited",
        "duration",
        "waited_us",
        "What it waited for a place on a connection, or for leave to open one; none if it did not wait.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{EventKind, Notice};

    #[test]
    fn the_table_names_every_kind_of_event_and_of_notice() {
        let mut listed: Vec<_> = EVENTS.iter().map(|row| row.code).collect();
        let mut known = EventKind::CODES.to_vec();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
        let notices = EVENTS.iter().find(|row| row.code == "notice").map(|row| row.fields[0].meaning).unwrap_or_default();
        for notice in Notice::ALL {
            assert!(notices.contains(&format!("`{}`", notice.code())), "{}", notice.code());
        }
    }
}
