"""Rows by the Batch API: half the price, collected whenever and by whichever kernel."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import openai
import pandas as pd
import pytest
from pydantic import BaseModel

from agentstream import (
    Agent,
    AnswerTooLargeError,
    GuardrailFunctionOutput,
    Limits,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RedirectError,
    RowError,
    TimeLimits,
    UserError,
    WebSearchTool,
    function_tool,
    handoff,
    input_guardrail,
    map_frame,
    recording,
)
from agentstream.rows.batch import pool
from agentstream.rows.batch.service import BatchService, _Lines
from agentstream.rows.batch.store import Batch, BatchStore
from agentstream.rows.checkpoint import Checkpoint
from agentstream.rows.result import RowResult
from agentstream.testing import ScriptedBatches, ScriptedModel, ScriptedServer, answer, turn
from tests.hostile_server import hostile_server

KERNEL = Path(__file__).with_name("kernel.py")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "FIRST_POLL", 0.01)
    monkeypatch.setattr(pool, "LAST_POLL", 0.05)
    monkeypatch.setattr(pool, "SETTLED", 0.2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.sqlite"


class Verdict(BaseModel):
    label: str
    score: int


def echo(request: Any) -> str:
    return f"<{request.user_text}>"


def frame_of(count: int) -> pd.DataFrame:
    return pd.DataFrame({"number": range(count)})


def critic(server: ScriptedServer, *, chat: bool = False, **settings: Any) -> Agent[Any]:
    kind = OpenAIChatCompletionsModel if chat else OpenAIResponsesModel
    return Agent(name="Critic", model=kind("gpt-5-mini", server.client()), **settings)


def texts(server: ScriptedServer) -> Counter[str]:
    """How often each input was answered, and so paid for."""
    asked: Counter[str] = Counter()
    for call in server.calls:
        body = call.request.body
        items = body.get("messages") or body["input"]
        asked[items[-1]["content"]] += 1
    return asked


async def asked_once(server: ScriptedServer, frame: pd.DataFrame, path: Path, **how: Any) -> Any:
    """`map_frame` in batch mode, with a critic of this server."""
    agent = critic(server, **how.pop("agent", {}))
    return await map_frame(agent, frame, "{number}", mode="batch", checkpoint=path, **how)


@pytest.mark.parametrize("chat", [False, True])
async def test_a_batch_asks_exactly_what_the_plain_mode_asks(path: Path, chat: bool) -> None:
    how = {
        "instructions": 'Say "yes"\nor no. \u2028',
        "output_type": Verdict,
        "model_settings": ModelSettings(temperature=0.5, max_tokens=50, extra_body={"seed": 3}),
    }
    said = answer({"label": "good\u2028", "score": 4})
    async with ScriptedServer([said], loop=True) as server:
        out = await asked_once(server, frame_of(3), path, agent={"chat": chat, **how})
        batched = [call.request for call in server.calls]
        plain = await map_frame(critic(server, chat=chat, **how), frame_of(3), "{number}")
        alone = [call.request for call in server.calls[3:]]
    assert sorted(json.dumps(one.body) for one in batched) == sorted(
        json.dumps(one.body) for one in alone
    )
    assert {one.endpoint for one in batched} == {one.endpoint for one in alone}
    dropped = ["cost_usd", "seconds"]
    pd.testing.assert_frame_equal(out.drop(columns=dropped), plain.drop(columns=dropped))
    assert list(out["cost_usd"] * 2) == pytest.approx(list(plain["cost_usd"]))
    assert (out["cost_usd"] > 0).all()


async def test_plain_mode_finds_the_answers_of_a_batch(path: Path) -> None:
    async with ScriptedServer(echo) as server:
        await asked_once(server, frame_of(3), path)
        out = await map_frame(critic(server), frame_of(4), "{number}", checkpoint=path)
        assert list(out["source"]) == ["checkpoint"] * 3 + ["asked"]
        assert texts(server) == Counter("0123")


async def test_files_stay_below_the_limits_of_requests_and_bytes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_REQUESTS", 30)
    monkeypatch.setattr(pool, "MOST_BYTES", 8_000)
    batches = ScriptedBatches(most_requests=30, most_bytes=8_000)
    frame = pd.DataFrame({"number": ["x" * (number * 5) for number in range(1, 91)]})
    frame.loc[3, "number"] = "y" * 9_000
    async with ScriptedServer(echo, batches=batches) as server:
        out = await asked_once(server, frame, path)
        sizes = [len(batches.files[one["input_file_id"]]) for one in batches.batches.values()]
    assert Counter(out["status"]) == {"done": 89, "failed": 1}
    assert "too many for a batch" in out["error"][3]
    assert len(sizes) > 3
    assert max(sizes) <= 8_000
    assert set(texts(server).values()) == {1}


async def test_lines_that_fail_or_are_lost_are_failed_rows_and_retry_asks_them_again(
    path: Path,
) -> None:
    faults: dict[int, int | str] = {2: 400, 3: 500, 4: "lost", 5: 429}
    batches = ScriptedBatches(fault=lambda number: faults.pop(number, None))
    async with ScriptedServer(echo, batches=batches) as server:
        agent = critic(server)
        run = map_frame(agent, frame_of(8), "{number}", mode="batch", checkpoint=path)
        out = await run
        assert list(out.index[out["status"] == "failed"]) == [1, 2, 3, 4]
        assert list(out["error_type"][1:5]) == [
            "BadRequestError",
            "InternalServerError",
            "RowError",
            "RateLimitError",
        ]
        assert "no answer for this row" in out["error"][3]
        out = await run.retry()
    assert list(out["final_output"]) == [f"<{number}>" for number in range(8)]
    assert list(out["attempts"]) == [1, 2, 2, 2, 2, 1, 1, 1]
    assert set(texts(server).values()) == {1}


async def test_a_batch_all_of_whose_requests_failed_tells_each_rows_error(path: Path) -> None:
    # Completed, without a file of answers.
    async with ScriptedServer(echo, batches=ScriptedBatches(fault=lambda _: 400)) as server:
        out = await asked_once(server, frame_of(3), path)
        [batch] = server.batches.batches.values()
    assert (batch["status"], batch["output_file_id"]) == ("completed", None)
    assert list(out["error_type"]) == ["BadRequestError"] * 3
    assert out["error"].str.contains("A fault of the script").all()


async def test_an_upload_that_is_lost_ends_with_an_error_and_retry_asks_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(echo) as server:
        with monkeypatch.context() as patched:
            lost = openai.APITimeoutError(httpx2.Request("POST", "http://x/v1/files"))
            patched.setattr(pool.BatchService, "upload", _raising(lost))
            run = map_frame(critic(server), frame_of(3), "{number}", mode="batch", checkpoint=path)
            with pytest.raises(RowError, match="cannot be used"):
                await run
        assert set(run.frame["status"]) == {"waiting"}
        assert set((await run.retry())["status"]) == {"done"}
        assert set(texts(server).values()) == {1}


def _raising(error: Exception) -> Any:
    async def fails(*given: Any) -> None:
        raise error

    return fails


async def test_what_has_expired_is_missing_and_the_same_call_asks_it_again(path: Path) -> None:
    batches = ScriptedBatches(expires_after=5)
    async with ScriptedServer(echo, batches=batches) as server:
        out = await asked_once(server, frame_of(8), path)
        assert Counter(out["status"]) == {"done": 5, "failed": 3}
        assert out["error"].dropna().str.contains("batch_expired").all()
        out = await asked_once(server, frame_of(8), path)
        assert set(out["status"]) == {"done"}
        assert set(texts(server).values()) == {1}


async def test_another_kernel_collects_what_the_first_has_submitted(path: Path) -> None:
    batches = ScriptedBatches(hold=True)
    async with ScriptedServer(echo, batches=batches) as server:
        first = map_frame(critic(server), frame_of(4), "{number}", mode="batch", checkpoint=path)
        async with asyncio.timeout(10):
            while "0 of 4 answered" not in first.progress.reason:
                await asyncio.sleep(0.01)
        assert first.progress.waiting == first.progress.asking == 4
        first.stop()
        await first
        assert set(first.frame["status"]) == {"waiting"}
        batches.release()
        # The frame is sorted otherwise, and has grown.
        frame = pd.DataFrame({"number": [9, 3, 2, 1, 0]})
        out = await asked_once(server, frame, path)
        assert list(out["final_output"]) == ["<9>", "<3>", "<2>", "<1>", "<0>"]
        assert len(batches.batches) == 2
        assert texts(server) == Counter("01239")


@pytest.mark.slow
async def test_a_kernel_that_is_killed_between_submitting_and_collecting_loses_nothing(
    path: Path,
) -> None:
    batches = ScriptedBatches(hold=True, fault=lambda number: 400 if number == 2 else None)
    async with ScriptedServer(echo, batches=batches) as server:
        kernel = await asyncio.create_subprocess_exec(
            sys.executable, str(KERNEL), server.base_url, str(path), "40", stdout=subprocess.PIPE
        )
        assert kernel.stdout is not None
        assert b"of 40 answered" in await kernel.stdout.readline()
        kernel.kill()
        await kernel.wait()
        batches.release()
        out = await asked_once(server, frame_of(40), path)
    assert Counter(out["status"]) == {"done": 39, "failed": 1}
    assert len(batches.batches) == 1
    assert set(texts(server).values()) == {1}


async def test_what_the_frame_has_no_longer_stays_to_be_collected(path: Path) -> None:
    batches = ScriptedBatches(hold=True)
    async with ScriptedServer(echo, batches=batches) as server:
        first = map_frame(critic(server), frame_of(4), "{number}", mode="batch", checkpoint=path)
        async with asyncio.timeout(10):
            while not batches.batches:
                await asyncio.sleep(0.01)
        first.stop()
        await first
        batches.release()
        assert set((await asked_once(server, frame_of(2), path))["status"]) == {"done"}
        assert set((await asked_once(server, frame_of(4), path))["status"]) == {"done"}
        assert len(batches.batches) == 1
        assert texts(server) == Counter("0123")


async def test_a_batch_whose_id_was_never_noted_is_found_by_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    async with ScriptedServer(echo) as server:
        with monkeypatch.context() as patched:
            patched.setattr(BatchStore, "made", lambda *given: asyncio.sleep(60))
            run = map_frame(critic(server), frame_of(3), "{number}", mode="batch", checkpoint=path)
            async with asyncio.timeout(10):
                while not server.batches.batches:
                    await asyncio.sleep(0.01)
            run.stop()
            await run
        with closing(sqlite3.connect(path)) as database, database:
            assert database.execute("SELECT id FROM batches").fetchall() == [(None,)]
        out = await asked_once(server, frame_of(3), path)
    assert set(out["status"]) == {"done"}
    assert len(server.batches.batches) == 1


async def test_a_kernel_that_cannot_be_seen_keeps_a_batch_only_while_it_renews_its_claims(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentstream.rows.checkpoint._SEES_PROCESSES", False)
    checkpoints = []

    async def killed(*given: Any) -> None:
        checkpoints.append(run._pool.checkpoint)
        await asyncio.sleep(60)

    async with ScriptedServer(echo) as server:
        with monkeypatch.context() as patched:
            patched.setattr(pool.BatchService, "make", killed)
            patched.setattr(Checkpoint, "_release_all", lambda *given: None)
            run = map_frame(critic(server), frame_of(3), "{number}", mode="batch", checkpoint=path)
            async with asyncio.timeout(10):
                while not checkpoints:
                    await asyncio.sleep(0.01)
            run.stop()
            await run
        again = asyncio.ensure_future(asked_once(server, frame_of(3), path))
        await asyncio.sleep(0.6)
        assert server.batches.batches == {}
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE claims SET until = 1.0")
        async with asyncio.timeout(20):
            out = await again
    assert set(out["status"]) == {"done"}


async def test_a_batch_that_was_never_made_is_asked_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer(echo) as server:
        with monkeypatch.context() as patched:
            patched.setattr(pool.BatchService, "make", lambda *given: asyncio.sleep(60))
            run = map_frame(critic(server), frame_of(3), "{number}", mode="batch", checkpoint=path)
            await asyncio.sleep(0.5)
            run.stop()
            await run
        out = await asked_once(server, frame_of(3), path)
    assert set(out["status"]) == {"done"}


async def test_a_lost_answer_to_the_making_of_a_batch_makes_no_second_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentstream.rows.batch.service._DELAY", 0.01)
    batches = ScriptedBatches()
    answered = batches.answer
    lost = 0

    async def losing(request: Any, *more: Any) -> Any:
        nonlocal lost
        status, value = await answered(request, *more)
        if request.method == "POST" and "/batches" in request.endpoint and not lost:
            lost += 1
            return 502, {"error": {"message": "Bad gateway"}}
        return status, value

    monkeypatch.setattr(batches, "answer", losing)
    async with ScriptedServer(echo, batches=batches) as server:
        out = await asked_once(server, frame_of(3), path)
    assert set(out["status"]) == {"done"}
    assert lost == len(batches.batches) == 1


@pytest.mark.parametrize("then", ["the list is refused", "another try is refused"])
async def test_a_batch_that_may_have_been_made_is_not_asked_again_by_another(
    path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr("agentstream.rows.batch.service._DELAY", 0.01)
    batches = ScriptedBatches()
    answered, created, is_ill = batches.answer, 0, True

    async def ill(request: Any, *more: Any) -> Any:
        nonlocal created
        is_list = request.method == "GET" and "/batches?" in request.path
        if request.method == "POST" and "/batches" in request.endpoint:
            created += 1
            if created == 1:
                await answered(request, *more)
                return 502, {"error": {"message": "Bad gateway"}}
            if is_ill:
                return 403, {"error": {"message": "Refused"}}
        if is_list and is_ill:
            if then == "the list is refused":
                return 403, {"error": {"message": "Refused"}}
            return 200, {"object": "list", "data": [], "has_more": False}
        return await answered(request, *more)

    monkeypatch.setattr(batches, "answer", ill)
    async with ScriptedServer(echo, batches=batches) as server:
        run = map_frame(critic(server), frame_of(3), "{number}", mode="batch", checkpoint=path)
        with pytest.raises(RowError, match="cannot be used"):
            await run
        is_ill = False
        out = await run.retry()
    assert set(out["status"]) == {"done"}
    assert len(batches.batches) == 1


async def test_a_batch_that_is_refused_at_once_leaves_its_rows_free(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SETTLED", 600)
    async with ScriptedServer(echo) as server:
        with monkeypatch.context() as patched:
            patched.setattr(server.batches, "_create", lambda body: (403, {"error": {}}))
            run = map_frame(critic(server), frame_of(3), "{number}", mode="batch", checkpoint=path)
            with pytest.raises(RowError, match="cannot be used"):
                await run
        assert set((await run.retry())["status"]) == {"done"}


async def test_a_batch_that_is_listed_late_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SETTLED", 600)
    async with ScriptedServer(echo) as server:
        with monkeypatch.context() as patched:
            patched.setattr(BatchStore, "made", lambda *given: asyncio.sleep(60))
            run = map_frame(critic(server), frame_of(3), "{number}", mode="batch", checkpoint=path)
            async with asyncio.timeout(10):
                while not server.batches.batches:
                    await asyncio.sleep(0.01)
            run.stop()
            await run
        page, looks = server.batches._page, iter(range(3))
        empty = {"object": "list", "data": [], "has_more": False}
        monkeypatch.setattr(
            server.batches,
            "_page",
            lambda query: page(query) if next(looks, None) is None else empty,
        )
        out = await asked_once(server, frame_of(3), path)
    assert set(out["status"]) == {"done"}
    assert len(server.batches.batches) == 1


@pytest.mark.slow
async def test_two_kernels_share_the_work_and_each_row_is_in_one_batch(path: Path) -> None:
    async with ScriptedServer(echo) as server:
        outs = await asyncio.gather(*(asked_once(server, frame_of(120), path) for _ in range(2)))
        assert all(set(out["status"]) == {"done"} for out in outs)
        assert set(texts(server).values()) == {1}


async def test_what_a_kernel_says_of_a_batch_does_not_concern_the_one_a_row_is_in_now(
    path: Path,
) -> None:
    key, failed = b"key", RowResult(b"key", "failed", (None,), "No answer.", "RowError", 1)
    here, there = Checkpoint(path), Checkpoint(path)
    mine, theirs = BatchStore(here, "agent"), BatchStore(there, "agent")
    old, new = (Batch(name, "/v1/responses", keys=[key]) for name in ("old", "new"))
    try:
        await mine.begin(old)
        await theirs.release(old)  # they have seen that it failed, and ask again
        assert await there.claim(key) is True
        await mine.unclaim([key])
        await mine.release(old)
        assert await here.claim(key) is False
        await theirs.begin(new)
        await mine.release(old)
        await here.save(failed, "agent", "row", 0, "old")
        assert await here.claim(key) is False
        assert (await mine.open())["new"].keys == [key]
        await there.save(RowResult(key, "done", ("x",)), "agent", "row", 0, "new")
        kept = await here.save(failed, "agent", "row", 0, "old")
        assert (kept.status, kept.values) == ("done", ("x",))
        assert here.known("agent")[key].status == "done"
    finally:
        here.close()
        there.close()


async def test_a_row_that_is_collected_late_is_not_paid_for_twice(path: Path) -> None:
    batches = ScriptedBatches(hold=True, fault=lambda number: "lost" if number == 1 else None)
    async with ScriptedServer(echo, batches=batches) as server:
        late, quick = (
            map_frame(critic(server), frame_of(2), "{number}", mode="batch", checkpoint=path)
            for _ in range(2)
        )
        async with asyncio.timeout(10):
            while not all("0 of 2 answered" in run.progress.reason for run in (late, quick)):
                await asyncio.sleep(0.01)
        collect, collecting = late._pool._collect, asyncio.Event()

        async def collects_late(*given: Any) -> None:
            await collecting.wait()
            await collect(*given)

        late._pool._collect = collects_late
        batches.release()
        await quick
        batches._hold, batches._fault = True, lambda number: None
        again = asyncio.ensure_future(quick.retry())
        async with asyncio.timeout(10):
            while len(batches.batches) < 2:
                await asyncio.sleep(0.01)
        collecting.set()
        await late
        again_late = asyncio.ensure_future(late.retry())
        await asyncio.sleep(0.3)
        batches.release()
        outs = await asyncio.gather(again, again_late)
    assert all(set(out["status"]) == {"done"} for out in outs)
    assert len(batches.batches) == 2
    assert set(texts(server).values()) == {1}


async def test_a_full_account_is_waited_for_and_given_smaller_batches(path: Path) -> None:
    batches = ScriptedBatches(room=10)
    async with ScriptedServer(echo, batches=batches) as server:
        out = await asked_once(server, frame_of(16), path)
    assert set(out["status"]) == {"done"}
    assert {one["status"] for one in batches.batches.values()} == {"failed", "completed"}
    assert set(texts(server).values()) == {1}


async def test_a_batch_that_is_refused_says_why_and_asks_nothing(path: Path) -> None:
    batches = ScriptedBatches(most_requests=2)
    async with ScriptedServer(echo, batches=batches) as server:
        with pytest.raises(RowError, match="file_too_large"):
            await asked_once(server, frame_of(4), path)
        assert server.calls == []


async def test_a_batch_of_another_account_is_an_error_and_paid_for_once_only(path: Path) -> None:
    async with ScriptedServer(echo, batches=ScriptedBatches(hold=True)) as server:
        run = map_frame(critic(server), frame_of(2), "{number}", mode="batch", checkpoint=path)
        async with asyncio.timeout(10):
            while not server.batches.batches:
                await asyncio.sleep(0.01)
        run.stop()
        await run
        kept, server.batches.batches = server.batches.batches, {}
        with pytest.raises(RowError, match="does not know the batch"):
            await asked_once(server, frame_of(2), path)
        server.batches.batches = kept
        server.batches.release()
        assert set((await asked_once(server, frame_of(2), path))["status"]) == {"done"}


async def test_a_batch_for_another_endpoint_is_kept_for_who_can_read_it(path: Path) -> None:
    async with ScriptedServer(echo, batches=ScriptedBatches(hold=True)) as server:
        run = map_frame(critic(server), frame_of(2), "{number}", mode="batch", checkpoint=path)
        async with asyncio.timeout(10):
            while not server.batches.batches:
                await asyncio.sleep(0.01)
        run.stop()
        await run
        server.batches.release()
        with pytest.raises(UserError, match="in a batch for /v1/responses"):
            await asked_once(server, frame_of(2), path, agent={"chat": True})
        out = await asked_once(server, frame_of(2), path)
        assert list(out["status"]) == ["done"] * 2
        assert set(texts(server).values()) == {1}


async def test_plain_mode_does_not_pay_for_what_a_batch_will_answer(path: Path) -> None:
    async with ScriptedServer(echo, batches=ScriptedBatches(hold=True)) as server:
        run = map_frame(critic(server), frame_of(2), "{number}", mode="batch", checkpoint=path)
        async with asyncio.timeout(10):
            while not server.batches.batches:
                await asyncio.sleep(0.01)
        run.stop()
        await run
        with pytest.raises(UserError, match="mode='batch'"):
            await map_frame(critic(server), frame_of(3), "{number}", checkpoint=path)
        assert server.calls == []


async def test_an_outage_while_it_waits_is_waited_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, outages = ScriptedBatches(), iter([500, 429, 503])
    answered = batches.answer

    async def failing(request: Any, *more: Any) -> Any:
        if request.method == "GET" and (status := next(outages, None)):
            return status, {"error": {"message": "Not now"}}
        return await answered(request, *more)

    monkeypatch.setattr(batches, "answer", failing)
    async with ScriptedServer(echo, batches=batches) as server:
        out = await asked_once(server, frame_of(3), path)
    assert set(out["status"]) == {"done"}


async def test_guardrails_and_wrong_outputs_count_as_in_plain_mode(path: Path) -> None:
    @input_guardrail(run_in_parallel=False)
    def no_threes(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered="3" in str(given))

    def turns(request: Any) -> Any:
        return "no JSON" if request.user_text == "1" else answer({"label": "x", "score": 1})

    async with ScriptedServer(turns) as server:
        how = {"output_type": Verdict, "input_guardrails": [no_threes]}
        out = await asked_once(server, frame_of(5), path, agent=how)
    assert list(out["status"]) == ["done", "failed", "done", "failed", "done"]
    assert list(out["error_type"].dropna()) == [
        "ModelBehaviorError",
        "InputGuardrailTripwireTriggered",
    ]
    assert texts(server) == Counter("0124")
    assert out["input_tokens"][1] > 0


async def test_an_answer_that_is_none_is_asked_for_once(path: Path) -> None:
    async with ScriptedServer([turn()], loop=True) as server:
        out = await asked_once(server, frame_of(1), path, agent={"output_type": Verdict})
    assert out["status"][0] == "failed"
    assert len(server.calls) == 1


async def test_a_budget_is_held_by_what_a_row_is_thought_to_take(path: Path) -> None:
    usage = {"input_tokens": 50, "output_tokens": 50}
    async with ScriptedServer(lambda request: turn("Hi", usage=usage)) as server:
        with pytest.raises(RowError, match="budget"):
            await asked_once(server, frame_of(40), path, limits=Limits(tokens=1_000))
    assert 2 <= len(server.calls) <= 10


async def test_rows_that_the_budget_has_no_room_for_are_not_begun_at_every_look(path: Path) -> None:
    begun: list[int] = []

    def instructions(context: Any, agent: Any) -> str:
        begun.append(1)
        return "Say yes."

    usage = {"input_tokens": 50, "output_tokens": 50}
    batches = ScriptedBatches(hold=True)
    async with ScriptedServer(lambda request: turn("Hi", usage=usage), batches=batches) as server:
        how: Any = {"mode": "batch", "checkpoint": path, "limits": Limits(tokens=1_000)}
        run = map_frame(critic(server, instructions=instructions), frame_of(40), "{number}", **how)
        async with asyncio.timeout(10):
            while not batches.batches:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        first = len(begun)
        await asyncio.sleep(0.3)
        assert len(begun) == first
        batches.release()
        with pytest.raises(RowError, match="budget"):
            await run
    assert 2 <= len(server.calls) <= 10


async def test_a_budget_of_usd_needs_a_price_that_is_known(path: Path) -> None:
    async with ScriptedServer(echo) as server:
        agent = Agent(name="Critic", model=OpenAIResponsesModel("no-such", server.client()))
        how: Any = {"mode": "batch", "checkpoint": path, "limits": Limits(usd=5)}
        with pytest.raises(UserError, match="price of this model"):
            await map_frame(agent, frame_of(3), "{number}", **how)
        assert server.batches.batches == {}


async def test_a_recording_replays_rows_of_a_batch(path: Path, tmp_path: Path) -> None:
    async with ScriptedServer(echo) as server:
        with recording(tmp_path / "rows.jsonl"):
            first = await asked_once(server, frame_of(3), path)
    for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines():
        assert "ancelled" not in line
    async with ScriptedServer([]) as server:
        with recording(tmp_path / "rows.jsonl", mode="replay"):
            again = await asked_once(server, frame_of(3), tmp_path / "other")
    assert list(first["final_output"]) == list(again["final_output"])
    assert set(again["source"]) == {"recording"}


@function_tool
def look(place: str) -> str:
    """Look."""
    return place


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tools": [look]}, "has tools"),
        ({"handoffs": [handoff(Agent(name="Other"))]}, "has handoffs"),
        ({"model": ScriptedModel(["x"])}, "got ScriptedModel"),
        ({"model_settings": ModelSettings(extra_headers={"x": "y"})}, "extra_headers"),
    ],
)
def test_what_no_batch_can_do_is_refused(path: Path, settings: Any, message: str) -> None:
    agent = Agent(**{"name": "Critic", "model": "gpt-5-mini", **settings})
    with pytest.raises(UserError, match=message):
        map_frame(agent, frame_of(2), "{number}", mode="batch", checkpoint=path).wait()


def test_a_batch_needs_a_checkpoint_and_may_have_the_providers_tools(path: Path) -> None:
    agent = Agent(name="Critic", model="gpt-5-mini", tools=[WebSearchTool()])
    with pytest.raises(UserError, match="checkpoint="):
        map_frame(agent, frame_of(2), "{number}", mode="batch")
    with pytest.raises(UserError, match="mode"):
        map_frame(agent, frame_of(2), "{number}", mode="later")  # type: ignore[call-overload]


async def test_agents_are_compared_by_batches(path: Path) -> None:
    async with ScriptedServer(echo) as server:
        agents = {name: critic(server, instructions=name) for name in ("a", "b")}
        long = await map_frame(
            agents, frame_of(3), "{number}", mode="batch", checkpoint=path, scorers=[len]
        )
    assert list(long["len"]) == [3.0] * 6
    assert set(texts(server).values()) == {2}


@pytest.mark.parametrize("fault", ["redirect", "redirect-308", "redirect-twice"])
async def test_rows_are_not_redirected_to_another_origin(fault: str) -> None:
    async with hostile_server() as server:
        client = openai.AsyncOpenAI(
            base_url=server.url(fault), api_key="sk-1234abcd", max_retries=0
        )
        service = BatchService(client, TimeLimits())
        with pytest.raises(RedirectError):
            await service.upload("n", io.BytesIO(b"{}\n"))
        with pytest.raises(RedirectError):
            await service.make("n", "/v1/responses", "file-1")
        with pytest.raises(RedirectError):
            async for _ in service.lines("file-1"):
                pass
        await client.close()
        assert server.received == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["huge-json", "bomb-json", "endless-line", "bomb-tail"])
async def test_what_the_service_sends_is_bounded_line_by_line(fault: str) -> None:
    limits = TimeLimits(event_bytes=256 * 1024)
    async with hostile_server() as server:
        client = openai.AsyncOpenAI(base_url=server.url(fault), api_key="none", max_retries=0)
        service = BatchService(client, limits)
        if fault != "bomb-tail":  # which has no line without an end
            with pytest.raises(AnswerTooLargeError, match="a line of a batch"):
                async for _ in service.lines("file-1"):
                    pass
        with pytest.raises((AnswerTooLargeError, openai.APIError)):
            await service.get("batch-1")
        await client.close()
        assert server.sent < 96 * 1024**2


def test_lines_of_a_file_are_whole_however_it_is_cut() -> None:
    text = b'{"a": "\xe2\x80\xa8"}\n\n{"b": 1}\r\nrest'
    for size in (1, 2, 5, 100):
        lines = _Lines(50)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        found = [line for piece in pieces for line in lines.feed(piece)]
        assert b"\n".join([*found, lines.rest()]) == text
