"""The checkpoint: a row that is done is asked no more, whatever happened in the meantime."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

import pandas as pd
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from agentstream import (
    Agent,
    OpenAIResponsesModel,
    RecordingError,
    RowError,
    RunConfig,
    UserError,
    map_frame,
    recording,
)
from agentstream.rows.checkpoint import Checkpoint
from agentstream.rows.key import agent_request
from agentstream.rows.result import RowResult
from agentstream.testing import ScriptedModel, ScriptedServer, answer, http_error

KERNEL = Path(__file__).with_name("counting_kernel.py")


def echo(request: Any) -> Any:
    return f"<{request.user_text}>"


def critic(turns: Any = echo, **settings: Any) -> Agent[Any]:
    return Agent(name="Critic", model=ScriptedModel(turns), **settings)


def frame_of(*texts: Any) -> pd.DataFrame:
    return pd.DataFrame({"review": list(texts)})


async def test_a_row_that_is_written_while_the_run_is_stopped_is_in_its_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, begun = Checkpoint.save, asyncio.Event()

    async def slow(self: Checkpoint, *values: Any) -> RowResult:
        begun.set()
        await asyncio.sleep(0.1)
        return await save(self, *values)

    monkeypatch.setattr(Checkpoint, "save", slow)
    path = tmp_path / "rows.sqlite"
    run = map_frame(critic(), frame_of("a"), "{review}", checkpoint=path)
    await begun.wait()
    run.stop()
    assert list((await run)["status"]) == ["done"]
    assert run.progress.done == 1
    again = map_frame(critic(), frame_of("a"), "{review}", checkpoint=path)
    assert list((await again)["source"]) == ["checkpoint"]


def test_the_same_call_again_asks_only_what_is_missing(tmp_path: Path) -> None:
    path, agent = tmp_path / "rows.sqlite", critic()
    map_frame(agent, frame_of("a", "b"), "{review}", checkpoint=path).wait()
    out = map_frame(agent, frame_of("c", "b", "a"), "{review}", checkpoint=path).wait()
    assert list(out["final_output"]) == ["<c>", "<b>", "<a>"]
    assert list(out["source"]) == ["asked", "checkpoint", "checkpoint"]
    assert len(agent.model.requests) == 3


def test_structured_outputs_come_back_as_they_were(tmp_path: Path) -> None:
    class Place(BaseModel):
        city: str
        tags: list[str]
        population: int

    said = answer({"city": "Oslo", "tags": ["x"], "population": 700_000})
    frames = [
        map_frame(
            critic([said], output_type=Place), frame_of("a"), "{review}", checkpoint=tmp_path / "c"
        ).wait()
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*(frame.drop(columns="source") for frame in frames))


def test_a_row_that_failed_is_asked_again_and_its_attempts_count_on(tmp_path: Path) -> None:
    path, model = tmp_path / "rows.sqlite", ScriptedModel([http_error(400), "Now."])
    agent = Agent(name="Critic", model=model)
    assert map_frame(agent, frame_of("a"), "{review}", checkpoint=path).wait()["status"][0] == (
        "failed"
    )
    out = map_frame(agent, frame_of("a"), "{review}", checkpoint=path).wait()
    assert (out["final_output"][0], out["attempts"][0]) == ("Now.", 2)


def test_another_agent_is_an_error_that_shows_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    map_frame(critic(instructions="Be kind."), frame_of("a"), "{review}", checkpoint=path).wait()
    other = critic(instructions="Be strict.")
    with pytest.raises(UserError, match="-instructions: Be kind") as caught:
        map_frame(other, frame_of("a"), "{review}", checkpoint=path).wait()
    assert "+instructions: Be strict." in str(caught.value)
    assert "on_change='keep'" in str(caught.value)
    assert other.model.requests == []


def test_another_prompt_is_a_change_as_well(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    map_frame(critic(), frame_of("a"), "{review}", checkpoint=path).wait()
    with pytest.raises(UserError, match=r"\+prompt: Classify: \{review\}"):
        map_frame(critic(), frame_of("a"), "Classify: {review}", checkpoint=path).wait()


async def test_another_server_is_a_change_and_another_port_of_this_machine_is_none(
    tmp_path: Path,
) -> None:
    async def asked(base_url: str | None) -> Any:
        client = AsyncOpenAI(base_url=base_url, api_key="none")
        agent = Agent(name="Critic", model=OpenAIResponsesModel("gpt-oss-20b", client))
        return await agent_request(agent, RunConfig(), None)

    openai = await asked(None)
    assert "server" not in openai
    here = await asked("http://localhost:8080/v1")
    assert here == await asked("http://127.0.0.1:11434/v1") != openai
    assert await asked("https://one.example.org/v1") != await asked("https://two.example.org/v1")
    path = tmp_path / "rows.sqlite"
    async with ScriptedServer(echo) as server:
        agent = Agent(name="Critic", model=OpenAIResponsesModel("any", server.client()))
        await map_frame(agent, frame_of("a"), "{review}", checkpoint=path)
    elsewhere = AsyncOpenAI(base_url="https://one.example.org/v1", api_key="none")
    agent = Agent(name="Critic", model=OpenAIResponsesModel("any", elsewhere))
    with pytest.raises(UserError, match=r"\+server: one.example.org"):
        await map_frame(agent, frame_of("a"), "{review}", checkpoint=path)
    kept = await map_frame(agent, frame_of("a"), "{review}", checkpoint=path, on_change="keep")
    assert list(kept["source"]) == ["checkpoint"]


def test_on_change_ask_again_asks_all_and_going_back_asks_none(tmp_path: Path) -> None:
    path, kind, strict = tmp_path / "c", critic(instructions="Kind."), critic(instructions="Hard.")
    how: Any = {"checkpoint": path, "on_change": "ask again"}
    map_frame(kind, frame_of("a", "b"), "{review}", **how).wait()
    map_frame(strict, frame_of("a", "b"), "{review}", **how).wait()
    out = map_frame(kind, frame_of("a", "b"), "{review}", **how).wait()
    assert len(strict.model.requests) == len(kind.model.requests) == 2
    assert set(out["source"]) == {"checkpoint"}


def test_on_change_keep_keeps_the_answers_and_asks_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    map_frame(critic(), frame_of("a", "b"), "{review}", checkpoint=path).wait()
    agent = critic(instructions="New.")
    run = map_frame(agent, frame_of("b", "c"), "Say: {review}", checkpoint=path, on_change="keep")
    out = run.wait()
    assert list(out["final_output"]) == ["<b>", "<Say: c>"]
    assert len(agent.model.requests) == 1


def test_a_changed_agent_behind_a_handoff_is_a_change(tmp_path: Path) -> None:
    def agent(instructions: str) -> Agent[Any]:
        return critic(handoffs=[Agent(name="Expert", instructions=instructions)])

    path = tmp_path / "rows.sqlite"
    map_frame(agent("One."), frame_of("a"), "{review}", checkpoint=path).wait()
    with pytest.raises(UserError, match="Two"):
        map_frame(agent("Two."), frame_of("a"), "{review}", checkpoint=path).wait()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    text, other = tmp_path / "a.txt", tmp_path / "other.sqlite"
    text.write_text("not a database " * 100, encoding="utf-8")
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    for path in (text, other, tmp_path / "no" / "folder.sqlite"):
        with pytest.raises(UserError, match="checkpoint"):
            map_frame(critic(), frame_of("a"), "{review}", checkpoint=path).wait()
    assert text.read_text(encoding="utf-8").startswith("not a database")


def test_a_checkpoint_that_can_no_longer_be_written_stops_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"

    def turns(request: Any) -> Any:
        if request.number == 3:
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("DROP TABLE results")
            connection.close()
        return echo(request)

    agent = critic(turns)
    frame = frame_of(*map(str, range(50)))
    run = map_frame(agent, frame, "{review}", checkpoint=path, concurrency=1)
    with pytest.raises(sqlite3.OperationalError):
        run.wait()
    assert len(agent.model.requests) < 6


def test_two_kernels_share_the_work_and_both_have_all(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()

    async def slow(request: Any) -> Any:
        asked[request.user_text] += 1
        await asyncio.sleep(0.01)
        return echo(request)

    async def main() -> list[pd.DataFrame]:
        frame = frame_of(*map(str, range(60)))
        runs = [
            map_frame(critic(slow), frame, "{review}", checkpoint=tmp_path / "c", concurrency=4)
            for _ in range(2)
        ]
        return [await run for run in runs]

    outs = asyncio.run(main())
    assert set(asked.values()) == {1}
    for out in outs:
        assert list(out["final_output"]) == [f"<{number}>" for number in range(60)]
        assert {"asked", "checkpoint"} == set(out["source"])


def test_a_claim_of_a_process_that_is_gone_is_taken_over(tmp_path: Path) -> None:
    async def main() -> Any:
        first, second = Checkpoint(tmp_path / "c"), Checkpoint(tmp_path / "c")
        assert await first.claim(b"key") is True
        assert await second.claim(b"key") is False
        await asyncio.wrap_future(
            first.do(lambda db: db.execute("UPDATE owners SET pid = 999999999"))
        )
        taken = await second.claim(b"key")
        await second.save(RowResult(b"key", "done", ("x",)), "agent", "row", 0)
        found = await first.claim(b"key")
        first.close()
        second.close()
        return taken, found

    taken, found = asyncio.run(main())
    assert taken is True
    assert found.values == ("x",)


def test_a_run_that_was_stopped_leaves_no_claim(tmp_path: Path) -> None:
    async def main() -> None:
        async def never(request: Any) -> Any:
            await asyncio.Event().wait()

        path = tmp_path / "rows.sqlite"
        run = map_frame(critic(never), frame_of("a", "b"), "{review}", checkpoint=path)
        await asyncio.sleep(0.2)
        run.stop()
        await run
        out = await asyncio.wait_for(
            map_frame(critic(), frame_of("a", "b"), "{review}", checkpoint=path), 5
        )
        assert set(out["status"]) == {"done"}

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_kernel_pays_twice_for_no_more_than_was_in_flight(tmp_path: Path) -> None:
    rows, concurrency, kills = 250, 8, 10
    rng = random.Random(17)
    asked: Counter[str] = Counter()

    async def count(request: Any) -> Any:
        asked[request.user_text] += 1
        await asyncio.sleep(0.02)
        return request.user_text

    with ScriptedServer(count) as server:
        command = [sys.executable, str(KERNEL), server.base_url, str(tmp_path / "c")]
        command += [str(rows), str(concurrency)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as kernels:
            assert kernels.stdin is not None
            assert kernels.stdout is not None

            def start() -> int:
                kernels.stdin.write("\n")
                kernels.stdin.flush()
                return int(kernels.stdout.readline())

            for _ in range(kills):
                goal, child = sum(asked.values()) + rng.randint(1, 25), start()
                deadline = time.monotonic() + 30
                while sum(asked.values()) < goal and time.monotonic() < deadline:
                    time.sleep(0.002)
                os.kill(child, signal.SIGKILL)
                kernels.stdout.readline()
            start()
            ended = int(kernels.stdout.readline())
            kernels.stdin.close()
    assert ended == 0
    assert len(asked) == rows
    assert sum(asked.values()) - rows <= kills * concurrency


def test_a_recording_serves_rows_as_it_serves_runs(tmp_path: Path) -> None:
    frame, path = frame_of("a", "b", "c"), tmp_path / "rows.jsonl"
    agent = critic()
    with recording(path):
        map_frame(agent, frame, "{review}").wait()
    agent.model = "scripted"  # no key and no server from now on
    with recording(path, speed=0):
        out = map_frame(agent, frame, "{review}").wait()
    assert list(out["final_output"]) == ["<a>", "<b>", "<c>"]
    assert set(out["source"]) == {"recording"}
    with recording(path, mode="replay"):
        out = map_frame(agent, frame_of("a", "new"), "{review}").wait()
    assert list(out["status"]) == ["done", "failed"]
    assert out["error_type"][1] == RecordingError.__name__


def test_a_budget_that_is_used_up_goes_on_with_a_higher_one(tmp_path: Path) -> None:
    from agentstream import Limits
    from agentstream.testing import turn

    usage = {"input_tokens": 50, "output_tokens": 50}
    agent = critic(lambda request: turn("Hi", usage=usage))
    frame, path = frame_of(*map(str, range(20))), tmp_path / "rows.sqlite"
    with pytest.raises(RowError, match="budget"):
        map_frame(agent, frame, "{review}", checkpoint=path, limits=Limits(tokens=1000)).wait()
    out = map_frame(agent, frame, "{review}", checkpoint=path, limits=Limits(tokens=1500)).wait()
    assert set(out["status"]) == {"done"}
    assert len(agent.model.requests) == 20


STRANGE: list[tuple[str, Any]] = [
    ("output", "no json"),
    ("output", "7"),
    ("output", '{"a": 1}'),
    ("output", "[" * 5_000 + "]" * 5_000),
    ("output", f"[{'9' * 5_000}]"),
    ("output", None),
    ("output", b'["\xff"]'),
    ("error", b"x"),
    ("attempts", "many"),
    ("seconds", float("inf")),
    ("input_tokens", -1),
    ("cached_tokens", 1.5),
    ("cost_usd", "free"),
]


def changed(path: Path, sql: str, *values: Any) -> None:
    connection = sqlite3.connect(path)
    connection.execute(sql, values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(("column", "value"), STRANGE)
def test_a_result_that_somebody_else_wrote_is_refused(
    tmp_path: Path, column: str, value: Any
) -> None:
    path, agent = tmp_path / "rows.sqlite", critic()
    map_frame(agent, frame_of("a"), "{review}", checkpoint=path).wait()
    changed(path, f"UPDATE results SET {column} = ?", value)
    with pytest.raises(UserError, match="map_frame did not write"):
        map_frame(agent, frame_of("a"), "{review}", checkpoint=path).wait()
    assert len(agent.model.requests) == 1


@pytest.mark.parametrize("value", ["no json", "7", None, b"\xff"])
def test_an_agent_that_somebody_else_wrote_is_refused(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "rows.sqlite"
    map_frame(critic(), frame_of("a"), "{review}", checkpoint=path).wait()
    changed(path, "UPDATE agents SET request = ?", value)
    with pytest.raises(UserError, match="map_frame did not write"):
        map_frame(critic(instructions="x"), frame_of("a"), "{review}", checkpoint=path).wait()


@pytest.mark.parametrize("until", [9e99, float("inf"), "for ever", None])
def test_a_claim_without_an_end_keeps_no_row(tmp_path: Path, until: Any) -> None:
    path = tmp_path / "rows.sqlite"
    map_frame(critic(), frame_of("a"), "{review}", checkpoint=path).wait()
    changed(path, "INSERT INTO owners VALUES ('them', 'elsewhere', 1, '')")
    changed(path, "INSERT INTO claims SELECT key, 'them', ? FROM results", until)
    changed(path, "DELETE FROM results")
    out = map_frame(critic(), frame_of("a"), "{review}", checkpoint=path).wait()
    assert list(out["source"]) == ["asked"]


def test_half_a_surrogate_pair_costs_no_frame(tmp_path: Path) -> None:
    def said(request: Any) -> Any:
        if request.user_text == "b":
            raise ValueError("no \udce9")
        return "yes \ud83d"

    for source in ("asked", "checkpoint"):
        out = map_frame(
            critic(said), frame_of("a", "b"), "{review}", checkpoint=tmp_path / "c"
        ).wait()
        assert out["final_output"][0] == "yes \ufffd"
        assert out["error"][1] == "no \ufffd"
        assert list(out["source"]) == [source, "asked"]


def test_many_kernels_may_open_a_new_checkpoint_at_the_same_moment(tmp_path: Path) -> None:
    """Making the tables, and switching the file to WAL, are raced for."""

    def opened(path: Path) -> None:
        all_at_once.wait()
        Checkpoint(path).close()

    for number in range(10):
        all_at_once = Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(opened, [tmp_path / f"{number}.sqlite"] * 8))
