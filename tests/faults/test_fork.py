"""A process that is forked after the import, after runs, and inside a running loop."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

SETUP = """
import asyncio, os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork of a threaded process
import multiprocessing
from agentstream import Agent, OpenAIResponsesModel, Runner, function_tool, recording
from agentstream.testing import ScriptedModel, ScriptedServer, call
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

@function_tool
def look() -> str:
    time.sleep(0.05)  # the loop waits for the thread, and must hear of it
    return "a garden"

@function_tool
async def wait() -> str:
    await asyncio.sleep(0)
    return "waited"

def agent():
    model = ScriptedModel([call("look"), call("wait"), "A garden."])
    return Agent(name="A", model=model, tools=[look, wait])

def asked(how):
    if how == "run_sync":
        return Runner.run_sync(agent(), "Where?").final_output
    async def main():
        if how == "run":
            return (await Runner.run(agent(), "Where?")).final_output
        result = Runner.run_streamed(agent(), "Where?")
        async for _ in result.stream_events():
            pass
        return result.final_output
    return asyncio.run(main())

def told(work, *args):
    try:
        return work(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def in_child(work, *args):
    "What `work` gives in a forked process; the parent waits meanwhile."
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=lambda: writer.send(told(work, *args)))
    child.start()
    answer = reader.recv() if reader.poll(20) else "nothing came"
    child.join(10)
    if child.exitcode:
        answer = f"exit code {child.exitcode}"
    return answer

HOWS = ("run_sync", "run", "streamed")
def children():
    return [in_child(asked, how) for how in HOWS]
"""


def printed_by(program: str, *arguments: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", SETUP + textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=Path(__file__).parents[2],
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def test_a_child_has_runs_of_its_own_whenever_it_was_forked() -> None:
    """After the import, after runs, in a running loop, and where that loop runs nested."""
    told = printed_by("""
        print(children())
        print(asked("run_sync"), asked("run"))
        print(children())
        async def cell():
            print(children())
            print(Runner.run_sync(agent(), "Where?").final_output)
            print(children())
            print(Runner.run_sync(agent(), "Where?").final_output)
        asyncio.run(cell())
        print(asked("run_sync"))
    """)
    three = "['A garden.', 'A garden.', 'A garden.']"
    one = "A garden."
    assert told == [three, f"{one} {one}", three, three, one, three, one, one]


def test_a_child_that_ends_leaves_the_loops_of_its_parent_working() -> None:
    """A loop closed in the child would no longer hear of the parent's threads."""
    told = printed_by("""
        go, done = threading.Event(), threading.Event()
        said = []
        def worker():
            said.append(asked("run_sync"))
            done.set()
            go.wait(20)
            said.append(asked("run_sync"))  # its tool's answer comes from another thread
        thread = threading.Thread(target=worker)
        thread.start()
        done.wait(20)
        asked("run_sync")
        child = os.fork()
        if child == 0:
            asked("run_sync")
            sys.exit(0)  # with all that Python does at an exit
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        go.set()
        thread.join(20)
        print(said, asked("run_sync"))
    """)
    assert told == ["0", "['A garden.', 'A garden.'] A garden."]


def test_several_children_at_once_do_not_share_a_connection() -> None:
    told = printed_by("""
        with ScriptedServer(lambda request: "Hello.") as server:
            os.environ["OPENAI_BASE_URL"] = server.base_url
            named = Agent(name="A", model="any")
            client = AsyncOpenAI(api_key="test", base_url=server.base_url, timeout=20,
                                 http_client=DefaultAsyncHttpxClient(trust_env=False))
            given = Agent(name="B", model=OpenAIResponsesModel("any", client))
            def ask(agent):
                return Runner.run_sync(agent, "Hi").final_output
            print(in_child(ask, given))  # not used yet
            print(ask(named), ask(given))
            with multiprocessing.get_context("fork").Pool(4) as pool:
                print(set(pool.map(ask, [named] * 12)))
            print(in_child(ask, given))
            print(ask(named), ask(given))
    """)
    assert told[:3] == ["Hello.", "Hello. Hello.", "{'Hello.'}"]
    assert told[3].startswith("UserError: This process was forked from one that has used")
    assert "by its name" in told[3]
    assert told[4] == "Hello. Hello."


def test_a_recording_is_written_by_one_process_and_replayed_by_any(tmp_path: Path) -> None:
    told = printed_by(
        """
        path = sys.argv[1]
        with recording(path):
            asked("run_sync")
            print(in_child(asked, "run_sync"))
        with recording(path, speed=0):
            print(children())
        """,
        str(tmp_path / "run.jsonl"),
    )
    assert told[0].startswith("RecordingError: The recording")
    assert "forked from" in told[0]
    assert "os.getpid()" in told[0]
    assert told[1] == "['A garden.', 'A garden.', 'A garden.']"


def test_an_mcp_server_of_the_parent_is_named_and_can_be_connected_anew() -> None:
    pytest.importorskip("mcp", reason="the mcp extra is not installed")
    told = printed_by(
        """
        from agentstream.mcp import MCPServerStdio
        server = MCPServerStdio({"command": sys.executable, "args": [sys.argv[1], "stdio"]})
        async def echo(text):
            return (await server.call_tool("echo", {"text": text})).content[0].text
        async def again():
            await server.connect()
            try:
                return await echo("child")
            finally:
                await server.cleanup()
        async def main():
            await server.connect()
            print(await echo("parent"))
            print(in_child(lambda: asyncio.run(echo("child"))))
            print(in_child(lambda: asyncio.run(again())))
            print(await echo("parent again"))
            await server.cleanup()
        asyncio.run(main())
        """,
        str(Path(__file__).parents[1] / "data" / "mcp_server.py"),
    )
    assert told[0] == "parent"
    assert told[1].startswith("MCPConnectionError: MCP server")
    assert "Call connect() here, too" in told[1]
    assert told[2:] == ["child", "parent again"]
