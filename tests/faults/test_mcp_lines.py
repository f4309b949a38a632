"""Lines that an MCP server writes to its pipe are bounded, whole and text, or an error says so."""

from __future__ import annotations

import asyncio
import codecs
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentstream.mcp import MCPConnectionError, MCPServerStdio
from agentstream.mcp.stdio_lines import SeenLines

pytest.importorskip("mcp", reason="the mcp extra is not installed")


def writing(what: str) -> Any:
    script = f"import sys\nsys.stdin.readline()\nout = sys.stdout.buffer\n{what}"
    return {"command": sys.executable, "args": ["-c", script]}


async def test_a_line_without_an_end_of_an_mcp_server_is_an_error() -> None:
    params = writing("while True: out.write(b'x' * 65536)")
    mcp = MCPServerStdio(params | {"max_message_bytes": 1 << 20})
    with pytest.raises(MCPConnectionError, match="a line of more than 1,048,576 bytes"):
        await mcp.connect()
    await mcp.cleanup()


async def test_what_is_no_text_of_an_mcp_server_is_named_at_once() -> None:
    mcp = MCPServerStdio(
        writing("out.write(b'\\xff\\xfe'); out.flush(); sys.stdin.read()"),
        client_session_timeout_seconds=60,
    )
    with pytest.raises(MCPConnectionError, match="it wrote what is not utf-8"):
        await asyncio.wait_for(mcp.connect(), 30)
    await mcp.cleanup()


async def test_an_encoding_that_is_none_is_named() -> None:
    mcp = MCPServerStdio(writing("") | {"encoding": "utf-88"})
    with pytest.raises(MCPConnectionError, match="unknown encoding: utf-88"):
        await mcp.connect()


@pytest.fixture
def decode() -> Callable[[list[bytes], int | None], str]:
    def decode(pieces: list[bytes], most: int | None) -> str:
        decoder = codecs.getincrementaldecoder(SeenLines().codec("utf-8", most))()
        return "".join(decoder.decode(piece) for piece in pieces)

    return decode


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_come_whole_however_they_are_cut(decode: Any, size: int) -> None:
    text = '{}\n{"a": "né 😀"}\r\n\n' + "x" * 500 + "\nrest"
    data = text.encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert decode(pieces, 600) == text.rpartition("\n")[0] + "\n"
    assert decode(pieces, None) == text.rpartition("\n")[0] + "\n"


async def test_a_call_of_an_mcp_server_whose_line_is_too_long_names_it() -> None:
    server = str(Path(__file__).parents[1] / "data" / "mcp_server.py")
    params: Any = {"command": sys.executable, "args": [server, "stdio"]}
    async with MCPServerStdio(params | {"max_message_bytes": 100_000}) as mcp:
        assert len(await mcp.list_tools()) > 5
        with pytest.raises(MCPConnectionError, match="a line of more than 100,000 bytes"):
            await mcp.call_tool("echo", {"text": "x" * 300_000})
