"""What other clients of Python take as well, and what nobody should take."""

from __future__ import annotations

import io
import json
import pickle
import ssl
import subprocess
import sys
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import reknock
from reknock.testing import Script, Step

from .conftest import FAST, status

URL = "http://a.test/"


def sent(call, client=None, method="POST", url=URL, **options):
    with Script([200]) as script:
        call(method, url, client, **options)
    return script.sends[0]


def test_none_leaves_a_header_out(call):
    request = sent(call, {"headers": {"x-a": "1", "x-b": "2", "user-agent": None}}, headers={"x-a": None, "x-c": None})
    assert "x-a" not in request.headers and "x-c" not in request.headers and "user-agent" not in request.headers and request.headers["x-b"] == "2"


def test_none_leaves_a_parameter_out(call):
    assert sent(call, params={"a": None, "b": [1, None], "c": ""}).url == URL + "?b=1&c="
    assert sent(call, data={"a": None, "b": 1}).content == b"b=1"
    assert b'name="a"' not in sent(call, data={"a": None}, files={"f": b"1"}).content


def test_none_leaves_out_what_the_client_adds(call):
    jar = {"cookies": {"a": "1"}}
    assert sent(call, jar).headers["cookie"] == "a=1" and "cookie" not in sent(call, jar, headers={"Cookie": None}).headers
    for body in ({"json": 1}, {"data": {"a": 1}}, {"files": {"a": b"1"}}):
        assert "content-type" in sent(call, **body).headers and "content-type" not in sent(call, headers={"Content-Type": None}, **body).headers


def test_one_name_in_two_cases_is_one_field(call):
    assert sent(call, headers={"X-A": "1", "x-a": "2", "x-b": ["3", "4"]}).headers.multi_items()[:3] == [("x-a", "1, 2"), ("x-b", "3"), ("x-b", "4")]
    assert sent(call, {"headers": {"X-A": "1", "x-a": "2"}}).headers.get_list("x-a") == ["1, 2"]
    assert sent(call, headers={"X-A": "1", "x-a": None}).headers.get_list("x-a") == ["1"]
    assert sent(call, headers=[("X-A", "1"), ("x-a", "2")]).headers.get_list("x-a") == ["1", "2"]


@pytest.mark.parametrize("content", [{b"a"}, frozenset([b"a"]), {b"a": 1}.keys(), {b"a": 1}.items(), {"a": "b"}, {"a": 1}, 5, object()])
def test_what_is_no_content(call, content):
    with pytest.raises(TypeError, match="^a body must be bytes"):
        sent(call, content=content)


def test_data_that_is_no_form(call):
    assert sent(call, data=io.BytesIO(b"file")).content == b"file"
    assert sent(call, data=(piece for piece in [b"a", "b"])).content == b"ab"
    assert sent(call, data=b"bytes").content == b"bytes"


def test_header_fields_of_parts(call):
    content = sent(call, files={"f": ("n.txt", b"x", "text/plain", {"X-Part": "1", "expires": "0"})}).content
    assert b"content-type: text/plain\r\nx-part: 1\r\nexpires: 0\r\n\r\nx\r\n" in content
    assert b"content-type: text/html\r\n\r\n" in sent(call, files={"f": ("n.txt", b"x", None, {"Content-Type": "text/html"})}).content
    with pytest.raises(reknock.InvalidRequest, match="line breaks"):
        sent(call, files={"f": ("n.txt", b"x", None, {"x-a": "1\r\nx-b: 2"})})
    with pytest.raises(TypeError, match="^a file must be content, or"):
        sent(call, files={"f": ("n.txt", b"x", None, {}, 5)})


class Address:
    """As those of httpx, yarl and pydantic."""

    scheme = "http"

    def __str__(self):
        return URL + "x"


@pytest.mark.parametrize("url", [Address(), urlsplit(URL + "x")])
def test_objects_of_urls(call, url):
    assert sent(call, url=url).url == URL + "x"
    assert sent(call, {"base_url": url}, url="y").url == URL + "x/y"

    def edit(attempt, request):
        request.url = url

    with Script([503, 200]) as script:
        call("GET", "http://b.test/", before_retry=edit)
    assert script.sends[1].url == URL + "x"


