"""The engines of `reknock.httpx` and `reknock.httpx2`: transports that send through reknock's own client. Made twice, as those that wrap."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ._client import AsyncClient, Client
from ._clock import least
from ._exceptions import RequestError
from ._httpx_transport import is_replayable
from ._native import Policy, Retry
from ._records import Records
from ._retrying import policy_over

CLIENTS = frozenset({
    "http2", "http2_ping", "proxy", "verify", "ca_bundle", "cert", "unix_socket", "local_address", "interface", "pool_idle_timeout",
    "pool_max_idle_per_host", "max_connections", "max_connections_per_origin", "envoy_headers", "transport", "before_retry", "budget_dir", "share_required",
})
"""What else of a client's options an engine takes: what httpx does above its transports (cookies, redirects, decoding, base_url, auth) is left to it."""

CALLS = ("policy", "retry_if", "delay", "before_retry", "on_event", "nesting")

ERRORS = {
    "connect": "ConnectError", "tls": "ConnectError", "connect_timeout": "ConnectTimeout", "per_try_timeout": "ReadTimeout", "deadline": "ReadTimeout",
    "reset": "ReadError", "refused_stream": "RemoteProtocolError", "protocol": "RemoteProtocolError", "body": "RemoteProtocolError",
    "invalid_request": "LocalProtocolError",
}
"""What a failure is called by those who know httpx, by its kind. Others come as they are."""

UNSAID = frozenset({"connection", "transfer-encoding"})
"""Header fields that say how a message is framed: whoever sends it knows."""


