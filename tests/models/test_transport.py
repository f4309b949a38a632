"""How the bytes of an answer are read: at once, but not more often than it is worth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from agentstream.models import transport
from agentstream.models.retry_watch import READING, Watch

FLAT_OUT, FAST, SLOW = 0.00002, 0.005, 0.1  # seconds between two chunks


class World:
    """A server whose chunks become ready at their times, and the clock by which they do."""

    def __init__(
        self, gaps: list[float], encoding: dict[str, str] | None = None, size: int = 100
    ) -> None:
        self.size = size
        self.now = 0.0
        self.due: list[float] = []
        for gap in gaps:
            self.due.append((self.due[-1] if self.due else 0.0) + gap)
        self.waits = 0
        self.pauses: list[float] = []
        self.http_response = SimpleNamespace(
            headers=encoding or {}, is_stream_consumed=False, aiter_raw=self.chunks
        )
        self.iter_bytes = self.chunks

    async def chunks(self) -> AsyncIterator[bytes]:
        for number, due in enumerate(self.due):
            self.waits += due > self.now
            self.now = max(self.now + 0.00001, due)
            yield (b"%d" % number).rjust(self.size)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


async def read(monkeypatch: pytest.MonkeyPatch, world: World) -> list[float]:
    """When each chunk was there, beyond the time at which it became ready."""
    monkeypatch.setattr(transport, "monotonic", lambda: world.now)
    monkeypatch.setattr(transport.asyncio, "sleep", world.sleep)
    response: Any = world
    late = [
        world.now - world.due[int(chunk)] async for chunk in transport._chunks(response, Watch())
    ]
    assert len(late) == len(world.due), "chunks were lost"
    return late


@pytest.mark.parametrize("encoding", [None, {"content-encoding": "gzip"}], ids=["plain", "gzip"])
async def test_what_trickles_in_fast_is_read_a_few_times_a_second(
    monkeypatch: pytest.MonkeyPatch, encoding: dict[str, str] | None
) -> None:
    world = World([FAST] * 1000, encoding)  # five seconds
    late = await read(monkeypatch, world)
    assert world.waits + len(world.pauses) < 180, "of a thousand"
    assert late[0] < 0.001, "the first is there at once"
    assert max(late) < 0.065, "no other is later than a pause"


async def test_what_is_there_already_is_read_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World([0.5, *[FLAT_OUT] * 1000])
    await read(monkeypatch, world)
    assert world.pauses == []


async def test_what_is_slow_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([SLOW] * 50)
    late = await read(monkeypatch, world)
    assert world.pauses == []
    assert max(late) < 0.001


async def test_large_pieces_are_read_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([FAST] * 50, size=65_536)
    await read(monkeypatch, world)
    assert world.pauses == []


async def test_a_pause_in_the_reading_is_not_held_against_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader waits from then on; a limit shorter than the pause would end the call in it."""
    world, watch = World([FAST] * 100), Watch()
    noted: list[float] = []

    async def sleep(seconds: float) -> None:
        noted.append(watch.since)
        await world.sleep(seconds)

    monkeypatch.setattr(transport, "monotonic", lambda: world.now)
    monkeypatch.setattr(transport.asyncio, "sleep", sleep)
    response: Any = world
    async for _ in transport._chunks(response, watch):
        if noted:
            assert noted.pop() == READING
            assert watch.since == pytest.approx(world.now, abs=0.001)
    assert len(world.pauses) > 5
