"""Whole calls by Envoy's rules, as in core/tests/behaviour/envoy_calls.rs: `tests/vectors/dialects/envoy_calls.json`."""

from __future__ import annotations

import pytest
import reknock

from .test_vectors import named, route, vectors


def wait_of(case):
    """Least and most of the planned wait before the first retry, in seconds; None if the case does not say."""
    wait = case.get("first_wait_ms")
    least, most = wait if isinstance(wait, list) else (wait, wait)
    return None if wait is None else (least / 1000, most / 1000)


def callbacks(case, script, planned):
    """Nobody waits for seconds, and the script is told of connects that its server does not see."""

    def retry_if(attempt):
        planned.append(attempt.planned_wait)
        return 0.0 if attempt.verdict else None

    def before_retry(attempt, request):
        if attempt.error == "connect":
            script.advance()

    wait, options = wait_of(case), {}
    if wait and wait[0] >= 1:
        options["retry_if"] = retry_if
    if any(outcome["do"] == "refused" for outcome in case["script"]):
        options["before_retry"] = before_retry
    return options


def body(request):
    size = request.get("body_size")
    if size is None:
        return {}
    whole = bytes(at % 65536 % 251 for at in range(min(size, 65536))) * (size // 65536 + 1)
    return {"content": (whole[at : min(at + 10000, size)] for at in range(0, size, 10000)) if request.get("stream") else whole[:size]}


@pytest.mark.parametrize("case", named(vectors("dialects/envoy_calls")["cases"], 174))
def test_calls(serve, case):
    http2 = case.get("http2", False) or any(outcome["do"].startswith("h2-") for outcome in case["script"])
    script = serve(*case["script"], http2=http2)
    request, wait, planned = case["request"], wait_of(case), []
    options = {"headers": [tuple(header) for header in request["headers"]], **body(request), **callbacks(case, script, planned)}
    with reknock.Client(policy=route(case), envoy_headers=True, http2="only" if http2 else "none") as client:
        try:
            ended = client.request(request["method"], script.url, **options)
            status, error = ended.status_code, None
        except reknock.RequestError as failure:
            ended, status, error = failure, None, failure.kind
    assert (status, error, ended.stop_reason) == (case.get("status"), case.get("error"), case["stop"])
    assert len(ended.attempts) == case["sends"]
    if wait:
        first = planned[0] if planned else ended.attempts[0].wait
        assert wait[0] <= first <= wait[1]
    if "last_body" in case:
        script.until(lambda log: log[-1]["body_complete"] and log[-1]["body_size"] == case["last_body"])
    log = script.log()
    for arrival, size in zip(log, case.get("bodies", []), strict=False):
        assert (arrival["body_complete"], arrival["body_size"], arrival["body_sha256"]) == (True, size, log[0]["body_sha256"])
    fields = [{name.lower(): value for name, value in arrival["headers"]} for arrival in log]
    for name, values in case.get("seen", {}).items():
        assert [field.get(name) for field in fields] == values
    assert not any(name in field for name in case.get("unseen", []) for field in fields)
