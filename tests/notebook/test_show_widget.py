"""What is pressed at the page reaches the cell that waits, however soon it is pressed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from agentstream import Agent, Runner, RunResultStreaming, function_tool
from agentstream._approvals import approval_id
from agentstream.notebook import cards, ipython
from agentstream.notebook.run_adapter import RunAdapter, RunInterrupted
from agentstream.notebook.show import TerminalRun
from agentstream.notebook.show_widget import RunWidget
from agentstream.testing import ScriptedModel, call, say, stall, turn


@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    """Delete a file."""
    return f"{name} is gone"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is displayed: there is no notebook."""
    displayed: list[dict[str, Any]] = []
    monkeypatch.setattr(ipython, "publish", lambda data, *_, **__: displayed.append(data))
    return displayed


def asking() -> tuple[RunResultStreaming, RunWidget]:
    """A run that is about to pause for an approval, and its widget."""
    model = ScriptedModel([call("delete_file", name="a"), "Tidy."])
    result = Runner.run_streamed(Agent(name="Cleaner", tools=[delete_file], model=model), "Tidy up")
    return result, RunWidget(RunAdapter(result))


def press(widget: RunWidget, kind: str) -> None:
    """Press the button of the call that waits, at a page that has just asked for the run."""
    (waiting,) = widget.source.result.interruptions
    widget._on_message(widget, {"kind": "keyframe"}, [])
    widget._on_message(widget, {"kind": kind, "approval_id": approval_id(waiting)}, [])


async def waits(widget: RunWidget) -> None:
    while not widget.source.waits:
        await asyncio.sleep(0)


async def read(widget: RunWidget) -> list[str]:
    return [event.type async for event in widget]


async def watch(widget: RunWidget) -> list[str]:
    await widget
    return []


@pytest.mark.parametrize("view", [RunWidget, TerminalRun])
async def test_events_that_are_closed_early_have_stopped_the_run(
    shown: list[dict[str, Any]], view: Any
) -> None:
    model = ScriptedModel([turn(say("one two"), stall())])
    result = Runner.run_streamed(Agent(name="Talker", model=model), "Talk")
    async with aclosing(aiter(view(RunAdapter(result)))) as events:
        await anext(events)
    assert result.trace.status == "cancelled"
    assert result.run_loop_task is not None
    assert result.run_loop_task.done()


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

    def at_once(event: Any) -> None:
        if result.interruptions and widget.source.waits:
            press(widget, "approve")

    result.observe(at_once)
    async with asyncio.timeout(20):
        await following(widget)
    assert result.final_output == "Tidy."
    assert "text/html" in shown[-1]


async def test_a_view_that_fails_leaves_the_run_as_text_and_is_logged_once(
    shown: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise KeyError("an older renderer")

    model = ScriptedModel(["Five is <b>less</b>\n\nthan six."])
    result = Runner.run_streamed(Agent(name="Counter", model=model), "Compare")
    widget = RunWidget(RunAdapter(result))
    monkeypatch.setattr(cards, "run_body", broken)
    async with asyncio.timeout(20):
        await widget
    saved = shown[-1]["text/html"]
    assert "Five is &lt;b&gt;less&lt;/b&gt;<br>" in saved
    assert "than six." in saved
    assert "KeyError" in saved
    assert "\n\n" not in saved
    assert "than six." in shown[-1]["text/plain"]
    assert len([one for one in caplog.records if "snapshot" in one.message]) == 1


async def test_a_live_view_that_fails_is_logged_once_and_fails_neither_the_run_nor_its_snapshot(
    shown: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = ScriptedModel(["Five is less than six."])
    result = Runner.run_streamed(Agent(name="Counter", model=model), "Compare")
    widget = RunWidget(RunAdapter(result))

    def broken() -> None:
        raise KeyError("an older renderer")

    monkeypatch.setattr(widget._renderer, "update", broken)
    unhandled: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: unhandled.append(what))
    async with asyncio.timeout(20):
        for _ in range(2):  # as two frames that are due
            widget.nudge()
            while widget.is_due:
                await asyncio.sleep(0.01)
        done = await widget
    assert done.final_output == "Five is less than six."
    assert "less than six" in shown[-1]["text/html"]
    assert "as-snapshot" in shown[-1]["text/html"]
    assert unhandled == []
    assert len([one for one in caplog.records if "RunWidget" in one.message]) == 1


async def test_stop_ends_a_run_that_waits_for_an_approval(shown: list[dict[str, Any]]) -> None:
    result, widget = asking()
    cell = asyncio.create_task(watch(widget))
    await waits(widget)
    widget._on_message(widget, {"kind": "keyframe"}, [])
    widget._on_message(widget, {"kind": "stop"}, [])
    async with asyncio.timeout(20):
        await cell
    assert result.trace.status == "cancelled"
    assert "[Stopped]" in shown[-1]["text/plain"]
    assert len(result.interruptions) == 1, "code can still decide"


async def test_an_interrupt_ends_a_run_that_waits_for_an_approval(
    shown: list[dict[str, Any]],
) -> None:
    result, widget = asking()
    widget._on_message(widget, {"kind": "keyframe"}, [])
    cell = asyncio.create_task(watch(widget))
    await waits(widget)
    await asyncio.sleep(0.3)
    cell.cancel()
    with pytest.raises(RunInterrupted):
        async with asyncio.timeout(20):
            await cell
    assert result.trace.status == "cancelled"
    assert "[Stopped]" in shown[-1]["text/plain"]


async def test_the_reason_of_a_rejection_is_what_the_model_is_told(
    shown: list[dict[str, Any]],
) -> None:
    result, widget = asking()
    cell = asyncio.create_task(watch(widget))
    await waits(widget)
    id = approval_id(result.interruptions[0])
    widget._on_message(widget, {"kind": "keyframe"}, [])
    widget._on_message(widget, {"kind": "reject", "approval_id": id, "reason": " Keep a. "}, [])
    async with asyncio.timeout(20):
        await cell
    outputs = [item.output for item in result.new_items if item.type == "tool_call_output_item"]
    assert outputs == ["Keep a."]


async def test_always_approve_lets_later_calls_of_the_tool_pass(
    shown: list[dict[str, Any]],
) -> None:
    calls = [call("delete_file", name="a"), call("delete_file", name="b"), "Tidy."]
    agent = Agent(name="Cleaner", tools=[delete_file], model=ScriptedModel(calls))
    result = Runner.run_streamed(agent, "Tidy up")
    widget = RunWidget(RunAdapter(result))
    cell = asyncio.create_task(watch(widget))
    await waits(widget)
    press(widget, "always")
    async with asyncio.timeout(20):
        await cell
    assert result.final_output == "Tidy."
