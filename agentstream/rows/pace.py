"""How often what is shown of a run's rows is brought up to date."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from .._utils.aio import running_loop_or_none

__all__ = ["FAST", "SLOW", "Pace"]

MESSAGES_A_SECOND: Final = 8
SLOW: Final = 1.0
FAST: Final = 1 / MESSAGES_A_SECOND


class Pace:
    """Calls a function when something has happened, at most eight times a second.

    Attributes
    ----------
    tick : float
        Seconds after which it is called although nothing was told: what is waited for changes.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self.tick = SLOW
        self._function = function
        self._last = -float("inf")
        self._timer: asyncio.TimerHandle | None = None

    def nudge(self) -> None:
        """Something has happened."""
        loop = running_loop_or_none()
        if loop is None:
            return
        self._wait(loop, max(0.0, self._last + 1 / MESSAGES_A_SECOND - time.monotonic()))

    def stop(self) -> None:
        """Call it no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, loop: asyncio.AbstractEventLoop, delay: float) -> None:
        due = loop.time() + delay
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_later(delay, self._call, loop)

    def _call(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._last = time.monotonic()
        self._function()
        if self._timer is None:
            self._wait(loop, self.tick)
