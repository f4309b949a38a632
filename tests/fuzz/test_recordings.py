"""A recording from anybody: it is read, or refused with a RecordingError; what is read is shown."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentstream import (
    Agent,
    RecordedModel,
    RecordingError,
    Runner,
    function_tool,
    load_run,
    recording,
)
from agentstream.exceptions import AgentsException
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.recordings.file_format import read_recording
from agentstream.testing import (
    ScriptedModel,
    call,
    fail,
    hand_off,
    run_code,
    think,
    turn,
    web_search,
)
from tests.fuzz.strange import change_a_value, change_bytes, examples, is_linear


@function_tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}"


@function_tool(needs_approval=True)
def book(seats: int) -> str:
    """Book a table."""
    return f"{seats} seats"


def guides() -> Agent[Any]:
    """Agents of whom a run is made in which everything happens."""
    inner = Agent(name="Poet", model=ScriptedModel([turn(think("Hm."), "Rain.")]))
    booking = Agent(
        name="Booking", tools=[book], model=ScriptedModel([call("book", seats=2), "Done."])
    )
    first = turn(think("Let me see."), "I **look**.", call("weather", city="Lisbon"))
    second = turn(web_search("trams"), run_code("1 + 1"), call("ask_poet", input="A line"))
    return Agent(
        name="Guide",
        instructions="Guide them.",
        tools=[weather, inner.as_tool("ask_poet", "Ask the poet.")],
        handoffs=[booking],
        model=ScriptedModel([first, second, hand_off("Booking")]),
    )


@cache
def whole() -> bytes:
    """The recording of three runs: one with all there is, one that fails, one in one piece."""
    import tempfile

    path = Path(tempfile.mkdtemp()) / "whole.jsonl"

    async def record() -> None:
        with recording(path):
            agent = guides()
            result = Runner.run_streamed(agent, "Go")
            async for _ in result.stream_events():
                pass
            state = result.to_state()
            for waiting in result.interruptions:
                state.approve(waiting)
            async for _ in Runner.run_streamed(agent, state).stream_events():
                pass
            failing = Agent(name="F", model=ScriptedModel([turn("Half", fail("No more."))]))
            with pytest.raises(AgentsException):
                async for _ in Runner.run_streamed(failing, "Go").stream_events():
                    pass
            await Runner.run(Agent(name="W", model=ScriptedModel(["Whole."])), "Go")

    asyncio.run(record())
    content = path.read_bytes()
    path.unlink()
    assert len(read_lines(content)) > 60
    return content


def read_lines(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.splitlines()]


async def look_at(path: Path) -> int:
    """Read, show, tabulate, draw and play all runs; how many could be read."""
    seen = 0
    try:
        count = len(read_recording(path).runs)
    except RecordingError:
        count = 1
    for number in range(min(count, 5)):
        try:
            run = load_run(path, number, speed=None)
        except RecordingError:
            continue
        seen += 1
        for table in ("items", "turns", "events", "spans"):
            run.to_frame(table)
        run.timeline().svg()
        shown = snapshot(run.trace, table=True, timeline=True)
        assert "<script" not in shown["text/html"].partition("</style>")[2]
        repr(run), str(run.final_output), run.to_input_list()
        with suppress(AgentsException):
            async with asyncio.timeout(20):
                async for _ in run.play().stream_events():
                    pass
    return seen


def written(path: Path, lines: list[Any]) -> Path:
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return path


def test_the_recording_that_is_changed_below_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "whole.jsonl"
    path.write_bytes(whole())
    assert asyncio.run(look_at(path)) == 3


@examples(30)
@given(data=st.data())
def test_a_recording_with_changed_values_is_read_or_refused(
    data: st.DataObject, tmp_path: Path
) -> None:
    lines = read_lines(whole())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(1, len(lines) - 1))
        if not isinstance(lines[at], (dict, list)):
            continue
        lines[at] = change_a_value(lines[at], data)
    asyncio.run(look_at(written(tmp_path / "changed.jsonl", lines)))


@examples(30)
@given(data=st.data())
def test_a_recording_with_changed_bytes_is_read_or_refused(
    data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "changed.jsonl"
    path.write_bytes(change_bytes(whole(), data))
    asyncio.run(look_at(path))


@examples(30)
@given(data=st.data())
def test_a_changed_recording_answers_a_run_or_refuses(data: st.DataObject, tmp_path: Path) -> None:
    lines = read_lines(whole())
    at = data.draw(st.integers(1, len(lines) - 1))
    lines[at] = change_a_value(lines[at], data)
    path = written(tmp_path / "changed.jsonl", lines)
    agent = Agent(name="W")

    async def ask() -> None:
        agent.model = RecordedModel("ScriptedModel", path, mode="replay", speed=None)
        result = Runner.run_streamed(agent, "Go")
        async for _ in result.stream_events():
            pass

    with suppress(AgentsException):
        asyncio.run(ask())


def big(path: Path, count: int) -> Path:
    """A recording of one run with `count` calls, each asked with one message more."""
    lines: list[Any] = [{"agentstream": "recording", "version": 1}]
    lines.append({"run": 1, "at": 0, "mark": {"type": "mark.run_started", "agent": "A"}})
    usage = {"requests": 1, "input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    for number in range(1, count + 1):
        request: dict[str, Any] = {"call": number, "digest": str(number), "request": {"input": [1]}}
        if number > 1:
            request |= {"like": number - 1, "keep": number - 1}
        answer = {"output": [], "usage": usage, "response_id": str(number)}
        lines += [
            request,
            {"call": number, "at": 0.1, "answer": answer},
            {"run": 1, "at": number, "call": number},
            {"run": 1, "at": number, "mark": {"type": "mark.model_called", "agent": "A"}},
            {
                "run": 1,
                "at": number,
                "mark": {"type": "mark.model_answered", "response_id": str(number)},
            },
        ]
    lines.append({"run": 1, "at": count, "mark": {"type": "mark.run_finished"}})
    return written(path, lines)


@pytest.mark.slow
def test_a_run_of_many_calls_is_read_in_linear_time(tmp_path: Path) -> None:
    paths = {count: big(tmp_path / f"{count}.jsonl", count) for count in (500, 2_000)}
    assert is_linear(lambda count: load_run(paths[count], speed=None), 500)


@pytest.mark.parametrize(
    "row", [b"[" * 1_000_000, b'{"a":' * 200_000, b"x" * 5_000_000, b'"' + b"a" * 5_000_000]
)
def test_a_line_of_anything_is_damage_and_no_crash(row: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(whole() + row)
    assert read_recording(path).damage_is_last
    assert len(load_run(path, 0).to_frame()) > 5
    path.write_bytes(row)
    with pytest.raises(RecordingError, match="is no recording"):
        read_recording(path)
