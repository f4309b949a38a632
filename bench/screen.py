"""What the eye sees: from the server's write of a token to the screen, in JupyterLab in Chromium.

Run ``python -m bench.screen``. The server sends the time as the token, as for `bench.delay`; the
page looks, at each frame of its display, at how much of the answer is in sight: what `growth.js`
still holds back does not count. Milliseconds of each token, and of the gaps between two changes
while tokens come; and how much of the page's main thread was busy meanwhile.
"""

from __future__ import annotations

import itertools
import re
import statistics
import time
from dataclasses import dataclass
from typing import Any

from tests.browser.lab import Notebook, Server, until

from .delay import late
from .loopback import server
from .page import lab, metrics
from .table import Target, table

RATES = (20, 50, 100)  # tokens a second
SECONDS = 6.0  # in the first half the screen is looked at, in the second the page works alone
WARM = 10  # tokens at the start

_SETUP = """
import os
from agentstream import Agent, Runner, show
agent = Agent(name="Guide", model="m")

def answer(script):
    os.environ |= {{"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{url}/{{script}}/v1"}}
    return show(Runner.run_streamed(agent, "Write an answer."))
"""

# When what is in sight changes: how many characters there are, at what time.
_WATCH = """() => {
    const output = document.querySelectorAll(".jp-Notebook .jp-Cell")[1];
    const seen = window.bench = [];
    let before = "";
    const frame = () => {
        if (window.benchIsOver) return;
        const texts = [...output.querySelectorAll(".as-run.as-live .as-text")];
        const all = texts.map(one => one.textContent).join("");
        let hidden = 0;
        for (const range of CSS.highlights?.get("as-growing") ?? []) {
            hidden += range.toString().length;
        }
        const now = all.slice(0, all.length - hidden);
        if (texts.length && now !== before) seen.push([Date.now() / 1000, now.length]);
        if (texts.length) before = now;
        if (texts.length && !all.includes("@")) window.whole = all; // the end tells it once more
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""


@dataclass
class Screen:
    """Milliseconds of tokens and of gaps; the part of the time that the main thread was busy."""

    tokens: list[float]
    gaps: list[float]
    busy: float


def watch(place: Server, context: Any, url: str, script: str, seconds: float) -> Screen:
    """Show an answer in a new notebook, and see when what is in sight changes."""
    notebook = Notebook(context.new_page(), place)
    setup = _SETUP.format(url=url)
    cells = (setup + 'await answer("text-40-50")', f'answer("{script}")')
    notebook.open(place.write(*cells))
    notebook.run(0, seconds=120)
    session = context.new_cdp_session(notebook.page)
    # Processor time: other work on the machine does not stretch it.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    time.sleep(1)
    notebook.page.evaluate(_WATCH)
    notebook.start(1)
    until(lambda: notebook.page.evaluate("() => window.bench.length > 3"), "an answer that grows")
    time.sleep(seconds / 2)
    notebook.page.evaluate("() => { window.benchIsOver = true; }")
    before, started = metrics(session), time.monotonic()
    time.sleep(seconds / 2 - 1)
    after, took = metrics(session), time.monotonic() - started
    live = "() => !document.querySelector('.jp-Notebook .as-run.as-live')"
    until(lambda: notebook.page.evaluate(live), "the end of the answer")
    seen = notebook.page.evaluate("() => window.bench")
    whole = str(notebook.page.evaluate("() => window.whole"))
    notebook.page.close()
    place.shut_down_kernels()
    busy = (after["TaskDuration"] - before["TaskDuration"]) / took
    return Screen(_tokens(whole, seen), _gaps(seen), busy)


def _tokens(whole: str, seen: list[Any]) -> list[float]:
    """From each time that was sent as a token to the first look at it."""
    wall = time.time() - time.monotonic()
    found = []
    for stamp in re.finditer(r"\d+\.\d{6}", whole):
        shown = next((when for when, length in seen if length >= stamp.end()), None)
        if shown is not None:
            found.append((shown - wall - float(stamp[0])) * 1e3)
    return found[WARM:]


def _gaps(seen: list[Any]) -> list[float]:
    times = [when for when, _ in seen]
    return [(b - a) * 1e3 for a, b in itertools.pairwise(times)][WARM:]


def report(rates: tuple[int, ...] = RATES) -> list[Target]:
    """Print the table; return the targets."""
    rows, targets = [], []
    with lab() as (place, context), server() as url:
        for rate in rates:
            tokens = int(rate * SECONDS) + WARM
            found = watch(place, context, url, f"stamped-{tokens}-{rate}", SECONDS)
            prose = watch(place, context, url, f"markdown-{tokens}-{rate}", SECONDS)
            for name, one in (("times", found), ("Markdown", prose)):
                sent = one.tokens or [0.0, 0.0]
                rows.append(
                    (
                        f"{rate}/s, {name}",
                        statistics.median(sent),
                        late(sent),
                        max(sent),
                        statistics.median(one.gaps),
                        late(one.gaps),
                        one.busy,
                    )
                )
                # Where a token comes every 50 ms, one of the display's frames may lie between.
                most = max(50, 1000 / rate + 1.2 * 1000 / 60)
                what = f"on the screen, {rate}/s, {name}"
                targets.append(
                    Target(f"{what}: gap between changes, 95th, ms", late(one.gaps), most)
                )
                targets.append(Target(f"{what}: main thread busy", one.busy, 0.1))
            sent = late(found.tokens)
            targets.append(Target(f"sent to screen, {rate}/s: 95th, ms", sent, 80))
    head = ("tokens a second", "sent to screen, median ms", "95th", "most", "gap, median", "95th")
    print(table("From the server to the screen, JupyterLab", (*head, "busy"), rows), flush=True)
    return targets


if __name__ == "__main__":
    print(*report(), sep="\n")
