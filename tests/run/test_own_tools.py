"""Runs that start with one agent at once do not get each other's tools."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentstream import Agent, RunHooks, Runner, UserError, function_tool
from agentstream.testing import ScriptedModel, call


@function_tool
def privileged() -> str:
    return "secret"


@function_tool
def harmless() -> str:
    return "nothing"


class Starting(RunHooks[Any]):
    """Changes the agent's tools where it is to, and waits."""

    def __init__(self, change: bool = False, fail: bool = False) -> None:
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self.change, self.fail = change, fail

    async def on_agent_start(self, context: Any, agent: Any) -> None:
        if self.change:
            agent.tools = [*agent.tools, privileged]
        self.began.set()
        await self.go_on.wait()
        if self.fail:
            raise RuntimeError("no")


async def starting(agent: Agent[Any], hooks: Starting) -> asyncio.Task[Any]:
    task = asyncio.create_task(Runner.run(agent, "Hi", hooks=hooks))
    await hooks.began.wait()
    return task


@pytest.mark.parametrize("first_changes", [False, True])
@pytest.mark.parametrize("fail", [False, True])
async def test_tools_that_change_while_two_runs_start_are_neithers(
    first_changes: bool, fail: bool
) -> None:
    model = ScriptedModel(["Done."], loop=True)
    agent = Agent(name="Shared", model=model)
    first, second = Starting(first_changes), Starting(not first_changes, fail)
    tasks = [await starting(agent, hooks) for hooks in (first, second)]
    second.go_on.set()
    with pytest.raises(RuntimeError if fail else UserError, match="no" if fail else "concurrent"):
        await tasks[1]
    first.go_on.set()
    with pytest.raises(UserError, match=r"agent\.clone\(\)"):
        await tasks[0]
    assert not model.requests
    assert (await Runner.run(agent, "Hi")).final_output == "Done."


async def test_tools_that_change_in_a_later_turn_of_another_run_are_neithers() -> None:
    """As in the SDK: the run would call the other's tool in its second turn."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def waits(request: Any) -> Any:
        asked.set()
        await go_on.wait()
        return call("harmless")

    agent = Agent(name="Shared", tools=[harmless], model=ScriptedModel([waits, "Done."]))
    task = asyncio.create_task(Runner.run(agent, "Hi"))
    await asked.wait()
    other = await starting(agent, changing := Starting(change=True))
    changing.go_on.set()
    with pytest.raises(UserError, match="concurrent"):
        await other
    go_on.set()
    with pytest.raises(UserError, match="concurrent"):
        await task
    assert (await Runner.run(agent, "Hi")).final_output == "Done."


async def test_a_hook_may_change_the_tools_of_an_agent_that_no_other_run_is_starting() -> None:
    agent = Agent(name="Shared", model=ScriptedModel(["Done."], loop=True))
    alone = Starting(change=True)
    task = await starting(agent, alone)
    alone.go_on.set()
    assert (await task).final_output == "Done."
    both = [Starting(), Starting()]
    tasks = [await starting(agent, hooks) for hooks in both]
    for hooks in both:
        hooks.go_on.set()
    assert [(await one).final_output for one in tasks] == ["Done.", "Done."]
