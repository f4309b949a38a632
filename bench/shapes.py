"""What grows: turns, tools and items; the argument string of a call; one huge event.

Run ``python -m bench.shapes``. Each shape at one size and at twice that: linear is twice the cost.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

from . import contenders
from .loopback import server
from .table import Target, table

Shape = Callable[[str, str], Any]


async def timed(name: str, url: str, script: str, tools: int = 1, history: int = 0) -> float:
    """Processor time of one run."""
    asked = [{"role": "user", "content": f"Question {number}"} for number in range(history)]
    async with contenders.client(url, script) as client:
        api, agent = contenders.runner(name), contenders.agents()[name](client, tools)
        start = time.process_time()
        events = await contenders.stream(api, agent, asked or "x", turns=100)
        took = time.process_time() - start
        assert events > 7, "the run has ended early"
        return took


SHAPES: dict[str, tuple[Shape, Shape]] = {
    "40 turns, 200 tools, 2,000 items": (
        lambda name, url: timed(name, url, "turns-20", 100, 1_000),
        lambda name, url: timed(name, url, "turns-40", 200, 2_000),
    ),
    "an argument of 1 MB in 5-byte deltas": (
        lambda name, url: timed(name, url, "argument-500000"),
        lambda name, url: timed(name, url, "argument-1000000"),
    ),
    "one event of 20 MB": (
        lambda name, url: timed(name, url, "huge-10000000"),
        lambda name, url: timed(name, url, "huge-20000000"),
    ),
}


def report(rounds: int = 1) -> list[Target]:
    """Print the table; return the targets."""
    rows, targets = [], []
    with server() as url:
        for what, sizes in SHAPES.items():
            cost: dict[str, list[float]] = {}
            for name in contenders.runners():
                asyncio.run(timed(name, url, "turns-1"))  # builds the types
                for shape in sizes:
                    took = [asyncio.run(shape(name, url)) for _ in range(rounds)]
                    cost.setdefault(name, []).append(statistics.median(took))
            theirs = cost.get("openai-agents", [0.0, 0.0])[1]
            for name, (half, whole) in cost.items():
                rows.append((what, name, whole, whole / half, theirs and whole / theirs))
            half, whole = cost["agentstream"]
            # The first shape grows in three ways at once: history times turns is sent by any API.
            limit = 8.0 if "turns" in what else 2.5
            targets.append(Target(f"{what}: cost of twice the size", whole / half, limit))
    head = ("", "", "CPU s", "x half the size", "x openai-agents")
    print(table("What grows", head, rows))
    return targets


if __name__ == "__main__":
    for target in report():
        print(target)
