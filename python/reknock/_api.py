"""The module's verbs: blocking calls on one client that all of them share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from ._client import Client
from ._native import Response

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Unpack

    from ._options import URL, CallOptions
    from ._stream import StreamingResponse


@cache
def default_client() -> Client:
    """The client of the verbs, made on first use. Strangers share it, so that it keeps no cookies."""
    return Client(cookies=False)


def request(method: str, url: URL, **options: Unpack[CallOptions]) -> Response:
    """Sends a request and reads the whole response. Raises an `HTTPError` if there is none; any status is a response.

        response = reknock.request("GET", "http://127.0.0.1:8080/orders", params={"page": 2}, timeout=10)

    On one client with the default options, which keeps no cookies. Keywords as of `Client.request`.
    """
    return default_client().request(method, url, **options)


def stream(method: str, url: URL, **options: Unpack[CallOptions]) -> AbstractContextManager[StreamingResponse]:
    """Sends a request and hands out the response once its head is there.

        with reknock.stream("GET", "http://127.0.0.1:8080/export") as response:
            for piece in response.iter_bytes(): ...

    Keywords as of `Client.request`.
    """
    return default_client().stream(method, url, **options)


def get(url: URL, **options: Unpack[CallOptions]) -> Response:
    """Sends a GET request.

        orders = reknock.get("http://127.0.0.1:8080/orders", timeout=10).raise_for_status().json()

    Keywords as of `Client.request`.
    """
    return default_client().request("GET", url, **options)


def options(url: URL, **options: Unpack[CallOptions]) -> Response:
    """Sends an OPTIONS request. Keywords as of `Client.request`."""
    return default_client().request("OPTIONS", url, **options)


def head(url: URL, **options: Unpack[CallOptions]) -> Response:
    """Sends a HEAD request. Keywords as of `Client.request`."""
    return default_client().request("HEAD", url, **options)


def post(url: URL, **options: Unpack[CallOptions]) -> Response:
    """Sends a POST request. Keywords as of `Client.request`."""
    return default_client().request("POST", url, **options)


def put(url: URL, **options: Unpack[CallOptions]) -> Response:
    """Sends a PUT request. Keywords as of `Client.request`."""
    return default_client().request("PUT", url, **options)


def patch(url: URL, **options: Unpack[CallOptions]) -> Response:
    """Sends a PATCH request. Keywords as of `Client.request`."""
    return default_client().request("PATCH", url, **options)


def delete(url: URL, **options: Unpack[CallOptions]) -> Response:
    """Sends a DELETE request. Keywords as of `Client.request`."""
    return default_client().request("DELETE", url, **options)
