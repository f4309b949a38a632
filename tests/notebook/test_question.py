"""The question stands above the answer, and an answer that is data is a table."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from agentstream import Agent, Runner, chat, show
from agentstream.notebook import cards
from agentstream.notebook.live.dom import VirtualDom
from agentstream.notebook.live.trace_renderer import TraceRenderer
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedModel, hand_off, turn
from agentstream.trace import Trace


class Person(BaseModel):
    name: str
    born: int
    about: str | None = None


class Team(BaseModel):
    title: str
    people: list[Person]


ADA = {"name": "Ada", "born": 1815, "about": "Wrote\nnotes <b>on</b> the engine."}


def scripted(answer: Any, output_type: Any = None) -> Agent[Any]:
    return Agent(name="Guide", model=ScriptedModel([answer]), output_type=output_type)


def live_html(trace: Trace) -> str:
    board = VirtualDom()
    TraceRenderer(trace, board).update()
    return "".join(str(op) for op in board.keyframe())


async def both(agent: Agent[Any], question: str) -> list[str]:
    """The saved and the live page of a run."""
    result = await Runner.run(agent, question)
    return [snapshot(result.trace)["text/html"], live_html(result.trace)]


async def test_the_question_stands_above_the_answer_live_and_saved() -> None:
    for html in await both(scripted("By tram."), "How <i>do</i> I get up?\nQuickly."):
        assert "How &lt;i&gt;do&lt;/i&gt; I get up?<br>Quickly." in html
        assert html.index("get up?") < html.index("By tram.")


async def test_the_question_of_several_agents_stands_above_the_first_of_them_live() -> None:
    other = Agent(name="Other", model=ScriptedModel(["Here."]))
    guide = Agent(name="Guide", handoffs=[other], model=ScriptedModel([turn(hand_off(other))]))
    result = Runner.run_streamed(guide, "Where to?")
    board = VirtualDom()
    scene = TraceRenderer(result.trace, board)
    scene.update()  # as a view is made, before the run has begun
    result.observe(lambda _: scene.update())  # a frame for each event, as the page is told it
    async for _ in result.stream_events():
        pass
    scene.update()
    html = "".join(str(op) for op in board.keyframe())
    assert html.index("Where to?") < html.index(cards.speaker("Guide"))
    assert html.index(cards.speaker("Guide")) < html.index(cards.speaker("Other"))


async def test_a_long_question_is_folded_and_whole() -> None:
    question = "Why so long? " * 100 + "The end."
    for html in await both(scripted("Because."), question):
        assert "<details><summary" in html
        assert "The end." in html


async def test_the_question_stands_above_the_answer_in_markdown_text_and_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    question = "How do <i>I</i> get up?\n![x](y)"
    bundle = snapshot((await show(scripted("By tram."), question)).trace)
    assert bundle["text/markdown"].startswith("> `How do <\u200bi>I<\u200b/i> get up?`  \n> `!")
    assert bundle["text/plain"] == "> How do <i>I</i> get up?\n> ![x](y)\n\nBy tram.\n"
    assert capsys.readouterr().out == "> How do <i>I</i> get up?\n> ![x](y)\nGuide\nBy tram.\n"


@pytest.mark.parametrize(
    "question",
    [
        [{"role": "user", "content": "Hello."}, {"role": "user", "content": "How do I get up?"}],
        ["How do I get up?"],
        [{"role": "user", "content": [{"type": "input_text", "text": "How do I get up?"}]}],
    ],
)
async def test_the_question_of_a_list_is_its_last_message(question: Any) -> None:
    for html in await both(scripted("By tram."), question):
        assert html.index("How do I get up?") < html.index("By tram.")


async def test_of_a_question_of_many_lines_text_has_the_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = snapshot((await show(scripted("Yes."), "a " * 5_000 + "\nline" * 99)).trace)
    for text in (bundle["text/markdown"], bundle["text/plain"], capsys.readouterr().out):
        assert text.count("line") == 40  # one of them in the last
        assert "60 more lines" in text
        assert len(text) < 3_000


async def test_a_chat_shows_what_was_asked_once() -> None:
    from agentstream.notebook.chat.snapshot import conversation

    c = chat(scripted("By tram."))
    await c.send("How do I get up?")
    assert conversation(c.turns, name="Guide", id="x")["text/html"].count("get up?") == 1


@pytest.mark.parametrize(
    ("answer", "output_type"),
    [
        ({"response": [ADA, {"name": "Bob", "born": 1900, "about": None}]}, list[Person]),
        ({"title": "Two", "people": [ADA, {"name": "Bob", "born": 1900, "about": None}]}, Team),
        (ADA, Person),
    ],
)
async def test_structured_output_is_a_table(answer: Any, output_type: Any) -> None:
    import json

    for html in await both(scripted(json.dumps(answer), output_type), "Who?"):
        assert "<table>" in html
        assert "1815</td>" in html
        assert "Ada</td>" in html
        assert "<b>on" not in html
        assert '{"name"' not in html


async def test_data_that_is_no_record_stays_json() -> None:
    for html in await both(scripted('{"a": {"b": [1, [2]]}}'), "What?"):
        assert "as-code" in html or "<code" in html