@pytest.mark.parametrize("url", [None, 5, b"http://a.test/", SimpleNamespace()])
def test_what_is_no_url(call, url):
    with pytest.raises(TypeError, match="^a URL must be text, or an object of a URL, not "):
        sent(call, url=url)


@pytest.mark.parametrize("timeout", [(3, 10), [1], {"connect": 1}, SimpleNamespace(connect=1)])
def test_limits_of_other_clients(call, timeout):
    with pytest.raises(reknock.ConfigError, match="^timeout: must be .*connect_timeout, per_try_timeout and idle_timeout of policy$"):
        sent(call, timeout=timeout)
    with pytest.raises(reknock.ConfigError, match="connect_timeout"):
        sent(call, {"timeout": timeout})


@pytest.mark.parametrize("url", ["http:///x", "http:/x", "http:x", "http://a.test/\r\nx: y", "http://a.te\nst/", "http://a.test/\tx", "https:\\\\a.test/"])
def test_urls_that_are_none(call, url):
    with pytest.raises(reknock.InvalidRequest, match="^url: must"):
        sent(call, url=url)


@pytest.mark.parametrize("name", ["transfer-encoding", "Transfer-Encoding"])
def test_what_only_the_connection_knows(call, name):
    with pytest.raises(reknock.InvalidRequest, match='^header "transfer-encoding"'):
        sent(call, headers={name: "identity"})
    with pytest.raises(reknock.ConfigError, match="^headers: transfer-encoding"):
        sent(call, {"headers": {name: "chunked"}})
    with pytest.raises(reknock.InvalidRequest, match="^method: CONNECT"):
        sent(call, method="CONNECT")


SECRET = "-----BEGIN PRIVATE KEY-----\nMIIsecret\n-----END PRIVATE KEY-----\n"
WRONG = SECRET.replace("-----BEGIN PRIVATE KEY-----\n", "")


@pytest.mark.parametrize(
    ("client", "options"),
    [
        *(({key: value}, {}) for key in ("ca_bundle", "cert", "proxy", "base_url", "http2", "local_address", "max_response_size", "verify") for value in (SECRET, WRONG)),
        ({"cert": [SECRET, SECRET]}, {}),
        ({"headers": {"x-a": SECRET}}, {}),
        ({"headers": {SECRET: "x"}}, {}),
        ({"cookies": {"a": SECRET}}, {}),
        ({"cookies": {SECRET: "a"}}, {}),
        ({"auth": SECRET}, {}),
        ({"policy": {"timeout": SECRET}}, {}),
        ({"policy": {"budget": {"name": SECRET * 9}}}, {}),
        ({}, {"headers": {SECRET: "x"}}),
        ({}, {"headers": {"x-a": SECRET}}),
        ({}, {"headers": {"content-length": SECRET.replace("\n", "")}}),
        ({}, {"files": {SECRET: b"x"}}),
        ({"headers": {SECRET: 1}}, {}),
        ({"cookies": {SECRET: 1}}, {}),
        ({"policy": {SECRET: 1}}, {}),
        ({"policy": {"secret" * 11: 1}}, {}),
        ({"policy": {"backoff": {"secret" * 11: 1}}}, {}),
        ({}, {"headers": {"secret" * 11: "a\n"}}),
        ({"base_url": "secret" * 11 + "://a"}, {}),
        ({"proxy": "secret" * 11 + "://a"}, {}),
    ],
)
def test_a_key_in_the_wrong_place_is_not_shown(client, options):
    with pytest.raises(reknock.HTTPError) as caught:
        reknock.Client(**client).post(URL, content=b"x", **options) if "files" not in options else reknock.Client(**client).post(URL, **options)
    for text in (str(caught.value), repr(caught.value), pickle.dumps(caught.value).decode("latin-1"), caught.value.explain()):
        assert "secret" not in text and "\n" not in str(caught.value)


TOKEN = "secret" * 40


