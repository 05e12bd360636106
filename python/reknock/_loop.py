"""Calls in an event loop: one bridge per loop, and what a call's coroutine does with what comes out of it.

Imported with the first asynchronous call: asyncio alone takes longer to import than all of reknock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary, ref

from ._native import Bridge, Turn

# The registration in the loop owns a bridge: it goes with its loop. A strong value here would keep its key alive.
_bridges: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[Bridge]] = WeakKeyDictionary()
_lock = Lock()


def bridge() -> Bridge:
    """The bridge of the running loop."""
    loop = asyncio.get_running_loop()
    known = _bridges.get(loop)
    own = known() if known is not None else None
    if own is None:
        own = Bridge(loop)
        loop.add_reader(own.fileno(), own.drain)
        with _lock:
            _bridges[loop] = ref(own)
    return own


async def finish(own: Bridge, call: int, future: asyncio.Future[Any]) -> Any:
    """Waits for a call, running its callbacks in between: in this task, with its context."""
    try:
        item = await future
        while item.__class__ is Turn:
            if not item.begin():
                own.forget(call)
                return item.result()
            answer = item.call()
            if hasattr(answer, "__await__"):
                interrupted, answer = await _guarded(own, call, answer, item.pulls)
                if interrupted:
                    item = await own.next(call)
                    continue
            item = await own.answer(item, answer)
        return item
    except BaseException:
        own.cancel(call)
        raise


async def _guarded(own: Bridge, call: int, answer: Awaitable[object], patient: bool) -> tuple[bool, object]:
    """Awaits a callback's answer until the call is over, for example by its deadline."""
    task = asyncio.current_task()
    if task is None:
        return False, await answer
    before = task.cancelling()
    own.watch(call, task, patient)
    try:
        return False, await answer
    except asyncio.CancelledError:
        if own.unwatch(call) and task.uncancel() <= before:
            return True, None
        raise
    finally:
        own.unwatch(call)
