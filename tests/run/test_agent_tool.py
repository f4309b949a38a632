"""An agent as a tool: its run within the run, and what of it reaches the outer one."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from agentstream import Agent, Runner, function_tool
from agentstream.testing import ScriptedModel, call, stall, turn


def outer(tool: Any, *turns: Any) -> Agent[Any]:
    return Agent(name="Outer", model=ScriptedModel(list(turns)), tools=[tool])


async def test_whoever_watches_an_inner_run_does_not_end_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[Any] = []

    async def broken(event: Any) -> None:
        events.append(event)
        raise ValueError("no display")

    inner = Agent(name="Inner", model=ScriptedModel(["Inner answer."]))
    tool = inner.as_tool("ask", "Ask.", on_stream=broken)
    with caplog.at_level(logging.ERROR, "agentstream"):
        result = await Runner.run(outer(tool, call("ask", input="?"), "Done."), "hi")
    assert result.final_output == "Done."
    assert [i.output for i in result.new_items if i.type == "tool_call_output_item"] == [
        "Inner answer."
    ]
    assert len(events) > 1
    assert "no display" in caplog.text


async def test_usage_of_an_inner_run_that_waited_counts_once() -> None:
    @function_tool(needs_approval=True)
    def erase() -> str:
        return "erased"

    model = ScriptedModel([call("erase"), "Inner done."])
    inner = Agent(name="Inner", model=model, tools=[erase])
    asked = outer(inner.as_tool("ask", "Ask."), call("ask", input="?"), "Done.")
    first = await Runner.run(asked, "hi")
    assert first.context_wrapper.usage.requests == 2
    state = first.to_state()
    state.approve(first.interruptions[0])
    result = await Runner.run(asked, state)
    assert result.final_output == "Done."
    assert result.context_wrapper.usage.requests == 4
    assert first.context_wrapper.usage.requests == 2


@pytest.mark.parametrize("watched", [False, True])
async def test_a_cancelled_outer_run_ends_the_inner_one(watched: bool) -> None:
    inner = Agent(name="Inner", model=ScriptedModel([turn("One", stall())]))
    tool = inner.as_tool("ask", "Ask.", on_stream=(lambda event: None) if watched else None)
    result = Runner.run_streamed(outer(tool, call("ask", input="?")), "hi")
    await asyncio.sleep(0.05)
    result.cancel()
    await asyncio.wait([result.run_loop_task])  # type: ignore[list-item]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
