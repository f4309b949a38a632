"""The clients of models that are given by name: their transport, their errors, and their end."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from agentstream import Agent, ModelSettings, OpenAIProvider, RunConfig, Runner
from agentstream.models.http import client_pool
from agentstream.models.http.credentials import Account
from agentstream.testing import ScriptedServer, say, turn
from tests.faults.wire import rounds

ANSWER = [turn(say("It is sunny."))]
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def asked(base_url: str, **settings: Any) -> Any:
    """The result of a run whose client nobody made: to be awaited."""
    config = RunConfig(
        model_provider=OpenAIProvider(api_key="none", base_url=base_url),
        model_settings=ModelSettings(**settings),
    )
    return Runner.run(Agent(name="Tutor", model="m"), "How is it?", run_config=config)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def transport(base_url: str = "http://127.0.0.1/v1") -> Any:
    """What carries the requests of a client that is made here."""
    provider = OpenAIProvider(api_key="none", base_url=base_url)
    model: Any = provider.get_model("m")
    return model._client._client


# -- which transport


async def test_requests_go_over_aiohttp() -> None:
    assert isinstance(transport(), client_pool._OverAiohttp)
    with ScriptedServer(ANSWER) as server:
        assert (await asked(server.base_url)).final_output == "It is sunny."
    assert (
        "aiohttp" not in server.requests[0].headers["user-agent"].lower()
    )  # it stays the client's


async def test_a_run_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    with ScriptedServer(ANSWER) as server:
        await asked(server.base_url)
        assert {one.name for one in set(threading.enumerate()) - before} == {"scripted-server"}


async def test_what_aiohttp_cannot_is_left_to_the_clients_default_transport(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_password = transport("http://me:secret@127.0.0.1/v1")
    assert not isinstance(with_password, client_pool._OverAiohttp)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    assert client_pool._http_client(Account("key")) is None


@asynccontextmanager
async def relay(port: int) -> AsyncIterator[tuple[str, list[str]]]:
    """Pass on what comes to a port of ours; its address, and the first line of each connection."""
    came: list[str] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(100_000):
            writer.write(piece)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection("127.0.0.1", port)
        line = await reader.readuntil(b"\r\n")
        came.append(line.decode().strip())
        there.write(line)
        await asyncio.gather(pipe(reader, there), pipe(there_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
        await closed_here()
        await rounds()


async def closed_here() -> None:
    """Close the clients that were made in this loop."""
    for loop, account in list(client_pool._clients):
        if loop is asyncio.get_running_loop():
            await client_pool._clients[loop, account][0].close()


async def test_the_environments_proxy_is_used_and_its_exceptions_are_heeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ScriptedServer(ANSWER, loop=True) as server:
        async with relay(server.port) as (proxy, came):
            monkeypatch.setenv("HTTP_PROXY", proxy)
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            assert (await asked("http://model.example/v1")).final_output == "It is sunny."
            assert came == ["POST http://model.example/v1/responses HTTP/1.1"]
            assert (await asked(server.base_url)).final_output == "It is sunny."
            assert len(came) == 1


async def test_a_connection_is_used_again() -> None:
    with ScriptedServer(ANSWER, loop=True) as server:
        async with relay(server.port) as (address, came):
            for _ in range(3):
                assert (await asked(f"{address}/v1")).final_output == "It is sunny."
            assert len(came) == 1


# -- what errors are called


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def test_a_refused_connection_is_no_timeout() -> None:
    with pytest.raises(openai.APIConnectionError) as caught:
        await asked(f"http://127.0.0.1:{free_port()}/v1", extra_headers={"x-none": "1"})
    assert not isinstance(caught.value, openai.APITimeoutError)
    assert "Connect call failed" in str(caught.value.__cause__)


@contextmanager
def deaf() -> Iterator[str]:
    """A server whose queue is full: connecting takes for ever."""
    with socket.socket() as one, socket.socket() as first, socket.socket() as second:
        one.bind(("127.0.0.1", 0))
        one.listen(0)
        for other in (first, second):
            other.setblocking(False)
            other.connect_ex(one.getsockname())
        yield f"http://127.0.0.1:{one.getsockname()[1]}/v1"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentstream.models.retry.client_retries._FIRST_DELAY", 0.0001)


@pytest.mark.usefixtures("at_once")
async def test_a_timeout_is_one_connecting_and_reading() -> None:
    with deaf() as url, pytest.raises(openai.APITimeoutError):
        await asked(url, extra_args={"timeout": 0.1})

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(openai.APITimeoutError):
            await asked(url, extra_args={"timeout": 0.1})


@pytest.mark.usefixtures("at_once")
async def test_a_connection_that_is_lost_is_no_timeout() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(leave, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(openai.APIConnectionError) as caught:
            await asked(url)
    assert not isinstance(caught.value, openai.APITimeoutError)


# -- their end

PROGRAM = """
import asyncio, gc, os, sys, threading, time
from agentstream import Agent, OpenAIProvider, RunConfig, Runner

