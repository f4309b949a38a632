"""What a guardrail withholds is in nothing that stays of the run: trace, tables, recording."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import BaseModel

from agentstream import (
    Agent,
    GuardrailFunctionOutput,
    ModelRetrySettings,
    ModelSettings,
    OutputGuardrailTripwireTriggered,
    RecordingError,
    Runner,
    SQLiteSession,
    ToolGuardrailFunctionOutput,
    ToolOutputGuardrailTripwireTriggered,
    ToolsToFinalOutputResult,
    function_tool,
    load_run,
    output_guardrail,
    recording,
    tool_output_guardrail,
)
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedModel, call, cut, say, think, turn

REPLACED = ModelRetrySettings(replace_partial=True, backoff={"max_delay": 0})
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


@output_guardrail
async def never(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)


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
    state = "" if not hasattr(result, "to_state") else result.to_state().to_string()
    return "\n".join([seen(result), str(result.new_items), state])


def seen(result: Any) -> str:
    """All that is shown of a run afterwards, and its tables."""
    frames = [result.to_frame(kind).to_csv() for kind in ("items", "turns", "events", "spans")]
    return "\n".join([*frames, str(snapshot(result.trace))])


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
    assert SECRET not in path.read_text("utf-8")
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


class Word(BaseModel):
    word: str


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("how", ["text", "structured", "no failure text", "function"])
async def test_a_replay_ends_as_the_run_did_whose_answer_was_withheld(
    tmp_path: Path, how: str, streamed: bool
) -> None:
    def outer() -> Agent[Any]:
        agent = asks_another(output_guardrails=[never, no_secrets, never])
        tool: Any = agent.tools[0]
        inner: Agent[Any] = tool._agent_instance
        if how == "structured":
            inner.model = ScriptedModel([call("look_up"), json.dumps({"word": SECRET})])
            inner.output_type = Word
        elif how == "no failure text":
            agent.tools = [inner.as_tool("inner", "Asks it.", failure_error_function=None)]
        elif how == "function":
            agent.tool_use_behavior = lambda context, results: ToolsToFinalOutputResult(
                is_final_output=SECRET in str(results[0].output), final_output=results[0].output
            )
        return agent

    path = tmp_path / "run.jsonl"
    with recording(path):
        result = await refused(outer(), streamed)
    assert SECRET not in path.read_text("utf-8")
    with recording(path, speed=None):
        for _ in range(2):
            agent = outer()
            agent.model = "scripted"
            again = Runner.run_streamed(agent, "Go")
            with pytest.raises(OutputGuardrailTripwireTriggered) as caught:
                await again.wait()
            assert caught.value.guardrail_result.guardrail.get_name() == "no_secrets"
            assert caught.value.guardrail_result.agent_output == MESSAGE
            assert [getattr(item, "output", None) for item in again.new_items] == [None, MESSAGE]
    if result is not None:
        assert [item.type for item in again.new_items] == [item.type for item in result.new_items]


def says_it(**how: Any) -> Agent[Any]:
    script = [turn(think(f"I know: {SECRET}"), say(f"It is {SECRET}."))]
    return Agent(
        name="A", model=ScriptedModel(script), output_guardrails=[never, no_secrets], **how
    )


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_that_is_refused_is_in_no_trace_and_no_recording(
    tmp_path: Path, streamed: bool
) -> None:
    path, session = tmp_path / "run.jsonl", SQLiteSession("s")
    with recording(path):
        result = await refused(says_it(), streamed, session=session)
    assert SECRET not in path.read_text("utf-8")
    assert len(await session.get_items()) == 1
    recorded = load_run(path)
    assert SECRET not in kept(recorded)
    for one in [recorded] if result is None else [recorded, result]:
        assert SECRET not in seen(one)
        assert MESSAGE in seen(one)
        assert one.trace.usage == recorded.trace.usage
        assert one.trace.usage["output"] > 0
        assert [part.kind for part in one.trace.parts if str(part.body) == MESSAGE]
    if result is not None:
        assert SECRET in str(result.new_items)  # as in the SDK: the program may have to know
    with recording(path, speed=None):
        agent = says_it()
        agent.model = "scripted"
        again = Runner.run_streamed(agent, "Go")
        with pytest.raises(OutputGuardrailTripwireTriggered):
            await again.wait()
    assert MESSAGE in seen(again)
    with (
        recording(path, speed=None),
        pytest.raises(RecordingError, match="no output guardrail of that name"),
    ):
        await Runner.run(Agent(name="A", model="scripted"), "Go")


async def test_the_attempts_of_an_answer_that_is_refused_are_withheld_too(tmp_path: Path) -> None:
    """What had arrived of an answer before it broke off says as much as the whole of it."""
    half = turn(say(f"It is {SECRET}. And more of it."), cut(after=12))
    agent = says_it(model_settings=ModelSettings(retry=REPLACED))
    agent.model = ScriptedModel([half, f"It is {SECRET}."])
    path = tmp_path / "run.jsonl"
    with recording(path):
        result = await refused(agent)
    assert len(result.trace.retries) == 1
    assert SECRET not in path.read_text("utf-8")
    for one in (result, load_run(path)):
        assert SECRET not in seen(one)
    with recording(path, speed=None):
        again = says_it()
        again.model = "scripted"
        await refused(again)


async def test_the_answer_of_an_agent_as_a_tool_that_is_refused_is_withheld(tmp_path: Path) -> None:
    """The outer run goes on with the failure, live and in a replay."""

    def outer() -> Agent[Any]:
        inner = says_it()
        tools: list[Any] = [inner.as_tool("ask", "Asks it.")]
        script = ScriptedModel([call("ask", input="?"), "It would not say."])
        return Agent(name="Outer", model=script, tools=tools)

    path = tmp_path / "run.jsonl"
    with recording(path):
        result = Runner.run_streamed(outer(), "Go")
        await result.wait()
    assert SECRET not in path.read_text("utf-8")
    with recording(path, speed=None):
        agent = outer()
        agent.model = "scripted"
        again = Runner.run_streamed(agent, "Go")
        await again.wait()
    for one in (result, load_run(path), again):
        assert one.final_output == "It would not say."
        assert SECRET not in seen(one)
        assert SECRET not in str(one.new_items)


async def test_a_run_of_a_tools_own_is_not_taken_for_the_one_that_is_replayed(
    tmp_path: Path,
) -> None:
    """What is withheld there is refused there, and has nothing to do with the run around it."""

    def outer() -> Agent[Any]:
        @function_tool
        async def asks() -> str:
            """Ask."""
            try:
                await Runner.run(says_it(), "Go")
            except OutputGuardrailTripwireTriggered:
                return "refused"
            return "told"

        script = ScriptedModel([call("asks"), "Done."])
        return Agent(name="Outer", model=script, tools=[asks], output_guardrails=[no_secrets])

    path = tmp_path / "run.jsonl"
    for _ in range(2):
        with recording(path, speed=None):
            result = await Runner.run(outer(), "Go")
        assert [getattr(item, "output", None) for item in result.new_items][1] == "refused"
        assert result.final_output == "Done."
        assert SECRET not in path.read_text("utf-8")


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
    assert SECRET not in path.read_text("utf-8")
    assert SECRET not in kept(result)
    assert SECRET not in kept(load_run(path))


@pytest.mark.parametrize("raises", [False, True])
async def test_a_tools_own_guardrail_keeps_its_output_out(tmp_path: Path, raises: bool) -> None:
    @tool_output_guardrail
    def no_word(data: Any) -> ToolGuardrailFunctionOutput:
        if SECRET not in str(data.output):
            return ToolGuardrailFunctionOutput.allow()
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
    assert SECRET not in path.read_text("utf-8")
    assert SECRET not in kept(result)
    assert SECRET not in kept(load_run(path))
    outer.model, inner._agent_instance.model = "scripted", "scripted"
    with recording(path, speed=None):
        again = Runner.run_streamed(outer, "Go")
        if raises:
            with pytest.raises(ToolOutputGuardrailTripwireTriggered):
                await again.wait()
        else:
            await again.wait()
            assert again.final_output == "Done."


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
