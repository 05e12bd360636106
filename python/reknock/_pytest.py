"""The fixture of `reknock.testing`, known to pytest wherever reknock is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import Script, Step


@pytest.fixture
def reknock_script() -> Iterator[Callable[[Iterable[int | str | Step]], Script]]:
    """Begins a script that answers all clients until the test is over."""
    from .testing import Script

    with ExitStack() as scripts:
        yield lambda steps: scripts.enter_context(Script(steps))
