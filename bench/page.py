"""What watching costs the page: JupyterLab in Chromium, each technique in a notebook of its own.

Run ``python -m bench.page``. The page is watched by its own `PerformanceObserver` (tasks that last
over 50 ms), by Chromium's trace (the processor time of each task, which other work on the machine
does not stretch), by animation frames (those that come late are dropped ones), and through
`Performance.getMetrics` (time of the main thread, heap after a collection). The last token counts
as visible when an animation frame finds it in the page; it and the kernel read the same clock.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser.lab import CHROMIUM, CHROMIUM_FLAGS, Notebook, Server

from . import techniques
from .table import Target, table

_WATCH = """end => {
    const seen = window.bench = { long: 0, longest: 0, dropped: 0, visible: 0 };
    new PerformanceObserver(list => {
        for (const one of list.getEntries()) {
            seen.long += 1;
            seen.longest = Math.max(seen.longest, one.duration);
        }
    }).observe({ type: "longtask" });
    const output = document.querySelectorAll(".jp-Notebook .jp-Cell")[1];
    let last = performance.now();
    const frame = now => {
        seen.dropped += Math.max(0, Math.round((now - last) / (1000 / 60)) - 1);
        last = now;
        if (!seen.visible && output.textContent.includes(end)) seen.visible = Date.now() / 1000;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""


@dataclass
class Seen:
    """What the page did while a cell ran; times in seconds."""

    busy: float
    took: float
    long_tasks: int
    longest: float
    heavy_tasks: int
    heaviest: float
    dropped: int
    late: float | None
    heap: float


@contextmanager
def lab() -> Iterator[tuple[Server, Any]]:
    """A Jupyter server and a browser."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        server = Server(Path(folder)).start()
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        try:
            yield server, browser.new_context(viewport={"width": 1100, "height": 1200})
        finally:
            browser.close()
            server.close()


def metrics(session: Any) -> dict[str, float]:
    """Chromium's own counts."""
    found = session.send("Performance.getMetrics")["metrics"]
    return {one["name"]: one["value"] for one in found}


def heap(session: Any) -> float:
    """Megabytes in use after a collection."""
    session.send("HeapProfiler.collectGarbage")
    return metrics(session)["JSHeapUsedSize"] / 1e6


def task_times(trace: bytes) -> list[float]:
    """Seconds of processor time of each task of the page's main thread."""
    events = json.loads(trace)["traceEvents"]
    main = {
        (one["pid"], one["tid"])
        for one in events
        if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    tasks = (one for one in events if one["name"] == "ThreadControllerImpl::RunTask")
    return [one.get("tdur", 0) / 1e6 for one in tasks if (one["pid"], one["tid"]) in main]


def watch(server: Server, context: Any, technique: str, count: int, rate: float) -> Seen:
    """Run the cell of a technique and watch the page until the last token shows, or 20 s more."""
    page = context.new_page()
    notebook = Notebook(page, server)
    cells = (techniques.CELLS[technique], "print(repr(arrived))")
    notebook.open(server.write(techniques.setup(technique, count, rate), *cells))
    notebook.run(0, seconds=120)
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    time.sleep(2)
    page.evaluate(_WATCH, techniques.END)
    at_rest, before = heap(session), metrics(session)
    context.browser.start_tracing(page=page, categories=["toplevel"])
    started = time.monotonic()
    notebook.start(1)
    patience = started + 60 + (count / rate if rate else 0)
    visible = 0.0
    while not visible and time.monotonic() < patience:
        time.sleep(0.5)
        visible = page.evaluate("() => window.bench.visible")
    after, took = metrics(session), time.monotonic() - started
    tasks = task_times(context.browser.stop_tracing())
    grown = heap(session) - at_rest
    seen = page.evaluate("() => window.bench")
    late = None
    if visible:
        notebook.run(2, seconds=120)
        late = visible - float(notebook.text(2).strip().splitlines()[-1])
    page.close()
    server.shut_down_kernels()
    busy = after["TaskDuration"] - before["TaskDuration"]
    lasting = (seen["long"], seen["longest"] / 1e3)
    heavy = (sum(task > 0.05 for task in tasks), max(tasks))
    return Seen(busy, took, *lasting, *heavy, seen["dropped"], late, grown)


def show_seen(title: str, found: dict[str, Seen]) -> None:
    """Print one table."""
    chatlas = found.get("chatlas")
    rows = [
        (
            name,
            one.busy,
            chatlas and one.busy / chatlas.busy,
            one.took,
            one.long_tasks,
            one.longest * 1e3,
            one.heavy_tasks,
            one.heaviest * 1e3,
            one.dropped,
            "never" if one.late is None else one.late,
            one.heap,
        )
        for name, one in found.items()
    ]
    head = ("", "busy s", "x chatlas", "of s", "over 50 ms", "longest ms")
    more = ("over 50 ms CPU", "longest ms CPU", "dropped frames", "last token after s", "heap MB")
    print(table(title, (*head, *more), rows), flush=True)


def report(names: tuple[str, ...] = tuple(techniques.CELLS)) -> list[Target]:
    """Print both tables; return the targets."""
    with lab() as (server, context):
        watch(server, context, "print", 100, 0)  # the browser reads JupyterLab's scripts
        paced = {name: watch(server, context, name, 2_000, 100) for name in names}
        show_seen("Live view, 2,000 tokens at 100/s: the page", paced)
        flat = {name: watch(server, context, name, 8_000, 0) for name in names}
        show_seen("Live view, 8,000 tokens flat out: the page", flat)
    ours = paced["show"]
    targets = [
        Target("page, paced: tasks over 50 ms of processor time", ours.heavy_tasks, 0),
        Target("page, paced: last token visible after, s", _seconds(ours.late), 0.2),
        Target("page, flat out: last token visible after, s", _seconds(flat["show"].late), 1.0),
        Target("page: heap for 4 times the text, times", flat["show"].heap / ours.heap, 4.0),
    ]
    if "chatlas" in paced:
        share = ours.busy / paced["chatlas"].busy
        targets.insert(0, Target("page, paced: main thread busy, part of chatlas", share, 1 / 5))
    return targets


def _seconds(late: float | None) -> float:
    return float("inf") if late is None else late


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("techniques", nargs="*", default=tuple(techniques.CELLS))
    for target in report(tuple(parser.parse_args().techniques)):
        print(target)
