"""A view that no page shows sends nothing, and is whole as soon as one does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from agentstream import Agent, Runner
from agentstream.notebook.live import visibility
from agentstream.notebook.live.visibility import Visibility
from agentstream.notebook.live.widget import AgentView
from agentstream.testing import Pace, ScriptedModel


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A kernel whose cell has ended, so that pages are heard; append to have one at work."""
    at_work: list[bool] = []
    monkeypatch.setattr(visibility, "is_at_work", lambda: bool(at_work))
    return at_work


def test_a_view_is_hidden_when_every_page_that_loaded_it_says_so(heard: list[bool]) -> None:
    seen = Visibility()
    assert not seen.is_hidden()
    seen.note("one", True)
    seen.note("two", True)
    seen.note("one", False)
    assert not seen.is_hidden()
    seen.note("two", False)
    assert seen.is_hidden()
    seen.note("three", True)
    assert not seen.is_hidden()


def test_a_view_that_no_page_loads_is_hidden_once_one_would_have(
    heard: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Visibility()
    assert not seen.is_hidden()
    now = visibility.monotonic()
    monkeypatch.setattr(visibility, "monotonic", lambda: now + 6)
    assert seen.is_hidden()
    heard.append(True)
    assert not seen.is_hidden()


def test_a_kernel_that_hears_no_page_before_its_cell_ends_sends_all_the_same(
    heard: list[bool],
) -> None:
    seen = Visibility()
    seen.note("page", False)
    heard.append(True)
    assert not seen.is_hidden()
    heard.clear()
    assert seen.is_hidden()


def test_a_page_that_is_heard_on_another_thread_is_heard_while_a_cell_is_at_work(
    heard: list[bool],
) -> None:
    seen = Visibility()
    heard.append(True)
    subshell = threading.Thread(target=seen.note, args=("page", False))
    subshell.start()
    subshell.join()
    assert seen.is_hidden()


class Watched(AgentView):
    """A view whose messages are kept."""

    def __init__(self, trace: Any) -> None:
        super().__init__(trace)
        self.sent: list[dict[str, Any]] = []

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append(content)

    def hear(self, **message: Any) -> None:
        self._on_message(self, message, [])


def text(view: Watched) -> str:
    """All that the page was sent, in order."""
    return "".join(str(op[-1]) for frame in view.sent for op in frame["ops"])


async def test_a_hidden_view_sends_nothing_and_one_frame_brings_it_up_to_date(
    heard: list[bool],
) -> None:
    words = " ".join(f"word{number}" for number in range(200))
    model = ScriptedModel([words], pace=Pace(400, 0))
    result = Runner.run_streamed(Agent(name="Poet", model=model), "x")
    view = Watched(result.trace)
    counts = []
    number = 0
    async for event in result.stream_events():
        view.nudge()
        number += event.type == "raw_response_event"
        if number == 20:
            view.hear(kind="keyframe", page="p")
            view.hear(kind="visible", page="p", visible=False)
            await asyncio.sleep(0.06)  # a frame that was due already
            view.sent.clear()
        if number == 120:
            counts.append(len(view.sent))
            view.hear(kind="visible", page="p", visible=True)
            counts.append(len(view.sent))
            shown = text(view)
    view.close_run()
    assert counts == [0, 1]
    assert "word50" in shown
    numbers = [frame["n"] for frame in view.sent]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert "word199" in text(view)


async def test_the_end_of_a_run_is_sent_to_a_view_that_is_hidden(heard: list[bool]) -> None:
    result = Runner.run_streamed(Agent(name="Poet", model=ScriptedModel(["The end."])), "x")
    view = Watched(result.trace)
    view.hear(kind="visible", page="p", visible=False)
    async for _ in result.stream_events():
        view.nudge()
    assert not view.sent
    view.close_run()
    assert "The end." in text(view)
