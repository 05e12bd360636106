//! The one table of keys: what the reader knows, what errors suggest, what `docs/options.md` shows.

use super::Policy;
use super::value::Value;

/// The keys of one block of a policy document.
#[derive(Debug)]
pub struct OptionBlock {
    /// The key that holds the block; empty for the document itself.
    pub name: &'static str,
    /// Its keys, in the order of the documentation.
    pub rows: &'static [OptionRow],
}

/// One key.
#[derive(Debug)]
pub struct OptionRow {
    /// The key in its canonical spelling.
    pub key: &'static str,
    /// The kinds of the block that have this key; empty if all have it.
    pub kinds: &'static [&'static str],
    /// What it takes: type, unit and range.
    pub takes: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

pub(crate) const fn row(key: &'static str, takes: &'static str, meaning: &'static str) -> OptionRow {
    OptionRow { key, kinds: &[], takes, meaning }
}

const fn of(kinds: &'static [&'static str], key: &'static str, takes: &'static str, meaning: &'static str) -> OptionRow {
    OptionRow { key, kinds, takes, meaning }
}

const DURATION: &str = "duration";
const DURATION_OR_NONE: &str = "duration above 0, or `none`";

/// The document itself.
pub(super) static DOCUMENT: OptionBlock = OptionBlock {
    name: "",
    rows: &[
        row("max_retries", "0..=1000", "Sends after the first one, per call and over all redirect hops. 0 turns retries off."),
        row("timeout", DURATION_OR_NONE, "Hard limit of the whole call: attempts, waits, callbacks, reading a buffered body."),
        row("connect_timeout", DURATION_OR_NONE, "Limit of name resolution, TCP, proxy and TLS of one attempt."),
        row(
            "per_try_timeout",
            DURATION_OR_NONE,
            "Limit of one attempt up to the end of its response headers; stands still while connecting and while the body is moving.",
        ),
        row(
            "per_try_until",
            "`head` or `body`",
            "Where `per_try_timeout` ends: with the response headers, or in buffered calls with the end of the body.",
        ),
        row("idle_timeout", DURATION_OR_NONE, "Longest silence while a body is written or read."),
        row(
            "retry_on",
            "list of conditions, `\"not X\"` excludes, or `none`",
            "Outcomes that are retried. Exclusions win. Given without `statuses`, no status is retried but what it says.",
        ),
        row(
            "statuses",
            "list of 100..=999, `\"500-599\"`, `\"not 501\"`, or `none`",
            "Statuses that are retried. Exclusions win over every condition on a response.",
        ),
        row(
            "stop_headers",
            "list of matchers, at most 100, or `none`",
            "A response that one of these matches is never retried, whatever else says so, a callback included (`{name: x-should-retry, exact: \"false\"}`).",
        ),
        row("response_headers", "list of matchers, at most 100, or `none`", "A response that one of these matches is retried."),
        row(
            "refused_headers",
            "list of matchers, at most 100, or `none`",
            "A response that one of these matches was not processed by the server: any method may be repeated.",
        ),
        row(
            "request_headers",
            "list of matchers, at most 100, or `none`",
            "If given, only requests that one of these matches are retried. Names may be `:method`, `:scheme`, `:authority` and `:path`.",
        ),
        row(
            "methods",
            "`idempotent`, `any`, or a list of methods",
            "Methods that may be repeated although the server may have executed them. \
             `idempotent` is GET, HEAD, OPTIONS, TRACE, PUT, DELETE and QUERY.",
        ),
        row("backoff", "block, a duration (constant), or `none` (no wait)", "The wait before each retry."),
        row("retry_after", "block, or `none`", "How waits that the server asks for are obeyed."),
        row("budget", "block, or `none`", "A shared limit on the extra load of retries."),
        row(
            "idempotency_key",
            "`honour`, `auto` or `none`",
            "`honour`: a request that carries `Idempotency-Key` counts as idempotent. \
             `auto`: also mint one per call for methods that need it. `none`: it means nothing.",
        ),
        row(
            "max_body_buffer",
            "bytes, or a size like `64KiB` or `1MB`; at most 1TiB",
            "Largest one-shot request body that is kept for replay; above it the call is sent once.",
        ),
        row("attempt_header", "header name, or `none`", "Header that carries the attempt number, absent on the first attempt."),
        row("compat", "`envoy`, block, or `none`", "Whose differences apply."),
    ],
};

const GROWING: &[&str] = &["linear", "exponential"];
const CAPPED: &[&str] = &["linear", "exponential", "decorrelated"];
const JITTERED: &[&str] = &["constant", "linear", "exponential", "sequence"];

