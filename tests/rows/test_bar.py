"""The bar: how far the rows are, live and in the saved notebook."""

from __future__ import annotations

import asyncio
import io
import math
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from agentstream import Agent, map_frame
from agentstream.notebook import ipython
from agentstream.rows.bar_text import bar_bundle, bar_html, bar_line
from agentstream.rows.bar_widget import RowsWidget
from agentstream.rows.pace import Pace
from agentstream.rows.result import Progress, RowResult
from agentstream.testing import ScriptedModel, http_error, turn


def progress(**changes: Any) -> Progress:
    facts: dict[str, Any] = {
        "rows": 100,
        "done": 20,
        "failed": 2,
        "waiting": 78,
        "asking": 8,
        "seconds": 10.0,
        "tokens": 5000,
        "usd": 0.25,
        "rate": 2.0,
        "left": 39.0,
        "reason": "600 of 600 requests a minute",
    }
    return Progress(**{**facts, **changes})


def critic(turns: Any = "Fine.", **settings: Any) -> Agent[Any]:
    return Agent(name="Critic", model=ScriptedModel(turns, loop=True), **settings)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def frame_of(count: int) -> pd.DataFrame:
    return pd.DataFrame({"review": [str(number) for number in range(count)]})


def test_the_line_says_all_that_one_wants_to_know() -> None:
    assert bar_line(progress()) == (
        "20 done, 2 failed, 78 waiting · 2.0 rows/s, 500 tokens/s · 0.2500 USD · 39 s left · "
        "600 of 600 requests a minute"
    )
    over = progress(done=98, waiting=0, left=0.0, reason="", seconds=3725)
    assert bar_line(over) == "98 done, 2 failed · 1 h 2 min, 5,000 tokens · 0.2500 USD"
    assert "left" not in bar_line(progress(left=math.nan))


def test_what_errors_say_is_escaped() -> None:
    hostile = RowResult(b"", "failed", (), "<img src=x onerror=alert(1)>", "<b>", index="<i>")
    bundle = bar_bundle(progress(), [hostile], "<script>alert(2)</script>")
    html = bundle["text/html"].partition("</style>")[2]
    assert "<img" not in html
    assert "<script" not in html
    assert "<i>" not in html
    assert "onerror=alert(1)" in bundle["text/plain"]


def test_what_ended_the_rows_keeps_its_lines() -> None:
    html = bar_bundle(progress(), [], "It is another prompt:\n\n-a\n+b <i>")["text/html"]
    assert "prompt:<br><br>-a<br>+b &lt;i&gt;</div>" in html


def test_the_saved_bar_is_readable_without_style_and_script() -> None:
    html = re.sub(r"<style>.*?</style>", "", bar_bundle(progress(), [])["text/html"])
    text = re.sub(r"<[^>]+>", " ", html)
    assert "22 of 100 rows" in text
    assert "20 done, 2 failed" in text
    assert "style=" in bar_html(progress())


async def test_at_most_eight_messages_a_second_are_sent() -> None:
    calls: list[float] = []
    pace = Pace(lambda: calls.append(time.monotonic()))
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        pace.nudge()
        await asyncio.sleep(0.001)
    pace.stop()
    assert 3 <= len(calls) <= 9
    await asyncio.sleep(0.2)
    assert len(calls) <= 9


async def test_the_clock_goes_on_while_nothing_happens() -> None:
    calls: list[float] = []
    pace = Pace(lambda: calls.append(1))
    pace.nudge()
    await asyncio.sleep(1.3)
    pace.stop()
    assert len(calls) == 2


async def test_the_widget_follows_the_rows_and_tells_the_last_errors() -> None:
    def turns(request: Any) -> Any:
        return http_error(400, "No.") if request.user_text == "3" else "Fine."

    run = map_frame(critic(turns), frame_of(6), "{review}", progress=False)
    widget = RowsWidget(run)
    sent: list[str] = []
    widget.observe(lambda change: sent.append(change["new"]), "html")
    await run
    await asyncio.sleep(0.05)
    assert "6 of 6 rows" in widget.html
    assert not widget.is_live
    assert "<code>3</code>" in widget.html
    assert len(sent) <= 4
    assert "5 done, 1 failed" in widget._bundle()["text/plain"]