def asked():
    provider = OpenAIProvider(api_key="none", base_url=sys.argv[1])
    config = RunConfig(model_provider=provider)
    return (Agent(name="Tutor", model="m"), "Hello"), {"run_config": config}

async def run():
    positional, named = asked()
    print((await Runner.run(*positional, **named)).final_output)

def run_sync():
    positional, named = asked()
    print(Runner.run_sync(*positional, **named).final_output)
"""

ENDS = {
    "asyncio.run": "asyncio.run(run()); asyncio.run(run())",
    "run_sync": "run_sync(); run_sync()",
    "a loop that is closed without its generators": """
        for _ in range(2):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(run())
            loop.close()
            gc.collect()
    """,
    "a loop that is left open": "loop = asyncio.new_event_loop(); loop.run_until_complete(run())",
    "threads": """
        for _ in range(2):
            thread = threading.Thread(target=run_sync); thread.start(); thread.join()
            gc.collect()
    """,
    "a forked process that ends before its parent": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(run())
        sys.stdout.flush()
        for thread in threading.enumerate():  # one that has done its work may still be ending
            if thread is not threading.main_thread():
                thread.join(5)
        for _ in range(500):  # ... also for the system, whose count Python 3.12 warns by
            if not os.path.exists("/proc/self/task") or len(os.listdir("/proc/self/task")) < 2:
                break
            time.sleep(0.01)
        if os.fork() == 0:
            sys.exit()
        os.wait()
        loop.run_until_complete(run())
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends_without_a_word(end: str) -> None:
    with ScriptedServer(ANSWER, loop=True) as server:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM + textwrap.dedent(ENDS[end]), server.base_url],
            capture_output=True,
            text=True,
            timeout=100,
            cwd=Path(__file__).parents[3],
        )
        # In debug mode asyncio tells of each step that took long.
        assert [one for one in ended.stderr.splitlines() if not one.startswith("Executing <")] == []
    assert set(ended.stdout.splitlines()) == {"It is sunny."}
    assert ended.returncode == 0


@pytest.mark.slow
def test_a_kernel_ends_without_a_word(tmp_path: Path) -> None:
    manager = pytest.importorskip("jupyter_client.manager", reason="the lab extra is not installed")
    words = tmp_path / "stderr.txt"
    with ScriptedServer(ANSWER, loop=True) as server, words.open("w") as file:
        cell = PROGRAM.replace("sys.argv[1]", repr(server.base_url)) + "\nawait run()\nrun_sync()\n"
        kernel, client = manager.start_new_kernel(kernel_name="python3", stderr=file)
        reply = client.execute_interactive(cell, timeout=60, output_hook=lambda message: None)
        assert reply["content"]["status"] == "ok", reply["content"]
        client.stop_channels()
        kernel.shutdown_kernel()
    assert "Unclosed" not in words.read_text("utf-8")
