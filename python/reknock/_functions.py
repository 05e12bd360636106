"""Any function under a policy: `@retrying`, `call`, `acall`, and blocks with `attempts`."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

from . import _clock, _nesting
from ._native import Budgets, Event, Retry
from ._retrying import AttemptView, Call, CurrentAttempt, Options, arun, decided, finished, past_deadline, run, steps

if TYPE_CHECKING:
    from ._options import Nesting

P = ParamSpec("P")
R = TypeVar("R")
On = type[BaseException] | tuple[type[BaseException], ...] | Callable[[Exception], bool]

_shared = Budgets()
"""The budgets of functions that are given none: one per origin, the function's name unless it has another."""


class Retried:
    """What is said of a function: how its calls are retried."""

    def __init__(
        self,
        policy: Any = None,
        *,
        origin: str = "",
        budgets: Budgets | None = None,
        on: On | None = None,
        result: Callable[[Any], bool] | None = None,
        idempotent: bool | None = None,
        retry_if: Callable[[AttemptView], Any] | None = None,
        delay: Callable[[AttemptView], Any] | None = None,
        on_event: Callable[[Event], object] | None = None,
        nesting: Nesting | None = None,
        name: str | None = None,
    ) -> None:
        self.options = Options.of(
            policy, budgets=budgets or _shared, retry_if=retry_if, delay=delay, on_event=on_event, nesting=nesting, name=name,
        )
        # A key that is minted goes with a request's header fields: a function has none that could be told of.
        if self.options.policy.idempotency_key == "auto":
            self.options = self.options.over({"policy": {"idempotency_key": "honour"}})
        self.origin, self.on, self.result, self.idempotent = origin, on, result, idempotent

    def call(self, name: str) -> Call:
        """One call of a function."""
        # A function says nothing of its method: one that may be repeated is as good as a GET, any other as a POST.
        method = "GET" if self.idempotent else "POST"
        own = self.options.name
        name = own if isinstance(own, str) else name
        judge = self._judge if self.on is not None or self.result is not None else None
        return Call(self.options, method, self.origin or name, judge=judge, function=name)

    def _judge(self, result: Any, error: Exception | None) -> bool | None:
        if error is None:
            return True if self.result is not None and self.result(result) else None
        if self.on is None:
            return None
        if isinstance(self.on, (type, tuple)):
            return isinstance(error, self.on)
        return bool(self.on(error))


_unsaid = Retried()
"""What `call` and `acall` say of a function: nothing."""


def _name(fn: Callable[..., Any]) -> str:
    fn = fn.func if isinstance(fn, partial) else fn
    return f"{getattr(fn, '__module__', '')}.{getattr(fn, '__qualname__', type(fn).__name__)}".removeprefix("__main__.")


def _nothing(result: object) -> None:
    """A value that is not handed out holds nothing, unless it can be closed."""
    close = getattr(result, "close", None)
    if callable(close) and not inspect.iscoroutinefunction(close):
        close()


async def _anothing(result: object) -> None:
    close = getattr(result, "aclose", None)
    if callable(close):
        await close()
    else:
        _nothing(result)


def _call(about: Retried, name: str, fn: Callable[..., R], args: Any, kwargs: Any) -> R:
    return cast(R, run(steps(about.call(name), lambda attempt, retry: fn(*args, **kwargs), _nothing, _clock.sleep)))


async def _acall(about: Retried, name: str, fn: Callable[..., Awaitable[R]], args: Any, kwargs: Any) -> R:
    call = about.call(name)

    async def send(attempt: CurrentAttempt, retry: Retry) -> Any:
        try:
            return await _clock.within(attempt.remaining, fn(*args, **kwargs))
        except _clock.Cut:
            raise past_deadline(call) from None

    return cast(R, await arun(steps(call, send, _anothing, _clock.async_sleep)))


