"""When the next recorded event is due: at the recorded pace, at once, or step by step."""

from __future__ import annotations

import asyncio
import threading
from typing import Literal, TypeAlias

from ..exceptions import UserError

Speed: TypeAlias = float | Literal["step"] | None
"""1: as recorded; 2: twice as fast; 0 or None: at once; ``"step"``: when `step` is called."""


class Pace:
    """Lets recorded events pass when they are due.

    Parameters
    ----------
    speed : float or "step" or None
        Factor on the recorded pace; 0 or None: at once; ``"step"``: only when `step` is called.
    """

    def __init__(self, speed: Speed = 1.0) -> None:
        self._lock = threading.Lock()
        self._steps = 0
        self._waiting: list[asyncio.Future[None]] = []
        self.speed = speed

    @property
    def speed(self) -> Speed:
        """The pace; may be changed at any time."""
        return self._speed

    @speed.setter
    def speed(self, speed: Speed) -> None:
        number = isinstance(speed, (int, float)) and not isinstance(speed, bool) and speed >= 0
        if speed is not None and speed != "step" and not number:
            raise UserError(
                f"speed must be a factor such as 1 (as recorded) or 4, None (at once) or 'step', "
                f"got {speed!r}"
            )
        self._speed: Speed = speed

    def step(self, count: int = 1) -> None:
        """Let `count` more events pass; may be called from any thread."""
        with self._lock:
            self._steps += count
            waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.get_loop().call_soon_threadsafe(_wake, future)

    async def wait(self, at: float, began: float) -> None:
        """Wait until an event may pass.

        `at` is in seconds from the start of what is played, which was at `began` on the event
        loop's clock.
        """
        loop = asyncio.get_running_loop()
        while self._speed == "step":
            with self._lock:
                if self._steps > 0:
                    self._steps -= 1
                    return
                future: asyncio.Future[None] = loop.create_future()
                self._waiting.append(future)
            await future
        factor = self._speed
        due = began + at / factor if isinstance(factor, (int, float)) and factor else 0.0
        # Also where nothing is waited for, other tasks get their turn between two events.
        await asyncio.sleep(max(0.0, due - loop.time()))

    async def sleep(self, seconds: float) -> None:
        """Wait for a pause within what is played."""
        await self.wait(seconds, asyncio.get_running_loop().time())


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
