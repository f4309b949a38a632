"""Runs of this package as data: however they went, they are there afterwards as tables."""

from __future__ import annotations

import asyncio
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

from agentstream import Agent, Runner, UserError, function_tool
from agentstream.testing import Pace, ScriptedModel, call, hand_off, think, turn
from agentstream.trace import Trace
from agentstream.trace.dataframes import to_frame
from agentstream.trace.timeline.timeline import Timeline

TABLES = ["items", "turns", "events", "spans"]


@function_tool
async def look(place: str) -> str:
    """Look a place up."""
    await asyncio.sleep(0.02)
    return f"{place} is sunny"


@function_tool(needs_approval=True)
def pay(euro: int) -> str:
    """Pay."""
    return f"paid {euro}"


def team() -> Agent[Any]:
    """An agent with parallel tools, a nested agent and a handoff."""
    expert = Agent(
        name="Expert",
        tools=[look],
        model=ScriptedModel([turn(call("look", place="Alfama")), "Go to Alfama."]),
    )
    writer = Agent(name="Writer", model=ScriptedModel(["It is **sunny**."]))
    first = turn(
        think("Three at once."),
        "I ask.",
        call("look", place="Lisbon"),
        call("look", place="Porto"),
        call("ask_expert", input="Where?"),
    )
    return Agent(
        name="Guide",
        tools=[look, expert.as_tool("ask_expert", "Ask the expert.")],
        handoffs=[writer],
        model=ScriptedModel([first, turn(hand_off(writer))]),
    )


async def drained(result: Any) -> Any:
    async for _ in result.stream_events():
        pass
    return result


async def streamed(agent: Agent[Any], text: Any = "go") -> Any:
    return await drained(Runner.run_streamed(agent, text))


def own_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["parent"].isna()]


@pytest.mark.parametrize("is_streamed", [True, False], ids=["streamed", "whole"])
async def test_a_finished_run_has_a_row_for_each_of_its_items(is_streamed: bool) -> None:
    result = await streamed(team()) if is_streamed else await Runner.run(team(), "go")
    frame = result.to_frame()
    types = own_rows(frame)["type"].to_list()
    assert types == [item.type for item in result.new_items]
    assert frame["status"].eq("completed").all()
    arguments = frame["arguments"].dropna().map(json.loads)
    assert len(arguments) and arguments.map(type).eq(dict).all()
    assert frame["text"].dropna().iloc[-1] == result.final_output
    outputs = frame[frame["type"] == "tool_call_output_item"].set_index("call_id")["output"]
    told = {
        item.raw_item["call_id"]: item.output
        for item in result.new_items
        if item.type == "tool_call_output_item"
    }
    assert {key: outputs[key] for key in told} == told
    [handoff] = frame.loc[frame["type"] == "handoff_call_item", "name"]
    assert handoff == "Writer"


async def test_the_turns_of_a_run_add_up_to_its_usage() -> None:
    result = await streamed(team())
    turns = result.to_frame("turns")
    assert own_rows(turns)["agent"].to_list() == ["Guide", "Guide", "Writer"]
    assert len(turns) == 5, "two of them in the nested run"
    usage = result.context_wrapper.usage
    assert turns["total_tokens"].sum() == usage.total_tokens
    assert turns["input_tokens"].sum() == usage.input_tokens
    ids = [response.response_id for response in result.raw_responses]
    assert own_rows(turns)["response_id"].to_list() == ids
    assert turns["cost_usd"].isna().all(), "nobody sells the scripted model"


async def test_a_call_answered_in_one_piece_has_no_first_token() -> None:
    result = await Runner.run(team(), "go")
    turns = result.to_frame("turns")
    assert turns["time_to_first_token_s"].isna().all()
    assert turns["duration_s"].ge(0).all()
    assert result.to_frame("spans")["first_token_s"].isna().all()
    assert "first token" not in result.timeline().svg()
    turns = own_rows((await streamed(team())).to_frame("turns"))
    assert turns["time_to_first_token_s"].le(turns["duration_s"]).all()


async def test_items_of_a_nested_agent_name_the_call_they_belong_to() -> None:
    frame = (await streamed(team())).to_frame()
    [asked] = frame.loc[(frame["name"] == "ask_expert") & frame["output"].isna(), "call_id"]
    inner = frame[frame["agent"] == "Expert"]
    assert inner["parent"].eq(asked).all()
    assert inner["text"].dropna().to_list() == ["Go to Alfama."]


