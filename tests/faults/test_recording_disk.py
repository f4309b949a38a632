"""The disk is full while a run is recorded: the run goes on, and what was recorded is whole."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, RecordingError, Runner, function_tool, load_run, recording
from agentstream.recordings import file_format
from agentstream.testing import ScriptedModel, call

DEV_FULL = Path("/dev/full")


@function_tool
def look() -> str:
    return "a garden"


def agent() -> Agent[Any]:
    model = ScriptedModel([call("look"), "You are in a garden. " * 20])
    return Agent(name="Guide", model=model, tools=[look])


class Disk:
    """A disk with so many bytes left; `os` for the writer of recordings."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, file: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(file, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("streamed", [False, True], ids=["run", "streamed"])
@pytest.mark.parametrize("room", [100, 700, 1_500, 2_500])
async def test_the_run_goes_on_and_the_user_is_told_once(
    room: int,
    streamed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    path = tmp_path / "run.jsonl"
    monkeypatch.setattr(file_format, "os", Disk(room))
    with caplog.at_level(logging.WARNING, "agentstream"), recording(path):
        if streamed:
            result: Any = Runner.run_streamed(agent(), "Where am I?")
            await result.wait()
        else:
            result = await Runner.run(agent(), "Where am I?")
    assert result.final_output.startswith("You are in a garden.")
    assert caplog.text.count("is incomplete: it could not be written any further") == 1
    assert "mode='record'" in caplog.text
    assert path.read_bytes().endswith(b"\n"), "no line is cut off"
    monkeypatch.undo()
    with recording(path, mode="record"):
        again = await Runner.run(agent(), "Where am I?")
    assert again.final_output == result.final_output
    with recording(path, mode="replay", speed=0):
        replayed = await Runner.run(agent(), "Where am I?")
    assert replayed.final_output == result.final_output
    assert load_run(path, run=-1).final_output == result.final_output


async def test_a_recording_that_cannot_even_begin_is_an_error_with_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(file_format, "os", Disk(0))
    with (
        recording(tmp_path / "run.jsonl"),
        pytest.raises(RecordingError, match="No space left on device.*on a disk with room"),
    ):
        await Runner.run(agent(), "Where am I?")


@pytest.mark.skipif(not DEV_FULL.exists(), reason="/dev/full is there on Linux only")
async def test_a_device_that_is_full_is_named():
    with (
        recording(DEV_FULL, mode="refresh"),
        pytest.raises(RecordingError, match="No space left on device"),
    ):
        await Runner.run(agent(), "Where am I?")
