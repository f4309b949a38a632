"""Fifty live views at once in one kernel: what all of them take, and what each still shows.

Run ``python -m bench.many_views``. The runs are the same with their views and without; no page is
open, and the cell that awaits them is at work, so that the kernel sends to whoever may look.
"""

from __future__ import annotations

from dataclasses import dataclass

from .kernel import Kernel
from .loopback import server
from .table import Target, table

VIEWS = (1, 10, 50)
RATE = 20  # tokens a second of each
SECONDS = 5.0

_SETUP = """
import asyncio, os, time
from agentstream import Agent, Runner, show
from agentstream.notebook.live.frame_budget import FrameBudget
from agentstream.notebook.live.widget import AgentView
os.environ |= {{"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": "{url}"}}
agent = Agent(name="Guide", model="m")
frames, held = [], []

def counted(self, flush=AgentView.flush):
    before = time.thread_time()
    flush(self)
    frames.append((id(self), time.thread_time() - before))

def noted(self, view, began, loop, note=FrameBudget.note):
    note(self, view, began, loop)
    held.append(self._held)

AgentView.flush = counted
FrameBudget.note = noted

async def watch(count, seen):
    runs = [Runner.run_streamed(agent, "x") for _ in range(count)]
    if seen:
        return await asyncio.gather(*[show(run)._watched() for run in runs])
    await asyncio.gather(*[run.wait() for run in runs])

async def measure(count, seen):
    frames.clear(); held.clear()
    cpu, start = time.process_time(), time.monotonic()
    await watch(count, seen)
    return time.process_time() - cpu, time.monotonic() - start
"""


@dataclass
class Views:
    """Of so many views: frames a second of the rarest; seconds of processor time; milliseconds."""

    least: float
    cpu: float
    took: float
    frames: float
    frame: float
    held: float


def measure(kernel: Kernel, count: int) -> Views:
    """Watch so many runs in a kernel, after the same without watching."""
    kernel.run(f"without = await measure({count}, False)")
    kernel.run(f"with_views = await measure({count}, True)")
    kernel.run(
        "each = [sum(1 for one, _ in frames if one == view) for view in {one for one, _ in frames}]"
    )
    return Views(
        kernel.value("min(each) / with_views[1]"),
        kernel.value("with_views[0] - without[0]"),
        kernel.value("with_views[1]"),
        kernel.value("sum(cost for _, cost in frames)"),
        kernel.value("sum(cost for _, cost in frames) / len(frames) * 1e3"),
        kernel.value("max(held) * 1e3"),
    )


def report(counts: tuple[int, ...] = VIEWS) -> list[Target]:
    """Print the table; return the targets."""
    rows, targets = [], []
    script = f"markdown-{int(RATE * SECONDS)}-{RATE}"
    with server() as url, Kernel() as kernel:
        kernel.run(_SETUP.format(url=f"{url}/{script}/v1"))
        kernel.run("await measure(2, True)")  # imports
        for count in counts:
            one = measure(kernel, count)
            share, all_ = one.frames / one.took, one.cpu / one.took
            rows.append((f"{count}", one.least, one.frame, share, all_, one.held))
            what = f"{count} views at once"
            if count > 1:
                targets.append(Target(f"{what}: seconds between frames", 1 / one.least, 1 / 4))
            targets.append(Target(f"{what}: held at a time, ms", one.held, 10))
            targets.append(Target(f"{what}: part of a core", share, 0.1))
    head = ("views", "frames/s of the rarest", "ms a frame", "frames, part of a core")
    more = ("with what is shown before and after", "held at a time, ms")
    print(table(f"Live views at once, {RATE} tokens/s each", (*head, *more), rows), flush=True)
    return targets


if __name__ == "__main__":
    print(*report(), sep="\n")
