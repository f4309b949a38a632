"""From seconds to positions, and a time axis with readable steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

_STEPS = (
    *(base * 10.0**power for power in range(-4, 1) for base in (1, 2, 5)),
    *(10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time drawn at one scale; a ``cut`` one is drawn shorter than it was."""

    start: float
    end: float
    left: float
    right: float
    cut: bool


class Scale:
    """Maps times to horizontal positions; long idle stretches are cut short.

    Parameters
    ----------
    start, end
        The times at the left and the right edge, in seconds.
    left, right
        The positions of the edges.
    busy
        When something was at work: a stretch without it that takes over 30 % of the whole, such as
        a night's wait for an approval, takes 8 % of the width.
    """

    def __init__(
        self,
        start: float,
        end: float,
        left: float,
        right: float,
        busy: list[tuple[float, float]] | None = None,
    ) -> None:
        self._empty = end - start < 1e-6
        if self._empty:
            end = start + 1e-3  # a run without any length is still drawn
        cuts = _idle(start, end, busy) if busy else []
        drawn = (end - start) - sum(stop - begin for begin, stop in cuts)
        short = 0.08 * (right - left)
        rate = ((right - left) - short * len(cuts)) / drawn if drawn > 0 else 0.0
        self.pieces: list[Piece] = []
        time, at = start, left
        for begin, stop in cuts:
            for until, width, cut in (
                (begin, (begin - time) * rate, False),
                (stop, short, True),
            ):
                if until > time:
                    self.pieces.append(Piece(time, until, at, at + width, cut))
                    time, at = until, at + width
        if end > time:
            self.pieces.append(Piece(time, end, at, right, False))
        self._starts = [piece.start for piece in self.pieces]
        self._rate = rate

    def __call__(self, time: float) -> float:
        """Return the position of a time; times outside lie on the edge."""
        piece = self.pieces[max(bisect_right(self._starts, time) - 1, 0)]
        share = (time - piece.start) / (piece.end - piece.start)
        return piece.left + min(max(share, 0.0), 1.0) * (piece.right - piece.left)

    def ticks(self, spacing: float) -> list[tuple[float, str]]:
        """Return positions and labels of round times, at least ``spacing`` apart."""
        if self._empty:
            return [(self.pieces[0].left, "0")]
        least = spacing / self._rate if self._rate else math.inf
        step = next((step for step in _STEPS if step >= least), _STEPS[-1])
        ticks: list[tuple[float, str]] = []
        for piece in self.pieces:
            if piece.cut:
                continue
            number = math.ceil(piece.start / step - 1e-9)
            while (time := number * step) <= piece.end + step * 1e-9:
                at = self(time)
                if not ticks or at - ticks[-1][0] >= spacing * 0.999:
                    ticks.append((at, tick_label(time, step)))
                number += 1
        return ticks


def _idle(start: float, end: float, busy: list[tuple[float, float]]) -> list[tuple[float, float]]:
    limit = 0.3 * (end - start)
    gaps, free_since = [], start
    for begin, stop in [*sorted(busy), (end, end)]:
        if begin - free_since > limit:
            gaps.append((free_since, begin))
        free_since = max(free_since, stop)
    # With nothing at work at all there is nothing to make room for.
    return gaps if sum(stop - begin for begin, stop in gaps) < 0.999 * (end - start) else []


def tick_label(time: float, step: float) -> str:
    """Write a time on the axis, as exact as the step asks for."""
    if time < 1e-9:
        return "0"
    if step < 1:
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        if time < 1:
            return f"{time * 1000:.{max(0, digits - 3)}f} ms"
        return f"{time:.{digits}f} s"
    if time < 60 and step < 60:
        return f"{time:.0f} s"
    seconds = round(time)
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"


def running_label(seconds: float) -> str:
    """Write how long something takes that goes on, as the page's clock does between two frames.

    Examples
    --------
    >>> [running_label(s) for s in (0.04, 2.47, 75.2, 4000)]
    ['0.0 s', '2.5 s', '1 min 15 s', '1 h 6 min']
    """
    if seconds < 59.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = int(seconds + 0.05)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def length_label(seconds: float) -> str:
    """Write how long something took."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms" if seconds else "0 s"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
