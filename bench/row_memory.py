"""What many rows take: memory, and the event loop, with faults and without.

Run ``python -m bench.row_memory``. 10,000 rows of which one in twenty meets a fault, against a
service in this process whose time is virtual; and 100,000 rows of a model that answers at once,
with a checkpoint, while another task looks how long it has to wait for the loop.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from typing import Any

from .table import Target, table

FAULTY = 10_000
ALL = 100_000
_TICK = 0.005


def memory() -> float:
    """Megabytes that the process holds now."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def faulty(rows: int = FAULTY) -> dict[str, float]:
    """Rows with faults of every kind: memory at a tenth and at the end, and what came of each."""
    import pandas as pd
    from pydantic import create_model

    from agentstream import Agent, Gate, OpenAIResponsesModel, map_frame
    from agentstream.testing import RateLimits, VirtualService, answer, fail, incomplete, turn
    from agentstream.testing import run_in_virtual_time as run_virtual

    rng, answered, faults = random.Random(5), Counter[int](), Counter[str]()
    at: dict[int, float] = {}

    def turns(request: Any) -> Any:
        number = int(request.user_text)
        if rng.random() < 0.05:
            kind = rng.choice(["fail", "incomplete", "text", "shape"])
            faults[kind] += 1
            return {
                "fail": turn("Well", fail("server_error")),
                "incomplete": turn("Well", incomplete()),
                "text": "no JSON",
                "shape": answer({"number": "x"}),
            }[kind]
        answered[number] += 1
        return answer({"number": number, "double": 2 * number})

    def status(number: int) -> int | None:
        code = rng.choice([429, 500, 502, 503, 400, 409]) if rng.random() < 0.05 else None
        faults[str(code)] += code is not None
        return code

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        limits = RateLimits(requests=60_000, burst=200, clock=loop.time)
        service = VirtualService(turns, limits, fault=status, latency=lambda _: rng.random())
        service.requests = _Forgetful()
        agent = Agent(
            name="Doubler",
            model=OpenAIResponsesModel("any", service.client()),
            output_type=create_model("Double", number=(int, ...), double=(int, ...)),
        )
        frame = pd.DataFrame({"number": range(rows)})
        run = map_frame(agent, frame, "{number}", limits=Gate(clock=loop.time))

        def note() -> None:
            done = run.progress.done
            if done in (rows // 10, rows - rows // 10) and done not in at:
                at[done] = memory()

        run.watch(note)
        out = await run
        while not run.failed.empty:
            out = await run.retry()
        at[rows] = memory()
        return out

    out = run_virtual(main())
    assert list(out["double"]) == [2 * number for number in range(rows)]
    first = at[rows // 10]
    return {
        "rows": rows,
        "faults": sum(faults.values()),
        "kinds": len(faults),
        "lost": int((out["status"] != "done").sum()),
        "paid twice": sum(count > 1 for count in answered.values()),
        "ratio": at[rows] / first,
        "first": first,
        "last": at[rows],
    }


class _Forgetful(list[Any]):
    """What is asked is not kept: the test's own memory is not measured."""

    def append(self, value: Any) -> None:
        pass


def at_once(rows: int = ALL) -> dict[str, float]:
    """Rows of a model that answers at once: memory, and how long the loop was held."""
    import pandas as pd

    from agentstream import Agent, map_frame
    from agentstream.testing import ScriptedModel

    model = ScriptedModel(["good"], loop=True)
    model.requests = _Forgetful()
    agent = Agent(name="Critic", model=model)
    held: list[float] = []
    collecting: list[float] = []

    def collected(phase: str, _: Any) -> None:
        collecting.append(time.thread_time() * (1 if phase == "stop" else -1))

    async def look() -> None:
        while True:
            # Processor time of this thread: other programs of the machine do not count.
            before = time.thread_time()
            await asyncio.sleep(_TICK)
            held.append(time.thread_time() - before)

    async def main() -> dict[str, float]:
        small = pd.DataFrame({"review": [f"warm {number}" for number in range(2_000)]})
        await map_frame(agent, small, "{review}", progress=False)
        frame = pd.DataFrame({"review": [f"Review {number}" for number in range(rows)]})
        with tempfile.TemporaryDirectory() as folder:
            before, start = memory(), time.perf_counter()
            # What was there before is the program's: a full collection of it takes 0.2 s alone.
            gc.freeze()
            gc.callbacks.append(collected)
            looking = asyncio.ensure_future(look())
            run = map_frame(agent, frame, "{review}", checkpoint=f"{folder}/rows", progress=False)
            out = await run
            await asyncio.sleep(_TICK)
            looking.cancel()
            gc.callbacks.remove(collected)
            gc.unfreeze()
            seconds = time.perf_counter() - start
            assert set(out["status"]) == {"done"}
            held.sort()
            pauses = [sum(pair) for pair in zip(*[iter(collecting)] * 2, strict=True)]
            return {
                "rows": rows,
                "megabytes": memory() - before,
                "held": held[-1] * 1e3,
                "longest collection": max(pauses) * 1e3,
                "held, 99.9 %": held[int(len(held) * 0.999)] * 1e3,
                "rows a second": rows / seconds,
            }

    return asyncio.run(main())


def report(faulty_rows: int = FAULTY, all_rows: int = ALL) -> list[Target]:
    """Print the tables; return the targets."""
    first, second = load("faulty", faulty_rows), load("at_once", all_rows)
    for title, found in (("Rows with faults", first), ("Rows answered at once", second)):
        print(table(title, list(found), [list(found.values())]), flush=True)
    return [
        Target("rows with faults: lost", first["lost"], 0),
        Target("rows with faults: answers paid for twice", first["paid twice"], 0),
        Target("rows with faults: memory at the end, of that at a tenth", first["ratio"], 1.2),
        Target("100,000 rows: megabytes more", second["megabytes"], 60),
        Target("100,000 rows: the loop held, ms", second["held"], 50),
    ]


def load(name: str, rows: int) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "bench.row_memory", name, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=3600)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measured = {"faulty": faulty, "at_once": at_once}[sys.argv[1]](int(sys.argv[2]))
        print(json.dumps(measured))
    else:
        print(*report(), sep="\n")
