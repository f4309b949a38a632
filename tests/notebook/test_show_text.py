"""`show` where there is no notebook: in scripts, and in IPython's terminal."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap

import pytest

from agentstream import Agent, Runner
from agentstream.notebook.terminal import TerminalView
from agentstream.testing import ScriptedModel

SETUP = """
import asyncio
from agentstream import Agent, Runner, function_tool, show
from agentstream.testing import Pace, ScriptedModel, call
poet = Agent(name="Poet", model=ScriptedModel(["It rains."], loop=True, pace=Pace(200, 0)))
slow = Agent(name="Poet", model=ScriptedModel(["It rains " * 500], pace=Pace(20, 0)))
"""


def script(code: str) -> str:
    """What a program writes."""
    program = SETUP + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def terminal(*lines: str) -> str:
    """What IPython's terminal writes for lines that are typed, without its prompts."""
    pytest.importorskip("IPython", reason="the lab extra is not installed")
    typed = "\n".join([*SETUP.strip().splitlines(), *lines, ""])
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


@pytest.mark.slow
def test_ipythons_terminal_writes_an_answer_once_however_it_is_shown() -> None:
    written = terminal(
        "print('#'); await show(poet, 'x')",
        "print('#'); r = await show(poet, 'x'); r",
        "print('#')",
        "show(poet, 'x')",
        "print('#')",
        "async for _ in show(poet, 'x'): pass\n",
        "print('#')",
        "for _ in show(poet, 'x'): pass\n",
        "print('#')",
        "r",
        "print('#'); view = show(poet, 'x')",
        "print('#'); await view",
        "from agentstream import chat; c = chat(poet)",
        "print('#'); await c.send('x')",
    )
    times = [part.count("It rains.") for part in written.split("#\n")]
    assert times == [0, 1, 1, 1, 1, 1, 1, 0, 1, 1]


@pytest.mark.slow
def test_what_is_printed_after_a_run_in_the_background_begins_a_line() -> None:
    written = script(
        """
        async def main():
            view = show(poet, "x")
            while not view.result.is_complete:
                await asyncio.sleep(0.05)
            print("next")
        asyncio.run(main())
        """
    )
    assert written == "> x\nPoet\nIt rains.\nnext\n"


@pytest.mark.slow
def test_a_run_in_the_background_writes_whole_lines_which_nothing_is_glued_to() -> None:
    written = script(
        """
        lines = Agent(name="Poet", model=ScriptedModel(["one two\\nthree four five"], pace=Pace(20, 0)))
        async def main():
            view = show(lines, "x")
            while not view.result.is_complete:
                print("-")
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
        asyncio.run(main())
        """
    )
    told = [line for line in written.splitlines() if line != "-"]
    assert told == ["> x", "Poet", "one two", "three four five"]


@pytest.mark.slow
def test_a_run_that_the_program_leaves_behind_ends_its_line() -> None:
    written = script(
        """
        async def main():
            view = show(slow, "x")
            while not any(part.body for part in view.trace.parts):
                await asyncio.sleep(0.05)
        asyncio.run(main())
        print("next")
        """
    )
    assert "\nIt" in written  # what had come until then
    assert written.endswith("\n[stopped]\nnext\n")


@pytest.mark.slow
def test_a_line_that_is_unfinished_when_the_program_ends_is_ended() -> None:
    written = script(
        """
        loop = asyncio.new_event_loop()
        async def main():
            global view
            view = show(slow, "x")
            while not any(part.body for part in view.trace.parts):
                await asyncio.sleep(0.05)
        loop.run_until_complete(main())
        """
    )
    assert written.endswith("\n")


@pytest.mark.slow
def test_table_and_ending_are_written_once() -> None:
    written = script(
        """
        async def main():
            await show(poet, "x", table=True, timeline=True)
            await asyncio.sleep(0.1)
        asyncio.run(main())
        """
    )
    assert written.count("completed") == 1


@pytest.mark.slow
def test_a_run_that_was_resumed_is_written_by_who_shows_it_now() -> None:
    written = script(
        """
        @function_tool(needs_approval=True)
        def book() -> str:
            return "booked"
        desk = Agent(name="Desk", tools=[book], model=ScriptedModel([call("book"), "Done."]))
        async def main():
            result = await show(desk, "x")
            result.context_wrapper.approve_tool(result.interruptions[0])
            await show(result.resume())
        asyncio.run(main())
        """
    )
    assert written.count("Done.") == 1


@pytest.mark.parametrize("whole_lines", [False, True])
async def test_a_text_that_is_replaced_is_written_whole_on_a_line_of_its_own(
    whole_lines: bool,
) -> None:
    """As where a guardrail withholds it, or the server's final text is another."""
    run = Runner.run_streamed(Agent(name="Poet", model=ScriptedModel(["It rains cats."])), "x")
    async for _ in run.stream_events():
        pass
    (part,) = run.trace.parts
    out = io.StringIO()
    view = TerminalView(run.trace, out, asks=False, whole_lines=whole_lines)
    view.update()
    part.body.replace("Withheld: it was wrong.")
    part.rewrites += 1
    run.trace.touch(part)
    view.update()
    part.body.append(" Sorry.")
    run.trace.touch(part)
    view.close()
    written = out.getvalue().replace("wrong.\n Sorry", "wrong. Sorry")
    assert written == "Poet\nIt rains cats.\nWithheld: it was wrong. Sorry.\n"
