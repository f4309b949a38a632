"""Many runs share the loop: none keeps it for long, and each has its turn."""

from __future__ import annotations

import asyncio
import time

import pytest

from agentstream import Agent, Runner
from agentstream.run import fair_scheduling as module
from agentstream.run.fair_scheduling import FairScheduler
from agentstream.testing import ScriptedModel


async def test_the_runs_of_one_loop_share_their_rounds() -> None:
    assert FairScheduler.here() is FairScheduler.here()
    other = await asyncio.to_thread(lambda: asyncio.run(_here()))
    assert other is not FairScheduler.here()


async def _here() -> FairScheduler:
    return FairScheduler.here()


async def test_who_comes_while_the_round_lasts_does_not_wait() -> None:
    turn = FairScheduler.here().turn()
    with pytest.raises(StopIteration):
        turn.send(None)


async def test_after_a_round_each_waits_in_line_and_each_has_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_ROUND", 0.0)
    order: list[int] = []

    async def work(number: int) -> None:
        for _ in range(3):
            await FairScheduler.here().turn()
            order.append(number)

    await asyncio.gather(*(work(number) for number in range(3)))
    assert sorted(order) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert order.index(0) < order.index(1) < order.index(2)


async def test_one_that_is_cancelled_in_line_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_ROUND", 0.0)
    rounds = FairScheduler.here()
    rounds.is_over()  # begins a round, which is over at once
    first, second = (asyncio.ensure_future(rounds.turn()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(second, 5)


async def test_the_loop_comes_round_while_many_runs_are_flat_out() -> None:
    agent = Agent(name="A", model=ScriptedModel(["word " * 100], loop=True))
    rounds, running = 0, True

    async def count() -> None:
        nonlocal rounds
        while running:
            rounds += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    started = time.process_time()
    await asyncio.gather(*(Runner.run(agent, "hi") for _ in range(20)))
    took = time.process_time() - started
    running = False
    await counting
    # A round lasts five milliseconds, and a step more; generously.
    assert rounds > took / 0.1
