"""A session: what is saved when, once, and what happens when it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from agentstream import (
    Agent,
    GuardrailFunctionOutput,
    OutputGuardrailTripwireTriggered,
    Runner,
    RunState,
    SQLiteSession,
    UserError,
    function_tool,
    output_guardrail,
)
from agentstream.testing import ScriptedModel, call, http_error, turn


def agent(*turns: Any, **more: Any) -> Agent[Any]:
    return Agent(name="A", model=ScriptedModel(list(turns)), **more)


async def kinds(session: SQLiteSession) -> list[Any]:
    return [item.get("type") or item["role"] for item in await session.get_items()]


async def finished(streamed: bool, *args: Any, **named: Any) -> Any:
    if not streamed:
        return await Runner.run(*args, **named)
    result = Runner.run_streamed(*args, **named)
    async for _ in result.stream_events():
        pass
    return result


async def test_a_run_that_goes_on_before_anything_arrived_does_not_read_the_session_again() -> None:
    session = SQLiteSession("s")
    await session.add_items([{"role": "user", "content": "old"}])
    unlucky = agent(http_error(400), "Fine.")
    result = Runner.run_streamed(unlucky, "new", session=session)
    with pytest.raises(Exception, match="400"):
        async for _ in result.stream_events():
            pass
    await Runner.run(unlucky, result.to_state(), session=session)
    sent = unlucky.model.requests[-1].input  # type: ignore[union-attr]
    assert [item["content"] for item in sent] == ["old", "new"]
    assert await kinds(session) == ["user", "user", "message"]


class Full(SQLiteSession):
    """A session that fails when it is written to for the nth time."""

    def __init__(self, at: int) -> None:
        super().__init__("full")
        self.at = at

    async def add_items(self, items: Any) -> None:
        self.at -= 1
        if self.at == 0:
            raise OSError("disk full")
        await super().add_items(items)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("at", [1, 2])
async def test_a_session_that_fails_to_save_fails_the_run(streamed: bool, at: int) -> None:
    with pytest.raises(OSError, match="disk full") as caught:
        await finished(streamed, agent("Hello."), "hi", session=Full(at))
    assert len(caught.value.run_data.new_items) == at - 1  # type: ignore[attr-defined]


async def test_a_refused_output_is_not_saved() -> None:
    @output_guardrail
    def refuse(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered=True)

    session = SQLiteSession("s")
    with pytest.raises(OutputGuardrailTripwireTriggered):
        await Runner.run(agent("Hello.", output_guardrails=[refuse]), "hi", session=session)
    assert await kinds(session) == ["user"]


@pytest.mark.parametrize("by_json", [False, True])
async def test_an_interrupted_run_saves_each_item_once(by_json: bool) -> None:
    @function_tool(needs_approval=True)
    def erase() -> str:
        return "erased"

    @function_tool
    def look() -> str:
        return "seen"

    asked = agent(turn(call("look"), call("erase")), "Done.", tools=[look, erase])
    session = SQLiteSession("s")
    first = await Runner.run(asked, "hi", session=session)
    before = ["user", "function_call", "function_call", "function_call_output"]
    assert await kinds(session) == before
    state = first.to_state()
    state.approve(first.interruptions[0])
    if by_json:
        state = await RunState.from_string(asked, state.to_string())
    await Runner.run(asked, state, session=session)
    assert await kinds(session) == [*before, "function_call_output", "message"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_session_and_the_servers_memory_exclude_each_other(streamed: bool) -> None:
    for memory in (
        {"conversation_id": "conv_1"},
        {"previous_response_id": "resp_1"},
        {"auto_previous_response_id": True},
    ):
        with pytest.raises(UserError, match="use one of them"):
            await finished(streamed, agent("Hello."), "hi", session=SQLiteSession("s"), **memory)


async def test_something_else_is_no_session() -> None:
    with pytest.raises(UserError, match="SQLiteSession"):
        await Runner.run(agent("Hello."), "hi", session="s")  # type: ignore[arg-type]
