"""What watches a run never fails it: its own failure is logged once, and the run goes on."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, Runner, function_tool, load_run, recording, show
from agentstream.notebook.terminal import TerminalView
from agentstream.testing import ScriptedModel, call, say
from agentstream.trace import Trace
from tests.notebook.hostile import CONTROL_SEQUENCES


@function_tool
def look() -> str:
    """Look."""
    return "seen"


def agent(text: str = "Good morning, and a long day to you.") -> Agent[Any]:
    return Agent(name="Guide", tools=[look], model=ScriptedModel([call("look"), say(text)]))


def failing(*_: Any) -> None:
    raise ValueError("the watcher's own fault")


async def test_a_failing_watcher_and_observer_leave_the_run_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    result = Runner.run_streamed(agent(), "Hello")
    seen: list[Any] = []
    result.observe(failing)
    result.observe(lambda event: failing(event))
    result.observe(seen.append)
    async for _ in result.stream_events():
        pass
    assert result.final_output == "Good morning, and a long day to you."
    assert result.trace.status == "completed"
    await result.wait()
    assert [type(one).__name__ for one in seen][-2:] == ["RunFinished", "RunClosed"]
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 2  # each observer's once
    assert all("the run goes on" in record.message for record in told)
    assert all("the watcher's own fault" in str(record.exc_info) for record in told)


async def test_a_failing_watcher_leaves_nested_resumed_and_played_runs_as_they_are(
    tmp_path: Path,
) -> None:
    helper = Agent(name="Helper", model=ScriptedModel(["help"]))
    tool = helper.as_tool(tool_name="helper", tool_description="Helps")

    @function_tool(needs_approval=True)
    def pay() -> str:
        return "paid"

    model = ScriptedModel([[call("helper", input="?"), call("pay")], "done"])
    with recording(tmp_path / "run.jsonl"):
        result = Runner.run_streamed(Agent(name="A", tools=[tool, pay], model=model), "go")
        result.observe(failing)
        async for _ in result.stream_events():
            pass
        result.context_wrapper.approve_tool(result.interruptions[0])
        result.resume()
        async for _ in result.stream_events():
            pass
    assert result.final_output == "done"
    played = load_run(tmp_path / "run.jsonl").play()
    played.observe(failing)
    async for _ in played.stream_events():
        pass
    assert played.trace.status == "completed"


class Broken(io.StringIO):
    """Standard output that has gone, as behind `| head`."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError("Broken pipe")
        return super().write(text)


@pytest.mark.parametrize("after", [0, 1, 5])
async def test_a_terminal_that_has_gone_does_not_end_the_run(
    after: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(after))
    result = await show(agent(), "Hello", table=True)
    assert result.final_output == "Good morning, and a long day to you."
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1


async def test_a_view_that_fails_says_so_in_a_line_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(TerminalView, "_card", failing)
    result = await show(agent(), "Hello")
    assert result.trace.status == "completed"
    written = capsys.readouterr().out
    assert written.count("[This view failed (ValueError: the watcher's own fault)") == 1
    assert "Good morning, and a long day to you." in written


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
@pytest.mark.parametrize("text", CONTROL_SEQUENCES, ids=ascii)
async def test_no_text_ends_a_run_that_is_shown_in_a_terminal(
    text: str, encoding: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raw = io.BytesIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        result = await show(agent(f"so {text} it is"), "Hello")
        sys.stdout.flush()
    assert result.final_output == f"so {text} it is"
    assert b"Guide" in raw.getvalue()
    assert b"it is" in raw.getvalue()
    assert caplog.records == []


def test_text_of_an_error_that_no_encoding_holds_is_shown() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8")
    trace = Trace()
    view = TerminalView(trace, out)
    trace.finish(1.0, "failed", "ValueError: \udce9.txt")
    view.close()
    out.flush()
    assert raw.getvalue().decode() == "[failed: ValueError: \ufffd.txt]\n"
