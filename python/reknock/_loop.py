"""Calls in an event loop: one bridge per loop, and what a call's coroutine does with what comes out of it.

Imported with the first asynchronous call: asyncio alone takes longer to import than all of reknock.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, ref

from ._calls import tell
from ._native import Bridge, Turn
from ._records import leave_of

if TYPE_CHECKING:
    from .telemetry import Watched


class FutureMaker(Protocol):
    """What a bridge needs of a loop: futures, whose results it sets on the loop's thread."""

    def create_future(self) -> Any: ...


class Cancellable(Protocol):
    """What a bridge needs of who runs a callback, to interrupt it."""

    def cancel(self) -> object: ...


# The registration in the loop owns a bridge: it goes with its loop. A strong value here would keep its key alive.
_bridges: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[Bridge]] = WeakKeyDictionary()
_lock = Lock()

# The loop that asked last, and its bridge: looking into the dictionary takes a microsecond.
_NOBODY: tuple[Callable[[], asyncio.AbstractEventLoop | None], Callable[[], Bridge | None]] = (lambda: None, lambda: None)
_last = _NOBODY


def bridge() -> Bridge:
    """The bridge of the running loop."""
    global _last
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        if "trio" not in sys.modules:
            raise
        from . import _trio

        return _trio.bridge()
    asked, last = _last
    if asked() is loop:
        own = last()
        if own is not None:
            return own
    known = _bridges.get(loop)
    own = known() if known is not None else None
    if own is None:
        own = _attached(loop)
        with _lock:
            _bridges[loop] = ref(own)
    _last = (ref(loop), ref(own))
    return own


def _attached(loop: asyncio.AbstractEventLoop) -> Bridge:
    own = Bridge(loop)
    try:
        loop.add_reader(own.fileno(), own.drain)
    except NotImplementedError:
        own = Bridge(loop, sockets=True)
        loop.create_task(_pump(loop, own), name="reknock")
    return own


async def _pump(loop: asyncio.AbstractEventLoop, own: Bridge) -> None:
    """Drains a bridge in a loop that watches sockets only while it reads them. Cancelled with all tasks, it is made anew when needed."""
    global _last
    try:
        with socket.socket(fileno=os.dup(own.fileno())) as woken:
            # It is, but this object does not know; loops in debug mode ask.
            woken.setblocking(False)
            while await loop.sock_recv(woken, 4096):
                own.drain()
    finally:
        _last = _NOBODY
        with _lock:
            _bridges.pop(loop, None)


async def finish(own: Bridge, call: int, future: Awaitable[Any], watched: Watched | None = None) -> Any:
    """Waits for a call, running its callbacks in between: in this task, with its context."""
    try:
        item = await future
        while item.__class__ is Turn:
            tell(item)
            question = item.question()
            if question is None:
                return item.result()
            if own.over(call):
                # The end came before this task ran: nobody waits for an answer, and nobody would interrupt the callback.
                future = own.next(call)
                item = await future
                continue
            try:
                callback, arguments = question
                answer = callback(*arguments)
                if hasattr(answer, "__await__"):
                    interrupted, answer = await _guarded(own, call, answer)
                    if interrupted:
                        future = own.next(call)
                        item = await future
                        continue
                future = own.answer(item, answer)
            except Exception as error:
                await _failed(own, item, error)
                raise
            item = await future
        return item
    except BaseException:
        for turn in (_unread(future), own.cancel(call)):
            if turn.__class__ is Turn:
                tell(turn)
        if watched is not None:
            watched.abandon("cancelled")
        raise


def _unread(future: Awaitable[Any]) -> Any:
    """What has come for a task that was cancelled before it went on."""
    if not asyncio.isfuture(future):
        return future.unread()  # type: ignore[attr-defined]  # trio's
    return future.result() if future.done() and not future.cancelled() and future.exception() is None else None


async def _failed(own: Bridge, turn: Turn, error: Exception) -> None:
    """Ends a call whose callback raised, or gave no answer; its records are left on the exception."""
    if own.over(turn.id):
        return
    try:
        item = await own.fail_answer(turn)
        while item.__class__ is Turn:
            tell(item)
            if item.over:
                item.result()
                return
            item = await own.fail_answer(item)
    except Exception as end:
        leave_of(error, end)


async def _guarded(own: Bridge, call: int, answer: Awaitable[object]) -> tuple[bool, object]:
    """Awaits a callback's answer until the call is over, for example by its deadline."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        from . import _trio

        return await _trio.guarded(own, call, answer)
    if task is None:
        return False, await answer
    before = task.cancelling()
    own.watch(call, task)
    try:
        answered = await answer
    except BaseException as error:
        if own.unwatch(call) and task.uncancel() <= before and isinstance(error, asyncio.CancelledError):
            return True, None
        raise
    if own.unwatch(call):
        # It kept the cancellation to itself.
        task.uncancel()
        return True, None
    return False, answered


async def produce(own: Bridge, call: int, number: int, cancelled: type[BaseException]) -> BaseException | None:
    """Produces the body of a streamed call until it is `cancelled`; returns what the producer raised, which ends the call."""
    turn = None
    try:
        turn = await own.next(number)
        while True:
            question = turn.question()
            assert question is not None, "a producer is asked"
            callback, arguments = question
            piece = callback(*arguments)
            if hasattr(piece, "__await__"):
                piece = await piece
            turn = await own.answer(turn, piece)
    except (cancelled, GeneratorExit):
        raise
    except BaseException as raised:
        error = raised
        if isinstance(raised, StopIteration):
            # No future takes one. In these words it comes out of any other coroutine.
            error = RuntimeError("coroutine raised StopIteration")
            error.__cause__ = raised
        own.fail(call, error)
        return error
    finally:
        # The exception keeps this frame, which would keep the connection waiting for a piece.
        turn = None
        own.cancel(number)


class Upload:
    """Produces the body of a streamed call in a task of its own, as the head of the response may come before its end."""

    def __init__(self, own: Bridge, call: int, number: int) -> None:
        self.error: BaseException | None = None
        self._task = asyncio.create_task(self._run(own, call, number), name="reknock")

    async def _run(self, own: Bridge, call: int, number: int) -> None:
        self.error = await produce(own, call, number, asyncio.CancelledError)

    async def stop(self) -> None:
        """Ends the task."""
        self._task.cancel()
        await asyncio.wait([self._task])


def upload(own: Bridge, call: int) -> Any:
    """What produces the body of a streamed call from now on; None if nothing has to."""
    number = own.upload(call)
    if number is None:
        return None
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        from . import _trio

        return _trio.Upload(own, call, number)
    return Upload(own, call, number)
