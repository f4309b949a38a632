"""How the bytes of an answer are read: at once, and in groups only where many share a busy loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from agentstream.models.http import reading_pace, streamed_body
from agentstream.models.http.reading_pace import ReadingPace
from agentstream.models.retry.stall_timer import PAUSED, StallTimer

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


def on_a_loop(monkeypatch: pytest.MonkeyPatch, world: World, *, busy: float, streams: int) -> None:
    """The running loop's thread works for this share of the time, for so many streams in all."""
    monkeypatch.setattr(reading_pace, "monotonic", lambda: world.now)
    monkeypatch.setattr(reading_pace, "thread_time", lambda: world.now * busy)
    monkeypatch.setattr(reading_pace, "_of_loops", type(reading_pace._of_loops)())
    ReadingPace.of_running_loop().streams = streams - 1


async def read(
    monkeypatch: pytest.MonkeyPatch, world: World, *, busy: float = 1.0, streams: int = 200
) -> list[float]:
    """When each chunk was there, beyond the time at which it became ready."""
    on_a_loop(monkeypatch, world, busy=busy, streams=streams)
    monkeypatch.setattr(streamed_body, "monotonic", lambda: world.now)
    monkeypatch.setattr(streamed_body.asyncio, "sleep", world.sleep)
    response: Any = world
    late = [
        world.now - world.due[int(chunk)]
        async for chunk in streamed_body._chunks(response, StallTimer())
    ]
    assert len(late) == len(world.due), "chunks were lost"
    assert ReadingPace.of_running_loop().streams == streams - 1, "it is no longer read"
    return late


@pytest.mark.parametrize("encoding", [None, {"content-encoding": "gzip"}], ids=["plain", "gzip"])
async def test_on_a_busy_loop_that_many_share_several_chunks_come_with_one_read(
    monkeypatch: pytest.MonkeyPatch, encoding: dict[str, str] | None
) -> None:
    world = World([FAST] * 1000, encoding)  # five seconds
    late = await read(monkeypatch, world)
    assert world.waits + len(world.pauses) < 250, "of a thousand"
    assert late[0] < 0.001, "the first is there at once"
    assert max(late) < 0.065, "no other is later than a pause"


@pytest.mark.parametrize("busy", [0.0, 0.3, 0.5, 1.0])
async def test_a_run_alone_is_read_as_it_comes_however_busy_its_loop(
    monkeypatch: pytest.MonkeyPatch, busy: float
) -> None:
    world = World([FAST] * 1000)
    late = await read(monkeypatch, world, busy=busy, streams=1)
    assert world.pauses == []
    assert max(late) < 0.001


async def test_many_runs_on_a_loop_that_has_time_are_read_as_they_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World([FAST] * 1000)
    await read(monkeypatch, world, busy=0.5)
    assert world.pauses == []


async def test_eight_runs_on_a_busy_loop_wait_for_no_more_than_eight_milliseconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World([FAST] * 1000)
    late = await read(monkeypatch, world, streams=8)
    assert max(late) <= 0.009


async def test_the_pauses_end_when_the_loop_has_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([FAST] * 1000)
    on_a_loop(monkeypatch, world, busy=1.0, streams=200)
    pace = ReadingPace.of_running_loop()
    found, half, tenth = [], 50 * 0.05, 0.1
    worked = lambda: min(world.now, half) + tenth * max(0.0, world.now - half)  # noqa: E731
    monkeypatch.setattr(reading_pace, "thread_time", worked)
    for _ in range(100):
        world.now += 0.05
        found.append(pace.pause())
    assert found[49] == 0.0625
    assert found[60:] == [0.0] * 40


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
    world, watch = World([FAST] * 100), StallTimer()
    on_a_loop(monkeypatch, world, busy=1.0, streams=200)
    noted: list[float] = []
    ended = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal ended
        noted.append(watch.waiting_since)
        await world.sleep(seconds)
        ended = world.now

    monkeypatch.setattr(streamed_body, "monotonic", lambda: world.now)
    monkeypatch.setattr(streamed_body.asyncio, "sleep", sleep)
    response: Any = world
    async for _ in streamed_body._chunks(response, watch):
        if noted:
            assert noted.pop() == PAUSED
            assert watch.waiting_since == ended
    assert len(world.pauses) > 5
