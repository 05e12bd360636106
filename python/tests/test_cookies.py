"""Jars of cookies."""

from __future__ import annotations

import http.cookiejar
import os

import pytest
import reknock
from reknock.testing import Script, Step

from .conftest import FAST, status

SET = {"headers": [["set-cookie", "a=1; Path=/"], ["set-cookie", "b=2; HttpOnly; Path=/"], ["set-cookie", "gone=1; Max-Age=0"]]}


def carried(script):
    return [dict(arrival["headers"]).get("cookie") for arrival in script.log()]


def test_what_servers_set_comes_back(serve):
    script = serve(status(200, **SET), status(200, headers=[["set-cookie", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"]]), status(200))
    with reknock.Client(policy=FAST) as client:
        for _ in range(3):
            client.get(script.url)
        jar = client.cookies
    assert carried(script) == [None, "a=1; b=2", "b=2"]
    assert jar is not None and dict(jar.items()) == {"b": "2"} and jar["b"] == "2" and "a" not in jar and jar.get("a", 5) == 5 and len(jar) == 1
    assert jar.header(script.url) == "b=2" and jar.header("http://other.test/") is None and "2" not in repr(jar)
    jar.clear()
    assert list(jar) == []


def test_in_retries_and_redirects(serve, call):
    script = serve(status(503, **SET), {"do": "redirect", "status": 302, "location": "/next", "headers": [["set-cookie", "c=3; Path=/"]]}, status(200))
    call("GET", script.url)
    assert carried(script) == [None, "a=1; b=2", "a=1; b=2; c=3"]


def test_in_streams_and_async(serve, run):
    script = serve(status(200, **SET), status(200))

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            async with client.stream("GET", script.url):
                pass
            await client.get(script.url)
            return dict(client.cookies.items())

    assert run(main()) == {"a": "1", "b": "2"} and carried(script) == [None, "a=1; b=2"]


def test_none_where_strangers_share_and_where_turned_off(serve):
    script = serve(status(200, **SET))
    reknock.get(script.url), reknock.get(script.url)
    with reknock.Client(cookies=False) as client:
        client.get(script.url), client.get(script.url)
        assert client.cookies is None
    assert carried(script) == [None] * 4


def test_a_mapping_to_begin_with(call):
    script = Script([Step(200, headers={"set-cookie": "a=own"}), Step(302, headers={"location": "http://other.test/"}), 200, 200])
    client = reknock.Client(cookies={"a": "1", "b": "2"}, transport=script)
    client.get("http://a.test/"), client.get("http://a.test/"), client.get("http://b.test/", headers={"cookie": "mine=1"})
    assert [sent.headers.get("cookie") for sent in script.sends] == ["a=1; b=2", "a=own; b=2", None, "mine=1"]
    client.cookies["c"] = "3"
    assert client.cookies.header("http://x.test/") == "a=1; b=2; c=3"
    with pytest.raises(reknock.ConfigError, match=r"^cookies\.a: the value must not hold"):
        call("GET", "http://a.test/", {"cookies": {"a": "se;cret"}})


def test_a_jar_of_pythons_is_copied():
    jar = http.cookiejar.CookieJar()

    def add(name, domain, *, secure=False, expires=None, path="/"):
        jar.set_cookie(http.cookiejar.Cookie(0, name, "1", None, False, domain, domain.startswith("."), domain.startswith("."), path, True, secure, expires, expires is None, None, None, {}))

    add("host", "a.example.com")
    add("domain", ".example.com")
    add("secure", "a.example.com", secure=True)
    add("old", "a.example.com", expires=1)
    add("later", "a.example.com", expires=4_000_000_000)
    add("deep", "a.example.com", path="/deep")
    add("local", "localhost.local")
    add("all", "")
    client = reknock.Client(cookies=jar)
    add("after", "a.example.com")
    assert client.cookies is not None
    assert client.cookies.header("https://a.example.com/") == "domain=1; host=1; later=1; secure=1; all=1"
    assert client.cookies.header("http://a.example.com/deep/x") == "deep=1; domain=1; host=1; later=1; all=1"
    assert client.cookies.header("http://b.example.com/") == "domain=1; all=1"
    assert client.cookies.header("http://localhost:8000/") == "local=1; all=1"


def test_public_suffixes():
    client = reknock.Client()
    assert client.cookies is not None
    assert client.cookies.store("http://a.example.co.uk/", "a=1; Domain=example.co.uk") and not client.cookies.store("http://a.example.co.uk/", "a=1; Domain=co.uk")
    assert client.cookies.header("http://b.example.co.uk/") == "a=1"


def test_a_forked_child_goes_on_with_them():
    client = reknock.Client(cookies={"a": "1"})
    child = os.fork()
    if child == 0:
        client.cookies["b"] = "2"
        os._exit(0 if client.cookies.header("http://x.test/") == "a=1; b=2" else 1)
    assert os.waitpid(child, 0)[1] == 0 and client.cookies.header("http://x.test/") == "a=1"
