"""Other event loops than asyncio's own, loops within loops, a loop that is closed too early."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from agentstream import Agent, Runner, UserError, function_tool, show
from agentstream.items import ToolCallOutputItem
from agentstream.testing import ScriptedModel, call, say, stall, turn

FAILED = "An error occurred while running the tool. Please try again."


def outputs(result: Any) -> list[Any]:
    return [item.output for item in result.new_items if isinstance(item, ToolCallOutputItem)]


def endless() -> Any:
    return Runner.run_streamed(
        Agent(name="A", model=ScriptedModel([turn(say("one two"), stall())])), "hi"
    )


# --- a loop that is closed under a run ---------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_is_closed_under_a_run_leaves_what_arrived_and_says_so():
    async def begun() -> Any:
        result = endless()
        while not (result.trace.parts and result.trace.parts[0].text):
            await asyncio.sleep(0.001)
        return result

    loop = asyncio.new_event_loop()
    result = loop.run_until_complete(begun())
    loop.close()
    assert result.is_complete
    assert (result.trace.status, result.trace.error) == ("cancelled", "its event loop was closed")
    assert result.trace.parts[0].text.startswith("one")
    assert len(result.to_frame()) == 1
    closed = pytest.raises(UserError, match=r"loop of this run was closed.*What arrived is in")
    with closed:
        list(result)
    with closed:
        asyncio.run(result.wait())
    result.cancel()
    del result
    gc.collect()  # Python tells of the task that it throws away


# --- several runs ------------------------------------------------------------------------------


async def test_two_runs_of_one_agent_at_once_are_two_runs():
    meeting = asyncio.Barrier(2)
    seen: list[str] = []

    @function_tool
    async def look(place: str) -> str:
        await asyncio.wait_for(meeting.wait(), 10)
        seen.append(place)
        return place

    models = {
        name: ScriptedModel([call("look", place=name), f"You are in {name}."])
        for name in ("Lisbon", "Porto")
    }
    agent = Agent(name="Guide", tools=[look], model="of the run")
    runs = [
        Runner.run_streamed(agent, name, run_config={"model": model})
        for name, model in models.items()
    ]
    shown = await asyncio.gather(*(run.wait() for run in runs))
    assert len(shown) == 2
    assert sorted(seen) == ["Lisbon", "Porto"]
    assert [run.final_output for run in runs] == ["You are in Lisbon.", "You are in Porto."]
    assert [outputs(run) for run in runs] == [["Lisbon"], ["Porto"]]
    assert [[part.text for part in run.trace.parts][-1] for run in runs] == [
        "You are in Lisbon.",
        "You are in Porto.",
    ]


# --- anyio within tools ------------------------------------------------------------------------


@function_tool
async def with_anyio() -> str:
    """Task groups, time limits and threads of anyio, as a user's library may use them."""
    said: list[str] = []

    async def work(word: str) -> None:
        await anyio.sleep(0.01)
        said.append(word)

    async with anyio.create_task_group() as group:
        group.start_soon(work, "group")
    with anyio.move_on_after(0.02) as scope:
        await anyio.sleep(60)
    said.append(f"moved on {scope.cancelled_caught}")
    said.append(await anyio.to_thread.run_sync(lambda: "thread"))
    return ", ".join(said)


@function_tool
async def late_in_anyio() -> None:
    with anyio.fail_after(0.02):
        await anyio.sleep(60)


@function_tool
async def left_by_anyio() -> None:
    """Its scope cancels this very task, and nobody catches that."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anyio.sleep(60)


class Cancelled:
    """A tool within anyio's scopes that notes how it ends."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.cleaned = False

    def tool(self) -> Any:
        @function_tool(name_override="wait")
        async def wait() -> None:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep, 60)
                    self.began.set()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.01)
                    self.cleaned = True

        return wait


async def test_tools_may_use_anyio():
    tools = [with_anyio, late_in_anyio, left_by_anyio]
    model = ScriptedModel([turn(*[call(tool.name) for tool in tools]), "Done."])
    result = await Runner.run(Agent(name="A", tools=tools, model=model), "Go")
    assert outputs(result) == ["group, moved on True, thread", FAILED, None]
    assert result.final_output == "Done."


async def test_a_run_within_anyios_time_limit_ends_with_it_and_its_tools_clean_up():
    waiting = Cancelled()
    agent = Agent(name="A", tools=[waiting.tool()], model=ScriptedModel([call("wait"), "Never."]))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def leave() -> None:
                await waiting.began.wait()
                scope.cancel()

            group.start_soon(leave)
            await Runner.run(agent, "Go")
    assert scope.cancelled_caught
    assert waiting.cleaned
    assert len(asyncio.all_tasks()) == 1


async def test_a_timeout_of_ours_around_scopes_of_anyio_is_a_timeout():
    @function_tool(timeout=0.05)
    async def slow() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)

    agent = Agent(name="A", tools=[slow], model=ScriptedModel([call("slow"), "Done."]))
    assert outputs(await Runner.run(agent, "Go")) == ["Tool 'slow' timed out after 0.05 seconds."]


def test_anyio_run_is_as_good_as_asyncio_run():
    async def main() -> str:
        agent = Agent(name="A", model=ScriptedModel(["Hello."]))
        return (await Runner.run(agent, "hi")).final_output

    assert anyio.run(main) == "Hello."


