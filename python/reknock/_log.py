"""The logger `reknock`: retries at INFO, redirects and ends at DEBUG. URLs in its lines are redacted."""

from __future__ import annotations

import sys
TYPE_CHECKING = False

if TYPE_CHECKING:
    from logging import Logger

    from ._native import Event

_logger: Logger | None = None


def wanted() -> bool:
    """Whether anybody reads the log. Nobody does who has not imported logging."""
    global _logger
    if _logger is None:
        logging = sys.modules.get("logging")
        if logging is None:
            return False
        _logger = logging.getLogger("reknock")
    return _logger.isEnabledFor(20)


def event(event: Event) -> None:
    """Writes one event."""
    if wanted() and _logger is not None:
        _logger.log(20 if event.kind == "retry" else 10, "%s", event)
