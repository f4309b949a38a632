"""The same faults on real connections: a sample, to hold the faults of `Wire` against."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from agentstream import ModelSettings, TimeLimits
from agentstream.models.http import client_pool
from agentstream.models.retry import client_retries
from tests.faults.reader import LAST, NAMED, PATIENCE, check, check_left, opened, play
from tests.faults.wire import FAULTS, STALL, STREAMS, Stream, deltas, rounds, serve, without_folder

pytestmark = pytest.mark.skipif(not STREAMS, reason=without_folder)

SAMPLE = [STREAMS[at] for at in (5, 8, 20, 24) if at < len(STREAMS)]
SILENCE = TimeLimits(first_event=1.0, between_events=0.3)
BACKGROUND = ModelSettings(extra_args={"background": True})


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    client = openai.AsyncOpenAI(api_key="none", base_url=url, **{"max_retries": 0, **options})
    async with client:
        yield client


def over_aiohttp() -> dict[str, Any]:
    """The transport of models that are given by name."""
    return {"http_client": client_pool._OverAiohttp()}


def as_given() -> dict[str, Any]:
    """The default transport of a client that a program makes."""
    return {}


@pytest.mark.pairwise
@pytest.mark.parametrize("transport", [over_aiohttp, as_given])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", SAMPLE, ids=str)
async def test_a_fault_on_a_real_connection(
    stream: Stream, fault: str, transport: Callable[[], dict[str, Any]]
) -> None:
    last = [LAST[stream.api]]
    async with serve([stream.blocks, last]) as url, connected(url, **transport()) as client:
        await play(stream, client)  # what is made once, such as threads, is there then
    before = opened()
    for at in (0, len(stream.events) // 2, len(stream.events) - 1):
        played = FAULTS[fault](stream.blocks, stream.events[at])
        limits = SILENCE if fault == "stall" else PATIENCE
        async with serve([played, last]) as url, connected(url, **transport()) as client:
            seen = await play(stream, client, limits=limits)
        told = "".join(seen.deltas)
        if fault == "reset" and told != "".join(deltas(played, stream.api)):
            # A reset throws away what has arrived and was not read yet.
            assert isinstance(seen.error, NAMED)
            assert "".join(deltas(played, stream.api)).startswith(told)
            assert seen.shown == seen.kept == told
        else:
            check(stream, played, seen)
        await check_left(None, before)


async def test_a_dead_connection_is_given_up_and_the_background_answer_read_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after a laptop has slept: the connection is there, and nothing comes."""
    monkeypatch.setattr(client_retries, "_FIRST_DELAY", 0.0001)
    stream = SAMPLE[0]
    scripts = [[*stream.blocks[:6], STALL], stream.blocks[6:]]
    async with serve(scripts) as url, connected(url, max_retries=1) as client:
        limits = TimeLimits(between_events=0.3)
        seen = await play(stream, client, BACKGROUND, limits=limits)
    assert seen.is_whole
    assert seen.deltas == deltas(stream.blocks, "responses")
    [retry] = seen.result.trace.retries
    assert retry.resumed and "ModelStalledError" in retry.error


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_retries, "_FIRST_DELAY", 0.0001)
    async with connected(f"http://127.0.0.1:{free_port()}/v1", max_retries=2) as client:
        seen = await play(SAMPLE[0], client)
    assert isinstance(seen.error, openai.APIConnectionError)
    assert len(seen.result.trace.retries) == 2


@pytest.mark.parametrize("bytes_sent", [b"", b"HTTP/1.1 200", b"\x00\xff garbage\r\n\r\n"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_speaks_no_http_or_no_tls(
    scheme: str, bytes_sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_retries, "_FIRST_DELAY", 0.0001)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(bytes_sent)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, connected(f"{scheme}://127.0.0.1:{port}/v1", max_retries=1) as client:
        seen = await play(SAMPLE[0], client)
        await rounds()  # the server closes its connections
    assert isinstance(seen.error, openai.APIConnectionError)
    assert len(seen.result.trace.retries) == 1
