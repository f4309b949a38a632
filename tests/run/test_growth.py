"""What a run costs grows as its calls do: work is counted, no seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agentstream import Agent, HostedMCPTool, Runner, RunState, function_tool
from agentstream.testing import ScriptedModel, call, mcp_approval, turn
from tests.work import growth

LINEAR = 4.8
"""Four times the calls may cost so many times the work; quadratic were sixteen."""


@function_tool(needs_approval=True)
def pay(amount: int) -> str:
    return "paid"


def asked(at: int) -> Any:
    return mcp_approval("bank", "pay", amount=at)


def paid(at: int) -> Any:
    return call("pay", amount=at)


def operator(model: Any) -> Agent[Any]:
    config: Any = {"type": "mcp", "server_label": "bank", "server_url": "http://localhost/mcp"}
    return Agent(name="A", tools=[pay, HostedMCPTool(tool_config=config)], model=model)


@pytest.mark.parametrize("one", [asked, paid])
def test_many_calls_that_wait_cost_as_many_looks_as_there_are(one: Any) -> None:
    def work(n: int) -> Callable[[], object]:
        calls = [one(at) for at in range(n)]
        agent = operator(ScriptedModel([turn(*calls), "Done."]))

        async def run() -> None:
            waiting = await Runner.run(agent, "x")
            state = await RunState.from_json(agent, waiting.to_state().to_json())
            for item in state.get_interruptions():
                state.approve(item)
            assert (await Runner.run(agent, state)).final_output == "Done."

        return lambda: asyncio.run(run())

    assert growth(work, 30) < LINEAR
