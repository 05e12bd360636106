"""Whole calls by Envoy's rules, as in core/tests/behaviour/envoy_calls.rs: `tests/vectors/dialects/envoy_calls.json`."""

from __future__ import annotations

import json

import pytest
import reknock

from .test_vectors import vectors


def runnable(case):
    """What needs no clock that leaps over long waits, nobody who moves the script on, and a route with a policy."""
    waits = case.get("first_wait_ms", 0)
    return (
        "retry_policy" in case["route"]
        and not any(outcome["do"] == "refused" for outcome in case["script"])
        and (waits == 0 or (isinstance(waits, list) and waits[1] < 100))
    )


CASES = [case for case in vectors("dialects/envoy_calls")["cases"] if runnable(case)]


def test_enough_of_them_run():
    assert len(CASES) >= 140


def body(request):
    size = request.get("body_size")
    if size is None:
        return {}
    whole = bytes(at % 65536 % 251 for at in range(min(size, 65536))) * (size // 65536 + 1)
    return {"content": (whole[at : min(at + 10000, size)] for at in range(0, size, 10000)) if request.get("stream") else whole[:size]}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_calls(serve, case):
    http2 = case.get("http2", False) or any(outcome["do"].startswith("h2-") for outcome in case["script"])
    script = serve(*case["script"], http2=http2)
    [loaded] = reknock.Policy.read_all(json.dumps(case["route"]), "envoy")
    request = case["request"]
    with reknock.Client(policy=loaded.policy, envoy_headers=True, http2="only" if http2 else "none") as client:
        try:
            ended = client.request(request["method"], script.url, headers=[tuple(header) for header in request["headers"]], **body(request))
            status, error = ended.status_code, None
        except reknock.RequestError as failure:
            ended, status, error = failure, None, failure.kind
    assert (status, error, ended.stop_reason) == (case.get("status"), case.get("error"), case["stop"])
    assert len(ended.attempts) == case["sends"]
    log = script.log()
    for arrival, size in zip(log, case.get("bodies", []), strict=False):
        assert (arrival["body_complete"], arrival["body_size"], arrival["body_sha256"]) == (True, size, log[0]["body_sha256"])
    fields = [{name.lower(): value for name, value in arrival["headers"]} for arrival in log]
    for name, values in case.get("seen", {}).items():
        assert [field.get(name) for field in fields] == values
    assert not any(name in field for name in case.get("unseen", []) for field in fields)
