"""What `show` gives has what the result has, and a run that nobody holds is found and stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentstream import Agent, Runner, RunResultStreaming, chat, runs, show
from agentstream.notebook.run_adapter import RunAdapter
from agentstream.notebook.show_widget import RunWidget
from agentstream.testing import Pace, ScriptedModel, call

TYPICAL = ["final_output", "to_frame", "timeline", "cancel", "new_items", "result", "trace"]


def poet(**how: Any) -> Agent[Any]:
    return Agent(name="Poet", model=ScriptedModel(["It rains."], loop=True, **how))


def slow() -> Agent[Any]:
    return poet(pace=Pace(1, 1))


def shown(kind: str, agent: Agent[Any]) -> Any:
    """What `show` gives in a terminal, or in a notebook."""
    if kind == "text":
        return show(agent, "x")
    return RunWidget(RunAdapter(Runner.run_streamed(agent, "x")))


@pytest.mark.parametrize("kind", ["text", "widget"])
async def test_what_show_gives_has_what_the_result_has(kind: str) -> None:
    view = shown(kind, poet())
    with pytest.warns(UserWarning, match="await show") as caught:
        assert view.final_output is None
    assert caught[0].filename == __file__
    result = await view
    assert result is view.result
    assert view.final_output == "It rains."
    assert view.new_items == result.new_items
    assert view.last_agent is result.last_agent
    assert view.to_frame()["text"].to_list() == ["It rains."]
    assert view.to_frame("turns").shape[0] == 1
    assert view.timeline().svg() == result.timeline().svg()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["text", "widget"])
async def test_reading_the_events_of_what_is_shown_warns_of_nothing(kind: str) -> None:
    assert [event async for event in shown(kind, poet())]
    view = shown(kind, poet())
    await asyncio.sleep(0.1)  # it has ended before it is read
    assert [event async for event in view]


@pytest.mark.parametrize("kind", ["text", "widget"])
async def test_what_show_gives_can_be_stopped(kind: str) -> None:
    view = shown(kind, slow())
    await asyncio.sleep(0)
    view.cancel()
    await view
    assert view.trace.status == "cancelled"


@pytest.mark.parametrize("kind", ["text", "widget"])
async def test_dir_lists_what_a_reader_wants_and_no_traits(kind: str) -> None:
    view = shown(kind, poet())
    listed = dir(view)
    assert set(TYPICAL) <= set(listed)
    assert not {"keyframe", "comm", "layout", "tabbable"} & set(listed)
    assert all(hasattr(view, name) for name in listed if name != "final_output")
    await view


@pytest.mark.parametrize("kind", ["text", "widget"])
async def test_a_name_that_nothing_has_names_the_near_one_and_await(kind: str) -> None:
    view = shown(kind, poet())
    with pytest.raises(AttributeError, match=r"await show.*Did you mean 'to_frame'"):
        view.to_fram  # noqa: B018
    await view


async def test_runs_lists_what_goes_on_and_stops_it() -> None:
    for _ in range(2):
        Runner.run_streamed(slow(), "A poem, please")
    Runner.run_streamed(poet(), "x")
    await asyncio.sleep(0.1)
    assert len(runs()) == 2
    assert "[1] 'Poet', for 0 s, 1 turn(s): A poem, please" in repr(runs())
    first = runs()[0]
    first.cancel()
    assert list(runs()) == list(runs()[:1])
    assert len(runs(first.current_agent)) == 0
    runs().cancel()
    assert len(runs()) == 0
    assert repr(runs()) == "No run goes on."
    await first.wait()


async def test_runs_counts_a_run_and_not_the_agents_that_are_its_tools() -> None:
    inner = slow().as_tool("ask", "Ask.")
    outer = Agent(name="Outer", tools=[inner], model=ScriptedModel([call("ask", input="x"), "ok"]))
    result = Runner.run_streamed(outer, "x")
    await asyncio.sleep(0.2)
    assert list(runs()) == [result]
    result.cancel()
    await result.wait()


async def test_runs_lists_turns_of_a_conversation() -> None:
    talk = chat(slow())
    turn = asyncio.create_task(talk.send("Hello"))
    await asyncio.sleep(0.1)
    assert len(runs()) == 1
    runs().cancel()
    await turn


async def typed(agent: Agent[Any], result: RunResultStreaming) -> None:
    """Read by mypy only."""
    from typing import assert_type

    assert_type(await show(agent, "x"), RunResultStreaming)
    assert_type(await show(result), RunResultStreaming)
    assert_type(show(agent, "x").result, RunResultStreaming)
    assert_type(await chat(agent).send("x"), RunResultStreaming)


async def test_a_result_of_run_is_shown_in_a_terminal_and_given_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = await Runner.run(poet(), "x")
    assert await show(result) is result
    assert [event async for event in show(result)] == []
    assert list(show(result)) == []
    assert capsys.readouterr().out == "> x\nPoet\nIt rains.\n" * 3
    view = show(result)
    view.cancel()  # there is nothing to stop
    assert view.trace.status == "completed"
