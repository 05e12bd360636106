"""Calls and their responses, through both clients."""

from __future__ import annotations

import asyncio
import datetime
import json

import pytest
import reknock

from .conftest import FAST, status

DONE = status(200, "done")


def test_module_level_get(serve):
    script = serve(status(503), DONE)
    response = reknock.get(script.url, policy={"backoff": "10ms"})
    assert (response.status_code, response.text, len(script.log())) == (200, "done", 2)


def test_success_after_a_503_and_a_reset(serve, call):
    script = serve(status(503), {"do": "reset"}, status(200, "done", headers=[["x-a", "1"], ["X-A", "2"], ["content-type", "text/plain"]]))
    response = call("GET", script.url)
    assert response.status_code == 200 and response.is_success
    assert response.content == b"done" and response.text == "done"
    assert response.headers["X-a"] == "1, 2"
    assert response.headers.get_list("x-a") == ["1", "2"]
    assert "x-b" not in response.headers and response.headers.get("x-b") is None
    assert response.url == script.url + "/" or response.url == script.url
    assert response.http_version == "HTTP/1.1"
    assert isinstance(response.elapsed, datetime.timedelta)
    assert [(a.number, a.status, a.error) for a in response.attempts] == [(1, 503, None), (2, None, "reset"), (3, 200, None)]
    assert response.attempts[0].wait == pytest.approx(0.01)
    assert response.attempts[2].wait is None
    assert response.stop_reason == "completed"
    assert "#3 200" in response.explain()
    assert len(script.log()) == 3


def test_exhausted_is_the_last_response(serve, call):
    response = call("GET", serve(status(503, "later")).url)
    assert (response.status_code, response.text, response.stop_reason, len(response.attempts)) == (503, "later", "retries_exhausted", 3)
    with pytest.raises(reknock.HTTPStatusError, match=r"^GET http://.*: 503 Service Unavailable after \d attempts? in .*s \(.*\)$") as caught:
        response.raise_for_status()
    assert caught.value.response is response and caught.value.attempts == response.attempts
    assert caught.value.stop_reason == "retries_exhausted"


def test_raise_for_status_returns_the_response(serve, call):
    response = call("GET", serve(DONE).url)
    assert response.raise_for_status() is response


def test_json_and_text(serve, call):
    body = json.dumps({"a": [1, "ü"]})
    assert call("GET", serve(status(200, body)).url).json() == {"a": [1, "ü"]}
    latin = {"do": "status", "status": 200, "body_base64": "/A==", "headers": [["content-type", "text/plain; charset=latin-1"]]}
    assert call("GET", serve(latin).url).text == "ü"
    with pytest.raises(json.JSONDecodeError):
        call("GET", serve(DONE).url).json()


@pytest.mark.parametrize(
    ("options", "body", "content_type"),
    [
        ({"content": b"\x00bytes"}, b"\x00bytes", None),
        ({"content": "täxt"}, "täxt".encode(), None),
        ({"content": bytearray(b"array")}, b"array", None),
        ({"json": {"a": None, "b": [1.5, True]}}, b'{"a":null,"b":[1.5,true]}', "application/json"),
        ({"data": {"a": "1 2", "b": ["x", "y"], "c": True}}, b"a=1+2&b=x&b=y&c=true", "application/x-www-form-urlencoded"),
        ({"data": [("a", 1), ("a", None)]}, b"a=1", "application/x-www-form-urlencoded"),
    ],
)
def test_bodies(serve, call, options, body, content_type):
    script = serve({"do": "echo"})
    echo = call("POST", script.url, **options).json()
    if (echoed := echo["body"]) is not None:
        assert echoed.encode() == body
    assert echo["body_size"] == len(body)
    headers = {name.lower(): value for name, value in echo["headers"]}
    assert headers.get("content-type") == content_type
    assert headers["content-length"] == str(len(body))


