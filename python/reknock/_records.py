"""What is left on results and errors of calls that others sent: what was sent, and why nothing further was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ._exceptions import HTTPError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import AttemptRecord, Retry
    from ._retrying import Call


@dataclass(frozen=True)
class Records:
    """What was sent, and why nothing further was."""

    attempts: tuple[AttemptRecord, ...]
    """What was sent, in order."""
    stop_reason: str | None
    """Why nothing further was sent."""
    timeline: str = field(default_factory=str, repr=False)

    @classmethod
    def of(cls, retry: Retry, call: Call) -> Records:
        """Of a call that is over: written out when somebody asks, which few do."""
        records = cls.__new__(cls)
        records.__dict__["_of"] = retry, call
        return records

    # To checkers every name would be one of ours.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            of = self.__dict__.get("_of")
            if of is None or name not in _READ:
                raise AttributeError(f"'Records' object has no attribute {name!r}", name=name, obj=self)
            return self.__dict__.setdefault(name, _READ[name](*of))

    def __getstate__(self) -> dict[str, Any]:
        """For pickles and copies."""
        return {name: getattr(self, name) for name in _READ}

    def explain(self) -> str:
        """The call, its attempts as a short timeline, and the advice that fits the stop reason."""
        return self.timeline


_READ: dict[str, Callable[[Retry, Call], Any]] = {
    "attempts": lambda retry, _: retry.attempts, "stop_reason": lambda retry, _: retry.stop_reason,
    "timeline": lambda retry, call: retry.explain(call.identified()),
}


def leave_of(error: BaseException, end: BaseException) -> None:
    """Leaves on what a callback raised the records of the call that it ended."""
    if not isinstance(end, HTTPError) or end.stop_reason is None:
        return
    if isinstance(error, HTTPError) and error.stop_reason is None:
        error.attempts, error.stop_reason, error.timeline = end.attempts, end.stop_reason, end.timeline
        return
    with suppress(AttributeError, TypeError):
        error.reknock = Records(end.attempts, end.stop_reason, end.timeline)  # type: ignore[attr-defined]
        error.add_note(end.timeline.rstrip())


def leave(thing: object, retry: Retry, call: Call) -> None:
    """Leaves the records of a call on its response or error, where there is a place for them."""
    records = Records.of(retry, call)
    extensions = getattr(thing, "extensions", None)
    if isinstance(extensions, dict):
        extensions["reknock"] = records
        return
    try:
        thing.reknock = records  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        pass  # numbers and text have no place for it
    # One attempt that nobody wanted to repeat says nothing that the error does not.
    if isinstance(thing, BaseException) and (len(records.attempts) > 1 or records.stop_reason not in (None, "not_retryable")):
        with suppress(AttributeError, TypeError):
            thing.add_note(records.timeline.rstrip())


def attempts_of(thing: object) -> Records | None:
    """What was sent for a response or an error of an adapter, a function that is retried or a client; None if none of them made it.

        response = session.get(url)  # through an adapter
        print(reknock.attempts_of(response).explain())

    An SDK's error tells of the response that it was made of.
    """
    holder: Any
    for holder in (thing, getattr(thing, "response", None), getattr(thing, "__cause__", None)):
        found = getattr(holder, "reknock", None)
        extensions = getattr(holder, "extensions", None)
        if not isinstance(found, Records) and isinstance(extensions, dict):
            found = extensions.get("reknock")
        if isinstance(found, Records):
            return found
        if isinstance(holder, dict):
            found = holder.get("ResponseMetadata", {}).get("Reknock")
            if isinstance(found, Records):
                return found
        if type(holder).__module__.startswith("reknock") and hasattr(holder, "attempts"):
            return Records(holder.attempts, holder.stop_reason, holder.explain())
    return None
