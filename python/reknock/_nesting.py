"""The attempt that is under way, for loops inside it: they make one attempt each."""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._retrying import CurrentAttempt

attempt: ContextVar[CurrentAttempt | None] = ContextVar("reknock_attempt", default=None)


def current_attempt() -> CurrentAttempt | None:
    """The attempt of an adapter or of a function that is retried, if one is under way here.

        @reknock.retrying({"timeout": "30s"}, idempotent=True)
        def fetch(): return query(timeout=reknock.current_attempt().remaining)

    Not in tasks that outlive it.
    """
    current = attempt.get()
    return current if current is not None and current._active else None
