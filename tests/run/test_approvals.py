"""Approvals: a run that waits for a person, goes through JSON, and goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from agentstream import Agent, Runner, RunState, SQLiteSession, UserError, function_tool, handoff
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedModel, call, hand_off, turn


class Desk:
    """Tools that write down that they ran."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def tool(self, name: str, *, approval: Any = True) -> Any:
        @function_tool(name_override=name, needs_approval=approval)
        def work(what: str) -> str:
            self.done.append(f"{name} {what}")
            return f"{name} did {what}"

        return work


def agent(desk: Desk, *turns: Any, **more: Any) -> Agent[Any]:
    tools = [desk.tool("erase"), desk.tool("list", approval=False)]
    return Agent(name="A", tools=tools, model=ScriptedModel(list(turns)), **more)


def both() -> Any:
    return turn(call("list", what="all"), call("erase", what="x"))


async def test_a_finished_sibling_is_never_run_twice() -> None:
    desk = Desk()
    asked = agent(desk, both(), "Done.")
    result = await Runner.run(asked, "go")
    assert desk.done == ["list all"]
    assert [item.name for item in result.interruptions] == ["erase"]
    state = result.to_state()
    state.approve(result.interruptions[0])
    result = await Runner.run(asked, state)
    assert desk.done == ["list all", "erase x"]
    assert result.final_output == "Done."
    assert result.interruptions == []


async def test_without_a_decision_the_run_waits_again() -> None:
    desk = Desk()
    asked = agent(desk, both(), "Done.")
    first = await Runner.run(asked, "go")
    again = await Runner.run(asked, first.to_state())
    assert [item.call_id for item in again.interruptions] == [first.interruptions[0].call_id]
    assert desk.done == ["list all"]
    assert [i.type for i in again.new_items].count("tool_approval_item") == 1


async def test_a_rejection_is_told_to_the_model() -> None:
    desk = Desk()
    asked = agent(desk, both(), "I see.")
    result = await Runner.run(asked, "go")
    state = result.to_state()
    state.reject(result.interruptions[0], rejection_message="Not on a Sunday.")
    result = await Runner.run(asked, state)
    assert desk.done == ["list all"]
    assert [i.output for i in result.new_items if i.type == "tool_call_output_item"] == [
        "list did all",
        "Not on a Sunday.",
    ]


async def test_always_holds_for_later_calls_of_the_tool() -> None:
    desk = Desk()
    later = turn(call("erase", what="y"))
    asked = agent(desk, turn(call("erase", what="x")), later, "Done.")
    result = await Runner.run(asked, "go")
    state = result.to_state()
    state.approve(result.interruptions[0], always_approve=True)
    result = await Runner.run(asked, state)
    assert desk.done == ["erase x", "erase y"]
    assert result.final_output == "Done."


async def test_a_streamed_run_resumes_streamed() -> None:
    desk = Desk()
    asked = agent(desk, both(), "Done.")
    result = Runner.run_streamed(asked, "go")
    async for _ in result.stream_events():
        pass
    state = result.to_state()
    state.approve(state.get_interruptions()[0])
    resumed = Runner.run_streamed(asked, state)
    names = [e.name async for e in resumed.stream_events() if e.type == "run_item_stream_event"]
    assert names == ["tool_output", "message_output_created"]


async def test_the_state_goes_through_json_with_session_and_decisions() -> None:
    desk, session = Desk(), SQLiteSession("s")
    asked = agent(desk, both(), "Done.")
    result = await Runner.run(asked, "go", session=session, context={"user": "Ada"})
    saved = result.to_state().to_string()
    state = await RunState.from_string(asked, saved)
    assert state.context.context == {"user": "Ada"}
    state.approve(state.get_interruptions()[0])
    state = await RunState.from_json(asked, json.loads(state.to_string()))
    result = await Runner.run(asked, state, session=session)
    assert result.final_output == "Done."
    assert desk.done == ["list all", "erase x"]
    kinds = [item.get("type", item.get("role")) for item in await session.get_items()]
    assert kinds == ["user", *["function_call"] * 2, *["function_call_output"] * 2, "message"]


async def test_an_agent_reached_by_a_handoff_is_found_again() -> None:
    desk = Desk()
    worker = agent(desk, both(), "Done.")
    desk_agent = Agent(
        name="Desk", handoffs=[handoff(worker)], model=ScriptedModel([turn(hand_off(worker))])
    )
    result = await Runner.run(desk_agent, "go")
    state = await RunState.from_string(desk_agent, result.to_state().to_string())
    assert state.agent is worker
    state.approve(state.get_interruptions()[0])
    assert (await Runner.run(desk_agent, state)).final_output == "Done."


async def test_an_approval_inside_an_agent_as_a_tool() -> None:
    desk = Desk()
    inner = agent(desk, turn(call("erase", what="deep")), "Erased.")
    script = [turn(call("ask", input="erase deep")), "All done."]
    outer = Agent(name="Outer", tools=[inner.as_tool("ask", "")], model=ScriptedModel(script))
    result = await Runner.run(outer, "go")
    assert [item.agent.name for item in result.interruptions] == ["A"]
    state = result.to_state()
    state.approve(result.interruptions[0])
    result = await Runner.run(outer, state)
    assert desk.done == ["erase deep"]
    assert result.final_output == "All done."
    assert result.context_wrapper.usage.requests == 4


