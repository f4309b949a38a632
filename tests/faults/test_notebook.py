"""Faults of the notebook, in a real kernel: interrupts, cells run again, pages that are gone."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Cell, Kernel, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="interrupts a kernel by SIGINT")

SETUP = """
import asyncio, sys, threading, time
from agentstream import Agent, RunHooks, Runner, function_tool, show
from agentstream.notebook import show_widget
from agentstream.testing import ScriptedModel, call, say, stall, turn

def now():
    # In a thread of its own: what a tool itself prints is in its card, not below the cell.
    thread = threading.Thread(target=print, args=("now",), kwargs={"flush": True})
    thread.start()
    thread.join()

def soon():
    asyncio.get_event_loop().call_later(0.3, now)

@function_tool
async def wait() -> str:
    now()
    await asyncio.sleep(60)

@function_tool
async def block() -> str:
    now()
    time.sleep(60)

@function_tool
def hang() -> str:
    now()
    time.sleep(60)

@function_tool
async def quick() -> str:
    return "quick"

class Slow(RunHooks):
    async def on_tool_end(self, context, agent, tool, result):
        if tool.name == "quick" and moment == "between turns":
            now()
            await asyncio.sleep(60)

def agent():
    if moment in ("streaming", "silent"):
        soon()
    model = ScriptedModel({
        "streaming": [turn(say("one two three " * 20), stall())],
        "silent": [turn(stall())],
        "between turns": [call("quick"), "Never."],
        "the end": ["Done."],
    }.get(moment, [turn(call("quick"), call(moment)), "Never."]))
    return Agent(name="A", model=model, tools=[wait, block, hang, quick])

def left():
    "Tasks that are there beside this cell's and the kernel's own."
    kernels = ("ipykernel", "zmq", "tornado", "jupyter_client")
    found = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    codes = [(task, task.get_coro().cr_code.co_filename) for task in found]
    return [task for task, file in codes if not any(name in file for name in kernels)]

