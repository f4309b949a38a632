"""A page that answers late, or is heard late: it keeps the live view if it did answer in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from tests.notebook.clients import Page
from tests.notebook.kernel import Kernel

SETUP = """
import asyncio, time
from agentstream import Agent, function_tool, show
from agentstream.testing import Pace, ScriptedModel, call
from agentstream.notebook import show_widget
show_widget._PATIENCE["html"] = 1.0

@function_tool
async def block(seconds: float) -> str:
    "Hold the loop."
    time.sleep(seconds)
    return "done"

@function_tool
async def wait(seconds: float) -> str:
    "Leave the loop free."
    await asyncio.sleep(seconds)
    return "done"

@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    "Delete a file."
    return "gone"

def agent(*script, pace=None):
    tools = [block, wait, delete_file]
    return Agent(name="Poet", tools=tools, model=ScriptedModel(list(script), pace=pace))

said = "word " * 60 + "theend"
pace = Pace(len(said) / 5 / 1.5, 0.01)
"""


class Late(Page):
    """A page that takes some time to load the view."""

    loads_in = 0.3
    _asks: float | None = None

    def take(self, message: Any, kind: str, content: Any) -> None:
        if kind == "display_data" and "widget-view" in str(content):
            self._asks = time.monotonic() + self.loads_in
        if kind == "display_data":
            super(Page, self).take(message, kind, content)  # it does not ask yet
        else:
            super().take(message, kind, content)

    def tick(self) -> None:
        if self._asks is not None and time.monotonic() > self._asks:
            self._asks, self._since = None, time.monotonic()
            self.say({"kind": "keyframe", "page": "page"})
        super().tick()


class LateClassic(Late):
    """Notebook 6, nbclassic: shows widgets, and names no cells."""

    cell_metadata: ClassVar[dict[str, Any]] = {}


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.run(SETUP, 90)
    yield kernel
    kernel.close()


@pytest.fixture
def client(kernel: Kernel) -> Iterator[Callable[[type[Late]], Any]]:
    made: list[Late] = []

    def make(kind: type[Late]) -> Any:
        made.append(kind(kernel))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_cell_does_not_wait_for_buttons_that_a_snapshot_has_replaced(
    client: Callable[..., Any], kernel: Kernel
) -> None:
    page = client(Late)
    page.loads_in = 1.5
    script = "call('wait', seconds=2.5), call('delete_file', name='a'), 'Tidy.'"
    try:
        page.run(f"r = await show(agent({script}), 'Tidy up')", 12)
    except AssertionError:
        kernel.manager.interrupt_kernel()
        raise
    assert "delete_file" in page.seen("text/html")
    assert "widget-view" not in str([shown[-1] for shown in page.displays.values()])
    assert not page.errors


def test_a_page_that_asked_while_the_loop_was_blocked_keeps_the_live_view(
    client: Callable[..., Any],
) -> None:
    page = client(Late)
    page.run("r = await show(agent(call('block', seconds=2), said, pace=pace), 'A line')")
    (shown,) = page.displays.values()
    assert len(shown) == 2  # the widget, and the snapshot in the end
    assert page.frames > 10


def test_it_is_not_taken_for_a_console_either(client: Callable[..., Any]) -> None:
    page = client(LateClassic)
    page.run("r = await show(agent(call('block', seconds=2), said, pace=pace), 'A line')", more=0.5)
    assert not page.text
    page.run("from agentstream.notebook.front_end import _without_widgets as w\nprint(len(w))")
    assert page.text == "0\n"


def test_a_page_has_as_long_to_load_before_an_approval_as_before_a_snapshot(
    client: Callable[..., Any],
) -> None:
    page = client(Late)
    page.loads_in, page.press = 2.7, (0.5, {"kind": "stop"})
    page.run("show_widget._PATIENCE['html'] = 4.0")
    try:
        page.run(
            "view = show(agent(call('delete_file', name='a'), 'Tidy.'), 'Tidy up')\nawait view"
        )
        page.run("print(view._visibility.is_loaded, view.trace.status)")
    finally:
        text = page.text
        page.run("show_widget._PATIENCE['html'] = 1.0")
    assert text == "True cancelled\n"


def test_a_cell_is_at_work_after_it_has_run_another(client: Callable[..., Any]) -> None:
    """Else it would be taken to have ended, and its pages' silence to mean that nobody is there."""
    page = client(Late)
    page.run("from agentstream.notebook.cells import is_at_work\nr = is_at_work()")
    page.run("run = get_ipython().run_cell\nr = run('r = run(\"1\")')\nprint(is_at_work())")
    assert page.text == "True\n"
    page.run(
        "async def look():\n"
        "    await asyncio.sleep(0.2)\n"
        "    seen.append(is_at_work())\n"
        "seen = []\n"
        "task = asyncio.create_task(look())",
        more=0.6,
    )
    page.run("print(seen)")
    assert page.text == "[False]\n"
