"""A lock for an object that several event loops may use, one after another."""

from __future__ import annotations

import asyncio
import weakref


class LoopLock:
    """A lock for each event loop: an `asyncio.Lock` belongs to the loop that waited for it first.

    Examples
    --------
    >>> lock = LoopLock()
    >>> async def main():
    ...     async with lock.here():
    ...         return "alone"
    >>> asyncio.run(main()), asyncio.run(main())
    ('alone', 'alone')
    """

    def __init__(self) -> None:
        self._locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            weakref.WeakKeyDictionary()
        )

    def here(self) -> asyncio.Lock:
        """The lock of the running loop."""
        return self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
