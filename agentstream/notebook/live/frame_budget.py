"""How often the live views of a kernel send frames: as often as all of them together can afford.

One view flows at 30 frames a second. Many slow down alike, so that all together take a tenth of a
core, as their frames are measured to cost, but none falls below 4 frames a second.
"""

from __future__ import annotations

import asyncio
from time import monotonic, thread_time
from weakref import WeakKeyDictionary

__all__ = ["FrameBudget"]

_MOST, _LEAST = 30, 4
"""Frames a second of one view."""

_SHARE = 0.09
"""What the frames of all views together may take of a core: with their ends, a tenth."""

_HOLD = 0.01
"""Seconds for which frames may hold the event loop before others have their turn."""

_RECENT = 1.0
"""Seconds after its last frame for which a view counts."""


class FrameBudget:
    """The budget that all views on an event loop share."""

    def __init__(self) -> None:
        self._cost = 0.001  # seconds of the thread's time, a moving mean
        self._sent: WeakKeyDictionary[object, float] = WeakKeyDictionary()
        self._held = 0.0

    @staticmethod
    def of_loop(loop: asyncio.AbstractEventLoop) -> FrameBudget:
        """The budget of the views on `loop`."""
        budget = _of_loops.get(loop)
        if budget is None:
            budget = _of_loops[loop] = FrameBudget()
        return budget

    def interval(self) -> float:
        """Seconds from one frame of a view to its next."""
        recent = monotonic() - _RECENT
        views = sum(sent > recent for sent in self._sent.values())
        return min(max(views * self._cost / _SHARE, 1 / _MOST), 1 / _LEAST)

    def is_used_up(self) -> bool:
        """Whether one more frame would hold the loop for too long before it comes round."""
        return self._held > 0 and self._held + self._cost > _HOLD

    def note(self, view: object, began: float, loop: asyncio.AbstractEventLoop) -> None:
        """Note that `view` made a frame; `began` is `time.thread_time` before it."""
        cost = thread_time() - began
        self._cost += (cost - self._cost) / 8
        self._sent[view] = monotonic()
        if not self._held:
            loop.call_soon(self._next_tick)
        self._held += max(cost, 1e-9)

    def _next_tick(self) -> None:
        self._held = 0.0


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, FrameBudget] = WeakKeyDictionary()
