"""The decisions recorded from a real Envoy, replayed as in core/tests/client/envoy.rs: `tests/vectors/envoy/decisions.json`."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import reknock

from .test_vectors import route, vectors

# What an HTTP client cannot show as a proxy does (the reasons are in core/tests/client/envoy.rs): run, but not compared.
EXCEPTIONS = {"mx.connect-failure.accept-close", "mx.reset-before-request.accept-close"}
# The failures that Envoy's flags stand for; "UT" and "UPE" depend on whether Envoy answered.
KINDS = {
    "UF": {"connect", "connect_timeout"},
    "UC": {"reset", "connect"},
    "UR": {"refused_stream", "reset"},
    ("UT", "complete"): {"per_try_timeout", "deadline"},
    ("UT", "truncated-eof"): {"deadline"},
    ("UPE", "complete"): {"protocol", "reset"},
    ("UPE", "truncated-eof"): {"body"},
}
UNSEEN = {"refused", "connect-timeout"}


def patient(case):
    """The case with limits ten times as long: a busy machine must not decide."""
    given = copy.deepcopy(case["route"])
    for block in (given, given.get("retry_policy", {})):
        for key in {"timeout", "per_try_timeout", "per_try_idle_timeout"} & set(block):
            seconds = float(block[key].removesuffix("s"))
            block[key] = f"{seconds * 10 if seconds < 1 else seconds:g}s"
    return {"route": given}


def replay(case, serve):
    """What differs, if anything does."""
    http2, outcomes = "h2-" in case["id"], case["script"]
    script = serve(*outcomes, http2=http2)

    def before_retry(attempt, request):
        # The server does not see these attempts, and stays as it is until it is told.
        if outcomes[min(attempt.number, len(outcomes)) - 1]["do"] in UNSEEN and attempt.number < len(outcomes):
            script.advance()

    policy = route(patient(case)).replace(connect_timeout=2)
    options = {"headers": [tuple(header) for header in case["request"]["headers"]], "before_retry": before_retry}
    with reknock.Client(policy=policy, envoy_headers=True, http2="only" if http2 else "none") as client:
        try:
            ended = client.request(case["request"]["method"], script.url, **options)
            status, error = ended.status_code, None
        except reknock.RequestError as failure:
            ended, status, error = failure, None, failure.kind
    flag = case["flags"].split(",")[-1]
    kinds = KINDS.get(flag, KINDS.get((flag, case["outcome"]), set()))
    same = error in kinds if error else not kinds and status == case["status"]
    if same and len(ended.attempts) == case["attempts"] and same_gap(case, ended.attempts[0]):
        return None
    return f"{case['id']}: {len(ended.attempts)} sends, {status or error}, waits {ended.attempts[0].wait}"


def same_gap(case, first):
    """Envoy's waits: a hint of n seconds waits in [n, 1.5 n], anything else in the back-off's band, of 20 ms at most."""
    if "first_gap_ms" not in case:
        return True
    if case["first_gap_ms"][0] <= 500:
        return first.wait <= 0.020
    return bool(first.hint) and first.hint <= first.wait <= 1.5 * first.hint


def test_recorded_decisions(serve):
    cases = vectors("envoy/decisions")["cases"]
    with ThreadPoolExecutor(32) as pool:
        differ = list(pool.map(lambda case: replay(case, serve), cases))
    assert len(differ) == 1138
    assert [told for case, told in zip(cases, differ, strict=True) if told and case["id"] not in EXCEPTIONS] == []
