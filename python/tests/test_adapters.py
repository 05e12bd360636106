"""requests, urllib3, aiohttp and botocore under a policy, on real sockets: the same scenarios through each."""

from __future__ import annotations

import asyncio
import copy
import importlib.metadata
import pickle
import re
import tomllib

import pytest
import reknock
from reknock import testing

from .conftest import FAST, ROOT, status

requests = pytest.importorskip("requests")
urllib3 = pytest.importorskip("urllib3")
aiohttp = pytest.importorskip("aiohttp")
boto3 = pytest.importorskip("boto3")

import botocore.exceptions
import reknock.aiohttp
import reknock.botocore
import reknock.requests
import reknock.urllib3


def by_requests(method, url, body=None, headers=None, **options):
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", reknock.requests.RetryAdapter(options.pop("policy", FAST), **options))
        response = session.request(method, url, data=body, headers=headers, timeout=5)
        response.status = response.status_code
        return response


def by_urllib3(method, url, body=None, headers=None, **options):
    with reknock.urllib3.PoolManager(policy=options.pop("policy", FAST), **options) as http:
        return http.request(method, url, body=body, headers=headers, timeout=5)


def by_aiohttp(method, url, body=None, headers=None, **options):
    async def main():
        middleware = reknock.aiohttp.retrying(options.pop("policy", FAST), **options)
        async with aiohttp.ClientSession(middlewares=(middleware,)) as session, session.request(method, url, data=body, headers=headers) as response:
            await response.read()
            return response

    return asyncio.run(main())


@pytest.fixture(params=[by_requests, by_urllib3, by_aiohttp])
def send(request):
    return request.param


def records(thing):
    found = reknock.attempts_of(thing)
    assert found is not None
    return found


def test_a_retry(send, serve):
    script = serve(status(503), status(200, "at last"))
    response = send("GET", script.url)
    assert (response.status, [record.status for record in records(response).attempts], len(script.log())) == (200, [503, 200], 2)
    assert len({arrival["connection"] for arrival in script.log()}) == 1


def test_the_last_response(send, serve):
    script = serve(status(503, "still"))
    response = send("GET", script.url)
    assert (response.status, len(script.log()), records(response).stop_reason) == (503, 3, "retries_exhausted")


def test_the_original_error(send):
    with pytest.raises((requests.ConnectionError, urllib3.exceptions.MaxRetryError, aiohttp.ClientConnectorError)) as caught:
        send("POST", "http://127.0.0.1:1/")
    found = records(caught.value)
    assert [(record.error, record.evidence) for record in found.attempts] == [("connect", "not_sent")] * 3
    assert found.stop_reason == "retries_exhausted"


def test_no_send_but_ours(send, serve):
    """A connection that is lost: no adapter's own client sends again."""
    script = serve({"do": "reset"})
    with pytest.raises((requests.ConnectionError, urllib3.exceptions.HTTPError, aiohttp.ClientError)) as caught:
        send("GET", script.url)
    assert len(records(caught.value).attempts) == len(script.log()) == 3


def test_what_may_have_been_done(send, serve):
    script = serve({"do": "reset"}, status(200))
    with pytest.raises((requests.ConnectionError, urllib3.exceptions.HTTPError, aiohttp.ClientError)) as caught:
        send("POST", script.url, b"once")
    assert (records(caught.value).stop_reason, len(script.log())) == ("not_idempotent", 1)


def test_files_are_sent_whole(send, serve, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"the whole file")
    script = serve(status(503), status(200))
    with path.open("rb") as file:
        assert send("PUT", script.url, file).status == 200
    assert {arrival["body_size"] for arrival in script.log()} == {14} and len(script.log()) == 2


