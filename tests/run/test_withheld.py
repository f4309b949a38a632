"""What a guardrail withholds is in nothing that stays of the run: trace, tables, recording."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agentstream import (
    Agent,
    GuardrailFunctionOutput,
    OutputGuardrailTripwireTriggered,
    RecordingError,
    Runner,
    ToolGuardrailFunctionOutput,
    ToolOutputGuardrailTripwireTriggered,
    function_tool,
    load_run,
    output_guardrail,
    recording,
    tool_output_guardrail,
)
from agentstream.notebook.snapshot import snapshot
from agentstream.testing import ScriptedModel, call

SECRET = "swordfish"
MESSAGE = "Output withheld by an output guardrail."


@output_guardrail
async def no_secrets(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=SECRET in str(output))


@function_tool
def look_up() -> str:
    """Look it up."""
    print(f"printed: {SECRET}")
    return f"The word is {SECRET}."


def asks_another(**how: Any) -> Agent[Any]:
    """An agent whose output is that of another one, which it runs as a tool."""
    script = [call("look_up"), call("look_up"), f"It is {SECRET}, they say."]
    inner = Agent[Any](name="Inner", model=ScriptedModel(script), tools=[look_up])
    return Agent(
        name="Outer",
        model=ScriptedModel([call("inner", input="The word?")]),
        tools=[inner.as_tool("inner", "Asks it.")],
        tool_use_behavior="stop_on_first_tool",
        **how,
    )


def kept(result: Any) -> str:
    """All that can be read of a run afterwards."""
    frames = [result.to_frame(kind).to_csv() for kind in ("items", "turns", "events", "spans")]
    state = "" if not hasattr(result, "to_state") else result.to_state().to_string()
    return "\n".join([*frames, str(snapshot(result.trace)), str(result.new_items), state])


async def refused(agent: Agent[Any], streamed: bool = True, **how: Any) -> Any:
    if not streamed:
        with pytest.raises(OutputGuardrailTripwireTriggered):
            await Runner.run(agent, "Go", **how)
        return None
    result = Runner.run_streamed(agent, "Go", **how)
    with pytest.raises(OutputGuardrailTripwireTriggered):
        async for _ in result.stream_events():
            pass
    return result


@pytest.mark.parametrize("streamed", [True, False])
async def test_what_an_agent_said_as_a_tool_is_withheld_with_its_output(
    tmp_path: Path, streamed: bool
) -> None:
    path = tmp_path / "run.jsonl"
    with recording(path):
        result = await refused(asks_another(output_guardrails=[no_secrets]), streamed)
        await Runner.run(Agent(name="Next", model=ScriptedModel(["Hello."])), "Hi")
    assert SECRET not in path.read_text()
    recorded, after = load_run(path, 0), load_run(path, 1)
    assert after.final_output == "Hello."
    assert "OutputGuardrailTripwireTriggered" in str(recorded.run_loop_exception)
    for one in [recorded] if result is None else [recorded, result]:
        assert SECRET not in kept(one)
        assert one.trace.parts[0].output == MESSAGE
        inner: Any = one.trace.parts[0].nested
        assert len(inner.turns) == 3  # what it cost stays
        assert one.trace.usage == (result or one).trace.usage
        assert sum(one.trace.usage.values()) > 0


async def test_a_replay_says_that_an_answer_was_withheld(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with recording(path):
        await refused(asks_another(output_guardrails=[no_secrets]))
    agent = asks_another(output_guardrails=[no_secrets])
    tool: Any = agent.tools[0]
    agent.tools = [tool._agent_instance.as_tool("inner", "Asks it.", failure_error_function=None)]
    with recording(path, speed=None), pytest.raises(RecordingError, match="withheld"):
        await Runner.run(agent, "Go")


async def test_a_guardrail_of_the_inner_run_keeps_its_output_out_of_the_outer_one(
    tmp_path: Path,
) -> None:
    inner = Agent[Any](
        name="Inner",
        model=ScriptedModel([call("look_up")]),
        tools=[look_up],
        tool_use_behavior="stop_on_first_tool",
        output_guardrails=[no_secrets],
    )
    outer = Agent(
        name="Outer",
        model=ScriptedModel([call("inner", input="?"), "It would not say."]),
        tools=[inner.as_tool("inner", "Asks it.")],
    )
    path = tmp_path / "run.jsonl"
    with recording(path):
        result = Runner.run_streamed(outer, "Go")
        await result.wait()
    assert result.final_output == "It would not say."
    assert SECRET not in path.read_text()
    assert SECRET not in kept(result)
    assert SECRET not in kept(load_run(path))


@pytest.mark.parametrize("raises", [False, True])
async def test_a_tools_own_guardrail_keeps_its_output_out(tmp_path: Path, raises: bool) -> None:
    @tool_output_guardrail
    def no_word(data: Any) -> ToolGuardrailFunctionOutput:
        if raises:
            return ToolGuardrailFunctionOutput.raise_exception()
        return ToolGuardrailFunctionOutput.reject_content("Not for you.")

    outer = asks_another()
    outer.model = ScriptedModel([call("inner", input="?"), call("look_up"), "Done."])
    inner: Any = outer.tools[0]
    inner.tool_output_guardrails = [no_word]
    outer.tools.append(replace(look_up, tool_output_guardrails=[no_word]))
    outer.tool_use_behavior = "run_llm_again"
    path = tmp_path / "run.jsonl"
    with recording(path):
        result = Runner.run_streamed(outer, "Go")
        if raises:
            with pytest.raises(ToolOutputGuardrailTripwireTriggered):
                await result.wait()
        else:
            await result.wait()
            assert result.final_output == "Done."
            assert [part.output for part in result.trace.parts[:2]] == ["Not for you."] * 2
    assert SECRET not in path.read_text()
    assert SECRET not in kept(result)
    assert SECRET not in kept(load_run(path))


async def test_what_is_not_withheld_is_recorded_whole(tmp_path: Path) -> None:
    @output_guardrail
    async def all_is_well(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    path = tmp_path / "run.jsonl"
    agents = [asks_another(output_guardrails=[all_is_well]) for _ in range(3)]
    with recording(path):
        results = await asyncio.gather(
            *(Runner.run(agent, f"Go {n}") for n, agent in enumerate(agents)),
            refused(asks_another(output_guardrails=[no_secrets])),
        )
    runs = [load_run(path, at) for at in range(4)]
    outputs = sorted(str(run.final_output) for run in runs)
    assert outputs == sorted([*(result.final_output for result in results[:3]), "None"])
    assert [SECRET in kept(run) for run in runs].count(True) == 3
    replayed = [asks_another(output_guardrails=[all_is_well]) for _ in range(3)]
    with recording(path, speed=None):
        for n, agent in enumerate(replayed):
            assert SECRET in (await Runner.run(agent, f"Go {n}")).final_output


async def test_a_run_that_is_stopped_while_lines_wait_is_recorded_as_far_as_it_came(
    tmp_path: Path,
) -> None:
    @function_tool
    async def wait() -> str:
        await asyncio.sleep(60)
        return "late"

    agent = Agent(
        name="A",
        model=ScriptedModel([call("wait")]),
        tools=[wait],
        tool_use_behavior="stop_on_first_tool",
        output_guardrails=[no_secrets],
    )
    path = tmp_path / "run.jsonl"
    with recording(path):
        result = Runner.run_streamed(agent, "Go")
        async for event in result.stream_events():
            if event.type == "run_item_stream_event":
                result.cancel()
        await asyncio.sleep(0.01)
        assert not result.is_complete or result.trace.status == "cancelled"
    run = load_run(path)
    assert run.trace.status == "cancelled"
    assert run.trace.parts[0].name == "wait"


async def test_a_frame_that_is_withheld_is_in_no_item_and_no_saved_state() -> None:
    """What an item has beside its text, for cards, says as much as the text does."""

    @function_tool
    def rows() -> pd.DataFrame:
        """Look them up."""
        return pd.DataFrame({"word": [SECRET]})

    agent = Agent[Any](
        name="A",
        model=ScriptedModel([call("rows")]),
        tools=[rows],
        tool_use_behavior="stop_on_first_tool",
        output_guardrails=[no_secrets],
    )
    result = await refused(agent)
    output = result.new_items[-1]
    assert output.output == MESSAGE
    assert output.display is None
    assert SECRET not in kept(result)
