"""The shared scenarios of whole calls, `tests/vectors/calls.json`, through every adapter: the same decisions as a client's."""

from __future__ import annotations

import asyncio

import pytest
import reknock

from .test_call_vectors import OPINIONS, arrived, expected, request
from .test_vectors import vectors

httpx = pytest.importorskip("httpx")
httpx2 = pytest.importorskip("httpx2")
requests = pytest.importorskip("requests")
urllib3 = pytest.importorskip("urllib3")
aiohttp = pytest.importorskip("aiohttp")

import reknock.aiohttp
import reknock.httpx
import reknock.httpx2
import reknock.requests
import reknock.urllib3

# What belongs to clients of our own: redirects and TLS are theirs here, and records know nothing of their connections.
NOT_OURS = {"connection", "max_response_size", "redirects", "http2", "tls"}
CASES = [case for case in vectors("calls")["cases"] if not NOT_OURS & set(case.get("needs", [])) and isinstance(case["expect"], dict)]


# Read once: root certificates cost more than a call does.
TLS = httpx.create_ssl_context()


def of_httpx(package, adapter):
    def send(method, url, options, settings):
        transport = adapter.RetryTransport(package.HTTPTransport(verify=TLS), buffer=True, **settings)
        with package.Client(transport=transport, timeout=None, trust_env=False) as client:
            return client.request(method, url, **options)

    return send


def of_async_httpx(package, adapter):
    def send(method, url, options, settings):
        async def main():
            transport = adapter.AsyncRetryTransport(package.AsyncHTTPTransport(verify=TLS), buffer=True, **settings)
            async with package.AsyncClient(transport=transport, timeout=None, trust_env=False) as client:
                return await client.request(method, url, **aoptions(options))

        return asyncio.run(main())

    return send


def aoptions(options):
    content = options.get("content")
    if content is None or isinstance(content, bytes):
        return options

    async def pieces():
        for piece in content:
            yield piece

    return {**options, "content": pieces()}


def of_requests(method, url, options, settings):
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", reknock.requests.RetryAdapter(**settings))
        return session.request(method, url, data=options.get("content"), headers=dict(options["headers"]), allow_redirects=False)


def of_urllib3(method, url, options, settings):
    with reknock.urllib3.PoolManager(**settings) as http:
        return http.request(method, url, body=options.get("content"), headers=dict(options["headers"]), redirect=False)


def of_aiohttp(method, url, options, settings):
    async def main():
        middleware = reknock.aiohttp.retrying(buffer=True, **settings)
        async with aiohttp.ClientSession(middlewares=(middleware,)) as session:
            data = aoptions(options).get("content")
            async with session.request(method, url, data=data, headers=dict(options["headers"]), allow_redirects=False) as response:
                response.text_ = await response.text()
                return response

    return asyncio.run(main())


ADAPTERS = {
    "httpx": of_httpx(httpx, reknock.httpx), "httpx2": of_httpx(httpx2, reknock.httpx2),
    "async httpx": of_async_httpx(httpx, reknock.httpx), "async httpx2": of_async_httpx(httpx2, reknock.httpx2),
    "requests": of_requests, "urllib3": of_urllib3, "aiohttp": of_aiohttp,
}

# What their parsers make of it: heads that ours refuses, and what is sent as it is.
HTTP_CLIENT = {
    "half a response head, then the end", "a head of no known version", "a head with two lengths", "interim responses are passed over",
    "target and fields are alike on each attempt",
}
H11 = {"a head of no known version", "a compressed body that is corrupt"}
THEIRS = {
    "httpx": H11, "httpx2": H11, "async httpx": H11, "async httpx2": H11, "requests": HTTP_CLIENT, "urllib3": HTTP_CLIENT,
    # Its middlewares cannot limit connecting alone, and its parser takes any version.
    "aiohttp": {
        "a small stream is kept and sent again", "target and fields are alike on each attempt", "a head of no known version",
        "a connect that takes too long: not sent, any method", "not connect-timeout", "an exclusion wins over the condition that takes it",
    },
}
PAIRS = [
    pytest.param(case, adapter, id=f"{adapter}: {case['name']}") for adapter in ADAPTERS for case in CASES if case["name"] not in THEIRS[adapter]
]


@pytest.mark.parametrize("case, adapter", PAIRS)
def test_calls(serve, case, adapter):
    document = case["server"] if isinstance(case["server"], dict) else {"script": case["server"]}
    script = serve(*document["script"], **{key: value for key, value in document.items() if key != "script"})
    policy = case.get("policy", {})
    settings = {"policy": policy if policy is False else {"backoff": "none", **policy}}
    if "retry_if" in case:
        settings["retry_if"] = lambda attempt: OPINIONS[case["retry_if"]]
    method, path, options = request(case)
    try:
        outcome = ADAPTERS[adapter](method, script.url.rstrip("/") + path, options, settings)
    except Exception as error:
        outcome = error
    expect = expected(case)[0]
    records = reknock.attempts_of(outcome)
    assert records is not None, outcome
    seen = [(attempt.status, attempt.error, attempt.evidence) for attempt in records.attempts]
    wanted = [(attempt.get("status"), attempt.get("error"), attempt.get("evidence", "unknown")) for attempt in expect["attempts"]]
    assert (records.stop_reason, seen) == (expect["stop_reason"], wanted)
    assert isinstance(outcome, Exception) == ("error" in expect)
    arrived(case, script)
