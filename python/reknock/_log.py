"""The logger `reknock`: notices and calls that failed at WARNING, retries at INFO, all else at DEBUG. No line and no field has a secret."""

from __future__ import annotations

import sys

from ._native import unraisable

TYPE_CHECKING = False

if TYPE_CHECKING:
    from logging import Logger

    from ._native import Event

_logger: Logger | None = None

_LEVELS = {"warning": 30, "info": 20, "debug": 10}

_OF_CALL = ("call_id", "name", "method", "url", "origin")
_OF_EVENT = ("target", "reason", "status", "stop_reason", "elapsed")
_OF_ATTEMPT = ("status", "error", "error_class", "evidence", "duration", "wait")


def wanted() -> int:
    """What is read of the log: 0 for nothing, 1 for warnings, 2 for more. Nothing is where nobody has imported logging."""
    global _logger
    if _logger is None:
        logging = sys.modules.get("logging")
        if logging is None:
            return 0
        _logger = logging.getLogger("reknock")
    return 2 if _logger.isEnabledFor(20) else int(_logger.isEnabledFor(30))


def notice(notice: Event) -> None:
    """Writes what whoever runs the program should know of a call that others send."""
    if wanted():
        try:
            event(notice)
        except Exception as error:
            unraisable(error, event)


def event(event: Event) -> None:
    """Writes one event."""
    # It is known since the call began and asked what is wanted.
    if _logger is not None and _logger.isEnabledFor(level := _LEVELS[event.level]):
        _logger.log(level, "%s", event, extra=_fields(event))


def _fields(event: Event) -> dict[str, object]:
    """What an event knows, by the names that docs/guides/logs.md lists."""
    fields: dict[str, object] = {"reknock_event": event.kind}

    def add(source: object, names: tuple[str, ...]) -> None:
        for name in names:
            value = getattr(source, name)
            if value is not None and value != "":
                fields[f"reknock_{name}"] = value

    add(event, _OF_EVENT)
    if event.call is not None:
        add(event.call, _OF_CALL)
    last, sent = event.attempt, event.attempts
    if sent is not None:
        fields["reknock_attempts"] = len(sent)
        last = sent[-1] if sent else None
    number = event.number if last is None else last.number
    if number is not None:
        fields["reknock_attempt"] = number
    if last is not None:
        add(last, _OF_ATTEMPT)
    return fields