@pytest.mark.parametrize("secret", [SECRET, SECRET + ".yaml", TOKEN, TOKEN + ".yaml", TOKEN + "/" + TOKEN])
@pytest.mark.parametrize("load", [reknock.Policy.load, reknock.Policy.preset, lambda secret: reknock.Client().get(URL, **{secret: 1}),
    lambda secret: reknock.Retry(origin=secret, budgets=reknock.Budgets(), method=secret), lambda secret: Step(secret), lambda secret: Step(200, ends=secret)])
def test_a_key_where_a_name_is_expected_is_not_shown(load, secret):
    with pytest.raises((reknock.HTTPError, OSError, TypeError)) as caught:
        load(secret)
        raise OSError("taken")
    assert "secret" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize(("charset", "encoding"), [("latin-1", "latin-1"), ("shift_jis", "shift_jis"), ("iso-2022-jp", "iso-2022-jp"), ("utf-16", "utf-16"), ("latin-1", "utf-8")])
def test_json_in_other_charsets(call, charset, encoding):
    value = {"a": "日本" if "j" in charset else "caf\u00e9"}
    step = Step(200, headers={"content-type": f"application/json; charset={charset}"}, content=json.dumps(value, ensure_ascii=False).encode(encoding))
    assert call("GET", URL, {"transport": Script([step])}).json() == value


@pytest.mark.parametrize("content", [b"\xff\xfe\xfa", b"{\xe9}", b"", b"no"])
def test_what_is_no_json(call, content):
    with pytest.raises(json.JSONDecodeError):
        call("GET", URL, {"transport": Script([Step(200, content=content)])}).json()
    with reknock.Client(transport=Script([Step(200, content=content)])) as client, client.stream("GET", URL) as response, pytest.raises(json.JSONDecodeError):
        response.json()


def test_a_number_that_python_does_not_read(call):
    """Which is no matter of its encoding."""
    with pytest.raises(json.JSONDecodeError, match="Exceeds the limit"):
        call("GET", URL, {"transport": Script([Step(200, content=b"1" * 5000)])}).json()


def test_a_wait_that_no_clock_counts_to(call):
    response = call("GET", URL, {"transport": Script([Step(503, headers={"retry-after": "99999999999999999999"})])})
    assert response.attempts[0].hint == float("inf") and "longer than any clock counts" in response.explain()


LINES = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei"


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_where_they_end(serve, piece, end):
    """NDJSON and event streams hold these characters within their lines."""
    text = end.join([LINES, "", "\u00e9", LINES])
    script = serve(status(200, text, drip={"bytes": piece, "every": "1ms"}), status(200, text + end))
    with reknock.Client(policy=FAST) as client:
        for _ in range(2):
            with client.stream("GET", script.url) as response:
                assert list(response.iter_lines()) == [LINES, "", "\u00e9", LINES]


class Own(reknock.Client):
    def request(self, method, url, **options):
        return super().request(method, URL + method.lower(), **options)


@pytest.mark.parametrize("verb", ["get", "options", "head", "post", "put", "patch", "delete"])
def test_a_request_of_ones_own_is_that_of_all_verbs(verb):
    with Script([200]) as script:
        getattr(Own(), verb)("http://b.test/")
    assert script.sends[0].url == URL + verb


NO_DESCRIPTORS = """
import resource, sys
sys.modules.pop('datetime', None)
import reknock
class Odd: pass
assert 'datetime' not in sys.modules
resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
for make in (lambda: reknock.Policy(timeout='1s'), lambda: reknock.Policy(timeout=Odd()), lambda: reknock.Policy.from_dict({'budget': Odd()}), lambda: reknock.Client(proxy=Odd())):
    try: make()
    except Exception as error: assert 'Panic' not in type(error).__name__, error
print('done')
"""


def test_nothing_panics_without_descriptors():
    ran = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n" + NO_DESCRIPTORS], capture_output=True, text=True, check=False)
    assert ran.stdout == "done\n" and "panicked" not in ran.stderr, ran.stderr


def test_a_context_of_ssl_is_refused_with_what_to_give_instead():
    for make in (reknock.Client, reknock.AsyncClient):
        with pytest.raises(reknock.ConfigError, match="^verify: must be true or false, got a value of type SSLContext; give root certificates as text or path, a client's own as cert$"):
            make(verify=ssl.create_default_context())