/// `backoff`.
pub(super) static BACKOFF: OptionBlock = OptionBlock {
    name: "backoff",
    rows: &[
        row("kind", "`exponential`, `constant`, `linear`, `decorrelated` or `sequence`", "The rule."),
        of(&["constant"], "delay", DURATION, "The wait."),
        of(GROWING, "base", "duration; above 0 for exponential", "The first wait."),
        of(&["linear"], "step", "duration above 0", "Added for each further retry."),
        of(&["exponential"], "factor", "number above 0", "The wait is multiplied by it for each further retry."),
        of(&["decorrelated"], "min", "duration above 0", "The first wait, and the shortest."),
        of(CAPPED, "max", "duration, at least the first wait", "The cap. A first wait above the default is its own cap."),
        of(&["exponential"], "first_uncapped", "`true` or `false`", "The first wait is not capped, so `max` may be below `base`."),
        of(
            &["decorrelated"],
            "form",
            "`aws` or `increasing`",
            "How the next wait is drawn: from `min` to three times the last one, or never shorter than the last one.",
        ),
        of(&["sequence"], "delays", "list of 1 to 1000 durations", "The waits in order; the last one repeats."),
        of(
            JITTERED,
            "jitter",
            "`full`, `equal`, `none`, `{ratio: 0..=1}`, `{extra: duration}` or `{extra_ratio: 0..=1}`",
            "What chance does to a wait d: anything from 0 to d; from d/2 to d; nothing; d plus or minus that share, at most `max`; \
             up to `extra` more, also above `max`; up to that share more, at most `max`.",
        ),
    ],
};

/// `backoff.jitter`.
pub(super) static JITTER: OptionBlock = OptionBlock {
    name: "backoff.jitter",
    rows: &[
        row("ratio", "0..=1", "The wait varies by this share to both sides."),
        row("extra", DURATION, "The wait is up to this much longer."),
        row("extra_ratio", "0..=1", "The wait is up to this share longer."),
    ],
};

/// `retry_after`.
pub(super) static RETRY_AFTER: OptionBlock = OptionBlock {
    name: "retry_after",
    rows: &[
        row("max", DURATION_OR_NONE, "The longest wait that is obeyed."),
        row(
            "when_over",
            "`stop`, `cap` or `ignore`",
            "What happens to a longer one: stop with `retry_after_too_long`, wait exactly `max`, or as if it were not there.",
        ),
        row("combine", "`max` or `replace`", "The longer of it and the own back-off, or it alone."),
        row("spread", "0..=1", "With `combine: max` the wait is up to this share longer than asked for, never shorter."),
        row("headers", "list of header blocks, at most 100", "Further headers, read in order after the standard ones."),
    ],
};

/// An item of `retry_after.headers`.
pub(super) static HINT_HEADER: OptionBlock = OptionBlock {
    name: "retry_after.headers[]",
    rows: &[
        row("name", "header name", "The header."),
        row("format", "`seconds`, `unix`, `http-date` or `auto`", "What its value means. `auto`: a number above 10^9 counts from 1970."),
    ],
};

/// `budget`.
pub(super) static BUDGET: OptionBlock = OptionBlock {
    name: "budget",
    rows: &[
        row("kind", "`ratio` or `concurrency`", "The rule: a share of recent calls, or a share of the sends in flight."),
        of(&["ratio"], "ratio", "0..=1000, at most 6 decimals", "Retries that each call, or each success, pays for."),
        of(&["ratio"], "min_per_second", "0..=4294967295", "Retries per second that need no calls."),
        of(&["ratio"], "ttl", "duration, 1s..=60s", "How long a call or a retry counts."),
        of(
            &["ratio"],
            "deposit_on",
            "`call` or `success`",
            "What pays: each call when it begins, or each attempt that ends in a response which is not one to retry.",
        ),
        of(
            &["ratio"],
            "share",
            "`process` or `host`",
            "Whether each process has its own, or all processes of this user on this host have one (not with `scope: client`).",
        ),
        of(&["concurrency"], "percent", "0..=100, at most 6 decimals", "Retries at a time, in percent of the sends in flight."),
        of(&["concurrency"], "min", "0..=4294967295", "Retries at a time that need no sends in flight."),
        row("scope", "`origin` or `client`", "Who shares it: calls of a client to one origin, or all calls of a client."),
        row("name", "text", "In place of `scope`: all clients of the process that use this name share it."),
    ],
};

/// An item of `response_headers`.
pub(super) static MATCHER: OptionBlock = OptionBlock {
    name: "response_headers[]",
    rows: &[
        row("name", "header name, or `:status`", "The header. Alone it means `present: true`."),
        row("exact", "text", "The whole value."),
        row("prefix", "text", "Its beginning."),
        row("suffix", "text", "Its end."),
        row("contains", "text", "Any part of it."),
        row("regex", "regular expression without look-around", "Matches the whole value."),
        row("range", "`\"1-9\"`, ends included, negative allowed", "A whole number in this range."),
        row("present", "`true` or `false`", "The header is there, or is not. All other tests fail on a missing header."),
        row("ignore_case", "`true` or `false`", "Ignore ASCII case in a text test."),
        row("invert", "`true` or `false`", "Turn the answer round."),
    ],
};

