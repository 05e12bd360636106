"""`python adapters.py BUILT`: what retries cost per call where nothing fails, for people who keep their client, beside what they would take instead.

A group is one client, or a function that does nothing, first bare, then with each way to retry around it. Rounds go through all of a group in random
order, right after one another, in one process; a difference or a ratio is the median of those of the rounds, in brackets the middle half of them.
Counted is the CPU time of this process, all its threads, so that neither the server nor waiting is in it. The server must have had exactly one
request per call. Prints a table in Markdown.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import sys
import time
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

import aiohttp
import aiohttp_retry
import botocore.config
import botocore.session
import httpx
import httpx2
import httpx_retries
import reknock
import reknock.aiohttp
import reknock.botocore
import reknock.httpx
import reknock.httpx2
import reknock.requests
import reknock.urllib3
import requests
import stamina
import tenacity
import urllib3
from harness.load import CORES, load_server

ROUNDS = 25
SECONDS = 0.06  # of one way in one round
RETRIES = 2


def tenacious(fn, failure):
    wait = tenacity.wait_random_exponential(0.1, max=5)
    return tenacity.retry(stop=tenacity.stop_after_attempt(RETRIES + 1), wait=wait, retry=tenacity.retry_if_exception_type(failure), reraise=True)(fn)


def staminate(fn, failure):
    return stamina.retry(on=failure, attempts=RETRIES + 1)(fn)


async def functions(stack, url):
    def nothing():
        return 1

    def reknocked():
        for attempt in reknock.attempts(idempotent=True):
            with attempt:
                return nothing()

    def staminated():
        for attempt in stamina.retry_context(on=OSError, attempts=RETRIES + 1):
            with attempt:
                return nothing()

    return {
        "a function": nothing,
        "`@reknock.retrying`": reknock.retrying(idempotent=True)(nothing),
        "`reknock.attempts`": reknocked,
        "tenacity": tenacious(nothing, OSError),
        "stamina": staminate(nothing, OSError),
        "`stamina.retry_context`": staminated,
    }


async def coroutines(stack, url):
    async def nothing():
        return 1

    return {
        "a coroutine": nothing,
        "`@reknock.retrying`": reknock.retrying(idempotent=True)(nothing),
        "tenacity": tenacious(nothing, OSError),
        "stamina": staminate(nothing, OSError),
    }


async def by_httpx(stack, url):
    def get(transport):
        client = stack.enter_context(httpx.Client(transport=transport))
        return lambda: client.get(url).raise_for_status().content

    bare = get(httpx.HTTPTransport())
    return {
        "httpx": bare,
        "`reknock.httpx.RetryTransport`": get(reknock.httpx.RetryTransport(httpx.HTTPTransport())),
        "httpx-retries": get(httpx_retries.RetryTransport(httpx.HTTPTransport(), httpx_retries.Retry(total=RETRIES))),
        "tenacity": tenacious(bare, httpx.TransportError),
        "stamina": staminate(bare, httpx.TransportError),
        "`reknock.httpx.EngineTransport`": get(reknock.httpx.EngineTransport()),
    }


async def by_async_httpx(stack, url):
    async def get(transport):
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport))

        async def call():
            return (await client.get(url)).raise_for_status().content

        return call

    bare = await get(httpx.AsyncHTTPTransport())
    return {
        "httpx, asyncio": bare,
        "`reknock.httpx.AsyncRetryTransport`": await get(reknock.httpx.AsyncRetryTransport(httpx.AsyncHTTPTransport())),
        "httpx-retries": await get(httpx_retries.RetryTransport(httpx.AsyncHTTPTransport(), httpx_retries.Retry(total=RETRIES))),
        "tenacity": tenacious(bare, httpx.TransportError),
        "stamina": staminate(bare, httpx.TransportError),
        "`reknock.httpx.AsyncEngineTransport`": await get(reknock.httpx.AsyncEngineTransport()),
    }


async def by_httpx2(stack, url):
    def get(transport):
        client = stack.enter_context(httpx2.Client(transport=transport))
        return lambda: client.get(url).raise_for_status().content

    return {"httpx2": get(httpx2.HTTPTransport()), "`reknock.httpx2.RetryTransport`": get(reknock.httpx2.RetryTransport(httpx2.HTTPTransport()))}


async def by_aiohttp(stack, url):
    async def get(**options):
        return caller(await stack.enter_async_context(aiohttp.ClientSession(raise_for_status=True, **options)))

    def caller(session):
        async def call():
            async with session.get(url) as response:
                return await response.read()

        return call

    options = aiohttp_retry.ExponentialRetry(attempts=RETRIES + 1)
    others = await stack.enter_async_context(aiohttp_retry.RetryClient(aiohttp.ClientSession(raise_for_status=True), retry_options=options))
    return {"aiohttp": await get(), "`reknock.aiohttp.retrying`": await get(middlewares=(reknock.aiohttp.retrying(),)), "aiohttp-retry": caller(others)}


async def by_requests(stack, url):
    def get(adapter):
        session = stack.enter_context(requests.Session())
        session.mount("http://", adapter)

        def call():
            response = session.get(url)
            response.raise_for_status()
            return response.content

        return call

    theirs = requests.adapters.HTTPAdapter(max_retries=urllib3.Retry(RETRIES, status_forcelist=[503]))
    return {"requests": get(requests.adapters.HTTPAdapter()), "`reknock.requests.RetryAdapter`": get(reknock.requests.RetryAdapter()), "urllib3's `Retry`": get(theirs)}


async def by_urllib3(stack, url):
    def get(pool):
        stack.enter_context(pool)
        return lambda: pool.request("GET", url).data

    theirs = urllib3.PoolManager(retries=urllib3.Retry(RETRIES, status_forcelist=[503]))
    return {"urllib3": get(urllib3.PoolManager(retries=False)), "`reknock.urllib3.PoolManager`": get(reknock.urllib3.PoolManager()), "its `Retry`": get(theirs)}


async def by_botocore(stack, url):
    session = botocore.session.Session()
    session.set_credentials("a", "b")

    def head(attempts):
        config = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": attempts}, s3={"addressing_style": "path"})
        return session.create_client("s3", "us-east-1", endpoint_url=url.rpartition("/")[0], config=config)

    def get(client):
        return lambda: client.head_bucket(Bucket="small")

    ours = reknock.botocore.install(head(1))
    return {"botocore": get(head(1)), "`reknock.botocore.install`": get(ours), "its standard mode": get(head(RETRIES + 1))}


GROUPS = [functions, coroutines, by_httpx, by_async_httpx, by_httpx2, by_requests, by_urllib3, by_aiohttp, by_botocore]


async def repeat(call, number):
    """The CPU time of so many calls, of coroutines and of functions."""
    begun = time.process_time()
    if inspect.iscoroutinefunction(call):
        for _ in range(number):
            await call()
    else:
        for _ in range(number):
            call()
    return time.process_time() - begun


async def measure(group, server):
    """A table's rows: per way, CPU time per call in each round; and what was sent."""
    async with AsyncExitStack() as stack:
        ways = await group(stack, server.url("small"))
        calls, numbers = 0, {}
        for name, call in ways.items():
            number = 50
            await repeat(call, number)
            while (took := await repeat(call, number)) < SECONDS / 2:
                calls, number = calls + number, number * 2
            calls += 50 + number
            numbers[name] = max(1, round(number * SECONDS / took))
        rounds = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name in random.sample(list(ways), len(ways)):
                rounds[name].append(await repeat(ways[name], numbers[name]) / numbers[name] * 1e6)
        return rounds, calls + ROUNDS * sum(numbers.values())