def engines(package: str) -> tuple[type, type]:
    """`EngineTransport` and `AsyncEngineTransport` for `httpx` or `httpx2`."""
    httpx: Any = import_module(package)

    class _Engine:
        _client: type

        def __init__(
            self,
            policy: Any = None,
            *,
            budgets: Any = None,
            buffer: bool = False,
            retry_if: Any = None,
            delay: Any = None,
            on_event: Any = None,
            nesting: Any = None,
            **client: Any,
        ) -> None:
            unknown = set(client) - CLIENTS
            if unknown:
                raise TypeError(f"an engine takes {', '.join(sorted(CLIENTS))} of a client, not {', '.join(sorted(unknown))}")
            self.policy, self.buffer = policy_over(Policy(), policy), buffer
            client = {"cookies": False, "compression": False, "follow_redirects": False, "headers": {"user-agent": None}, **client}
            callbacks = {"retry_if": retry_if, "delay": delay, "on_event": on_event}
            self.client = self._client(policy=self.policy, budgets=budgets, nesting=nesting, **callbacks, **client)
            self._limited: dict[Any, Policy] = {}

        def _call(self, request: Any) -> dict[str, Any]:
            """The options of a request's call, `buffer` among them."""
            extensions = request.extensions
            for name in ("sni_hostname", "target"):
                if name in extensions:
                    raise httpx.UnsupportedProtocol(f"an engine cannot send {name}; use RetryTransport", request=request)
            said = extensions.get("reknock") or {}
            unknown = set(said) - {*CALLS, "buffer"}
            if unknown:
                raise TypeError(f"reknock takes buffer, {', '.join(CALLS)} of a call, not {', '.join(sorted(unknown))}")
            options = {"buffer": self.buffer, **said}
            options["policy"] = self._within(policy_over(self.policy, said.get("policy")), extensions.get("timeout") or {})
            options["headers"] = [(name, value) for name, value in request.headers.multi_items() if name.lower() not in UNSAID]
            stream = request.stream
            if isinstance(stream, httpx.ByteStream):
                content = b"".join(stream)
                if content:
                    options["content"] = content
            else:
                options["content"] = (lambda: stream) if is_replayable(stream, httpx) else stream
            return options

        def _within(self, policy: Policy, theirs: dict[str, Any]) -> Policy:
            """A policy whose limits are no longer than theirs."""
            connect, read = least(theirs.get("connect"), theirs.get("pool")), theirs.get("read")
            if connect is None and read is None:
                return policy
            known = self._limited.get((connect, read)) if policy is self.policy else None
            if known is not None:
                return known
            own = Retry(policy, now=0).limits(now=0)
            assert own is not None
            limits: dict[str, Any] = {
                "connect_timeout": least(connect, own.connect_timeout), "per_try_timeout": least(read, own.per_try_timeout),
                "idle_timeout": least(read, own.idle_timeout),
            }
            limited = policy.replace(**{name: limit for name, limit in limits.items() if limit is not None})
            if policy is self.policy and len(self._limited) < 100:
                self._limited[connect, read] = limited
            return limited

        def __repr__(self) -> str:
            return f"<reknock.{package}.{type(self).__name__} {self.policy!r}>"

    def answer(response: Any, stream: Any) -> Any:
        """The response as httpx has it."""
        extensions = {
            "http_version": response.http_version.encode(), "reknock": Records(response.attempts, response.stop_reason, response.explain()),
        }
        return httpx.Response(response.status_code, headers=response.headers.multi_items(), stream=stream, extensions=extensions)

    def told(error: RequestError, request: Any) -> Any:
        """The failure by their name; what was sent for it is found on its cause."""
        name = ERRORS.get(error.kind or "")
        return error if name is None else getattr(httpx, name)(str(error), request=request)

    class SyncBody(httpx.SyncByteStream):  # type: ignore[misc]
        """A body that is read as it comes."""

        def __init__(self, opened: Any, response: Any, request: Any) -> None:
            self.opened, self.response, self.request = opened, response, request

        def __iter__(self) -> Any:
            try:
                yield from self.response.iter_bytes()
            except RequestError as error:
                raise told(error, self.request) from error

        def close(self) -> None:
            self.opened.__exit__(None, None, None)

    class AsyncBody(httpx.AsyncByteStream):  # type: ignore[misc]
        """Likewise."""

        def __init__(self, opened: Any, response: Any, request: Any) -> None:
            self.opened, self.response, self.request = opened, response, request

        async def __aiter__(self) -> Any:
            try:
                async for piece in self.response.aiter_bytes():
                    yield piece
            except RequestError as error:
                raise told(error, self.request) from error

        async def aclose(self) -> None:
            await self.opened.__aexit__(None, None, None)

    class EngineTransport(_Engine, httpx.BaseTransport):  # type: ignore[misc]
        """Sends through reknock's own client, in place of httpx's pool: faster, and bodies are sent again from where they are.

        policy, budgets, buffer, retry_if, delay, on_event, nesting: as of `RetryTransport`.
        Other options are those of `reknock.Client` that say how to connect: proxy, verify, cert, http2 and so on.

        What changes: mocks and instrumentation of httpx's own transports see nothing (a `reknock.testing.Script` answers instead), and neither
        proxies, certificates and limits of `httpx.Client(...)` hold, nor `trace` and `network_stream`. httpx's timeouts `connect`, `pool` and `read` do.
        """

        _client = Client

        def handle_request(self, request: Any) -> Any:
            options = self._call(request)
            try:
                if options.pop("buffer"):
                    response = self.client.request(request.method, str(request.url), **options)
                    return answer(response, httpx.ByteStream(response.content))
                opened = self.client.stream(request.method, str(request.url), **options)
                response = opened.__enter__()
            except RequestError as error:
                raise told(error, request) from error
            return answer(response, SyncBody(opened, response, request))

        def close(self) -> None:
            """Closes the client."""
            self.client.close()

    class AsyncEngineTransport(_Engine, httpx.AsyncBaseTransport):  # type: ignore[misc]
        """As `EngineTransport`, in asyncio and trio. Callbacks may be coroutine functions."""

        _client = AsyncClient

        async def handle_async_request(self, request: Any) -> Any:
            options = self._call(request)
            try:
                if options.pop("buffer"):
                    response = await self.client.request(request.method, str(request.url), **options)
                    return answer(response, httpx.ByteStream(response.content))
                opened = self.client.stream(request.method, str(request.url), **options)
                response = await opened.__aenter__()
            except RequestError as error:
                raise told(error, request) from error
            return answer(response, AsyncBody(opened, response, request))

        async def aclose(self) -> None:
            """Closes the client."""
            await self.client.aclose()

    for made in (EngineTransport, AsyncEngineTransport):
        made.__module__, made.__qualname__ = f"reknock.{package}", made.__name__
    return EngineTransport, AsyncEngineTransport
