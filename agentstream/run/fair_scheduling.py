"""Many runs share one event loop, and none keeps it for long.

All runs together work for `_ROUND` seconds, then the loop comes round: it reads its sockets, and
readers, widgets and an interrupt have their turn. Whoever wants to go on after that waits in a
line, from which each round takes one. So 200 runs that make their requests in the same moment, or
whose answers come all at once, never stand in the way for longer than a round and a step, and a run
that has its turn goes on for as long as the round lasts: to change from run to run at every few
events costs as much as the events.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from weakref import WeakKeyDictionary

_ROUND = 0.005  # seconds


class FairScheduler:
    """The turns that the runs on one event loop take."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon, self._new_waiter = loop.call_soon, loop.create_future
        self._end: float | None = None  # of the round under way, on the monotonic clock
        self._line: deque[asyncio.Future[None]] = deque()

    @staticmethod
    def here() -> FairScheduler:
        """Those of the running event loop."""
        loop = asyncio.get_running_loop()
        scheduler = _of_loops.get(loop)
        if scheduler is None:
            scheduler = _of_loops[loop] = FairScheduler(loop)
        return scheduler

    def is_over(self) -> bool:
        """Whether runs have worked for long enough since the loop last came round."""
        if self._end is None:
            self._begin()
            return False
        return monotonic() >= self._end

    async def turn(self) -> None:
        """Wait for one's turn, if the round is over."""
        if self.is_over():
            waiter = self._new_waiter()
            self._line.append(waiter)
            await waiter

    def _begin(self) -> None:
        self._end = monotonic() + _ROUND
        self._call_soon(self._next_tick)

    def _next_tick(self) -> None:
        self._end = None
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():  # else its run was cancelled
                waiter.set_result(None)
                self._begin()  # also where that run does nothing, the next one has its turn
                return


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, FairScheduler] = WeakKeyDictionary()
