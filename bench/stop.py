"""How soon a run obeys, and how soon a page is whole: interrupts, reloads, second views.

Run ``python -m bench.stop``. An interrupt goes to a kernel as its front end sends it (a signal);
the cell notes when it got the word. A reload and a second view are timed in JupyterLab in Chromium,
from the moment that their cells are on the page until the run shows all words that it had before.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from tests.browser.lab import Notebook, Server
from tests.browser.runs import SETUP, wait_for_words

from .kernel import Kernel
from .page import lab
from .table import Target, table

_HANGING = """
from agentstream.models.base import Model
class Hanging(Model):
    async def get_response(self, *args, **kwargs):
        raise NotImplementedError
    async def stream_response(self, *args, **kwargs):
        await asyncio.Event().wait()
        yield

@function_tool
async def wait() -> str:
    "Wait for ever."
    await asyncio.Event().wait()
    return ""

silent = Agent(name="Silent", model=Hanging())
waiting = Agent(name="Waiting", tools=[wait], model=ScriptedModel([call("wait")], loop=True))
"""

_CELL = """
try:
    await show({agent}, "A question")
finally:
    ended = time.time()
"""

AGENTS = {
    "while text streams": "poet(20000)",
    "while the model is silent": "silent",
    "while a tool works": "waiting",
}

# Looks at each animation frame: is the place there, and does a run in it hold the word?
_WATCH = """(place, word) => {
    const state = window.whole = {};
    const look = () => {
        if (document.querySelector(place)) state.began ??= performance.now();
        const runs = [...document.querySelectorAll(place + " .as-run.as-live")];
        if (runs.some(run => run.textContent.includes(word))) state.ended = performance.now();
        else requestAnimationFrame(look);
    };
    look();
}"""


def interrupts(rounds: int) -> dict[str, list[float]]:
    """Seconds from the signal to the end of the cell's ``await show(...)``."""
    found: dict[str, list[float]] = {}
    with Kernel() as kernel:
        kernel.run(SETUP + _HANGING)
        for _ in range(rounds):
            for name, agent in AGENTS.items():
                sent = kernel.interrupt(_CELL.format(agent=agent), after=1.0)
                found.setdefault(name, []).append(kernel.value("ended") - sent)
    return found


def _whole(page: Any) -> float:
    page.wait_for_function("() => window.whole?.ended", timeout=60_000)
    return float(page.evaluate("() => window.whole.ended - window.whole.began")) / 1e3


def _second_view(notebook: Notebook, word: str) -> float:
    notebook.page.evaluate(f"({_WATCH})('.jp-LinkedOutputView', {word!r})")
    notebook.new_view(1)
    return _whole(notebook.page)


def _reloaded(notebook: Notebook, word: str) -> float:
    watch = f"({_WATCH})('.jp-Notebook .jp-CodeCell', {word!r})"
    # Before anything else of the page that is about to be loaded.
    notebook.page.add_init_script(f"addEventListener('DOMContentLoaded', () => {watch})")
    notebook.reload()
    return _whole(notebook.page)


def pages(server: Server, context: Any, rounds: int) -> dict[str, list[float]]:
    """Seconds until a reloaded page and a second view hold the whole run."""
    found: dict[str, list[float]] = {"a reloaded page": [], "a second view": []}
    for _ in range(rounds):
        page = context.new_page()
        notebook = Notebook(page, server)
        notebook.open(server.write(SETUP, "view = show(poet(20000), 'A poem')\nview"))
        notebook.start()
        notebook.wait_for_end(1)
        shown = wait_for_words(notebook, 1, 500)[-2]
        found["a second view"].append(_second_view(notebook, f"word{shown} "))
        notebook.save()
        found["a reloaded page"].append(_reloaded(notebook, f"word{shown} "))
        page.close()
        server.shut_down_kernels()
        time.sleep(1)
    return found


def report(rounds: int = 5) -> list[Target]:
    """Print the table; return the targets."""
    stopped = interrupts(rounds)
    with lab() as (server, context):
        whole = pages(server, context, rounds)
    rows = [
        (name, statistics.median(times), max(times)) for name, times in (stopped | whole).items()
    ]
    print(table("Until it is done, s", ("", "median", "longest"), rows), flush=True)
    targets = [
        Target(f"interrupt {name}, s", statistics.median(times), 0.3)
        for name, times in stopped.items()
    ]
    for name, times in whole.items():
        targets.append(Target(f"{name} is whole after, s", statistics.median(times), 1.0))
    return targets


if __name__ == "__main__":
    print("", *report(), sep="\n")