async def test_times_rise_and_spans_nest() -> None:
    result = await streamed(team())
    events = own_rows(result.to_frame("events"))["time_s"].to_list()
    assert all(before <= after for before, after in pairwise(events))
    items = result.to_frame()
    assert (items["started_s"] <= items["ended_s"]).all()
    assert items["duration_s"].ge(0).all()
    spans = result.to_frame("spans")
    assert spans["parent"].isna().to_list() == [True] + [False] * (len(spans) - 1)
    for index, span in spans.iloc[1:].iterrows():
        outer = spans.loc[span["parent"]]
        assert outer.name < index
        assert outer["started_s"] <= span["started_s"] <= span["ended_s"] <= outer["ended_s"]
    tools = spans[(spans["kind"] == "tool") & (spans["depth"] == 0)]
    assert tools["started_s"].max() < tools["ended_s"].min(), "all three ran at once"
    assert tools.loc[tools["name"] == "look", "duration_s"].ge(0.02).all()


async def test_live_and_recorded_runs_give_the_same_frames_and_the_same_picture() -> None:
    told: list[tuple[Any, float]] = []
    result = Runner.run_streamed(team(), "go")
    add_all = result.trace.add_all

    def listen(events: Iterable[Any], t: float) -> None:
        told.extend((event, t) for event in events)
        add_all(events, t)
        if len(told) % 20 == 0:
            result.to_frame()
            str(result.timeline())

    result.trace.add_all = listen  # type: ignore[method-assign]
    await drained(result)
    again = Trace(result.trace.name)
    for event, t in told:
        again.add(event, t)
    for table in TABLES:
        pd.testing.assert_frame_equal(result.to_frame(table), to_frame(again, table))  # type: ignore[arg-type]
    assert result.timeline().svg() == Timeline(again).svg()
    assert str(result.timeline()) == str(Timeline(again))


async def test_a_running_run_is_readable_at_each_event() -> None:
    result = Runner.run_streamed(team(), "go")
    seen = set()
    async for _ in result.stream_events():
        frame = result.to_frame()
        seen |= set(frame["status"].dropna())
        assert frame.attrs["status"] == "running" or result.is_complete
        assert [len(result.to_frame(table)) for table in TABLES]
        ET.fromstring(result.timeline().svg())
    assert {"in_progress", "running", "completed"} <= seen


async def test_a_stopped_run_keeps_what_arrived() -> None:
    model = ScriptedModel(["word " * 500], pace=Pace(200, 0.01))
    result = Runner.run_streamed(Agent(name="Poet", model=model), "go")
    async for _ in result.stream_events():
        if len("".join(part.text for part in result.trace)) > 40:
            result.cancel()
    await result.wait()
    [item] = result.to_frame().to_dict("records")
    assert item["status"] == "cancelled"
    assert item["text"].startswith("word word ")
    assert item["ended_s"] >= item["started_s"]
    [model_call] = result.to_frame("turns").to_dict("records")
    assert model_call["status"] == "cancelled"
    assert math.isnan(model_call["tokens_per_s"])
    assert "stop" in result.to_frame("spans")["kind"].to_list()
    assert "stopped at" in result.timeline().svg()


async def test_a_failed_run_keeps_what_was_done_and_says_why() -> None:
    @function_tool(failure_error_function=None)
    def save() -> str:
        """Save."""
        raise OSError("no disk")

    script = ScriptedModel([turn("I save.", call("save"))])
    result = Runner.run_streamed(Agent(name="A", tools=[save], model=script), "go")
    with pytest.raises(UserError, match="no disk"):
        await drained(result)
    frame = result.to_frame()
    assert frame["type"].to_list() == ["message_output_item", "tool_call_item"]
    assert frame["status"].to_list() == ["completed", "failed"]
    assert frame["error"].iloc[-1] == "no disk"
    assert frame.attrs["status"] == "failed"
    assert "failed at" in str(result.timeline())


