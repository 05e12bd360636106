"""What a call asks while it goes on, asked from here: callbacks, producers, observers and the log run in Python's own frames.

A thread that the interpreter ends at its end is unwound through every frame below the code that it runs, which native ones may not survive.
"""

from __future__ import annotations

from . import _log, _watch
from ._native import Turn, unraisable
from ._nesting import current_attempt

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ._native import Call, Client
    from ._options import URL
    from .telemetry import Watched


def prepared(client: Client, method: str, url: URL, options: Mapping[str, Any]) -> tuple[Call, Watched | None]:
    """A call whose request is authorised, and who watches it, if anybody does."""
    call = client.call(method, url, options, current_attempt() is not None)
    question = call.auth()
    if question is not None:
        authorise, request = question
        if hasattr(authorise(request), "__await__"):
            raise TypeError("auth must be a plain function; before_retry may be a coroutine function")
        call.authorised(request)
    if _watch.watcher is None:
        return call, None
    watched = _watch.watcher.begin(client)
    call.observe(watched.before_attempt, watched.event)
    return call, watched


def tell(turn: Turn) -> None:
    """Hands events to the log and to observers. What these raise fails no call, unless it is meant for the program: Ctrl-C, an exit."""
    events = turn.events()
    if not events:
        return
    observers = (_log.event, *turn.observers())
    for event in events:
        for observer in observers:
            try:
                observer(event)
            except Exception as error:
                unraisable(error, observer)


def finish(item: Any, watched: Watched | None = None, records: bool = True) -> Any:
    """Goes on with a blocking call to its end, running its callbacks in between. `records` are left on what these raise; of a body that is read the response has them."""
    while item.__class__ is Turn:
        try:
            tell(item)
            if item.over:
                return item.result()
            question = item.question()
            # The answer is not kept: an exception would keep it with this frame.
            item = item.answer(None if question is None else question[0](*question[1]))
        except Exception as error:
            if records and not item.over:
                failed(item, error)
            _give_up(item)
            raise
        except BaseException:
            # Likewise the connection.
            _give_up(item)
            if watched is not None:
                watched.abandon("cancelled")
            raise
    return item


def failed(turn: Turn, error: Exception) -> None:
    """Ends a blocking call whose callback raised, or gave no answer; its records are left on the exception."""
    item: Any = turn
    try:
        item = turn.fail()
        while item.__class__ is Turn:
            tell(item)
            if item.over:
                item.result()
                return
            item = item.fail()
    except Exception as end:
        from ._records import leave_of

        leave_of(error, end)
    finally:
        # Should it have been interrupted.
        if item.__class__ is Turn:
            _give_up(item)


def _give_up(turn: Turn) -> None:
    """Ends a blocking call, if it is not over, and tells of its end."""
    turn.cancel()
    tell(turn)