def call(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls a function under the default policy: `reknock.call(fetch, url)`. With another one: `reknock.retrying(policy)(fetch)(url)`.

    The last value, or the original error, comes back. What may have had an effect is repeated only if the policy says `methods: any`.
    """
    return _call(_unsaid, _name(fn), fn, args, kwargs)


async def acall(fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """As `call`, of a coroutine function, in asyncio or trio: `await reknock.acall(fetch, url)`."""
    return await _acall(_unsaid, _name(fn), fn, args, kwargs)


def retrying(policy: Any = None, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Retries the calls of a function, of a coroutine function, or, until it gives its first item, of a generator of either kind.

        @reknock.retrying({"max_retries": 3}, on=ConnectionError, idempotent=True)
        def fetch(url): ...

    policy: a `Policy`, a dict over the default one, the name of a preset, or False. Its `timeout` ends coroutines and waits; a function is not
        interrupted, but finds what is left in `current_attempt().remaining`.
    on: classes of errors, or a function of one: exactly these are retried. Default: what the policy says of failures that are known by their
        class (httpx, requests, urllib3, aiohttp, botocore, SDKs made of them, OSError) and of responses.
    result: a function of the value: whether it is to be retried. Default: what has a status and header fields is judged as a response.
    idempotent: whether it may be repeated when it may have had an effect. Default: no, unless the policy says `methods: any`.
    origin: by what its budget is found. Default: its name.
    budgets: to share with clients and adapters. Default: those of all functions.
    retry_if, delay, on_event, nesting, name: as of a client.
    """
    about = Retried(policy, **options)

    def decorate(fn: Callable[P, R]) -> Callable[P, R]:
        name = _name(fn)
        if inspect.iscoroutinefunction(fn):

            @wraps(fn)
            async def coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await _acall(about, name, fn, args, kwargs)

            return cast(Callable[P, R], coroutine)
        if inspect.isasyncgenfunction(fn):

            @wraps(fn)
            async def agenerator(*args: P.args, **kwargs: P.kwargs) -> Any:
                async def begin() -> Any:
                    items = fn(*args, **kwargs)
                    return _Begun(items, await anext(items, _END))

                begun = await _acall(about, name, begin, (), {})
                try:
                    if begun.first is not _END:
                        yield begun.first
                        async for item in begun.items:
                            yield item
                finally:
                    await begun.items.aclose()

            return cast(Callable[P, R], agenerator)
        if inspect.isgeneratorfunction(fn):

            @wraps(fn)
            def generator(*args: P.args, **kwargs: P.kwargs) -> Any:
                def begin() -> Any:
                    items = fn(*args, **kwargs)
                    try:
                        return _Begun(items, next(items))
                    except StopIteration as done:
                        return _Begun(items, _END, done.value)

                begun = _call(about, name, begin, (), {})
                if begun.first is _END:
                    return begun.value
                try:
                    yield begun.first
                    return (yield from begun.items)
                finally:
                    begun.items.close()

            return cast(Callable[P, R], generator)

        @wraps(fn)
        def function(*args: P.args, **kwargs: P.kwargs) -> R:
            return _call(about, name, fn, args, kwargs)

        return function

    return decorate


_END = object()


class _Begun:
    """A generator that gave its first item."""

    def __init__(self, items: Any, first: Any, value: Any = None) -> None:
        self.items, self.first, self.value = items, first, value


def attempts(policy: Any = None, **options: Any) -> Attempts:
    """Attempts at a block, as `retrying` has them at a function; `with` or not, in asyncio and trio `async for`.

        for attempt in reknock.attempts(on=ConnectionError, idempotent=True):
            with attempt:
                connect()

    A block that is judged by what it got says so: `attempt.result = response`.
    """
    return Attempts(Retried(policy, **options))


class Block:
    """One attempt at a block. The error that leaves it is dropped if it will be tried again."""

    result: Any = None
    """What the block got: a response is judged as one, another value by `result=`."""

    def __init__(self, owner: Attempts, current: CurrentAttempt) -> None:
        self._owner, self._current = owner, current
        self._token: Any = None

    @property
    def number(self) -> int:
        """From 1."""
        return self._current.number

    @property
    def remaining(self) -> float | None:
        """Seconds left of the whole call; None if it has no limit."""
        return self._current.remaining

    def __enter__(self) -> Self:
        self._token = _nesting.attempt.set(self._current)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        self._current._active = False
        _nesting.attempt.reset(self._token)
        if error is not None and not isinstance(error, Exception):
            self._owner.give_up(error)
            return False
        return self._owner.ended(self.result, error)


class Attempts:
    """The attempts at a block. Made by `attempts`."""

    def __init__(self, about: Retried) -> None:
        self._call = about.call("block")
        self._began = _clock.now()
        self._retry = self._call.begin(self._began)
        self._wait: float | None = 0.0
        self._block: Block | None = None

    def give_up(self, error: BaseException) -> None:
        """Ends the call, unless it is over: gives back what it holds of its budget."""
        self._wait = None
        self._call.give_up(self._retry, error)

    def ended(self, result: Any, error: Exception | None) -> bool:
        """Decides about an attempt; whether its error is dropped."""
        self._block = None
        try:
            verdict, about = self._call.classify(self._retry, result, error)
            self._wait = run(decided(self._call, self._retry, self._began, verdict, about, result, error))
        except BaseException as caught:
            self.give_up(caught)
            raise
        if self._wait is not None:
            self._call.tell(self._retry)
            return True
        if error is None:
            finished(self._call, self._retry, result, None)
            return False
        try:
            finished(self._call, self._retry, None, error)
        except Exception:
            return False
        return False

    def _next(self) -> Block:
        if self._block is not None:
            self.give_up(GeneratorExit())
            raise RuntimeError("the block of this attempt was not entered: write `with attempt:` in the loop")
        number = self._retry.attempt(now=_clock.now())
        self._block = Block(self, CurrentAttempt(number, self._retry.retries_left, self._retry))
        return self._block

    def __iter__(self) -> Iterator[Block]:
        try:
            while (wait := self._wait) is not None:
                if wait:
                    _clock.sleep(wait)
                yield self._next()
        except BaseException as left:
            self.give_up(left)
            raise

    async def __aiter__(self) -> AsyncIterator[Block]:
        try:
            while (wait := self._wait) is not None:
                if wait:
                    await _clock.async_sleep(wait)
                yield self._next()
        except BaseException as left:
            self.give_up(left)
            raise