def row(name, times, bare):
    cells = [name, f"{median(times):.1f}", "", ""]
    if times is not bare:
        more = [one - other for one, other in zip(times, bare, strict=True)]
        low, middle, high = quantiles(more, n=4)
        cells[2] = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        # A function that does nothing is nothing to compare with.
        cells[3] = f"{median(one / other for one, other in zip(times, bare, strict=True)):.2f}" if median(bare) > 1 else ""
    return f"| {' | '.join(cells)} |"


def main():
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.sched_setaffinity(0, CORES[:-1] or CORES)
    with load_server(Path(sys.argv[1])) as server:
        server.use(CORES[-1:])
        print("| | CPU per call, us | more than bare, us | times bare |\n| --- | ---: | ---: | ---: |")
        for group in GROUPS:
            server.begin(0)
            rounds, calls = asyncio.run(measure(group, server))
            sent = server.end()["requests"]
            if sent != (0 if group in (functions, coroutines) else calls):
                raise SystemExit(f"{group.__name__}: {sent} requests for {calls} calls")
            bare = next(iter(rounds.values()))
            for name, times in rounds.items():
                print(row(name, times, bare), flush=True)
    packages = ("tenacity", "stamina", "httpx", "httpx-retries", "httpx2", "requests", "urllib3", "aiohttp", "aiohttp-retry", "botocore")
    print(f"\nPython {sys.version.split()[0]}; " + ", ".join(f"{package} {version(package)}" for package in packages))


main()
