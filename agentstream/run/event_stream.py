"""The events of a run, as `stream_events()` gives them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NoReturn

from ..exceptions import UserError
from ..stream_events import StreamEvent

if TYPE_CHECKING:
    from .streamed_result import RunResultStreaming


_LATE = (
    "This run has ended and its events have been read, or were not kept (await show(...), wait()): "
    "there are none to come. result.to_frame('events') has them; Runner.run_streamed(...) starts "
    "another run."
)


class EventStream:
    """The events of one run, read one by one; dropped before the end, it stops the run.

    A class rather than an async generator: Python finalises those late, this one at once.
    """

    def __init__(self, result: RunResultStreaming) -> None:
        self._result = result
        self._events = result._events
        self._reading = False
        self._is_over = False
        # What happened while nobody read is in the buffer: with nothing there, it has been read.
        # A run that is stopped drops it; its trace tells of that only when its task has ended.
        is_stopped = result._cancelled or result.trace.status == "cancelled"
        self.is_late = result.is_complete and not self._events and not is_stopped

    def __iter__(self) -> NoReturn:
        """Say what to write: the events come one by one while the program waits.

        Raises
        ------
        UserError
            Always.
        """
        raise UserError(
            "stream_events() is for async for: write `async for event in result.stream_events()`, "
            "or, without async, `for event in result`."
        )

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> StreamEvent:
        self._reading = True
        events = self._events
        while not events:
            try:
                await self._result._available()
            except StopAsyncIteration:
                self._reading, self._is_over = False, True
                if self.is_late:
                    warnings.warn(_LATE, stacklevel=2)
                raise
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
        await self._result._closed()

    def __del__(self) -> None:
        if self._reading:
            self._result.cancel()
