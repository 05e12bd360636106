"""The clock and the waits of adapters and of functions that are retried: real, or virtual for tests."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Virtual:
    """Waits that nobody waits for: time leaps. What else takes time, takes it."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.waits: list[float] = []


virtual: list[Virtual] = []
"""The last one holds."""


def now() -> float:
    """Seconds on the host's monotonic clock, ahead by what was leapt over. As `time` has it when asked, so that who patches it is honoured."""
    return time.monotonic() + (virtual[-1].offset if virtual else 0.0)


def wall() -> float:
    """Seconds since 1970, ahead likewise: hints that are dates are distances from it."""
    return time.time() + (virtual[-1].offset if virtual else 0.0)


def leapt(seconds: float) -> bool:
    """Whether a wait is over at once, as time is virtual."""
    if not virtual:
        return False
    virtual[-1].waits.append(seconds)
    virtual[-1].offset += seconds
    return True


def sleep(seconds: float) -> None:
    """Waits before a retry. Ctrl-C ends it."""
    if not leapt(seconds):
        time.sleep(seconds)


def in_trio() -> bool:
    """Whether the running event loop is trio's."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


async def async_sleep(seconds: float) -> None:
    """Likewise, in asyncio or trio. Cancelling ends it."""
    seconds = 0 if leapt(seconds) else seconds
    if in_trio():
        await sys.modules["trio"].sleep(seconds)
    else:
        import asyncio

        await asyncio.sleep(seconds)


def least(*limits: float | None) -> float | None:
    """The shortest of limits, of which None is none."""
    found = None
    for limit in limits:
        if limit is not None and (found is None or limit < found):
            found = limit
    return found


class Cut(Exception):
    """An attempt did not end before its call's time was over."""


async def within(seconds: float | None, work: Awaitable[T]) -> T:
    """Awaits something for no longer than this; raises `Cut` if that was too short."""
    if seconds is None:
        return await work
    if in_trio():
        trio = sys.modules["trio"]
        with trio.move_on_after(seconds) as scope:
            return await work
        assert scope.cancelled_caught
        raise Cut
    import asyncio

    try:
        async with asyncio.timeout(seconds) as limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise Cut from None
        raise
