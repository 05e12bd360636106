"""What failures of other clients mean: kinds and evidence by the names of their classes, so that none of them is imported.

Never by message text. Unknown unless the class proves it: a failure that may come after bytes were sent is `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

Evidence: TypeAlias = Literal["not_sent", "refused", "unknown"]
Failure: TypeAlias = tuple[str, Evidence]

NOT_SENT: Evidence = "not_sent"
REFUSED: Evidence = "refused"
UNKNOWN: Evidence = "unknown"

_HTTPX: dict[str, Failure] = {
    "ConnectTimeout": ("connect_timeout", NOT_SENT), "PoolTimeout": ("connect_timeout", NOT_SENT),
    "ProxyError": ("connect", NOT_SENT), "ConnectError": ("connect", NOT_SENT),
    "ReadTimeout": ("per_try_timeout", UNKNOWN), "WriteTimeout": ("per_try_timeout", UNKNOWN),
    "ReadError": ("reset", UNKNOWN), "WriteError": ("reset", UNKNOWN), "CloseError": ("reset", UNKNOWN),
    "RemoteProtocolError": ("protocol", UNKNOWN),
    "LocalProtocolError": ("invalid_request", NOT_SENT), "UnsupportedProtocol": ("invalid_request", NOT_SENT), "InvalidURL": ("invalid_request", NOT_SENT),
    "DecodingError": ("body", UNKNOWN), "TooManyRedirects": ("too_many_redirects", UNKNOWN), "TimeoutException": ("per_try_timeout", UNKNOWN),
}

_TABLES: dict[str, dict[str, Failure]] = {
    "httpx": _HTTPX,
    "httpx2": _HTTPX,
    "requests": {
        "ConnectTimeout": ("connect_timeout", NOT_SENT), "ProxyError": ("connect", NOT_SENT), "ReadTimeout": ("per_try_timeout", UNKNOWN),
        "ChunkedEncodingError": ("body", UNKNOWN), "ContentDecodingError": ("body", UNKNOWN), "TooManyRedirects": ("too_many_redirects", UNKNOWN),
        "ConnectionError": ("reset", UNKNOWN), "Timeout": ("per_try_timeout", UNKNOWN),
        "InvalidURL": ("invalid_request", NOT_SENT), "MissingSchema": ("invalid_request", NOT_SENT),
        "InvalidSchema": ("invalid_request", NOT_SENT), "InvalidHeader": ("protocol", UNKNOWN),
    },
    "urllib3": {
        "NewConnectionError": ("connect", NOT_SENT), "NameResolutionError": ("connect", NOT_SENT),
        "ConnectTimeoutError": ("connect_timeout", NOT_SENT), "ProxyError": ("connect", NOT_SENT), "SSLError": ("connect", NOT_SENT),
        "ReadTimeoutError": ("per_try_timeout", UNKNOWN), "IncompleteRead": ("body", UNKNOWN), "InvalidChunkLength": ("body", UNKNOWN),
        "DecodeError": ("body", UNKNOWN), "ProtocolError": ("reset", UNKNOWN), "EmptyPoolError": ("connect_timeout", NOT_SENT),
        "LocationValueError": ("invalid_request", NOT_SENT), "InvalidHeader": ("protocol", UNKNOWN), "TimeoutError": ("per_try_timeout", UNKNOWN),
    },
    "aiohttp": {
        "ClientConnectorCertificateError": ("tls", NOT_SENT), "ClientConnectorError": ("connect", NOT_SENT),
        "ClientProxyConnectionError": ("connect", NOT_SENT), "ConnectionTimeoutError": ("connect_timeout", NOT_SENT),
        "ServerDisconnectedError": ("reset", UNKNOWN), "ClientConnectionResetError": ("reset", UNKNOWN), "ClientOSError": ("reset", UNKNOWN),
        "ServerFingerprintMismatch": ("tls", NOT_SENT), "ServerTimeoutError": ("per_try_timeout", UNKNOWN),
        "ClientPayloadError": ("body", UNKNOWN), "InvalidURL": ("invalid_request", NOT_SENT), "TooManyRedirects": ("too_many_redirects", UNKNOWN),
        "ClientConnectionError": ("reset", UNKNOWN), "ClientResponseError": ("protocol", UNKNOWN),
    },
    "botocore": {
        "EndpointConnectionError": ("connect", NOT_SENT), "ConnectTimeoutError": ("connect_timeout", NOT_SENT),
        "ProxyConnectionError": ("connect", NOT_SENT), "SSLError": ("connect", NOT_SENT), "ReadTimeoutError": ("per_try_timeout", UNKNOWN),
        "ConnectionClosedError": ("reset", UNKNOWN), "HTTPClientError": ("reset", UNKNOWN),
        "IncompleteReadError": ("body", UNKNOWN), "ResponseStreamingError": ("body", UNKNOWN),
    },
    "http": {
        "RemoteDisconnected": ("reset", UNKNOWN), "BadStatusLine": ("protocol", UNKNOWN), "LineTooLong": ("protocol", UNKNOWN), "IncompleteRead": ("body", UNKNOWN), "InvalidURL": ("invalid_request", NOT_SENT),
        "HTTPException": ("protocol", UNKNOWN),
    },
    "ssl": {"SSLCertVerificationError": ("tls", NOT_SENT), "SSLError": ("reset", UNKNOWN)},
    "socket": {"gaierror": ("connect", NOT_SENT)},
    "builtins": {
        "ConnectionRefusedError": ("connect", NOT_SENT), "ConnectionResetError": ("reset", UNKNOWN), "BrokenPipeError": ("reset", UNKNOWN),
        "ConnectionAbortedError": ("reset", UNKNOWN), "TimeoutError": ("per_try_timeout", UNKNOWN),
    },
}


def class_name(error: BaseException) -> str:
    """What a record calls a failure: `httpx.ConnectError`, `ValueError`."""
    kind = type(error)
    root = kind.__module__.split(".")[0].lstrip("_")
    return kind.__qualname__ if root in ("builtins", "__main__") else f"{root}.{kind.__qualname__}"


def _named(error: object) -> Iterator[tuple[str, str]]:
    """The packages and names of its classes, its own first. Some builtins belong to modules that are written in C: `_ssl`, `_socket`."""
    for kind in type(error).__mro__:
        yield kind.__module__.split(".")[0].lstrip("_"), kind.__name__


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        yield found
        seen.add(id(found))
        found = found.__cause__ or found.__context__


def failure_of(error: BaseException) -> Failure | None:
    """The kind of a failure and what it proves, or None if it is none of HTTP."""
    kind = getattr(type(error), "kind", None)
    if isinstance(kind, str) and type(error).__module__.startswith("reknock"):
        # Its attempts are one here: the least that is proved of any of them.
        proved = {attempt.evidence for attempt in getattr(error, "attempts", ())}
        return kind, next((least for least in (UNKNOWN, REFUSED, NOT_SENT) if least in proved), UNKNOWN)
    inner = _inner(error)
    if inner is not None and (found := failure_of(inner)) is not None:
        return found
    for package, name in _named(error):
        found = _TABLES.get(package, {}).get(name)
        if found is not None:
            return _refined(error, package, found)
    return None


def followed(thing: object) -> bool:
    """Whether a response, or that of an error, came after redirects that its client followed."""
    for holder in (thing, getattr(thing, "response", None)):
        history, attempts = getattr(holder, "history", None), getattr(holder, "attempts", None)
        # By their types, because a mock has all that it is asked for.
        if isinstance(history, tuple | list) and history:
            return True
        if isinstance(attempts, tuple | list) and any(getattr(attempt, "hop", 0) for attempt in attempts):
            return True
    return False


def _inner(error: BaseException) -> BaseException | None:
    """The failure that a wrapper wraps, where it says which."""
    names = [f"{package}.{name}" for package, name in _named(error)]
    first = error.args[0] if error.args else None
    for name in names:
        if name == "urllib3.MaxRetryError":
            reason = getattr(error, "reason", None)
            return reason if isinstance(reason, BaseException) else None
        if name == "urllib3.ProtocolError" and len(error.args) > 1 and type(error.args[1]).__module__ == "http.client":
            return error.args[1] if isinstance(error.args[1], BaseException) else None
        if name in ("requests.ConnectionError", "requests.SSLError") and isinstance(first, BaseException):
            return first
        if name in ("openai.APIConnectionError", "anthropic.APIConnectionError", "botocore.HTTPClientError"):
            wrapped = error.__cause__ or getattr(error, "kwargs", {}).get("error")
            return wrapped if isinstance(wrapped, BaseException) else None
    return None


def _refined(error: BaseException, package: str, found: Failure) -> Failure:
    """A connection that could not be made because of a certificate does not heal; a stream that HTTP/2 refused was not processed."""
    if found[0] == "connect" and any(name == "SSLCertVerificationError" for cause in chain(error) for _, name in _named(cause)):
        return "tls", NOT_SENT
    if found[0] == "protocol" and package in ("httpx", "httpx2"):
        # A parser that understood something else; without one, the connection ended where a response should have begun.
        found = found if any(package in ("h11", "h2", "hpack") for cause in chain(error) for package, _ in _named(cause)) else ("reset", UNKNOWN)
        for cause in chain(error):
            event = cause.args[0] if cause.args else None
            name = type(event).__name__
            if name == "StreamReset":
                return ("refused_stream", "refused") if getattr(event, "error_code", None) == 7 else ("reset", UNKNOWN)
            if name == "ConnectionTerminated":
                return ("refused_stream", "refused") if getattr(event, "last_stream_id", None) == 0 else ("reset", UNKNOWN)
    return found


def response_of(thing: object) -> tuple[int, Any] | None:
    """The status and header fields of what is shaped like a response, or of a failure that tells of one."""
    for holder in (thing, getattr(thing, "response", None)):
        if isinstance(holder, dict):
            about = holder.get("ResponseMetadata", {})
            if isinstance(about.get("HTTPStatusCode"), int):
                return about["HTTPStatusCode"], about.get("HTTPHeaders") or {}
            continue
        headers = getattr(holder, "headers", None)
        if headers is None:
            continue
        for name in ("status_code", "status", "code"):
            status = getattr(holder, name, None)
            if type(status) is int and 100 <= status <= 999 and hasattr(headers, "items"):
                return status, headers
    return None
