"""Ktor's functions in our words: one test for each row of the table in docs/dialects/ktor.md, which shows what stands here."""

from __future__ import annotations

from pathlib import Path

import pytest
import reknock
from reknock import Policy

from .conftest import status

EXAMPLE = Path(__file__).parents[2] / "docs/dialects/examples/ktor.yaml"
KTOR = Policy.load(EXAMPLE).replace(max_retries=3, backoff="none")
RESET, SLOW = {"do": "reset"}, status(200, delay="10s")


def test_install(serve, call):
    script = serve(status(500))
    response = call("POST", script.url, {"policy": Policy.load(EXAMPLE).replace(backoff="none")})
    assert (len(script.log()), response.status_code, response.stop_reason) == (6, 500, "retries_exhausted")


def test_max_retries(serve, call):
    script = serve(status(500))
    call("POST", script.url, {"policy": KTOR.replace(max_retries=5)})
    assert len(script.log()) == 6


def test_retry_on_server_errors(serve, call):
    policy = KTOR.replace(retry_on="none", statuses=["500-599"])
    assert call("POST", serve(status(500), status(599), status(429)).url, {"policy": policy}).status_code == 429
    with pytest.raises(reknock.RequestError):
        call("POST", serve(RESET, status(200)).url, {"policy": policy})


FAILURES = ["reset", "tls", "truncated-body", "not per-try-timeout", "not connect-timeout"]


def test_retry_on_exception(serve, call):
    policy = KTOR.replace(retry_on=FAILURES, statuses="none")
    assert call("POST", serve(RESET, status(500), status(200)).url, {"policy": policy}).status_code == 500
    with pytest.raises(reknock.RequestError) as caught:
        call("POST", serve(SLOW).url, {"policy": policy.replace(per_try_timeout=0.3)})
    assert (caught.value.kind, len(caught.value.attempts)) == ("per_try_timeout", 1)


def test_retry_on_timeout(serve, call):
    policy = KTOR.replace(retry_on=["reset", "tls", "truncated-body"], per_try_timeout=1.0)
    assert call("POST", serve(SLOW, status(200)).url, {"policy": policy}).status_code == 200


def test_retry_on_exception_or_server_errors(serve, call):
    policy = KTOR.replace(retry_on=FAILURES, statuses=["500-599"])
    assert len(call("POST", serve(RESET, status(503), status(200)).url, {"policy": policy}).attempts) == 3


def test_no_retry(serve, call):
    script = serve(status(500))
    call("POST", script.url, {"policy": KTOR}, policy=False)
    assert len(script.log()) == 1


def test_retry_if(serve, call):
    settings = {"policy": KTOR, "retry_if": lambda attempt: attempt.status_code and (attempt.status_code == 404 or reknock.STOP)}
    assert call("POST", serve(status(404), status(500), status(200)).url, settings).status_code == 500
    assert call("POST", serve(RESET, status(200)).url, settings).status_code == 200, "failures are as the policy has them"


def test_retry_on_exception_if(serve, call):
    settings = {"policy": KTOR, "retry_if": lambda attempt: attempt.error and (attempt.error == "per_try_timeout" or reknock.STOP)}
    with pytest.raises(reknock.RequestError) as caught:
        call("POST", serve(RESET, status(200)).url, settings)
    assert (caught.value.kind, caught.value.stop_reason) == ("reset", "predicate_stop")
    settings["policy"] = KTOR.replace(per_try_timeout=1.0)
    assert call("POST", serve(SLOW, status(503), status(200)).url, settings).status_code == 200


def waits(response):
    return [attempt.wait for attempt in response.attempts if attempt.wait is not None]


def test_delay_millis(serve, call):
    response = call("POST", serve(status(500)).url, {"policy": KTOR, "delay": lambda attempt: 0.001 * attempt.number})
    assert waits(response) == pytest.approx([0.001, 0.002, 0.003])


def test_constant_delay(serve, call):
    policy = KTOR.replace(backoff={"kind": "constant", "delay": "12ms", "jitter": {"extra": "5ms"}})
    seen = waits(call("POST", serve(status(500)).url, {"policy": policy}))
    assert len(seen) == 3 and all(0.012 <= wait < 0.017 for wait in seen)


def test_exponential_delay(serve, call):
    policy = KTOR.replace(backoff={"base": "10ms", "factor": 2, "max": "30ms", "jitter": "none"})
    assert waits(call("POST", serve(status(500)).url, {"policy": policy})) == pytest.approx([0.01, 0.02, 0.03])


def test_respect_retry_after_header(serve, call):
    asks = status(503, headers=[["retry-after", "0.02"]])
    assert waits(call("POST", serve(asks).url, {"policy": KTOR})) == pytest.approx([0.02] * 3)
    assert waits(call("POST", serve(asks).url, {"policy": KTOR.replace(retry_after="none")})) == [0.0] * 3


def test_modify_request(serve, call):
    def count(attempt, request):
        request.headers.add("x-retry", str(attempt.number))

    script = serve(status(500), status(500), status(503), status(200))
    call("POST", script.url, {"policy": KTOR}, before_retry=count)
    seen = [[value for name, value in arrival["headers"] if name == "x-retry"] for arrival in script.log()]
    assert seen == [[], ["1"], ["2"], ["3"]], "edits do not accumulate"


def test_delay(serve, call):
    minutes = KTOR.replace(backoff="10m")
    response = call("POST", serve(status(500), status(200)).url, {"policy": minutes.replace(backoff="none")})
    assert waits(response) == [0.0]


def test_retry(serve, call):
    own = KTOR.replace(max_retries=4, backoff="12ms")
    script = serve(RESET, status(500), RESET, status(500), status(200))
    response = call("POST", script.url, {"policy": KTOR.replace(max_retries=0)}, policy=own)
    assert response.status_code == 200 and waits(response) == pytest.approx([0.012] * 4)


def test_event(serve, call):
    events = []
    call("POST", serve(RESET, status(500), status(200)).url, {"policy": KTOR}, on_event=events.append)
    retries = [event.attempt for event in events if event.kind == "retry"]
    assert [(attempt.number, attempt.error, attempt.status) for attempt in retries] == [(1, "reset", None), (2, None, 500)]


@pytest.mark.parametrize(("limit", "kind"), [("per_try_timeout", "per_try_timeout"), ("timeout", "deadline")])
def test_http_timeout(serve, call, limit, kind):
    with pytest.raises(reknock.RequestError) as caught:
        call("POST", serve(SLOW).url, {"policy": KTOR.replace(**{limit: 0.3})})
    assert (caught.value.kind, len(caught.value.attempts)) == (kind, 1)
