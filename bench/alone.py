"""`python alone.py`: what each of Python's adapters takes of a call that succeeds at once, over a sender that answers from memory.

No socket and no server: the interpreter's caches stay warm, so that the numbers are lower than those of adapters.py, and repeat on a busy machine. CPU
time of the process, the least of the rounds, less what the sender takes by itself. Prints a table in Markdown.
"""

from __future__ import annotations

import asyncio
import inspect
import time

import httpx
import httpx_retries
import reknock
import reknock.httpx
import reknock.requests
import reknock.urllib3
import requests
import stamina
import tenacity
import urllib3

ROUNDS, CALLS = 40, 300
URL, BODY = "http://127.0.0.1:8080/small", b"hello world"
FIELDS = [("content-length", "11"), ("date", "Mon, 30 Nov 2026 21:14:00 GMT"), ("server", "a")]


class Sync(httpx.BaseTransport):
    def handle_request(self, request):
        return httpx.Response(200, headers=FIELDS, content=BODY)


class Async(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request):
        return httpx.Response(200, headers=FIELDS, content=BODY)


def answer_by_urllib3(self, method, url, redirect=True, **options):
    return urllib3.HTTPResponse(BODY, headers=FIELDS, status=200, preload_content=options.get("preload_content", True))


def answer_by_requests(self, request, *_, **options):
    response = requests.Response()
    response.status_code, response._content, response.headers = 200, BODY, requests.structures.CaseInsensitiveDict(FIELDS)
    response.raw = urllib3.HTTPResponse(b"", headers=FIELDS, status=200)
    return response


def nothing():
    return 1


async def anothing():
    return 1


def block():
    for attempt in reknock.attempts(idempotent=True):
        with attempt:
            return nothing()


def groups():
    """Each a sender by itself, then with ways to retry around it."""
    urllib3.PoolManager.urlopen = answer_by_urllib3
    requests.adapters.HTTPAdapter.send = answer_by_requests
    request = httpx.Client().build_request("GET", URL)
    prepared = requests.Session().prepare_request(requests.Request("GET", URL))
    others = {"retry": tenacity.retry_if_exception_type(OSError), "stop": tenacity.stop_after_attempt(3)}

    def sync(transport):
        return lambda: transport.handle_request(request)

    def asynchronous(transport):
        async def call():
            return await transport.handle_async_request(request)

        return call

    def pool(manager):
        return lambda: manager.request("GET", URL)

    def adapter(adapter):
        return lambda: adapter.send(prepared)

    yield nothing, {
        "`@reknock.retrying`": reknock.retrying(idempotent=True)(nothing), "`reknock.attempts`": block,
        "tenacity": tenacity.retry(**others)(nothing), "stamina": stamina.retry(on=OSError, attempts=3)(nothing),
    }
    yield anothing, {
        "`@reknock.retrying`, a coroutine": reknock.retrying(idempotent=True)(anothing),
        "tenacity, a coroutine": tenacity.retry(**others)(anothing), "stamina, a coroutine": stamina.retry(on=OSError, attempts=3)(anothing),
    }
    yield sync(Sync()), {
        "`reknock.httpx.RetryTransport`": sync(reknock.httpx.RetryTransport(Sync())),
        "httpx-retries": sync(httpx_retries.RetryTransport(Sync(), httpx_retries.Retry(total=2))),
    }
    yield asynchronous(Async()), {
        "`reknock.httpx.AsyncRetryTransport`": asynchronous(reknock.httpx.AsyncRetryTransport(Async())),
        "httpx-retries, asyncio": asynchronous(httpx_retries.RetryTransport(Async(), httpx_retries.Retry(total=2))),
    }
    yield adapter(requests.adapters.HTTPAdapter()), {"`reknock.requests.RetryAdapter`": adapter(reknock.requests.RetryAdapter())}
    yield pool(urllib3.PoolManager()), {"`reknock.urllib3.PoolManager`": pool(reknock.urllib3.PoolManager())}


async def cost(call):
    begun = time.process_time()
    if inspect.iscoroutinefunction(call):
        for _ in range(CALLS):
            await call()
    else:
        for _ in range(CALLS):
            call()
    return (time.process_time() - begun) / CALLS * 1e6


async def main():
    print("| | CPU per call, us |\n| --- | ---: |")
    for bare, ways in groups():
        least = dict.fromkeys([None, *ways], float("inf"))
        for _ in range(ROUNDS):
            for name, call in [(None, bare), *ways.items()]:
                least[name] = min(least[name], await cost(call))
        for name in ways:
            print(f"| {name} | {least[name] - least[None]:.1f} |", flush=True)


asyncio.run(main())
