"""The traceback of a failed tool: its author's lines, in the card, the item and the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, Runner, RunState, function_tool, load_run, recording
from agentstream._utils.redaction import remember
from agentstream.exceptions import UserError
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedModel, call


def divide(value: int) -> float:
    return 1 / value


@function_tool
def broken(value: int) -> str:
    """Fail."""
    return str(divide(value))


@function_tool
async def late(value: int) -> str:
    """Fail later."""
    json.loads("{")
    return ""


def agent(tool: Any) -> Agent[Any]:
    model = ScriptedModel([call(tool.name, value=0), "It failed."])
    return Agent(name="Guide", tools=[tool], model=model)


@pytest.mark.parametrize(("tool", "line"), [(broken, "return 1 / value"), (late, "json.loads")])
async def test_the_authors_lines_are_in_the_card_the_item_and_the_table(
    tool: Any, line: str
) -> None:
    result = await Runner.run(agent(tool), "x")
    (item,) = [one for one in result.new_items if one.type == "tool_call_output_item"]
    assert line in item.traceback
    assert Path(__file__).name in item.traceback
    for hidden in ("agentstream/", "decoder.py", "tool_thread"):
        assert hidden not in item.traceback.replace(__file__, "")
    table = result.to_frame()
    assert set(table["traceback"].dropna()) == {item.traceback}  # of the call and its output
    html = snapshot(result.trace)["text/html"]
    assert '<details class="as-fold"><summary>Traceback</summary>' in html
    assert line in html
    assert item.traceback not in str(result.to_input_list())  # the model is not told


async def test_a_failure_that_ends_the_run_has_its_lines_in_the_card() -> None:
    @function_tool(failure_error_function=None)
    def fatal(value: int) -> str:
        raise ValueError("no")

    result = Runner.run_streamed(agent(fatal), "x")
    with pytest.raises(UserError):
        await result.wait()
    assert 'raise ValueError("no")' in snapshot(result.trace)["text/html"].replace("&quot;", '"')


async def test_a_tool_that_succeeds_has_none() -> None:
    @function_tool
    def fine(value: int) -> str:
        return "fine"

    result = await Runner.run(agent(fine), "x")
    assert result.to_frame()["traceback"].isna().all()
    assert "Traceback" not in snapshot(result.trace)["text/html"]


@pytest.mark.slow
async def test_a_recorded_failure_keeps_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with recording(path):
        result = await Runner.run(agent(broken), "x")
    again = load_run(path, speed=None)
    assert (
        again.to_frame()["traceback"].dropna().to_list()
        == result.to_frame()["traceback"].dropna().to_list()
    )


async def test_a_secret_in_a_line_is_masked() -> None:
    remember({"api_key": "sk-very-secret-value"})

    @function_tool
    def leaks(value: int) -> str:
        raise ValueError("sk-very-secret-value"[value:])

    result = await Runner.run(agent(leaks), "x")
    assert "sk-very-secret" not in result.to_frame()["traceback"].dropna().iloc[0]


async def test_the_lines_go_through_a_saved_run_which_takes_no_other_type() -> None:
    asked = agent(broken)
    result = await Runner.run(asked, "x")
    saved = result.to_state().to_json()
    again = await RunState.from_json(asked, json.loads(json.dumps(saved)))
    before, after = (
        [getattr(item, "traceback", None) for item in run.new_items] for run in (result, again)
    )
    assert after == before
    assert "return 1 / value" in str(after)
    (item,) = [one for one in saved["items"] if "traceback" in one]
    item["traceback"] = 5
    with pytest.raises(UserError):
        await RunState.from_json(asked, saved)