def test_what_a_request_carries(serve, call):
    script = serve({"do": "echo"})
    client = {"base_url": script.url + "/api", "headers": {"X-One": "client", "x-two": "client"}, "auth": ("me", "secret")}
    options = {"params": {"q": "a b", "n": [1, 2]}, "headers": {"x-two": "call"}}
    echo = call("GET", "users?x=1", client, **options).json()
    assert (echo["method"], echo["target"]) == ("GET", "/api/users?x=1&q=a+b&n=1&n=2")
    headers = dict(echo["headers"])
    assert headers["x-one"] == "client" and headers["x-two"] == "call"
    assert headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert headers["user-agent"].startswith("reknock/")


@pytest.mark.parametrize("method", ["get", "options", "head", "post", "put", "patch", "delete"])
def test_verbs(serve, method):
    script = serve(DONE)
    with reknock.Client() as client:
        getattr(client, method)(script.url)
    getattr(reknock, method)(script.url)

    async def main():
        async with reknock.AsyncClient() as client:
            await getattr(client, method)(script.url)

    asyncio.run(main())
    assert [arrival["method"] for arrival in script.log()] == [method.upper()] * 3


def test_policy_per_call(serve, call):
    script = serve(status(503))
    assert len(call("GET", script.url, policy={"max_retries": 1}).attempts) == 2
    assert len(call("GET", script.url, policy=False).attempts) == 1
    assert len(call("GET", script.url, policy=reknock.Policy(max_retries=3, backoff=0.01)).attempts) == 4


def test_redirects(serve, call):
    script = serve({"do": "redirect", "status": 302, "location": "$url/next"}, DONE)
    response = call("GET", script.url)
    assert (response.status_code, response.url, [a.hop for a in response.attempts]) == (200, script.url + "/next", [0, 1])
    again = serve({"do": "redirect", "status": 302, "location": "$url/next"})
    assert call("GET", again.url, follow_redirects=False).status_code == 302
    assert call("GET", again.url, {"follow_redirects": False}).status_code == 302
    with pytest.raises(reknock.TooManyRedirects):
        call("GET", again.url, {"max_redirects": 2})
    with pytest.raises(reknock.TooManyRedirects) as raised:
        call("GET", again.url, {"max_redirects": 2, "follow_redirects": False}, follow_redirects=True)
    assert len(raised.value.attempts) == 3  # the call turns them on, the client keeps saying how many


def test_unknown_options(call):
    with pytest.raises(TypeError, match="unexpected keyword argument \"colour\""):
        call("GET", "http://127.0.0.1:1/", colour="red")
    with pytest.raises(reknock.ConfigError, match="^base_ulr: unknown key; did you mean base_url?"):
        call("GET", "http://127.0.0.1:1/", {"base_ulr": "x"})
    with pytest.raises(TypeError, match="only one of"):
        call("GET", "http://127.0.0.1:1/", content="a", json=1)


def test_timeouts_of_httpx_are_explained(call):
    class Timeout:
        pass

    with pytest.raises(reknock.ConfigError, match="^timeout: must be a duration, got a value of type Timeout; timeout is the limit of the whole call"):
        call("GET", "http://127.0.0.1:1/", timeout=Timeout())


def test_budget_readings(serve):
    script = serve(status(503))
    with reknock.Client(policy={"backoff": "1ms", "budget": {"ratio": 1, "min_per_second": 0, "deposit_on": "call"}}) as client:
        assert client.budget(script.url) is None
        response = client.get(script.url)
        assert response.stop_reason == "budget_exhausted"
        reading = client.budget(script.url)
        assert (reading.balance, reading.deposits, reading.withdrawals, reading.refusals) == (0, 1, 1, 1)


def test_many_at_once(serve):
    script = serve(DONE)

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            return await asyncio.gather(*(client.get(script.url) for _ in range(200)))

    assert {response.status_code for response in asyncio.run(main())} == {200}
