"""Ctrl-C in a script: a synchronous run inside `asyncio.run` stops at once, not at its end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest

from agentstream.run.interrupts import interrupts_cancel
from agentstream.testing import Pace, ScriptedServer

SCRIPT = """
import asyncio, sys
from agentstream import Agent, OpenAIResponsesModel, Runner
from openai import AsyncOpenAI

async def main():
    client = AsyncOpenAI(api_key="test", base_url=sys.argv[1], max_retries=0)
    agent = Agent(name="Guide", model=OpenAIResponsesModel("any", client))
    Runner.run_sync(agent, "Tell me everything")

try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(7)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child process")
def test_ctrl_c_stops_a_synchronous_run_inside_asyncio_run():
    with ScriptedServer(["word " * 2000], pace=Pace(first_token=60)) as server:
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, server.base_url])
        try:
            deadline = time.monotonic() + 30
            while not server.calls and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 7
            assert server.calls[0].disconnected is not None
        finally:
            process.kill()
            process.wait()


async def _idle() -> None:
    await asyncio.sleep(60)


async def test_a_programs_own_handler_stays():
    before = signal.getsignal(signal.SIGINT)
    loop, task = asyncio.get_running_loop(), asyncio.create_task(_idle())
    try:
        signal.signal(signal.SIGINT, own := lambda *_: None)
        with interrupts_cancel(loop, task):
            assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)
        task.cancel()


def test_an_interrupt_cancels_the_task_and_the_handler_is_put_back():
    async def main() -> None:
        asyncios = signal.getsignal(signal.SIGINT)
        loop, task = asyncio.get_running_loop(), asyncio.create_task(_idle())
        with interrupts_cancel(loop, task) as came:
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert came == [signal.SIGINT]
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is asyncios

    asyncio.run(main())


async def test_another_thread_leaves_the_signals_alone():
    failures: list[BaseException] = []
    loop, task = asyncio.get_running_loop(), asyncio.create_task(_idle())

    def use() -> None:
        try:
            with interrupts_cancel(loop, task):
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    task.cancel()
    assert failures == []
