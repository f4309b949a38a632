"""What a tool did is on record before anything else can fail: it is not done again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentstream import (
    Agent,
    HandoffInputData,
    RunHooks,
    Runner,
    RunState,
    SQLiteSession,
    ToolGuardrailFunctionOutput,
    function_tool,
    handoff,
    tool_output_guardrail,
)
from agentstream.exceptions import AgentsException
from agentstream.testing import ScriptedModel, call, hand_off, turn


class FailingEnd(RunHooks[Any]):
    async def on_tool_end(self, *args: Any, **more: Any) -> None:
        raise ValueError("the hook broke")


@tool_output_guardrail
def tripping(data: Any) -> ToolGuardrailFunctionOutput:
    return ToolGuardrailFunctionOutput.raise_exception()


def paying(done: list[str], fails: str) -> Any:
    @function_tool(
        needs_approval=True,
        failure_error_function=None,
        tool_output_guardrails=[tripping] if fails == "guardrail" else [],
    )
    def pay(amount: int) -> str:
        done.append(f"pay {amount}")
        if fails == "tool":
            raise ValueError("secret")
        return "secret"

    return pay


@pytest.mark.parametrize("from_json", [False, True])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("fails", ["tool", "hook", "guardrail"])
async def test_an_approved_tool_that_ran_is_not_run_again_when_its_run_failed(
    fails: str, nested: bool, from_json: bool
) -> None:
    done: list[str] = []
    tool = paying(done, fails)
    model = ScriptedModel([call("pay", amount=1), "Paid.", "Paid."])
    agent = Agent(name="A", model=model, tools=[tool])
    if nested:
        outer_model = ScriptedModel([call("ask_a", input="pay"), "Done.", "Done."])
        ask = agent.as_tool("ask_a", None, failure_error_function=None)
        agent = Agent(name="Outer", model=outer_model, tools=[ask])
    state = (await Runner.run(agent, "go")).to_state()
    state.approve(state.get_interruptions()[0])
    hooks = FailingEnd() if fails == "hook" else None
    with pytest.raises((AgentsException, ValueError)):
        await Runner.run(agent, state, hooks=hooks)
    assert done == ["pay 1"]
    if from_json:
        state = await RunState.from_string(agent, state.to_string())
    result = await Runner.run(agent, state)
    assert done == ["pay 1"]
    assert result.final_output in ("Paid.", "Done.")
    if fails != "hook":
        assert "secret" not in str(result.to_input_list())


async def test_a_session_keeps_the_pair_at_whose_output_the_loop_was_left() -> None:
    @function_tool
    def look() -> str:
        return "seen"

    session = SQLiteSession("s")
    agent = Agent(name="A", model=ScriptedModel([call("look"), "Done."]), tools=[look])
    result = Runner.run_streamed(agent, "go", session=session)
    async for event in result.stream_events():
        if getattr(event, "name", "") == "tool_output":
            break
    await result.wait()
    kinds = [item.get("type") for item in await session.get_items()]
    assert kinds[-2:] == ["function_call", "function_call_output"]


@pytest.mark.parametrize("ends", ["cancel", "failure"])
async def test_a_session_keeps_the_whole_pairs_of_siblings(ends: str) -> None:
    started = asyncio.Event()

    @function_tool
    async def quick() -> str:
        return "quick is done"

    @function_tool(failure_error_function=None)
    async def slow() -> str:
        started.set()
        await asyncio.sleep(0.05 if ends == "failure" else 30)
        raise ValueError("broken")

    session = SQLiteSession("s")
    model = ScriptedModel([turn(call("quick"), call("slow")), "Done."])
    agent = Agent(name="A", model=model, tools=[quick, slow])
    task = asyncio.create_task(Runner.run(agent, "go", session=session))
    await started.wait()
    await asyncio.sleep(0.01)
    if ends == "cancel":
        task.cancel()
    await asyncio.wait([task])
    outputs = [i["output"] for i in await session.get_items() if "output" in i]
    assert outputs[0] == "quick is done"
    assert len(outputs) == (1 if ends == "cancel" else 2)
    again = ScriptedModel(["Hello."])
    await Runner.run(Agent(name="A", model=again), "hi", session=session)
    sent: Any = again.requests[-1].input
    calls = [i["call_id"] for i in sent if i.get("type") == "function_call"]
    answered = [i["call_id"] for i in sent if i.get("type") == "function_call_output"]
    assert calls == answered


class FailingHandoff(RunHooks[Any]):
    async def on_handoff(self, *args: Any, **more: Any) -> None:
        raise ValueError("the hook broke")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("from_json", [False, True])
@pytest.mark.parametrize("fails", ["hook", "filter"])
async def test_a_handoff_whose_hook_or_filter_failed_goes_on_as_the_new_agent(
    fails: str, from_json: bool, streamed: bool
) -> None:
    """The handoff's own function is not called again, and its filter is applied."""
    seen: list[str] = []

    def filtered(data: HandoffInputData) -> HandoffInputData:
        if fails == "filter" and "filter" not in seen:
            seen.append("filter")
            raise ValueError("the filter broke")
        return data.clone(input_history="filtered", pre_handoff_items=(), new_items=())

    second_model = ScriptedModel(["Hello from B."])
    second = Agent(name="B", model=second_model)
    to_second = handoff(second, on_handoff=lambda _: seen.append("on_handoff"))
    to_second.input_filter = filtered
    model = ScriptedModel([hand_off("B"), "Never from A."])
    first = Agent(name="A", model=model, handoffs=[to_second])
    session = SQLiteSession("s")
    hooks = FailingHandoff() if fails == "hook" else None
    result = Runner.run_streamed(first, "go", hooks=hooks, session=session)
    with pytest.raises(ValueError, match="broke"):
        await result.wait()
    state = result.to_state()
    if from_json:
        state = await RunState.from_string(first, state.to_string())
    if streamed:
        again: Any = Runner.run_streamed(first, state, session=session)
        names = [
            event.new_agent.name
            async for event in again.stream_events()
            if hasattr(event, "new_agent")
        ]
        assert names == ["A", "B"]
    else:
        again = await Runner.run(first, state, session=session)
    assert (again.final_output, again.last_agent.name) == ("Hello from B.", "B")
    assert seen.count("on_handoff") == 1
    assert second_model.requests[-1].input == [{"role": "user", "content": "filtered"}]
    kinds = [item.get("type") or item["role"] for item in await session.get_items()]
    assert kinds == ["user", "function_call", "function_call_output", "message"]
