"""How often a stream is read while many runs share one event loop.

To wake a process that sleeps costs it about 0.2 ms, ten times what an event costs. Alone on its
loop, a run has that time, and its tokens are read as they come. Where many runs keep the loop busy,
each pauses a little after a read, so that several events come with one wake-up. How long is
measured: the share of time that the loop's thread works, and how many streams are being read.
"""

from __future__ import annotations

import asyncio
from time import monotonic, thread_time
from weakref import WeakKeyDictionary

__all__ = ["ReadingPace"]

_SAMPLE_SECONDS = 0.05
_BUSY, _CALM = 0.6, 0.3
"""Shares of the thread's time at which pauses grow, and shrink; between them they stay."""

_SHORTEST, _LONGEST = 0.004, 0.0625  # seconds
_PER_STREAM = 0.001
"""Seconds of pause for each stream that is read: with few, there is nothing to share."""


class ReadingPace:
    """The pauses between the reads of the streams on one event loop.

    Attributes
    ----------
    streams : int
        How many are being read.
    """

    def __init__(self) -> None:
        self.streams = 0
        self._pause = 0.0
        self._sampled, self._worked = monotonic(), thread_time()

    @staticmethod
    def of_running_loop() -> ReadingPace:
        """The one that all streams on the running event loop share."""
        loop = asyncio.get_running_loop()
        pace = _of_loops.get(loop)
        if pace is None:
            pace = _of_loops[loop] = ReadingPace()
        return pace

    def pause(self) -> float:
        """Seconds to wait before the next read; 0.0 while the loop has time."""
        now = monotonic()
        passed = now - self._sampled
        if passed >= _SAMPLE_SECONDS:
            worked = thread_time()
            self._adjust((worked - self._worked) / passed)
            self._sampled, self._worked = now, worked
        pause = min(self._pause, self.streams * _PER_STREAM)
        return pause if pause >= _SHORTEST else 0.0

    def _adjust(self, busy: float) -> None:
        if busy > _BUSY:
            self._pause = min(max(2 * self._pause, _SHORTEST), _LONGEST)
        elif busy < _CALM:
            self._pause = self._pause / 2 if self._pause > _SHORTEST else 0.0


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, ReadingPace] = WeakKeyDictionary()
