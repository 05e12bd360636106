"""Exceptions: the names of httpx, and one table from the core's kinds of errors to classes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from ._native import AttemptRecord, ResponseHead


class HTTPError(Exception):
    """Anything that goes wrong with a call."""

    kind: ClassVar[str | None] = None
    """The core's code for it, the same in every language."""

    attempts: tuple[AttemptRecord, ...] = ()
    """What was sent, in order. Empty when nothing was tried."""

    stop_reason: str | None = None
    """Why nothing further was sent. None when nothing was tried."""

    status_code: int | None = None
    """The status of the response whose body failed, if that is what happened."""

    timeline: str = ""

    def explain(self) -> str:
        """The attempts as a short timeline, with the advice that fits the stop reason."""
        return self.timeline


class RequestError(HTTPError):
    """A call that gave no response."""


class TransportError(RequestError):
    """A connection, or what went over it, failed."""


class TimeoutException(TransportError, TimeoutError):
    """A limit of time passed."""


class NetworkError(TransportError, ConnectionError):
    """A connection could not be made, or went away."""


class ProtocolError(TransportError):
    """HTTP was not spoken as it should be."""


class ConfigError(HTTPError, ValueError):
    """A policy, a client option or a budget cannot be what was asked for. Raised at construction."""

    kind = "config"


class InvalidRequest(RequestError, ValueError):
    """The request itself is impossible (URL, method, header, body). Nothing was sent."""

    kind = "invalid_request"


class ConnectError(NetworkError):
    """No connection: name resolution, refusal, unreachable, proxy refusal. Nothing was sent."""

    kind = "connect"


class ConnectTimeout(TimeoutException):
    """No connection within `connect_timeout`. Nothing was sent."""

    kind = "connect_timeout"


class TLSError(ConnectError):
    """Certificate or TLS alert: does not heal by itself."""

    kind = "tls"


class ReadError(NetworkError):
    """The connection went away before the response head."""

    kind = "reset"


class RemoteProtocolError(ProtocolError):
    """The peer does not speak HTTP as we know it."""

    kind = "protocol"


class RefusedStream(RemoteProtocolError):
    """HTTP/2 REFUSED_STREAM, or GOAWAY below our stream."""

    kind = "refused_stream"


class ReadTimeout(TimeoutException):
    """One attempt took longer than `per_try_timeout` to its response head."""

    kind = "per_try_timeout"


class BodyError(ReadError):
    """A body was cut, corrupt, shorter than its content-length, or silent for `idle_timeout`."""

    kind = "body"


class DeadlineExceeded(TimeoutException):
    """The call took longer than `timeout`."""

    kind = "deadline"


class TooManyRedirects(RequestError):
    """More redirects than allowed."""

    kind = "too_many_redirects"


class ResponseTooLarge(RequestError):
    """The buffered, decompressed body passed `max_response_size`."""

    kind = "response_too_large"


class Cancelled(RequestError):
    """The call was cancelled."""

    kind = "cancelled"


class CallbackError(RequestError):
    """A callback answered with something that is no answer."""

    kind = "callback"


class ClientClosed(RequestError, RuntimeError):
    """The client was closed."""

    kind = "closed"


class StreamClosed(HTTPError, RuntimeError):
    """A streamed body was closed, or is being read by somebody else."""

    def __init__(self, message: str = "the body is closed, or being read by somebody else") -> None:
        super().__init__(message)


class InternalError(HTTPError, RuntimeError):
    """A bug in reknock or below. Please report it."""

    kind = "internal"


class HTTPStatusError(HTTPError):
    """`raise_for_status` met a status that is not 200-299."""

    def __init__(self, message: str, response: ResponseHead) -> None:
        super().__init__(message)
        self.response = response
        self.status_code = response.status_code
        self.attempts = response.attempts
        self.stop_reason = response.stop_reason
        self.timeline = response.explain()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.response)


BY_KIND: dict[str, type[HTTPError]] = {
    error.kind: error
    for error in (
        ConfigError, InvalidRequest, ConnectError, ConnectTimeout, TLSError, ReadError, RefusedStream, RemoteProtocolError, ReadTimeout,
        BodyError, DeadlineExceeded, TooManyRedirects, ResponseTooLarge, Cancelled, CallbackError, ClientClosed, InternalError,
    )
    if error.kind is not None
}
"""The class of each kind."""
