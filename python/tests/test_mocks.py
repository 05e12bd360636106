"""What others test with, below adapters: their mocks answer each attempt, and nobody waits."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import reknock
from reknock import testing

httpx = pytest.importorskip("httpx")
httpx2 = pytest.importorskip("httpx2")
respx = pytest.importorskip("respx")
responses = pytest.importorskip("responses")
pytest.importorskip("freezegun")
requests = pytest.importorskip("requests")

import reknock.httpx
import reknock.httpx2
import reknock.requests

URL = "http://service.test/"
STEPS = {"backoff": {"kind": "linear", "base": "1h", "step": "1h", "max": "3h"}, "timeout": "none", "budget": "none"}


def get(package, adapter, kind):
    """The response of one call."""
    if kind == "sync":
        with package.Client(transport=adapter.RetryTransport(policy=STEPS)) as client:
            return client.get(URL)

    async def main():
        async with package.AsyncClient(transport=adapter.AsyncRetryTransport(policy=STEPS)) as client:
            return await client.get(URL)

    return asyncio.run(main())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_pytest_httpx(httpx_mock, kind):
    httpx_mock.add_response(status_code=503)
    httpx_mock.add_exception(httpx.ReadError("gone"))
    httpx_mock.add_response(text="at last")
    with testing.no_wait() as waits:
        response = get(httpx, reknock.httpx, kind)
    assert (response.text, waits, len(httpx_mock.get_requests())) == ("at last", [3600, 7200], 3)
    assert [(record.status, record.error) for record in reknock.attempts_of(response).attempts] == [(503, None), (None, "reset"), (200, None)]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_httpx2_pytest(httpx2_mock, kind):
    httpx2_mock.add_response(status_code=503)
    httpx2_mock.add_response(text="at last")
    with testing.no_wait() as waits:
        response = get(httpx2, reknock.httpx2, kind)
    assert (response.text, waits, len(httpx2_mock.get_requests())) == ("at last", [3600], 2)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_respx(kind):
    with respx.mock as router, testing.no_wait() as waits:
        route = router.get(URL).mock(side_effect=[httpx.Response(503), httpx.ConnectError("no"), httpx.Response(200, text="at last")])
        assert get(httpx, reknock.httpx, kind).text == "at last"
    assert (route.call_count, waits) == (3, [3600, 7200])


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_mock_transports(kind):
    """Those of httpx itself."""
    answers = iter([503, 200])
    mock = httpx2.MockTransport(lambda request: httpx2.Response(next(answers)))

    async def main():
        async with httpx2.AsyncClient(transport=reknock.httpx2.AsyncRetryTransport(mock, STEPS)) as client:
            return await client.get(URL)

    with testing.no_wait() as waits:
        if kind == "sync":
            with httpx2.Client(transport=reknock.httpx2.RetryTransport(mock, STEPS)) as client:
                assert client.get(URL).status_code == 200
        else:
            assert asyncio.run(main()).status_code == 200
    assert waits == [3600]


@responses.activate
def test_responses():
    responses.get(URL, status=503)
    responses.get(URL, body=requests.exceptions.ConnectTimeout("no"))
    responses.get(URL, body="at last")
    with requests.Session() as session, testing.no_wait() as waits:
        session.mount("http://", reknock.requests.RetryAdapter(STEPS))
        response = session.get(URL)
    assert (response.text, waits, len(responses.calls)) == ("at last", [3600, 7200], 3)


def test_a_script_answers_engines():
    """Without the network: the same steps, for either package, in virtual time."""
    with testing.Script([503, testing.Step(200, json={"a": 1})], strict=True) as script, httpx.Client(transport=reknock.httpx.EngineTransport(STEPS)) as client:
        response = client.post(URL, json=[1], headers={"idempotency-key": "k"})
    assert response.json() == {"a": 1} and script.waits == (3600,)
    assert [sent.json() for sent in script.sends] == [[1], [1]]


FROZEN = """
import datetime, time
import freezegun, httpx, reknock, reknock.httpx
from reknock import testing

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
FIELDS = {"retry-after": "Tue, 01 Jan 2030 00:00:50 GMT"}

def fail():
    raise ConnectionResetError

def failure(policy):
    try:
        reknock.retrying({"methods": "any", **policy})(fail)()
    except ConnectionResetError as error:
        return reknock.attempts_of(error).stop_reason
"""


def test_a_frozen_wall_clock_is_honoured():
    """A hint that is a date is a distance from the time that freezegun says. In a process of its own: it reads every module there is."""
    frozen("""
mock = httpx.MockTransport(lambda request: httpx.Response(503, headers=FIELDS))
with freezegun.freeze_time(NOW), testing.no_wait() as waits, httpx.Client(transport=reknock.httpx.RetryTransport(mock)) as client:
    client.get("http://service.test/")
assert 50 <= waits[0] <= 55 and waits[1] < 5, waits
with freezegun.freeze_time(NOW), testing.Script([testing.Step(503, headers=FIELDS), 200]) as script:
    reknock.get("http://service.test/")
assert 50 <= script.waits[0] <= 55, script.waits
""")


def test_waits_under_a_frozen_clock():
    """Real, as `time.sleep` is not frozen; virtual under `no_wait`, where a deadline holds as well."""
    frozen("""
begun = time.perf_counter_ns()
with freezegun.freeze_time(NOW, ignore=["__main__"]):
    assert failure({"backoff": "20ms"}) == "retries_exhausted"
assert time.perf_counter_ns() - begun >= 20_000_000
with freezegun.freeze_time(NOW), testing.no_wait() as waits:
    assert failure({"backoff": "8s", "timeout": "10s"}) == "deadline" and waits == [8]
""")


def frozen(code):
    done = subprocess.run([sys.executable, "-c", FROZEN + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
