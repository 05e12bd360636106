"""Responses whose body is read as it comes."""

from __future__ import annotations

from codecs import getincrementaldecoder, lookup
from sys import byteorder

from ._calls import finish
from ._exceptions import HTTPError
from ._native import Stream

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any


class _Lines:
    """Pieces of a body as lines of text, without their ends."""

    def __init__(self, encoding: str) -> None:
        # What `text` would make of it; the server chooses the encoding.
        self._fallback = "utf-8"
        try:
            # Refuses what is in the registry but makes no text ("hex", "zip"), or cannot replace ("idna").
            b"\xff".decode(encoding, "replace")
            self._decoder = getincrementaldecoder(encoding)("replace")
            name = lookup(encoding).name
            if name in {"utf-16", "utf-32"}:
                # Without a mark at its beginning it is in this machine's order.
                self._fallback = f"{name}-{byteorder[0]}e"
        except (LookupError, ValueError):
            self._decoder = getincrementaldecoder(self._fallback)("replace")
        self._rest = ""

    def _decode(self, piece: bytes, final: bool) -> str:
        held = self._decoder.getstate()[0]
        try:
            return self._decoder.decode(piece, final)
        except UnicodeError:
            # For want of a mark.
            self._decoder = getincrementaldecoder(self._fallback)("replace")
            return self._decoder.decode(held + piece, final)

    def feed(self, piece: bytes | None) -> list[str]:
        """The lines that are complete; None is the end."""
        text = self._rest + self._decode(piece or b"", piece is None)
        if piece is None:
            self._rest = ""
            return text.splitlines()
        # The end may be half of "\r\n".
        lines = text.splitlines(keepends=True)
        self._rest = lines.pop() if lines and (not lines[-1].endswith("\n")) else ""
        return [line.splitlines()[0] for line in lines]


class StreamingResponse(Stream):
    """A response whose body is read as it comes. Nothing is read that was not asked for."""

    def iter_bytes(self) -> Iterator[bytes]:
        """The pieces of the body, decompressed, as they come."""
        while (piece := finish(self.next())) is not None:
            yield piece

    def iter_lines(self) -> Iterator[str]:
        """The lines of the body, without their ends."""
        lines = _Lines(self.encoding)
        for piece in self.iter_bytes():
            yield from lines.feed(piece)
        yield from lines.feed(None)

    def read(self) -> bytes:
        """The rest of the body."""
        return b"".join(self.iter_bytes())

    def json(self) -> Any:
        """The rest of the body as JSON."""
        import json

        return json.loads(self.read())


class AsyncStreamingResponse(Stream):
    """A response whose body is read as it comes. Nothing is read that was not asked for."""

    # What produces the request's body, which may still be going out.
    _upload: Any = None

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The pieces of the body, decompressed, as they come."""
        from ._loop import bridge, finish

        while True:
            own = bridge()
            try:
                piece = await finish(own, *own.piece(self))
            except HTTPError:
                if self._upload is not None and self._upload.error is not None:
                    raise self._upload.error from None
                raise
            if piece is None:
                return
            yield piece

    async def aiter_lines(self) -> AsyncIterator[str]:
        """The lines of the body, without their ends."""
        lines = _Lines(self.encoding)
        async for piece in self.aiter_bytes():
            for line in lines.feed(piece):
                yield line
        for line in lines.feed(None):
            yield line

    async def aread(self) -> bytes:
        """The rest of the body."""
        return b"".join([piece async for piece in self.aiter_bytes()])

    async def json(self) -> Any:
        """The rest of the body as JSON."""
        import json

        return json.loads(await self.aread())
