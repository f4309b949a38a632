"""What a handoff's input filter removes from the turn is not stored in the session."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import pytest

from agentstream import (
    Agent,
    HandoffInputData,
    Runner,
    RunState,
    SQLiteSession,
    ToolCallOutputItem,
    function_tool,
    handoff,
)
from agentstream.extensions import handoff_filters
from agentstream.testing import ScriptedModel, call


def secret_agents(input_filter: Any, *, approval: bool = False) -> Agent[Any]:
    """An agent that reads a secret and hands off in one answer."""

    @function_tool(needs_approval=approval)
    def read_secret() -> str:
        return "SECRET-42"

    target = Agent(name="Billing", model=ScriptedModel(["Done."]))
    calls = [call("read_secret"), call("transfer_to_billing")]
    return Agent(
        name="Desk",
        model=ScriptedModel([calls]),
        tools=[read_secret],
        handoffs=[handoff(target, input_filter=input_filter)],
    )


def calls_and_outputs(items: list[Any]) -> list[Any]:
    """The name of each call, and the output of each that has one."""
    calls = [item["name"] for item in items if item.get("type") == "function_call"]
    outputs = [item["output"] for item in items if item.get("type") == "function_call_output"]
    return [*calls, *outputs]


TRANSFERRED = '{"assistant": "Billing"}'


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_a_filter_removes_from_the_turn_is_not_stored_in_the_session(
    streamed: bool,
) -> None:
    session = SQLiteSession("desk")
    agent = secret_agents(handoff_filters.remove_all_tools)
    if streamed:
        run = Runner.run_streamed(agent, "Go", session=session)
        async for _ in run.stream_events():
            pass
        items = run.new_items
    else:
        items = (await Runner.run(agent, "Go", session=session)).new_items
    stored = await session.get_items()
    assert [item.get("role") for item in stored] == ["user", "assistant"]
    assert "SECRET-42" in str(items)  # the result keeps what happened
    session.close()


async def test_a_secret_that_came_after_an_approval_is_not_stored_either() -> None:
    session = SQLiteSession("desk")
    agent = secret_agents(handoff_filters.remove_all_tools, approval=True)
    paused = await Runner.run(agent, "Go", session=session)
    state = await RunState.from_string(agent, paused.to_state().to_string())
    state.approve(state.get_interruptions()[0])
    result = await Runner.run(agent, state, session=session)
    assert result.final_output == "Done."
    assert "SECRET-42" not in str(await session.get_items())
    session.close()


async def test_what_a_filter_hides_from_the_next_agent_alone_is_stored() -> None:
    session = SQLiteSession("desk")
    agent = secret_agents(lambda data: data.clone(input_items=()))
    await Runner.run(agent, "Go", session=session)
    assert calls_and_outputs(await session.get_items()) == [
        *("read_secret", "transfer_to_billing"),
        *("SECRET-42", TRANSFERRED),
    ]
    session.close()


async def test_a_call_goes_with_its_output_where_a_filter_removes_one_of_them() -> None:
    def without_the_secret(data: HandoffInputData) -> HandoffInputData:
        return data.clone(
            new_items=tuple(item for item in data.new_items if "SECRET" not in str(item))
        )

    session = SQLiteSession("desk")
    await Runner.run(secret_agents(without_the_secret), "Go", session=session)
    assert calls_and_outputs(await session.get_items()) == ["transfer_to_billing", TRANSFERRED]
    session.close()


async def test_what_a_filter_changes_is_stored_as_the_filter_leaves_it() -> None:
    def redacted(data: HandoffInputData) -> HandoffInputData:
        new = []
        for item in data.new_items:
            if isinstance(item, ToolCallOutputItem) and item.output == "SECRET-42":
                raw: Any = {**cast(Any, item.raw_item), "output": "***"}
                item = replace(item, raw_item=raw, output="***")
            new.append(item)
        return data.clone(new_items=tuple(new))

    session = SQLiteSession("desk")
    result = await Runner.run(secret_agents(redacted), "Go", session=session)
    stored = await session.get_items()
    assert calls_and_outputs(stored) == [
        *("read_secret", "transfer_to_billing"),
        *("***", TRANSFERRED),
    ]
    assert "SECRET-42" not in str(result.to_input_list())
    session.close()


async def test_a_filter_may_copy_the_items_and_their_agents() -> None:
    session = SQLiteSession("desk")
    agent = secret_agents(lambda data: data.clone(new_items=deepcopy(data.new_items)))
    result = await Runner.run(agent, "Go", session=session)
    assert result.final_output == "Done."
    assert len(calls_and_outputs(await session.get_items())) == 4
    session.close()


async def test_a_session_that_failed_is_not_given_later_what_the_filter_removed() -> None:
    class Failing(SQLiteSession):
        failing = False

        async def add_items(self, items: Any) -> None:
            if self.failing:
                raise OSError("disk full")
            await super().add_items(items)

    session = Failing("desk")

    def removed(data: HandoffInputData) -> HandoffInputData:
        session.failing = True
        return handoff_filters.remove_all_tools(data)

    agent = secret_agents(removed)

    run = Runner.run_streamed(agent, "Go", session=session)
    with pytest.raises(OSError):
        async for _ in run.stream_events():
            pass
    session.failing = False
    state = await RunState.from_string(agent, run.to_state().to_string())
    assert (await Runner.run(agent, state, session=session)).final_output == "Done."
    assert "SECRET-42" not in str(await session.get_items())
    session.close()
