//! The one table of a scenario's keys: what the reader knows, what errors suggest, what the documentation shows.

use crate::policy::{OptionBlock, row};

const DURATION: &str = "duration";
const SHARE: &str = "number, 0..=1";

/// A scenario.
pub(super) static SCENARIO: OptionBlock = OptionBlock {
    name: "",
    rows: &[
        row("name", "text", "What the scenario is called in results."),
        row("duration", "duration, 1s..=1h", "How long calls arrive and are watched."),
        row("seeds", "1..=1000", "How many times it runs, each time with another seed, from 0."),
        row("processes", "1..=4096", "Client processes; each call comes from one of them at random."),
        row("hosts", "1..=4096", "Hosts that the processes are spread over evenly."),
        row(
            "share",
            "`process` or `host`",
            "Who shares a ratio budget, in place of what the policy says: each process has its own, or all processes of a host have one.",
        ),
        row("layers", "1..=8", "Services above one another: each calls the next with the policy, the last one calls the server."),
        row("nested", "`true` or `false`", "Inner layers know that they are within an attempt, and make one."),
        row("method", "method", "The method of all calls."),
        row("arrivals", "list of blocks", "Calls that come by themselves, at a rate."),
        row("batch", "block, or `none`", "Calls that are made one after another by workers."),
        row("network", "block", "The way between a client and the server, once in each direction."),
        row("server", "block", "The server that the calls go to."),
        row("expect", "block, or `none`", "What must hold: a result that breaks a rule is a failed gate."),
    ],
};

/// `arrivals[]`.
pub(super) static ARRIVALS: OptionBlock = OptionBlock {
    name: "arrivals",
    rows: &[
        row("from", DURATION, "When this rate begins; it holds until the next one."),
        row("rate", "number, 0..=1000000", "Calls per second, of all processes together."),
        row("spacing", "`poisson` or `constant`", "Gaps by chance, or all the same."),
    ],
};

/// `batch`.
pub(super) static BATCH: OptionBlock = OptionBlock {
    name: "batch",
    rows: &[
        row("calls", "1..=1000000", "Calls in all."),
        row("workers", "1..=100000", "Workers; each begins a call when its last one has ended."),
        row("pause", DURATION, "How long a worker rests between calls."),
    ],
};

/// `network`.
pub(super) static NETWORK: OptionBlock = OptionBlock {
    name: "network",
    rows: &[
        row("latency", DURATION, "The mean time of one way."),
        row("spread", "`none`, `exponential` or `normal`", "How single ways differ from the mean."),
        row("deviation", DURATION, "The standard deviation, for spread normal."),
    ],
};

/// `server`.
pub(super) static SERVER: OptionBlock = OptionBlock {
    name: "server",
    rows: &[
        row("latency", DURATION, "The time a request takes on an idle server."),
        row("per_concurrent", DURATION, "Added for each request at work, this one included."),
        row("capacity", "1..=1000000, or `none`", "Requests at work at once."),
        row("queue", "0..=1000000", "Requests that wait for a place; a further one is answered 503 at once."),
        row("abandoned_work", "`runs` or `stops`", "Whether a request that its client gave up still costs the server its time."),
        row(
            "rule",
            "`plain` or `optimistic_lock`",
            "`optimistic_lock`: each attempt reads one row and writes it if nobody wrote it meanwhile, else it fails with 409.",
        ),
        row("failures", "list of blocks", "When and how it fails."),
        row("slow", "list of blocks", "When it takes longer."),
    ],
};

/// `server.failures[]`.
pub(super) static FAILURE: OptionBlock = OptionBlock {
    name: "server.failures",
    rows: &[
        row("from", DURATION, "When it begins."),
        row("to", "duration, or `none`", "When it ends."),
        row("share", SHARE, "The share of requests that fail."),
        row("status", "400..=599", "The answer of those that fail."),
        row(
            "error",
            "`connect`, `connect_timeout`, `reset`, `refused_stream` or `silent`",
            "In place of an answer; `silent` never answers.",
        ),
        row("after", DURATION, "How long a failure takes the server. It takes no place."),
        row("retry_after", DURATION, "What the answer's Retry-After says, in whole seconds."),
    ],
};

/// `server.slow[]`.
pub(super) static SLOW: OptionBlock = OptionBlock {
    name: "server.slow",
    rows: &[
        row("from", DURATION, "When it begins."),
        row("to", "duration, or `none`", "When it ends."),
        row("factor", "number above 0, at most 1000", "What every time at work is multiplied by."),
    ],
};

/// `expect`.
pub(super) static EXPECT: OptionBlock = OptionBlock {
    name: "expect",
    rows: &[
        row(
            "amplification",
            "number, at least 1",
            "Attempts that go to the server per call, at most: over the whole run, or in any window of `over`.",
        ),
        row("over", "duration in whole seconds", "The window of `amplification`."),
        row("recovery", DURATION, "How long after the last disturbance goodput is back, at most, in every run."),
        row("goodput", SHARE, "The share of calls that end well, at least."),
        row("refused_while_healthy", "whole number", "Retries that a budget refuses before the first disturbance, at most."),
        row("retries_in_100ms", "whole number", "Retries that are sent within any 100 ms, at most."),
    ],
};

/// Every block of a scenario, for the documentation.
pub fn scenario_blocks() -> [&'static OptionBlock; 8] {
    [&SCENARIO, &ARRIVALS, &BATCH, &NETWORK, &SERVER, &FAILURE, &SLOW, &EXPECT]
}
