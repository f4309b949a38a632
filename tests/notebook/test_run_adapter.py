"""A run that is not ours is read by one task: whoever watches it gets all of its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from agentstream.notebook.run_adapter import RunAdapter


class ForeignRun:
    """A run as other packages have it: one queue, whose events two readers would share."""

    def __init__(self, error: Exception | None = None) -> None:
        self.cancelled = False
        self.error = error
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        for number in range(20):
            await asyncio.sleep(0)
            agent = SimpleNamespace(name=str(number))
            event = SimpleNamespace(type="agent_updated_stream_event", new_agent=agent)
            self._queue.put_nowait(event)
        self._queue.put_nowait(self.error or StopAsyncIteration())

    async def stream_events(self) -> AsyncIterator[Any]:
        while not isinstance(event := await self._queue.get(), Exception):
            yield event
        if self.error is not None:
            raise self.error

    def cancel(self) -> None:
        self.cancelled = True
        self._queue.put_nowait(StopAsyncIteration())


async def numbers(source: RunAdapter) -> list[int]:
    return [int(event.new_agent.name) async for event in source.events()]


async def test_a_run_that_is_followed_in_the_background_gives_a_reader_all_its_events() -> None:
    source = RunAdapter(ForeignRun())
    source.start()
    assert await asyncio.wait_for(numbers(source), 10) == list(range(20))
    assert source.is_complete
    assert not source.waits  # of a run that knows nothing of approvals
    assert source.trace.status == "completed"


async def test_what_came_before_the_reader_is_kept() -> None:
    source = RunAdapter(ForeignRun())
    source.start()
    while not source.is_complete:
        await asyncio.sleep(0)
    assert await asyncio.wait_for(numbers(source), 10) == list(range(20))


async def test_an_error_reaches_whoever_waits_and_ends_the_wait() -> None:
    source = RunAdapter(ForeignRun(ValueError("no such tool")))
    source.start()
    with pytest.raises(ValueError, match="no such tool"):
        await asyncio.wait_for(source.ended(), 10)
    assert source.trace.status == "failed"
    assert source.is_complete


async def test_leaving_the_events_early_stops_the_run() -> None:
    run = ForeignRun()
    source = RunAdapter(run)
    events = source.events()
    async for event in events:
        if event.new_agent.name == "3":
            break
    await events.aclose()
    assert run.cancelled
    assert source.trace.status == "cancelled"
    await source.closed()
    assert source.is_complete
