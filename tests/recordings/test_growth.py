"""What recordings, sessions and saved runs cost grows as they do: work is counted, no seconds."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, Runner, SQLiteSession, function_tool, load_run, recording
from agentstream.recordings import recorder as recorder_module
from agentstream.recordings.recorder import Recorder
from agentstream.run.state.run_state import RunState
from agentstream.testing import ScriptedModel, call
from tests.work import growth

LINEAR = 4.8
"""Four times the size may cost so many times the work; quadratic were sixteen."""

names = itertools.count()


@function_tool
def work(at: int) -> str:
    """Work."""
    return str(at)


def requests(n: int, *, settings: str) -> list[dict[str, Any]]:
    told = {"equal": lambda at: "Work.", "two": lambda at: f"{at % 2}", "other": str}[settings]
    return [{"model": "m", "instructions": told(at), "input": []} for at in range(n)]


@pytest.mark.parametrize("settings", ["equal", "two", "other"])
def test_beginning_a_call_costs_the_same_however_many_there_are(
    settings: str, tmp_path: Path
) -> None:
    def writing(n: int) -> Callable[[], object]:
        recorder = Recorder(tmp_path / f"{next(names)}.jsonl", "record")
        asked = requests(n, settings=settings)

        def write() -> None:
            for request in asked:
                recorder.new_run()
                recorder.open_call(request, None, None)
            recorder.close()

        return write

    assert growth(writing, 60) < LINEAR


def written(path: Path, n: int, kind: str) -> Path:
    """A recording of n of a kind."""
    calls = {
        "calls": [[call("work", at=at) for at in range(n)], "Done."],
        "turns": [*(call("work", at=at) for at in range(n)), "Done."],
        "runs": ["Done."],
        "equal runs": ["Done."],
    }[kind]
    with recording(path):
        for at in range(n if "runs" in kind else 1):
            agent = Agent(name=f"A{at}", model=ScriptedModel(calls), tools=[work])
            asked = "go" if "equal" in kind else f"go {at}"
            Runner.run_sync(agent, asked, max_turns=n + 2)
    return path


@pytest.mark.parametrize("kind", ["calls", "turns", "runs", "equal runs"])
def test_reading_a_recording_costs_as_much_as_there_is(kind: str, tmp_path: Path) -> None:
    def reading(n: int) -> Callable[[], object]:
        path = written(tmp_path / f"{next(names)}.jsonl", n, kind)
        return lambda: load_run(path)

    # Each turn is asked with all that came before it: that much is in the file.
    assert growth(reading, 15) < (LINEAR if kind != "turns" else 8)


def test_a_recording_of_calls_that_all_have_one_id_is_read_in_time(tmp_path: Path) -> None:
    def reading(n: int) -> Callable[[], object]:
        path = written(tmp_path / f"{next(names)}.jsonl", n, "calls")
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        path.write_text(
            "".join(json.dumps(one_id(line)) + "\n" for line in lines), encoding="utf-8"
        )
        return lambda: load_run(path)

    assert growth(reading, 15) < LINEAR


def one_id(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "c" if k == "call_id" else one_id(entry) for k, entry in value.items()}
    return [one_id(entry) for entry in value] if isinstance(value, list) else value


def test_finding_equal_requests_costs_the_same_however_many_there_are(tmp_path: Path) -> None:
    def finding(n: int) -> Callable[[], object]:
        path = tmp_path / f"{next(names)}.jsonl"
        lines: list[dict[str, Any]] = [{"agentstream": "recording", "version": 1}]
        request = {"model": "m", "input": []}
        for number in range(1, n + 1):
            key = recorder_module.digest(request)
            lines += [
                {"call": number, "digest": key, "request": request},
                {"call": number, "at": 0.1, "answer": {"output": []}},
            ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        recorder = Recorder(path, "replay")

        def find() -> None:
            found = [recorder.find(request) for _ in range(n)]
            assert len({id(call) for call in found}) == n

        return find

    assert growth(finding, 60) < LINEAR


def test_reading_a_session_costs_as_much_as_it_has() -> None:
    def reading(n: int) -> Callable[[], object]:
        session = SQLiteSession("s")
        items: Any = [{"role": "user", "content": f"{at}"} for at in range(n)]
        asyncio.run(session.add_items(items))

        def read() -> None:
            loop = asyncio.new_event_loop()
            assert len(loop.run_until_complete(session.get_items())) == n
            loop.close()

        return read

    assert growth(reading, 60) < LINEAR


@pytest.mark.parametrize("same", [False, True])
def test_reading_a_saved_run_costs_as_much_as_it_has(same: bool) -> None:
    def reading(n: int) -> Callable[[], object]:
        answer = [call("work", at=at) for at in range(n)]
        agent = Agent(name="A", model=ScriptedModel([answer, "Done."]), tools=[work])
        plain = json.loads(Runner.run_sync(agent, "go").to_state().to_string())
        plain = one_id(plain) if same else plain
        return lambda: asyncio.run(RunState.from_json(agent, plain))

    assert growth(reading, 15) < LINEAR
