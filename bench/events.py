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

from . import contenders
from .loopback import server
from .table import Target, table

COUNTS = (5_000, 50_000)


async def measure(url: str, count: int, rounds: int) -> dict[str, float]:
    """Microseconds an event for each reader: medians."""
    spent: dict[str, list[float]] = {}
    async with contenders.client(url, f"text-{count}") as client:
        await contenders.read_floor(client)  # the server makes the answer
        for _ in range(rounds):
            for name, read in contenders.readers().items():
                start = time.process_time()
                seen = await read(client)
                took = time.process_time() - start
                assert seen >= count, (name, seen)
                spent.setdefault(name, []).append(took / seen * 1e6)
    return {name: statistics.median(times) for name, times in spent.items()}


def report(counts: Sequence[int] = COUNTS, rounds: int = 5) -> list[Target]:
    """Print the table; return the targets."""
    targets = []
    with server() as url:
        for count in counts:
            cost = asyncio.run(measure(url, count, rounds if count < 10_000 else 3))
            rows = [
                (name, took, took / cost["floor"], took / cost.get("openai-agents", float("nan")))
                for name, took in cost.items()
            ]
            head = ("", "µs/event", "x floor", "x openai-agents")
            print(table(f"{count:,} deltas: processor time an event", head, rows), flush=True)
            ours = cost["agentstream"]
            targets.append(Target(f"{count:,} deltas, times the floor", ours / cost["floor"], 1.6))
            if "openai-agents" in cost:
                share = ours / cost["openai-agents"]
                targets.append(Target(f"{count:,} deltas, part of openai-agents", share, 0.1))
    return targets


if __name__ == "__main__":
    for target in report():
        print(target)
