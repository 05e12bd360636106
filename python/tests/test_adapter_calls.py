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
botocore = pytest.importorskip("botocore")

import botocore.config
import botocore.exceptions
import botocore.session
import reknock.aiohttp
import reknock.botocore
import reknock.httpx
import reknock.httpx2
import reknock.requests
import reknock.urllib3
from reknock.urllib3 import least

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


def of_engine(package, adapter):
    def send(method, url, options, settings):
        transport = adapter.EngineTransport(buffer=True, proxy=None, **settings)
        with package.Client(transport=transport, timeout=None, trust_env=False) as client:
            return client.request(method, url, **options)

    return send


def of_async_engine(package, adapter):
    def send(method, url, options, settings):
        async def main():
            transport = adapter.AsyncEngineTransport(buffer=True, proxy=None, **settings)
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


def of_a_function(method, url, options, settings):
    policy = settings.pop("policy")

    @reknock.retrying(policy, origin=url, idempotent=method in IDEMPOTENT, **settings)
    def send():
        limits = reknock.current_attempt().limits
        timeout = httpx.Timeout(least(limits.per_try_timeout, limits.idle_timeout), connect=limits.connect_timeout)
        with httpx.Client(timeout=timeout, trust_env=False, verify=TLS) as client:
            return client.request(method, url, **options)

    return send()


def of_botocore(method, url, options, settings):
    policy = settings["policy"]
    settings["policy"] = policy if policy is False else {"methods": "idempotent", **policy}
    about = botocore.config.Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"})
    service, operation, arguments = OPERATIONS[method]
    keys = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    client = BOTO.create_client(service, endpoint_url=url.rstrip("/"), config=about, **keys)
    reknock.botocore.install(client, **settings)
    fields = dict(options["headers"])
    client.meta.events.register_first("request-created.*", lambda request, **_: [request.headers.__setitem__(name, value) for name, value in fields.items()])
    if "content" in options:
        arguments = {**arguments, "Payload" if method == "POST" else "Body": options["content"]}
    return getattr(client, operation)(**arguments)


IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
BOTO = botocore.session.Session()
OPERATIONS = {
    "GET": ("s3", "get_object", {"Bucket": "b", "Key": "k"}), "HEAD": ("s3", "head_object", {"Bucket": "b", "Key": "k"}),
    "PUT": ("s3", "put_object", {"Bucket": "b", "Key": "k"}), "DELETE": ("s3", "delete_object", {"Bucket": "b", "Key": "k"}),
    "POST": ("lambda", "invoke", {"FunctionName": "f"}),
}

ADAPTERS = {
    "httpx": of_httpx(httpx, reknock.httpx), "httpx2": of_httpx(httpx2, reknock.httpx2),
    "async httpx": of_async_httpx(httpx, reknock.httpx), "async httpx2": of_async_httpx(httpx2, reknock.httpx2),
    "engine of httpx": of_engine(httpx, reknock.httpx), "engine of httpx2": of_engine(httpx2, reknock.httpx2),
    "async engine of httpx": of_async_engine(httpx, reknock.httpx), "async engine of httpx2": of_async_engine(httpx2, reknock.httpx2),
    "requests": of_requests, "urllib3": of_urllib3, "aiohttp": of_aiohttp, "function": of_a_function, "botocore": of_botocore,
}

# Why a scenario does not apply: what it needs, or for some adapters its name. All else runs through every adapter.
NEEDS = {
    "connection": "which connection is used is for their pools to say", "max_response_size": "an option of our client",
    "redirects": "each redirect is a call of its own", "http2": "their clients speak HTTP/1 here", "tls": "their TLS",
    "expect": "what is expected of a server is for their connections to mind",
}
SEVERAL = "several calls on one client"
FRAMING = "their parser takes it, or understands something else"
DECODING = "bodies are decoded above transports"
OWN_FIELDS = "their header fields are put into another order, or there are more"
H11 = {"a head of no known version": FRAMING, "a compressed body that is corrupt": DECODING}
HTTP_CLIENT = {
    **dict.fromkeys(("half a response head, then the end", "a head of no known version", "a head with two lengths", "interim responses are passed over"), FRAMING),
    "target and fields are alike on each attempt": OWN_FIELDS,
}
THEIRS = {
    **dict.fromkeys(("httpx", "httpx2", "async httpx", "async httpx2"), H11),
    **dict.fromkeys((name for name in ADAPTERS if "engine" in name), {"a compressed body that is corrupt": DECODING}),
    "requests": HTTP_CLIENT,
    "urllib3": HTTP_CLIENT,
    "aiohttp": {
        "a small stream is kept and sent again": "what is iterated is sent once", "a head of no known version": FRAMING,
        "target and fields are alike on each attempt": OWN_FIELDS,
        **dict.fromkeys(
            ("a connect that takes too long: not sent, any method", "not connect-timeout", "an exclusion wins over the condition that takes it"),
            "middlewares cannot limit connecting alone",
        ),
    },
    "function": {
        "a head of no known version": FRAMING, "buffers": "a function that raises gives no response", "streams": "it passes its arguments on by itself",
        "a retried status does not wait for its body": "it reads the body before it returns",
        **dict.fromkeys(
            ("an Idempotency-Key makes a POST idempotent", "idempotency_key auto mints one", "the attempt header counts from the second attempt on"),
            "it says nothing of its header fields",
        ),
    },
    "botocore": {
        **HTTP_CLIENT, "a retried status does not wait for its body": "it reads the bodies of errors before it asks", "buffers": "its bodies are handed out as they come", "streams": "its bodies are bytes or files",
        **dict.fromkeys(("OPTIONS is idempotent", "PATCH is not"), "no operation sends it"),
        **dict.fromkeys(
            (
                "an exclusion wins over the condition that takes it", "a connect that takes too long: not sent, any method", "not connect-timeout",
                "a response that takes longer than per_try_timeout", "a POST that timed out is not repeated", "the deadline cuts an attempt",
                "the deadline cuts the second attempt",
            ),
            "the limits of its attempts are its client's",
        ),
    },
}


def why_not(case, adapter):
    """The reason why a scenario is not one of an adapter's, if there is one."""
    reasons = {**NEEDS, **THEIRS[adapter]}
    found = [reasons[name] for name in (*case.get("needs", []), case["name"]) if name in reasons]
    return found[0] if found else SEVERAL if isinstance(case["expect"], list) else None


CASES = vectors("calls")["cases"]
COUNTS = {
    **dict.fromkeys(("httpx", "httpx2", "async httpx", "async httpx2"), 111), **dict.fromkeys((name for name in ADAPTERS if "engine" in name), 112),
    "requests": 108, "urllib3": 108, "aiohttp": 107, "function": 96, "botocore": 86,
}
"""How many scenarios run through each."""
PAIRS = [pytest.param(case, adapter, id=f"{adapter}: {case['name']}") for adapter in ADAPTERS for case in CASES if why_not(case, adapter) is None]


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
    # What botocore raises of a status is its response.
    raised = isinstance(outcome, Exception) and not isinstance(outcome, botocore.exceptions.ClientError)
    assert raised == ("error" in expect)
    arrived(case, script)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_no_scenario_is_lost(adapter):
    names = {case["name"] for case in CASES} | {need for case in CASES for need in case.get("needs", [])}
    assert {*NEEDS, *THEIRS[adapter]} <= names
    assert (len(CASES), sum(why_not(case, adapter) is None for case in CASES)) == (157, COUNTS[adapter])