async def test_a_nested_approval_goes_through_json() -> None:
    desk = Desk()
    inner = agent(desk, turn(call("erase", what="deep")), "Erased.")
    script = [turn(call("ask", input="erase deep")), "All done."]
    outer = Agent(name="Outer", tools=[inner.as_tool("ask", "")], model=ScriptedModel(script))
    result = await Runner.run(outer, "go")
    state = await RunState.from_string(outer, result.to_state().to_string())
    state.approve(state.get_interruptions()[0])
    result = await Runner.run(outer, state)
    assert desk.done == ["erase deep"]
    assert result.final_output == "All done."


async def test_input_can_be_added_while_the_run_waits() -> None:
    desk = Desk()
    model = ScriptedModel([both(), "Done."])
    asked = agent(desk)
    asked.model = model
    result = await Runner.run(asked, "go")
    state = result.to_state()
    state.approve(result.interruptions[0])
    state.add_input("and be quick")
    result = await Runner.run(asked, state)
    assert [i.type for i in result.new_items][-3:] == [
        "tool_call_output_item",
        "input_item",
        "message_output_item",
    ]
    assert {"role": "user", "content": "and be quick"} in result.to_input_list()


@dataclass
class Custom:
    name: str


class Opaque:
    pass


async def test_a_context_that_json_cannot_hold_is_told_when_strict() -> None:
    asked = agent(Desk(), both())
    state = (await Runner.run(asked, "go", context=Opaque())).to_state()
    with pytest.raises(UserError, match="context_serializer"):
        state.to_json(strict_context=True)
    plain = state.to_json()
    with pytest.raises(UserError, match="context_override"):
        await RunState.from_json(asked, plain, strict_context=True)
    mine = Opaque()
    again = await RunState.from_json(asked, plain, context_override=mine)
    assert again.context.context is mine


@pytest.mark.parametrize("context", [None, True, 7, 1.5, "Ada", {"name": "Ada"}, ["Ada"]])
async def test_a_context_that_json_brings_back_is_read_when_strict(context: Any) -> None:
    asked = agent(Desk(), both())
    saved = (await Runner.run(asked, "go", context=context)).to_state().to_string()
    again = await RunState.from_string(asked, saved, strict_context=True)
    assert again.context.context == context


async def test_a_context_goes_through_functions_of_ones_own() -> None:
    asked = agent(Desk(), both())
    state = (await Runner.run(asked, "go", context=Custom("Ada"))).to_state()
    plain = state.to_json(context_serializer=lambda context: context.name)
    again = await RunState.from_json(asked, plain, context_deserializer=Custom)
    assert again.context.context == Custom("Ada")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no saved run"),
        ("[]", "takes the dict that .* got list"),
        ('{"schema": "other"}', "no run saved by this version"),
        ('{"schema": "agentstream/run-state/1"}', "damaged"),
        ('{"schema": "agentstream/run-state/2"}', "damaged"),
    ],
)
async def test_what_is_no_saved_run_is_told(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        await RunState.from_string(agent(Desk()), text)


async def test_another_agent_than_the_runs_is_told() -> None:
    asked = agent(Desk(), both())
    saved = (await Runner.run(asked, "go")).to_state().to_string()
    with pytest.raises(UserError, match="cannot be reached"):
        await RunState.from_string(Agent(name="Other"), saved)


async def test_no_part_of_a_state_can_be_missing_without_being_told() -> None:
    asked = agent(Desk(), both())
    whole = (await Runner.run(asked, "go")).to_state().to_json()
    # Earlier versions saved none of these.
    for name in whole.keys() - {"question", "waiting_ids", "carried"}:
        part = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(UserError):
            await RunState.from_json(asked, part)


@pytest.mark.parametrize("through_json", [False, True])
async def test_a_call_that_an_earlier_decision_rejects_is_rejected_wherever_it_is_seen(
    through_json: bool,
) -> None:
    desk = Desk()
    asked = agent(desk, call("erase", what="x"), call("erase", what="y"), "Done.")
    state = (await Runner.run(asked, "go")).to_state()
    state.reject(state.get_interruptions()[0], always_reject=True)
    if through_json:
        state = await RunState.from_string(asked, state.to_string())
    result = await Runner.run(asked, state)
    calls = [part for part in result.trace.parts if part.name == "erase"]
    assert [part.status for part in calls] == ["rejected", "rejected"]
    frame = result.to_frame()
    assert set(frame[frame["name"] == "erase"]["status"]) == {"rejected"}
    assert snapshot(result.trace)["text/plain"].count("rejected") == 2
    assert desk.done == []


async def test_calls_that_wait_can_be_kept_in_a_set() -> None:
    desk = Desk()
    asked = agent(desk, turn(call("erase", what="x"), call("erase", what="y")), "Done.")
    result = await Runner.run(asked, "go")
    again = await RunState.from_string(asked, result.to_state().to_string())
    first, second = result.interruptions
    assert len({first, second, first}) == 2
    assert first == first and hash(first) == hash(again.get_interruptions()[0])
