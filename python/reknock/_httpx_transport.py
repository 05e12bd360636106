"""The transports of `reknock.httpx` and `reknock.httpx2`: made twice, over either package, whose classes are not interchangeable."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from . import _clock
from ._bodies import IterRecording, Recording
from ._clock import least
from ._failures import failure_of
from ._retrying import Call, CurrentAttempt, Failed, Options, arun, run, steps

DRAIN, DRAIN_SECONDS = 64 * 1024, 0.05
"""The most of a dropped response that is read so that its connection can be used again, and how long it may be silent."""


def is_replayable(stream: Any, httpx: Any) -> bool:
    """Bytes are; so is a multipart body whose files can all be sent from their beginning."""
    if isinstance(stream, httpx.ByteStream):
        return True
    fields = getattr(stream, "fields", None)
    if fields is None:
        return False
    files = [getattr(part, "file", b"") for part in fields]
    return all(isinstance(file, (bytes, str)) or (hasattr(file, "seekable") and file.seekable()) for file in files)


def transports(package: str) -> tuple[type, type]:
    """`RetryTransport` and `AsyncRetryTransport` for `httpx` or `httpx2`."""
    httpx: Any = import_module(package)

    class _Retrying:
        def __init__(
            self,
            inner: Any = None,
            policy: Any = None,
            *,
            budgets: Any = None,
            buffer: bool = False,
            retry_if: Any = None,
            delay: Any = None,
            on_event: Any = None,
            nesting: Any = None,
            name: Any = None,
        ) -> None:
            self.inner = self._default() if inner is None else inner
            theirs = {kind.__module__.split(".")[0] for kind in type(self.inner).__mro__} & {"httpx", "httpx2"}
            if theirs and package not in theirs:
                raise TypeError(f"{type(self.inner).__name__} is a transport of {theirs.pop()}, this one of {package}: their classes do not mix")
            self.options = Options.of(policy, budgets=budgets, retry_if=retry_if, delay=delay, on_event=on_event, nesting=nesting, name=name)
            self.buffer = buffer

        def _default(self) -> Any:
            raise NotImplementedError

        def __repr__(self) -> str:
            return f"<reknock.{package}.{type(self).__name__} around {self.inner!r}>"

    class RetryTransport(_Retrying, httpx.BaseTransport):  # type: ignore[misc]
        """Sends through another transport, under a policy: their pool, TLS and proxies, our decisions.

        inner: what sends. Default: an `HTTPTransport`; never give one `retries`, which are invisible.
        policy: a `Policy`, a dict over the default one, the name of a preset such as "llm", or False.
        budgets: to share with other transports, clients and functions. Default: its own.
        buffer: whether bodies are read before a response is handed out, so that one that breaks is retried. Not for streams of events.
        retry_if, delay, on_event, nesting: as of a client.
        name: as of `reknock.requests.RetryAdapter`.

        A request says otherwise by `extensions={"reknock": {"policy": ..., ...}}`. Each redirect, and each round of an auth flow, is a call of its own.
        The last response or the original error comes back as it is, with `reknock.attempts_of(...)` to tell what was sent.
        """

        def _default(self) -> Any:
            return httpx.HTTPTransport()

        def handle_request(self, request: Any) -> Any:
            exchange = _Exchange(request, self, False)

            def send(attempt: CurrentAttempt, retry: Any) -> Any:
                outgoing = exchange.outgoing(attempt, retry)
                try:
                    response = self.inner.handle_request(outgoing)
                except httpx.TransportError as error:
                    raise exchange.told(error) from None
                exchange.answered(attempt)
                return response

            return run(steps(exchange.call, send, exchange.drop, _clock.sleep))

        def close(self) -> None:
            """Closes the inner transport."""
            self.inner.close()

        def __enter__(self) -> Any:
            self.inner.__enter__()
            return self

        def __exit__(self, *exception: Any) -> None:
            self.inner.__exit__(*exception)

    class AsyncRetryTransport(_Retrying, httpx.AsyncBaseTransport):  # type: ignore[misc]
        """As `RetryTransport`, in asyncio and trio. Callbacks may be coroutine functions."""

        def _default(self) -> Any:
            return httpx.AsyncHTTPTransport()

        async def handle_async_request(self, request: Any) -> Any:
            exchange = _Exchange(request, self, True)

            async def attempt_once(outgoing: Any) -> Any:
                try:
                    response = await self.inner.handle_async_request(outgoing)
                except httpx.TransportError as error:
                    raise exchange.told(error) from None
                return response

            async def send(attempt: CurrentAttempt, retry: Any) -> Any:
                outgoing = exchange.outgoing(attempt, retry)
                try:
                    response = await _clock.within(exchange.left, attempt_once(outgoing))
                except _clock.Cut:
                    raise exchange.past_deadline() from None
                exchange.answered(attempt)
                return response

            return await arun(steps(exchange.call, send, exchange.drop, _clock.async_sleep))

        async def aclose(self) -> None:
            """Closes the inner transport."""
            await self.inner.aclose()

        async def __aenter__(self) -> Any:
            await self.inner.__aenter__()
            return self

        async def __aexit__(self, *exception: Any) -> None:
            await self.inner.__aexit__(*exception)

    class _Exchange:
        """One request of a call of ours."""

        def __init__(self, request: Any, transport: _Retrying, is_async: bool) -> None:
            self.request, self.is_async, self.buffer, self.inner = request, is_async, transport.buffer, transport.inner
            self.left: float | None = None
            said = request.extensions.get("reknock")
            if isinstance(said, dict):
                self.buffer = said.get("buffer", self.buffer)
                said = {name: value for name, value in said.items() if name != "buffer"}
            options = transport.options.over(said)
            self.theirs = dict(request.extensions.get("timeout") or {})
            self.timeout: dict[str, Any] = self.theirs
            self.stream: Any = None
            self.traced = self.began_to_send = False
            self.call = Call(
                options, request.method, str(request.url), request.headers.raw, request,
                self.is_replayable, read=(_aread if is_async else _read) if self.buffer else None, status_of=_head,
            )

        def is_replayable(self) -> bool:
            """Whether the body can be produced again."""
            return not isinstance(self.stream, Recording) or self.stream.is_whole

        def outgoing(self, attempt: CurrentAttempt, retry: Any) -> Any:
            """The request of an attempt: with limits no longer than what is left, and with what the policy puts on it."""
            limits = retry.limits(now=_clock.now())
            self.left = limits.remaining
            if self.stream is None:
                self.stream = self.request.stream
                if not is_replayable(self.stream, httpx):
                    kind = AsyncRecording if self.is_async else SyncRecording
                    self.stream = kind(self.stream, retry.max_body_buffer)
            headers = httpx.Headers(self.request.headers)
            for name, value in retry.headers:
                headers[name] = value
            self.timeout = {
                "connect": least(self.theirs.get("connect"), limits.connect_timeout, limits.remaining),
                "pool": least(self.theirs.get("pool"), limits.remaining),
                "write": least(self.theirs.get("write"), limits.idle_timeout, limits.remaining),
                "read": least(self.theirs.get("read"), limits.per_try_timeout, limits.remaining),
            }
            extensions = {**self.request.extensions, "timeout": self.timeout, "reknock.attempt": attempt.number}
            extensions.pop("reknock", None)
            # Only there does it decide whether a byte went out: what is traced is formatted, which costs as much as sending.
            self.traced = not retry.is_idempotent
            if self.traced:
                extensions["trace"] = self._trace(extensions.get("trace"))
            # A copy: to make one anew, which looks at URL and body once more, takes a quarter of all that is done here.
            outgoing = object.__new__(httpx.Request)
            outgoing.__dict__.update(vars(self.request), headers=headers, stream=self.stream, extensions=extensions)
            return outgoing

        def _trace(self, theirs: Any) -> Any:
            self.began_to_send = False

            def trace(name: str, info: Any) -> Any:
                self.began_to_send |= name.endswith("send_request_headers.started")
                return None if theirs is None else theirs(name, info)

            async def atrace(name: str, info: Any) -> None:
                told = trace(name, info)
                if told is not None:
                    await told

            return atrace if self.is_async else trace

        def past_deadline(self) -> Exception:
            """The error of an attempt that the deadline cut."""
            error = httpx.ReadTimeout("the call did not end within its policy's timeout; raise timeout to allow more", request=self.request)
            return Failed(error, ("deadline", "not_sent" if self.traced and not self.began_to_send else "unknown"))

        def told(self, error: Exception) -> Exception:
            """An error with what is known of it: nothing was sent if sending did not begin."""
            found = failure_of(error)
            # Where nothing was traced at all, as by a mock, nothing is proven.
            if found is None or not self.traced or self.began_to_send or found[1] != "unknown" or not self._sends_traces():
                return error
            return Failed(error, (found[0], "not_sent"))

        def _sends_traces(self) -> bool:
            return any(kind.__module__.startswith(f"{package}._transports.default") for kind in type(self.inner).__mro__)

        def answered(self, attempt: CurrentAttempt) -> None:
            """A body may be silent for as long as its user allows: the limit of the head is over."""
            limits = attempt.limits
            self.timeout["read"] = least(self.theirs.get("read"), limits.idle_timeout if limits is not None else None)

        def drop(self, response: Any) -> Any:
            """Frees the connection of a response that is not handed out, without waiting for a server that is slow."""
            self.timeout["read"] = DRAIN_SECONDS
            return _adrop(response) if self.is_async else _drop(response)

    def _head(thing: Any) -> tuple[int, Any] | None:
        return (thing.status_code, thing.headers.multi_items) if isinstance(thing, httpx.Response) else None

    class SyncRecording(IterRecording, httpx.SyncByteStream):  # type: ignore[misc]
        """Sent again if it is not too large."""

    class AsyncRecording(Recording, httpx.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> Any:
            for piece in tuple(self.kept):
                yield piece
            self.rest = self.rest or aiter(self.stream)
            async for piece in self.rest:
                yield self.keep(piece)

    def _whole(response: Any, content: bytes) -> Any:
        """The same response with its body, as it came, in memory."""
        stream = httpx.ByteStream(content)
        return httpx.Response(response.status_code, headers=response.headers, stream=stream, extensions=response.extensions)

    def _read(response: Any) -> Any:
        try:
            return _whole(response, b"".join(response.stream))
        finally:
            response.close()

    async def _aread(response: Any) -> Any:
        try:
            return _whole(response, b"".join([piece async for piece in response.stream]))
        finally:
            await response.aclose()

    def _drop(response: Any) -> None:
        """Reads a little, so that the connection can be used again, and closes."""
        left = DRAIN
        try:
            for piece in response.stream:
                left -= len(piece)
                if left < 0:
                    break
        except httpx.TransportError:
            pass
        finally:
            response.close()

    async def _adrop(response: Any) -> None:
        left = DRAIN
        try:
            async for piece in response.stream:
                left -= len(piece)
                if left < 0:
                    break
        except httpx.TransportError:
            pass
        finally:
            await response.aclose()

    for made in (RetryTransport, AsyncRetryTransport):
        made.__module__, made.__qualname__ = f"reknock.{package}", made.__name__
    return RetryTransport, AsyncRetryTransport
