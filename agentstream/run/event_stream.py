"""The events of a run, as `stream_events()` gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import StreamEvent

if TYPE_CHECKING:
    from .result import RunResultStreaming


class EventStream:
    """The events of one run, read one by one; dropped before the end, it stops the run.

    A class rather than an async generator: Python finalises those late, this one at once.
    """

    def __init__(self, result: RunResultStreaming) -> None:
        self._result = result
        self._events = result._events
        self._reading = False
        self._is_over = False

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> StreamEvent:
        self._reading = True
        events = self._events
        while not events:
            try:
                await self._result._available()
            except BaseException:
                self._reading, self._is_over = False, True
                raise
        return events.popleft()

    async def aclose(self) -> None:
        """Stop the run if it goes on, and wait until its connection is closed."""
        self._reading = False
        # A run that paused and was resumed at once is another reader's.
        if not self._is_over and not self._result.is_complete:
            self._result.cancel()
        await self._result.wait_closed()

    def __del__(self) -> None:
        if self._reading:
            self._result.cancel()