async def test_a_run_that_waited_for_approval_goes_on_in_the_same_tables() -> None:
    agent = Agent(
        name="Cashier",
        tools=[pay, look],
        model=ScriptedModel([turn(call("pay", euro=3), call("look", place="Lisbon")), "Paid."]),
    )
    paused = await streamed(agent)
    frame = paused.to_frame()
    assert frame.attrs["status"] == "paused"
    assert frame.loc[frame["name"] == "pay", "status"].to_list() == ["awaiting_approval"]
    [wait] = paused.to_frame("spans").query("kind == 'approval'").to_dict("records")
    assert wait["status"] == "awaiting_approval"
    # Beside its bar there is not always place for its name, so that is not looked for.
    assert "<title>pay, awaiting approval" in paused.timeline().svg()
    await asyncio.sleep(0.05)

    state = paused.to_state()
    state.approve(state.get_interruptions()[0])
    result = await streamed(agent, state)
    frame = result.to_frame()
    types = [item.type for item in result.new_items]
    types.remove("tool_approval_item")  # it is the status of the call's row
    assert frame["type"].to_list() == types
    assert frame["status"].eq("completed").all()
    assert frame["turn"].to_list() == [1, 1, 1, 1, 2]
    spans = result.to_frame("spans").set_index(["kind", "name"])
    wait, tool = spans.loc[("approval", "pay")], spans.loc[("tool", "pay")]
    assert wait["duration_s"] >= 0.05
    assert wait["status"] == "completed"
    assert wait["ended_s"] <= tool["started_s"]
    assert frame.attrs["status"] == "completed"


async def test_a_rejected_call_is_marked_as_such() -> None:
    agent = Agent(
        name="Cashier", tools=[pay], model=ScriptedModel([turn(call("pay", euro=3)), "Well."])
    )
    state = (await streamed(agent)).to_state()
    state.reject(state.get_interruptions()[0])
    result = await streamed(agent, state)
    frame = result.to_frame()
    assert frame.loc[frame["type"] == "tool_call_item", "status"].to_list() == ["rejected"]
    spans = result.to_frame("spans")
    assert "tool" not in spans["kind"].to_list(), "it never ran"
    assert spans.loc[spans["kind"] == "approval", "status"].to_list() == ["rejected"]


async def test_a_run_resumed_in_the_same_result_goes_on_too() -> None:
    agent = Agent(
        name="Cashier", tools=[pay], model=ScriptedModel([turn(call("pay", euro=3)), "Paid."])
    )
    result = await streamed(agent)
    result.context_wrapper.approve_tool(result.interruptions[0])
    await drained(result.resume())
    assert result.to_frame()["output"].dropna().to_list() == ["paid 3"]
    assert result.trace.status == "completed"


async def test_a_list_of_runs_is_one_table() -> None:
    agent = Agent(name="Poet", model=ScriptedModel(["Rain."], loop=True))
    runs = [await Runner.run(agent, "a line"), await streamed(agent)]
    frame = to_frame(runs)
    assert frame.columns[0] == "run"
    assert frame["run"].to_list() == ["1", "2"]
    assert frame["text"].to_list() == ["Rain.", "Rain."]
    turns = to_frame({"whole": runs[0], "streamed": runs[1]}, "turns")
    assert turns["run"].to_list() == ["whole", "streamed"]


async def test_cost_is_known_for_a_model_with_a_price() -> None:
    pytest.importorskip("genai_prices", reason="the price tables are not installed")
    result = await streamed(Agent(name="Poet", model=ScriptedModel(["Rain."], model="gpt-4o-mini")))
    [told] = result.to_frame("turns").to_dict("records")
    # USD a million tokens: 0.15 in, 0.60 out.
    expected = (told["input_tokens"] * 0.15 + told["output_tokens"] * 0.60) / 1e6
    assert told["cost_usd"] == pytest.approx(expected)


async def test_an_agent_draws_itself_and_the_path_a_run_took() -> None:
    agent = team()
    assert str(agent.graph()).splitlines() == [
        "Guide",
        "  tool look",
        "  agent tool ask_expert",
        "  hands over to Writer",
        "Writer",
    ]
    result = await streamed(agent)
    text = str(agent.graph(result))
    assert "tool look (called 2 times)" in text
    assert "hands over to Writer (step 1)" in text
    bundle = agent.graph(result)._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    ET.fromstring(bundle["image/svg+xml"])
