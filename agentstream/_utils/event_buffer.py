"""Events that wait to be read, and the readers that wait for events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import TypeVar

__all__ = ["EventBuffer"]

T = TypeVar("T")


class EventBuffer(deque[T]):
    """The events of a run that nobody has read; a reader takes them out with `popleft`.

    Examples
    --------
    >>> buffer = EventBuffer()
    >>> buffer.put(["an event", "another"])
    >>> buffer.popleft(), len(buffer)
    ('an event', 1)
    """

    def __init__(self) -> None:
        super().__init__()
        self._readers: set[asyncio.Future[None]] = set()

    def put(self, events: Iterable[T]) -> None:
        """Add events, and wake the readers that wait for them."""
        self.extend(events)
        if self._readers:
            self.wake()

    def wake(self) -> None:
        """Have the readers look again: there are events, or none will come."""
        readers, self._readers = self._readers, set()
        for reader in readers:
            if not reader.done() and not reader.get_loop().is_closed():
                reader.set_result(None)

    async def changed(self) -> None:
        """Wait until there may be events, or their end."""
        reader = asyncio.get_running_loop().create_future()
        self._readers.add(reader)
        try:
            await reader
        finally:
            self._readers.discard(reader)
