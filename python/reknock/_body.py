"""Bodies that are produced while they are sent: what asks files, iterables and functions for their pieces."""

from __future__ import annotations

from collections.abc import Set
from contextlib import suppress

from ._native import Turn

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any

_PIECE = 64 * 1024

_END = Turn
"""No piece: a value that nothing else yields."""


class Source:
    """What produces a body, one pass at a time."""

    __slots__ = ("_file", "_make", "_pass", "_start", "length", "once")

    def __init__(self, value: Any) -> None:
        self.length: int | None = None
        self.once = False
        self._file: Any = None
        self._make: Any = None
        self._pass: Any = None
        self._start: Any = None
        if hasattr(value, "read") and hasattr(value, "seek") and value.seekable():
            if isinstance(value.read(0), str):
                raise TypeError("a file that is a body must be opened in binary mode: the size of one of text is not that of its bytes")
            self._file, self._start = value, value.tell()
            self.length = max(0, value.seek(0, 2) - self._start)
            value.seek(self._start)
        elif isinstance(value, Set):
            raise TypeError(f"a body must be bytes, str, a file, an iterable of these or a callable that makes one, not {type(value).__name__}, which has no order")
        elif hasattr(value, "keys"):
            raise TypeError(f"a body must be bytes, str, a file, an iterable of these or a callable that makes one, not {type(value).__name__}; json= and data= take a mapping")
        elif hasattr(value, "__iter__") or hasattr(value, "__aiter__"):
            self.once, self._make = True, lambda: value
        elif callable(value):
            self._make = value
        else:
            raise TypeError(f"a body must be bytes, str, a file, an iterable or a callable that makes one, not {type(value).__name__}")

    def next(self, first: bool) -> Any:
        """The next piece, or the end; or an awaitable of either. With `first` a pass begins."""
        if self._file is not None:
            if first:
                self._file.seek(self._start)
            return self._file.read(_PIECE) or _END
        if first:
            self._begin()
        if hasattr(self._pass, "__anext__"):
            return anext(self._pass, _END)
        return next(self._pass, _END)

    def _begin(self) -> None:
        made = self._make()
        if isinstance(made, (bytes, str, bytearray, memoryview)):
            made = [made]
        before, self._pass = self._pass, made.__aiter__() if hasattr(made, "__aiter__") else iter(made)
        if not self.once:
            self._set_back(self._pass is before)

    def _set_back(self, again: bool) -> None:
        """What a function made before has been read: it would be sent empty, or in part. Files can be set back."""
        if again:
            if self._start is None:
                raise TypeError("the body's function made the same iterator again; it must make a new one each time")
            self._pass.seek(self._start)
        elif self._start is None and hasattr(self._pass, "seek"):
            # Pipes have the method, too, and fail.
            with suppress(Exception):
                self._start = self._pass.tell()
