"""Many runs at once in one event loop, as in a notebook that maps an agent over rows.

Run ``python -m bench.many``. Each run calls a tool and then answers in 500 tokens. Flat out,
and paced at 50 tokens a second, as a model would: there the lag of the loop says whether the kernel
stays alive beside the runs.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, fields

from . import contenders
from .loopback import server
from .table import Target, table

RUNS = 200
TOKENS = 500
RATE = 50  # tokens a second
TICK = 0.005  # seconds


@dataclass
class Load:
    """What many runs at once cost: seconds, and megabytes beyond what was there.

    `delay` is the worst of a timer of the loop, `held` the most work between two of its ticks,
    `own` that work without the passes of the garbage collector, `collector` these.
    """

    wall: float
    cpu: float
    memory: float
    delay: float
    held: float
    own: float
    collector: float


class Lag:
    """How long a loop is held up: the worst delay of a timer, and the most work between two ticks.

    On a busy machine the delay holds time that went to other programs; the work does not. Passes of
    Python's garbage collector are counted apart: their length depends on all objects of the
    process, most of which are the imported packages' (`gc.freeze` takes these out of it).
    """

    def __init__(self) -> None:
        self.delay = self.held = self.own = self.collector = 0.0
        self._collected = self._collecting = 0.0
        self._work = time.process_time()
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._due, self._tick)
        gc.callbacks.append(self._collect)

    def _tick(self) -> None:
        work = time.process_time() - self._work
        self.delay = max(self.delay, self._loop.time() - self._due)
        self.held = max(self.held, work)
        self.own = max(self.own, work - self._collected)
        self.collector = max(self.collector, self._collected)
        self._collected = 0.0
        self._work = time.process_time()
        self._due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._due, self._tick)

    def _collect(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.process_time()
        else:
            self._collected += time.process_time() - self._collecting

    def stop(self) -> None:
        """Tick no more."""
        self._timer.cancel()
        gc.callbacks.remove(self._collect)


def resident() -> float:
    """Megabytes of this process now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


FROZEN = ", frozen"
"""Behind a pace: the imports' objects are frozen, as bench/README.md tells programs to do."""


async def measure(name: str, url: str, script: str, runs: int, *, frozen: bool = False) -> Load:
    """Run as many agents at once."""
    api = contenders.runner(name.partition(",")[0])
    aiohttp = name.endswith(contenders.OVER_AIOHTTP)
    async with contenders.client(url, script, aiohttp=aiohttp) as client:
        agent = contenders.agents()[name](client, 1)
        await contenders.stream(api, agent)
        gc.collect()
        if frozen:
            gc.freeze()
        before, cpu, start = resident(), time.process_time(), time.perf_counter()
        lag = Lag()
        work = asyncio.gather(*(contenders.stream(api, agent) for _ in range(runs)))
        most = before
        while not work.done():
            await asyncio.wait([work], timeout=0.25)
            most = max(most, resident())
        lag.stop()
        work.result()
        return Load(
            time.perf_counter() - start,
            time.process_time() - cpu,
            most - before,
            lag.delay,
            lag.held,
            lag.own,
            lag.collector,
        )


def load(name: str, script: str, runs: int, pace: str = "") -> Load:
    """Measure one contender in a process of its own: a collector looks at all that is imported."""
    command = [sys.executable, "-m", "bench.many", name, script, str(runs), pace]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return Load(**json.loads(done.stdout))


def report(runs: int = RUNS, rounds: int = 3) -> list[Target]:
    """Print the table; return the targets."""
    found: dict[tuple[str, str], list[Load]] = {}
    names = list(contenders.agents())
    # Paced, it takes the time of the pace: once is enough.
    for pace, script, times in (
        ("flat out", f"tool-{TOKENS}", rounds),
        ("flat out" + FROZEN, f"tool-{TOKENS}", rounds),
        (f"{RATE}/s", f"tool-{TOKENS}-{RATE}", 1),
        (f"{RATE}/s" + FROZEN, f"tool-{TOKENS}-{RATE}", 1),
    ):
        for _ in range(times):
            for name in names:
                found.setdefault((name, pace), []).append(load(name, script, runs, pace))
    rows: list[tuple[float | str, ...]] = []
    for (name, pace), loads in found.items():
        one = median(loads)
        delays = (one.delay, one.held, one.own, one.collector)
        rows.append((name, pace, one.wall, one.cpu, one.memory, *(1e3 * each for each in delays)))
    head = ("", "pace", "wall s", "CPU s", "MB more", "delay ms", "held", "own", "collector")
    title = f"{runs} runs at once, {TOKENS} tokens and a tool call each"
    print(table(title, head, rows), flush=True)
    targets = [
        Target(
            f"{runs} runs {pace}: the loop is held, ms",
            median(found["agentstream", pace]).held * 1e3,
            50,
        )
        for pace in ("flat out", "flat out" + FROZEN, f"{RATE}/s", f"{RATE}/s" + FROZEN)
    ]
    theirs = found.get(("openai-agents", "flat out"))
    if theirs:
        for name in (one for one in names if one.startswith("agentstream")):
            share = median(found[name, "flat out"]).cpu / median(theirs).cpu
            what = f"{runs} runs flat out, {name}: CPU, part of openai-agents"
            targets.append(Target(what, share, 1 / 6))
    return targets


def median(loads: list[Load]) -> Load:
    """The median of each number."""
    return Load(
        *(statistics.median(getattr(one, field.name) for one in loads) for field in fields(Load))
    )


def main(name: str, script: str, runs: str, pace: str = "") -> None:
    """Measure in this process and print the numbers."""
    with server() as url:
        one = asyncio.run(measure(name, url, script, int(runs), frozen=pace.endswith(FROZEN)))
    print(json.dumps(asdict(one)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(*sys.argv[1:])
    else:
        print(*report(), sep="\n")
