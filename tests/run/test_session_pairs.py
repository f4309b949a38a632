"""Half of a pair stays in the session's store, and is left out of the request."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentstream
from agentstream import (
    Agent,
    Runner,
    RunState,
    SQLiteSession,
    UserError,
    function_tool,
)
from agentstream.run.session import without_halves
from agentstream.testing import ScriptedModel, think, turn
from agentstream.testing import call as scripted


def call(name: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": name, "name": "f", "arguments": "{}"}


def output(name: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": name, "output": "x"}


USER = {"role": "user", "content": "q"}
THOUGHT = {"type": "reasoning", "id": "r", "summary": []}


def test_a_half_is_left_out_with_the_thought_that_led_to_it() -> None:
    assert without_halves([USER, THOUGHT, call("a"), USER], []) == [USER, USER]
    whole = [USER, THOUGHT, call("a"), output("a")]
    assert without_halves(whole, []) == whole
    assert without_halves([THOUGHT, call("a"), call("b"), output("b")], []) == [
        THOUGHT,
        call("b"),
        output("b"),
    ]


def test_an_output_belongs_to_one_call_also_where_ids_come_again() -> None:
    pair = [call("a"), output("a")]
    assert without_halves([*pair, USER, call("a")], []) == [*pair, USER]
    assert without_halves([output("a"), *pair], []) == pair
    assert without_halves([*pair, output("a")], []) == pair


def test_calls_of_every_kind_are_paired_with_their_outputs() -> None:
    pairs: list[dict[str, Any]] = [
        {"type": "local_shell_call", "id": "i", "call_id": "a", "action": {}},
        {"type": "local_shell_call_output", "id": "a", "output": "x"},
        {"type": "mcp_approval_request", "id": "m", "name": "f", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "m", "approve": True},
        {"type": "computer_call", "id": "i", "call_id": "c"},
        {"type": "computer_call_output", "id": "o", "call_id": "c", "output": {}},
    ]
    assert without_halves(pairs, []) == pairs
    assert without_halves(pairs[::2], []) == without_halves(pairs[1::2], []) == []


def test_reasoning_that_led_to_a_hosted_call_beside_a_half_stays() -> None:
    stored = [THOUGHT, call("a"), {"type": "web_search_call", "id": "w"}]
    assert without_halves(stored, []) == [stored[0], stored[2]]


def test_an_output_in_the_question_makes_a_stored_call_whole() -> None:
    assert without_halves([call("a")], [output("a")]) == [call("a")]


@given(st.lists(st.sampled_from([USER, THOUGHT, *map(call, "ab"), *map(output, "ab")])))
def test_no_half_goes_out_and_what_is_whole_stays(stored: list[dict[str, Any]]) -> None:
    kept = without_halves(stored, [])
    halves = [
        {item["call_id"] for item in kept if item.get("type") == kind}
        for kind in ("function_call", "function_call_output")
    ]
    assert halves[0] == halves[1]
    assert kept.count(USER) == stored.count(USER)
    assert without_halves(kept, []) == kept


async def test_a_callback_that_repeats_the_history_does_not_make_the_session_grow() -> None:
    session = agentstream.SQLiteSession("s")
    config = agentstream.RunConfig(
        session_input_callback=lambda before, news: [*before, *before, *news]
    )
    for count in (2, 4, 6):
        agent = agentstream.Agent(name="a", model=ScriptedModel(["hi"]))
        await agentstream.Runner.run(agent, "q", session=session, run_config=config)
        assert len(await session.get_items()) == count


def kinds(items: Any) -> list[Any]:
    return [item.get("type") or item["role"] for item in items]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("from_json", [False, True])
@pytest.mark.parametrize(
    ("siblings", "stops"), [(False, "cancel"), (True, "cancel"), (True, "failure")]
)
async def test_a_call_that_was_stopped_is_in_the_session_once_it_has_an_output(
    siblings: bool, stops: str, from_json: bool, streamed: bool
) -> None:
    """The session is whole at any time, and the next run knows that the tool ran."""
    going, ran = asyncio.Event(), []

    @function_tool
    async def pay() -> str:
        going.set()
        await asyncio.sleep(0 if len(ran) else 60)
        return "paid"

    @function_tool(failure_error_function=None)
    async def look() -> str:
        if stops == "failure" and not ran:
            await going.wait()
            raise ValueError("broken")
        return "seen"

    tools = [pay, look]
    calls = [scripted("look"), scripted("pay")] if siblings else [scripted("pay")]
    model = ScriptedModel([turn(think("Hm."), *calls), "Paid."])
    agent = Agent(name="A", model=model, tools=tools)
    session = SQLiteSession("s")
    result = Runner.run_streamed(agent, "go", session=session)
    if stops == "cancel":
        await going.wait()
        await asyncio.sleep(0.01)
        result.cancel()
        await result.wait()
    else:
        with pytest.raises(UserError):
            await result.wait()
    stored = await session.get_items()
    assert without_halves(stored, []) == stored
    assert kinds(stored) == (
        ["user", "reasoning", "function_call", "function_call_output"] if siblings else ["user"]
    )
    state = result.to_state()
    if from_json:
        state = await RunState.from_string(agent, state.to_string())
    ran.append("resumed")
    if streamed:
        await Runner.run_streamed(agent, state, session=session).wait()
    else:
        await Runner.run(agent, state, session=session)
    stored = await session.get_items()
    assert without_halves(stored, []) == stored
    pair = ["function_call", "function_call_output"]
    assert kinds(stored) == ["user", "reasoning", *pair * len(calls), "message"]
    sent: Any = model.requests[-1].input
    assert sent == stored[:-1]  # in the same order, too
    again = ScriptedModel(["Hello."])
    await Runner.run(Agent(name="A", model=again), "hi", session=session)
    asked: Any = again.requests[-1].input
    assert asked[:-1] == stored


class Slow(SQLiteSession):
    """A session that takes a while to store, once that matters."""

    slow = False

    async def add_items(self, items: Any) -> None:
        await asyncio.sleep(0.05 if self.slow else 0)
        await super().add_items(items)
        await asyncio.sleep(0.05 if self.slow else 0)


@pytest.mark.parametrize("cancellations", [1, 2, 5])
async def test_a_save_is_not_done_by_half_however_often_the_run_is_stopped(
    cancellations: int,
) -> None:
    going = asyncio.Event()

    @function_tool
    async def pay() -> str:
        going.set()
        await asyncio.sleep(60)
        return "paid"

    @function_tool
    async def look() -> str:
        return "seen"

    model = ScriptedModel([turn(think("Hm."), scripted("look"), scripted("pay")), "Done."])
    session = Slow("s")
    agent = Agent(name="A", model=model, tools=[pay, look])
    result = Runner.run_streamed(agent, "go", session=session)
    await going.wait()
    await asyncio.sleep(0.01)
    session.slow = True
    result.cancel()
    for _ in range(cancellations - 1):
        await asyncio.sleep(0.015)
        assert result.run_loop_task is not None
        result.run_loop_task.cancel()
    await result.wait()
    assert result.trace.status == "cancelled"
    pair = ["function_call", "function_call_output"]
    assert kinds(await session.get_items()) == ["user", "reasoning", *pair]


async def test_items_that_were_being_stored_when_a_run_was_stopped_are_stored_once() -> None:
    @function_tool
    async def look() -> str:
        return "seen"

    session = Slow("s")
    model = ScriptedModel([scripted("look"), "Done.", "Done."])
    agent = Agent(name="A", model=model, tools=[look])
    result = Runner.run_streamed(agent, "go", session=session)
    session.slow = True
    while len(result.new_items) < 2:
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    result.cancel()  # in the middle of storing the pair
    await result.wait()
    session.slow = False
    pair = ["function_call", "function_call_output"]
    assert kinds(await session.get_items()) == ["user", *pair]
    await Runner.run(agent, result.to_state(), session=session)
    assert kinds(await session.get_items()) == ["user", *pair, "message"]


@pytest.mark.parametrize("from_json", [False, True])
async def test_a_question_that_was_being_stored_when_a_run_was_stopped_is_stored_once(
    from_json: bool,
) -> None:
    session = Slow("s")
    await session.add_items([USER])
    session.slow = True
    agent = Agent(name="A", model=ScriptedModel(["Hi."]))
    result = Runner.run_streamed(agent, "go", session=session)
    await asyncio.sleep(0.07)  # the store has it, and nobody knows yet
    result.cancel()
    await result.wait()
    session.slow = False
    state = result.to_state()
    if from_json:
        state = await RunState.from_string(agent, state.to_string())
    await Runner.run(agent, state, session=session)
    stored: Any = await session.get_items()
    assert [item["content"] for item in stored[:-1]] == ["q", "go"]


async def test_a_state_whose_stopped_calls_are_not_among_its_items_is_damaged() -> None:
    agent = Agent(name="A", model=ScriptedModel(["Hi."]))
    saved = (await Runner.run(agent, "go")).to_state().to_json()
    saved["unsaved"] = [7]
    with pytest.raises(UserError, match="damaged"):
        await RunState.from_json(agent, saved)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
@pytest.mark.parametrize("from_json", [False, True])
async def test_runs_that_wait_with_one_id_in_one_session_keep_their_outputs(
    order: tuple[int, ...], from_json: bool
) -> None:
    """A model that numbers its calls anew asks for the same id in each of three runs."""

    @function_tool(needs_approval=True)
    def pay(amount: int) -> str:
        return f"paid {amount}"

    def pays(amount: int) -> Any:
        part = scripted("pay", amount=amount)
        added, done = ({**fields, "call_id": "c"} for fields in (part.added, part.done))
        return turn(replace(part, added=added, done=done))

    script = [*map(pays, range(3)), *(f"Done {at}." for at in range(3)), "Hello."]
    agent = Agent(name="A", model=ScriptedModel(script), tools=[pay])
    session = SQLiteSession("s")
    results = [await Runner.run(agent, f"q{at}", session=session) for at in range(3)]
    for at in order:
        state = results[at].to_state()
        if from_json:
            state = await RunState.from_string(agent, state.to_string())
        state.approve(state.get_interruptions()[0])
        await Runner.run(agent, state, session=session)
    await Runner.run(agent, "and?", session=session)
    model: Any = agent.model
    sent = model.requests[-1].input
    arguments = {item["call_id"]: item["arguments"] for item in sent if "arguments" in item}
    told = {item["call_id"]: item["output"] for item in sent if "output" in item}
    assert len(arguments) == len(told) == 3
    assert all(told[id] == f"paid {json.loads(arguments[id])['amount']}" for id in told)
