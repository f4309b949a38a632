"""What tools return, print and display in a kernel: it is in their cards, and nowhere else."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Kernel

pytest.importorskip("matplotlib", reason="the lab extra is not installed")

SETUP = """
import asyncio, sys, threading, warnings
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML, display, clear_output
from agentstream import Agent, Runner, chat, function_tool, load_run, recording, show
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedModel, call, turn

def asks(*tools, **more):
    script = [turn(*(call(tool.name) for tool in tools)), "Done."]
    return Agent(name="A", tools=list(tools), model=ScriptedModel(script, loop=True), **more)

def printed(result, at=0):
    part = [part for part in result.trace.parts if part.kind == "tool"][at]
    return [(block.get("name") or block["type"], block.get("text", "")) for block in part.printed]

@function_tool
def draw():
    "Draw."
    figure, axes = plt.subplots()
    axes.plot([1, 3, 2])
    return figure

@function_tool
def talk():
    "Talk from a thread."
    print("from the thread")
    warnings.warn("mind the gap")
    display(HTML("<b>bold</b>"))
    return "said"

@function_tool
async def other():
    "Talk from the loop."
    for at in range(3):
        print("loop", at)
        await asyncio.sleep(0.02)
    return "said"
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    try:
        kernel.run(SETUP, 60)
        yield kernel
    finally:
        kernel.close()


def kinds(cell: object) -> list[str]:
    """What a cell shows, without the plain text that everything has."""
    shown = [set(data) - {"text/plain"} for data in cell.displayed]  # type: ignore[attr-defined]
    return [next(iter(sorted(one)), "text/plain") for one in shown]


def test_a_figure_is_in_its_card_and_not_below_the_view(kernel: Kernel) -> None:
    cell = kernel.send("result = await show(asks(draw), 'Go')\nplt.get_fignums()")
    cell.done()
    assert kinds(cell) == ["application/vnd.jupyter.widget-view+json"]
    assert kernel.run("print(plt.get_fignums())") == "[]"
    assert kernel.run("print('data:image/png' in snapshot(result.trace)['text/html'])") == "True"


def test_what_tools_print_at_once_is_in_the_card_of_each(kernel: Kernel) -> None:
    cell = kernel.send("result = await show(asks(talk, other), 'Go')")
    assert cell.done() == ""
    assert kinds(cell) == ["application/vnd.jupyter.widget-view+json"]
    said = kernel.run("print(printed(result, 0)); print(printed(result, 1))").splitlines()
    assert said[0].startswith("[('stdout', 'from the thread\\n'), ('stderr', ")
    assert "UserWarning: mind the gap" in said[0]
    assert said[0].endswith("('html', 'Display')]")
    assert said[1] == "[('stdout', 'loop 0\\nloop 1\\nloop 2\\n')]"


def test_without_a_view_nothing_is_lost(kernel: Kernel) -> None:
    cell = kernel.send("result = await Runner.run(asks(talk, other), 'Go')")
    text = cell.done()
    for words in ("from the thread", "mind the gap", "loop 2"):
        assert words in text
    assert kinds(cell) == ["text/html"]
    assert kernel.run("print(printed(result, 1)[0][0])") == "stdout"  # a later view has it, too


def test_in_a_conversation_it_is_in_the_card_as_well(kernel: Kernel) -> None:
    assert kernel.run("c = chat(asks(other)); r = await c.send('Go')") == ""
    assert "loop 2" in kernel.run("print(printed(r))")


def test_an_agent_as_a_tool_shows_what_its_tools_print(kernel: Kernel) -> None:
    code = """
    inner = asks(other)
    outer = asks(inner.as_tool("ask", "Ask."))
    outer.model = ScriptedModel([turn(call("ask", input="x")), "Done."])
    result = await show(outer, "Go")
    """
    assert kernel.run(code) == ""
    inside = "[p for p in result.trace.parts if p.kind == 'tool'][0].nested"
    assert "loop 2" in kernel.run(f"print([p.printed for p in {inside}.parts])")


