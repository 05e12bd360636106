"""Calls in trio: the same bridge, with futures of our own, drained by a system task of the run."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any

import trio
from outcome import Error, Outcome, Value

from ._native import Bridge

_bridge: trio.lowlevel.RunVar[Bridge] = trio.lowlevel.RunVar("reknock")


class Future:
    """What one task waits for."""

    __slots__ = ("outcome", "task")

    def __init__(self) -> None:
        self.outcome: Outcome[Any] | None = None
        self.task: trio.lowlevel.Task | None = None

    def set_result(self, result: object) -> None:
        """Lets the task go on."""
        self._settle(Value(result))

    def set_exception(self, error: BaseException) -> None:
        """Raises in the task."""
        self._settle(Error(error))

    def _settle(self, outcome: Outcome[Any]) -> None:
        self.outcome = outcome
        if self.task is not None:
            trio.lowlevel.reschedule(self.task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def __await__(self) -> Generator[Any, Any, Any]:
        if self.outcome is None:
            self.task = trio.lowlevel.current_task()
            yield from trio.lowlevel.wait_task_rescheduled(self._abort).__await__()
        assert self.outcome is not None, "a task goes on when its future is settled"
        return self.outcome.unwrap()


class _Run:
    def create_future(self) -> Future:
        return Future()


def bridge() -> Bridge:
    """The bridge of this run."""
    try:
        return _bridge.get()
    except LookupError:
        own = Bridge(_Run())
        _bridge.set(own)
        trio.lowlevel.spawn_system_task(_drain, own, name="reknock")
        return own


async def _drain(own: Bridge) -> None:
    while True:
        await trio.lowlevel.wait_readable(own.fileno())
        own.drain()


async def guarded(own: Bridge, call: int, answer: Awaitable[object]) -> tuple[bool, object]:
    """Awaits a callback's answer until the call is over, for example by its deadline."""
    with trio.CancelScope() as scope:
        own.watch(call, scope)
        try:
            answered = await answer
        finally:
            interrupted = own.unwatch(call)
        return interrupted, answered
    return True, None
