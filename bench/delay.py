"""What the user feels: how long after a token was sent it is read, paced as models write.

Run ``python -m bench.delay``. The server sends the time as the token, by the clock that all
processes of a machine share. Milliseconds from there to the reader of `stream_events()`.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time

from . import contenders
from .loopback import server
from .table import Target, table

RATES = (20, 40, 100, 400)  # tokens a second
SECONDS = 2.0
TOGETHER = 8  # runs
WARM = 10  # tokens at the start, while connections and types are made

Delays = list[float]


async def delays(name: str, url: str, script: str, runs: int) -> Delays:
    """Milliseconds of each token of so many runs at once."""
    api = contenders.runner(name.partition(",")[0])

    async def read(agent: object) -> Delays:
        found = []
        async for event in api.Runner.run_streamed(agent, "x").stream_events():
            data = getattr(event, "data", None)
            if data is not None and data.type == "response.output_text.delta":
                found.append((time.monotonic() - float(data.delta)) * 1e3)
        return found[WARM:]

    aiohttp = name.endswith(contenders.OVER_AIOHTTP)
    async with contenders.client(url, script, aiohttp=aiohttp) as client:
        agent = contenders.agents()[name](client, 1)
        all_ = await asyncio.gather(*(read(agent) for _ in range(runs)))
    return [one for found in all_ for one in found]


def measure(name: str, api: str, rates: tuple[int, ...], runs: int) -> dict[int, Delays]:
    """The same at each rate, in one process of its own."""
    command = [sys.executable, "-m", "bench.delay", name, api, ",".join(map(str, rates)), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return dict(zip(rates, json.loads(done.stdout), strict=True))


def late(found: Delays) -> float:
    """The 95th percentile."""
    return statistics.quantiles(found, n=20)[-1]


def report(rates: tuple[int, ...] = RATES) -> list[Target]:
    """Print the table; return the targets."""
    rows: list[tuple[float | str, ...]] = []
    targets = []
    names = [one for one in contenders.agents() if one != "openai-agents" + contenders.OVER_AIOHTTP]
    for api in ("", "chat"):
        found = {name: measure(name, api, rates, 1) for name in names}
        for rate in rates:
            what = f"{'Chat Completions' if api else 'Responses'}, {rate}/s"
            for name, at in found.items():
                all_ = at[rate]
                rows.append((what, name, statistics.median(all_), late(all_), max(all_)))
                if not name.startswith("agentstream"):
                    continue
                if "openai-agents" in found:
                    theirs = statistics.median(found["openai-agents"][rate])
                    ratio = statistics.median(all_) / theirs
                    targets.append(
                        Target(f"sent to read, {what}, {name}: median, part of SDK", ratio, 1.5)
                    )
                targets.append(Target(f"sent to read, {what}, {name}: 95th, ms", late(all_), 5))
    for name in (one for one in names if one.startswith("agentstream")):
        for rate, all_ in measure(name, "", rates, TOGETHER).items():
            what = f"{TOGETHER} runs, {rate}/s"
            rows.append((what, name, statistics.median(all_), late(all_), max(all_)))
            targets.append(Target(f"sent to read, {what}, {name}: 95th, ms", late(all_), 20))
    head = ("", "", "median ms", "95th", "most")
    print(table("From the server to the reader of the events", head, rows), flush=True)
    return targets


async def main(name: str, api: str, rates: str, runs: str) -> None:
    found = []
    with server() as url:
        for rate in map(int, rates.split(",")):
            script = f"{api}stamped-{int(rate * SECONDS) + WARM}-{rate}"
            found.append(await delays(name, url, script, int(runs)))
    print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(*sys.argv[1:]))
    else:
        print(*report(), sep="\n")
