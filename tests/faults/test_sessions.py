"""Sessions at fault: writers that are killed, a file that is locked or damaged under a run."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentstream import Agent, Runner, function_tool
from agentstream.notebook.snapshot.bundle import snapshot
from agentstream.sessions import SessionLockedError, SessionStorageError, SQLiteSession, database
from agentstream.testing import ScriptedModel, call, turn

WRITERS = """
import asyncio, json, os, random, signal, sys, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork of a threaded process
from agentstream.sessions import SQLiteSession

path, batch, batches, deaths = sys.argv[1], 10, 500, 10

def write(name, first, count, pipe):
    "Write batches of items; tell each when it is acknowledged."
    async def main():
        session = SQLiteSession("shared", path)
        for number in range(first, first + count):
            await session.add_items(
                [{"by": name, "n": number, "part": part} for part in range(batch)])
            os.write(pipe, number.to_bytes(4, "big"))
    asyncio.run(main())

def writer(name, first, count):
    reader, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        write(name, first, count, pipe)
        os._exit(0)
    os.close(pipe)
    return child, reader

def told(reader, least=None):
    "Read acknowledgements: all until the writer's end, or at least so many."
    found = []
    while least is None or len(found) < least:
        data = os.read(reader, 4)
        if len(data) < 4:
            break
        found.append(int.from_bytes(data, "big"))
    return found

steady, steadys = writer("steady", 0, batches)
mortals, at = [], 0
for life in range(deaths):
    child, reader = writer("mortal", at, batches)
    mortals += told(reader, batches // (deaths + 1))
    time.sleep(random.Random(life).random() * 0.003)
    os.kill(child, signal.SIGKILL)  # most likely in the middle of a write
    os.waitpid(child, 0)
    mortals += told(reader)
    at = mortals[-1] + 1000  # a batch that was cut short, or not told, is not written again
child, reader = writer("mortal", at, batches - len(mortals))
mortals += told(reader)
print(json.dumps({"steady": told(steadys), "mortal": mortals}))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_two_processes_write_10000_items_and_one_of_them_is_killed_ten_times(path: Path):
    """Every acknowledged item is there, in order, none twice; a write cut short left nothing."""
    ended = subprocess.run(
        [sys.executable, "-c", WRITERS, str(path)],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=Path(__file__).parents[2],
    )
    assert ended.stderr == ""
    told = json.loads(ended.stdout)
    with closing(SQLiteSession("shared", path)) as session:
        items: list[Any] = asyncio.run(session.get_items())
    assert sum(map(len, told.values())) * 10 == 10_000
    for name, acknowledged in told.items():
        assert len(acknowledged) == 500
        mine = [(item["n"], item["part"]) for item in items if item["by"] == name]
        numbers = sorted({n for n, _ in mine})
        assert mine == [(n, part) for n in numbers for part in range(10)], "whole, in order, once"
        assert set(acknowledged) <= set(numbers)
        # What was written in the moment of a death may not have been told.
        assert len(numbers) - len(acknowledged) <= (10 if name == "mortal" else 0)
    with closing(sqlite3.connect(path)) as raw, raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


# --- under a run -------------------------------------------------------------------------------


def agent(*turns: Any) -> Agent[Any]:
    return Agent(name="A", model=ScriptedModel(list(turns)))


@pytest.fixture
def session(path: Path) -> Iterator[SQLiteSession]:
    with closing(SQLiteSession("one", path)) as session:
        yield session


async def test_a_file_that_another_kernel_holds_ends_the_run_with_all_that_arrived(
    path: Path, session: SQLiteSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    other = sqlite3.connect(path, isolation_level=None)

    class Late(ScriptedModel):
        """The other kernel takes the file while the model answers."""

        def stream_response(self, *args: Any, **kwargs: Any) -> Any:
            other.execute("BEGIN IMMEDIATE")
            return super().stream_response(*args, **kwargs)

    model = Late(["The tram goes up there."])
    result = Runner.run_streamed(Agent(name="A", model=model), "How?", session=session)
    with pytest.raises(SessionLockedError, match="Close the other program or kernel") as caught:
        await asyncio.wait_for(result.wait(), 20)
    [message] = caught.value.run_data.new_items  # type: ignore[union-attr]
    assert message.raw_item.content[0].text == "The tram goes up there."
    shown = snapshot(result.trace)["text/plain"]
    assert "The tram goes up there." in shown
    assert "Failed: SessionLockedError" in shown
    other.execute("ROLLBACK")
    other.close()
    await session.add_items([item.to_input_item() for item in result.new_items])
    assert len(await session.get_items()) == 2, "the question was there, the answer is by now"


async def test_a_file_that_is_damaged_under_a_run_is_named(path: Path, session: SQLiteSession):
    await session.add_items([{"role": "user", "content": "x" * 5_000} for _ in range(50)])
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    content = bytearray(path.read_bytes())
    content[16384:] = b"\x7f" * (len(content) - 16384)
    path.write_bytes(content)
    with pytest.raises(SessionStorageError, match=r"damaged.*\.recover"):
        await Runner.run(agent("Never."), "Hello", session=session)


async def test_a_file_that_is_removed_under_a_run_is_named(path: Path, session: SQLiteSession):
    class Removing(ScriptedModel):
        async def get_response(self, *args: Any, **kwargs: Any) -> Any:
            path.unlink()
            return await super().get_response(*args, **kwargs)

    asked = Agent(name="A", model=Removing(["An answer."]))
    with pytest.raises(SessionStorageError, match="deleted, moved or replaced") as caught:
        await Runner.run(asked, "Hello", session=session)
    assert len(caught.value.run_data.new_items) == 1  # type: ignore[union-attr]


async def test_a_run_that_is_stopped_leaves_whole_turns_in_its_session(session: SQLiteSession):
    """A call without its output would be refused by the model's server in the next run."""

    async def hang() -> None:
        await asyncio.sleep(60)

    stopped = Agent(
        name="A",
        tools=[function_tool(hang)],
        model=ScriptedModel([turn("A moment.", call("hang")), "Never."]),
    )
    result = Runner.run_streamed(stopped, "Go", session=session)
    while not any(part.run_started is not None for part in result.trace.parts):
        await asyncio.sleep(0.005)
    result.cancel()
    await result.wait()
    kept = await session.get_items()
    calls = [item.get("call_id") for item in kept if item.get("type") == "function_call"]
    answers = [item.get("call_id") for item in kept if item.get("type") == "function_call_output"]
    assert calls == answers
    model = ScriptedModel(["Going on."])
    again = await Runner.run(Agent(name="A", model=model), "And now?", session=session)
    assert again.final_output == "Going on."


async def test_two_runs_at_once_on_one_session_keep_all_items_of_both(path: Path):
    with closing(SQLiteSession("one", path)) as first, closing(SQLiteSession("one", path)) as other:
        await asyncio.gather(
            *(
                Runner.run(agent(f"Answer {n}."), f"Question {n}", session=session)
                for n, session in enumerate([first, other] * 4)
            )
        )
        kept = json.dumps(await first.get_items())
    for n in range(8):
        assert kept.count(f"Question {n}") == 1
        assert kept.count(f"Answer {n}.") == 1
