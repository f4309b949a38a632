"""Every event's kind and time, in one buffer of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct


@dataclass(frozen=True, slots=True)
class LogRow:
    """One event, or ``count`` like events of one part once the log is full.

    ``part`` and ``turn`` are -1 where there is none. A delta is not kept: ``offset`` and ``size``
    say where its characters lie in the part's text.
    """

    time: float
    kind: str
    turn: int
    part: int
    offset: int
    size: int
    count: int


_ROW = Struct("<dHiiQQQ")
_COUNTS = Struct("<QQ")
_COUNTS_AT = _ROW.size - _COUNTS.size


class EventLog:
    """The events of a run in order, 42 bytes each and at most ``limit`` of them.

    Past the limit, an event is counted in the row of the first such event of its part: what the log
    takes then depends on the number of parts, not of events.
    """

    __slots__ = ("_codes", "_limit", "_overflow", "_rows")

    def __init__(self, limit: int) -> None:
        self._limit = limit * _ROW.size
        self._codes: dict[str, int] = {}
        # Packed into one buffer: a third of the time of an array for each column.
        self._rows = bytearray()
        self._overflow: dict[tuple[int, int], int] = {}

    def add(
        self, time: float, kind: str, turn: int, part: int, offset: int = 0, size: int = 0
    ) -> None:
        """Note one event."""
        code = self._codes.get(kind)
        if code is None:
            code = self._codes[kind] = len(self._codes)
        if len(self._rows) >= self._limit and not self._is_first(code, part, size):
            return
        self._rows += _ROW.pack(time, code, turn, part, offset, size, 1)

    def _is_first(self, code: int, part: int, size: int) -> bool:
        """Past the limit: count an event in the row of its like, if there is one."""
        at = self._overflow.get((code, part))
        if at is None:
            self._overflow[code, part] = len(self._rows) + _COUNTS_AT
            return True
        sizes, count = _COUNTS.unpack_from(self._rows, at)
        _COUNTS.pack_into(self._rows, at, sizes + size, count + 1)
        return False

    def __len__(self) -> int:
        return len(self._rows) // _ROW.size

    def __iter__(self) -> Iterator[LogRow]:
        names = list(self._codes)
        for time, code, turn, part, offset, size, count in _ROW.iter_unpack(bytes(self._rows)):
            yield LogRow(time, names[code], turn, part, offset, size, count)
