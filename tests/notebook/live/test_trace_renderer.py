"""The scene: whatever the frames, the page ends as the run is; bytes stay linear."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentstream import Agent, Runner, function_tool
from agentstream.notebook import cards
from agentstream.notebook.live.dom import TAIL, VirtualDom
from agentstream.notebook.live.trace_renderer import TraceRenderer
from agentstream.notebook.markdown.stream import render
from agentstream.testing import ScriptedModel, call, hand_off, think, turn
from agentstream.trace import Trace
from tests.notebook.live.test_dom import Page

MARKDOWN = (
    "# Plan\n\nFirst *one*,\n\n- two\n- three\n\n```python\nprint('x < y')\n```\n\nEnd & more."
)


@function_tool
def look_up(place: str) -> dict[str, str]:
    """Look a place up."""
    return {"place": place, "say": "<script>alert(1)</script>"}


def team() -> Agent[Any]:
    booking = Agent(name="Booking", model=ScriptedModel(["Booked **it**."]))
    script = [
        turn(think("Let me think."), "I look.", call("look_up", place="Lisbon")),
        turn(MARKDOWN, hand_off(booking)),
    ]
    return Agent(name="Guide", tools=[look_up], handoffs=[booking], model=ScriptedModel(script))


async def events() -> list[Any]:
    """The run's events and marks, as its own trace got them."""
    seen: list[Any] = []
    result = Runner.run_streamed(team(), "Lisbon?")
    add_all = result.trace.add_all

    def listen(events: Iterable[Any], t: float) -> None:
        seen.extend((event, t) for event in events)
        add_all(events, t)

    result.trace.add_all = listen  # type: ignore[method-assign]
    async for _ in result.stream_events():
        pass
    return seen


def inside(board: VirtualDom) -> str:
    page = Page()
    page.apply(board.keyframe())
    return page.html()


async def test_frames_at_any_moment_end_in_the_same_page() -> None:
    story = await events()

    @settings(max_examples=25, deadline=None)
    @given(st.sets(st.integers(0, len(story))))
    def same(moments: set[int]) -> None:
        trace, board, followed = Trace(), VirtualDom(), Page()
        scene = TraceRenderer(trace, board)
        for number, (event, t) in enumerate(story):
            trace.add(event, t)
            if number in moments:
                scene.update()
                followed.apply(board.frame())
        scene.update()
        followed.apply(board.frame())
        late = Page()
        late.apply(board.keyframe())
        assert followed.html() == late.html()
        assert late.html() == whole

    trace, board = Trace(), VirtualDom()
    for event, t in story:
        trace.add(event, t)
    TraceRenderer(trace, board).update()
    whole = inside(board)
    same()


async def test_text_is_what_one_rendering_gives() -> None:
    trace, board, page = Trace(), VirtualDom(), Page()
    scene = TraceRenderer(trace, board)
    for event, t in await events():
        trace.add(event, t)
        scene.update()
        page.apply(board.frame())
    texts = [part for part in trace.parts if part.kind == "text"]
    assert len(texts) == 3
    for part in texts:
        blocks = page.nodes[f"p{part.index}.frame"]["children"]
        assert "".join(page.nodes[id]["html"] for id in blocks) == render(part.text)


async def test_cards_speakers_and_the_end_are_there() -> None:
    trace, board = Trace(), VirtualDom()
    for event, t in await events():
        trace.add(event, t)
    TraceRenderer(trace, board, live=False).update()
    html = inside(board)
    for part in trace.parts:
        if part.kind not in ("text", "reasoning"):
            assert cards.card(part, live=False, nested=False) in html
    assert html.index(cards.speaker("Guide")) < html.index(cards.speaker("Booking"))
    assert "<script" not in html


async def test_arguments_that_stream_are_sent_once() -> None:
    long = "x" * 20_000

    @function_tool
    def note(text: str) -> str:
        """Keep it."""
        return "kept"

    agent = Agent(
        name="A", tools=[note], model=ScriptedModel([turn(call("note", text=long)), "Done."])
    )
    trace, board = Trace(), VirtualDom()
    scene, sent, count = TraceRenderer(trace, board), 0, 0
    result = Runner.run_streamed(agent, "go")
    async for event in result.stream_events():
        trace.add(event, result.trace.now)
        count += 1
        if count % 10 == 0 or event.type != "raw_response_event":
            scene.update()
            sent += len(json.dumps(board.frame()))
    assert sent < 8 * len(long), "not a copy of the arguments in each frame"


async def test_arguments_stand_inside_their_card_while_they_are_written() -> None:
    model = ScriptedModel([turn(call("note", text="x" * 200)), "Done."])

    @function_tool
    def note(text: str) -> str:
        """Keep it."""
        return "kept"

    trace, board, seen = Trace(), VirtualDom(), 0
    scene = TraceRenderer(trace, board)
    result = Runner.run_streamed(Agent(name="A", tools=[note], model=model), "go")
    async for event in result.stream_events():
        trace.add(event, result.trace.now)
        scene.update()
        card = board._nodes.get("p0.card")
        if trace.parts and trace.parts[0].status == "in_progress" and trace.parts[0].input:
            assert card is not None
            assert "".join(card.tail) == trace.parts[0].arguments
            assert card.html.count(TAIL) == 1
            assert "as-card-body" in card.html
            seen += 1
    assert seen > 2
    assert TAIL not in inside(board)


@pytest.mark.parametrize("words", [2_000, 8_000])
def test_bytes_stay_linear_in_the_text(words: int) -> None:
    trace, board, size = Trace(), VirtualDom(), 0
    scene = TraceRenderer(trace, board)
    for number in range(words):
        piece = "word " if number % 12 else "\n\n**more** "
        event = _delta(piece)
        trace.add(event, number / 100)
        if number % 3 == 0:
            scene.update()
            size += len(json.dumps(board.frame()))
    assert size < 400 * words


def _delta(piece: str) -> Any:
    from openai.types.responses import ResponseTextDeltaEvent

    from agentstream.stream_events import RawResponsesStreamEvent

    return RawResponsesStreamEvent(
        ResponseTextDeltaEvent(
            type="response.output_text.delta",
            delta=piece,
            item_id="m",
            output_index=0,
            content_index=0,
            sequence_number=0,
            logprobs=[],
        )
    )