@pytest.mark.parametrize("size", [4, 1_100_000])
def test_what_is_iterated(send, serve, size):
    """Kept and sent again if it is small; with aiohttp sent once. Never sent empty."""
    piece = b"x" * (size // 2)

    async def pieces():
        yield piece
        yield piece

    script = serve(status(503), status(200))
    response = send("PUT", script.url, pieces() if send is by_aiohttp else iter([piece, piece]))
    once = size > 4 or send is by_aiohttp
    assert (response.status, len(script.log())) == ((503, 1) if once else (200, 2))
    assert {arrival["body_size"] for arrival in script.log()} == {size}
    assert records(response).stop_reason == ("body_not_replayable" if once else "completed")


def test_the_hint_of_a_server(send, serve):
    script = serve(status(429, headers=[["retry-after", "7"]]), status(200))
    with testing.no_wait() as waits:
        assert send("POST", script.url, b"x").status == 200
    assert 7 <= waits[0] <= 7.7


def test_redirects_are_calls_of_their_own(send, serve):
    script = serve({"do": "redirect", "status": 302, "location": "$url/next"}, status(503), status(200))
    assert send("GET", script.url).status == 200
    assert [arrival["target"] for arrival in script.log()] == ["/", "/next", "/next"] or len(script.log()) == 3


def test_the_deadline(send, serve):
    script = serve({"do": "hang"})
    with pytest.raises((requests.Timeout, urllib3.exceptions.HTTPError, TimeoutError)) as caught:
        send("GET", script.url, policy={"timeout": "300ms", "backoff": "1ms"})
    assert records(caught.value).stop_reason == "deadline" and len(script.log()) == 1


@pytest.mark.parametrize("options", [{}, {"buffer": True}])
def test_broken_bodies(serve, options):
    broken = status(200, "broken", body_mode="truncate-fin")
    script = serve(broken, status(200, "whole"))
    if options:
        assert by_aiohttp("GET", script.url, **options).status == 200
    else:
        assert by_requests("GET", script.url).text == "whole"
    assert len(script.log()) == 2


def test_records_are_values(serve):
    response = by_requests("GET", serve(status(503), status(200)).url)
    records = reknock.attempts_of(response)
    assert records is not None and records is reknock.attempts_of(response)
    assert records == reknock.Records(records.attempts, records.stop_reason, records.explain()) == pickle.loads(pickle.dumps(records)) == copy.deepcopy(records)
    assert repr(records) == f"Records(attempts={records.attempts!r}, stop_reason='completed')"
    assert not hasattr(records, "attempt")


def test_whose_call_it_is(send, serve):
    """Callbacks, events and timelines say the same; a name may be a function of the request."""
    seen, events = [], []
    script = serve(status(503), status(200))
    url = f"{script.url}/orders?token=s3cret"
    options = {"retry_if": lambda attempt: seen.append(attempt.call), "on_event": events.append, "name": lambda method, to: f"{method} of {to[-6:]}"}
    response = send("GET", url, **options)
    (call,) = {(call.call_id, call.method, call.url, call.name) for call in [*seen, *(event.call for event in events)]}
    assert len(seen) == 2 and call[1:] == ("GET", f"{script.url}/orders?token=...", "GET of s3cret")
    assert records(response).explain().startswith(f"GET {script.url}/orders?token=... (GET of s3cret, call {call[0]})\n")
    with pytest.raises(Exception, match=".") as caught:
        send("GET", "http://127.0.0.1:1/")
    assert records(caught.value).explain().startswith("GET http://127.0.0.1:1/ (call ") and caught.value.__notes__[-1] == records(caught.value).explain().rstrip()


def test_copies_of_an_adapter():
    session = requests.Session()
    session.mount("http://", reknock.requests.RetryAdapter({"max_retries": 7}))
    assert pickle.loads(pickle.dumps(session)).get_adapter("http://a").options.policy.max_retries == 7
    with pytest.raises(TypeError, match="max_retries"):
        reknock.requests.RetryAdapter(max_retries=3)


def amazon(url, **options):
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b")
    return reknock.botocore.install(client, **{"policy": FAST, **options})


def test_boto(serve):
    script = serve(status(503), status(200, "<ListAllMyBucketsResult/>"))
    response = amazon(script.url).list_buckets()
    assert [record.status for record in records(response).attempts] == [503, 200] and len(script.log()) == 2


def test_boto_gives_up(serve):
    script = serve(status(503))
    with pytest.raises(Exception, match="503") as caught:
        amazon(script.url).put_object(Bucket="b", Key="k", Body=b"whole")
    found = records(caught.value)
    assert (len(found.attempts), found.stop_reason, len(script.log())) == (3, "retries_exhausted", 3)
    assert len({arrival["body_sha256"] for arrival in script.log()}) == 1


def test_boto_stops_at_a_hint_that_is_too_long(serve):
    script = serve(status(429, headers=[["retry-after", "121"]]), status(200))
    with testing.no_wait() as waits, pytest.raises(botocore.exceptions.ClientError) as caught:
        amazon(script.url).list_buckets()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429 and len(script.log()) == 1 and waits == []
    assert records(caught.value).stop_reason == "retry_after_too_long"


def test_botos_own_counter(serve):
    """It counts our sends, so that nobody takes it for a loop around ours; what one says that is, is on the record."""
    script = serve(status(503), status(503), status(200, "<ListAllMyBucketsResult/>"))
    response = amazon(script.url, policy={**FAST, "max_retries": 4}).list_buckets()
    counts = [value for arrival in script.log() for name, value in arrival["headers"] if name == "amz-sdk-request"]
    assert [re.findall(r"(?:attempt|max)=(\d+)", value) for value in counts] == [["1", "5"], ["2", "5"], ["3", "5"]]
    assert [record.outer_retry for record in records(response).attempts] == [None] * 3

    around = by_requests("GET", serve(status(200)).url, headers={"amz-sdk-request": "attempt=2; max=3"})
    assert [record.outer_retry for record in records(around).attempts] == [1]


def test_boto_asks(serve):
    """Of what an operation would return, and of what it raises."""
    seen = []

    def retry_if(attempt):
        seen.append((attempt.number, attempt.status_code, attempt.result["ResponseMetadata"]["HTTPStatusCode"], attempt.headers is not None))
        return attempt.number < 2 or None

    script = serve(status(404), status(200, "<ListAllMyBucketsResult/>"))
    with testing.no_wait() as waits:
        amazon(script.url, retry_if=retry_if, delay=lambda attempt: 7).list_buckets()
    assert seen == [(1, 404, 404, True), (2, 200, 200, True)] and waits == [7] and len(script.log()) == 2


def test_boto_fails():
    with pytest.raises(Exception, match="connect") as caught:
        amazon("http://127.0.0.1:1").list_buckets()
    assert [record.evidence for record in records(caught.value).attempts] == ["not_sent"] * 3


def test_extras():
    """One for each adapter, named as its module and its package, and one for telemetry; what the tests run is allowed by it, and nothing is needed."""
    about = tomllib.loads((ROOT / "python/pyproject.toml").read_text())["project"]
    adapters = {path.stem for path in (ROOT / "python/reknock").glob("[a-z]*.py")} - {"telemetry", "testing", "types"}
    assert set(about["optional-dependencies"]) == {*adapters, "otel"} and "dependencies" not in about
    for name, (wanted,) in about["optional-dependencies"].items():
        package, _, least = wanted.partition(">=")
        installed = importlib.metadata.version(package)
        assert package == {"otel": "opentelemetry-api"}.get(name, name) and [int(part) for part in installed.split(".")] >= [int(part) for part in least.split(".")]
