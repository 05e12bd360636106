"""The logger `reknock`: who says what at which level, with which fields, through standard logging and structlog."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys

import pytest
import reknock
import requests
import structlog

from .conftest import FAST, ROOT, status

SECRET = "s3cret"
PATH = f"orders?token={SECRET}#access_token={SECRET}"
GUIDE = (ROOT / "docs/guides/logs.md").read_text()


class JSON(logging.Formatter):
    """Ten lines that any program may have: standard fields, and whatever `extra` brought."""

    ordinary = set(vars(logging.makeLogRecord({})))

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in vars(record).items() if name not in self.ordinary}
        return json.dumps({"level": record.levelname, "logger": record.name, "text": record.getMessage(), **extra})


@pytest.fixture
def lines():
    """What the logger writes, as JSON; its level is for the test to say."""
    written, logger = io.StringIO(), logging.getLogger("reknock")
    handler = logging.StreamHandler(written)
    handler.setFormatter(JSON())
    logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def level(name: str) -> None:
    logging.getLogger("reknock").setLevel(name)


def of_client(url: str, **options) -> None:
    with reknock.Client(policy=FAST) as client:
        client.get(url, **options)


def of_async_client(url: str, **options) -> None:
    async def main() -> None:
        async with reknock.AsyncClient(policy=FAST) as client:
            await client.get(url, **options)

    asyncio.run(main())


def of_requests(url: str) -> None:
    from reknock.requests import RetryAdapter

    with requests.Session() as session:
        session.mount("http://", RetryAdapter(FAST))
        session.get(url)


def of_httpx(url: str) -> None:
    import httpx
    from reknock.httpx import RetryTransport

    with httpx.Client(transport=RetryTransport(policy=FAST)) as client:
        client.get(url)


def of_httpx_async(url: str) -> None:
    import httpx
    from reknock.httpx import AsyncRetryTransport

    async def main() -> None:
        async with httpx.AsyncClient(transport=AsyncRetryTransport(policy=FAST)) as client:
            await client.get(url)

    asyncio.run(main())


def of_aiohttp(url: str) -> None:
    import aiohttp
    from reknock.aiohttp import retrying

    async def main() -> None:
        async with aiohttp.ClientSession(middlewares=(retrying(FAST),)) as session, session.get(url):
            pass

    asyncio.run(main())


def of_urllib3(url: str) -> None:
    from reknock.urllib3 import PoolManager

    PoolManager(policy=FAST).request("GET", url)


def of_a_function(url: str) -> None:
    import urllib3

    pool = urllib3.PoolManager(retries=False)
    reknock.retrying(FAST, idempotent=True)(pool.request)("GET", url)


def of_a_block(url: str) -> None:
    import urllib3

    pool = urllib3.PoolManager(retries=False)
    for attempt in reknock.attempts(FAST, idempotent=True):
        with attempt:
            attempt.result = pool.request("GET", url)


def of_botocore(url: str) -> None:
    import boto3
    from reknock.botocore import install

    keys = {"aws_access_key_id": "a", "aws_secret_access_key": SECRET}
    client = boto3.client("s3", endpoint_url=url.partition("/orders")[0], region_name="a", **keys)
    install(client, FAST)
    client.head_bucket(Bucket="bucket")


WAYS = [of_client, of_async_client, of_requests, of_httpx, of_httpx_async, of_aiohttp, of_urllib3, of_a_function, of_a_block, of_botocore]


@pytest.mark.parametrize("way", WAYS)
def test_a_retry_is_information(serve, lines, way):
    level("INFO")
    way(f"{serve(status(503), status(200)).url}/{PATH}")
    said = lines()
    assert [(line["level"], line["logger"], line["reknock_event"]) for line in said] == [("INFO", "reknock", "retry")]
    about = said[0]
    assert (about["reknock_attempt"], about["reknock_status"], about["reknock_evidence"]) == (1, 503, "unknown")
    assert 0 <= about["reknock_wait"] <= 0.01 and about["reknock_duration"] > 0
    assert SECRET not in json.dumps(said)


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_failed_in_the_end_is_a_warning(serve, lines, way):
    level("WARNING")
    try:
        way(f"{serve(status(503)).url}/{PATH}")
    except Exception as error:
        assert way is of_botocore, error  # noqa: PT017 (who raises for a status)
    said = lines()
    assert [(line["level"], line["reknock_event"], line["reknock_stop_reason"]) for line in said] == [("WARNING", "end", "retries_exhausted")]
    assert (said[0]["reknock_attempts"], said[0]["reknock_attempt"], said[0]["reknock_status"]) == (3, 3, 503)
    assert SECRET not in json.dumps(said)


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_ended_well_is_no_warning(serve, lines, way):
    """Neither is a response that nobody wanted to be retried."""
    level("WARNING")
    way(f"{serve(status(503), status(200)).url}/{PATH}")
    try:
        way(f"{serve(status(404)).url}/{PATH}")
    except Exception as error:
        assert way is of_botocore, error  # noqa: PT017
    assert lines() == []


@pytest.mark.parametrize("way", [of_client, of_async_client])
@pytest.mark.parametrize("outcome", [{"do": "reset"}, {"do": "redirect", "status": 302, "location": "/again"}])
def test_an_error_is_a_warning(serve, lines, way, outcome):
    level("WARNING")
    with pytest.raises(reknock.HTTPError) as caught:
        way(f"{serve(outcome).url}/{PATH}")
    (said,) = lines()
    assert (said["level"], said["reknock_event"], said["reknock_error"]) == ("WARNING", "end", caught.value.kind)
    assert said["reknock_stop_reason"] == caught.value.stop_reason and SECRET not in json.dumps(said)


def test_what_a_callback_stops_is_no_warning(serve, lines):
    level("WARNING")
    of_client(serve(status(503)).url, retry_if=lambda attempt: reknock.STOP)
    assert lines() == []


def test_fields_are_those_of_the_guide(serve, lines):
    level("DEBUG")
    script = serve(status(503), {"do": "redirect", "status": 302, "location": "/there"}, {"do": "reset"}, status(200))
    of_client(f"{script.url}/{PATH}", name="orders.get")
    fields = {name for line in lines() for name in line if name.startswith("reknock_")}
    assert {f"reknock_{name}" for name in ("call_id", "name", "method", "url", "origin", "attempt", "target", "reason", "elapsed")} <= fields
    assert [name for name in sorted(fields) if f"`{name}`" not in GUIDE] == []
    said = [(line["reknock_event"], line["level"]) for line in lines() if not line["reknock_event"].startswith("attempt_")]
    assert said == [("retry", "INFO"), ("redirect", "DEBUG"), ("retry", "INFO"), ("end", "DEBUG")]
    assert {line["reknock_call_id"] for line in lines()} == {lines()[0]["reknock_call_id"]}
    assert {line["reknock_name"] for line in lines()} == {"orders.get"}


def names_of(way: str, url: str, **options) -> None:
    """Makes a call by an adapter that is told more."""
    import aiohttp
    import boto3
    import httpx
    from reknock import aiohttp as of_aiohttp, botocore, httpx as of_httpx, requests as of_requests, urllib3

    if way == "requests":
        with requests.Session() as session:
            session.mount("http://", of_requests.RetryAdapter(FAST, **options))
            session.get(url)
    elif way == "urllib3":
        urllib3.PoolManager(policy=FAST, **options).request("GET", url)
    elif way == "httpx":
        with httpx.Client(transport=of_httpx.RetryTransport(policy=FAST, **options)) as client:
            client.get(url)
    elif way == "aiohttp":

        async def main() -> None:
            async with aiohttp.ClientSession(middlewares=(of_aiohttp.retrying(FAST, **options),)) as session, session.get(url):
                pass

        asyncio.run(main())
    else:
        client = boto3.client("s3", endpoint_url=url.partition("/orders")[0], region_name="a", aws_access_key_id="a", aws_secret_access_key="b")
        botocore.install(client, FAST, **options)
        client.head_bucket(Bucket="orders")


@pytest.mark.parametrize("way", ["requests", "urllib3", "httpx", "aiohttp", "botocore"])
def test_names_of_adapters_calls(serve, lines, way):
    level("INFO")
    script = serve(*[status(503), status(200)] * 4)
    names_of(way, f"{script.url}/orders/7", name="orders")
    names_of(way, f"{script.url}/orders/7", name=lambda method, url: f"{method} /orders/*" if "/orders" in url else None)
    names_of(way, f"{script.url}/orders/7", name=lambda method, url: None)
    names_of(way, f"{script.url}/orders/7")
    method, own = ("HEAD", "s3.HeadBucket") if way == "botocore" else ("GET", None)
    assert [line.get("reknock_name") for line in lines()] == ["orders", f"{method} /orders/*", None, own]


def test_structlog(serve):
    """Its formatter for records of others takes the fields over by one processor of its own."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    before = [structlog.stdlib.ExtraAdder(), structlog.stdlib.add_log_level]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer(), foreign_pre_chain=before))
    logger = logging.getLogger("reknock")
    logger.addHandler(handler)
    level("INFO")
    try:
        of_client(f"{serve(status(503), status(503), status(503)).url}/{PATH}")
    finally:
        logger.removeHandler(handler)
        level("NOTSET")
    said = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line["level"], line["reknock_event"]) for line in said] == [("info", "retry"), ("info", "retry"), ("warning", "end")]
    assert [line["reknock_attempt"] for line in said] == [1, 2, 3] and said[2]["reknock_stop_reason"] == "retries_exhausted"
    assert SECRET not in written.getvalue()


def test_nobody_who_imports_no_logging_is_told(serve):
    """A program that knows nothing of logging pays nothing for it, and sees nothing."""
    code = f"import sys, reknock\nreknock.get({serve(status(503)).url!r}, policy={{'max_retries': 0}})\nprint('logging' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
