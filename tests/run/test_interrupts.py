"""Ctrl-C in a script: a synchronous run inside `asyncio.run` stops at once, not at its end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest

from agentstream.run.interrupts import interrupts_raise
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


def test_a_programs_own_handler_stays():
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, own := lambda *_: None)
        with interrupts_raise():
            assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


def test_asyncios_handler_is_put_back():
    async def main() -> None:
        asyncios = signal.getsignal(signal.SIGINT)
        with interrupts_raise():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is asyncios

    asyncio.run(main())


def test_another_thread_leaves_the_signals_alone():
    failures: list[BaseException] = []

    def use() -> None:
        try:
            with interrupts_raise():
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert failures == []
