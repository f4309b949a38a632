"""What tools returned in older turns is sent shorter."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from agentstream import Agent, RunConfig, Runner, SQLiteSession, function_tool
from agentstream.extensions.tool_output_trimmer import ToolOutputTrimmer
from agentstream.run_config import CallModelData, ModelInputData
from agentstream.testing import ScriptedModel, call


def user(text: str = "q") -> dict[str, Any]:
    return {"role": "user", "content": text}


def conversation(output: Any, **of_call: Any) -> list[Any]:
    called = {"type": "function_call", "call_id": "c", "name": "search", "arguments": "{}"}
    returned = {"type": "function_call_output", "call_id": "c", "output": output}
    return [user(), {**called, **of_call}, returned, user(), user()]


def trimmed(items: list[Any], **options: Any) -> Any:
    before = copy.deepcopy(items)
    data = CallModelData(ModelInputData(input=items, instructions="I"), Agent(name="A"), None)
    made = ToolOutputTrimmer(**options)(data)
    assert items == before
    assert made.instructions == "I"
    again = CallModelData(made, Agent(name="A"), None)
    assert ToolOutputTrimmer(**options)(again).input == made.input
    return made.input[2]["output"]


def test_a_long_output_of_an_old_turn_becomes_a_preview() -> None:
    assert trimmed(conversation("x" * 1000)) == (
        "[Trimmed: search, payload 1000 chars, preview 200 chars]\n" + "x" * 200 + "..."
    )


@pytest.mark.parametrize("recent", [3, 9])
def test_recent_and_short_outputs_stay(recent: int) -> None:
    assert trimmed(conversation("x" * 1000), recent_turns=recent) == "x" * 1000
    assert trimmed(conversation("x" * 500)) == "x" * 500


def test_pictures_are_dropped_and_text_is_kept() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "Q" * 3000}
    caption = {"type": "input_text", "text": "Q3 up 12 %"}
    output = trimmed(conversation([image, caption]))
    assert output.endswith("Q3 up 12 %")
    assert "dropped 1 input_image" in output
    assert "base64" not in output


def test_a_small_budget_goes_to_the_text() -> None:
    output = trimmed(conversation("abcdefghij" * 30), max_output_chars=40)
    assert output == "[Trimmed]\n" + ("abcdefghij" * 3)[:27] + "..."
    for budget in range(1, 20):
        assert len(trimmed(conversation("x" * 30), max_output_chars=budget)) <= budget


@pytest.mark.parametrize("parts", [["x" * 999], [{"type": "other", "data": "x" * 999}], {"a": 1}])
def test_outputs_of_another_shape_stay(parts: Any) -> None:
    assert trimmed(conversation(parts)) == parts


@pytest.mark.parametrize("tools", ["search", ["search"], "web.search"])
def test_only_the_tools_that_are_named_are_trimmed(tools: Any) -> None:
    items = conversation("x" * 1000, namespace="web")
    assert trimmed(items, trimmable_tools=tools).startswith("[Trimmed: web.search")
    assert trimmed(items, trimmable_tools="other") == "x" * 1000
    unknown = [item for item in items if item.get("type") != "function_call"]
    assert trimmed([user(), *unknown], trimmable_tools=tools) == "x" * 1000


@pytest.mark.parametrize(
    "options",
    [{"recent_turns": 0}, {"max_output_chars": 0}, {"preview_chars": -1},
     {"trimmable_tools": b"search"}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        ToolOutputTrimmer(**options)


async def test_a_run_sends_less_and_keeps_everything() -> None:
    @function_tool
    def search() -> str:
        return "x" * 1000

    model = ScriptedModel([call("search"), "One.", "Two.", "Three."])
    agent, session = Agent(name="A", model=model, tools=[search]), SQLiteSession("s")
    config = RunConfig(call_model_input_filter=ToolOutputTrimmer())
    for text in ("1", "2", "3"):
        await Runner.run(agent, text, session=session, run_config=config)
    sent = [item for item in model.requests[-1].input if "output" in item]
    kept = [item for item in await session.get_items() if "output" in item]
    assert sent[0]["output"].startswith("[Trimmed: search")
    assert kept[0]["output"] == "x" * 1000  # type: ignore[typeddict-item]


def test_what_else_an_old_output_has_is_counted_and_of_no_text_no_preview_is_promised() -> None:
    image = {"type": "input_image", "image_url": "data:" + "x" * 1000, "detail": "auto"}
    file = {"type": "input_file", "file_data": "y" * 1000}
    assert trimmed(conversation([image, file])) == (
        "[Trimmed: search, payload 2005 chars, dropped 1 input_file, 1 input_image]"
    )
    assert trimmed(conversation([image]), max_output_chars=22) == "[Trimmed: input_image]"
    assert trimmed(conversation([image]), max_output_chars=21) == "[Trimmed]"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_text", "text": "x" * 1000, "more": "of a later version"},
        {"type": "input_image", "image_url": "x" * 1000, "detail": "unheard of"},
        {"type": "output_text", "text": "x" * 1000},
    ],
)
def test_parts_that_are_not_known_stay_as_they_are(part: dict[str, Any]) -> None:
    assert trimmed(conversation([part])) == [part]


def searched(found: dict[str, Any], **options: Any) -> Any:
    items: list[Any] = [user(), {"type": "tool_search_output", **found}, user(), user()]
    before = copy.deepcopy(items)
    data = CallModelData(ModelInputData(input=items, instructions="I"), Agent(name="A"), None)
    made = ToolOutputTrimmer(**options)(data).input
    assert items == before
    return made[1]


PROSE = "what people read " * 50
SCHEMA = {
    "type": "object",
    "title": "Report",
    "description": PROSE,
    "$defs": {"title": {"type": "string", "description": PROSE}},
    "properties": {
        "description": {"$ref": "#/$defs/title", "description": PROSE},
        "examples": {"type": "array", "items": {"type": "string", "title": PROSE}},
        "mode": {"enum": ["title"], "default": {"title": "kept"}},
    },
    "required": ["description"],
    "dependencies": {"mode": ["description"]},
    "anyOf": [{"required": ["mode"], "$comment": PROSE}],
}
BARE = {
    "type": "object",
    "$defs": {"title": {"type": "string"}},
    "properties": {
        "description": {"$ref": "#/$defs/title"},
        "examples": {"type": "array", "items": {"type": "string"}},
        "mode": {"enum": ["title"], "default": {"title": "kept"}},
    },
    "required": ["description"],
    "dependencies": {"mode": ["description"]},
    "anyOf": [{"required": ["mode"]}],
}


def test_the_schemas_of_found_tools_lose_what_people_read_and_nothing_that_means_something() -> (
    None
):
    tool = {"type": "function", "name": "f", "description": PROSE, "parameters": SCHEMA}
    short = {**tool, "description": PROSE[:200] + "...", "parameters": BARE}
    space = {"type": "namespace", "name": "n", "tools": [tool]}
    assert searched({"tools": [tool, space]})["tools"] == [short, {**space, "tools": [short]}]
    small = {"type": "function", "name": "f", "parameters": {"title": "T"}}
    assert searched({"tools": [small]})["tools"] == [small]
    assert searched({"tools": [tool]}, trimmable_tools="other")["tools"] == [tool]
    assert searched({"tools": [tool]}, trimmable_tools="tool_search")["tools"] == [short]


def test_found_texts_become_a_preview() -> None:
    (note,) = searched({"results": [{"text": "x" * 1000}]})["results"]
    assert note["text"].startswith("[Trimmed: tool_search output, payload 1014 chars, preview 200")
    assert searched({"results": "no list"}) == {"type": "tool_search_output", "results": "no list"}