@pytest.mark.parametrize("compared", [False, True])
async def test_rows_that_are_tried_again_have_a_bar_of_their_own(
    monkeypatch: pytest.MonkeyPatch, compared: bool
) -> None:
    shown: list[tuple[str, bool, dict[str, Any]]] = []

    def publish(data: Any, *_: Any, display_id: str, update: bool = False) -> None:
        shown.append((display_id, update, data))

    monkeypatch.setattr(ipython, "publish", publish)
    release = asyncio.Event()
    release.set()
    fails = True

    async def turns(request: Any) -> Any:
        await release.wait()
        return http_error(400, "No.") if fails else "Fine."

    agent = critic(turns)
    agents: Any = {"a": agent, "b": agent.clone(name="B")} if compared else agent
    run = map_frame(agents, frame_of(3), "{review}", progress=False)
    widget = RowsWidget(run)
    await run
    await until(lambda: not widget.is_live)
    first, fails = len(shown), False
    release.clear()
    run.retry()
    await until(lambda: len(shown) > first)
    assert widget.is_live  # Stop is there again
    release.set()
    await run
    await until(lambda: not widget.is_live)
    again = shown[first:]
    places = {place for place, _, _ in again}
    assert [update for _, update, _ in again] == [False, True]
    assert len(places) == 1
    assert not places & {place for place, _, _ in shown[:first]}
    assert "done" in again[-1][2]["text/plain"]
    assert "failed" not in again[-1][2]["text/plain"]
    assert "No." not in again[-1][2]["text/html"]  # the errors of rows that are well by now


async def test_the_button_stops_the_rows() -> None:
    async def never(request: Any) -> Any:
        await asyncio.Event().wait()

    run = map_frame(critic(never), frame_of(5), "{review}", progress=False)
    widget = RowsWidget(run)
    await asyncio.sleep(0.05)
    widget._on_message(widget, {"kind": "stop"}, [])
    await asyncio.wait_for(run, 5)
    assert run.is_complete
    widget._on_message(widget, "anything", [])


def test_a_bar_of_tqdm_is_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    map_frame(critic(), frame_of(3), "{review}", progress=True).wait()
    assert "3/3" in written.getvalue()
    assert "3 done" in written.getvalue()


def test_rows_that_are_tried_again_have_another_bar_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("tqdm")
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    script = [http_error(400, "No."), "Fine."]
    agent = Agent(name="Critic", model=ScriptedModel(script))
    run = map_frame(agent, frame_of(1), "{review}", progress=True)
    run.wait()
    assert "1 failed" in written.getvalue()
    written.truncate(0)
    run.retry().wait()
    assert "1 done ·" in written.getvalue()
    assert written.getvalue().count("\n") == 1


def test_nothing_is_written_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    map_frame(critic(), frame_of(3), "{review}").wait()
    assert capsys.readouterr() == ("", "")


async def test_a_click_on_a_row_shows_its_stream() -> None:
    release = asyncio.Event()

    async def turns(request: Any) -> Any:
        if request.user_text == "0":
            await release.wait()
            return "Short."
        return turn("All of this is written <script>slowly</script>, word by word.", pace=20)

    run = map_frame(critic(turns), frame_of(3), "{review}", concurrency=1, progress=False)
    widget = RowsWidget(run)
    await until(lambda: run.under_way(8))
    [(first, label)] = run.under_way(8)
    assert label == "0"
    widget._on_message(widget, {"kind": "watch", "row": first}, [])
    await until(lambda: 'aria-label="Run of a row"' in widget.html)
    assert f'data-row="{first}"' in widget.html
    release.set()
    await until(lambda: run.under_way(8) and run.under_way(8)[0][0] != first)
    [(second, _)] = run.under_way(8)
    widget._on_message(widget, {"kind": "watch", "row": second}, [])
    seen: set[str] = set()
    widget.observe(lambda change: seen.add(change["new"]), "html")
    await run
    bodies = [html.partition("Run of a row")[2].partition("</div></div>")[0] for html in seen]
    partly = [body for body in bodies if "All of" in body and "word by word" not in body]
    assert partly  # it was seen while it was written
    assert all("<script" not in body for body in bodies)
    await until(lambda: "word by word" in widget.html)
    assert run.under_way(8) == []
    widget._on_message(widget, {"kind": "watch", "row": ""}, [])
    assert run.trace("") is None
    for hostile in ("zz", None, "00" * 100, 3):
        widget._on_message(widget, {"kind": "watch", "row": hostile}, [])


async def test_a_row_that_failed_can_be_looked_at_and_no_more_than_five_are_kept() -> None:
    run = map_frame(
        critic(lambda request: http_error(400, "No such thing.")),
        frame_of(12),
        "{review}",
        progress=False,
    )
    await run
    rows = run.last_errors()
    assert len(rows) == 5
    for row in rows:
        trace = run.trace(row.key.hex())
        assert trace is not None
        assert trace.status == "failed"
    assert len(run._pool.asker.failures) == 5
    html = bar_html(run.progress, rows, live=True, watched=run.trace(rows[0].key.hex()))
    assert f'data-row="{rows[0].key.hex()}"' in html
    assert html.count("No such thing.") >= 6
