"""Events that wait to be read, and those who wait for them."""

from __future__ import annotations

import asyncio

import pytest

from agentstream._utils.event_buffer import EventBuffer


async def test_all_readers_wake_when_an_event_comes_and_at_the_end() -> None:
    buffer: EventBuffer[str] = EventBuffer()
    for send in (lambda: buffer.put(["an event"]), buffer.wake):
        readers = [asyncio.ensure_future(buffer.changed()) for _ in range(2)]
        await asyncio.sleep(0)
        send()
        async with asyncio.timeout(1):
            await asyncio.gather(*readers)
    assert list(buffer) == ["an event"]


async def test_a_reader_that_is_cancelled_is_not_waited_for_any_more() -> None:
    buffer: EventBuffer[str] = EventBuffer()
    reader = asyncio.ensure_future(buffer.changed())
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    buffer.put(["an event"])
    assert buffer.popleft() == "an event"
