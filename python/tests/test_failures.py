"""Every kind of failure, and the four timeouts, through both clients."""

from __future__ import annotations

import pytest
import reknock

from .conftest import FAST, status

GIVE_UP = {"policy": {**FAST, "max_retries": 0}}


def failing(call, error, url, client=None, **options):
    with pytest.raises(error) as caught:
        call("GET", url, {**GIVE_UP, **(client or {})}, **options)
    assert type(caught.value) is error
    return caught.value


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ({"do": "refused"}, reknock.ConnectError),
        ({"do": "reset"}, reknock.ReadError),
        ({"do": "close"}, reknock.ReadError),
        ({"do": "garbage"}, reknock.RemoteProtocolError),
        ({"do": "status", "status": 200, "body": "cut", "body_mode": "truncate-fin", "after": 1}, reknock.BodyError),
    ],
)
def test_kinds(serve, call, outcome, error):
    raised = failing(call, error, serve(outcome).url)
    assert raised.attempts[0].error == raised.kind and raised.stop_reason and raised.explain()
    assert raised.status_code == (200 if error is reknock.BodyError else None)


def test_refused_stream(serve, call):
    failing(call, reknock.RefusedStream, serve({"do": "h2-rst"}).url, {"http2": "only"})


def test_tls(serve, call):
    script = serve(status(200, "safe"), tls="trusted")
    failing(call, reknock.TLSError, script.url)
    assert call("GET", script.url, {"ca_bundle": script.ca}).text == "safe"
    assert call("GET", script.url, {"verify": False}).text == "safe"
    failing(call, reknock.TLSError, serve(status(200), tls="expired").url)


def test_ca_bundle_from_a_file(serve, call, tmp_path):
    script = serve(status(200, "safe"), tls="trusted")
    (tmp_path / "ca.pem").write_text(script.ca)
    assert call("GET", script.url, {"ca_bundle": tmp_path / "ca.pem"}).text == "safe"
    with pytest.raises(reknock.ConfigError, match="^ca_bundle: must be PEM text or the path of a file"):
        call("GET", script.url, {"ca_bundle": str(tmp_path / "nowhere.pem")})


def test_response_too_large(serve, call):
    failing(call, reknock.ResponseTooLarge, serve(status(200, "x" * 100)).url, {"max_response_size": 10})


def test_closed(serve):
    client = reknock.Client()
    client.close()
    with pytest.raises(reknock.ClientClosed):
        client.get(serve({"do": "hang"}).url)


@pytest.mark.parametrize(
    ("method", "url", "message"),
    [
        ("GET", "nonsense", "url: must be absolute, such as http://host/path"),
        ("GET", "ftp://host/", 'url: the scheme must be http or https, got "ftp"'),
        ("G T", "http://host/", "method: must be a token such as GET"),
    ],
)
def test_invalid_requests(call, method, url, message):
    with pytest.raises(reknock.InvalidRequest) as caught:
        call(method, url)
    assert str(caught.value).startswith(message) and caught.value.attempts == ()


def test_invalid_headers(call):
    with pytest.raises(reknock.InvalidRequest, match='^header "x-a": the value must not contain control characters'):
        call("GET", "http://127.0.0.1:1/", headers={"x-a": "a\nb"})


@pytest.mark.parametrize(
    ("limits", "outcome", "error"),
    [
        ({"timeout": "100ms"}, {"do": "hang"}, reknock.DeadlineExceeded),
        ({"connect_timeout": "100ms"}, {"do": "connect-timeout"}, reknock.ConnectTimeout),
        ({"per_try_timeout": "100ms"}, {"do": "hang"}, reknock.ReadTimeout),
        ({"idle_timeout": "100ms"}, {"do": "status", "status": 200, "body": "stall", "body_mode": "stall"}, reknock.BodyError),
    ],
)
def test_timeouts(serve, call, limits, outcome, error):
    raised = failing(call, error, serve(outcome).url, {"policy": {**GIVE_UP["policy"], **limits}})
    assert raised.attempts[0].start + raised.attempts[0].duration >= 0.1
    assert isinstance(raised, TimeoutError) == (error is not reknock.BodyError)


def test_timeout_of_a_call(serve, call):
    raised = failing(call, reknock.DeadlineExceeded, serve({"do": "hang"}).url, timeout=0.1)
    assert raised.attempts[0].start + raised.attempts[0].duration >= 0.1
