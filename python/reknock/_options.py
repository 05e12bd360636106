"""The types of options and callbacks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from os import PathLike
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

from ._native import Attempt, Budgets, Event, Policy, PolicySet, Request, Script

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

Seconds: TypeAlias = float | timedelta
Primitive: TypeAlias = str | int | float | bool | None
Pairs: TypeAlias = Mapping[str, Primitive | Sequence[Primitive]] | Iterable[tuple[str, Primitive]]
Block: TypeAlias = Mapping[str, object]
PolicyLike: TypeAlias = Policy | Block | str | Literal[False] | None
Pieces: TypeAlias = Iterable[bytes | str] | AsyncIterable[bytes | str]
Content: TypeAlias = bytes | bytearray | memoryview | str | IO[bytes] | Pieces | Callable[[], bytes | str | Pieces]
PartHeaders: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | None
File: TypeAlias = Content | tuple[str | None, Content] | tuple[str | None, Content, str | None] | tuple[str | None, Content, str | None, PartHeaders]
Dialect: TypeAlias = Literal["reknock", "envoy", "kgateway", "linkerd", "ballerina", "ktor", "istio", "envoy-gateway", "linkerd2"]
Kind: TypeAlias = Literal[
    "config", "invalid_request", "connect", "connect_timeout", "tls", "reset", "refused_stream", "protocol", "per_try_timeout", "body", "deadline",
    "too_many_redirects", "response_too_large", "cancelled", "callback", "closed", "internal",
]
StopReason: TypeAlias = Literal[
    "completed", "not_retryable", "predicate_stop", "not_idempotent", "body_not_replayable", "retries_exhausted", "retry_after_too_long", "deadline",
    "budget_exhausted", "cancelled", "callback", "closed", "nested",
]
Nesting: TypeAlias = Literal["stop", "allow"]
Evidence: TypeAlias = Literal["not_sent", "refused", "unknown"]
EventKind: TypeAlias = Literal["attempt_start", "interim", "attempt_end", "retry", "redirect", "end", "notice"]
Level: TypeAlias = Literal["debug", "info", "warning"]
Opinion: TypeAlias = bool | Seconds | Literal["stop"] | None
RetryIf: TypeAlias = Callable[[Attempt], Opinion | Awaitable[Opinion]]
Delay: TypeAlias = Callable[[Attempt], Seconds | None | Awaitable[Seconds | None]]
BeforeRetry: TypeAlias = Callable[[Attempt, Request], None | Awaitable[None]]
Auth: TypeAlias = tuple[str, str] | Callable[[Request], object]
OnEvent: TypeAlias = Callable[[Event], object]


class URLObject(Protocol):
    """A URL of httpx, yarl, pydantic or urllib.parse."""

    @property
    def scheme(self) -> str:
        """For example "https"."""


URL: TypeAlias = str | URLObject


class HasItems(Protocol):
    """Header fields of any client: a dict, an `email.message.Message`, a `Headers`."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Names and values."""


class PolicySettings(TypedDict, total=False):
    """The keywords of `Policy`, whose documentation tells what they do."""

    max_retries: int
    timeout: Seconds | str | None
    connect_timeout: Seconds | str | None
    per_try_timeout: Seconds | str | None
    per_try_until: Literal["head", "body"]
    idle_timeout: Seconds | str | None
    retry_on: str | Iterable[str] | None
    statuses: str | int | Iterable[str | int] | None
    stop_headers: Iterable[str | Block] | None
    response_headers: Iterable[str | Block] | None
    refused_headers: Iterable[str | Block] | None
    request_headers: Iterable[str | Block] | None
    methods: str | Iterable[str] | None
    backoff: Seconds | str | Block
    retry_after: Block | str | bool | None
    budget: Block | str | bool | None
    idempotency_key: Literal["honour", "auto", "none"] | None
    max_body_buffer: int | str
    attempt_header: str | None
    compat: Literal["envoy", "none"] | Block | None


class Callbacks(TypedDict, total=False):
    """What a client or a call may ask. In `AsyncClient` all but `on_event` may be coroutine functions.

    A call's come in place of its client's of the same name; None turns these off for the call.
    """

    retry_if: RetryIf | None
    """Asked after every attempt while a retry is possible. It adds retries to the policy's: True retries, so does a wait (seconds or a timedelta), False
    and None leave it to the policy; `STOP` stops. A yes says nothing of methods, limits and budgets, which hold as before."""
    delay: Delay | None
    """Asked for the wait before a retry, in seconds; None for the policy's."""
    before_retry: BeforeRetry | None
    """Edits the request of the next attempt alone."""
    on_event: OnEvent | None
    """Told of attempts, interim answers, retries, redirects, notices and the end. What it raises fails no call, but for Ctrl-C, SystemExit and the like."""
    with_body: bool
    """Lets `retry_if` and `delay` of buffered calls see the body."""


