"""Who authorises a call."""

from __future__ import annotations

import pytest
import reknock
from reknock.testing import Script, Step

URL = "http://service.test/"


def authorized(script):
    return [sent.headers.get("authorization") for sent in script.sends]


def test_bearer(call):
    script = Script([503, 200])
    call("GET", URL, {"auth": reknock.BearerAuth("abc"), "transport": script})
    assert authorized(script) == ["Bearer abc"] * 2
    assert "abc" not in repr(reknock.BearerAuth("abc"))
    with pytest.raises(reknock.InvalidRequest, match="^bearer token: must not contain control characters"):
        call("GET", URL, {"auth": reknock.BearerAuth("a\nb"), "transport": script})


def test_a_function_is_called_once_per_call(call):
    seen = []

    def sign(request):
        seen.append((request.method, request.url))
        request.headers["x-signature"] = f"{len(seen)}"
        return request

    script = Script([503, 200])
    call("PUT", URL + "x", {"auth": sign, "transport": script, "base_url": URL}, content="a", params={"b": 1})
    assert seen == [("PUT", URL + "x?b=1")] and [sent.headers["x-signature"] for sent in script.sends] == ["1", "1"]


def test_a_call_comes_before_its_client(call):
    script = Script([200])
    for client, own, wanted in [
        (("a", "b"), reknock.BearerAuth("t"), "Bearer t"),
        (reknock.BearerAuth("t"), ("a", "b"), "Basic YTpi"),
        (reknock.BearerAuth("t"), None, None),
        (("a", "b"), None, None),
        (["a", "b"], None, None),
        (None, lambda request: None, None),
    ]:
        call("GET", URL, {"auth": client, "transport": script}, auth=own)
        assert authorized(script)[-1] == wanted


@pytest.mark.parametrize("auth", [("a", "b"), ["a", "b"]])
def test_the_credentials_of_a_client(call, auth):
    script = Script([200])
    client = {"auth": auth, "transport": script, "headers": {"authorization": "of the client"}}
    call("GET", URL, client)
    call("GET", URL, client, headers={"authorization": "of the call"})
    call("GET", "http://c:d@service.test/", client)
    call("GET", URL, client, auth=None)
    assert authorized(script) == ["Basic YTpi", "of the call", "Basic Yzpk", "of the client"]


def test_credentials_stay_in_their_origin(call):
    script = Script([Step(302, headers={"location": "http://other.test/"}), 200])
    call("GET", URL, {"auth": reknock.BearerAuth("t"), "transport": script})
    assert authorized(script) == ["Bearer t", None]


def test_what_is_none(call):
    async def later(request):
        pass

    script = Script([200])
    with pytest.raises(TypeError, match="auth must be a plain function"), pytest.warns(RuntimeWarning):
        call("GET", URL, {"transport": script}, auth=later)
    with pytest.raises(TypeError, match="auth must be a tuple of user name and password, or a function of the request"):
        call("GET", URL, {"transport": script}, auth="secret")
    with pytest.raises(LookupError):
        call("GET", URL, {"transport": script}, auth=lambda request: {}["gone"])
    assert not script.sends
