"""A local MCP server in a real kernel, as a notebook has it: cells are tasks, stderr is no file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook.kernel import Kernel

pytest.importorskip("mcp", reason="the mcp extra is not installed")

SERVER = str(Path(__file__).parents[1] / "data" / "mcp_server.py")

SETUP = f"""
import os, sys
from agentstream import Agent, Runner
from agentstream.mcp import MCPServerStdio
from agentstream.testing import ScriptedModel, call, turn

server = MCPServerStdio({{"command": {sys.executable!r}, "args": [{SERVER!r}, "stdio"]}})
async def pid():
    result = await server.call_tool("environment", {{"name": "PID"}})
    return int(result.content[0].text)
def agent(*turns):
    return Agent(name="Guide", model=ScriptedModel(list(turns)), mcp_servers=[server])
"""


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    try:
        kernel.run(SETUP, 90)
        yield kernel
    finally:
        kernel.close()


def test_a_server_connected_in_one_cell_is_used_and_left_in_others(kernel: Kernel):
    kernel.run("await server.connect()")
    told = kernel.run("""
        guide = agent(turn(call("add", a=1, b=2)), "Three.")
        result = await Runner.run(guide, "1 + 2?")
        print(result.final_output, [i.output for i in result.new_items if hasattr(i, "output")])
    """)
    assert told == "Three. [{'type': 'text', 'text': '3'}]"
    told = kernel.run("""
        guide = agent(turn(call("add", a=3, b=4)), "Seven.")
        print(Runner.run_sync(guide, "3 + 4?").final_output)
    """)
    assert told == "Seven."
    process = int(kernel.run("print(await pid())"))
    kernel.run("await server.cleanup()")
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_an_interrupt_in_a_call_leaves_the_server_running(kernel: Kernel):
    process = int(kernel.run("await server.connect(); print(await pid())"))
    running = kernel.send("await server.call_tool('slow', {'seconds': 4})", stop_on_error=False)
    time.sleep(0.5)
    kernel.manager.interrupt_kernel()
    running.wait(20)
    assert running.status == "error"
    assert int(kernel.run("print(await pid())")) == process


def test_a_cell_run_twice_leaves_one_process(kernel: Kernel):
    first = int(kernel.run("await server.connect(); print(await pid())"))
    second = int(kernel.run(SETUP + "\nawait server.connect(); print(await pid())", 60))
    assert first != second
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        kernel.run("import gc; gc.collect()")
        try:
            os.kill(first, 0)
        except ProcessLookupError:
            return
    pytest.fail("the first process is still there")


def test_a_command_that_fails_shows_in_the_cell_what_it_said(kernel: Kernel):
    failed = kernel.send(
        f"await MCPServerStdio({{'command': {sys.executable!r}, 'args': "
        f"[{SERVER!r}, 'broken']}}).connect()"
    ).wait()
    assert failed.status == "error"
    assert "no such module 'weather'" in failed.error
