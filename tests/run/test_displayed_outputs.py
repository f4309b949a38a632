"""Tools that return figures, images and frames: the run, its items, its recording, both APIs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agentstream import (
    Agent,
    RecordingError,
    RunConfig,
    Runner,
    RunState,
    SQLiteSession,
    ToolGuardrailFunctionOutput,
    function_tool,
    load_run,
    recording,
    tool_output_guardrail,
)
from agentstream.displays import image_of_url
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.run_config import ToolExecutionConfig
from agentstream.testing import ScriptedModel, ScriptedServer, call, turn
from agentstream.trace import Trace
from tests.displays.plots import plot, plt, without_windows  # noqa: F401 - a fixture for all tests here

Image = pytest.importorskip("PIL.Image")


@function_tool
def draw() -> Any:
    """Draw the sales."""
    return plot()


@function_tool
async def load() -> Any:
    """Load the data."""
    return pd.DataFrame({"city": ["Lisbon"] * 300, "t": range(300)})


def agent(*tools: Any, model: Any = None, **more: Any) -> Agent[Any]:
    script = [turn(*(call(tool.name) for tool in tools)), "Done."]
    return Agent(name="A", tools=list(tools), model=model or ScriptedModel(script), **more)


def outputs(result: Any) -> list[Any]:
    return [item for item in result.new_items if item.type == "tool_call_output_item"]


async def test_the_program_gets_the_value_and_the_model_picture_and_text() -> None:
    result = await Runner.run(agent(draw, load), "Go")
    figure, frame = outputs(result)
    assert type(figure.output).__name__ == "Figure"
    assert [part["type"] for part in figure.raw_item["output"]] == ["input_text", "input_image"]
    assert isinstance(frame.output, pd.DataFrame)
    (told,) = frame.raw_item["output"]
    assert "300 rows × 2 columns" in told["text"]
    assert [block["type"] for block in figure.display + frame.display] == ["image", "table"]
    assert plt.get_fignums() == []


async def test_over_responses_the_image_is_sent_and_over_chat_its_text() -> None:
    async with ScriptedServer([turn(call("draw")), "Done.", turn(call("draw")), "Done."]) as server:
        from agentstream import OpenAIChatCompletionsModel, OpenAIResponsesModel

        client = server.client()
        await Runner.run(agent(draw, model=OpenAIResponsesModel("gpt-5-mini", client)), "Go")
        (sent,) = [
            i for i in server.requests[1].body["input"] if i.get("type") == "function_call_output"
        ]
        assert sent["output"][1]["type"] == "input_image"
        assert sent["output"][1]["image_url"].startswith("data:image/png;base64,")
        await Runner.run(agent(draw, model=OpenAIChatCompletionsModel("m", client)), "Go")
        (told,) = [m for m in server.requests[3].body["messages"] if m["role"] == "tool"]
        assert told["content"].startswith("Figure, ")
        assert "Sales" in told["content"]


async def test_a_model_that_reads_text_alone_gets_the_text(monkeypatch: Any) -> None:
    from agentstream import OpenAIResponsesModel

    async with ScriptedServer([turn(call("draw")), "Done."] * 2) as server:
        client = server.client()
        await Runner.run(agent(draw, model=OpenAIResponsesModel("o3-mini", client)), "Go")
        config = RunConfig(tool_execution=ToolExecutionConfig(send_images=False))
        seeing = agent(draw, model=OpenAIResponsesModel("gpt-5-mini", client))
        await Runner.run(seeing, "Go", run_config=config)
        for request in (server.requests[1], server.requests[3]):
            (output,) = [i for i in request.body["input"] if i.get("call_id") and "output" in i]
            assert [part["type"] for part in output["output"]] == ["input_text"]


async def test_what_takes_too_long_to_draw_is_given_up(monkeypatch: Any) -> None:
    import time

    from agentstream.run import function_call

    class Slow:
        def _repr_html_(self) -> str:
            time.sleep(2)
            return "late"

    @function_tool
    def slow() -> Any:
        """Be slow."""
        return Slow()

    monkeypatch.setattr(function_call, "DRAWING_SECONDS", 0.1)
    (output,) = outputs(await Runner.run(agent(slow), "Go"))
    assert output.raw_item["output"] == [{"type": "input_text", "text": "Slow: not drawn"}]


async def test_the_run_sets_the_budget_of_a_frame() -> None:
    config = RunConfig(tool_execution=ToolExecutionConfig(max_frame_characters=200))
    (frame,) = outputs(await Runner.run(agent(load), "Go", run_config=config))
    assert len(frame.raw_item["output"][0]["text"]) <= 200


async def test_hooks_and_guardrails_see_the_value_itself() -> None:
    seen: list[Any] = []

    @tool_output_guardrail
    def no_figures(data: Any) -> ToolGuardrailFunctionOutput:
        seen.append(type(data.output).__name__)
        return ToolGuardrailFunctionOutput.reject_content("No figures here.")

    @function_tool(tool_output_guardrails=[no_figures])
    def guarded() -> Any:
        """Draw."""
        return plot()

    result = await Runner.run(agent(guarded), "Go")
    (output,) = outputs(result)
    assert seen == ["Figure"]
    assert output.raw_item["output"] == output.output == "No figures here."
    assert output.display is None
    (part,) = [part for part in result.trace.parts if part.kind == "tool"]
    assert not part.display


async def test_a_saved_run_keeps_the_picture_and_what_the_model_was_told() -> None:
    @function_tool(needs_approval=True)
    def send() -> str:
        """Send it."""
        return "sent"

    script = ScriptedModel([turn(call("draw"), call("load")), turn(call("send")), "Done."])
    asked = Agent(name="A", tools=[draw, load, send], model=script)
    paused = await Runner.run(asked, "Go")
    saved = json.dumps(paused.to_state().to_json())
    state = await RunState.from_json(asked, json.loads(saved))
    before, after = (
        outputs(paused),
        [i for i in state.new_items if i.type == "tool_call_output_item"],
    )
    assert [item.display for item in after] == [item.display for item in before]
    assert [item.raw_item for item in after] == [item.raw_item for item in before]
    state.approve(state.interruptions[0])
    result = await Runner.run(asked, state)
    assert result.final_output == "Done."


async def test_a_recording_shows_the_picture_again_and_is_small(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with recording(path):
        result = await Runner.run(agent(draw, load), "Go")
    live = [part.display for part in result.trace.parts if part.kind == "tool"]
    again = [part.display for part in load_run(path).trace.parts if part.kind == "tool"]
    assert again == live
    with recording(path):
        replayed = await Runner.run(agent(draw, load), "Go")
    assert replayed.final_output == "Done."
    assert path.read_text("utf-8").count("base64,") == 1  # of mark, item and the next request, once


async def test_a_recording_has_a_thumbnail_of_a_large_picture(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1_500, 1_500, 3), dtype="uint8")

    @function_tool
    def photo() -> Any:
        """Take a photo."""
        return Image.fromarray(noise)

    path = tmp_path / "run.jsonl"
    with recording(path):
        result = await Runner.run(agent(photo), "Go")
    sent = outputs(result)[0].raw_item["output"][1]["image_url"]
    assert len(sent) > 300_000
    assert path.stat().st_size < 200_000
    (part,) = [part for part in load_run(path).trace.parts if part.kind == "tool"]
    assert part.display is not None
    small = image_of_url(part.display[0]["url"])
    assert small is not None
    assert small.size is not None
    assert max(small.size) <= 512
    with recording(path):
        assert (await Runner.run(agent(photo), "Go")).final_output == "Done."


async def test_another_picture_is_another_question(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    url = "data:image/png;base64," + "QUJD" * 100_000
    asks = agent()
    asks.model = ScriptedModel(["The axis."])

    def question(address: str) -> list[Any]:
        return ["What is wrong?", {"type": "input_image", "image_url": address}]

    with recording(path):
        await Runner.run(asks, question(url))
    assert path.stat().st_size < 10_000
    with recording(path):
        assert (await Runner.run(asks, question(url))).final_output == "The axis."
        with pytest.raises(RecordingError, match="sha256=") as raised:
            await Runner.run(asks, question(url.replace("QUJD", "QUJE", 1)))
    assert len(str(raised.value)) < 5_000
    played = load_run(path)
    assert "the recording has no likeness of it" in snapshot(played.trace)["text/html"]


async def test_a_question_is_played_with_its_picture(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    asks = agent()
    asks.model = ScriptedModel(["The axis."])
    with recording(path):
        result = await Runner.run(asks, ["What is wrong?", plot(), pd.DataFrame({"a": [1]})])
    assert load_run(path).trace.question == result.trace.question
    with recording(path):
        again = await Runner.run(asks, ["What is wrong?", plot(), pd.DataFrame({"a": [1]})])
    assert again.final_output == "The axis."


async def test_a_recording_that_kept_images_whole_is_still_replayed(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    url = "data:image/png;base64," + "QUJD" * 1_000
    asks = agent()
    asks.model = ScriptedModel(["The axis."])
    question = [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]
    with recording(path):
        await Runner.run(asks, list(question))
    text = path.read_text("utf-8")
    assert "sha256=" in text
    start = text.index("data:image/png;sha256=")
    old = text.replace(text[start : start + len("data:image/png;sha256=") + 64], url)
    path.write_text(old, encoding="utf-8")
    with recording(path):
        assert (await Runner.run(asks, list(question))).final_output == "The axis."


async def test_sessions_keep_what_the_model_was_told() -> None:
    session = SQLiteSession("figures")
    await Runner.run(agent(draw), "Go", session=session)
    kept = [
        item for item in await session.get_items() if item.get("type") == "function_call_output"
    ]
    assert kept[0]["output"][1]["type"] == "input_image"


async def test_an_agent_as_a_tool_shows_its_figures_in_its_own_calls() -> None:
    inner = agent(draw)
    outer = agent(
        inner.as_tool("ask", "Ask."), model=ScriptedModel([turn(call("ask", input="x")), "Done."])
    )
    result = Runner.run_streamed(outer, "Go")
    async for _ in result.stream_events():
        pass
    (part,) = [part for part in result.trace.parts if part.kind == "tool"]
    assert part.nested is not None
    (inside,) = [one for one in part.nested.parts if one.kind == "tool"]
    assert inside.display
    assert not part.display


async def test_the_first_tool_may_end_the_run_with_a_figure() -> None:
    result = await Runner.run(agent(draw, tool_use_behavior="stop_on_first_tool"), "Go")
    assert result.final_output == "Figure(640x480)"  # as with the SDK: an agent's answer is text
    assert outputs(result)[0].display


async def test_a_table_of_the_run_has_the_words() -> None:
    result = await Runner.run(agent(draw, load), "Go")
    texts = result.to_frame()["output"].dropna().to_list() if "output" in result.to_frame() else []
    texts = texts or result.to_frame()["text"].dropna().to_list()
    assert any("Sales" in text for text in texts)


async def test_a_run_of_the_sdk_shows_its_figures_as_well() -> None:
    sdk = pytest.importorskip("agents")
    from agentstream.notebook import cards

    del sdk
    trace = Trace()
    from types import SimpleNamespace

    raw = {"type": "function_call_output", "call_id": "c", "output": "Figure(640x480)"}
    item = SimpleNamespace(type="tool_call_output_item", raw_item=raw, output=plot(), agent=None)
    trace.add(SimpleNamespace(type="run_item_stream_event", name="tool_output", item=item), 0.0)
    assert "data:image/png;base64," in cards.run_body(trace)


async def test_an_output_that_is_displayed_names_the_origin_of_its_tool_as_any_other_does() -> None:
    result = await Runner.run(
        Agent(name="A", model=ScriptedModel([call("draw"), "Done."]), tools=[draw]), "Go"
    )
    (output,) = [item for item in result.new_items if item.type == "tool_call_output_item"]
    assert output.display is not None
    assert output.tool_origin is not None
    assert output.tool_origin.type == "function"
