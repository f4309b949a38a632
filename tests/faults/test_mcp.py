"""An MCP server that dies in the middle of a call, seen from the run that made the call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, Runner, function_tool
from agentstream.mcp import (
    MCPConnectionError,
    MCPServerSse,
    MCPServerStdio,
    MCPServerStreamableHttp,
)
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.testing import ScriptedModel, call, turn

pytest.importorskip("mcp", reason="the mcp extra is not installed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by POSIX signals")

SERVER = str(Path(__file__).parents[1] / "data" / "mcp_server.py")
FAILED = "An error occurred while running the tool. Please try again."


@contextlib.contextmanager
def started(transport: str, **options: Any) -> Iterator[Any]:
    """A server that is not connected yet; its process ends with the block."""
    if transport == "stdio":
        yield MCPServerStdio({"command": sys.executable, "args": [SERVER, "stdio"]}, **options)
        return
    process = subprocess.Popen(
        [sys.executable, SERVER, transport], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        if transport == "sse":
            yield MCPServerSse({"url": f"{address}/sse"}, **options)
        else:
            yield MCPServerStreamableHttp({"url": f"{address}/mcp"}, **options)
    finally:
        process.kill()
        process.communicate()


async def killed_in_a_call(server: Any, *turns: Any, tools: Any = ()) -> Any:
    """A run that has ended, whose first call of `slow` the server did not survive."""
    told = await server.call_tool("environment", {"name": "PID"})
    pid = int(told.content[0].text)
    model = ScriptedModel([turn(call("slow", seconds=60), *turns[:1]), *turns[1:]])
    agent = Agent(name="A", model=model, mcp_servers=[server], tools=list(tools))
    result = Runner.run_streamed(agent, "Go")
    while not any(part.run_started is not None for part in result.trace.parts):
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.2)  # the request is on its way
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(MCPConnectionError):
        await asyncio.wait_for(result.wait(), 10)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["stdio", "sse", "streamable-http"])
async def test_the_call_has_failed_and_the_next_turn_names_the_server(transport: str):
    """The model is told that the call failed; without the server there are no tools to go on."""

    @function_tool
    async def other() -> str:
        return "fine"

    with started(transport, client_session_timeout_seconds=None) as server:
        await server.connect()
        try:
            result = await killed_in_a_call(server, call("other"), "Never.", tools=[other])
        finally:
            await server.cleanup()
    error = result.run_loop_exception
    assert isinstance(error, MCPConnectionError)
    assert "has ended; call connect() to connect again" in str(error)
    outputs = [item.output for item in result.new_items if item.type == "tool_call_output_item"]
    assert outputs == [FAILED, "fine"], "what the siblings did is kept"
    assert error.run_data.new_items == result.new_items
    page = snapshot(result.trace)["text/plain"]
    assert "Failed: MCPConnectionError" in page
    assert FAILED in page
    assert "slow seconds=60 → An error occurred" in page
    assert "· failed" in page


@pytest.mark.slow
async def test_a_run_whose_tools_are_listed_already_goes_on_without_the_server():
    with started("stdio", cache_tools_list=True, client_session_timeout_seconds=None) as server:
        await server.connect()
        try:
            result = await killed_in_a_call(server, call("add", a=1, b=2), "I cannot add today.")
            assert result.final_output == "I cannot add today."
            await server.connect()
            model = ScriptedModel([call("add", a=1, b=2), "Three."])
            agent = Agent(name="A", model=model, mcp_servers=[server])
            assert (await Runner.run(agent, "Once more")).final_output == "Three."
        finally:
            await server.cleanup()


@pytest.mark.slow
async def test_nothing_is_left_of_a_server_that_died():
    before = len(asyncio.all_tasks())
    folder = Path("/proc/self/fd")
    files = len(os.listdir(folder)) if folder.exists() else 0
    for _ in range(2):
        with started("stdio", client_session_timeout_seconds=None) as server:
            await server.connect()
            await killed_in_a_call(server, call("add", a=1, b=2), "Never.")
            await server.cleanup()
    assert len(asyncio.all_tasks()) == before
    if files:
        assert len(os.listdir(folder)) <= files + 1


@pytest.mark.parametrize("piece", [b": still here\n\n", b"event: message\ndata:\n\n", b":"])
async def test_an_sse_server_that_never_names_its_address_is_given_up(piece: bytes) -> None:
    gone = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            while not writer.is_closing():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        gone.set()

    listening = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    server = MCPServerSse(
        {"url": f"http://127.0.0.1:{port}/sse"}, client_session_timeout_seconds=0.3
    )
    try:
        with pytest.raises(MCPConnectionError, match="named no address for messages in 0.3 s"):
            await asyncio.wait_for(server.connect(), 20)
        await asyncio.wait_for(gone.wait(), 20)  # it was hung up on
    finally:
        listening.close()
