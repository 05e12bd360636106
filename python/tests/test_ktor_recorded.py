"""What a real Ktor 3.6.1 did, done again by its functions through the reader, in virtual time: `tests/vectors/dialects/ktor_recorded.json`."""

from __future__ import annotations

import pytest
import reknock
from reknock.testing import Script, Step

from .test_vectors import vectors

CASES = vectors("dialects/ktor_recorded")["cases"]
# What is done otherwise here, and why: docs/dialects/ktor.md.
DEVIATIONS = {"hint.5.constantDelay.True", "hint.11.constantDelay.True", "hint.15.exponentialDelay.True", "hint.16.constantDelay.True", "hint.ms"}
STEPS = {
    "reset": "reset",
    "close": "reset",
    "garbage": "protocol",
    "refused": "connect",
    "stall": "hang",
    "cut": Step(200, content=b"x" * 100, ends="cut"),
    "stall-body": Step(200, content=b"x" * 100, ends="stall"),
}


def policy(case):
    """The plugin's functions, and the timeouts before or after it."""
    calls = {name: arguments["value"] if name == "maxRetries" else arguments for name, arguments in case["calls"]}
    parts = [("HttpRequestRetry", calls)]
    if "timeout" in case:
        limits = {"request": "requestTimeoutMillis", "connect": "connectTimeoutMillis", "socket": "socketTimeoutMillis"}
        given = {key: case["timeout"][short] for short, key in limits.items() if short in case["timeout"]}
        parts.insert(0 if case["timeout"]["place"] == "before" else 1, ("HttpTimeout", given))
    [loaded] = reknock.Policy.read_all(dict(parts), "ktor")
    return loaded.policy


def done(case):
    """Status, requests that a server would have seen, and waits in whole milliseconds."""
    steps = [STEPS.get(step["do"]) or Step(step["status"], headers=map(tuple, step.get("headers", []))) for step in case["script"]]
    with Script(steps) as script, reknock.Client(policy=policy(case), transport=script) as client:
        try:
            ended = client.request(case.get("method", "GET"), "http://ktor.test/", content=case.get("body"))
            status = ended.status_code
        except reknock.RequestError as error:
            ended, status = error, None
    seen = sum(attempt.error != "connect" for attempt in ended.attempts)
    return status, seen, [int(attempt.wait * 1000 + 1e-6) for attempt in ended.attempts if attempt.wait is not None]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_recorded(case):
    wanted = case["observed"]
    status, seen, waits = done(case)
    # What chance adds is another draw; a limit's recordings were of a clock.
    random = any(arguments.get("randomizationMs") for _, arguments in case["calls"])
    waits_agree = "timeout" in case or len(waits) == len(wanted["waits"]) and (random or waits == wanted["waits"])
    assert ((status, seen) == (wanted.get("status"), wanted["seen"]) and waits_agree) != (case["id"] in DEVIATIONS), (status, seen, waits)


def test_no_recording_is_lost():
    assert len(CASES) == 395
