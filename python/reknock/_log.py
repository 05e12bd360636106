"""The logger `reknock`: notices and calls that failed at WARNING, retries at INFO, all else at DEBUG. URLs in its lines are redacted."""

from __future__ import annotations

import sys
TYPE_CHECKING = False

if TYPE_CHECKING:
    from logging import Logger

    from ._native import Event

_logger: Logger | None = None

_LEVELS = {"warning": 30, "info": 20, "debug": 10}


def wanted() -> int:
    """What is read of the log: 0 for nothing, 1 for warnings, 2 for more. Nothing is where nobody has imported logging."""
    global _logger
    if _logger is None:
        logging = sys.modules.get("logging")
        if logging is None:
            return 0
        _logger = logging.getLogger("reknock")
    return 2 if _logger.isEnabledFor(20) else int(_logger.isEnabledFor(30))


def notice(text: str) -> None:
    """Writes what whoever runs the program should know."""
    if wanted() and _logger is not None:
        _logger.warning("%s", text)


def event(event: Event) -> None:
    """Writes one event."""
    if wanted() and _logger is not None:
        _logger.log(_LEVELS[event.level], "%s", event)
