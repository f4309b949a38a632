"""From the first byte of an answer to its first event: what a reader adds of its own.

Run ``python -m bench.first``. The client's transport notes when the body's first byte comes. The
first answer of a process is told apart: then pydantic builds the types of the API.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai

from . import contenders
from .loopback import server
from .table import Target, table

ANSWERS = 30
SCRIPT = "text-5-400"


class Noted(httpx2.AsyncByteStream):
    """A body that notes when its first byte comes."""

    def __init__(self, body: Any, notes: list[float]) -> None:
        self._body = body
        self._notes = notes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            self._notes.append(time.perf_counter())
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()


class Noting(httpx2.AsyncHTTPTransport):
    """A transport that notes when the chunks of the last body came."""

    def __init__(self) -> None:
        super().__init__(verify=False)
        self.notes: list[float] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        self.notes.clear()
        response.stream = Noted(response.stream, self.notes)
        return response


async def first_event(name: str, client: openai.AsyncOpenAI) -> float:
    """Read an answer; the moment of its first event."""
    came: float | None = None
    if name == "openai client":
        events: Any = await client.responses.create(model="m", input="x", stream=True)
    else:
        api = contenders.runner(name)
        events = api.Runner.run_streamed(contenders.agent(api, client), "x").stream_events()
    async for event in events:
        if came is None and event.type != "agent_updated_stream_event":
            came = time.perf_counter()
    assert came is not None
    return came


async def measure(name: str, url: str, answers: int = ANSWERS) -> list[float]:
    """Milliseconds from the first byte to the first event, for each of some answers."""
    transport = Noting()
    http = openai.DefaultAsyncHttpxClient(transport=transport, trust_env=False)
    async with openai.AsyncOpenAI(
        api_key="none", base_url=f"{url}/{SCRIPT}/v1", http_client=http, max_retries=0
    ) as client:
        found = []
        for _ in range(answers):
            came = await first_event(name, client)
            found.append((came - transport.notes[0]) * 1e3)
    return found


def report(rounds: int = 5) -> list[Target]:
    """Print the table; return the targets."""
    names = [*filter(contenders.is_installed, contenders.RUNNERS), "openai client"]
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            command = [sys.executable, "-m", "bench.first", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
            found[name].append(json.loads(done.stdout))
    later = {
        name: statistics.median(statistics.median(times[1:]) for times in all_)
        for name, all_ in found.items()
    }
    once = {name: statistics.median(times[0] for times in all_) for name, all_ in found.items()}
    rows = [(name, later[name], once[name]) for name in names]
    head = ("", "ms", "of a process's first answer")
    print(table("From the first byte to the first event", head, rows), flush=True)
    ours = "agentstream"
    return [
        Target("from the first byte to the first event, ms", later[ours], 2),
        Target("from the first byte of a process to the first event, ms", once[ours], 2),
    ]


async def main(name: str) -> None:
    with server() as url:
        print(json.dumps(await measure(name, url)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(sys.argv[1]))
    else:
        print(*report(), sep="\n")
