"""Events that came together go on together.

Each generator that an event passes by itself costs it some 0.2 us, and one read of a socket brings
many. A stream that knows which came together is an `BatchedStream`; to all others it looks as any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Generic, TypeVar

__all__ = ["BatchedStream", "batches_of", "gathered"]

T = TypeVar("T")


class BatchedStream(AsyncIterator[T], Generic[T]):
    """The events of a stream one by one; `batches` has those together that came together."""

    def __init__(self, batches: AsyncGenerator[list[T], None]) -> None:
        self.batches = batches
        self._ready: deque[T] = deque()

    async def __anext__(self) -> T:
        while not self._ready:
            self._ready.extend(await anext(self.batches))
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Close the stream; what was not read is dropped."""
        self._ready.clear()
        await self.batches.aclose()


def batches_of(stream: AsyncIterator[T]) -> AsyncGenerator[list[T], None]:
    """The events of a stream in batches; of one event each where it knows of none."""
    return stream.batches if isinstance(stream, BatchedStream) else _singly(stream)


async def _singly(stream: AsyncIterator[T]) -> AsyncGenerator[list[T], None]:
    async for event in stream:
        yield [event]


def gathered(events: Iterator[T]) -> tuple[list[T], Exception | None]:
    """The events of an iterator up to its end, or up to its error, which comes beside them."""
    batch: list[T] = []
    try:
        batch.extend(events)
    except Exception as error:  # noqa: BLE001 - raised by the caller, after what came before it
        return batch, error
    return batch, None