# --- trio --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["run", "streamed", "show"])
def test_trio_is_told_what_to_do(how: str):
    trio = pytest.importorskip("trio", reason="trio is not installed")
    agent = Agent(name="A", model=ScriptedModel(["Hello."]))

    async def main() -> None:
        if how == "run":
            await Runner.run(agent, "hi")
        elif how == "show":
            await show(agent, "hi")
        else:
            async for _ in Runner.run_streamed(agent, "hi").stream_events():
                pass

    with pytest.raises(UserError, match=r"runs on asyncio.*trio\.to_thread\.run_sync"):
        trio.run(main)


def test_what_trio_is_told_works():
    trio = pytest.importorskip("trio", reason="trio is not installed")
    agent = Agent(name="A", model=ScriptedModel(["Hello."]))

    async def main() -> Any:
        return await trio.to_thread.run_sync(Runner.run_sync, agent, "hi")

    assert trio.run(main).final_output == "Hello."


# --- uvloop, nested loops ----------------------------------------------------------------------

PROGRAM = """
import asyncio, sys, time
from agentstream import Agent, Runner, UserError, function_tool, show
from agentstream.testing import ScriptedModel, ScriptedServer, call, say, stall, turn

@function_tool
def threaded() -> str:
    time.sleep(0.01)
    return "thread"

@function_tool
async def looped() -> str:
    await asyncio.sleep(0.01)
    return type(asyncio.get_running_loop()).__module__.split(".")[0]

@function_tool(timeout=0.02)
async def late() -> None:
    await asyncio.sleep(60)

TOOLS = [threaded, looped, late]
def agent():
    model = ScriptedModel([turn(*[call(tool.name) for tool in TOOLS]), "Done."])
    return Agent(name="A", tools=TOOLS, model=model)
def outputs(result):
    return [item.output for item in result.new_items if hasattr(item, "output")]
def endless():
    return Runner.run_streamed(
        Agent(name="A", model=ScriptedModel([turn(say("one two"), stall())])), "hi")
"""
LATE = "Tool 'late' timed out after 0.02 seconds."


def printed_by(program: str) -> list[str]:
    """What a program prints that warns of nothing; alone, as a patched loop stays patched."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def test_uvloop_runs_agents_and_says_what_it_cannot():
    if importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    told = printed_by("""
        import uvloop
        async def main():
            print(outputs(await Runner.run(agent(), "Go")))
            result = Runner.run_streamed(agent(), "Go")
            async for _ in result.stream_events():
                pass
            print(result.final_output)
            result = endless()
            async for event in result.stream_events():
                if event.type == "raw_response_event" and "delta" in event.data.type:
                    break
            await result.wait()
            print(result.trace.status, len(asyncio.all_tasks()))
            try:
                Runner.run_sync(agent(), "Go")
            except UserError as error:
                print(error)
        uvloop.run(main())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            asyncio.set_event_loop(runner.get_loop())
            print(Runner.run_sync(agent(), "Go").final_output)
    """)
    assert told[0] == str(["thread", "uvloop", LATE])
    assert told[1:3] == ["Done.", "cancelled 1"]
    assert told[3].startswith("A synchronous run inside a running uvloop loop is not possible")
    assert told[3].endswith("Write `await Runner.run(...)` or `async for` instead.")
    assert told[4] == "Done."


@pytest.mark.parametrize("patch", ["", "nest_asyncio", "nest_asyncio2"])
def test_loops_within_loops_run_agents_whoever_has_patched_them(patch: str):
    """Each way to run, within each other: in tools, in `asyncio.run`, with a run in the back."""
    if patch and importlib.util.find_spec(patch) is None:
        pytest.skip(f"{patch} is not installed")
    program = """
        @function_tool
        async def inner() -> str:
            "Runs an agent without await, inside a run."
            return Runner.run_sync(agent(), "Go").final_output
        async def main():
            behind = endless()
            await asyncio.sleep(0)
            outer = Agent(name="B", tools=[inner], model=ScriptedModel([call("inner"), "Over."]))
            print(outputs(await Runner.run(outer, "Go")))
            print(outputs(Runner.run_sync(outer.clone(
                model=ScriptedModel([call("inner"), "Over."])), "Go")))
            print([event.type for event in Runner.run_streamed(agent(), "Go")][-1])
            print(outputs(await Runner.run(agent(), "Go")))
            print(behind.is_complete)
            behind.cancel()
            await behind.wait()
            print(behind.trace.status, len(asyncio.all_tasks()))
        loop.run_until_complete(main())
        loop.close()
    """
    apply = "loop = asyncio.new_event_loop()\nasyncio.set_event_loop(loop)\n"
    if patch:
        apply += f"import {patch}\n{patch}.apply(loop)\n"
    told = printed_by(apply + textwrap.dedent(program))
    assert told == [
        "['Done.']",
        "['Done.']",
        "run_item_stream_event",
        str(["thread", "asyncio", LATE]),
        "False",
        "cancelled 1",
    ]


async def test_a_loop_that_knows_no_current_task_names_the_patch_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
):
    """What the archived nest_asyncio does to Python 3.14."""
    monkeypatch.setattr(asyncio, "current_task", lambda loop=None: None)
    agent = Agent(name="A", model=ScriptedModel(["Hello."]))
    with pytest.raises(UserError, match=r"patched by nest_asyncio,.*pip install nest-asyncio2"):
        await Runner.run(agent, "Go")
