"""Synchronous runs, interrupts and early exits in a real kernel, as a notebook has it."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agentstream.testing import Pace, ScriptedServer, call, turn
from tests.notebook.kernel import Kernel, until

LONG = "word " * 2000
SLOW = Pace(tokens_per_second=50, first_token=0.05)

SETUP = """
import asyncio, time
from agentstream import Agent, OpenAIResponsesModel, Runner, function_tool
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

client = AsyncOpenAI(
    api_key="test", base_url={base_url!r}, max_retries=0,
    http_client=DefaultAsyncHttpxClient(trust_env=False),
)
loop = asyncio.get_running_loop()
seen = []

@function_tool
async def look() -> str:
    "Look around."
    seen.append(asyncio.get_running_loop() is loop)
    return "a garden"

agent = Agent(name="Guide", model=OpenAIResponsesModel("any", client), tools=[look])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="module")
def shared(server: ScriptedServer) -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run(SETUP.format(base_url=server.base_url), 90)
    yield kernel
    kernel.close()


@pytest.fixture
def kernel(shared: Kernel, server: ScriptedServer) -> Iterator[Kernel]:
    """The shared kernel, which must be well after the test, too."""
    shared.run("seen.clear()")
    yield shared
    server.play(["I am well."])
    server.pace = None
    assert shared.run("print(Runner.run_sync(agent, 'How are you?').final_output)") == "I am well."


def test_run_sync_works_in_a_cell_on_the_cells_own_loop(kernel: Kernel, server: ScriptedServer):
    server.play([turn(call("look")), "You are in a garden."])
    told = kernel.run("print(Runner.run_sync(agent, 'Where am I?').final_output, seen)")
    assert told == "You are in a garden. [True]"


def test_a_plain_for_over_a_streamed_run_works_in_a_cell(kernel: Kernel, server: ScriptedServer):
    server.play([turn(call("look")), "You are in a garden."])
    told = kernel.run("""
        result = Runner.run_streamed(agent, "Where am I?")
        names = [e.name for e in result if e.type == "run_item_stream_event"]
        print(names, result.final_output, seen)
    """)
    assert told == (
        "['tool_called', 'tool_output', 'message_output_created'] You are in a garden. [True]"
    )


def test_clients_and_tasks_bound_to_the_loop_go_on_working(kernel: Kernel, server: ScriptedServer):
    server.play(["One.", "Two.", "Three.", "Four."])
    kernel.run("""
        print((await Runner.run(agent, "1")).final_output)  # binds the client's connections
        ticks, lock = [], asyncio.Lock()
        async def beat():
            while True:
                async with lock:
                    ticks.append(time.monotonic())
                await asyncio.sleep(0.01)
        beating = asyncio.create_task(beat())
    """)
    server.pace = Pace(tokens_per_second=20, first_token=0.5)
    told = kernel.run("""
        before = len(ticks)
        said = [Runner.run_sync(agent, "2").final_output]
        print(len(ticks) - before > 10)
        said.append((await Runner.run(agent, "3")).final_output)
        said.append(Runner.run_sync(agent, "4").final_output)
        print(said, beating.done())
    """)
    assert told == "True\n['Two.', 'Three.', 'Four.'] False"
    kernel.run("beating.cancel()")


def test_cells_queued_behind_a_synchronous_run_wait_and_are_all_answered(
    kernel: Kernel, server: ScriptedServer
):
    server.play(["One two three four five six seven eight nine ten."])
    server.pace = Pace(tokens_per_second=20, first_token=0.3)
    first = kernel.send("finished = False; Runner.run_sync(agent, 'Count'); finished = True")
    queued = [kernel.send(f"print({number}, finished)") for number in range(3)]
    first.done()
    assert [cell.done() for cell in queued] == ["0 True", "1 True", "2 True"]


RUNS = {
    "run_sync": "Runner.run_sync(agent, 'Tell me everything')",
    "for": "for event in (result := Runner.run_streamed(agent, 'Tell me everything')): pass",
    "await run": "await Runner.run(agent, 'Tell me everything')",
    "async for": """
        result = Runner.run_streamed(agent, 'Tell me everything')
        async for event in result.stream_events():
            pass
    """,
}