/// `compat`.
pub(super) static COMPAT: OptionBlock = OptionBlock {
    name: "compat",
    rows: &[
        row(
            "kind",
            "`envoy`",
            "Whose differences apply. The readers of Envoy's documents set the other keys: what a route says and only the `x-envoy-*` headers of a request \
             bring to bear.",
        ),
        row(
            "retry_on",
            "list of `retriable-status-codes` and `retriable-headers`, or `none`",
            "The lists that the route names and does not give: what a request's headers bring for them counts.",
        ),
        row(
            "retriable_status_codes",
            "list like `statuses`, or `none`",
            "The route's list whose token it does not name: it counts for requests whose `x-envoy-retry-on` names it.",
        ),
        row("retriable_headers", "list of matchers, at most 100, or `none`", "Likewise its matchers."),
        row(
            "per_try_timeout",
            DURATION_OR_NONE,
            "The route's own limit of one attempt, where `per_try_timeout` is another because of `timeout` or `idle_timeout`: \
             requests whose headers change a limit go by it, and `idle_timeout` limits their attempts as well.",
        ),
    ],
};

/// All blocks, in the order of the documentation.
pub fn option_blocks() -> [&'static OptionBlock; 8] {
    [&DOCUMENT, &BACKOFF, &JITTER, &RETRY_AFTER, &HINT_HEADER, &BUDGET, &MATCHER, &COMPAT]
}

/// One small document per kind of each block: what it leaves out shows the defaults.
const SMALLEST: &[(&str, &[(&str, &str)])] = &[
    ("exponential", &[]),
    ("constant", &[("delay", "1s")]),
    ("linear", &[("base", "1s"), ("step", "1s")]),
    ("decorrelated", &[("min", "1s")]),
    ("sequence", &[("delays", "1s")]),
];

impl OptionRow {
    /// The default as text, per kind where kinds differ; empty if the key has none. Asked of the reader and the writer, so
    /// that it cannot differ from what they do.
    pub fn default_text(&self, block: &OptionBlock) -> String {
        let mut texts: Vec<(String, &str)> = Vec::new();
        for (kind, document) in smallest(block, self) {
            let mut path = block.name.trim_end_matches("[]").split('.').filter(|part| !part.is_empty());
            let given = path.clone().try_fold(&document, |place, key| first(place.get(key)?));
            if given.is_some_and(|place| self.key != "kind" && place.get(self.key).is_some()) {
                texts.push(("required".to_owned(), kind));
                continue;
            }
            let Ok(full) = Policy::from_value(&document).map(|policy| policy.to_value()) else { continue };
            let place = path.try_fold(&full, |place, key| first(place.get(key)?));
            if let Some(value) = place.and_then(|place| place.get(self.key)) {
                texts.push((if matches!(value, Value::Map(_)) { "see below".to_owned() } else { value.to_string() }, kind));
            }
        }
        by_kind(&texts)
    }
}

/// `2`, or `full (exponential), none (constant, linear)`.
fn by_kind(texts: &[(String, &str)]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (text, kind) in texts {
        match groups.iter_mut().find(|(known, _)| known == text) {
            Some((_, kinds)) => kinds.push(kind),
            None => groups.push((text, vec![kind])),
        }
    }
    match groups.as_slice() {
        [(text, _)] => (*text).to_owned(),
        groups => groups.iter().map(|(text, kinds)| format!("{text} ({})", kinds.join(", "))).collect::<Vec<_>>().join(", "),
    }
}

/// A value, or the first item of a list.
fn first(value: &Value) -> Option<&Value> {
    match value {
        Value::List(items) => items.first(),
        value => Some(value),
    }
}

fn smallest(block: &OptionBlock, row: &OptionRow) -> Vec<(&'static str, Value)> {
    match block.name {
        "backoff" => SMALLEST
            .iter()
            .filter(|(kind, _)| if row.key == "kind" { *kind == "exponential" } else { row.kinds.is_empty() || row.kinds.contains(kind) })
            .map(|(kind, entries)| {
                let entries = [("kind", *kind)].into_iter().chain(entries.iter().copied());
                (*kind, Value::from([("backoff", Value::map(entries))]))
            })
            .collect(),
        "budget" if row.kinds == ["concurrency"] => {
            vec![("concurrency", Value::from([("budget", Value::from([("kind", "concurrency")]))]))]
        }
        "backoff.jitter" | "compat" => Vec::new(),
        "retry_after.headers[]" => {
            let header = Value::list([Value::from([("name", "x-wait")])]);
            vec![("", Value::from([("retry_after", Value::from([("headers", header)]))]))]
        }
        "response_headers[]" => {
            let test = if row.key == "ignore_case" { Value::from([("name", "x"), ("exact", "y")]) } else { Value::from([("name", "x")]) };
            let only = matches!(row.key, "name" | "ignore_case" | "invert");
            if only { vec![("", Value::from([("response_headers", Value::list([test]))]))] } else { Vec::new() }
        }
        _ => vec![("", Value::EMPTY)],
    }
}
