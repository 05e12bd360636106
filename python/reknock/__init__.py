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
    Decision,
    Event,
    Headers,
    Limits,
    Lint,
    LoadedPolicy,
    Policy,
    Report,
    Request,
    Response,
    Retry,
    SentRequest,
    Verdict,
    __version__,
    lint,
    simulate,
)
from ._stream import AsyncStreamingResponse, StreamingResponse

__all__ = [
    "AsyncClient", "AsyncStreamingResponse", "Attempt", "AttemptRecord", "BearerAuth", "BodyError", "BudgetReading", "Budgets", "CallbackError", "Cancelled", "Client", "ClientClosed",
    "ConfigError", "ConnectError", "ConnectTimeout", "DeadlineExceeded", "Decision", "ENVOY_HEADERS", "Event", "HTTPError", "HTTPStatusError", "Headers",
    "InternalError", "InvalidRequest", "Limits", "Lint", "LoadedPolicy", "NetworkError", "Policy", "ProtocolError", "ReadError", "ReadTimeout", "RefusedStream",
    "RemoteProtocolError", "Report", "Request", "RequestError", "Response", "ResponseTooLarge", "Retry", "STOP", "SentRequest", "StreamClosed", "StreamingResponse", "TLSError", "TimeoutException", "TooManyRedirects",
    "TransportError", "Verdict", "__version__", "delete", "get", "head", "lint", "options", "patch", "post", "put", "request", "simulate", "stream",
]
