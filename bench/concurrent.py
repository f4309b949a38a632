"""Many runs at once in one event loop, as in a notebook that maps an agent over rows.

Run ``python -m bench.concurrent``. Each run calls a tool and then answers in 500 tokens. Flat out,
and paced at 50 tokens a second, as a model would: there the lag of the loop says whether the kernel
stays alive beside the runs.
"""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import dataclass
from typing import Any

from . import contenders
from .loopback import server
from .table import Target, table

RUNS = 200
TOKENS = 500
TICK = 0.005  # seconds


@dataclass
class Load:
    """What many runs at once cost: seconds, and megabytes beyond what was there."""

    wall: float
    cpu: float
    lag: float
    held: float
    memory: float


class Lag:
    """The worst delay of a timer of the loop, and the most work between two of its ticks.

    On a busy machine the delay holds time that went to other programs; the work does not.
    """

    def __init__(self) -> None:
        self.worst = self.held = 0.0
        self._work = time.process_time()
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self.worst = max(self.worst, self._loop.time() - self._due)
        self.held = max(self.held, time.process_time() - self._work)
        self._work = time.process_time()
        self._due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        """Tick no more."""
        self._timer.cancel()


def resident() -> float:
    """Megabytes of this process at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


async def measure(api: Any, url: str, script: str, runs: int) -> Load:
    """Run as many agents at once."""
    async with contenders.client(url, script) as client:
        agent = contenders.agent(api, client)
        await contenders.stream(api, agent)
        before, cpu, start = resident(), time.process_time(), time.perf_counter()
        lag = Lag()
        await asyncio.gather(*(contenders.stream(api, agent) for _ in range(runs)))
        lag.stop()
        took = time.perf_counter() - start
        cpu = time.process_time() - cpu
        return Load(took, cpu, lag.worst, lag.held, resident() - before)


def report(runs: int = RUNS) -> list[Target]:
    """Print the table; return the targets."""
    found: dict[tuple[str, str], Load] = {}
    apis = contenders.runners()
    with server() as url:
        for pace, script in (("flat out", f"tool-{TOKENS}"), ("50/s", f"tool-{TOKENS}-50")):
            for name, api in apis.items():
                found[name, pace] = asyncio.run(measure(api, url, script, runs))
    rows = [
        (name, pace, one.wall, one.cpu, one.lag * 1e3, one.held * 1e3, one.memory)
        for (name, pace), one in found.items()
    ]
    head = ("", "pace", "wall s", "CPU s", "worst lag ms", "of it CPU ms", "memory MB more")
    print(table(f"{runs} runs at once, {TOKENS} tokens and a tool call each", head, rows))
    targets = [
        Target("worst lag of the loop at 50/s, ms", found["agentstream", "50/s"].lag * 1e3, 50),
        Target("worst lag flat out, ms", found["agentstream", "flat out"].lag * 1e3, 50),
    ]
    if "openai-agents" in apis:
        ours, theirs = (found[name, "flat out"].cpu for name in ("agentstream", "openai-agents"))
        targets.insert(0, Target("CPU of 200 runs, part of openai-agents", ours / theirs, 1 / 6))
    return targets


if __name__ == "__main__":
    for target in report():
        print(target)
