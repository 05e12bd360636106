"""The logger `reknock`: retries at INFO, redirects and ends at DEBUG. URLs in its lines are redacted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._native import Event

logger = logging.getLogger("reknock")


def wanted() -> bool:
    """Whether anybody reads the log."""
    return logger.isEnabledFor(logging.INFO)


def event(event: Event) -> None:
    """Writes one event."""
    logger.log(logging.INFO if event.kind == "retry" else logging.DEBUG, "%s", event)