def interrupt(kernel: Kernel, code: str, asked: Any) -> float:
    """Interrupt a run of `code`, and see that a cell queued behind it is answered.

    Returns
    -------
    float
        Seconds until the server saw the connection closed; the traceback, which IPython then
        draws, may take longer than that.
    """
    running = kernel.send(code, stop_on_error=False)
    queued = kernel.send("print('the queued cell ran')")
    until(asked)
    interrupted = time.monotonic()
    kernel.manager.interrupt_kernel()
    request = asked()
    until(lambda: request.disconnected is not None, 5)
    closed_after = time.monotonic() - interrupted
    running.wait(20)
    assert running.status == "error"
    assert "KeyboardInterrupt" in running.error or "CancelledError" in running.error
    assert queued.done() == "the queued cell ran"
    return closed_after


@pytest.mark.parametrize("code", RUNS.values(), ids=RUNS.keys())
def test_an_interrupt_stops_the_run_and_its_connection_and_loses_no_cell(
    code: str, kernel: Kernel, server: ScriptedServer
):
    server.play([LONG])
    server.pace = SLOW
    before = len(server.calls)
    streams = "Runner.run(" not in code and "run_sync" not in code

    def asked() -> Any:
        new = server.calls[before:]
        return new[0] if new and (new[0].events > 10 or not streams) else None

    assert interrupt(kernel, code, asked) < 1


@pytest.mark.parametrize("code", RUNS.values(), ids=RUNS.keys())
def test_an_interrupt_stops_a_run_whose_server_is_silent(
    code: str, kernel: Kernel, server: ScriptedServer
):
    """Nothing wakes the loop then; see agentstream.run.interrupts."""
    server.play([LONG])
    server.pace = Pace(first_token=60)
    before = len(server.calls)
    asked = lambda: next(iter(server.calls[before:]), None)  # noqa: E731
    assert interrupt(kernel, code, asked) < 1


@pytest.mark.parametrize("name", ["run_sync", "for"])
def test_an_interrupt_stops_a_synchronous_run_in_a_cell_that_also_awaits(
    name: str, kernel: Kernel, server: ScriptedServer
):
    """Such a cell is interrupted by cancelling its task, which cannot be while it waits."""
    server.play([LONG])
    server.pace = SLOW
    before = len(server.calls)
    asked = lambda: next(iter(server.calls[before:]), None)  # noqa: E731
    assert interrupt(kernel, f"await asyncio.sleep(0)\n{RUNS[name]}", asked) < 1


def test_what_arrived_before_an_interrupt_is_kept(kernel: Kernel, server: ScriptedServer):
    server.play([turn(call("look")), LONG])
    server.pace = SLOW
    before = len(server.calls)
    running = kernel.send(RUNS["for"], stop_on_error=False)
    until(lambda: len(server.calls) > before + 1 and server.calls[-1].events > 10)
    kernel.manager.interrupt_kernel()
    running.wait(10)
    told = kernel.run("""
        print([type(item).__name__ for item in result.new_items], result.is_complete)
    """)
    assert told == "['ToolCallItem', 'ToolCallOutputItem'] True"


def test_leaving_the_loop_early_closes_the_stream_at_once(kernel: Kernel, server: ScriptedServer):
    """Within 0.2 s; the best of three, as the machine may be busy with something else."""
    delays = []
    for _ in range(3):
        server.play([LONG])
        server.pace = SLOW
        left = float(
            kernel.run("""
                result = Runner.run_streamed(agent, 'Tell me everything')
                async for event in result.stream_events():
                    if event.type == 'raw_response_event' and 'delta' in event.data.type:
                        break
                print(time.monotonic())
            """)
        )
        asked = server.calls[-1]
        until(lambda asked=asked: asked.disconnected is not None, 5)
        assert asked.disconnected is not None
        # Linux has one monotonic clock for all processes.
        delays.append(asked.disconnected - left if sys.platform == "linux" else 0.0)
    assert min(delays) < 0.2, delays


@pytest.mark.parametrize("patch", ["nest_asyncio", "nest_asyncio2"])
def test_a_loop_the_user_has_patched_is_not_patched_again(patch: str, server: ScriptedServer):
    if importlib.util.find_spec(patch) is None:
        pytest.skip(f"{patch} is not installed")
    server.play([turn(call("look")), "You are in a garden."])
    server.pace = None
    kernel = Kernel()
    try:
        kernel.run(f"import {patch}; {patch}.apply()", 60)
        kernel.run(SETUP.format(base_url=server.base_url), 90)
        told = kernel.run("""
            import sys
            def patched():
                return (asyncio.run, type(loop).run_until_complete, type(loop)._run_once,
                        'nest_asyncio2' in sys.modules)
            before = patched()
            print(Runner.run_sync(agent, "Where am I?").final_output, seen, patched() == before)
        """)
        assert told == "You are in a garden. [True] True"
    finally:
        kernel.close()
