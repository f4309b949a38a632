"""Runs for the notebooks of these tests: no network, and as fast as each test needs."""

from __future__ import annotations

from typing import Any

from tests.browser.lab import Notebook, until

SETUP = '''
import asyncio, time
from agentstream import Agent, Runner, function_tool, show
from agentstream.testing import Pace, ScriptedModel, call, hand_off, say, think, turn

def words(count):
    return " ".join(f"word{number}" for number in range(count)) + " **theend**"

def poet(count=300, speed=100, name="Poet"):
    """An agent that writes `count` words, each some two tokens long, `speed` tokens a second."""
    return Agent(name=name, model=ScriptedModel([words(count)], loop=True, pace=Pace(speed, 0.1)))
'''

LIVE = ".as-run.as-live"
"""The widget, as long as the run goes on and after it where no still picture replaced it."""


def words_of(text: str) -> list[int]:
    """Numbers of the words of a `poet` that are shown."""
    return [
        int(word.removeprefix("word"))
        for word in text.split()
        if word.startswith("word") and word.removeprefix("word").isdigit()
    ]


def wait_for_words(notebook: Notebook, cell: int, count: int) -> list[int]:
    """Wait until at least `count` words are shown below a cell."""

    def enough() -> list[int]:
        found = words_of(notebook.text(cell))
        return found if len(found) >= count else []

    return list(until(enough, f"{count} words below cell {cell}"))


def errors(notebook: Notebook, cell: int) -> list[str]:
    """Tracebacks below a cell."""
    return [
        "\n".join(output["traceback"]) or output["ename"]
        for output in notebook.outputs(cell)
        if output["output_type"] == "error"
    ]


def rich(notebook: Notebook, cell: int) -> dict[str, Any]:
    """The one rich output of a cell."""
    found = [one for one in notebook.outputs(cell) if "data" in one]
    assert len(found) == 1, [sorted(one["data"]) for one in found]
    return dict(found[0]["data"])


def is_still(notebook: Notebook, cell: int) -> bool:
    """Whether a cell shows a still picture, and no widget any more."""
    data = rich(notebook, cell)
    return "text/html" in data and "application/vnd.jupyter.widget-view+json" not in data


def wait_for_still(notebook: Notebook, cell: int) -> str:
    """Wait until the still picture is there; its text as it is shown."""
    until(lambda: is_still(notebook, cell), f"the still picture of cell {cell}")
    notebook.until(
        "() => !document.querySelector('.jp-Notebook .as-run.as-live')", "the widget is gone"
    )
    return notebook.text(cell)


def status(notebook: Notebook, cell: int) -> str:
    """Run a cell that prints something, and read it."""
    notebook.run(cell)
    return notebook.text(cell).strip()
