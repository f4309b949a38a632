"""Text that grows by small pieces and is read by position."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

# A str object of a few letters takes about 55 bytes: pieces are joined before they outweigh their
# text.
_TAIL = 512


class Text:
    """Pieces of text in order, joined when they are read or have become many.

    Appending costs a list append. Reading from a position copies what lies behind it, never the
    text before it, so a view that follows a growing text stays linear.
    """

    __slots__ = ("_blocks", "_ends", "_tail", "length")

    def __init__(self, text: str = "") -> None:
        self._blocks: list[str] = [text] if text else []
        self._ends: list[int] = [len(text)] if text else []
        self._tail: list[str] = []
        self.length = len(text)

    def append(self, piece: Any) -> None:
        """Add a piece at the end; what a server put in its place by its text."""
        if not isinstance(piece, str):
            piece = str(piece)
        self.length += len(piece)
        self._tail.append(piece)
        if len(self._tail) >= _TAIL:
            self._seal()

    def _seal(self) -> None:
        if self._tail:
            block = "".join(self._tail)
            self._tail.clear()
            if block:
                self._blocks.append(block)
                self._ends.append((self._ends[-1] if self._ends else 0) + len(block))

    def replace(self, text: str) -> None:
        """Forget what was written and hold ``text``."""
        self._blocks, self._ends = ([text], [len(text)]) if text else ([], [])
        self._tail.clear()
        self.length = len(text)

    def since(self, start: int) -> str:
        """Return the text from character ``start`` on."""
        self._seal()
        first = bisect_right(self._ends, start)
        if first == len(self._blocks):
            return ""
        begin = self._ends[first] - len(self._blocks[first])
        head = self._blocks[first][start - begin :]
        return head if first + 1 == len(self._blocks) else head + "".join(self._blocks[first + 1 :])

    def between(self, start: int, end: int) -> str:
        """Return the characters from ``start`` up to ``end``."""
        return str(self)[start:end]

    def __str__(self) -> str:
        self._seal()
        if len(self._blocks) > 1:
            self._blocks = ["".join(self._blocks)]
            self._ends = [len(self._blocks[0])]
        return self._blocks[0] if self._blocks else ""

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        return self.length > 0

    def __repr__(self) -> str:
        return f"Text({str(self)!r})"
