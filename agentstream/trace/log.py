"""Every event's kind and time, in flat arrays of a bounded size."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass


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


class EventLog:
    """The events of a run in order, about 40 bytes each and at most ``limit`` of them.

    Past the limit, an event is counted in the row of the first such event of its part: what the log
    takes then depends on the number of parts, not of events.
    """

    __slots__ = (
        "_codes",
        "_counts",
        "_kinds",
        "_limit",
        "_offsets",
        "_overflow",
        "_parts",
        "_sizes",
        "_times",
        "_turns",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._codes: dict[str, int] = {}
        self._times = array("d")
        self._kinds = array("H")
        self._turns = array("i")
        self._parts = array("i")
        self._offsets = array("Q")
        self._sizes = array("Q")
        self._counts = array("Q")
        self._overflow: dict[tuple[int, int], int] = {}

    def add(
        self, time: float, kind: str, turn: int, part: int, offset: int = 0, size: int = 0
    ) -> None:
        """Note one event."""
        code = self._codes.get(kind)
        if code is None:
            code = self._codes[kind] = len(self._codes)
        if len(self._times) >= self._limit:
            row = self._overflow.get((code, part))
            if row is not None:
                self._sizes[row] += size
                self._counts[row] += 1
                return
            self._overflow[code, part] = len(self._times)
        self._times.append(time)
        self._kinds.append(code)
        self._turns.append(turn)
        self._parts.append(part)
        self._offsets.append(offset)
        self._sizes.append(size)
        self._counts.append(1)

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[LogRow]:
        names = list(self._codes)
        for time, code, turn, part, offset, size, count in zip(
            self._times,
            self._kinds,
            self._turns,
            self._parts,
            self._offsets,
            self._sizes,
            self._counts,
            strict=True,
        ):
            yield LogRow(time, names[code], turn, part, offset, size, count)
