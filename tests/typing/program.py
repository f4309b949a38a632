"""A program as a user types it: pyright and mypy --strict find no fault and leave nothing unknown.

`assert_type` says what a type checker must find. `test_program.py` asks both, and runs it, too.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel

from agentstream import (
    Agent,
    AgentHookContext,
    AgentHooks,
    Chat,
    Comparison,
    FrameRun,
    FunctionTool,
    GuardrailFunctionOutput,
    Handoff,
    ModelSettings,
    OpenAIResponsesCompactionSession,
    OutputGuardrail,
    RunConfig,
    RunContextWrapper,
    RunItem,
    Runner,
    RunResult,
    RunResultStreaming,
    RunState,
    Session,
    SQLiteSession,
    StreamEvent,
    ToolApprovalItem,
    ToolGuardrailFunctionOutput,
    ToolOutputGuardrail,
    ToolOutputGuardrailData,
    TResponseInputItem,
    Usage,
    chat,
    function_tool,
    handoff,
    input_guardrail,
    load_run,
    map_frame,
    output_guardrail,
    recording,
    show,
    tool_output_guardrail,
)
from agentstream.extensions.memory import EncryptedSession
from agentstream.run.options import RunOptions
from agentstream.testing import ScriptedModel, call
from agentstream.tool_context import ToolContext
from agentstream.tools.function_tool import ToolOptions


@dataclass
class Traveller:
    """The context of a run."""

    name: str
    miles: int = 0


class Plan(BaseModel):
    """The structured output."""

    city: str
    days: int


@function_tool
def weather(city: str) -> str:
    """Weather of a city."""
    return f"{city}: sunny"


@function_tool(needs_approval=True, timeout=5)
async def book(context: RunContextWrapper[Traveller], city: str, nights: int = 1) -> str:
    """Book a hotel."""
    assert_type(context.context, Traveller)
    assert_type(context.usage, Usage)
    context.context.miles += 100
    return f"{context.context.name} stays {nights} night(s) in {city}"


def lookup(topic: str, options: dict[str, str]) -> str:
    """Look up a topic."""
    return f"{topic} {options}"


loose = function_tool(lookup, strict_mode=False)
assert_type(weather, FunctionTool)
assert_type(book, FunctionTool)
assert_type(loose, FunctionTool)


@input_guardrail
async def about_travel(
    context: RunContextWrapper[Traveller],
    agent: Agent[Any],
    input: str | list[TResponseInputItem],
) -> GuardrailFunctionOutput:
    """Refuse all else."""
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered="tax" in str(input))


@output_guardrail
def is_short(
    context: RunContextWrapper[Traveller], agent: Agent[Any], output: Any
) -> GuardrailFunctionOutput:
    """Refuse long journeys."""
    too_long = isinstance(output, Plan) and output.days > 30
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=too_long)


assert_type(is_short, OutputGuardrail[Traveller])


@tool_output_guardrail
def no_keys(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
    """Refuse keys."""
    assert_type(data.context, ToolContext[Any])
    return ToolGuardrailFunctionOutput.allow()


assert_type(no_keys, ToolOutputGuardrail[Any])
options = ToolOptions(tool_output_guardrails=[no_keys], strict_mode=False)
assert_type(function_tool(**options)(lookup), FunctionTool)


class Counting(AgentHooks[Traveller]):
    """Hooks of an agent."""

    starts = 0

    async def on_start(self, context: AgentHookContext[Traveller], agent: Agent[Traveller]) -> None:
        """Count."""
        self.starts += 1


def instructions(context: RunContextWrapper[Traveller], agent: Agent[Traveller]) -> str:
    """Who travels."""
    return f"You plan for {context.context.name}."


planner = Agent[Traveller](
    name="Planner",
    instructions=instructions,
    tools=[weather, loose],
    output_type=Plan,
    output_guardrails=[is_short],
    model=ScriptedModel([call("weather", city="Lisbon"), '{"city": "Lisbon", "days": 3}']),
)
to_planner = handoff(planner)
assert_type(to_planner, Handoff[Traveller, Agent[Traveller]])
desk = Agent[Traveller](
    name="Desk",
    handoffs=[to_planner],
    input_guardrails=[about_travel],
    hooks=Counting(),
    model=ScriptedModel([call("transfer_to_planner")]),
    model_settings=ModelSettings(temperature=0.2),
)
hotel = Agent[Traveller](
    name="Hotel", tools=[book], model=ScriptedModel([call("book", city="Oslo"), "Done."])
)


async def run(traveller: Traveller) -> Plan:
    """A run with a handoff and a structured output."""
    options: RunOptions[Traveller] = {"context": traveller, "run_config": RunConfig(gate=None)}
    result = await Runner.run(desk, "Three days off, please", **options)
    assert_type(result, RunResult)
    assert_type(result.new_items, list[RunItem])
    assert_type(result.to_state(), RunState[Any])
    return result.final_output_as(Plan)


async def approve(traveller: Traveller) -> str:
    """A streamed run that waits for an approval."""
    result = Runner.run_streamed(hotel, "A room in Oslo", context=traveller)
    assert_type(result, RunResultStreaming)
    text = ""
    async for event in result.stream_events():
        assert_type(event, StreamEvent)
    assert_type(result.interruptions, list[ToolApprovalItem])
    result.context_wrapper.approve_tool(result.interruptions[0])
    async for event in result.resume().stream_events():
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
            text += event.data.delta
    return text


async def watch(traveller: Traveller, folder: Path) -> str:
    """A run that is shown and recorded, and shown again out of the recording."""
    poet = Agent[Traveller](name="Poet", model=ScriptedModel(["Rain on the roof.", "Snow."]))
    with recording(folder / "poet.jsonl") as tape:
        assert_type(tape, recording)
        shown = show(poet, "A line", table=True, context=traveller, session=SQLiteSession("poet"))
        async for event in shown:
            assert_type(event, StreamEvent)
        result = await shown
    assert_type(result, RunResultStreaming)
    assert_type(result.to_frame("items"), pd.DataFrame)
    assert_type(await show(load_run(folder / "poet.jsonl")), RunResultStreaming)
    assert_type(await show(await Runner.run(poet, "Another", context=traveller)), RunResult)
    return str(result.final_output)


def sessions() -> list[Session]:
    """Every session is a `Session`."""
    plain = SQLiteSession("ada")
    hidden = EncryptedSession("ada", plain, "secret")
    return [plain, hidden, OpenAIResponsesCompactionSession("ada", hidden)]


async def talk(traveller: Traveller) -> str:
    """A conversation."""
    tutor = Agent[Traveller](name="Tutor", model=ScriptedModel(["Four.", "Because."]))
    conversation = chat(tutor, context=traveller, max_turns=3)
    assert_type(conversation, Chat[Traveller])
    await conversation.send("What is 2 + 2?")
    answer = await conversation.send("Why?")
    assert_type(answer, RunResultStreaming)
    assert_type(conversation.agent, Agent[Traveller])
    return str(answer.final_output)


async def rows(folder: Path) -> int:
    """An agent over a frame, and two of them compared."""
    reviews = pd.DataFrame({"review": ["Great!", "Never again."]})
    critic = Agent[None](name="Critic", model=ScriptedModel(["good"], loop=True))
    each = map_frame(critic, reviews, "Classify: {review}", checkpoint=folder / "rows.db")
    assert_type(each, FrameRun[pd.DataFrame])
    assert_type(await each, pd.DataFrame)
    often = map_frame(critic, reviews, lambda row: str(row["review"]), repeat=2)
    assert_type(often, Comparison)
    await often
    compared = map_frame({"a": critic, "b": critic}, reviews, "{review}", scorers=[len])
    assert_type(compared, Comparison)
    assert_type(await compared, pd.DataFrame)
    return len(often.summary())


async def main() -> list[object]:
    """All of it."""
    traveller = Traveller("Ada")
    with tempfile.TemporaryDirectory() as name:
        plan = await run(traveller)
        assert_type(plan, Plan)
        done = [await approve(traveller), await watch(traveller, Path(name))]
        return [plan, *done, await talk(traveller), await rows(Path(name)), traveller.miles]


if __name__ == "__main__":
    print(asyncio.run(main())[-1])
