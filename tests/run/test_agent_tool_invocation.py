"""A result of `Agent.as_tool` knows the call that it answers."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from agentstream import Agent, AgentToolInvocation, Runner, RunState, function_tool
from agentstream.testing import ScriptedModel, call


@pytest.mark.parametrize("approve", [False, True])
async def test_the_extractor_of_an_agent_as_tool_sees_its_call(approve: bool) -> None:
    seen: list[Any] = []

    def extract(result: Any) -> str:
        seen.append(result.agent_tool_invocation)
        return "extracted"

    @function_tool(needs_approval=approve)
    def look() -> str:
        return "7"

    inner = Agent(name="inner", model=ScriptedModel([call("look"), "seven"]), tools=[look])
    tool = inner.as_tool("ask_inner", "Asks.", custom_output_extractor=extract)
    outer = Agent(
        name="outer", model=ScriptedModel([call("ask_inner", input="?"), "Done."]), tools=[tool]
    )
    result = await Runner.run(outer, "Hi")
    if approve:
        state = await RunState.from_string(outer, result.to_state().to_string())
        state.approve(state.get_interruptions()[0])
        result = await Runner.run(outer, state)
    assert result.final_output == "Done."
    assert result.agent_tool_invocation is None
    (invocation,) = seen
    assert isinstance(invocation, AgentToolInvocation)
    assert invocation.tool_name == "ask_inner"
    assert json.loads(invocation.tool_arguments) == {"input": "?"}
    called = next(item for item in result.new_items if item.type == "tool_call_item")
    assert invocation.tool_call_id == called.raw_item.call_id
    with pytest.raises(dataclasses.FrozenInstanceError):
        invocation.tool_name = "other"  # type: ignore[misc]
