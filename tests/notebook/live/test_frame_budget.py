"""Frames are sent as often as all views of a kernel can afford together."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from agentstream.notebook.live import frame_budget
from agentstream.notebook.live.frame_budget import FrameBudget


class Clock:
    """The time, and the time that this thread worked, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.worked = 100.0
        monkeypatch.setattr(frame_budget, "monotonic", lambda: self.now)
        monkeypatch.setattr(frame_budget, "thread_time", lambda: self.worked)


class View:
    """Whatever sends frames."""


async def sent(budget: FrameBudget, clock: Clock, views: list[View], cost: float) -> None:
    """Each view makes a few frames of this cost."""
    loop = asyncio.get_running_loop()
    for _ in range(40):
        for view in views:
            began = clock.worked
            clock.worked += cost
            budget.note(view, began, loop)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("views", "cost", "a_second"),
    [
        (1, 0.001, 30),
        (3, 0.001, 30),
        (10, 0.001, 9),
        (50, 0.001, 4),
        (1, 0.005, 18),
        (1, 0.1, 4),
        (20, 0.0001, 30),
    ],
)
async def test_all_views_together_take_a_tenth_of_a_core_and_none_stops(
    monkeypatch: pytest.MonkeyPatch, views: int, cost: float, a_second: int
) -> None:
    clock, budget = Clock(monkeypatch), FrameBudget()
    all_ = [View() for _ in range(views)]
    await sent(budget, clock, all_, cost)
    assert 1 / budget.interval() == pytest.approx(a_second, rel=0.05)


async def test_views_that_send_no_more_leave_their_share_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, budget = Clock(monkeypatch), FrameBudget()
    all_ = [View() for _ in range(10)]
    await sent(budget, clock, all_, 0.001)
    clock.now += 2
    await sent(budget, clock, all_[:1], 0.001)
    assert 1 / budget.interval() == pytest.approx(30)


async def test_frames_hold_the_loop_for_ten_milliseconds_and_let_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, budget = Clock(monkeypatch), FrameBudget()
    loop, made = asyncio.get_running_loop(), 0
    while not budget.is_used_up():
        began = clock.worked
        clock.worked += 0.001
        budget.note(View(), began, loop)
        made += 1
    assert made in (9, 10)
    await asyncio.sleep(0)
    assert not budget.is_used_up()


async def test_fifty_views_at_once_take_turns_and_all_send(monkeypatch: pytest.MonkeyPatch) -> None:
    from agentstream.notebook.live.widget import AgentView
    from agentstream.trace import Trace

    views: list[Any] = [AgentView(Trace()) for _ in range(50)]
    flushed: list[tuple[int, int]] = []
    turn = 0

    def flush(self: Any) -> None:
        self._due = None
        until = time.thread_time() + 0.001
        while time.thread_time() < until:
            pass
        flushed.append((views.index(self), turn))

    monkeypatch.setattr(AgentView, "flush", flush)
    for view in views:
        view.nudge()
    while len(flushed) < 50:
        turn += 1
        await asyncio.sleep(0)
    assert sorted(at for at, _ in flushed) == list(range(50))
    turns = [sum(1 for _, when in flushed if when == one) for one in range(turn + 1)]
    assert max(turns) <= 11, "none holds the loop for longer than ten frames of a millisecond"
