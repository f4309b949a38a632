"""What a run is asked beside text: figures, images, frames, files, in each way to start one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agentstream import (
    Agent,
    Runner,
    RunState,
    SQLiteSession,
    ToolOutputImage,
    UserError,
    chat,
    function_tool,
    show,
)
from agentstream.displays.images import encode_png
from agentstream.notebook.chat.history import past_turns
from agentstream.notebook.chat.snapshot import conversation
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedModel, ScriptedServer, call, turn
from tests.displays.plots import plot, plt, without_windows  # noqa: F401 - a fixture for all tests here


def question() -> list[Any]:
    return ["What is wrong with this plot?", plot(), pd.DataFrame({"a": [1, 2]})]


def agent(*answers: Any, **more: Any) -> Agent[Any]:
    return Agent(name="A", model=ScriptedModel(list(answers or ["The axis."]), loop=True), **more)


def asked(model: Any, request: int = -1) -> list[dict[str, Any]]:
    (message,) = [item for item in model.requests[request].input if item.get("role") == "user"]
    return message["content"]


KINDS = ["input_text", "input_text", "input_image", "input_text"]


@pytest.mark.parametrize("way", ["run", "run_streamed", "show", "send"])
async def test_each_way_to_ask_takes_figures_and_frames(way: str, capsys: Any) -> None:
    model = ScriptedModel(["The axis."])
    asks = Agent(name="A", model=model)
    if way == "run":
        result: Any = await Runner.run(asks, question())
    elif way == "run_streamed":
        result = Runner.run_streamed(asks, question())
        async for _ in result.stream_events():
            pass
    elif way == "show":
        result = await show(asks, question())
    else:
        result = await chat(asks).send(question())
    parts = asked(model)
    assert [part["type"] for part in parts] == KINDS
    assert parts[2]["image_url"].startswith("data:image/png;base64,")
    assert "2 rows" in parts[3]["text"]
    assert [block["type"] for block in result.trace.question] == ["text", "image", "table"]
    assert plt.get_fignums() == []
    if way in ("show", "send"):
        written = capsys.readouterr().out
        assert written.startswith("> What is wrong with this plot?\n> [Figure, ")
        assert written.count("What is wrong") == 1


def test_run_sync_takes_them_as_well() -> None:
    model = ScriptedModel(["The axis."])
    Runner.run_sync(Agent(name="A", model=model), question())
    assert [part["type"] for part in asked(model)] == KINDS


async def test_over_chat_completions_the_image_of_a_question_is_sent() -> None:
    from agentstream import OpenAIChatCompletionsModel

    async with ScriptedServer(["The axis."]) as server:
        asks = Agent(name="A", model=OpenAIChatCompletionsModel("m", server.client()))
        await Runner.run(asks, question())
        (message,) = server.requests[0].body["messages"]
        assert [part["type"] for part in message["content"]] == [
            "text",
            "text",
            "image_url",
            "text",
        ]


async def test_items_stay_items_and_what_stands_between_them_is_a_message() -> None:
    model = ScriptedModel(["Yes."])
    before = {"role": "user", "content": "Hello"}
    answer = {"role": "assistant", "content": "Good morning."}
    image = {"type": "input_image", "image_url": "https://example.org/a.png"}
    await Runner.run(Agent(name="A", model=model), [before, answer, "And this?", image])
    sent = model.requests[0].input
    assert sent[:2] == [before, answer]
    assert sent[2] == {
        "role": "user",
        "content": [{"type": "input_text", "text": "And this?"}, image],
    }
    items = [before, answer, before]
    await Runner.run(agent(), items)
    assert items == [before, answer, before]


def test_files_are_images_text_or_files(tmp_path: Path) -> None:
    from agentstream.run.input_parts import as_input

    (tmp_path / "a.png").write_bytes(encode_png(2, 1, 3, bytes(6)))
    (tmp_path / "b.csv").write_text("a,b\n1,é\n", "utf-8")
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.7\n\0")
    image = ToolOutputImage(image_url="https://example.org/d.png")
    given = [tmp_path / "a.png", tmp_path / "b.csv", tmp_path / "c.pdf", image]
    (message,), blocks = as_input(given, 400)
    png, csv, pdf, other = message["content"]
    assert png["image_url"].startswith("data:image/png;base64,")
    assert csv == {"type": "input_text", "text": "File b.csv:\na,b\n1,é\n"}
    assert pdf["filename"] == "c.pdf"
    assert pdf["file_data"].startswith("data:application/pdf;base64,JVBER")
    assert other == {"type": "input_image", "image_url": "https://example.org/d.png"}
    assert [block["type"] for block in blocks] == ["image", "file", "file", "file"]
    assert "JVBER" not in json.dumps(blocks)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["What?", 3], r"input\[1\] is a int"),
        (["What?", None], r"input\[1\] is a NoneType"),
        ([object()], r"input\[0\] is a object"),
        (["What?", {"a": 1}], r"input\[1\] is a dict without a role"),
        (["What?", Path("/nowhere/at/all.csv")], "cannot be read: No such file"),
        (pd.DataFrame(), r"Put it in a list"),
        (Path("a.csv"), r"Put it in a list"),
        (3, "The input must be"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_to_write(given: Any, why: str) -> None:
    with pytest.raises(UserError, match=why):
        await Runner.run(agent(), given)


async def test_the_question_stands_above_the_answer_in_every_picture_of_the_run() -> None:
    result = await Runner.run(agent(), question())
    still = snapshot(result.trace)
    assert still["text/html"].count('<img src="data:image/png;base64,') == 1
    assert still["text/html"].index("What is wrong") < still["text/html"].index("The axis.")
    assert "2 rows" in still["text/html"]
    assert still["text/plain"].startswith("> What is wrong with this plot?\n> [Figure, ")
    assert "> `What is wrong with this plot?`" in still["text/markdown"]


async def test_input_in_the_form_of_the_api_shows_its_images_as_well() -> None:
    url = "data:image/gif;base64,R0lGODlhAQABAA=="
    content = [{"type": "input_text", "text": "Hm?"}, {"type": "input_image", "image_url": url}]
    result = await Runner.run(agent(), [{"role": "user", "content": content}])
    assert [block["type"] for block in result.trace.question] == ["text", "image"]
    plain = await Runner.run(agent(), [{"role": "user", "content": content[:1]}])
    assert plain.trace.question == [{"type": "text", "text": "Hm?"}]
    said = await Runner.run(agent(), [{"role": "assistant", "content": "Hm?"}])
    assert said.trace.question == []


async def test_a_saved_run_keeps_its_question() -> None:
    @function_tool(needs_approval=True)
    def send() -> str:
        """Send it."""
        return "sent"

    asks = agent(turn(call("send")), "Done.", tools=[send])
    paused = await Runner.run(asks, question())
    state = await RunState.from_json(asks, json.loads(json.dumps(paused.to_state().to_json())))
    state.approve(state.interruptions[0])
    result = await Runner.run(asks, state)
    assert result.final_output == "Done."
    assert result.trace.question == paused.trace.question


async def test_a_session_keeps_the_question_and_a_chat_shows_it_again(capsys: Any) -> None:
    session = SQLiteSession("questions")
    model = ScriptedModel(["The axis.", "Yes."])
    talk = chat(Agent(name="A", model=model), session=session)
    await talk.send(question())
    await talk.send("Sure?")
    assert [item.get("role") for item in model.requests[1].input] == ["user", "assistant", "user"]
    kept = conversation(talk.turns, name="A", id="x")
    assert kept["text/html"].count('<img src="data:image/png') == 1
    for kind in ("text/markdown", "text/plain"):
        assert kept[kind].count("What is wrong with this plot?") == 1, kind
    past = past_turns(await session.get_items(), "A")
    html = conversation([], past=past, name="A", id="x")["text/html"]
    assert html.count('<img src="data:image/png') == 1
    with pytest.raises(UserError, match="A message is a text"):
        await talk.send([])


async def test_guardrails_get_the_items_that_the_model_gets() -> None:
    from agentstream import GuardrailFunctionOutput, input_guardrail

    seen: list[Any] = []

    @input_guardrail
    def look(context: Any, asks: Any, given: Any) -> GuardrailFunctionOutput:
        seen.append(given)
        return GuardrailFunctionOutput(None, False)

    result = await Runner.run(agent(input_guardrails=[look]), question())
    assert [part["type"] for part in seen[0][0]["content"]] == KINDS
    assert result.to_input_list()[0] == seen[0][0]
