"""Processor time an event, from the socket to the reader of a run's events.

Run ``python -m bench.events``. One server in a process of its own sends the same bytes to all
readers, in turns, in this process; the floor reads the body, splits the events and parses their
JSON, as any reader must.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from . import contenders
from .loopback import server
from .table import Target, table

COUNTS = (5_000, 50_000)

CHUNKINGS = {
    "each event in an HTTP chunk": "text-{count}",
    "5 events in an HTTP chunk": "text-{count}-0-5",
}
"""How servers cut their streams: most flush each event, proxies and busy servers send several."""

CHAT = {
    "Chat Completions, each event in an HTTP chunk": "chat-{count}",
    "Chat Completions, 5 events in an HTTP chunk": "chat-{count}-0-5",
}

LIVE = ("400 tokens a second, each event in a read of its own", "text-{count}-400", 1_000)


async def measure(url: str, script: str, count: int, rounds: int) -> dict[str, float]:
    """Microseconds an event for each reader: medians of interleaved rounds."""
    spent: dict[str, list[float]] = {}
    readers = contenders.readers()
    async with AsyncExitStack() as stack:
        clients = {}
        for name, read in readers.items():
            aiohttp = name.endswith(contenders.OVER_AIOHTTP)
            client = contenders.client(url, script, aiohttp=aiohttp)
            clients[name] = await stack.enter_async_context(client)
            first = f"{script.partition('-')[0]}-1"
            async with contenders.client(url, first, aiohttp=aiohttp) as short:
                await read(short)  # builds the types
        await contenders.read_floor(clients["floor"])  # the server makes the answer
        for _ in range(rounds):
            for name, read in readers.items():
                start = time.process_time()
                seen = await read(clients[name])
                took = time.process_time() - start
                assert seen >= count, (name, seen)
                spent.setdefault(name, []).append(took / seen * 1e6)
    return {name: statistics.median(times) for name, times in spent.items()}


def show(title: str, cost: dict[str, float]) -> None:
    """Print the costs beside the floor and openai-agents."""
    theirs = cost.get("openai-agents", float("nan"))
    rows = [(name, took, took / cost["floor"], took / theirs) for name, took in cost.items()]
    head = ("", "µs/event", "x floor", "x openai-agents")
    print(table(f"Processor time an event: {title}", head, rows), flush=True)


def to_reach(what: str, cost: dict[str, float]) -> list[Target]:
    """What agentstream's events cost beside the floor's and openai-agents'."""
    targets = [Target(f"{what}: times the floor", cost["agentstream"] / cost["floor"], 1.6)]
    if "openai-agents" in cost:
        share = cost["agentstream"] / cost["openai-agents"]
        targets.append(Target(f"{what}: part of openai-agents", share, 0.1))
    return targets


def report(counts: Sequence[int] = COUNTS, rounds: int = 5) -> list[Target]:
    """Print the table; return the targets."""
    targets = []
    with server() as url:
        for count in counts:
            for how, script in CHUNKINGS.items():
                times = rounds if count < 10_000 else 2  # half a minute each
                cost = asyncio.run(measure(url, script.format(count=count), count, times))
                what = f"{count:,} deltas, {how}"
                show(what, cost)
                targets += to_reach(what, cost)
        for how, script in CHAT.items():
            cost = asyncio.run(measure(url, script.format(count=COUNTS[0]), COUNTS[0], rounds))
            what = f"{COUNTS[0]:,} deltas, {how}"
            show(what, cost)
            targets += to_reach(what, cost)
        how, script, count = LIVE
        show(how, asyncio.run(measure(url, script.format(count=count), count, 2)))
    return targets


if __name__ == "__main__":
    for target in report():
        print(target)