class CallOptions(Callbacks, total=False):
    """The options of one call."""

    params: Pairs | str | None
    """Appended to the URL's query. Values that are None are left out."""
    headers: Mapping[str, str | None] | Iterable[tuple[str, str | None]] | None
    """Header fields, in place of the client's of the same name; None leaves one out."""
    content: Content | None
    """The body: bytes, text, a file (sent again from where it stood), an iterable (sent once), or a callable that makes one."""
    data: Pairs | bytes | str | IO[bytes] | Iterator[bytes | str] | AsyncIterable[bytes | str] | None
    """A form body. A file or what yields pieces is the body itself, as `content`."""
    json: Any
    """A JSON body."""
    files: Mapping[str, File] | Iterable[tuple[str, File]] | None
    """The files of a multipart body, `data` being its fields: content, or a tuple of name, content, content type and header fields."""
    auth: Auth | None
    """User name and password, or a function that edits the request before it is sent first, such as `BearerAuth(token)`. None turns the client's off."""
    timeout: Seconds | None
    """Limit of the whole call in seconds: attempts, waits, callbacks, reading the body. None for no limit."""
    policy: PolicyLike
    """A `Policy`, or the name of a preset, replaces the client's, a dict is merged over it, False turns retries off."""
    follow_redirects: bool | None
    """Whether redirects are followed."""
    name: str | None
    """What the call is named in events, failures and telemetry: an operation or the template of a URL, such as "orders.get". Never sent."""
    nesting: Nesting
    """Within an attempt of an adapter or of a function that is retried, "stop" sends once, "allow" retries there too, which multiplies. Default: the client's."""


class ClientOptions(Callbacks, total=False):
    """The options of a client."""

    policy: PolicyLike | PolicySet
    """The policy of all calls that bring none of their own, or a set, which chooses for each call by its first URL."""
    timeout: Seconds | None
    """Limit of a whole call in seconds. None for no limit."""
    base_url: URL
    """What relative URLs are appended to. Default: None."""
    headers: Mapping[str, str | None] | Sequence[tuple[str, str]] | None
    """Header fields of all requests that do not bring them themselves; None leaves one out that would be there, such as `user-agent`. Default: None."""
    auth: Auth | None
    """User name and password, or a function that edits the request before it is sent first, such as `BearerAuth(token)`. Default: None."""
    follow_redirects: bool
    """Whether redirects are followed. Default: True."""
    max_redirects: int
    """The most redirects that are followed in one call. Default: 20."""
    max_response_size: int | str | None
    """The largest response body, decompressed, that is read into memory: bytes, or text such as "10MiB". Default: None."""
    http2: bool | Literal["auto", "only", "none"]
    """Which HTTP versions to speak. Default: "auto"."""
    http2_ping: Seconds | None
    """How long the peer of an HTTP/2 connection is silent, while requests are open, before it is asked for a sign of life, in seconds. None asks never. Default: 5."""
    proxy: str | Literal[False] | None
    """The proxy for everything (http, https, socks5 or socks5h). None or False also ignores the environment's. Default: what the environment says."""
    verify: bool | str | PathLike[str]
    """Whether the server's certificate is checked; or the root certificates to trust alone: PEM text, or a path. Default: True."""
    ca_bundle: str | PathLike[str] | None
    """Root certificates to trust besides the system's: PEM text, or a path. Default: None."""
    cert: str | PathLike[str] | Sequence[str | PathLike[str]] | None
    """The certificate to show to servers that ask: PEM text or a path, or a pair of certificate and key. Default: None."""
    compression: bool
    """Whether to ask for compressed bodies, and decompress them. Default: True."""
    unix_socket: str | PathLike[str] | None
    """The Unix socket to connect to in place of any address, whatever the URL's host; no proxy is used then. Default: None."""
    local_address: str | None
    """The address to connect from; a server's addresses of the other family are passed over. Default: None."""
    interface: str | None
    """The network interface to connect from, such as `eth0` (Linux and Android). Default: None."""
    pool_idle_timeout: Seconds | None
    """How long an unused connection is kept, in seconds. Default: 4."""
    pool_max_idle_per_host: int
    """How many unused connections are kept per origin. Default: 1000."""
    max_connections: int
    """The most connections that are open at once, unused ones included. Calls beyond wait in order: no attempt's time, only `timeout` goes on. Default: 512."""
    max_connections_per_origin: int
    """Likewise, to one origin. Default: 256."""
    cookies: bool | Mapping[str, str] | CookieJar | None
    """Whether cookies that servers set are kept and sent back. A mapping, or a jar that is copied, is what to begin with. Default: True."""
    budget_dir: str | PathLike[str] | None
    """Where budgets with `share: host` are: a directory that is this user's alone. Default: REKNOCK_BUDGET_DIR, else /dev/shm/reknock-UID."""
    share_required: bool
    """Whether a budget with `share: host` that cannot be shared is an error; else it is the process's alone, and its reading says why. Default: False."""
    envoy_headers: bool
    """Whether `x-envoy-retry-on` and its kin on a request change its policy, as in Envoy. Default: False."""
    nesting: Nesting
    """Within an attempt of an adapter or of a function that is retried, "stop" sends once, "allow" retries there too, which multiplies. Default: "stop"."""
    budgets: Budgets | None
    """Retry budgets to share with other clients, adapters and functions, in place of the client's own."""
    transport: Script | None
    """What answers in place of servers: a script of `reknock.testing`."""
