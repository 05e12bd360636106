"""An HTTP client that retries: one policy, one budget, sync and async."""

from ._api import delete, get, head, options, patch, post, put, request, stream
from ._client import AsyncClient, BearerAuth, Client
from ._exceptions import (
    BodyError,
    CallbackError,
    Cancelled,
    ClientClosed,
    ConfigError,
    ConnectError,
    ConnectTimeout,
    DeadlineExceeded,
    HTTPError,
    HTTPStatusError,
    InternalError,
    InvalidRequest,
    NetworkError,
    ProtocolError,
    ReadError,
    ReadTimeout,
    RefusedStream,
    RemoteProtocolError,
    RequestError,
    ResponseTooLarge,
    StreamClosed,
    TimeoutException,
    TLSError,
    TooManyRedirects,
    TransportError,
)
from ._native import (
    ENVOY_HEADERS,
    STOP,
    Attempt,
    AttemptRecord,
    BudgetReading,
    Budgets,
    Comparison,
    Cookies,
    Decision,
    Event,
    Headers,
    Identity,
    Limits,
    Lint,
    LoadedPolicy,
    Policy,
    PolicySet,
    Report,
    Request,
    Response,
    Retry,
    SentRequest,
    Verdict,
    __version__,
    compare,
    lint,
    simulate,
)
from ._nesting import current_attempt
from ._stream import AsyncStreamingResponse, StreamingResponse

__all__ = [
    "AsyncClient", "AsyncStreamingResponse", "Attempt", "AttemptRecord", "BearerAuth", "BodyError", "BudgetReading", "Budgets", "CallbackError", "Cancelled", "Client", "ClientClosed",
    "Comparison", "ConfigError", "ConnectError", "ConnectTimeout", "Cookies", "DeadlineExceeded", "Decision", "ENVOY_HEADERS", "Event", "HTTPError", "HTTPStatusError", "Headers",
    "Identity", "InternalError", "InvalidRequest", "Limits", "Lint", "LoadedPolicy", "NetworkError", "Policy", "PolicySet", "ProtocolError", "ReadError", "ReadTimeout", "RefusedStream",
    "RemoteProtocolError", "Records", "Report", "Request", "RequestError", "Response", "ResponseTooLarge", "Retry", "STOP", "SentRequest", "StreamClosed", "StreamingResponse", "TLSError", "TimeoutException", "TooManyRedirects",
    "TransportError", "Verdict", "__version__", "acall", "attempts", "attempts_of", "call", "compare", "current_attempt", "delete", "get", "head", "lint", "options", "patch", "post", "put", "request", "retrying", "simulate", "stream",
]


_LATER = {
    **dict.fromkeys(("acall", "attempts", "call", "retrying"), "_functions"),
    **dict.fromkeys(("Records", "attempts_of"), "_records"),
}
"""What is seldom needed, and where it is: imported when it is needed."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._functions import acall, attempts, call, retrying
    from ._records import Records, attempts_of


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{_LATER[name]}", __name__), name)
    return value
