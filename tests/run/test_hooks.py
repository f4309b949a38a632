"""Hooks: told by the run and by the agent at once; one that raises leaves the other not behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentstream import Agent, AgentHooks, RunHooks, Runner
from agentstream.testing import ScriptedModel, hand_off

MOMENTS = ["on_agent_start", "on_llm_start", "on_llm_end", "on_agent_end"]


def failing(moment: str) -> RunHooks[Any]:
    async def fail(self: Any, *args: Any) -> None:
        await asyncio.sleep(0)
        raise ValueError(f"broken {moment}")

    kind: Any = type("Failing", (RunHooks,), {moment: fail})
    return kind()


def slow(moment: str, story: list[str]) -> AgentHooks[Any]:
    async def wait(self: Any, *args: Any) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            story.append("cancelled")
            raise

    kind: Any = type("Slow", (AgentHooks,), {moment.replace("on_agent_", "on_"): wait})
    return kind()


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_hook_that_raises_ends_the_other_and_the_run(moment: str) -> None:
    story: list[str] = []
    agent = Agent(name="A", model=ScriptedModel(["Hello."]), hooks=slow(moment, story))
    with pytest.raises(ValueError, match="broken"):
        await Runner.run(agent, "hi", hooks=failing(moment))
    assert story == ["cancelled"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_hooks_need_not_be_async() -> None:
    story: list[str] = []

    class OfRun(RunHooks[Any]):
        def on_agent_start(self, context: Any, agent: Any) -> None:  # type: ignore[override]
            story.append(f"start {agent.name}")

        def on_handoff(self, context: Any, from_agent: Any, to_agent: Any) -> None:  # type: ignore[override]
            story.append(f"{from_agent.name} to {to_agent.name}")

    class OfAgent(AgentHooks[Any]):
        def on_handoff(self, context: Any, agent: Any, source: Any) -> None:  # type: ignore[override]
            story.append(f"{agent.name} from {source.name}")

    second = Agent(name="B", model=ScriptedModel(["Done."]))
    first = Agent(
        name="A", model=ScriptedModel([hand_off("B")]), handoffs=[second], hooks=OfAgent()
    )
    await Runner.run(first, "hi", hooks=OfRun())
    assert story == ["start A", "A to B", "B from A", "start B"]


def test_hooks_of_a_run_are_no_hooks_of_an_agent() -> None:
    with pytest.raises(TypeError, match="hooks must be an AgentHooks"):
        Agent(name="A", hooks=RunHooks())  # type: ignore[arg-type]
