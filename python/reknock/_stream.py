"""Responses whose body is read as it comes."""

from __future__ import annotations

from ._calls import finish
from ._exceptions import HTTPError
from ._native import Stream
from ._text import Lines, loads

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any


class StreamingResponse(Stream):
    """A response whose body is read as it comes.

        with client.stream("GET", url) as response:
            for line in response.iter_lines(): ...

    Nothing is read that was not asked for.
    """

    def iter_bytes(self) -> Iterator[bytes]:
        """The pieces of the body, decompressed, as they come."""
        while (piece := finish(self.next(), records=False)) is not None:
            yield piece

    def iter_lines(self) -> Iterator[str]:
        """The lines of the body, without their ends: `\\n`, `\\r\\n` or `\\r`."""
        lines = Lines(self.encoding)
        for piece in self.iter_bytes():
            yield from lines.feed(piece)
        yield from lines.feed(None)

    def read(self) -> bytes:
        """The rest of the body."""
        return b"".join(self.iter_bytes())

    def json(self) -> Any:
        """The rest of the body as JSON. Raises `json.JSONDecodeError` if it is none."""
        return loads(self.read(), self.encoding)


class AsyncStreamingResponse(Stream):
    """A response whose body is read as it comes.

        async with client.stream("GET", url) as response:
            async for line in response.aiter_lines(): ...

    Nothing is read that was not asked for.
    """

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
        """The lines of the body, without their ends: `\\n`, `\\r\\n` or `\\r`."""
        lines = Lines(self.encoding)
        async for piece in self.aiter_bytes():
            for line in lines.feed(piece):
                yield line
        for line in lines.feed(None):
            yield line

    async def aread(self) -> bytes:
        """The rest of the body."""
        return b"".join([piece async for piece in self.aiter_bytes()])

    async def json(self) -> Any:
        """The rest of the body as JSON. Raises `json.JSONDecodeError` if it is none."""
        return loads(await self.aread(), self.encoding)
