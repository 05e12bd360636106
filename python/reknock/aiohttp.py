"""Retries for people who keep aiohttp.

    session = aiohttp.ClientSession(middlewares=(reknock.aiohttp.retrying({"max_retries": 3}),))
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import aiohttp

from . import _clock
from ._retrying import Call, CurrentAttempt, Failed, Options, arun, steps

# The timer of the call that ended last in this task, and how. Timers take no weak references on Python 3.13.
_ended: ContextVar[tuple[Any, Exception] | None] = ContextVar("_ended", default=None)


class RetryMiddleware:
    """A client middleware: the session sends, the policy decides. Made by `retrying`."""

    def __init__(self, options: Options, buffer: bool) -> None:
        self.options, self.buffer = options, buffer

    async def __call__(self, request: Any, handler: Any) -> Any:
        """Sends until the policy says stop."""
        # aiohttp sends idempotent requests again when a connection breaks, and calls its middlewares anew: twice as many sends, unrecorded. It does so
        # under the same timer, by which such a call is known: it is over already.
        timer = request._timer
        over = _ended.get()
        _ended.set(None)
        if over is not None and over[0] is timer:
            raise over[1]

        idle: list[float | None] = []

        async def send(attempt: CurrentAttempt, retry: Any) -> Any:
            for name, value in retry.headers:
                request.headers[name] = value
            limits = retry.limits(now=_clock.now())
            idle[:] = [limits.idle_timeout]
            try:
                return await _clock.within(_clock.least(limits.per_try_timeout, limits.remaining), handler(request))
            except _clock.Cut:
                error = aiohttp.ServerTimeoutError("no response within the limits of the policy; raise per_try_timeout or timeout to allow more")
                raise Failed(error, ("per_try_timeout", "unknown")) from None

        async def whole(response: Any) -> Any:
            try:
                await _clock.within(idle[0], response.read())
            except _clock.Cut:
                raise aiohttp.ServerTimeoutError("the body did not come within the policy's idle_timeout") from None
            return response

        call = Call(
            self.options, request.method, str(request.url), request.headers, request,
            lambda: _is_replayable(request), read=whole if self.buffer else None, status_of=_head,
        )
        try:
            return await arun(steps(call, send, _drop, _clock.async_sleep))
        except aiohttp.ClientConnectionError as error:
            _ended.set((timer, error))
            raise


def retrying(
    policy: Any = None,
    *,
    budgets: Any = None,
    buffer: bool = False,
    retry_if: Any = None,
    delay: Any = None,
    on_event: Any = None,
    nesting: Any = None,
    name: Any = None,
) -> RetryMiddleware:
    """A middleware that retries, for `ClientSession(middlewares=(..., ))`; put it first, so that it is outermost.

    policy, budgets, retry_if, delay, on_event, nesting, name: as of `reknock.requests.RetryAdapter`; callbacks may be coroutine functions.
    buffer: whether bodies are read before a response is handed out, so that one that breaks is retried.

    Each redirect is a call of its own. The session's `total` timeout runs through attempts and waits alike. aiohttp's own resend sends
    nothing. Where `aioresponses` answers, no middleware is run, and so nothing is retried.
    """
    return RetryMiddleware(Options.of(policy, budgets=budgets, retry_if=retry_if, delay=delay, on_event=on_event, nesting=nesting, name=name), buffer)


def _head(thing: Any) -> tuple[int, Any] | None:
    return (thing.status, lambda: list(thing.headers.items())) if isinstance(thing, aiohttp.ClientResponse) else None


def _is_replayable(request: Any) -> bool:
    """What was iterated would be sent empty, with a 200 for it."""
    body = getattr(request, "_body", None)
    return body is None or not getattr(body, "consumed", False)


async def _drop(response: Any) -> None:
    """Gives the connection back if little is left to read, else closes it."""
    response.release() if response.content.is_eof() else await _drain(response)


async def _drain(response: Any) -> None:
    try:
        piece = await _clock.within(0.05, response.content.read(64 * 1024))
        if len(piece) < 64 * 1024:
            response.release()
            return
    except (_clock.Cut, aiohttp.ClientError):
        pass
    response.close()


__all__ = ["RetryMiddleware", "retrying"]
