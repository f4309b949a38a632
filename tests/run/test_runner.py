"""Runner: what is wrong with a run's arguments is told at once, in words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agentstream import Agent, AgentHooks, RunHooks, Runner, RunState, UserError, handoff
from agentstream.testing import ScriptedModel

WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"input": None}, UserError, "input must be a string"),
    ({"input": b"hi"}, UserError, "input must be a string"),
    ({"input": {"role": "user"}}, UserError, "input must be a string"),
    ({"starting_agent": "A"}, UserError, "must be an Agent"),
    ({"starting_agent": None}, UserError, "must be an Agent"),
    ({"starting_agent": Agent}, UserError, "must be an Agent"),
    ({"max_turns": "5"}, UserError, "max_turns must be a number"),
    ({"error_handlers": print}, UserError, "error_handlers must be a dict"),
    ({"error_handlers": {"max_turn": print}}, UserError, "'max_turns'"),
    ({"error_handlers": {"max_turns": "stop"}}, UserError, "must be a function, got str"),
    ({"run_config": {"call_model_input_filter": 7}}, UserError, "must be a function"),
    ({"run_config": {"model": 3}}, UserError, "RunConfig.model must be"),
    ({"run_config": {"model_settings": "hot"}}, UserError, "RunConfig.model_settings must be"),
    ({"run_config": {"tool_execution": 3}}, UserError, "RunConfig.tool_execution must be"),
    ({"run_config": {"input_guardrails": print}}, UserError, "input_guardrails must be a list"),
    ({"hooks": AgentHooks()}, TypeError, "AgentHooks belong to Agent"),
    ({"hooks": RunHooks}, TypeError, "instances of RunHooks"),
    ({"run_config": 3}, TypeError, "must be a RunConfig instance or a dict"),
    ({"run_config": {"nope": 1}}, TypeError, "Unknown run_config settings: nope"),
]


@pytest.mark.parametrize(
    ("given", "kind", "words"), WRONG, ids=[re.sub(" at 0x[0-9a-f]+", "", str(w[0])) for w in WRONG]
)
async def test_wrong_arguments_are_refused(
    given: dict[str, Any], kind: type[Exception], words: str
) -> None:
    agent = Agent(name="A", model=ScriptedModel(["Hello."]))
    arguments = {"starting_agent": agent, "input": "hi", **given}
    with pytest.raises(kind, match=words):
        await Runner.run(**arguments)
    with pytest.raises(kind, match=words):
        Runner.run_streamed(**arguments)


def asking(**fields: Any) -> Agent[Any]:
    return Agent(name="A", model=ScriptedModel(["Hello."]), **fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tools": [object()]}, "a object among its tools"),
        ({"mcp_servers": ["http://localhost"]}, "a str among its mcp_servers"),
        ({"handoffs": [handoff(Agent(name="B"), tool_name_override=["b"])]}, "no name"),  # type: ignore[arg-type]
    ],
)
async def test_what_an_agent_cannot_use_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        await Runner.run(asking(**fields), "hi")


async def test_a_state_takes_decisions_and_input_of_their_kind() -> None:
    agent = asking()
    state = (await Runner.run(agent, "hi")).to_state()
    with pytest.raises(UserError, match="interruptions"):
        state.approve("call_1")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="interruptions"):
        state.reject(None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="input must be"):
        state.add_input(3)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no saved run"):
        await RunState.from_string(agent, None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="started with"):
        await RunState.from_json("A", state.to_json())  # type: ignore[arg-type]


def test_names_of_tools_to_stop_at_are_a_list() -> None:
    with pytest.raises(TypeError, match="StopAtTools"):
        asking(tool_use_behavior={"stop_at_tool_names": "fetch_all"})


def test_parameters_of_an_agent_as_a_tool_are_a_type() -> None:
    with pytest.raises(UserError, match="must be a type"):
        asking().as_tool("ask", "Ask.", parameters={"a": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [5, ["Be brief."], b"Be brief."])
async def test_a_function_of_instructions_returns_text(given: Any) -> None:
    with pytest.raises(UserError, match="must be text"):
        await Runner.run(asking(instructions=lambda context, agent: given), "hi")


async def test_an_agent_of_the_sdk_is_told_from_one_of_ours() -> None:
    theirs = type("Agent", (), {"__module__": "agents.agent"})()
    with pytest.raises(UserError, match="of the OpenAI Agents SDK"):
        await Runner.run(theirs, "hi")
