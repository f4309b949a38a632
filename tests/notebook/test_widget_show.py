"""What is pressed at the page reaches the cell that waits, however soon it is pressed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentstream import Agent, Runner, RunResultStreaming, function_tool
from agentstream.notebook import place
from agentstream.notebook.source import Source
from agentstream.notebook.widget_show import ShownWidget
from agentstream.testing import ScriptedModel, call


@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    """Delete a file."""
    return f"{name} is gone"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is displayed: there is no notebook."""
    displayed: list[dict[str, Any]] = []
    monkeypatch.setattr(place, "publish", lambda data, **_: displayed.append(data))
    return displayed


def asking() -> tuple[RunResultStreaming, ShownWidget]:
    """A run that is about to pause for an approval, and its widget."""
    model = ScriptedModel([call("delete_file", name="a"), "Tidy."])
    result = Runner.run_streamed(Agent(name="Cleaner", tools=[delete_file], model=model), "Tidy up")
    return result, ShownWidget(Source(result))


def press(widget: ShownWidget, kind: str) -> None:
    """Press the button of the call that waits, at a page that has just asked for the run."""
    (waiting,) = widget.source.result.interruptions
    widget._hear(widget, {"kind": "keyframe"}, [])
    widget._hear(widget, {"kind": kind, "call_id": waiting.call_id}, [])


async def waits(widget: ShownWidget) -> None:
    while not widget.source.waits:
        await asyncio.sleep(0)


async def read(widget: ShownWidget) -> list[str]:
    return [event.type async for event in widget]


async def watch(widget: ShownWidget) -> list[str]:
    await widget
    return []


@pytest.mark.parametrize("following", [watch, read])
@pytest.mark.parametrize("kind", ["approve", "reject"])
async def test_a_press_counts_while_the_cell_still_looks_for_the_page(
    shown: list[dict[str, Any]], following: Any, kind: str
) -> None:
    result, widget = asking()
    cell = asyncio.create_task(following(widget))
    await waits(widget)
    await asyncio.sleep(0.01)
    press(widget, kind)
    async with asyncio.timeout(20):
        await cell
    assert result.final_output == "Tidy."
    assert "text/html" in shown[-1]


@pytest.mark.parametrize("following", [watch, read])
async def test_a_press_counts_before_the_cell_knows_of_the_pause(
    shown: list[dict[str, Any]], following: Any
) -> None:
    result, widget = asking()

    def at_once() -> None:
        if result.interruptions and widget.source.waits:
            press(widget, "approve")

    result.watch(at_once)
    async with asyncio.timeout(20):
        await following(widget)
    assert result.final_output == "Tidy."
    assert "text/html" in shown[-1]
