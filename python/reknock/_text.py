"""Bodies as text: their lines, and JSON."""

from __future__ import annotations

from codecs import getincrementaldecoder, lookup
from sys import byteorder

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any


class Lines:
    """Pieces of a body as lines of text, without their ends: `\\n`, `\\r\\n` or `\\r`. No other character ends a line in any format that is streamed."""

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
        self._begun: list[str] = []
        self._after_return = False

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
        text = self._decode(piece or b"", piece is None)
        if text:
            if self._after_return and text[0] == "\n":
                # The line has ended with what was before it.
                text = text[1:]
            self._after_return = text.endswith("\r")
        first, *lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._begun.append(first)
        if lines:
            lines.insert(0, "".join(self._begun))
            self._begun = [lines.pop()]
        if piece is None and any(self._begun):
            lines.append("".join(self._begun))
        return lines


def loads(content: bytes, encoding: str) -> Any:
    """JSON of bytes: in UTF-8, UTF-16 or UTF-32, as they show themselves, else in the encoding that the server names."""
    import json

    try:
        return json.loads(content)
    except ValueError as error:
        problem = error
    try:
        text = content.decode(encoding)
        if text.encode() != content:
            return json.loads(text)
    except (LookupError, ValueError):
        pass
    if isinstance(problem, json.JSONDecodeError):
        raise problem
    if not isinstance(problem, UnicodeError):
        # A number that is larger than Python reads.
        raise json.JSONDecodeError(str(problem), content.decode("utf-8", "replace"), 0) from None
    # It is no text at all.
    raise json.JSONDecodeError(f"Not {encoding}", content.decode("utf-8", "replace"), getattr(problem, "start", 0)) from None