def test_a_run_inside_a_tool_that_nobody_shows_prints_into_its_card(kernel: Kernel) -> None:
    code = """
    @function_tool
    async def within():
        "Run another agent."
        return (await Runner.run(asks(other), "Go")).final_output

    result = await show(asks(within), "Go")
    """
    assert kernel.run(code) == ""
    assert "loop 2" in kernel.run("print(printed(result))")


def test_what_comes_after_the_call_goes_below_the_cell(kernel: Kernel) -> None:
    code = """
    @function_tool
    async def late():
        "Leave something behind."
        async def later():
            await asyncio.sleep(0.1)
            print("afterwards")
        global task
        task = asyncio.ensure_future(later())
        threading.Thread(target=print, args=("from a thread of its own",)).start()
        return "said"

    result = await show(asks(late), "Go")
    await task
    """
    text = kernel.run(code)
    assert "afterwards" in text
    assert "from a thread of its own" in text


def test_progress_bars_and_cleared_output_end_as_in_a_terminal(kernel: Kernel) -> None:
    code = r"""
    @function_tool
    def bar():
        "Show progress."
        print("gone")
        clear_output(wait=True)
        for percent in (0, 50, 100):
            print(f"\x1b[32m\r{percent} %\x1b[0m", end="", file=sys.stderr)
        handle = display("one thing", display_id=True)
        handle.update("another thing")
        plt.plot([1, 2]); plt.show()
        return "said"

    result = await show(asks(bar), "Go")
    html = snapshot(result.trace)["text/html"]
    print("gone" in html, ">100 %<" in html, "50 %" in html)
    print("one thing" in html, "another thing" in html, html.count("data:image/png"))
    """
    assert kernel.run(code) == "False True False\nFalse True 1"


def test_more_than_a_card_takes_goes_below_the_cell(kernel: Kernel) -> None:
    code = """
    @function_tool
    def flood():
        "Print a lot."
        for _ in range(1_500):
            print("x" * 99)
        return "said"

    result = await show(asks(flood), "Go")
    """
    below = kernel.run(code, 60)
    taken = int(kernel.run("print(len(printed(result)[0][1]))"))
    assert taken >= 100_000
    assert taken + below.count("x") + below.count("\n") + 1 >= 1_500 * 100
    assert len(below) >= 40_000


def test_a_recording_plays_what_was_printed_and_shown(kernel: Kernel, tmp_path: object) -> None:
    code = f"""
    with recording({str(tmp_path)!r} + "/run.jsonl"):
        result = await show(asks(talk, draw), "Go")
    again = await show(load_run({str(tmp_path)!r} + "/run.jsonl", speed=None))
    print(printed(again) == printed(result), snapshot(again.trace)["text/html"].count("data:image"))
    """
    assert kernel.run(code) == "True 1"


def test_streams_and_publisher_are_as_before_when_no_tool_is_at_work(kernel: Kernel) -> None:
    code = """
    before = sys.stdout, sys.stderr, get_ipython().display_pub.publish
    await show(asks(talk, other), "Go")
    now = sys.stdout, sys.stderr, get_ipython().display_pub.publish
    print(before == now, type(sys.stdout).__name__, "publish" in vars(get_ipython().display_pub))
    """
    assert kernel.run(code).splitlines()[-1] == "True OutStream False"


def test_in_a_script_a_tool_prints_where_it_always_did() -> None:
    code = """
    import sys
    from agentstream import Agent, function_tool, show
    from agentstream.testing import ScriptedModel, call, turn
    streams = sys.stdout, sys.stderr

    @function_tool
    def talk() -> str:
        "Talk."
        print("hello")
        print(streams == (sys.stdout, sys.stderr))
        return "said"

    agent = Agent(name="A", tools=[talk], model=ScriptedModel([turn(call("talk")), "Done."]))
    for _ in show(agent, "Go"):
        pass
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^hello\nTrue$", done.stdout, re.MULTILINE)