moment, result = "", None
"""

MOMENTS = ("streaming", "silent", "wait", "block", "hang", "between turns")
ONE_LINE = "The run was stopped: the cell was interrupted. What arrived is kept."
RUNS = {
    "await show": "await show(result := Runner.run_streamed(agent(), 'Go', hooks=Slow()))",
    "for show": "for _ in show(result := Runner.run_streamed(agent(), 'Go', hooks=Slow())): pass",
    "await run": "result = await Runner.run(agent(), 'Go', hooks=Slow())",
    "run_sync": "result = Runner.run_sync(agent(), 'Go', hooks=Slow())",
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run(SETUP, 90)
    yield kernel
    kernel.close()


@pytest.fixture
def kernel(shared: Kernel) -> Iterator[Kernel]:
    """The shared kernel, which must be well after the test, too, and have nothing left over."""
    shared.run("moment, result = '', None")
    yield shared
    told = shared.run("""
        await asyncio.sleep(0.05)
        one = ScriptedModel([call("quick"), "I am well."])
        print(left(), (await show(Agent(name="A", model=one, tools=[quick]), "Hi")).final_output)
        two = ScriptedModel([call("quick"), "I am well."])
        print(Runner.run_sync(Agent(name="A", model=two, tools=[quick]), "Hi").final_output)
    """)
    assert told == "[] I am well.\nI am well."


def interrupted(kernel: Kernel, code: str) -> Cell:
    """A cell that was interrupted when it said "now", and has ended; a queued one ran after it."""
    running = kernel.send(code, stop_on_error=False)
    queued = kernel.send("print('the queued cell ran')")
    kernel.listen(lambda: "now" in running.text or running.status is not None, 30)
    assert running.status is None, running.error
    kernel.manager.interrupt_kernel()
    began = time.monotonic()
    running.wait(20)
    assert time.monotonic() - began < 5  # at once; but drawing a traceback takes a while
    assert queued.done() == "the queued cell ran"
    return running


@pytest.mark.parametrize("how", RUNS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_at_any_moment_ends_the_cell_and_leaves_the_kernel_well(
    moment: str, how: str, kernel: Kernel
):
    kernel.run(f"moment = {moment!r}")
    cell = interrupted(kernel, RUNS[how])
    assert cell.status == "error"
    if "show" in how:
        assert cell.error == ONE_LINE
        told = kernel.run("print(result.is_complete, result.trace.status, len(result.new_items))")
        items = {"streaming": 0, "silent": 0, "between turns": 2}.get(moment, 3)
        assert told == f"True cancelled {items}"
    else:
        assert "KeyboardInterrupt" in cell.error or "CancelledError" in cell.error


def test_an_interrupt_while_the_last_picture_is_drawn_leaves_the_kernel_well(kernel: Kernel):
    """The run is over then: the cell ends well, or with one line; it does not hang or break."""
    kernel.run("""
        moment = "the end"
        draw = show_widget.snapshot_or_text
        def slowly(*args, **kwargs):
            now()
            time.sleep(0.7)
            return draw(*args, **kwargs)
        show_widget.snapshot_or_text = slowly
    """)
    cell = interrupted(kernel, RUNS["await show"])
    kernel.run("show_widget.snapshot_or_text = draw")
    assert (cell.status, cell.error) in (("ok", ""), ("error", ONE_LINE))
    assert kernel.run("print(result.final_output, result.trace.status)") == "Done. completed"


def test_a_tool_that_raises_keyboard_interrupt_or_exits_does_not_end_the_kernel(kernel: Kernel):
    failed = kernel.send(
        """
        @function_tool
        def stop() -> None:
            raise KeyboardInterrupt
        model = ScriptedModel([call("stop"), "Never."])
        await show(Agent(name="A", model=model, tools=[stop]), "Go")
        """,
        stop_on_error=False,
    ).wait()
    assert "Error running tool stop: it raised KeyboardInterrupt" in failed.error
    told = kernel.run("""
        @function_tool
        async def leave() -> None:
            sys.exit(2)
        model = ScriptedModel([call("leave"), "Still here."])
        agents = [Agent(name="A", model=model, tools=[leave])]
        print((await asyncio.gather(*(Runner.run(one, "Go") for one in agents)))[0].final_output)
    """)
    assert told == "Still here."


def test_a_cell_run_again_while_its_run_streams_starts_another_beside_it(kernel: Kernel):
    """As in the SDK the first goes on to its end; the second neither waits for it nor hurts it."""
    cell = """
        async def slowly():
            gate = gates.setdefault(len(gates), asyncio.Event())
            await gate.wait()
            return f"run {len(gates)}"
        slow = function_tool(slowly)
        model = ScriptedModel([call("slowly"), "Done."])
        result = Runner.run_streamed(Agent(name="A", model=model, tools=[slow]), "Go")
        show(result)
    """
    kernel.run("gates, runs = {}, []")
    for number in (1, 2):
        kernel.run(cell)
        kernel.run(f"""
            runs.append(result)
            while len(gates) < {number}:
                await asyncio.sleep(0.005)
        """)
    told = kernel.run("""
        gates[1].set()
        await runs[1].wait()
        print(runs[1].final_output, runs[0].is_complete)
        gates[0].set()
        await runs[0].wait()
        print(runs[0].final_output, [run.trace.status for run in runs])
    """)
    assert told == "Done. False\nDone. ['completed', 'completed']"


GONE = {
    "the page closed its comm": "view.comm.close()",
    "the widget was closed": "view.close()",
    "the output was cleared": "from IPython.display import clear_output; clear_output()",
    "all widgets were closed": "import ipywidgets; ipywidgets.Widget.close_all()",
    "the view fails": "view.send = broken; view._renderer.update = broken",
}


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE.keys())
def test_a_view_that_is_gone_neither_ends_nor_slows_the_run(gone: str, kernel: Kernel):
    told = kernel.run(f"""
        def broken(*args, **kwargs):
            raise RuntimeError("the page is gone")
        gate = asyncio.Event()
        async def half() -> str:
            await gate.wait()
            return "half"
        model = ScriptedModel([turn(say("word " * 300), call("half")), "word " * 300 + "end"])
        result = Runner.run_streamed(
            Agent(name="A", model=model, tools=[function_tool(half)]), "Go")
        view = show(result)
        view.show()
        while not any(part.run_started is not None for part in result.trace.parts):
            await asyncio.sleep(0.005)
        {gone}
        began = time.monotonic()
        gate.set()
        shown = await view
        print(shown is result, result.final_output[-3:], time.monotonic() - began < 5)
    """)
    *logged, last = told.splitlines()
    assert last == "True end True"
    fails = "broken" in gone
    assert sum("which watches a run, failed" in line for line in logged) == fails, "told once"


def test_a_kernel_may_be_shut_down_in_the_middle_of_a_run():
    kernel = Kernel()
    try:
        kernel.run(SETUP, 90)
        kernel.run("moment = 'hang'; show(Runner.run_streamed(agent(), 'Go'))")
        kernel.manager.shutdown_kernel()  # asks it to end, and kills it if it does not
        until(lambda: not kernel.manager.is_alive(), 20)
    finally:
        kernel.close()


def test_an_interrupt_of_another_cell_leaves_a_run_in_the_background_alone(kernel: Kernel):
    kernel.run("""
        gate = asyncio.Event()
        async def later() -> str:
            await gate.wait()
            return "later"
        model = ScriptedModel([call("later"), "Done."])
        result = Runner.run_streamed(
            Agent(name="A", model=model, tools=[function_tool(later)]), "Go")
        show(result)
    """)
    for other in ("now(); await asyncio.sleep(60)", "now(); time.sleep(60)"):
        assert re.search("KeyboardInterrupt|CancelledError", interrupted(kernel, other).error)
    told = kernel.run("gate.set(); await result.wait(); print(result.final_output)")
    assert told == "Done."


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_processes_forked_in_a_cell_have_runs_of_their_own(kernel: Kernel):
    told = kernel.run("""
        import multiprocessing, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        def ask(word):
            model = ScriptedModel([call("quick"), f"{word}!"])
            return Runner.run_sync(Agent(name="A", model=model, tools=[quick]), "Go").final_output
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(ask, ["one", "two", "three"]))
    """)
    assert told == "['one!', 'two!', 'three!']"
