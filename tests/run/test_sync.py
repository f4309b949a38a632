"""Runs without async: in a script, in threads, inside a running loop, and left in the middle."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, Runner
from agentstream.run.sync import run_until_done
from agentstream.testing import ScriptedModel, say, stall, turn


def agent(*turns: Any) -> Agent[Any]:
    return Agent(name="A", model=ScriptedModel(list(turns)))


def endless() -> Any:
    return Runner.run_streamed(agent(turn(say("one two three"), stall())), "hi")


def in_thread(work: Any) -> Any:
    """What `work` returns in a thread of its own."""
    box: list[Any] = []
    thread = threading.Thread(target=lambda: box.append(work()))
    thread.start()
    thread.join(30)
    return box[0]


def test_two_runs_follow_each_other() -> None:
    asked = agent("One.", "Two.")

    def both() -> list[str]:
        return [Runner.run_sync(asked, "hi").final_output for _ in range(2)]

    assert in_thread(both) == ["One.", "Two."]


class Left(Exception):
    pass


@pytest.mark.parametrize("leave", [None, Left, KeyboardInterrupt])
def test_a_loop_that_is_left_stops_the_run(leave: Any) -> None:
    def left() -> tuple[bool, bool]:
        result = endless()
        try:
            for _ in result:
                if leave is None:
                    break
                raise leave
        except (Left, KeyboardInterrupt):
            pass
        return result.is_complete, result.run_loop_task.done()

    assert in_thread(left) == (True, True)


def test_an_iterator_that_is_dropped_stops_the_run() -> None:
    def dropped() -> tuple[bool, bool]:
        result = endless()
        events = iter(result)
        next(events)
        del events
        gc.collect()
        return result.is_complete, result.run_loop_task.done()

    assert in_thread(dropped) == (True, True)


@pytest.mark.slow
def test_threads_that_end_leave_no_loop_open() -> None:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("counts open files in /proc")
    in_thread(lambda: Runner.run_sync(agent("Hello."), "hi"))
    gc.collect()
    before = len(os.listdir(folder))
    for _ in range(10):
        in_thread(lambda: Runner.run_sync(agent("Hello."), "hi"))
    gc.collect()
    assert len(os.listdir(folder)) <= before + 3


@pytest.mark.parametrize("thread", ["main", "another"])
def test_calls_that_take_turns_with_asyncio_run_share_one_loop(thread: str) -> None:
    """asyncio.run leaves its thread without a loop; one more for each call runs out of files."""

    async def tool() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def take_turns() -> int:
        loops = set()
        for _ in range(5):
            asyncio.run(asyncio.sleep(0))
            loops.add(run_until_done(tool()))
        return len(loops)

    assert (take_turns() if thread == "main" else in_thread(take_turns)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "runner", ["asyncio.run(work())", "with asyncio.Runner() as r: r.run(work())"]
)
def test_the_first_loop_of_a_program_is_its_only_one_after_nested_runs_too(runner: str) -> None:
    """Once nesting is applied, asyncio makes a loop whenever it is asked for one."""
    program = f"""
from agentstream.run.sync import run_until_done
async def loop():
    return asyncio.get_running_loop()
async def work():
    run_until_done(loop())
loops = {{run_until_done(loop())}}
for _ in range(3):
    {runner}
    loops.add(run_until_done(loop()))
print(len(loops))
"""
    assert printed_by(program) == "1\n"


PROGRAM = """
import asyncio
from agentstream import Agent, Runner
from agentstream.testing import ScriptedModel, say, stall, turn
def agent(*turns):
    return Agent(name="A", model=ScriptedModel(list(turns)))
def endless():
    return Runner.run_streamed(agent(turn(say("one two"), stall())), "hi")
"""


def printed_by(program: str) -> str:
    """What a program prints that warns of nothing; alone, for nesting patches asyncio for all."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM + program],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        # asyncio's debug mode tells of every slow callback, and a nested run is one.
        env={name: value for name, value in os.environ.items() if name != "PYTHONASYNCIODEBUG"},
    )
    assert ended.stderr == ""
    return ended.stdout


@pytest.mark.slow
def test_a_program_may_end_in_the_middle_of_a_run() -> None:
    program = "events = iter(endless())\nprint(next(events).type)"
    assert printed_by(program) == "agent_updated_stream_event\n"


@pytest.mark.slow
def test_inside_a_running_loop_a_loop_that_is_left_stops_the_run() -> None:
    program = """
async def cell():
    for leave in (None, ValueError, KeyboardInterrupt):
        result = endless()
        try:
            for _ in result:
                if leave is None:
                    break
                raise leave
        except (ValueError, KeyboardInterrupt):
            pass
        print(result.is_complete, result.run_loop_task.done())
    result = endless()
    events = iter(result)
    next(events)
    del events
    print(result.is_complete, result.run_loop_task.done())
    print(Runner.run_sync(agent("One."), "hi").final_output)
    print(len(asyncio.all_tasks()))
loop = asyncio.new_event_loop()
loop.run_until_complete(cell())
loop.close()
"""
    assert printed_by(program).split() == ["True", "True"] * 4 + ["One.", "1"]


@pytest.mark.slow
def test_callbacks_that_were_ready_before_the_first_nested_run_do_not_break_the_loop() -> None:
    """asyncio has counted them, and takes that many afterwards; a nested run has taken some."""
    program = """
async def main():
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    def cell():
        print(Runner.run_sync(agent("One."), "hi").final_output)
        done.set()
    loop.call_soon(cell)
    for _ in range(50):
        loop.call_soon(int)
    await done.wait()
    print("still running")
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    assert printed_by(program) == "One.\nstill running\n"
