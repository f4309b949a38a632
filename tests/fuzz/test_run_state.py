"""A saved run from anybody: it is read whole, or refused with a UserError."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream import Agent, AgentsException, RunConfig, Runner, UserError, function_tool
from agentstream.run.state.run_state import RunState
from agentstream.testing import ScriptedModel, call, hand_off, think, turn
from tests.fuzz.strange import change_a_value, change_bytes, examples, is_linear


@function_tool(needs_approval=True)
def book(seats: int) -> str:
    """Book a table."""
    return f"{seats} seats"


def agents() -> Agent[Any]:
    """A guide who hands over to one who asks a person, himself and through a tool."""
    inner = Agent(name="Clerk", tools=[book], model=ScriptedModel([call("book", seats=1), "ok"]))
    booking = Agent(
        name="Booking",
        tools=[book, inner.as_tool("clerk", "Ask the clerk.")],
        model=ScriptedModel([turn(think("Hm."), call("book", seats=2), call("clerk", input="x"))]),
    )
    return Agent(name="Guide", handoffs=[booking], model=ScriptedModel([hand_off("Booking")]))


@cache
def saved() -> str:
    """A run that waits for two decisions."""
    result = asyncio.run(Runner.run(agents(), "Go", context={"seats": 2}))
    assert len(result.interruptions) == 2
    return result.to_state().to_string()


async def read_and_go_on(text: str) -> None:
    """Read a state, say what it has, save it again, approve and go on; only our errors may come."""
    agent = agents()
    try:
        state = await RunState.from_string(agent, text)
    except UserError:
        return
    repr(state)
    for waiting in state.get_interruptions():
        state.approve(waiting)
    json.loads(state.to_string())
    config = RunConfig(model=ScriptedModel(["Done."], loop=True))
    state.max_turns = 3
    with suppress(AgentsException):
        await Runner.run(agent, state, run_config=config)


def test_the_state_that_is_changed_below_is_whole() -> None:
    asyncio.run(read_and_go_on(saved()))
    state = asyncio.run(RunState.from_string(agents(), saved()))
    assert len(state.get_interruptions()) == 2


@pytest.mark.slow
@examples(120)
@given(data=st.data())
def test_a_state_with_changed_values_is_read_or_refused(data: st.DataObject) -> None:
    plain = json.loads(saved())
    for _ in range(data.draw(st.integers(1, 2))):
        plain = change_a_value(plain, data) if plain else plain
    asyncio.run(read_and_go_on(json.dumps(plain)))


@examples(60)
@given(data=st.data())
def test_a_state_with_changed_bytes_is_read_or_refused(data: st.DataObject) -> None:
    changed = change_bytes(saved().encode(), data)
    asyncio.run(read_and_go_on(changed.decode("utf-8", "surrogateescape")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *[(text, "this is no saved run") for text in ("", "[", "[" * 100_000, '{"a":' * 100_000)],
        ("null", "takes the dict that to_json.. returned, got NoneType"),
        ("1" * 10_000, "this is no saved run|got int"),
    ],
    ids=["empty", "open bracket", "open brackets", "open dicts", "null", "a number"],
)
async def test_what_is_no_state_is_an_error(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        await RunState.from_string(agents(), text)


def test_states_in_one_another_without_end_are_told() -> None:
    plain = json.loads(saved())
    for _ in range(1_000):
        plain = {**json.loads(saved()), "nested": {"x": {"agent": "Guide", "state": plain}}}
    with pytest.raises(UserError, match="damaged"):
        asyncio.run(RunState.from_json(agents(), plain))


@pytest.mark.slow
def test_reading_takes_time_that_grows_as_the_items() -> None:
    plain = json.loads(saved())
    items = plain["items"]
    agent = agents()

    def read(count: int) -> None:
        many = {**plain, "items": items * count, "model_items": list(range(len(items) * count))}
        asyncio.run(RunState.from_json(agent, many))

    assert is_linear(read, 200)


@pytest.mark.parametrize("name", ["call_id", "name"])
@pytest.mark.parametrize("value", [["c"], {"c": 1}])
async def test_a_call_whose_id_or_name_is_no_text_is_refused(name: str, value: Any) -> None:
    @function_tool(needs_approval=True)
    def pay(amount: int) -> str:
        return "paid"

    agent = Agent(name="A", tools=[pay], model=ScriptedModel([call("pay", amount=1), "Done."]))
    saved = (await Runner.run(agent, "x")).to_state().to_json()
    for item in saved["items"]:
        item["raw"][name] = value
    with pytest.raises(UserError, match=f"'{name}' is no text"):
        await RunState.from_json(agent, saved)
