"""Who watches all calls of the program: `reknock.telemetry`, while it is on. Nobody costs a look."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .telemetry import Telemetry

watcher: Telemetry | None = None
