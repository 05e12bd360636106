"""Whole calls as data: `tests/vectors/calls.json`. tests/server/README.md says what the keys mean."""

from __future__ import annotations

import asyncio

import pytest
import reknock

from .test_vectors import named, vectors

OPINIONS = {"stop": reknock.STOP, "none": None, True: True}


def expected(case):
    """One for each call on the client."""
    expect = case["expect"]
    return expect if isinstance(expect, list) else [expect]


def settings(case, script):
    policy = case.get("policy", {})
    options = {"policy": policy if policy is False else {"backoff": "none", **policy}, "proxy": None, **case.get("client", {})}
    options["http2"] = "only" if case["server_document"].get("http2") else "none"
    if script.ca:
        options["ca_bundle"] = script.ca
    if "retry_if" in case:
        answer = OPINIONS[case["retry_if"]]
        options["retry_if"] = lambda attempt: answer
    return options


def request(case):
    """Method, path, options."""
    asked = case.get("request", {})
    options = {"headers": [tuple(field) for field in asked.get("headers", [])]}
    if "body" in asked:
        whole = bytes(at % 65536 % 251 for at in range(asked["body"]["size"]))
        once = (whole[at : at + 10000] for at in range(0, len(whole), 10000))
        options["content"] = once if asked["body"].get("stream") == "once" else whole
    return asked.get("method", "GET"), asked.get("path", "/"), options


def ended(outcome):
    """What came of a call, as `expect` has it."""
    failed = isinstance(outcome, reknock.RequestError)
    seen = {"status": outcome.status_code, "error": outcome.kind if failed else None, "stop_reason": outcome.stop_reason}
    return {key: value for key, value in seen.items() if value is not None}


def listening(events):
    """An event in one word for each thing that is the same every time, and the line that the end is told in."""

    def told(event):
        failed = "failed" if event.failed else None
        attempt = event.attempt
        outcome = event.reason or (attempt and event.kind == "attempt_end" and (attempt.error or str(attempt.status)))
        words = (event.kind, event.number, event.kind == "interim" and event.status, outcome, event.kind == "redirect" and event.target, event.stop_reason, failed)
        events.append(" ".join(str(word) for word in words if word))
        if event.kind == "end":
            events.text = str(event)

    return told


class Told(list):
    text = ""


def check_told(expect, events, url):
    if "events" in expect:
        assert list(events) == [event.replace("{url}", url) for event in expect["events"]]
        before, after = expect["text"].replace("{url}", url).split("{...}")
        assert events.text.startswith(before) and events.text.endswith(after), events.text


def check(expect, outcome):
    assert ended(outcome) == {key: value for key, value in expect.items() if key in ("status", "error", "stop_reason")}
    if "body" in expect:
        assert outcome.text == expect["body"]
    assert [brief(attempt) for attempt in outcome.attempts] == [
        (wanted.get("status"), wanted.get("error"), wanted.get("evidence", "unknown"), wanted.get("hop", 0), wanted.get("hint_ms"))
        for wanted in expect["attempts"]
    ]
    for wanted, attempt in zip(expect["attempts"], outcome.attempts, strict=True):
        assert attempt.reused == wanted.get("reused", attempt.reused)
        assert attempt.interim == wanted.get("interim", attempt.interim)
        assert attempt.http_version == wanted.get("version", attempt.http_version)
        assert attempt.first_byte is None if attempt.status is None else 0 <= attempt.first_byte <= attempt.duration
        if "wait_ms" in wanted:
            least, most = wanted["wait_ms"] if isinstance(wanted["wait_ms"], list) else (wanted["wait_ms"],) * 2
            assert least <= attempt.wait * 1000 <= most


def brief(attempt):
    hint = None if attempt.hint is None else round(attempt.hint * 1000, 3)
    return attempt.status, attempt.error, attempt.evidence, attempt.hop, hint


def arrived(case, script):
    sends = case["sends"]
    log = script.until(lambda log: len(log) >= sends)
    assert len(log) == sends
    for at, wanted in enumerate(case.get("arrivals", [])):
        if "body_size" in wanted:
            log = script.until(lambda log, at=at: log[at]["body_complete"])
        fields = {name.lower(): value for name, value in reversed(log[at]["headers"])}
        assert {name: fields.get(name) for name in wanted.get("headers", {})} == wanted.get("headers", {})
        assert all(log[at][key] == value for key, value in wanted.items() if key != "headers"), log[at]


def calls(case, script, asynchronous):
    """So many calls as are expected, on one client."""
    method, path, _ = request(case)
    url = script.url.rstrip("/") + path

    def options(expect):
        told = Told()
        return told, {**request(case)[2], **({"on_event": listening(told)} if "events" in expect else {})}

    def blocking():
        with reknock.Client(**settings(case, script)) as client:
            for expect in expected(case):
                told, given = options(expect)
                try:
                    yield client.request(method, url, **given), told
                except reknock.RequestError as error:
                    yield error, told

    async def concurrent():
        async with reknock.AsyncClient(**settings(case, script)) as client:
            made = [options(expect) for expect in expected(case)]
            return [((await asyncio.gather(client.request(method, url, **given), return_exceptions=True))[0], told) for told, given in made]

    return asyncio.run(concurrent()) if asynchronous else list(blocking())


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("case", named(vectors("calls")["cases"], 157))
def test_calls(serve, case, asynchronous):
    document = case["server"] if isinstance(case["server"], dict) else {"script": case["server"]}
    case = {**case, "server_document": document}
    script = serve(*document["script"], **{key: value for key, value in document.items() if key != "script"})
    for expect, (outcome, told) in zip(expected(case), calls(case, script, asynchronous), strict=True):
        check(expect, outcome)
        check_told(expect, told, script.url.rstrip("/") + "/")
    arrived(case, script)
