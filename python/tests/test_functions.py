"""Functions, coroutines, generators and blocks under a policy."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
import urllib.error
from unittest.mock import Mock

import pytest
import reknock
from reknock import testing

from .conftest import status

POLICY = {"backoff": "5s", "budget": "none", "max_retries": 2}


class Flaky:
    """Fails so often, then returns."""

    def __init__(self, *ends):
        self.ends, self.calls = list(ends), 0

    def __call__(self, value="done"):
        self.calls += 1
        self.attempt = reknock.current_attempt()
        end = self.ends.pop(0) if self.ends else value
        if isinstance(end, Exception):
            raise end
        return end


def sync(work, **options):
    return reknock.retrying(options.pop("policy", POLICY), **options)(lambda: work())()


def coroutine(work, **options):
    async def body():
        return work()

    return asyncio.run(reknock.retrying(options.pop("policy", POLICY), **options)(body)())


def generator(work, **options):
    @reknock.retrying(options.pop("policy", POLICY), **options)
    def items():
        yield work()
        yield "second"

    first, second = items()
    assert second == "second"
    return first


def agenerator(work, **options):
    @reknock.retrying(options.pop("policy", POLICY), **options)
    async def items():
        yield work()

    async def main():
        return [item async for item in items()]

    return asyncio.run(main())[0]


def block(work, **options):
    for attempt in reknock.attempts(options.pop("policy", POLICY), **options):
        with attempt:
            attempt.result = work()
    return attempt.result


def ablock(work, **options):
    async def main():
        async for attempt in reknock.attempts(options.pop("policy", POLICY), **options):
            with attempt:
                attempt.result = work()
        return attempt.result

    return asyncio.run(main())


@pytest.fixture(params=[sync, coroutine, generator, agenerator, block, ablock])
def retried(request):
    return request.param


def test_a_failure_that_heals(retried):
    work = Flaky(ConnectionRefusedError(), ConnectionRefusedError())
    with testing.no_wait() as waits:
        assert retried(work) == "done"
    assert (work.calls, waits) == (3, [5.0, 5.0])


def test_the_original_error(retried):
    errors = [ConnectionRefusedError(n) for n in range(3)]
    with testing.no_wait(), pytest.raises(ConnectionRefusedError) as caught:
        retried(Flaky(*errors))
    records = reknock.attempts_of(caught.value)
    assert caught.value is errors[2] and records.stop_reason == "retries_exhausted"
    assert [(record.error, record.evidence, record.error_class) for record in records.attempts] == [("connect", "not_sent", "ConnectionRefusedError")] * 3


def test_what_may_have_had_an_effect(retried):
    for idempotent, calls in ((None, 1), (True, 3)):
        work = Flaky(*[ConnectionResetError() for _ in range(3)])
        with testing.no_wait(), pytest.raises(ConnectionResetError):
            retried(work, idempotent=idempotent)
        assert work.calls == calls


def test_on(retried):
    """Exactly these; a failure that is no kind keeps its class."""
    work = Flaky(ValueError("a"), KeyError("b"))
    with testing.no_wait(), pytest.raises(KeyError) as caught:
        retried(work, on=ValueError, idempotent=True)
    records = reknock.attempts_of(caught.value)
    assert [(record.error, record.error_class) for record in records.attempts] == [(None, "ValueError"), (None, "KeyError")]
    work = Flaky(ValueError(), OSError(), ZeroDivisionError())
    with testing.no_wait(), pytest.raises(ZeroDivisionError):
        retried(work, on=(ValueError, OSError), idempotent=True)
    work = Flaky(ValueError("again"), ValueError("no"))
    with testing.no_wait(), pytest.raises(ValueError, match="no"):
        retried(work, on=lambda error: str(error) == "again", idempotent=True)


@pytest.mark.parametrize("retried", [sync, coroutine, block, ablock])
def test_results(retried):
    work = Flaky(None, None, 7)
    with testing.no_wait():
        assert retried(work, result=lambda value: value is None, idempotent=True) == 7
    assert work.calls == 3


class Answer:
    """Shaped like a response of any client."""

    def __init__(self, status_code, **headers):
        self.status_code, self.headers = status_code, headers


@pytest.mark.parametrize("retried", [sync, coroutine, block, ablock])
def test_what_is_shaped_like_a_response(retried):
    last = Answer(200)
    with testing.no_wait() as waits:
        assert retried(Flaky(Answer(503, **{"Retry-After": "30"}), last), idempotent=True) is last
    assert 30 <= waits[0] <= 33
    assert [record.status for record in reknock.attempts_of(last).attempts] == [503, 200]


def test_errors_that_tell_of_a_response():
    headers = http.client.HTTPMessage()
    headers["Retry-After"] = "7"
    work = Flaky(urllib.error.HTTPError("http://a", 429, "slow down", headers, None))
    with testing.no_wait() as waits:
        assert sync(work) == "done"
    assert 7 <= waits[0] <= 7.7


def test_the_attempt_is_within_reach(retried):
    work = Flaky()
    retried(work, policy={"timeout": "60s"})
    assert (work.attempt.number, work.attempt.retries_left) == (1, 2) and reknock.current_attempt() is None
    seen = []
    retried(lambda: seen.append(reknock.current_attempt().remaining), policy={"timeout": "60s"})
    assert 50 < seen[0] <= 60


def test_nesting(retried):
    inner = Flaky(*[ConnectionRefusedError() for _ in range(9)])
    with testing.no_wait(), pytest.raises(ConnectionRefusedError) as caught:
        retried(lambda: sync(inner))
    assert inner.calls == 3
    inner = Flaky(*[ConnectionRefusedError() for _ in range(9)])
    with testing.no_wait(), pytest.raises(ConnectionRefusedError):
        retried(lambda: sync(inner, nesting="allow"))
    assert inner.calls == 9


@pytest.mark.parametrize(("client", "options", "sends"), [({}, {}, 1), ({"nesting": "allow"}, {}, 3), ({}, {"nesting": "allow"}, 3), ({"nesting": "allow"}, {"nesting": "stop"}, 1)])
def test_clients_within_attempts(call, client, options, sends):
    """A call within an attempt of a loop makes one of its own, unless client or call says otherwise."""
    outer = {"max_retries": 1, "backoff": "1ms", "methods": "any"}
    script, inner = testing.Script([503]), {"policy": {"backoff": "1ms", "budget": "none"}, "nesting": "stop", **client}

    @reknock.retrying(outer, result=lambda response: response.status_code == 503)
    def work():
        return call("GET", "http://service.test/", {**inner, "transport": script}, **options)

    with testing.no_wait():
        response = work()
    assert len(script.sends) == 2 * sends and response.stop_reason == ("nested" if sends == 1 else "retries_exhausted")
    assert len(call("GET", "http://service.test/", {**inner, "transport": testing.Script([503])}, **options).attempts) == 3


def test_a_call_whose_first_hop_was_served_is_not_repeated(call, serve):
    """That the target of a redirect cannot be reached proves nothing of the request that was redirected."""
    script = serve({"do": "status", "status": 303, "headers": [["location", serve({"do": "refused"}).url]]})
    with pytest.raises(reknock.HTTPError) as caught:
        reknock.retrying({"backoff": "1ms"})(lambda: call("POST", script.url, {}))()
    assert caught.value.kind == "connect" and len(script.log()) == 1


@pytest.mark.parametrize("kind", ["ours", "httpx"])
def test_what_refuses_after_a_redirect_says_nothing_of_what_was_redirected(call, serve, kind):
    script = serve({"do": "status", "status": 303, "headers": [["location", serve(status(429)).url]]})

    def post():
        if kind == "ours":
            return call("POST", script.url, {})
        httpx = pytest.importorskip("httpx")
        return httpx.post(script.url, follow_redirects=True, trust_env=False)

    response = reknock.retrying({"backoff": "1ms"})(post)()
    assert response.status_code == 429 and len(script.log()) == 1
    assert reknock.retrying({"backoff": "1ms"}, idempotent=True)(post)().status_code == 429 and len(script.log()) == 4


def test_a_mock_has_followed_nothing():
    sends = []
    with testing.no_wait():
        reknock.retrying({"backoff": "1ms"})(lambda: sends.append(1) or Mock(status_code=429, headers={}))()
    assert len(sends) == 3


def test_clients_within_attempts_of_adapters():
    """An engine within a loop; what outlives an attempt is within none."""
    httpx2 = pytest.importorskip("httpx2")
    import reknock.httpx2

    script = testing.Script([503])
    policy = {"max_retries": 1, "backoff": "1ms", "budget": "none"}
    transport = reknock.httpx2.RetryTransport(reknock.httpx2.EngineTransport(policy, transport=script), policy)
    with httpx2.Client(transport=transport) as client:
        assert [record.status for record in reknock.attempts_of(client.get("http://service.test/")).attempts] == [503, 503]
    assert len(script.sends) == 2

    async def main():
        tasks = []

        @reknock.retrying()
        async def work():
            tasks.append(asyncio.create_task(later()))

        async def later():
            await asyncio.sleep(0.05)
            async with reknock.AsyncClient(transport=testing.Script([503]), policy=policy) as client:
                return await client.get("http://service.test/")

        await work()
        return await tasks[0]

    assert asyncio.run(main()).stop_reason == "retries_exhausted"


@pytest.mark.parametrize(
    "make",
    [
        lambda: reknock.Client(nesting="maybe"), lambda: reknock.get("http://a.test/", nesting="maybe"),
        lambda: reknock.retrying(nesting="maybe"), lambda: reknock.attempts(nesting="maybe"),
    ],
)
def test_nesting_is_stop_or_allow(make):
    with pytest.raises(reknock.ConfigError, match='^nesting: must be stop .* or allow, got "maybe"'):
        make()


def test_the_deadline_ends_coroutines():
    @reknock.retrying({"timeout": "50ms"})
    async def forever():
        await asyncio.sleep(30)

    with pytest.raises(reknock.DeadlineExceeded, match="timeout") as caught:
        asyncio.run(forever())
    assert reknock.attempts_of(caught.value).stop_reason == "deadline"


def test_a_wait_beyond_the_deadline_is_not_begun(retried):
    work = Flaky(ConnectionRefusedError())
    with pytest.raises(ConnectionRefusedError) as caught:
        retried(work, policy={"timeout": "1s", "backoff": "5s"})
    assert reknock.attempts_of(caught.value).stop_reason == "deadline"


def test_one_purse_with_clients():
    budgets, policy = reknock.Budgets(), reknock.Policy(backoff="1ms", budget={"ratio": 0, "min_per_second": 1, "ttl": "2s"})
    with reknock.Client(policy=policy, budgets=budgets, proxy=False) as client, pytest.raises(reknock.ConnectError):
        client.get("http://127.0.0.1:1/")
    with pytest.raises(ConnectionRefusedError) as caught:
        sync(Flaky(ConnectionRefusedError()), policy=policy, budgets=budgets, origin="http://127.0.0.1:1/")
    assert reknock.attempts_of(caught.value).stop_reason == "budget_exhausted"


def test_generators_are_theirs_after_the_first_item():
    @reknock.retrying(POLICY)
    def items():
        yield 1
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        list(items())


def test_a_block_must_be_entered():
    with pytest.raises(RuntimeError, match="with attempt"):
        for _ in reknock.attempts():
            pass


def test_callers():
    assert reknock.call(max, 1, 2) == 2

    async def double(value):
        return value * 2

    assert asyncio.run(reknock.acall(double, 2)) == 4


def test_nothing_is_imported_that_is_not_used():
    names = ["httpx", "httpx2", "requests", "urllib3", "aiohttp", "botocore", "anyio", "trio", "asyncio"]
    code = f"import sys, reknock; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
