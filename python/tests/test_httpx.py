"""The transports around httpx and httpx2, on real sockets: sends at the server are the attempts recorded."""

from __future__ import annotations

import io
from importlib import import_module

import anyio
import pytest
import reknock

from .conftest import FAST, status

httpx = pytest.importorskip("httpx")


@pytest.fixture(params=["httpx", "httpx2"])
def package(request):
    return pytest.importorskip(request.param)


def adapter(package):
    return import_module(f"reknock.{package.__name__}")


class Sync:
    """Calls on this thread."""

    def __init__(self, package, **options):
        self.client = package.Client(transport=adapter(package).RetryTransport(package.HTTPTransport(), **options), timeout=5)

    def __call__(self, method, url, **options):
        with self.client as client:
            return client.request(method, url, **options)


class Async:
    """Calls in an event loop."""

    backend = "asyncio"

    def __init__(self, package, **options):
        self.client = package.AsyncClient(transport=adapter(package).AsyncRetryTransport(package.AsyncHTTPTransport(), **options), timeout=5)

    def __call__(self, method, url, **options):
        async def main():
            async with self.client as client:
                return await client.request(method, url, **options)

        return anyio.run(main, backend=self.backend)


class Trio(Async):
    backend = "trio"


@pytest.fixture(params=[Sync, Async, Trio])
def caller(request, package):
    return lambda **options: request.param(package, policy=options.pop("policy", FAST), **options)


def test_a_retry(caller, serve):
    script = serve(status(503), status(200, "at last"))
    response = caller()("GET", script.url)
    records = reknock.attempts_of(response)
    assert (response.status_code, response.text) == (200, "at last")
    assert [record.status for record in records.attempts] == [503, 200] and records.stop_reason == "completed"
    assert len(script.log()) == 2


def test_the_last_response(caller, serve):
    script = serve(status(503, "still"))
    response = caller()("GET", script.url)
    assert (response.status_code, response.text, len(script.log())) == (503, "still", 3)
    assert reknock.attempts_of(response).stop_reason == "retries_exhausted"


def test_the_original_error(caller, package):
    with pytest.raises(package.ConnectError) as caught:
        caller()("POST", "http://127.0.0.1:1/")
    records = reknock.attempts_of(caught.value)
    assert [record.error for record in records.attempts] == ["connect"] * 3
    assert {(record.evidence, record.error_class) for record in records.attempts} == {("not_sent", f"{package.__name__}.ConnectError")}
    assert "retries_exhausted" in caught.value.__notes__[0]


def test_what_may_have_been_done_is_not_repeated(caller, package, serve):
    script = serve({"do": "reset"}, status(200))
    with pytest.raises(package.TransportError) as caught:
        caller()("POST", script.url, content=b"once")
    assert (reknock.attempts_of(caught.value).stop_reason, len(script.log())) == ("not_idempotent", 1)


def test_a_key_makes_it_so(caller, serve):
    script = serve({"do": "reset"}, status(200))
    assert caller()("POST", script.url, content=b"once", headers={"Idempotency-Key": "a"}).status_code == 200
    assert len(script.log()) == 2


@pytest.mark.parametrize("content", [b"bytes", "text", "generator", "large"])
def test_bodies(caller, serve, content, request):
    script = serve(status(503), status(200))
    call = caller()
    large = b"x" * 70_000
    pieces = {"generator": [b"by", b"tes"], "large": [large] * 20}.get(content)

    async def produce():
        for piece in pieces:
            yield piece

    body = content
    if pieces:
        body = produce() if isinstance(call, Async) else iter(pieces)
    response = call("PUT", script.url, content=body)
    sent = {arrival["body_sha256"] for arrival in script.log()}
    if content == "large":
        assert (response.status_code, reknock.attempts_of(response).stop_reason, len(script.log())) == (503, "body_not_replayable", 1)
    else:
        assert (response.status_code, len(script.log())) == (200, 2)
        assert len(sent) == 1


def test_multipart(caller, serve):
    script = serve(status(503), status(200))
    assert caller()("PUT", script.url, files={"file": io.BytesIO(b"whole")}).status_code == 200
    assert len(script.log()) == 2


def test_a_request_says_otherwise(caller, serve):
    script = serve(status(503))
    response = caller()("GET", script.url, extensions={"reknock": {"policy": {"max_retries": 4}}})
    assert len(reknock.attempts_of(response).attempts) == len(script.log()) == 5


def test_callbacks(caller, serve):
    script = serve(status(404, headers=[["x-why", "early"]]), status(200))
    seen, told = [], []

    def retry_if(attempt):
        seen.append((attempt.number, attempt.status_code, attempt.verdict, attempt.request.method))
        return attempt.status_code == 404 or None

    response = caller(retry_if=retry_if, on_event=told.append)("GET", script.url)
    assert response.status_code == 200 and seen == [(1, 404, False, "GET"), (2, 200, False, "GET")]
    assert [event.kind for event in told] == ["retry", "end"]


def test_the_deadline(caller, package, serve):
    script = serve({"do": "hang"})
    with pytest.raises(package.TimeoutException) as caught:
        caller(policy={"timeout": "300ms", "backoff": "10ms"})("GET", script.url)
    records = reknock.attempts_of(caught.value)
    assert (len(records.attempts), records.stop_reason) == (1, "deadline")


def test_one_purse(caller, serve):
    budgets, policy = reknock.Budgets(), reknock.Policy(backoff="1ms", budget={"ratio": 0, "min_per_second": 1, "ttl": "1s"})
    script = serve(status(503))
    caller(policy=policy, budgets=budgets)("GET", script.url)
    assert reknock.attempts_of(caller(policy=policy, budgets=budgets)("GET", script.url)).stop_reason == "budget_exhausted"
    with reknock.Client(policy=policy, budgets=budgets, proxy=False) as client:
        assert client.get(script.url).stop_reason == "budget_exhausted"


def test_a_broken_body(caller, package, serve):
    """Read inside, it is an outcome of its own; handed out as it comes, it is its reader's."""
    broken = status(200, "broken", body_mode="truncate-fin")
    script = serve(broken, status(200, "whole"))
    assert caller(buffer=True)("GET", script.url).text == "whole"
    script = serve(broken)
    with pytest.raises(package.RemoteProtocolError):
        caller()("GET", script.url)
    assert len(script.log()) == 1


def test_their_classes_do_not_mix():
    httpx2 = pytest.importorskip("httpx2")
    import reknock.httpx

    with pytest.raises(TypeError, match="HTTPTransport is a transport of httpx2, this one of httpx"):
        reknock.httpx.RetryTransport(httpx2.HTTPTransport())


def test_a_wait_can_be_cancelled(package, serve):
    script = serve(status(503))

    async def main():
        async with Async(package, policy={"backoff": "30s"}).client as client:
            with anyio.move_on_after(0.3) as scope:
                await client.get(script.url)
            return scope.cancelled_caught

    assert anyio.run(main) and len(script.log()) == 1
