"""The workers of a cluster as the client sees them, without a cluster."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from agentstream import UserError
from agentstream.rows.cluster import crew as module
from agentstream.rows.cluster.crew import Crew
from agentstream.rows.result import RowResult


class Actor:
    """Answers each row at once, until it is cut off."""

    def __init__(self) -> None:
        self.is_cut = False
        self.is_released = False
        self._messages: asyncio.Queue[Any] = asyncio.Queue()

    def __await__(self) -> Any:
        """As the future of itself."""
        yield from asyncio.sleep(0).__await__()
        return self

    def release(self) -> None:
        self.is_released = True

    async def put(self, data: bytes) -> None:
        if self.is_cut:
            raise OSError("cut off")
        for kind, *what in pickle.loads(data):
            if kind == "row":
                number, key = what[:2]
                done = RowResult(key, "done", ("x",))
                await self._messages.put(("done", number, done, None, False))

    async def take(self) -> bytes:
        return pickle.dumps([await self._messages.get()])

    async def close(self) -> None:
        await self._messages.put(("closed",))


class Client:
    """A cluster of one worker."""

    def __init__(self) -> None:
        self.failures = 0
        self.looks = 0
        self.actors: list[Actor] = []

    async def nthreads(self) -> dict[str, int]:
        self.looks += 1
        if self.failures:
            self.failures -= 1
            raise OSError("not reached")
        return {"tcp://worker": 1}

    def submit(self, *given: Any, **how: Any) -> Actor:
        self.actors.append(Actor())
        return self.actors[-1]

    async def look(self, count: int) -> None:
        until = self.looks + count
        while self.looks < until:
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.01)


async def test_a_worker_that_was_cut_off_and_is_still_there_is_used_again() -> None:
    client: Any = Client()
    crew = Crew(client, b"", None)
    async with asyncio.timeout(10):
        assert (await crew.ask(b"1", "x", 0)).result.status == "done"
        client.actors[0].is_cut = True
        assert (await crew.ask(b"2", "x", 0)).result.status == "done"
        await crew.close()
    assert len(client.actors) == 2
    assert client.actors[0].is_released


async def test_a_scheduler_that_does_not_answer_for_a_moment_loses_no_worker() -> None:
    client: Any = Client()
    crew = Crew(client, b"", None)
    async with asyncio.timeout(10):
        await crew.ask(b"1", "x", 0)
        client.failures = 2
        await client.look(5)
        assert (await crew.ask(b"2", "x", 0)).result.status == "done"
        assert len(client.actors) == 1
        client.failures = 1_000
        await client.look(6)
        with pytest.raises(UserError, match="not reached any more"):
            await crew.ask(b"3", "x", 0)
        await crew.close()
