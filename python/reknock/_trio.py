"""Calls in trio: the same bridge, with futures of our own, drained by a system task of the run."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from contextvars import copy_context
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

    def unread(self) -> Any:
        """What it came to, if that is a result."""
        return self.outcome.value if isinstance(self.outcome, Value) else None

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


class Upload:
    """As in asyncio: in a system task, as a nursery would wrap what is raised in the caller's block."""

    def __init__(self, own: Bridge, call: int, number: int) -> None:
        self.error: BaseException | None = None
        self._scope = trio.CancelScope()
        self._done = trio.Event()
        trio.lowlevel.spawn_system_task(self._run, own, call, number, name="reknock", context=copy_context())

    async def _run(self, own: Bridge, call: int, number: int) -> None:
        from ._loop import produce

        try:
            with self._scope:
                self.error = await produce(own, call, number, trio.Cancelled)
        finally:
            self._done.set()

    async def stop(self) -> None:
        """Ends the task."""
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self._done.wait()
