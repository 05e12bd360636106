"""Calls of adapters and functions that are given up, or whose callback fails: what began ends, once, and what it held is given back."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time

import boto3
import httpx
import httpx2
import pytest
import reknock
import reknock.aiohttp
import reknock.botocore
import reknock.httpx
import reknock.httpx2
import reknock.requests
import reknock.urllib3
import requests
import trio
import urllib3

from .conftest import arrived, status

aiohttp = pytest.importorskip("aiohttp")

# A place that a retry holds while it waits.
POLICY = {"backoff": "30s", "timeout": "none", "budget": {"kind": "concurrency", "percent": 0, "min": 1}}
HANG, NO = {"do": "hang"}, status(503, "no")


def by_requests(url, **options):
    with requests.Session() as session:
        session.mount("http://", reknock.requests.RetryAdapter(POLICY, **options))
        session.get(url)


def by_urllib3(url, **options):
    reknock.urllib3.PoolManager(policy=POLICY, **options).request("GET", url)


def by_httpx(package, adapter):
    def call(url, **options):
        with package.Client(transport=adapter.RetryTransport(policy=POLICY, **options)) as client:
            client.get(url)

    return call


def by_botocore(url, **options):
    client = boto3.client("s3", region_name="a", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b")
    reknock.botocore.install(client, POLICY, **options).list_buckets()


def get(url):
    return urllib3.PoolManager(retries=False).request("GET", url)


def by_function(url, **options):
    reknock.retrying(POLICY, idempotent=True, origin=url, **options)(get)(url)


def by_generator(url, **options):
    @reknock.retrying(POLICY, idempotent=True, origin=url, **options)
    def items():
        yield httpx.get(url, timeout=None).raise_for_status()

    next(items())


def by_block(url, **options):
    for attempt in reknock.attempts(POLICY, idempotent=True, origin=url, **options):
        with attempt:
            attempt.result = get(url)


SYNC = {
    "requests": by_requests, "urllib3": by_urllib3, "httpx": by_httpx(httpx, reknock.httpx), "httpx2": by_httpx(httpx2, reknock.httpx2),
    "botocore": by_botocore, "function": by_function, "generator": by_generator, "block": by_block,
}


def by_async_httpx(package, adapter):
    async def call(url, **options):
        async with package.AsyncClient(transport=adapter.AsyncRetryTransport(policy=POLICY, **options)) as client:
            await client.get(url, timeout=None)

    return call


async def by_aiohttp(url, **options):
    middleware = reknock.aiohttp.retrying(POLICY, **options)
    async with aiohttp.ClientSession(middlewares=(middleware,)) as session, session.get(url):
        pass


async def aget(url):
    async with httpx.AsyncClient(timeout=None) as client:
        return await client.get(url)


async def by_coroutine(url, **options):
    await reknock.retrying(POLICY, idempotent=True, origin=url, **options)(aget)(url)


async def by_agenerator(url, **options):
    @reknock.retrying(POLICY, idempotent=True, origin=url, **options)
    async def items():
        yield (await aget(url)).raise_for_status()

    await anext(items())


async def by_ablock(url, **options):
    async for attempt in reknock.attempts(POLICY, idempotent=True, origin=url, **options):
        with attempt:
            attempt.result = await aget(url)


ASYNC = {
    "httpx": by_async_httpx(httpx, reknock.httpx), "httpx2": by_async_httpx(httpx2, reknock.httpx2), "aiohttp": by_aiohttp,
    "coroutine": by_coroutine, "agenerator": by_agenerator, "block": by_ablock,
}


class Heard(list):
    """The events of a call; `at` is called when one of a kind comes."""

    def __init__(self):
        self.at = {}
        self.budgets = reknock.Budgets()
        self.options = {"on_event": self.told, "budgets": self.budgets}

    def told(self, event):
        self.append(event)
        self.at.get(event.kind, int)()

    def ended(self, url, *before, error=None, code=None, reason="cancelled", sent=1):
        """That it ended so, once, and holds nothing."""
        gc.collect()
        assert [event.kind for event in self] == [*before, "end"]
        end = self[-1]
        assert (end.stop_reason, end.failed, len(end.attempts)) == (reason, reason != "cancelled", sent)
        assert (end.attempts[-1].error, end.attempts[-1].status) == (error, code)
        said = {"cancelled": "the call was cancelled after 1 attempt in", "callback": "a callback failed after 1 attempt in"}
        assert said.get(reason, "") in str(end)
        assert len({event.call.call_id for event in self}) == 1
        assert self.budgets.reading(reknock.Policy(**POLICY), url).balance == 1


@pytest.fixture
def heard():
    """Who listens."""
    return Heard()


@pytest.fixture
def interrupt():
    """Ctrl-C here, once a script has seen a request: `interrupt(script)`."""
    before, threads, main = signal.signal(signal.SIGINT, signal.default_int_handler), [], threading.get_ident()

    def at(script):
        thread = threading.Thread(target=lambda: (script.until(bool), signal.pthread_kill(main, signal.SIGINT)))
        threads.append(thread)
        thread.start()

    yield at
    for thread in threads:
        thread.join()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("way", SYNC.values(), ids=SYNC)
def test_interrupted_while_it_is_sent(serve, heard, interrupt, way):
    script = serve(HANG)
    interrupt(script)
    with pytest.raises(KeyboardInterrupt):
        way(script.url, **heard.options)
    heard.ended(script.url, error="cancelled")


@pytest.mark.parametrize("way", SYNC.values(), ids=SYNC)
def test_interrupted_while_it_waits(serve, heard, monkeypatch, way):
    script = serve(NO)

    def sleep(seconds):
        raise KeyboardInterrupt

    heard.at["retry"] = lambda: monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        way(script.url, **heard.options)
    heard.ended(script.url, "retry", code=503)


@pytest.mark.parametrize("way", SYNC.values(), ids=SYNC)
def test_a_callback_that_fails(serve, heard, way):
    def retry_if(attempt):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught:
        way(serve(NO).url, retry_if=retry_if, **heard.options)
    heard.ended(heard[-1].call.origin, code=503, reason="callback")
    if way is not by_block:
        assert reknock.attempts_of(caught.value).stop_reason == "callback"


@pytest.mark.parametrize("way", ASYNC.values(), ids=ASYNC)
def test_cancelled_while_it_is_sent(serve, heard, way):
    script = serve(HANG)

    async def main():
        task = asyncio.create_task(way(script.url, **heard.options))
        await arrived(script)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    heard.ended(script.url, error="cancelled")


@pytest.mark.parametrize("way", ASYNC.values(), ids=ASYNC)
def test_cancelled_while_it_waits(serve, heard, way):
    script = serve(NO)

    async def main():
        task = asyncio.create_task(way(script.url, **heard.options))
        heard.at["retry"] = task.cancel
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    heard.ended(script.url, "retry", code=503)


def test_cancelled_in_trio(serve, heard):
    script = serve(NO)

    async def main():
        with trio.CancelScope() as scope:
            heard.at["retry"] = scope.cancel
            await ASYNC["httpx"](script.url, **heard.options)
        assert scope.cancelled_caught

    trio.run(main)
    heard.ended(script.url, "retry", code=503)


def test_a_loop_that_is_torn_down(serve, heard):
    """While a call waits in it."""
    script = serve(NO)

    async def main():
        call = by_ablock(script.url, **heard.options)
        task = asyncio.create_task(call)
        heard.at["retry"] = asyncio.get_running_loop().stop
        await task

    with asyncio.Runner() as runner, pytest.raises(RuntimeError, match="stopped before"):
        runner.run(main())
    heard.ended(script.url, "retry", code=503)


def test_interrupted_while_its_body_is_read(heard):
    class Stream(httpx.SyncByteStream):
        def __iter__(self):
            raise KeyboardInterrupt

    inner = httpx.MockTransport(lambda request: httpx.Response(200, stream=Stream()))
    transport = reknock.httpx.RetryTransport(inner, POLICY, buffer=True, **heard.options)
    with pytest.raises(KeyboardInterrupt):
        transport.handle_request(httpx.Request("GET", "http://server.test/"))
    heard.ended("http://server.test", error="cancelled", code=200)


def test_cancelled_while_its_body_is_read(heard):
    async def main():
        class Stream(httpx.AsyncByteStream):
            async def __aiter__(self):
                asyncio.current_task().cancel()
                await asyncio.sleep(60)
                yield b""

        inner = httpx.MockTransport(lambda request: httpx.Response(200, stream=Stream()))
        transport = reknock.httpx.AsyncRetryTransport(inner, POLICY, buffer=True, **heard.options)
        with pytest.raises(asyncio.CancelledError):
            await transport.handle_async_request(httpx.Request("GET", "http://server.test/"))

    asyncio.run(main())
    heard.ended("http://server.test", error="cancelled", code=200)


def blocks(heard):
    return reknock.attempts(POLICY, idempotent=True, origin="block", **heard.options)


def test_blocks_that_are_left(heard):
    for attempt in blocks(heard):
        assert attempt.number == 1
        break
    heard.ended("block", error="cancelled")
    heard.clear()

    def between():
        for _attempt in blocks(heard):
            raise LookupError("between")

    with pytest.raises(LookupError):
        between()
    heard.ended("block", error="cancelled")
    heard.clear()
    with pytest.raises(RuntimeError, match="was not entered"):
        for _attempt in blocks(heard):
            pass
    heard.ended("block", error="cancelled")
    heard.clear()
    with pytest.raises(SystemExit):
        for attempt in blocks(heard):
            with attempt:
                raise SystemExit
    heard.ended("block", error="cancelled")
    heard.clear()
    for attempt in blocks(heard):
        with attempt:
            break
    assert [(event.kind, event.stop_reason) for event in heard] == [("end", "completed")]


def test_a_request_that_cannot_be_signed(monkeypatch, heard):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/none", "AWS_CONFIG_FILE": "/none"}.items():
        monkeypatch.setenv(name, value)
    session = boto3.session.Session()
    client = session.client("s3", region_name="a", endpoint_url="http://127.0.0.1:1")
    reknock.botocore.install(client, POLICY, **heard.options)
    with pytest.raises(Exception, match="credentials") as caught:
        client.list_buckets()
    heard.ended("http://127.0.0.1:1", error="invalid_request", reason="not_retryable")
    assert reknock.attempts_of(caught.value).stop_reason == "not_retryable"


def test_what_one_observer_raises_is_kept_from_no_other(serve, heard, monkeypatch):
    """Nor a name that cannot be made, nor a handler of logging."""
    import logging

    raised = []
    monkeypatch.setattr("sys.unraisablehook", lambda told: raised.append(str(told.exc_value)))

    class Broken(logging.Handler):
        def emit(self, record):
            raise LookupError("a handler")

    def told(event):
        heard.told(event)
        raise LookupError("an observer")

    def name(method, url):
        raise LookupError("a name")

    logger = logging.getLogger("reknock")
    handler = Broken()
    logger.addHandler(handler)
    policy = {"backoff": "1ms", "max_retries": 1, "budget": {"ratio": 0, "min_per_second": 0}}
    try:
        with httpx.Client(transport=reknock.httpx.RetryTransport(policy=policy, on_event=told, name=name)) as client:
            assert client.get(serve(NO).url).status_code == 503
    finally:
        logger.removeHandler(handler)
    assert [event.kind for event in heard] == ["notice", "end"] and heard[-1].call.name is None
    assert raised == ["a handler", "a name", "an observer", "a handler", "an observer"]
    with pytest.raises(TypeError, match="name: must be a text, or a function of method and URL, got int"):
        reknock.httpx.RetryTransport(name=1)
