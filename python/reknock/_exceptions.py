"""Exceptions: the names of httpx, and one table from the core's kinds of errors to classes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from ._native import AttemptRecord, Identity, ResponseHead
    from ._options import Kind, StopReason


class HTTPError(Exception):
    """Anything that goes wrong with a call.

        try:
            client.get(url)
        except reknock.HTTPError as error:
            print(error.kind, error.stop_reason, len(error.attempts))
            print(error.explain())

    What a callback raises comes out as it is, and is none of these.
    """

    kind: ClassVar[Kind | None] = None
    """The core's code for it, the same in every language."""

    attempts: tuple[AttemptRecord, ...] = ()
    """What was sent, in order. Empty when nothing was tried."""

    stop_reason: StopReason | None = None
    """Why nothing further was sent. None when nothing was tried."""

    status_code: int | None = None
    """The status of the response whose body failed, if that is what happened."""

    request: Identity | None = None
    """Whose call failed: its method, url, name and call_id. None where none had begun."""

    timeline: str = ""

    def explain(self) -> str:
        """The call and its attempts as a short timeline, with the advice that fits the stop reason."""
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

    kind: ClassVar[Kind | None] = "config"


class InvalidRequest(RequestError, ValueError):
    """The request itself is impossible (URL, method, header, body). Nothing was sent."""

    kind: ClassVar[Kind | None] = "invalid_request"


class ConnectError(NetworkError):
    """No connection: name resolution, refusal, unreachable, proxy refusal. Nothing was sent."""

    kind: ClassVar[Kind | None] = "connect"


class ConnectTimeout(TimeoutException):
    """No connection within `connect_timeout`. Nothing was sent."""

    kind: ClassVar[Kind | None] = "connect_timeout"


class TLSError(ConnectError):
    """Certificate or TLS alert: does not heal by itself."""

    kind: ClassVar[Kind | None] = "tls"


class ReadError(NetworkError):
    """The connection went away before the response head."""

    kind: ClassVar[Kind | None] = "reset"


class RemoteProtocolError(ProtocolError):
    """The peer does not speak HTTP as we know it."""

    kind: ClassVar[Kind | None] = "protocol"


class RefusedStream(RemoteProtocolError):
    """HTTP/2 REFUSED_STREAM, or GOAWAY below our stream."""

    kind: ClassVar[Kind | None] = "refused_stream"


class ReadTimeout(TimeoutException):
    """One attempt took longer than `per_try_timeout` to its response head."""

    kind: ClassVar[Kind | None] = "per_try_timeout"


class BodyError(ReadError):
    """A body was cut, corrupt, shorter than its content-length, or silent for `idle_timeout`."""

    kind: ClassVar[Kind | None] = "body"


class DeadlineExceeded(TimeoutException):
    """The call took longer than `timeout`."""

    kind: ClassVar[Kind | None] = "deadline"


class TooManyRedirects(RequestError):
    """More redirects than allowed."""

    kind: ClassVar[Kind | None] = "too_many_redirects"


class ResponseTooLarge(RequestError):
    """The buffered, decompressed body passed `max_response_size`."""

    kind: ClassVar[Kind | None] = "response_too_large"


class Cancelled(RequestError):
    """The call was cancelled."""

    kind: ClassVar[Kind | None] = "cancelled"


class CallbackError(RequestError):
    """A callback answered with something that is no answer."""

    kind: ClassVar[Kind | None] = "callback"


class ClientClosed(RequestError, RuntimeError):
    """The client was closed."""

    kind: ClassVar[Kind | None] = "closed"


class StreamClosed(HTTPError, RuntimeError):
    """A streamed body was closed, or is being read by somebody else."""

    def __init__(self, message: str = "the body is closed, or being read by somebody else") -> None:
        super().__init__(message)


class InternalError(HTTPError, RuntimeError):
    """A bug in reknock or below. Please report it."""

    kind: ClassVar[Kind | None] = "internal"


class HTTPStatusError(HTTPError):
    """`raise_for_status` met a status that is not 200-299."""

    def __init__(self, message: str, response: ResponseHead) -> None:
        super().__init__(message)
        self.response = response
        self.status_code = response.status_code
        self.attempts = response.attempts
        self.stop_reason = response.stop_reason
        self.timeline = response.explain()
        self.request = response.call

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
