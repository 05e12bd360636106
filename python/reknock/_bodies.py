"""Request bodies that can be produced once, kept while they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class Recording:
    """Keeps what a body produces, so that it can be sent again if it is not too large."""

    def __init__(self, stream: Any, most: int) -> None:
        self.stream, self.most = stream, most
        self.kept: list[Any] = []
        self.size = 0
        self.rest: Any = None

    @property
    def is_whole(self) -> bool:
        """Whether all that was produced so far is kept."""
        return self.size <= self.most

    def keep(self, piece: Any) -> Any:
        """Keeps a piece, unless it is one too many."""
        self.size += len(piece)
        if self.is_whole:
            self.kept.append(piece)
        else:
            self.kept.clear()
        return piece


class IterRecording(Recording, Iterable[Any]):
    """What is iterated: first what was kept, then the rest."""

    def __iter__(self) -> Iterator[Any]:
        yield from tuple(self.kept)
        self.rest = self.rest or iter(self.stream)
        for piece in self.rest:
            yield self.keep(piece)
